//! Keeper and reactor stopped (SIGSTOP) and continued, each alone: programs are unaffected, everything goes on.

use crate::common::counter::{self, Mode};
use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{need, proc};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// A terminal as standard output that nobody reads, and that cannot be opened a second time.
const STOPPED_TERMINAL: &str = "\
import os, pty, sys
ours, theirs = pty.openpty()
os.fchmod(theirs, 0)
os.dup2(theirs, 1)
os.set_inheritable(ours, True)
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn an_echo_on_a_terminal_that_stands_still_holds_up_nobody() {
    if !ours("the echo never blocks") {
        return;
    }
    let mut daemon = Setup::new("frozen-echo")
        .main("loglevel=debug")
        .wrapped(&["python3", "-c", STOPPED_TERMINAL])
        .start("[program:chatty]\ncommand=sh -c 'seq 100000; touch done; exec sleep 1000'\nstartsecs=0\n");
    wait::until(LONG, "all to be read", || daemon.sandbox.path("done").exists().then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_launched(LONG).code(), Some(0));
}

#[test]
fn an_echo_into_a_file_is_whole() {
    let mut daemon = Setup::new("echo-file")
        .wrapped(&["sh", "-c", "exec \"$0\" \"$@\" > echo.log"])
        .start("[program:web]\ncommand=sleep 1000\nstartsecs=0\n");
    let echoed = || daemon.sandbox.read("echo.log").contains("success: web entered RUNNING").then_some(());
    wait::until(LONG, "the echo", echoed);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_launched(LONG).code(), Some(0));
    assert_eq!(daemon.sandbox.read("echo.log"), daemon.sandbox.read("visord.log"));
}

/// How long a process stays frozen.
fn frozen_for() -> Duration {
    need::by_ring(Duration::from_secs(2), Duration::from_secs(20))
}

/// A counter whose every line is checked at the end, a program to kill, and one that must never be touched.
fn start(name: &str) -> Daemon {
    let setup = Setup::new(name);
    let command = counter::command(&setup.sandbox, "counter", Mode::Line, 1);
    let daemon = setup.start(&format!(
        "[program:counter]\ncommand={command}\nstartsecs=0\nstdout_logfile=%(here)s/counter.log\n\
         stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=200\n\
         [program:victim]\ncommand=sleep 1000\nstartsecs=0\n\
         [program:quiet]\ncommand=sleep 1001\nstartsecs=0"
    ));
    for name in ["counter", "victim", "quiet"] {
        daemon.wait_running(name);
    }
    daemon
}

/// Freezes `pid`, lets a program die meanwhile, continues it, and expects everything to be put right.
fn survives_freezing(mut daemon: Daemon, pid: i32) {
    let untouched = ["counter", "quiet"].map(|name| daemon.pid_of(name));
    let victim = daemon.pid_of("victim");
    proc::signal(pid, Signal::SIGSTOP);
    wait::until(LONG, "the freeze", || (proc::state(pid) == Some('T')).then_some(()));
    proc::signal(victim, Signal::SIGKILL);
    wait::throughout(frozen_for(), || {
        untouched
            .iter()
            .find(|&&program| !proc::alive(program))
            .map(|program| format!("{program} died during the freeze"))
    });
    proc::signal(pid, Signal::SIGCONT);
    let told = daemon.wait_for("exited: victim (terminated by SIGKILL; not expected)");
    daemon.wait_after(told, "success: victim entered RUNNING state");
    assert_eq!(["counter", "quiet"].map(|name| daemon.pid_of(name)), untouched);
    assert_eq!(daemon.count("spawned: 'counter'") + daemon.count("spawned: 'quiet'"), 2);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
    counter::check(&daemon.sandbox, "counter", "counter.log");
}

#[test]
fn a_frozen_keeper_changes_nothing_for_programs_and_goes_on_when_continued() {
    if !ours("keeper and reactor") {
        return;
    }
    let daemon = start("frozen-keeper");
    let keeper = daemon.keeper();
    survives_freezing(daemon, keeper);
}

#[test]
fn logs_are_written_while_the_keeper_is_frozen() {
    if !ours("keeper and reactor") {
        return;
    }
    let daemon = start("frozen-pump");
    proc::signal(daemon.keeper(), Signal::SIGSTOP);
    wait::until(LONG, "the freeze", || (proc::state(daemon.keeper()) == Some('T')).then_some(()));
    let before = daemon.sandbox.read_bytes("counter.log").len();
    wait::until(LONG, "the log to grow", || {
        (daemon.sandbox.read_bytes("counter.log").len() > before).then_some(())
    });
    proc::signal(daemon.keeper(), Signal::SIGCONT);
    daemon.stop();
}

#[test]
fn a_frozen_reactor_changes_nothing_for_programs_and_goes_on_when_continued() {
    if !ours("keeper and reactor") {
        return;
    }
    let daemon = start("frozen-reactor");
    let reactor = daemon.reactor();
    survives_freezing(daemon, reactor);
}

#[test]
fn an_end_before_startsecs_that_a_frozen_reactor_hears_of_after_them_is_a_failed_start() {
    if !ours("keeper and reactor") {
        return;
    }
    let daemon =
        Daemon::start("late-news", "[program:brief]\ncommand=sleep 1.5\nstartsecs=3\nstartretries=9");
    let brief = daemon.pid_of("brief");
    let reactor = daemon.reactor();
    proc::signal(reactor, Signal::SIGSTOP);
    wait::until(LONG, "the freeze", || (proc::state(reactor) == Some('T')).then_some(()));
    let frozen = Instant::now();
    wait::until(LONG, "the end", || (!proc::alive(brief)).then_some(()));
    wait::pass(Duration::from_millis(3500).saturating_sub(frozen.elapsed()));
    proc::signal(reactor, Signal::SIGCONT);
    daemon.wait_for("exited: brief (exit status 0; not expected)");
    assert_eq!(daemon.count("success: brief"), 0, "it never ran for startsecs");
    daemon.stop();
}
