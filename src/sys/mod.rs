//! The system: every call that is not safe Rust, and everything that differs between platforms.
//!
//! `sys` knows no program names and no policy; it is told numbers, descriptors and paths. It is the only
//! module with `unsafe`, one operation a block, each with the reason why it is sound. Example:
//! `sys::process::fork()` is called by the keeper, which is single-threaded, and by nobody else.

pub mod ambient;
pub mod clock;
pub mod facts;
pub mod fd;
pub mod fdpass;
pub mod host;
pub mod hosts;
pub mod identity;
pub mod journal;
pub mod judge;
pub mod listen;
pub mod locald;
pub mod lock;
pub mod login;
pub mod marks;
pub mod memfile;
pub mod memory;
pub mod open;
pub mod peer;
pub mod pipe;
pub mod process;
pub mod runtime_dir;
pub mod scope;
pub mod shared_socket;
pub mod shm;
pub mod signals;
pub mod spawn;
pub mod state_dir;
pub mod statfs;
pub mod tcp;
pub mod terminal;
pub mod tree;
pub mod watch;

use std::sync::OnceLock;

/// Whether the portable back ends are used: always where the platform has no better, and on Linux when a
/// test asks for them with `VISOR_TEST_PORTABLE=1` (no subreaper, no memfd, no pidfd).
#[must_use]
pub fn portable() -> bool {
    static ASKED: OnceLock<bool> = OnceLock::new();
    *ASKED.get_or_init(|| {
        !cfg!(target_os = "linux") || std::env::var_os("VISOR_TEST_PORTABLE").is_some_and(|v| v == "1")
    })
}

/// Returns the symbolic name of an error number, `ENOENT`, for texts that supervisord's users know.
#[must_use]
pub fn errno_name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}

/// Returns an error's words without its number.
#[must_use]
pub fn error_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Returns the symbolic name of an error's number, or its words where it has none.
#[must_use]
pub fn error_name(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_name)
}
