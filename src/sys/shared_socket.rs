//! Listening sockets that programs share as descriptor 0: bound here, accepted from by the programs.
//!
//! The file of a unix socket belongs to whom it is to belong before anybody can connect: connections are refused up to
//! listen(2), which comes last. Must not know who shares it. Example: `open(&spec)?` is a descriptor for the keeper
//! to hold.

use crate::model::spec::FcgiSocketSpec;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Why a socket could not be opened; its `Display` says what failed on what, and why.
#[derive(Debug)]
pub struct Failure {
    /// What was tried.
    what: String,
    /// The system's answer.
    pub error: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.raw_os_error() {
            Some(errno) => write!(f, "cannot {}: {}", self.what, Errno::from_raw(errno).desc()),
            None => write!(f, "cannot {}: {}", self.what, self.error),
        }
    }
}

fn trying<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Failure {
    |error| Failure { what: what.into(), error: error.into() }
}

/// Opens the socket. May wait for a file system or a name server.
///
/// # Errors
/// As socket(2), bind(2), chown(2), chmod(2) and listen(2); `EEXIST` where something that is no socket is in the way.
pub fn open(spec: &FcgiSocketSpec) -> Result<OwnedFd, Failure> {
    let opened = match spec.url.strip_prefix("unix://") {
        Some(path) => bind_file(Path::new(path), spec)?,
        None => bind_port(&spec.url)?,
    };
    let backlog = spec.backlog.map_or(libc::SOMAXCONN, |backlog| i32::try_from(backlog).unwrap_or(i32::MAX));
    let backlog = Backlog::new(backlog.min(libc::SOMAXCONN)).map_err(trying("listen"))?;
    listen(&opened, backlog).map_err(trying("listen"))?;
    Ok(opened)
}

fn bind_file(path: &Path, spec: &FcgiSocketSpec) -> Result<OwnedFd, Failure> {
    let shown = path.display();
    let address = UnixAddr::new(path).map_err(trying(format!("use the path {shown}")))?;
    clear_the_way(path).map_err(trying(format!("remove what is at {shown}")))?;
    let opened = platform::open_socket().map_err(trying("make a socket"))?;
    bind(opened.as_raw_fd(), &address).map_err(trying(format!("bind {shown}")))?;
    let (place, flags) = platform::by_inode(path).map_err(trying(format!("find {shown} again")))?;
    let place = place.path();
    if let Some((uid, gid)) = spec.owner {
        let (uid, gid) = (Uid::from_raw(uid), gid.map(Gid::from_raw));
        let change = "change the owner of";
        fchownat(nix::fcntl::AT_FDCWD, place, Some(uid), gid, flags.0)
            .map_err(trying(format!("{change} {shown}")))?;
    }
    if let Some(mode) = spec.mode {
        let mode = Mode::from_bits_truncate(mode as libc::mode_t);
        let change = "change the permissions of";
        fchmodat(nix::fcntl::AT_FDCWD, place, mode, flags.1).map_err(trying(format!("{change} {shown}")))?;
    }
    Ok(opened)
}

/// Removes the socket of an earlier daemon. What is no socket was not made by one, and is not ours to remove.
fn clear_the_way(path: &Path) -> Result<(), Errno> {
    match fstatat(nix::fcntl::AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFSOCK.bits() => Err(Errno::EEXIST),
        Ok(_) => unlinkat(nix::fcntl::AT_FDCWD, path, UnlinkatFlags::NoRemoveDir),
    }
}

fn bind_port(url: &str) -> Result<OwnedFd, Failure> {
    let place = url.strip_prefix("tcp://").unwrap_or(url);
    let found = place.to_socket_addrs().map_err(trying(format!("find the address of {place}")))?;
    // supervisord knows IPv4 only, and `localhost` is to mean what it means there.
    let address = found.into_iter().find(SocketAddr::is_ipv4);
    let none = || trying(format!("find an IPv4 address of {place}"))(Errno::EADDRNOTAVAIL);
    // It listens already, with a backlog of the library's own choice; listen(2) again changes that.
    let listener = TcpListener::bind(address.ok_or_else(none)?).map_err(trying(format!("bind {place}")))?;
    Ok(listener.into())
}

#[cfg(target_os = "linux")]
mod platform {
    use super::*;
    use nix::fcntl::OFlag;

    /// A file that was found once and cannot be swapped for another.
    pub(super) struct Found {
        way: PathBuf,
        _file: OwnedFd,
    }

