//! Sockets that vanish, clients that listen while nothing happens, and a reactor that dies under its clients.

use super::account::{Account, allowed};
use super::raw;
use crate::common::wait::{self, LONG};
use crate::common::{Who, need, proc};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the directories are taken away.
const REMOVALS: usize = 5;

/// The promise: back within a second, and the client must see it.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// How long it must have been quiet before the idle watch begins.
const SETTLED: Duration = Duration::from_secs(2);

#[test]
fn sockets_come_back_within_a_second_each_time_their_directories_are_removed_under_load() {
    let account = Account::new("vanish");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.start();
    let (web, keeper) = (account.running("web"), account.keeper());
    let limit = allowed(&account, BACK_WITHIN);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = || {
            while !over.load(Ordering::Relaxed) {
                account.ctl(&["status"]);
            }
        };
        scope.spawn(load);
        for _ in 0..REMOVALS {
            for directory in account.socket_directories() {
                fs::remove_dir_all(directory).expect("the daemon's directory");
            }
            let since = Instant::now();
            let answered = || account.ctl(&["status"]).status.success().then_some(());
            wait::until(limit, "an answer", answered);
            let is_back = || account.socket_directories().iter().all(|dir| dir.join("default.sock").exists());
            wait::until(limit, "both sockets", || is_back().then_some(()));
            eprintln!("back after {:?} (allowed {limit:?})", since.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!((account.pid("web"), account.keeper()), (web, keeper));
    account.shutdown();
}

#[test]
fn the_lasting_socket_is_back_after_a_wiped_run_user_and_the_session_finds_it() {
    let account = Account::new("wiped");
    account.start();
    let keeper = account.keeper();
    fs::remove_dir_all(account.run_user()).expect("the user's directory");
    assert_eq!(account.keeper(), keeper);
    account.login();
    let back = account.socket_directories()[0].join("default.sock");
    wait::until(LONG, "the socket in /run/user", || back.exists().then_some(()));
    assert_eq!(account.keeper(), keeper);
    account.shutdown();
}

#[test]
fn nothing_wakes_the_daemon_with_a_follower_a_subscriber_and_100_programs() {
    // A user of its own: clients of the same user that find no socket open the locks of all daemons of theirs.
    if !need::root() {
        return;
    }
    let account = Account::new_for("idle", Who::Stranger(61_990));
    let programs: String =
        (0..100).map(|n| format!("[program:p{n}]\ncommand=sleep 100000\nstartsecs=0\n")).collect();
    account.file("all", &programs);
    account.start();
    account.ok(&["wait", "all", "--timeout", "30s"]);
    let mut follower = account.background(&["logs", "-f", "p1"]);
    let _events = raw::stream(&account.socket(), "/v1/events");
    let watched = [account.keeper(), account.reactor(), follower.id().cast_signed()];
    let switches = || watched.map(proc::switches);
    let quiet = || {
        let before = switches();
        wait::pass(SETTLED);
        (switches() == before).then_some(())
    };
    wait::until(LONG, "the daemon to settle", quiet);
    let before = switches();
    wait::pass(Duration::from_secs(need::by_ring(5, 30)));
    assert_eq!(switches(), before, "context switches of keeper, reactor and logs -f");
    follower.kill().expect("our own child");
    follower.wait().expect("our own child");
    account.shutdown();
}

#[test]
fn a_reactor_that_is_killed_under_its_clients_is_not_missed() {
    let account = Account::new("killed");
    account.program("web", "command=sh -c 'while echo line; do sleep 0.1; done'\nstartsecs=0");
    account.start();
    let (web, keeper, reactor) = (account.running("web"), account.keeper(), account.reactor());
    let sockets = account.socket_directories().map(|dir| dir.join("default.sock"));
    let all_there = || sockets.iter().all(|socket| UnixStream::connect(socket).is_ok());
    assert!(all_there());
    let mut follower = account.background(&["logs", "-f", "web"]);
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    assert_eq!(line, "line\n");
    let mut events = raw::stream(&account.socket(), "/v1/events");
    proc::signal(reactor, Signal::SIGKILL);
    let asked = account.told(&["status", "web"]);
    assert_eq!(asked.0, 0, "the next command: {asked:?}");
    assert_eq!((account.pid("web"), account.keeper()), (web, keeper));
    assert_ne!(account.reactor(), reactor);
    assert!(all_there(), "the same sockets");
    events.read_to_end(&mut Vec::new()).expect("the end of the events");
    // The follower goes on with the next reactor, and ends with the daemon.
    let read_so_far = account.ok(&["logs", "-n", "100000", "web"]).lines().count();
    for _ in 0..read_so_far + 5 {
        line.clear();
        lines.read_line(&mut line).expect("a line of the next reactor");
        assert_eq!(line, "line\n");
    }
    account.shutdown();
    let ended = wait::until(LONG, "the end of logs -f", || follower.try_wait().expect("our own child"));
    assert_eq!(ended.code(), Some(4));
}
