//! Control sockets: bound in a directory of ours without a moment in which anybody else could connect.
//!
//! A socket is bound and listening under a name of its own before it is renamed to the one that clients know, so
//! that it replaces a stale one at once and nobody meets it half made. Only the holder of the directory's lock may
//! bind. Never an abstract socket, which has no permissions. Example: `bind(&dir, "default.sock")?.listener`.

use super::runtime_dir::FileId;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, renameat};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_socket, connect as connect_socket,
    listen, setsockopt, socket, sockopt,
};
use nix::sys::stat::{FileStat, SFlag, fstatat};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Connections that wait to be accepted: more than a crowd of clients at a cold start, and what waits while the
/// reactor is replaced. The system may allow fewer (`net.core.somaxconn`).
pub const BACKLOG: i32 = 512;

/// How long a socket that is in the way is asked whether somebody listens.
const PROBE_TIME: Duration = Duration::from_millis(200);

/// A directory that sockets are in: its path for short names, its descriptor for long ones.
pub trait SocketDir: AsFd {
    /// Returns the path by which it was opened.
    fn path(&self) -> &Path;
}

impl SocketDir for super::runtime_dir::RuntimeDir {
    fn path(&self) -> &Path {
        &self.path
    }
}

/// A bound socket that listens, close-on-exec and non-blocking.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub listener: UnixListener,
    /// Which file it is.
    pub id: FileId,
}

/// Binds `name` in a directory, in the place of whatever is there but a directory with something in it.
///
/// # Errors
/// As socket(2), bind(2) and rename(2); `ENAMETOOLONG` where the platform cannot shorten the path.
pub fn bind(dir: &impl SocketDir, name: &str) -> io::Result<Listening> {
    bind_as(dir, name, &format!("{name}.new"), |_| Ok(()))
}

/// Binds `name` in a directory that others may enter, as a socket that everybody may connect to. One that another
/// daemon listens at stays.
///
/// # Errors
/// As [`bind`]; `EADDRINUSE` when somebody listens there.
pub fn bind_public(dir: &impl SocketDir, name: &str) -> io::Result<Listening> {
    if connect(dir, name, PROBE_TIME).is_ok() {
        return Err(Errno::EADDRINUSE.into());
    }
    bind_as(dir, name, &format!("{name}.{}", std::process::id()), |new| {
        let mode = nix::sys::stat::Mode::from_bits_truncate(PUBLIC_MODE);
        nix::sys::stat::fchmodat(dir, new, mode, nix::sys::stat::FchmodatFlags::NoFollowSymlink)
    })
}

/// The mode of a socket that everybody may connect to: who asks is judged by the daemon.
const PUBLIC_MODE: libc::mode_t = 0o666;

/// Returns which socket has this name in a directory.
#[must_use]
pub fn id_of(dir: &impl AsFd, name: &str) -> Option<FileId> {
    stat(dir, name).ok().filter(is_socket).map(|found| FileId::of(&found))
}

/// A directory by its path, which may be anybody's.
struct PlainDir {
    path: PathBuf,
    fd: OwnedFd,
}

impl AsFd for PlainDir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl SocketDir for PlainDir {
    fn path(&self) -> &Path {
        &self.path
    }
}

fn open_dir(path: &Path) -> io::Result<(PlainDir, String)> {
    let invalid = || io::Error::from(Errno::EINVAL);
    let name = path.file_name().and_then(std::ffi::OsStr::to_str).ok_or_else(invalid)?.to_owned();
    let parent = path.parent().ok_or_else(invalid)?.to_owned();
    let fd = OwnedFd::from(std::fs::File::open(&parent)?);
    Ok((PlainDir { path: parent, fd }, name))
}

/// Whom a socket's file is given to: a user, and a group where it is not left as it is.
pub type Owner = (u32, Option<u32>);

