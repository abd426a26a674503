//! No descriptors and no processes left: the daemon waits and recovers, and it is not the program's failure.

use crate::common::daemon::{Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, Who, need, proc};

/// A user whose processes nobody else adds to: the limit counts by user.
const SHORT_UID: u32 = 61_002;

/// More programs than the limits below allow.
const PROGRAMS: usize = 30;

/// Descriptors left for starting programs: far fewer than they need.
const ENOUGH_TO_START: usize = 8;

fn crowd(section: &str) -> String {
    format!(
        "[program:many]\nprocess_name=%(program_name)s_%(process_num)02d\nnumprocs={PROGRAMS}\nstartsecs=0\ncommand=sleep 1000\n{section}\n"
    )
}

/// Changes a limit of a process and of what it starts from now on, as its own user may.
fn limit(sandbox: &Sandbox, pid: i32, limit: &str) {
    let pid = pid.to_string();
    let output = sandbox.command("prlimit").args(["--pid", &pid, limit]).output().expect("prlimit runs");
    assert!(output.status.success(), "prlimit {limit}: {output:?}");
}

/// The limit of descriptors below which so many numbers are free.
fn limit_with_free(pid: i32, free: usize) -> u32 {
    let open = proc::descriptors(pid);
    let next = (0..).filter(|number| !open.contains_key(number)).nth(free);
    next.expect("numbers do not end")
}

/// All programs run in the end, none was given up, and each was spawned once.
fn all_run_in_the_end(daemon: &crate::common::Daemon) {
    wait::until(2 * LONG, "all programs to run", || {
        (daemon.count("success: many_") == PROGRAMS).then_some(())
    });
    assert_eq!(daemon.count("entered FATAL state"), 0, "the shortage was counted as the program's failure");
    assert_eq!(daemon.count("spawned: 'many_"), PROGRAMS);
}

#[test]
fn without_processes_it_waits_and_starts_the_rest_when_there_are_some() {
    if !ours("shortages are waited out") {
        return;
    }
    let who = if need::is_root() { Who::Stranger(SHORT_UID) } else { Who::Ordinary };
    let used = proc::all().into_iter().filter(|&pid| who == Who::Ordinary && owned_by_us(pid)).count();
    let few = format!("--nproc={}:{}", used + 15, used + 500);
    let daemon = Setup::of("no-processes", who)
        .main("minprocs=5")
        .wrapped(&["prlimit", &few])
        .start(&crowd("startretries=1"));
    daemon.wait_for("Too many processes in process table to spawn");
    let raised = format!("--nproc={0}:{0}", used + 500);
    limit(&daemon.sandbox, daemon.keeper(), &raised);
    all_run_in_the_end(&daemon);
    daemon.stop();
}

fn owned_by_us(pid: i32) -> bool {
    let ours = nix::unistd::getuid().to_string();
    proc::status(pid, "Uid").is_some_and(|ids| ids.starts_with(&format!("{ours}\t")))
}

#[test]
fn without_descriptors_it_waits_and_starts_the_rest_when_there_are_some() {
    if !ours("shortages are waited out") {
        return;
    }
    // Upstream refuses minfds above the hard limit; here the limit is lowered behind the daemon's back, once the
    // configuration is in force, which raises it.
    let daemon = Setup::new("no-descriptors")
        .main("minfds=64")
        .start(&crowd("startretries=1\nautostart=true").replace("numprocs=30", "numprocs=1"));
    daemon.wait_for("success: many_00 entered RUNNING state");
    let leave_free = |free: usize| {
        for pid in [daemon.keeper(), daemon.reactor()] {
            limit(&daemon.sandbox, pid, &format!("--nofile={}:4096", limit_with_free(pid, free)));
        }
    };
    let late = crowd("startretries=3").replace("sleep 1000", "%(here)s/late");
    daemon.sandbox.config("minfds=1", &late);
    leave_free(0);
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    let unread = daemon.wait_for("cannot read the file: Too many open files");
    daemon.wait_after(unread, "nothing was changed");
    for pid in [daemon.keeper(), daemon.reactor()] {
        limit(&daemon.sandbox, pid, "--nofile=4096:4096");
    }
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    let before = daemon.wait_for("received SIGHUP indicating restart request");
    let before = daemon.wait_after(before, "can't find command");
    leave_free(ENOUGH_TO_START);
    daemon.sandbox.script("late", "#!/bin/sh\nexec sleep 1000\n");
    daemon.wait_after(before, "too many open files to spawn");
    for pid in [daemon.keeper(), daemon.reactor()] {
        limit(&daemon.sandbox, pid, "--nofile=4096:4096");
    }
    wait::until(2 * LONG, "all programs to run", || {
        (daemon.count("success: many_") == PROGRAMS + 1).then_some(())
    });
    assert_eq!(daemon.count("entered FATAL state"), 0);
    daemon.stop();
}

#[test]
fn without_descriptors_one_log_is_closed_for_another_and_that_is_told_once() {
    if !ours("the number of open logs is bounded") {
        return;
    }
    let program = |name: &str| {
        format!(
            "[program:{name}]\ncommand=sh -c 'while echo {name}; do sleep 0.05; done'\nstartsecs=0\n\
             stdout_logfile=%(here)s/{name}.log\nstdout_logfile_maxbytes=0\n"
        )
    };
    let daemon = Setup::new("no-room-for-logs").start(&["one", "two"].map(program).concat());
    let written = |name: &str| {
        let file = format!("{name}.log");
        wait::until(LONG, &file, || daemon.sandbox.read(&file).ends_with(&format!("{name}\n")).then_some(()));
    };
    ["one", "two"].into_iter().for_each(&written);
    let reactor = daemon.reactor();
    limit(&daemon.sandbox, reactor, &format!("--nofile={}:4096", limit_with_free(reactor, 0)));
    for _ in 0..3 {
        for name in ["one", "two"] {
            std::fs::remove_file(daemon.sandbox.path(&format!("{name}.log"))).expect("our own file");
            written(name);
        }
    }
    assert_eq!(daemon.count("another log was closed for now"), 1);
    limit(&daemon.sandbox, reactor, "--nofile=4096:4096");
    daemon.stop();
}

#[test]
fn a_hup_for_more_programs_than_the_hard_limit_allows_changes_nothing() {
    if !ours("limits are worked out from the number of programs") {
        return;
    }
    let daemon =
        Setup::new("no-room").main("minfds=64").start("[program:one]\ncommand=sleep 1000\nstartsecs=0");
    daemon.wait_for("success: one entered RUNNING state");
    let pid = daemon.pid_of("one");
    for pid in [daemon.keeper(), daemon.reactor()] {
        limit(&daemon.sandbox, pid, "--nofile=128:128");
    }
    daemon.sandbox.config("minfds=64", &crowd("startretries=1"));
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    let told =
        daemon.wait_for("30 programs need 30 x 3 + 64 = 154 file descriptors, and the hard limit is 128");
    assert!(daemon.lines()[told].ends_with("nothing was changed"));
    assert_eq!((daemon.count("received SIGHUP"), daemon.pid_of("one")), (0, pid));
    daemon.stop();
}
