//! What the end-to-end tests share: a daemon in a directory of its own, and eyes on it.
//!
//! A test sees visord only from outside: its activity log, its files, /proc and signals. Nothing here links to the
//! library, so the same tests can be pointed at another daemon with `VISOR_BIN`.
//!
//! ```ignore
//! let daemon = Daemon::start("web", "[program:web]\ncommand=sleep 1000");
//! daemon.wait_for("spawned: 'web' with pid");
//! assert!(proc::alive(daemon.pid_of("web")));
//! daemon.stop();
//! ```

pub(crate) mod counter;
pub(crate) mod daemon;
pub(crate) mod need;
pub(crate) mod proc;
#[allow(dead_code, reason = "not every test binary has clients on terminals")]
pub(crate) mod pty;
pub(crate) mod recorder;
pub(crate) mod sandbox;
pub(crate) mod wait;

#[allow(unused_imports, reason = "not every test binary has a daemon in the foreground")]
pub(crate) use daemon::Daemon;
pub(crate) use sandbox::{Sandbox, Who};
