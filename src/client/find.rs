//! Reaching the daemon: every place is tried, and only our own or root's daemon is talked to.
//!
//! Anybody may put a socket at a guessable path; the directory must be ours alone, and the kernel says who listens.
//! Where no socket answers, the process table is asked: a session with a `/tmp` of its own sees no sockets of another.
//! Example: `Places::own().connect()` gives a connection, or an [`Unreachable`] that tells every path and why it failed.

use super::http::Connection;
use crate::model::Instance;
use crate::sys::ambient::{Ambient, Candidate};
use crate::sys::runtime_dir::{self, Missing};
use crate::sys::{listen, locald, state_dir};
use nix::errno::Errno;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest wait for a daemon whose queue of new connections is full.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the socket for others is called in its directory.
pub const SHARE_NAME: &str = "control.sock";

/// A place where no daemon was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The socket, or the directory that it would be in.
    pub path: PathBuf,
    /// Why not.
    pub why: String,
    /// Whether there is just nothing.
    pub absent: bool,
}

/// No place led to a daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreachable {
    /// Every place that was tried.
    pub attempts: Vec<Attempt>,
    /// A daemon that runs all the same.
    pub pid: Option<i32>,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "cannot reach visord, which runs with pid {pid}")?,
            None => f.write_str("cannot reach visord")?,
        }
        self.attempts
            .iter()
            .try_for_each(|attempt| write!(f, "\n  {}: {}", attempt.path.display(), attempt.why))
    }
}

impl std::error::Error for Unreachable {}

/// Where a daemon may be.
#[derive(Clone, Debug)]
pub enum Places {
    /// At every place where one of this instance binds its socket.
    Known(Instance, Box<Ambient>),
    /// At this socket and nowhere else.
    Socket(PathBuf),
    /// At the socket that a user's daemon has for others: whose it is, and where.
    Share(u32, PathBuf),
}

impl Places {
    /// Returns the places of the user's own daemon.
    #[must_use]
    pub fn own() -> Places {
        Places::Known(Instance::Default, Box::new(Ambient::real()))
    }

    /// Returns the places of the daemon that runs this configuration.
    ///
    /// # Errors
    /// As realpath(3): the file must be there.
    pub fn of_file(file: &Path) -> io::Result<Places> {
        Ok(Places::Known(Instance::classic(&file.canonicalize()?), Box::new(Ambient::real())))
    }

    /// Returns the place at which this user's daemon answers others.
    #[must_use]
    pub fn of_user(uid: u32) -> Places {
        Places::Share(uid, Ambient::real().share_of(uid).join(SHARE_NAME))
    }

    /// Connects to the daemon, wherever it is.
    ///
    /// # Errors
    /// What was wrong with each place.
    pub fn connect(&self) -> Result<Connection, Unreachable> {
        let mut unreachable = match self.connect_to_bound() {
            Ok(connection) => return Ok(connection),
            Err(unreachable) => unreachable,
        };
        let Places::Known(_, ambient) = self else { return Err(unreachable) };
        for found in self.running() {
            unreachable.pid = Some(found.pid.0);
            for socket in found.sockets {
                match attempt(&socket, listen::connect_path(&socket, CONNECT_TIMEOUT), ambient.uid) {
                    Ok(connection) => return Ok(connection),
                    Err(attempt) => unreachable.attempts.push(attempt),
                }
            }
        }
        Err(unreachable)
    }

    /// Whether the daemon whose keeper has this pid, as it sees itself, is in the process table. It is not known of
    /// one that is named by its socket.
    #[must_use]
    pub fn has_process(&self, pid: i32) -> bool {
        self.running().iter().any(|found| found.note.pid == pid)
    }

    /// Looks for the daemon among the processes.
    fn running(&self) -> Vec<locald::Found> {
        let Places::Known(instance, ambient) = self else { return Vec::new() };
        let config = config_of(*instance, ambient);
        let mut running = locald::find(&instance.lock_name(), ambient.uid);
        running.retain(|found| config.as_ref().is_none_or(|config| found.note.config == *config));
        running
    }

