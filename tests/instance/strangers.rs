//! Other users of the machine: what they can do to a daemon's directories, and what they cannot.

use super::machine::Machine;
use super::need;
use super::peer::{Peer, Setup};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

const OWNER: u32 = 61_992;
const STRANGER: u32 = 61_991;

fn stranger(machine: &Machine) -> Setup {
    Setup { uid: Some(STRANGER), ..Setup::of(machine) }
}

#[test]
fn another_user_cannot_connect_even_to_a_socket_that_is_open_to_all() {
    if !need::root() {
        return;
    }
    let machine = Machine::of(OWNER);
    let mut peer = Peer::claim(&machine, &Setup::of(&machine));
    let sockets = peer.sockets();
    for socket in &sockets {
        assert_eq!(fs::metadata(socket).expect("a socket").uid(), OWNER);
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).expect("chmod");
        assert_eq!(Peer::knock(&machine, &stranger(&machine), socket), "PermissionDenied");
        assert_eq!(Peer::knock(&machine, &Setup::of(&machine), socket), "connected");
    }
}

#[test]
fn a_strangers_squat_in_tmp_is_left_alone_and_the_daemon_starts() {
    if !need::root() {
        return;
    }
    for kind in ["directory", "link", "socket", "pipe", "file"] {
        let machine = Machine::of(OWNER);
        let place = machine.temp();
        match kind {
            "directory" => fs::create_dir(&place).expect("a directory"),
            "link" => symlink("/etc", &place).expect("a link"),
            "socket" => drop(UnixListener::bind(&place).expect("a socket")),
            "pipe" => nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU).expect("a pipe"),
            _ => fs::write(&place, "file").expect("a file"),
        }
        if kind == "directory" {
            fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).expect("chmod");
        }
        std::os::unix::fs::lchown(&place, Some(STRANGER), Some(STRANGER)).expect("chown");
        let before = fs::symlink_metadata(&place).expect("it is there");
        let mut peer = Peer::claim(&machine, &Setup::of(&machine));
        let sockets = peer.sockets();
        assert!(sockets.len() == 1 && !sockets[0].starts_with(&place), "{kind}: {sockets:?}");
        let after = fs::symlink_metadata(&place).expect("it is there");
        assert_eq!(
            (before.uid(), before.mode(), before.ino()),
            (after.uid(), after.mode(), after.ino()),
            "{kind}"
        );
    }
}

#[test]
fn the_session_directory_of_another_user_is_not_used() {
    if !need::root() {
        return;
    }
    // As `su` leaves it: the variables of who called it.
    let machine = Machine::of(OWNER);
    let theirs = machine.path("run/user").join(STRANGER.to_string());
    fs::create_dir(&theirs).expect("a directory");
    chown(&theirs, Some(STRANGER), None).expect("chown");
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o777)).expect("chmod");
    let setup = Setup::of(&machine).with("XDG_RUNTIME_DIR", &theirs);
    let mut peer = Peer::claim(&machine, &setup);
    assert_eq!(peer.sockets(), [machine.temp().join("default.sock")]);
    assert_eq!(fs::read_dir(&theirs).expect("list").count(), 0);
}

#[test]
fn root_with_the_variables_of_a_user_does_not_touch_the_users_directories() {
    if !need::root() {
        return;
    }
    // As `sudo -E` leaves it.
    let machine = Machine::of(OWNER);
    let session = machine.own_dir(machine.session());
    let state = machine.path("root-state");
    let setup = Setup {
        uid: Some(0),
        ..Setup::of(&machine).with("XDG_RUNTIME_DIR", &session).with("VISOR_STATE_DIR", &state)
    };
    let mut peer = Peer::claim(&machine, &setup);
    assert_eq!(peer.sockets(), [machine.path("tmp/visor-0/default.sock")]);
    assert_eq!(fs::read_dir(&session).expect("list").count(), 0);
    assert_eq!(fs::read_dir(machine.home()).expect("list").count(), 0);
}

#[test]
fn a_lock_that_others_planted_or_linked_is_not_taken() {
    if !need::root() {
        return;
    }
    let machine = Machine::of(OWNER);
    let dir = machine.own_dir(format!("tmp/visor-{OWNER}"));
    let treasure = machine.path("treasure");
    fs::write(&treasure, "precious").expect("write");
    chown(&treasure, Some(OWNER), None).expect("chown");
    symlink(&treasure, dir.join("default.lock")).expect("link");
    let mut peer = Peer::claim(&machine, &Setup::of(&machine));
    assert!(peer.sockets().iter().all(|socket| !socket.starts_with(&dir)));
    assert_eq!(fs::read_to_string(Path::new(&treasure)).expect("read"), "precious");
}
