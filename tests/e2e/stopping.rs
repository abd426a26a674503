//! How programs are brought down: whom the signals reach, in what order, and that nothing stays behind.

use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::proc;
use crate::common::wait::{self, LONG};
use nix::sys::signal::Signal;
use std::time::Duration;

/// A main process with three ways out of its process group: `setsid`, a double fork, and a daemon's double setsid.
const ESCAPING: &str = "\
setsid sleep 1001 &
(setsid sh -c 'sleep 1002 & sleep 1003' &)
(setsid sh -c 'setsid sleep 1004 &' &)
sleep 1005 &
echo ready
exec sleep 1006
";

/// The numbers of the `sleep`s above that live under a daemon.
fn sleepers(daemon: &Daemon) -> Vec<String> {
    let number = |pid: i32| {
        Some(proc::command_line(pid)).filter(|words| words.first().is_some_and(|word| word == "sleep"))
    };
    let mut found: Vec<String> = daemon
        .sandbox
        .processes()
        .into_iter()
        .filter_map(number)
        .filter_map(|words| words.get(1).cloned())
        .collect();
    found.sort();
    found
}

const ALL_SLEEPERS: [&str; 6] = ["1001", "1002", "1003", "1004", "1005", "1006"];

#[test]
fn a_tree_with_setsid_escapees_is_stopped_whole() {
    if !ours("trees are stopped whole") {
        return;
    }
    let daemon = Setup::new("escapees")
        .file("escape.sh", ESCAPING)
        .start("[program:tree]\ncommand=bash escape.sh\nstartsecs=0\nautostart=true\n");
    wait::until(LONG, "the whole tree", || (sleepers(&daemon) == ALL_SLEEPERS).then_some(()));
    daemon.stop();
}

#[test]
fn a_left_over_that_hid_its_origin_is_named_and_left_alone() {
    if !ours("strays are named") || cfg!(not(target_os = "linux")) {
        return;
    }
    let daemon = Setup::new("strays")
        .file("hide.sh", "(env -i setsid sh -c 'echo $$ > stray.pid; exec sleep 1007' &)\nexec sleep 1008\n")
        .start(
            "[program:tree]\ncommand=bash hide.sh\nstartsecs=0\nautorestart=false\n\
             [program:other]\ncommand=sleep 1009\nstartsecs=0\n",
        );
    let stray: i32 = wait::until(LONG, "the stray", || {
        let pid = daemon.sandbox.read("stray.pid").trim().parse().ok()?;
        (proc::command_line(pid).last()? == "1007").then_some(pid)
    });
    proc::signal(daemon.pid_of("tree"), Signal::SIGKILL);
    let named = format!("process {stray} (sleep) was left behind by a program and bears no mark of it");
    let told = daemon.wait_for(&named);
    proc::signal(daemon.pid_of("other"), Signal::SIGKILL);
    daemon.wait_after(told, "spawned: 'other'");
    assert!(proc::alive(stray));
    proc::signal(stray, Signal::SIGKILL);
    wait::until(LONG, "its end", || (!proc::alive(stray)).then_some(()));
    let lines = daemon.stop();
    assert_eq!(lines.iter().filter(|line| line.contains(&named)).count(), 1, "it is told of once");
}

#[test]
fn left_overs_of_a_crashed_program_are_cleaned_up_before_its_restart() {
    if !ours("left-overs are cleaned before a restart") {
        return;
    }
    let daemon = Setup::new("leftovers")
        .file("escape.sh", ESCAPING)
        .start("[program:tree]\ncommand=bash escape.sh\nstartsecs=0\nautostart=true\n");
    wait::until(LONG, "the whole tree", || (sleepers(&daemon) == ALL_SLEEPERS).then_some(()));
    let first = daemon.pid_of("tree");
    proc::signal(first, Signal::SIGKILL);
    wait::until(LONG, "the restart", || (daemon.pid_of("tree") != first).then_some(()));
    wait::until(LONG, "one copy of each process", || (sleepers(&daemon) == ALL_SLEEPERS).then_some(()));
    daemon.stop();
}

#[test]
fn the_stop_signal_goes_to_the_main_process_and_its_tree_follows_when_it_is_gone() {
    if !ours("kill_mode=mixed") {
        return;
    }
    let daemon = Setup::new("mixed")
        .file("child.sh", "trap 'touch child.term; exit' TERM; touch child.up; while :; do sleep 0.05; done")
        .file(
            "main.sh",
            "bash child.sh &\n\
         trap 'sleep 0.5; test -e child.term && touch main.too_late; touch main.term; exit' TERM\n\
         while :; do sleep 0.05; done",
        )
        .start("[program:main]\ncommand=bash main.sh\nstartsecs=0\n");
    wait::until(LONG, "the child", || daemon.sandbox.path("child.up").exists().then_some(()));
    daemon.signal(Signal::SIGTERM);
    wait::until(LONG, "the main process to hear", || daemon.sandbox.path("main.term").exists().then_some(()));
    wait::until(LONG, "the child to hear", || daemon.sandbox.path("child.term").exists().then_some(()));
    assert!(
        !daemon.sandbox.path("main.too_late").exists(),
        "the child was signalled while its main process still ran"
    );
}