    /// Connects to the daemon where it binds its sockets, without a look at the process table: for one that was just
    /// started.
    ///
    /// # Errors
    /// What was wrong with each place.
    pub fn connect_to_bound(&self) -> Result<Connection, Unreachable> {
        let (instance, ambient) = match self {
            Places::Known(instance, ambient) => (instance, ambient),
            Places::Socket(path) => return connect_at(path, crate::sys::identity::uid()),
            Places::Share(uid, path) => return connect_at(path, *uid),
        };
        let mut unreachable = Unreachable::default();
        let private = || {
            let state = state_dir::open(ambient, Missing::Leave).ok()?;
            state_dir::private_candidate(&state, ambient)
        };
        // The state directory is looked into only when the usual places have failed.
        let more = std::iter::once_with(private).flatten();
        for candidate in ambient.runtime_candidates().into_iter().chain(more) {
            match reach(&candidate, *instance, ambient) {
                Ok(connection) => return Ok(connection),
                Err(attempt) if unreachable.attempts.contains(&attempt) => {}
                Err(attempt) => unreachable.attempts.push(attempt),
            }
        }
        Err(unreachable)
    }
}

/// Connects to the daemon of a user, or of root, at a certain socket.
fn connect_at(path: &Path, uid: u32) -> Result<Connection, Unreachable> {
    let reached = attempt(path, listen::connect_path(path, CONNECT_TIMEOUT), uid);
    reached.map_err(|attempt| Unreachable { attempts: vec![attempt], pid: None })
}

/// Returns the directory of the configuration that the daemon must have: a user with two (`XDG_CONFIG_HOME`) has two
/// daemons of one name. In classic mode the name says which file it is.
fn config_of(instance: Instance, ambient: &Ambient) -> Option<PathBuf> {
    let root = ambient.config_root().filter(|_| instance == Instance::Default)?;
    Some(root.canonicalize().unwrap_or(root))
}

fn reach(candidate: &Candidate, instance: Instance, ambient: &Ambient) -> Result<Connection, Attempt> {
    let dir = runtime_dir::open(candidate, ambient, Missing::Leave).map_err(|refused| Attempt {
        path: refused.path,
        why: refused.why,
        absent: refused.absent,
    })?;
    let name = instance.socket_name();
    // Two daemons of one user use the same places: the lock beside a socket says whose it is.
    if let Some(config) = config_of(instance, ambient)
        && let Some(note) = locald::note_in(&dir, &instance.lock_name())
        && !note.config.as_os_str().is_empty()
        && note.config != config
    {
        let why = format!("it is the daemon of {}, not of {}", note.config.display(), config.display());
        return Err(Attempt { path: dir.path.join(&name), why, absent: true });
    }
    attempt(&dir.path.join(&name), listen::connect(&dir, &name, CONNECT_TIMEOUT), ambient.uid)
}

/// Makes a connection of a stream that leads to whom we look for, or to root.
fn attempt(path: &Path, stream: io::Result<UnixStream>, wanted: u32) -> Result<Connection, Attempt> {
    let failed = |(why, absent): (String, bool)| Attempt { path: path.to_path_buf(), why, absent };
    let stream = stream.map_err(|error| failed(words(&error)))?;
    let uid = listen::peer_uid(&stream).map_err(|error| failed((error.to_string(), false)))?;
    if uid != wanted && uid != 0 {
        let meant =
            if wanted == crate::sys::identity::uid() { "us".to_owned() } else { format!("user {wanted}") };
        return Err(failed((format!("user {uid} listens there, who is neither {meant} nor root"), false)));
    }
    Ok(Connection::new(stream, path.to_path_buf()))
}