/// Binds a socket at a path that a configuration names, with the mode and the owner that it says. Nobody can connect
/// before both are as they should be. A socket that nobody listens at is replaced; another file is not.
///
/// # Errors
/// As socket(2), bind(2), chmod(2), chown(2) and rename(2); `EADDRINUSE` when a program listens there, `EEXIST` when
/// something else is there.
pub fn bind_file(path: &Path, mode: u32, owner: Option<Owner>) -> io::Result<Listening> {
    let (dir, name) = open_dir(path)?;
    match stat(&dir, &name) {
        Ok(found) if !is_socket(&found) => return Err(Errno::EEXIST.into()),
        Ok(_) if connect(&dir, &name, PROBE_TIME).is_ok() => return Err(Errno::EADDRINUSE.into()),
        _ => {}
    }
    bind_as(&dir, &name, &format!("{name}.{}", std::process::id()), |new| {
        let mode = nix::sys::stat::Mode::from_bits_truncate(mode as libc::mode_t);
        nix::sys::stat::fchmodat(&dir, new, mode, nix::sys::stat::FchmodatFlags::NoFollowSymlink)?;
        if let Some((uid, gid)) = owner {
            let (uid, gid) = (nix::unistd::Uid::from_raw(uid), gid.map(nix::unistd::Gid::from_raw));
            nix::unistd::fchownat(&dir, new, Some(uid), gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    })
}

/// Returns which socket is at a path by now.
#[must_use]
pub fn id_at(path: &Path) -> Option<FileId> {
    let (dir, name) = open_dir(path).ok()?;
    stat(&dir, &name).ok().filter(is_socket).map(|found| FileId::of(&found))
}

/// Removes the socket at a path if it is this one.
pub fn remove_file(path: &Path, id: FileId) -> bool {
    open_dir(path).is_ok_and(|(dir, name)| remove(&dir, &name, id))
}

/// Binds under the name `new`, has it prepared, and renames it to `name`.
fn bind_as(
    dir: &impl SocketDir,
    name: &str,
    new: &str,
    prepare: impl FnOnce(&str) -> Result<(), Errno>,
) -> io::Result<Listening> {
    remove_any(dir, new)?;
    let socket = platform::open_socket()?;
    super::fd::set_nonblocking(&socket, true)?;
    let address = Address::of(dir, new)?;
    bind_private(&socket, &address.unix)?;
    let found = match stat(dir, new) {
        Ok(found) if is_socket(&found) => found,
        // The path leads elsewhere by now: somebody moved the directory.
        _ => return Err(Errno::ENOENT.into()),
    };
    let id = FileId::of(&found);
    let begin = || -> io::Result<()> {
        listen(&socket, Backlog::new(BACKLOG)?)?;
        prepare(new)?;
        clear_the_way(dir, name)?;
        Ok(renameat(dir, new, dir, name)?)
    };
    if let Err(error) = begin() {
        remove(dir, new, id);
        return Err(error);
    }
    Ok(Listening { listener: socket.into(), id })
}

/// Whether the name leads to this socket.
#[must_use]
pub fn is_at(dir: &impl AsFd, name: &str, id: FileId) -> bool {
    stat(dir, name).is_ok_and(|found| FileId::of(&found) == id)
}

/// Removes the name if it leads to this socket; one that another daemon bound meanwhile stays.
pub fn remove(dir: &impl AsFd, name: &str, id: FileId) -> bool {
    is_at(dir, name, id) && unlinkat(dir, name, UnlinkatFlags::NoRemoveDir).is_ok()
}

/// Connects to a socket; the stream blocks. Whom it leads to is for the caller to ask ([`peer_uid`]).
///
/// # Errors
/// As connect(2); `EAGAIN` when the daemon has not accepted within `patience`.
pub fn connect(dir: &impl SocketDir, name: &str, patience: Duration) -> io::Result<UnixStream> {
    let address = Address::of(dir, name)?;
    connect_to(&address.unix, patience)
}

/// As [`connect`], for a socket that is known by its path only.
///
/// # Errors
/// As connect(2); `ENAMETOOLONG` for a long path.
pub fn connect_path(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    connect_to(&UnixAddr::new(path)?, patience)
}

/// Takes the next connection of a socket that listens, close-on-exec and non-blocking.
///
/// # Errors
/// As accept(2).
pub fn accept(listener: &impl AsFd) -> io::Result<OwnedFd> {
    platform::accept(listener)
}

/// Returns the user id of the process at the other end: of a connection, whoever connected or listens.
///
/// # Errors
/// As getsockopt(2).
pub fn peer_uid(stream: &impl AsFd) -> io::Result<u32> {
    platform::peer_uid(stream)
}

fn connect_to(address: &UnixAddr, patience: Duration) -> io::Result<UnixStream> {
    let socket = platform::open_socket()?;
    let limit = |patience: Duration| {
        let ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        setsockopt(&socket, sockopt::SendTimeout, &TimeVal::milliseconds(ms))
    };
    // The time to send is also the time to connect (unix(7) does not say so; the kernel does so).
    limit(patience.max(Duration::from_millis(1)))?;
    loop {
        match connect_socket(std::os::fd::AsRawFd::as_raw_fd(&socket), address) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    }
    limit(Duration::ZERO)?;
    Ok(socket.into())
}

/// The address of a socket, and what has to live as long as it is used.
struct Address {
    unix: UnixAddr,
}

impl Address {
    /// The path where it fits; a long one goes by way of the directory's descriptor.
    fn of(dir: &impl SocketDir, name: &str) -> io::Result<Address> {
        let path = dir.path().join(name);
        let unix = match UnixAddr::new(&path) {
            Err(Errno::ENAMETOOLONG) => UnixAddr::new(&platform::short_path(dir, name)?)?,
            other => other?,
        };
        Ok(Address { unix })
    }
}

/// Binds so that only the owner may connect from the first moment on.
fn bind_private(socket: &OwnedFd, address: &UnixAddr) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let mode = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
    // On Linux the file gets the mode that the socket has. Where that cannot be set the creation mask must do,
    // which is the whole process's.
    if cfg!(target_os = "linux") && nix::sys::stat::fchmod(socket, mode).is_ok() {
        return Ok(bind_socket(socket.as_raw_fd(), address)?);
    }
    let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let result = bind_socket(socket.as_raw_fd(), address);
    nix::sys::stat::umask(old);
    Ok(result?)
}

/// A rename replaces anything but a directory; an empty one can be removed.
fn clear_the_way(dir: &impl AsFd, name: &str) -> Result<(), Errno> {
    match stat(dir, name) {
        Ok(found) if is_kind(&found, SFlag::S_IFDIR) => unlinkat(dir, name, UnlinkatFlags::RemoveDir),
        _ => Ok(()),
    }
}

/// Removes what an earlier daemon left half made.
fn remove_any(dir: &impl AsFd, name: &str) -> Result<(), Errno> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EISDIR | Errno::EPERM) => unlinkat(dir, name, UnlinkatFlags::RemoveDir),
        other => other,
    }
}

