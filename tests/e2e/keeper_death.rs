//! `kill -9` of the keeper: the reactor carries on, gets itself a new keeper, and says so.

use crate::common::daemon::{Daemon, ours, reactor_of};
use crate::common::proc;
use crate::common::wait::{self, LONG};
use nix::sys::signal::Signal;

/// The keeper that the reactor has now, if it is another one than `old`.
fn new_keeper(daemon: &Daemon, old: i32) -> Option<i32> {
    let binary = daemon.sandbox.daemon_binary().display().to_string();
    let pid: i32 = daemon.sandbox.read("visord.pid").trim().parse().ok()?;
    let is_visord = proc::exe(pid).is_some_and(|exe| exe == binary || binary.ends_with("/visord"));
    (pid != old && proc::alive(pid) && is_visord).then_some(pid)
}

#[test]
fn a_killed_keeper_is_replaced_by_the_reactor_and_no_program_is_touched() {
    if !ours("keeper and reactor") {
        return;
    }
    let mut daemon = Daemon::start(
        "keeperless",
        "[program:web]\ncommand=sleep 1000\nstartsecs=0\n[program:quiet]\ncommand=sleep 1001\nstartsecs=0",
    );
    let (web, quiet) = (daemon.wait_running("web"), daemon.wait_running("quiet"));
    let (keeper, reactor) = (daemon.keeper(), daemon.reactor());
    let before = daemon.mark();
    proc::signal(keeper, Signal::SIGKILL);
    daemon.wait_launched(LONG);
    daemon.wait_after(before, "keeper");
    assert!(proc::alive(web) && proc::alive(quiet), "a program died with the keeper");
    assert!(proc::alive(reactor), "the reactor died with the keeper");

    let next = wait::until(LONG, "the pidfile to name a new keeper", || new_keeper(&daemon, keeper));
    proc::signal(web, Signal::SIGKILL);
    let told = daemon.wait_after(before, "exited: web (");
    daemon.wait_after(told, "success: web entered RUNNING state");
    assert_eq!(daemon.pid_of("quiet"), quiet);
    assert_eq!(proc::parent(daemon.pid_of("web")), Some(next), "the new keeper is the parent of new runs");
    let locks = || proc::descriptors(next).values().filter(|target| target.ends_with(".lock")).count();
    assert_eq!(locks(), 2, "the new keeper holds the locks: of the state directory, and beside the socket");

    proc::signal(next, Signal::SIGTERM);
    wait::until(LONG, "the end of everything", || daemon.sandbox.processes().is_empty().then_some(()));
    assert!(reactor_of(next).is_none());
}

#[test]
fn what_escaped_from_a_program_is_stopped_with_it_after_its_keeper_was_killed() {
    if !ours("keeper and reactor") {
        return;
    }
    let mut daemon = Daemon::start(
        "scattered",
        "[program:web]\ncommand=sh -c '(setsid sleep 1003 &) && exec sleep 1002'\nstartsecs=0",
    );
    daemon.wait_running("web");
    let (keeper, before) = (daemon.keeper(), daemon.mark());
    wait::until(LONG, "the escapee", || (daemon.sandbox.processes().len() >= 4).then_some(()));
    proc::signal(keeper, Signal::SIGKILL);
    daemon.wait_launched(LONG);
    daemon.wait_after(before, "keeper");
    let next = wait::until(LONG, "the pidfile to name a new keeper", || new_keeper(&daemon, keeper));
    proc::signal(next, Signal::SIGTERM);
    wait::until(LONG, "the end of everything", || daemon.sandbox.processes().is_empty().then_some(()));
}

#[test]
fn a_shared_socket_outlives_the_keeper_that_held_it() {
    if !ours("keeper and reactor") {
        return;
    }
    let mut daemon = Daemon::start(
        "keeperless-fcgi",
        "[fcgi-program:app]\ncommand=sleep 1000\nsocket=unix://%(here)s/s\nnumprocs=2\nstartsecs=0\n\
         process_name=app_%(process_num)d",
    );
    let [first, second] = ["app_0", "app_1"].map(|name| daemon.wait_running(name));
    let socket = |pid: i32| proc::descriptors(pid).remove(&0).expect("descriptor 0");
    let shared = socket(second);
    let (keeper, before) = (daemon.keeper(), daemon.mark());
    proc::signal(keeper, Signal::SIGKILL);
    daemon.wait_launched(LONG);
    let next = wait::until(LONG, "the pidfile to name a new keeper", || new_keeper(&daemon, keeper));
    proc::signal(first, Signal::SIGKILL);
    let told = daemon.wait_after(before, "exited: app_0 (");
    daemon.wait_after(told, "success: app_0 entered RUNNING state");
    wait::until(LONG, "the shared socket", || (socket(daemon.pid_of("app_0")) == shared).then_some(()));

    proc::signal(next, Signal::SIGTERM);
    daemon.wait_after(told, "Closing socket");
    wait::until(LONG, "the end of everything", || daemon.sandbox.processes().is_empty().then_some(()));
}

/// A reactor that dies before it has handed everything back, played by a `sleep`.
const HALF_A_REACTOR: &str = "\
import socket, subprocess, sys
ours, theirs = socket.socketpair()
reactor = subprocess.Popen(['sleep', '0.1'])
words = [sys.argv[1], '--visor-replace-keeper', str(theirs.fileno()), str(reactor.pid), '-n', '-c', 'none.conf']
keeper = subprocess.Popen(words, pass_fds=[theirs.fileno()])
theirs.close()
reactor.wait()
ours.close()
sys.exit(keeper.wait(20))
";

#[test]
fn a_new_keeper_that_was_told_nothing_starts_nothing_a_second_time() {
    if !ours("keeper and reactor") {
        return;
    }
    let sandbox = crate::common::Sandbox::new("told-nothing", crate::common::Who::Ordinary);
    let binary = sandbox.daemon_binary().display().to_string();
    let output =
        sandbox.command("python3").args(["-c", HALF_A_REACTOR, &binary]).output().expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("keeper and reactor are both lost"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}