const CHILD_THAT_HEARS_INT: &str = "\
import signal, time
signal.signal(signal.SIGINT, lambda *_: open('child.int', 'w'))
open('child.up', 'w')
while True: time.sleep(0.05)
";

/// Ends only once the child has heard: were the signal not for the group, it would be killed in the end.
const MAIN_THAT_WAITS_FOR_IT: &str = "\
trap 'while ! test -e child.int; do sleep 0.05; done; kill -9 $!; exit 0' INT
/usr/bin/python3 child.py &
while :; do sleep 0.05; done
";

#[test]
fn stopasgroup_signals_the_whole_group_at_once() {
    let daemon = Setup::new("group")
        .file("child.py", CHILD_THAT_HEARS_INT)
        .file("main.sh", MAIN_THAT_WAITS_FOR_IT)
        .start("[program:main]\ncommand=bash main.sh\nstartsecs=0\nstopasgroup=true\nstopsignal=INT\n");
    wait::until(LONG, "the child", || daemon.sandbox.path("child.up").exists().then_some(()));
    let log = daemon.stop();
    assert!(log.iter().any(|line| line.contains("stopped: main (exit status 0)")), "{log:?}");
}

#[test]
fn a_program_that_ignores_the_stop_signal_is_killed_after_stopwaitsecs() {
    let daemon = Setup::new("stubborn")
        .file("stubborn.sh", "trap '' TERM; touch up; while :; do sleep 0.1; done")
        .start("[program:stubborn]\ncommand=bash stubborn.sh\nstartsecs=0\nstopwaitsecs=1\n");
    wait::until(LONG, "the program", || daemon.sandbox.path("up").exists().then_some(()));
    let pid = daemon.pid_of("stubborn");
    let log = daemon.stop();
    let has =
        |text: &str| assert!(log.iter().any(|line| line.contains(text)), "no line with {text}: {log:?}");
    has(&format!("killing 'stubborn' ({pid}) with SIGKILL"));
    has("stopped: stubborn (terminated by SIGKILL)");
}

#[test]
fn groups_are_stopped_one_after_the_other_highest_priority_first() {
    let slow = "trap 'sleep 0.5; exit 0' TERM; touch $1.up; while :; do sleep 0.05; done";
    let program = |name: &str, priority: u32| {
        format!("[program:{name}]\ncommand=bash slow.sh {name}\nstartsecs=0\npriority={priority}\n")
    };
    let daemon = Setup::new("shutdown-order")
        .file("slow.sh", slow)
        .start(&[program("base", 10), program("middle", 20), program("top", 30)].concat());
    for name in ["base", "middle", "top"] {
        wait::until(LONG, name, || daemon.sandbox.path(&format!("{name}.up")).exists().then_some(()));
    }
    daemon.signal(Signal::SIGTERM);
    let at =
        ["top", "middle", "base"].map(|name| daemon.wait_for(&format!("stopped: {name} (exit status 0)")));
    assert!(at.is_sorted(), "{:?}", daemon.lines());
    // Half a second each, one after the other.
    assert!(
        daemon.came(at[2]) - daemon.came(at[0]) >= Duration::from_millis(900),
        "groups were stopped at once"
    );
    daemon.stop();
}

#[test]
fn left_overs_that_hold_the_output_do_not_hold_up_the_end_nor_pile_up_over_reloads() {
    if !ours("left-overs stay") {
        return;
    }
    let mut daemon = Daemon::start(
        "holding",
        "[program:holder]\ncommand=sh -c 'sleep 1000 & exit 0'\nstartsecs=0\nautorestart=false\n",
    );
    let mut open = Vec::new();
    let mut from = 0;
    for _ in 0..3 {
        from = daemon.wait_after(from, "exited: holder (exit status 0; expected)") + 1;
        open.push(crate::common::proc::descriptors(daemon.keeper()).len());
        daemon.signal(Signal::SIGHUP);
        from = daemon.wait_after(from, "supervisord started") + 1;
    }
    assert_eq!(open[0], open[2], "pipes of runs that are over are kept: {open:?}");
    daemon.wait_after(from, "exited: holder (exit status 0; expected)");
    let asked = std::time::Instant::now();
    daemon.signal(Signal::SIGTERM);
    daemon.wait_exit(LONG);
    assert!(asked.elapsed() < Duration::from_secs(4), "the end waited for somebody else's pipe");
}