    impl Found {
        pub(super) fn path(&self) -> &Path {
            &self.way
        }
    }

    pub(super) fn open_socket() -> Result<OwnedFd, Errno> {
        socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
    }

    /// Returns a way to the file that stays the same whatever becomes of its name: whoever may write to the directory
    /// could put a link to somebody else's file there.
    pub(super) fn by_inode(path: &Path) -> Result<(Found, (AtFlags, FchmodatFlags)), Errno> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = nix::fcntl::open(path, flags, Mode::empty())?;
        if nix::sys::stat::fstat(&opened)?.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFSOCK.bits() {
            return Err(Errno::EEXIST);
        }
        let way = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
        Ok((Found { way, _file: opened }, (AtFlags::empty(), FchmodatFlags::FollowSymlink)))
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::*;
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    pub(super) struct Found(PathBuf);

    impl Found {
        pub(super) fn path(&self) -> &Path {
            &self.0
        }
    }

    pub(super) fn open_socket() -> Result<OwnedFd, Errno> {
        let opened = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
        fcntl(&opened, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        Ok(opened)
    }

    /// Here the calls themselves can be told not to follow a link.
    pub(super) fn by_inode(path: &Path) -> Result<(Found, (AtFlags, FchmodatFlags)), Errno> {
        Ok((Found(path.to_owned()), (AtFlags::AT_SYMLINK_NOFOLLOW, FchmodatFlags::NoFollowSymlink)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};

    fn unix(path: &Path) -> FcgiSocketSpec {
        let url = format!("unix://{}", path.display());
        FcgiSocketSpec { url, backlog: None, owner: None, mode: Some(0o700) }
    }

    fn tcp(place: &str) -> FcgiSocketSpec {
        FcgiSocketSpec { url: format!("tcp://{place}"), backlog: Some(5), owner: None, mode: None }
    }

    fn talk(mut one: impl Write, mut other: impl Read) {
        one.write_all(b"x").expect("written");
        let mut got = [0];
        other.read_exact(&mut got).expect("read");
        assert_eq!(&got, b"x");
    }

    #[test]
    fn a_socket_file_has_its_mode_and_takes_the_place_of_a_stale_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let spec = FcgiSocketSpec { mode: Some(0o666), ..unix(&path) };
        drop(open(&spec).expect("opened"));
        assert!(path.exists(), "the file stays, as with supervisord");
        let listener = UnixListener::from(open(&spec).expect("opened again"));
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o7777, 0o666);
        let client = UnixStream::connect(&path).expect("connected");
        talk(client, listener.accept().expect("accepted").0);
    }

    #[test]
    fn the_owner_of_a_socket_file_is_the_one_asked_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let own = (nix::unistd::geteuid().as_raw(), Some(nix::unistd::getegid().as_raw()));
        open(&FcgiSocketSpec { owner: Some(own), ..unix(&path) }).expect("opened");
        let found = path.metadata().expect("there");
        assert_eq!((found.uid(), Some(found.gid())), own);
        if !nix::unistd::geteuid().is_root() {
            let refused = open(&FcgiSocketSpec { owner: Some((0, None)), ..unix(&path) }).map(drop);
            let why = refused.expect_err("only root gives files away").to_string();
            assert!(why.starts_with("cannot change the owner of /"), "{why}");
        }
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        std::fs::write(&path, "mine").expect("written");
        let why = open(&unix(&path)).map(drop).expect_err("refused").to_string();
        assert_eq!(why, format!("cannot remove what is at {}: File exists", path.display()));
        assert_eq!(std::fs::read(&path).expect("there"), b"mine");
        let why = open(&unix(&dir.path().join("no/dir"))).map(drop).expect_err("refused").to_string();
        assert!(why.ends_with("No such file or directory"), "{why}");
        let long = dir.path().join("x".repeat(120));
        assert!(open(&unix(&long)).is_err(), "a path that no address can hold");
    }

    #[test]
    fn a_port_is_listened_on_and_one_that_is_taken_is_told() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let place = taken.local_addr().expect("bound").to_string();
        let why = open(&tcp(&place)).map(drop).expect_err("taken").to_string();
        assert_eq!(why, format!("cannot bind {place}: Address already in use"));
        drop(taken);
        let listener = TcpListener::from(open(&tcp(&place)).expect("opened"));
        let client = TcpStream::connect(&place).expect("connected");
        talk(client, listener.accept().expect("accepted").0);
        assert!(open(&tcp("no.such.host.invalid:1")).is_err());
    }
}