/// Returns what an error of connect(2) means, and whether there is just no daemon.
fn words(error: &io::Error) -> (String, bool) {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENOTDIR) => ("no such socket".to_owned(), true),
        Some(Errno::ECONNREFUSED) => ("nobody listens there any more".to_owned(), true),
        Some(Errno::EACCES) => ("permission denied".to_owned(), false),
        Some(Errno::EAGAIN | Errno::ETIMEDOUT) => {
            (format!("it takes no connection within {} s", CONNECT_TIMEOUT.as_secs()), false)
        }
        Some(Errno::ENAMETOOLONG) => ("the path is too long for a socket".to_owned(), false),
        _ => (error.to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::LockNote;
    use crate::sys::identity;
    use crate::sys::lock::{self, TryLock};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    /// A machine below a directory, on which `$VISOR_RUNTIME_DIR` is `run`.
    fn machine(root: &Path) -> io::Result<(Places, PathBuf)> {
        let run = root.join("run");
        fs::create_dir(&run)?;
        fs::set_permissions(&run, Permissions::from_mode(0o700))?;
        fs::create_dir(root.join("tmp"))?;
        let variables = vec![("VISOR_RUNTIME_DIR".into(), run.clone().into_os_string())];
        let ambient =
            Ambient { uid: identity::uid(), variables, root: root.to_path_buf(), ..Ambient::default() };
        Ok((Places::Known(Instance::Classic(7), Box::new(ambient)), run.join("0000000000000007.sock")))
    }

    fn reasons(unreachable: &Unreachable) -> Vec<&str> {
        unreachable.attempts.iter().map(|attempt| attempt.why.as_str()).collect()
    }

    #[test]
    fn every_place_is_told_with_its_reason() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (places, socket) = machine(dir.path())?;
        let squatted = dir.path().join(format!("tmp/visor-{}", identity::uid()));
        std::os::unix::fs::symlink("/", &squatted)?;
        let unreachable = places.connect().err().unwrap_or_default();
        let whys = reasons(&unreachable);
        assert_eq!(
            (whys[0], whys.last().copied()),
            ("no such socket", Some("it is a symbolic link, which may lead anywhere"))
        );
        let text = unreachable.to_string();
        assert!(text.contains(&format!("\n  {}: no such socket", socket.display())), "{text}");
        drop(UnixListener::bind(&socket)?);
        assert_eq!(reasons(&places.connect().err().unwrap_or_default())[0], "nobody listens there any more");
        let _listener = UnixListener::bind(socket.with_file_name("x.sock"))?;
        fs::rename(socket.with_file_name("x.sock"), &socket)?;
        assert_eq!(places.connect().map(|connection| connection.path().to_path_buf()), Ok(socket));
        Ok(())
    }

    #[test]
    fn the_daemon_of_another_configuration_is_not_ours() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (Places::Known(_, mut ambient), socket) = machine(dir.path())? else { return Ok(()) };
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        fs::create_dir_all(own.join("visor"))?;
        ambient.variables.push(("XDG_CONFIG_HOME".into(), own.clone().into_os_string()));
        let run = socket.parent().unwrap_or(dir.path());
        let _listener = UnixListener::bind(run.join("default.sock"))?;
        let TryLock::Held(mut held) = lock::try_lock(&fs::File::open(run)?, "default.lock")? else {
            panic!("nobody else is here");
        };
        let places = Places::Known(Instance::Default, ambient);
        for (config, is_ours) in [(other.join("visor"), false), (own.join("visor").canonicalize()?, true)] {
            let note = LockNote { config, ..LockNote::default() };
            held.write(&note.to_text())?;
            match places.connect_to_bound() {
                Ok(_) => assert!(is_ours),
                Err(unreachable) => {
                    assert!(
                        !is_ours && reasons(&unreachable)[0].starts_with("it is the daemon of"),
                        "{unreachable}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_socket_that_is_named_is_the_only_place() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.sock");
        let places = Places::Socket(path.clone());
        assert_eq!(reasons(&places.connect().err().unwrap_or_default()), ["no such socket"]);
        let _listener = UnixListener::bind(&path)?;
        assert!(places.connect().is_ok());
        let long = Places::Socket(dir.path().join("x".repeat(200)));
        assert_eq!(reasons(&long.connect().err().unwrap_or_default()), ["the path is too long for a socket"]);
        Ok(())
    }

    #[test]
    fn a_strangers_daemon_is_not_talked_to() -> io::Result<()> {
        let (near, _far) = UnixStream::pair()?;
        // Seen by somebody else, it is we who are the stranger; root is trusted by all.
        let stranger = identity::uid().wrapping_add(1);
        let reached = attempt(Path::new("/s"), Ok(near), stranger);
        assert_eq!(reached.is_ok(), identity::is_root());
        Ok(())
    }
}
