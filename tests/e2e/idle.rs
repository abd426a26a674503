//! Nothing happens, so nothing is done: not one context switch of keeper or reactor.

use super::crowd;
use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{need, proc, recorder};
use std::process::Command;
use std::time::Duration;

/// How long nothing may happen.
fn watched_for() -> Duration {
    need::by_ring(Duration::from_secs(5), Duration::from_secs(30))
}

/// How long it must have been quiet before the watch begins: the last lines are written, the last pages given back.
const SETTLED: Duration = Duration::from_secs(2);

/// strace, as it attaches, interrupts the wait that it finds a process in: one turn of the loop at the beginning.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Waits until neither process has been switched for a while.
fn settle(pids: &[i32]) {
    let count = || pids.iter().map(|&pid| proc::switches(pid)).sum::<u64>();
    wait::until(LONG, "the daemon to settle", || {
        let before = count();
        wait::pass(SETTLED);
        (count() == before).then_some(())
    });
}

fn sleeps_through(name: &str, programs: usize) {
    if !ours("no periodic work") {
        return;
    }
    let daemon = crowd::start(name, programs, "command=sleep 100000");
    let pids = [daemon.keeper(), daemon.reactor()];
    settle(&pids);
    let before = pids.map(proc::switches);
    wait::pass(watched_for());
    let woken = [0, 1].map(|index| proc::switches(pids[index]) - before[index]);
    assert_eq!(
        woken,
        [0, 0],
        "context switches of keeper and reactor in {:?} with {programs} programs",
        watched_for()
    );
    daemon.stop();
}

#[test]
fn nothing_wakes_the_daemon_with_100_quiet_programs() {
    sleeps_through("idle-100", 100);
}

#[test]
fn nothing_wakes_the_daemon_with_1000_quiet_programs() {
    sleeps_through("idle-1000", 1000);
}

#[test]
fn nothing_wakes_the_daemon_with_a_quiet_listener() {
    if !ours("no periodic work") {
        return;
    }
    let setup = Setup::new("idle-listener");
    let command = recorder::command(&setup.sandbox, "/usr/bin/python3", "notes", "");
    let sections = format!(
        "[eventlistener:quiet]\ncommand={command}\nevents=PROCESS_STATE,PROCESS_LOG,TICK_3600\n\
         [program:web]\ncommand=sleep 100000\nstdout_events_enabled=true\n"
    );
    let daemon = setup.start(&sections);
    recorder::wait_for(&daemon.sandbox, "notes", "PROCESS_STATE_RUNNING", "processname:web");
    let pids = [daemon.keeper(), daemon.reactor()];
    settle(&pids);
    let before = pids.map(proc::switches);
    wait::pass(watched_for());
    let woken = [0, 1].map(|index| proc::switches(pids[index]) - before[index]);
    assert_eq!(woken, [0, 0], "context switches of keeper and reactor in {:?}", watched_for());
    daemon.stop();
}

#[test]
fn no_system_call_is_made_while_nothing_happens() {
    if !ours("no periodic work") || !need::root() {
        return;
    }
    let Some(strace) = need::tool("strace") else { return };
    let daemon: Daemon = crowd::start("idle-strace", 100, "command=sleep 100000");
    let pids = [daemon.keeper(), daemon.reactor()];
    settle(&pids);
    let seconds = (watched_for() + UNSETTLED).as_secs().to_string();
    let mut command = Command::new("timeout");
    command.args(["--signal=INT", &seconds]).arg(strace).args(["-f", "-q", "-ttt"]);
    for pid in pids {
        command.args(["-p", &pid.to_string()]);
    }
    let output = command.output().expect("strace runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let calls = while_idle(&text);
    assert!(calls.is_empty(), "system calls while idle:\n{}\nof\n{text}", calls.join("\n"));
    daemon.stop();
}

/// The system calls that were begun more than [`UNSETTLED`] after the first one seen.
fn while_idle(trace: &str) -> Vec<&str> {
    let begun =
        |line: &str| -> Option<f64> { line.split_whitespace().find(|word| word.contains('.'))?.parse().ok() };
    let first = trace.lines().find_map(begun).unwrap_or(f64::MAX);
    let late = |line: &&str| {
        line.contains('(') && begun(line).is_some_and(|at| at - first > UNSETTLED.as_secs_f64())
    };
    trace.lines().filter(late).collect()
}