fn stat(dir: &impl AsFd, name: &str) -> Result<FileStat, Errno> {
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

fn is_socket(found: &FileStat) -> bool {
    is_kind(found, SFlag::S_IFSOCK)
}

fn is_kind(found: &FileStat, kind: SFlag) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

#[cfg(target_os = "linux")]
mod platform {
    use super::{AddressFamily, AsFd, OwnedFd, PathBuf, SockFlag, SockType, SocketDir, io, socket};
    use std::os::fd::{AsRawFd, FromRawFd};

    pub(super) fn accept(listener: &impl AsFd) -> io::Result<OwnedFd> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = nix::sys::socket::accept4(listener.as_fd().as_raw_fd(), flags)?;
        // SAFETY: accept4 has just made it, and nobody else knows of it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub(super) fn open_socket() -> io::Result<OwnedFd> {
        Ok(socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?)
    }

    /// Returns a path of a few bytes that leads into the directory.
    pub(super) fn short_path(dir: &impl SocketDir, name: &str) -> io::Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_fd().as_raw_fd())))
    }

    pub(super) fn peer_uid(stream: &impl AsFd) -> io::Result<u32> {
        Ok(nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials)?.uid())
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::{AddressFamily, AsFd, Errno, OwnedFd, PathBuf, SockFlag, SockType, SocketDir, io, socket};
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use std::os::fd::{AsRawFd, FromRawFd};

    pub(super) fn accept(listener: &impl AsFd) -> io::Result<OwnedFd> {
        let fd = nix::sys::socket::accept(listener.as_fd().as_raw_fd())?;
        // SAFETY: accept has just made it, and nobody else knows of it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        super::super::fd::set_nonblocking(&fd, true)?;
        Ok(fd)
    }

    pub(super) fn open_socket() -> io::Result<OwnedFd> {
        let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
        // Two steps: the reactor never forks, and its threads do not either.
        fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        Ok(socket)
    }

    /// There is no way around a long path here: another directory is used.
    pub(super) fn short_path(_dir: &impl SocketDir, _name: &str) -> io::Result<PathBuf> {
        Err(Errno::ENAMETOOLONG.into())
    }

    pub(super) fn peer_uid(stream: &impl AsFd) -> io::Result<u32> {
        Ok(nix::unistd::getpeereid(stream)?.0.as_raw())
    }
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
