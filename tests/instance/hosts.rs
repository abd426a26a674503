//! Hosts that share a home, and sessions that do not see each other's `/tmp`.

use super::machine::Machine;
use super::need;
use super::peer::{Peer, Said, Setup};
use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixStream;

#[test]
fn each_host_of_a_shared_home_has_its_own_daemon() {
    let (here, there) = (Machine::new(), Machine::new());
    for (machine, id) in [(&here, "1"), (&there, "2")] {
        fs::write(machine.path("etc/machine-id"), id).expect("write");
    }
    let shared = |machine: &Machine| {
        Setup::of(machine).with("HOME", &here.home()).with("VISOR_TEST_NETWORK", &here.home())
    };
    let mut first = Peer::claim(&here, &shared(&here));
    let mut second = Peer::claim(&there, &shared(&there));
    assert!(first.sockets().iter().all(|socket| socket.starts_with(here.root())));
    assert!(second.sockets().iter().all(|socket| socket.starts_with(there.root())));
    let hosts = fs::read_dir(here.home().join(".local/state/visor/hosts")).expect("a folder for each host");
    assert_eq!(hosts.count(), 2);
    for (machine, peer) in [(&here, &first), (&there, &second)] {
        let said = Peer::claim(machine, &shared(machine)).said();
        assert!(matches!(said, Said::Running(pid, Some(_)) if pid == peer.pid()), "{said:?}");
    }
}

/// Words that run a program with a `/tmp` of its own.
fn private_tmp(machine: &Machine) -> Vec<OsString> {
    let script = format!("mount -t tmpfs -o mode=1777 none {} && exec \"$@\"", machine.path("tmp").display());
    ["unshare", "--mount", "sh", "-c", &script, "sh"].map(OsString::from).to_vec()
}

fn with_private_tmp(machine: &Machine, setup: Setup) {
    let hidden = Setup { wrapper: private_tmp(machine), ..setup.clone() };
    let mut first = Peer::claim(machine, &hidden);
    let sockets = first.sockets();
    assert!(
        sockets.iter().all(|socket| socket.starts_with(machine.temp()) && !socket.exists()),
        "{sockets:?}"
    );
    for setup in [&setup, &hidden] {
        match Peer::claim(machine, setup).said() {
            Said::Running(pid, Some(socket)) => {
                assert_eq!(pid, first.pid());
                assert!(socket.starts_with("/proc"), "{socket:?}");
                assert!(UnixStream::connect(&socket).is_ok(), "{socket:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_daemon_in_a_session_with_a_tmp_of_its_own_is_found() {
    if !need::root() {
        return;
    }
    let machine = Machine::new();
    with_private_tmp(&machine, Setup::of(&machine));
}

#[test]
fn it_is_found_by_its_process_where_no_lock_is_shared() {
    if !need::root() {
        return;
    }
    let machine = Machine::new();
    with_private_tmp(&machine, Setup::of(&machine).with("VISOR_TEST_NETWORK", &machine.home()));
}

#[test]
fn inside_a_user_namespace_the_same_daemon_is_found() {
    if !need::root() {
        return;
    }
    let machine = Machine::of(61_993);
    let setup = Setup::of(&machine);
    let mut first = Peer::claim(&machine, &setup);
    let sockets = first.sockets();
    assert_eq!(sockets, [machine.temp().join("default.sock")]);
    let mapped = ["unshare", "--user", "--map-root-user"].map(OsString::from).to_vec();
    match Peer::claim(&machine, &Setup { wrapper: mapped, ..setup }).said() {
        Said::Running(pid, socket) => assert_eq!((pid, socket.as_ref()), (first.pid(), sockets.first())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_many_who_see_nothing_in_common_one_becomes_the_daemon() {
    if !need::root() {
        return;
    }
    for _ in 0..need::by_ring(4, 40) {
        let machine = Machine::new();
        let setup = Setup::of(&machine).with("VISOR_TEST_NETWORK", &machine.home());
        let hidden = Setup { wrapper: private_tmp(&machine), ..setup };
        let mut peers: Vec<Peer> = (0..6).map(|_| Peer::claim(&machine, &hidden)).collect();
        let said: Vec<Said> = peers.iter_mut().map(Peer::said).collect();
        let started = said.iter().filter(|said| matches!(said, Said::Started(_)));
        assert_eq!(started.count(), 1, "{said:?}");
    }
}
