//! Reaching the daemon: every place is tried, and only our own or root's daemon is talked to.
//!
//! Anybody may put a socket at a guessable path; the kernel says who listens. Example: `connect(&sockets)` gives
//! a connection, or an [`Unreachable`] that tells every path and why it failed.

use super::http::Connection;
use crate::model::Uid;
use crate::sys::{identity, peer};
use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The longest wait in seconds for a daemon whose queue of new connections is full.
pub const CONNECT_TIMEOUT_S: i64 = 5;

/// A place where no daemon was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The socket.
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
}

impl Unreachable {
    /// Whether nothing was found anywhere: a daemon may be started.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        self.attempts.iter().all(|attempt| attempt.absent)
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot reach visord")?;
        self.attempts
            .iter()
            .try_for_each(|attempt| write!(f, "\n  {}: {}", attempt.path.display(), attempt.why))
    }
}

impl std::error::Error for Unreachable {}

/// Connects to the first socket at which a daemon of ours, or of root, listens.
///
/// # Errors
/// What was wrong with each.
pub fn connect(sockets: &[PathBuf]) -> Result<Connection, Unreachable> {
    let own = Uid(identity::uid());
    connect_as(sockets, |uid| uid == own || uid == Uid(0))
}

fn connect_as(sockets: &[PathBuf], trusted: impl Fn(Uid) -> bool) -> Result<Connection, Unreachable> {
    let mut unreachable = Unreachable::default();
    for path in sockets {
        match attempt(path, &trusted) {
            Ok(stream) => return Ok(Connection::new(stream, path.clone())),
            Err((why, absent)) => unreachable.attempts.push(Attempt { path: path.clone(), why, absent }),
        }
    }
    Err(unreachable)
}

fn attempt(path: &Path, trusted: &impl Fn(Uid) -> bool) -> Result<UnixStream, (String, bool)> {
    let stream = open(path).map_err(words)?;
    let uid = peer::uid(&stream).map_err(|error| (error.to_string(), false))?;
    if !trusted(uid) {
        return Err((format!("user {uid} listens there, who is neither us nor root"), false));
    }
    Ok(stream)
}

fn open(path: &Path) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let socket = new_socket()?;
    socket::setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(CONNECT_TIMEOUT_S))?;
    socket::connect(socket.as_raw_fd(), &address)?;
    Ok(UnixStream::from(socket))
}

#[cfg(target_os = "linux")]
fn new_socket() -> io::Result<OwnedFd> {
    Ok(socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?)
}

#[cfg(not(target_os = "linux"))]
fn new_socket() -> io::Result<OwnedFd> {
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    let close_on_exec = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
    nix::fcntl::fcntl(&socket, close_on_exec)?;
    Ok(socket)
}

/// Returns what an error of connect(2) means, and whether there is just no daemon.
fn words(error: io::Error) -> (String, bool) {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENOTDIR) => ("no such socket".to_owned(), true),
        Some(Errno::ECONNREFUSED) => ("nobody listens there any more".to_owned(), true),
        Some(Errno::EACCES) => ("permission denied".to_owned(), false),
        Some(Errno::EAGAIN | Errno::ETIMEDOUT) => {
            (format!("it takes no connection within {CONNECT_TIMEOUT_S} s"), false)
        }
        Some(Errno::ENAMETOOLONG) => ("the path is too long for a socket".to_owned(), false),
        _ => (error.to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn every_path_is_told_with_its_reason() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let stale = dir.path().join("stale.sock");
        drop(UnixListener::bind(&stale)?);
        let (missing, long) = (dir.path().join("missing.sock"), dir.path().join("x".repeat(200)));
        std::fs::write(dir.path().join("file"), "")?;
        let below_file = dir.path().join("file/x.sock");
        let paths = [missing.clone(), stale.clone(), below_file, long.clone()];
        let unreachable = connect(&paths).err().unwrap_or_default();
        let reasons: Vec<_> = unreachable.attempts.iter().map(|attempt| attempt.why.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "no such socket",
                "nobody listens there any more",
                "no such socket",
                "the path is too long for a socket"
            ]
        );
        assert!(!unreachable.is_absence());
        let text = unreachable.to_string();
        assert!(text.contains(&format!("\n  {}: no such socket", missing.display())), "{text}");
        assert!(connect(&paths[..2]).is_err_and(|unreachable| unreachable.is_absence()));
        Ok(())
    }

    #[test]
    fn a_strangers_daemon_is_not_talked_to_and_the_next_place_is_used() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.sock");
        let _listener = UnixListener::bind(&path)?;
        let unreachable = connect_as(std::slice::from_ref(&path), |_| false).err().unwrap_or_default();
        assert!(unreachable.attempts[0].why.contains("neither us nor root"), "{unreachable}");
        assert!(connect(&[dir.path().join("no.sock"), path]).is_ok());
        Ok(())
    }
}
