//! Who gets to be the daemon: races, what dead daemons leave behind, squatters, long paths.

use super::machine::Machine;
use super::need;
use super::peer::{Peer, Said, Setup};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Processes that race in one round.
const RACERS: usize = 12;

/// Rounds of the race by ring.
const ROUNDS: (usize, usize) = (8, 100);

/// Surroundings of a login, of cron, of a session, of somebody who chose a directory, by turns.
fn mixed(machine: &Machine, racer: usize) -> Setup {
    let setup = Setup::of(machine);
    match racer % 4 {
        0 => setup,
        1 => setup.with("XDG_RUNTIME_DIR", &machine.path(machine.session())),
        2 => setup
            .with("XDG_RUNTIME_DIR", Path::new("/nonexistent"))
            .with("XDG_CONFIG_HOME", &machine.path("home/.config")),
        _ => setup.with("VISOR_RUNTIME_DIR", &machine.path("home/run")),
    }
}

/// Lets processes race, and checks that one of them became the daemon and the others found it.
fn race(machine: &Machine, setup: impl Fn(usize) -> Setup) {
    let mut peers: Vec<Peer> = (0..RACERS).map(|racer| Peer::claim(machine, &setup(racer))).collect();
    let said: Vec<Said> = peers.iter_mut().map(Peer::said).collect();
    let started: Vec<i32> = peers
        .iter()
        .zip(&said)
        .filter(|(_, said)| matches!(said, Said::Started(_)))
        .map(|(peer, _)| peer.pid())
        .collect();
    assert_eq!(started.len(), 1, "{said:?}");
    // The winner may not have bound anything when it is met; its lock says who it is.
    let strangers =
        said.iter().filter(|said| matches!(said, Said::Running(pid, _) if *pid != started[0] && *pid != 0));
    assert_eq!(strangers.count(), 0, "{said:?}, started {started:?}");
    match Peer::claim(machine, &setup(0)).said() {
        Said::Running(pid, Some(socket)) => {
            assert_eq!(pid, started[0]);
            assert!(UnixStream::connect(&socket).is_ok(), "{socket:?}");
        }
        other => panic!("a latecomer: {other:?}"),
    }
}

#[test]
fn of_many_who_race_one_becomes_the_daemon() {
    for round in 0..need::by_ring(ROUNDS.0, ROUNDS.1) {
        let machine = Machine::new();
        if round % 2 == 1 {
            machine.own_dir(machine.session());
        }
        race(&machine, |racer| mixed(&machine, racer));
    }
}

#[test]
fn on_a_network_home_the_local_directories_decide_the_race() {
    for round in 0..need::by_ring(ROUNDS.0, ROUNDS.1) {
        let machine = Machine::new();
        if round % 2 == 1 {
            machine.own_dir(machine.session());
        }
        race(&machine, |racer| mixed(&machine, racer).with("VISOR_TEST_NETWORK", &machine.home()));
    }
}

#[test]
fn what_a_killed_daemon_leaves_behind_stops_nobody() {
    let machine = Machine::new();
    let setup = Setup::of(&machine);
    let mut first = Peer::claim(&machine, &setup);
    let sockets = first.sockets();
    first.kill();
    assert!(sockets[0].exists(), "a stale socket");
    assert!(fs::read_to_string(machine.temp().join("default.lock")).is_ok_and(|text| text.contains("pid=")));
    race(&machine, |_| setup.clone());
    let mut next = Peer::claim(&machine, &setup);
    assert_eq!(next.sockets(), sockets);
    next.end();
    assert!(!sockets[0].exists(), "a daemon that ends takes its socket along");
}

#[test]
fn a_pid_file_and_a_foreign_socket_file_are_not_believed() {
    let machine = Machine::new();
    let dir = machine.own_dir(format!("tmp/visor-{}", machine.uid));
    fs::write(dir.join("visord.pid"), std::process::id().to_string()).expect("write");
    fs::write(dir.join("default.lock"), "pid=1\nconfig=/\n").expect("write");
    drop(UnixListener::bind(dir.join("default.sock")).expect("a stale socket"));
    let mut peer = Peer::claim(&machine, &Setup::of(&machine));
    assert_eq!(peer.sockets(), [dir.join("default.sock")]);
}

#[test]
fn whatever_squats_the_usual_place_the_daemon_starts_elsewhere() {
    let machine = Machine::new();
    let place = machine.temp();
    let listener = |path: &Path| drop(UnixListener::bind(path).expect("a socket"));
    let squatters: [&dyn Fn(&Path); 5] = [
        &|path| fs::create_dir(path).expect("a directory that others may enter"),
        &|path| symlink("/etc", path).expect("a link"),
        &listener,
        &|path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe"),
        &|path| fs::write(path, "file").expect("a file"),
    ];
    let mut places = Vec::new();
    for squat in squatters {
        squat(&place);
        let before = fs::symlink_metadata(&place).expect("it is there").permissions();
        let mut peer = Peer::claim(&machine, &Setup::of(&machine));
        let sockets = peer.sockets();
        assert_eq!(sockets.len(), 1);
        assert!(!sockets[0].starts_with(&place) && UnixStream::connect(&sockets[0]).is_ok(), "{sockets:?}");
        assert!(matches!(
            Peer::claim(&machine, &Setup::of(&machine)).said(),
            Said::Running(pid, Some(socket)) if pid == peer.pid() && socket == sockets[0]
        ));
        assert_eq!(fs::symlink_metadata(&place).expect("it is still there").permissions(), before);
        peer.end();
        places.extend(sockets);
        let is_dir = fs::symlink_metadata(&place).expect("it is there").is_dir();
        if is_dir { fs::remove_dir(&place) } else { fs::remove_file(&place) }.expect("remove");
    }
    places.dedup();
    assert_eq!(places.len(), 1, "the private directory is remembered");
}

#[test]
fn long_paths_do_as_well() {
    let machine = Machine::new();
    let long = Path::new("home").join("x".repeat(200));
    let dir = machine.own_dir(&long);
    let setup = Setup::of(&machine).with("HOME", &dir).with("VISOR_RUNTIME_DIR", &dir.join("run"));
    let mut peer = Peer::claim(&machine, &setup);
    let sockets = peer.sockets();
    let expected = if cfg!(target_os = "linux") { 2 } else { 1 };
    assert_eq!(sockets.len(), expected, "{sockets:?}");
    assert!(cfg!(not(target_os = "linux")) || sockets[0].as_os_str().len() > 200);
    assert!(matches!(Peer::claim(&machine, &setup).said(), Said::Running(pid, Some(_)) if pid == peer.pid()));
}

#[test]
fn two_configurations_are_two_daemons_and_share_no_directory() {
    let machine = Machine::new();
    let other_home = machine.own_dir("other");
    let one = Setup::of(&machine);
    let two =
        Setup::of(&machine).with("HOME", &other_home).with("VISOR_RUNTIME_DIR", &other_home.join("run"));
    let (mut first, mut second) = (Peer::claim(&machine, &one), Peer::claim(&machine, &two));
    let (sockets, others) = (first.sockets(), second.sockets());
    assert!(sockets.iter().all(|socket| !others.contains(socket)), "{sockets:?} {others:?}");
    assert!(others.contains(&other_home.join("run/default.sock")));
    for (setup, peer) in [(&two, &second), (&one, &first)] {
        match Peer::claim(&machine, setup).said() {
            Said::Running(pid, _) => assert_eq!(pid, peer.pid()),
            other => panic!("{other:?}"),
        }
    }
}
