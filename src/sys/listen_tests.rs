//! Control sockets in directories of the tests.

use super::*;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

const NAME: &str = "default.sock";
const SOON: Duration = Duration::from_secs(2);

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
    fd: OwnedFd,
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl SocketDir for Place {
    fn path(&self) -> &Path {
        &self.path
    }
}

/// A directory, with a path at least so long.
fn place(length: usize) -> Place {
    let dir = tempfile::tempdir().expect("a directory");
    let mut path = dir.path().to_path_buf();
    while path.as_os_str().len() < length {
        path.push("x".repeat(50.min(length - path.as_os_str().len())));
    }
    std::fs::create_dir_all(&path).expect("a directory");
    let fd =
        open(&path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).expect("open");
    Place { _dir: dir, path, fd }
}

fn talk(place: &Place, bound: &Listening) {
    let mut client = connect(place, NAME, SOON).expect("connect");
    let (mut server, _) = bound.listener.accept().expect("accept");
    client.write_all(b"x").expect("write");
    let mut byte = [0];
    server.read_exact(&mut byte).expect("read");
    assert_eq!(byte, *b"x");
    assert_eq!(peer_uid(&server).ok(), Some(crate::sys::identity::uid()));
    assert_eq!(peer_uid(&client).ok(), Some(crate::sys::identity::uid()));
}

#[test]
fn clients_of_our_own_get_through() {
    let place = place(0);
    let bound = bind(&place, NAME).expect("bind");
    talk(&place, &bound);
    let file = std::fs::symlink_metadata(place.path.join(NAME)).expect("metadata");
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let empty = bound.listener.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(empty, Err(io::ErrorKind::WouldBlock));
    let flags = nix::fcntl::fcntl(&bound.listener, nix::fcntl::FcntlArg::F_GETFD).expect("fcntl");
    assert_ne!(flags & nix::libc::FD_CLOEXEC, 0);
    assert_eq!(std::fs::read_dir(&place.path).expect("list").count(), 1, "nothing is left behind");
}

#[test]
fn whatever_is_in_the_place_is_replaced() {
    let place = place(0);
    let path = place.path.join(NAME);
    let plants: [&dyn Fn(); 5] = [
        &|| drop(std::os::unix::net::UnixListener::bind(&path).expect("a stale socket")),
        &|| std::fs::write(&path, "x").expect("a file"),
        &|| nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("a pipe"),
        &|| std::os::unix::fs::symlink("/etc/passwd", &path).expect("a link"),
        &|| std::fs::create_dir(&path).expect("an empty directory"),
    ];
    for plant in plants {
        plant();
        std::fs::write(place.path.join("default.sock.new"), "half made").expect("write");
        let bound = bind(&place, NAME).expect("bind");
        talk(&place, &bound);
        assert!(remove(&place, NAME, bound.id));
    }
    std::fs::create_dir_all(path.join("full")).expect("a directory");
    assert!(bind(&place, NAME).is_err());
    assert_eq!(std::fs::read_dir(&place.path).expect("list").count(), 1, "nothing is left behind");
}

#[test]
fn a_socket_is_replaced_without_a_moment_of_refusal() {
    let place = place(0);
    let first = bind(&place, NAME).expect("bind");
    let waiting = connect(&place, NAME, SOON).expect("connect");
    let second = bind(&place, NAME).expect("bind");
    assert!(first.id != second.id && is_at(&place, NAME, second.id));
    talk(&place, &second);
    assert!(first.listener.accept().is_ok(), "who waited at the old one is still there");
    drop(waiting);
    assert!(!remove(&place, NAME, first.id), "the new one is not ours to remove");
    assert!(place.path.join(NAME).exists());
    assert!(remove(&place, NAME, second.id) && !remove(&place, NAME, second.id));
}

#[test]
#[cfg(target_os = "linux")]
fn a_path_that_is_too_long_for_an_address_does() {
    for length in [80, 95, 96, 97, 98, 99, 100, 200, 1000] {
        let place = place(length);
        let bound = bind(&place, NAME).unwrap_or_else(|error| panic!("{length}: {error}"));
        talk(&place, &bound);
        assert!(place.path.join(NAME).exists());
        assert!(remove(&place, NAME, bound.id));
    }
}

#[test]
fn a_directory_that_was_moved_away_is_noticed() {
    let place = place(0);
    let moved = place.path.with_extension("moved");
    std::fs::rename(&place.path, &moved).expect("rename");
    std::fs::create_dir(&place.path).expect("another one");
    assert!(bind(&place, NAME).is_err());
    std::fs::remove_dir_all(&moved).expect("remove");
}

#[test]
fn nobody_waits_for_ever_to_connect() {
    let place = place(0);
    let bound = bind(&place, NAME).expect("bind");
    let mut waiting = Vec::new();
    let full = loop {
        match connect(&place, NAME, Duration::from_millis(50)) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
        assert!(waiting.len() <= BACKLOG as usize + 1, "the backlog has no end");
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    drop(bound);
    assert!(connect(&place, NAME, SOON).is_err());
    assert!(connect_path(&place.path.join(NAME), SOON).is_err());
}

#[test]
fn a_socket_at_a_path_has_the_mode_that_was_asked_for_and_replaces_a_stale_one_only() -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("supervisor.sock");
    for mode in [0o700, 0o777, 0o660] {
        let bound = bind_file(&path, mode, None)?;
        assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, mode);
        assert_eq!(id_at(&path), Some(bound.id));
        let other = bind_file(&path, mode, None).map(|_| ()).map_err(|error| error.raw_os_error());
        assert_eq!(other, Err(Some(libc::EADDRINUSE)), "somebody listens there");
    }
    let bound = bind_file(&path, 0o700, Some((nix::unistd::getuid().as_raw(), None)))?;
    assert!(remove_file(&path, bound.id) && !remove_file(&path, bound.id));
    std::fs::write(&path, "precious")?;
    let other = bind_file(&path, 0o700, None).map(|_| ()).map_err(|error| error.raw_os_error());
    assert_eq!(other, Err(Some(libc::EEXIST)));
    assert_eq!(std::fs::read_dir(directory.path())?.count(), 1, "nothing half made is left");
    Ok(())
}
