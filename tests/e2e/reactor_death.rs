//! `kill -9` of the reactor: programs never notice, no byte of a log is lost or doubled, every exit is told truly.

use crate::common::counter::{self, Mode};
use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{need, proc};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::time::Duration;

/// Five deaths in ten seconds make the keeper careful, so the kills of one daemon are this far apart at least.
const BETWEEN_KILLS_MS: u64 = 2550;

/// The random part of the distance: many times as long as any single step of the reactor.
const JITTER_MS: u64 = 400;

/// Daemons that are shot at the same time.
const TARGETS: u64 = 5;

/// Programs that end by themselves, with what must be told of each end.
const EXITERS: [(&str, &str, &str); 3] = [
    ("seven", "sh -c 'echo >> seven.runs; sleep 0.2; exit 7'", "exit status 7; not expected"),
    ("zero", "sh -c 'echo >> zero.runs; sleep 0.3; exit 0'", "exit status 0; expected"),
    ("killed", "sh -c 'echo >> killed.runs; sleep 0.25; kill -9 $$'", "terminated by SIGKILL; not expected"),
];

/// Writers with the size at which their logs are rotated, in KB.
const COUNTERS: [(&str, Mode, u64); 3] =
    [("lines", Mode::Line, 100), ("blocks", Mode::Block, 300), ("whole", Mode::Line, 0)];

/// A small generator: the moments of the kills are random, but can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn start(target: u64) -> Daemon {
    let setup = Setup::new(&format!("shot-{target}"));
    let mut sections = String::new();
    for (name, mode, kilobytes) in COUNTERS {
        // The slow ring writes ten times as much, and all of it must still be there at the end.
        let maxbytes = kilobytes * need::by_ring(1, 10);
        let command = counter::command(&setup.sandbox, name, mode, 2);
        sections += &format!(
            "[program:{name}]\ncommand={command}\nstartsecs=0\nstdout_logfile=%(here)s/{name}.log\n\
             stdout_logfile_maxbytes={maxbytes}KB\nstdout_logfile_backups=2000\n"
        );
    }
    for (name, command, _) in EXITERS {
        sections += &format!("[program:{name}]\ncommand={command}\nstartsecs=0\nautorestart=true\n");
    }
    let daemon = setup.start(&sections);
    for (name, ..) in COUNTERS {
        daemon.wait_running(name);
    }
    daemon
}

/// Kills the reactor `kills` times at random moments, then checks everything that was promised.
fn shoot(target: u64, kills: u64) {
    let mut daemon = start(target);
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (target + 1));
    let pids = COUNTERS.map(|(name, ..)| daemon.pid_of(name));
    for _ in 0..kills {
        wait::pass(Duration::from_millis(BETWEEN_KILLS_MS + random.below(JITTER_MS)));
        wait::pass(Duration::from_micros(random.below(1000)));
        let reactor = daemon.reactor();
        proc::signal(reactor, Signal::SIGKILL);
        daemon.next_reactor(reactor);
    }
    let told = daemon.mark();
    daemon.wait_after(told, "exited: seven");
    for (index, (name, ..)) in COUNTERS.iter().enumerate() {
        assert!(proc::alive(pids[index]), "{name} died");
        let copies = daemon
            .sandbox
            .processes()
            .into_iter()
            .filter(|&pid| proc::command_line(pid).get(2).is_some_and(|word| word == name));
        assert_eq!(copies.collect::<Vec<_>>(), [pids[index]], "copies of {name}");
    }
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
    for (name, ..) in COUNTERS {
        counter::check(&daemon.sandbox, name, &format!("{name}.log"));
    }
    check_exits(&daemon, kills);
    assert!(daemon.sandbox.processes().is_empty());
}

/// Every run that ended was told with its true status; a run may be told again only when a kill came in between.
fn check_exits(daemon: &Daemon, kills: u64) {
    let log = daemon.sandbox.read("visord.log");
    for (name, _, status) in EXITERS {
        let ends: Vec<&str> =
            log.lines().filter(|line| line.contains(&format!("exited: {name} ("))).collect();
        let false_ones: Vec<&&str> = ends.iter().filter(|line| !line.contains(status)).collect();
        assert!(false_ones.is_empty(), "told with another status than {status}: {false_ones:?}");
        let runs = daemon.sandbox.read(&format!("{name}.runs")).lines().count();
        // The last run is cut off by the shutdown and told as stopped.
        assert!(ends.len() + 1 >= runs, "{name} ran {runs} times, {} ends were told", ends.len());
        assert!(
            ends.len() <= runs + kills as usize,
            "{name} ran {runs} times, {} ends were told",
            ends.len()
        );
    }
}

fn shoot_all(kills: u64) {
    let gunners: Vec<_> =
        (0..TARGETS).map(|target| std::thread::spawn(move || shoot(target, kills / TARGETS))).collect();
    let misses: Vec<_> = gunners.into_iter().filter_map(|gunner| gunner.join().err()).collect();
    if let Some(first) = misses.into_iter().next() {
        std::panic::resume_unwind(first);
    }
}

#[test]
fn killed_reactors_under_load_lose_no_program_no_log_line_and_no_exit_status() {
    if ours("keeper and reactor") {
        shoot_all(need::by_ring(50, 500));
    }
}

#[test]
fn a_killed_reactor_is_replaced_and_its_programs_are_told_of_by_their_old_pids() {
    if !ours("keeper and reactor") {
        return;
    }
    let daemon = Daemon::start("one-shot", "[program:web]\ncommand=sleep 1000\nstartsecs=0");
    let web = daemon.wait_running("web");
    let reactor = daemon.reactor();
    proc::signal(reactor, Signal::SIGKILL);
    daemon.next_reactor(reactor);
    assert!(proc::alive(web));
    // The new reactor supervises what the old one started.
    proc::signal(web, Signal::SIGKILL);
    let told = daemon.wait_for("exited: web (terminated by SIGKILL; not expected)");
    daemon.wait_after(told, "success: web entered RUNNING state");
    assert_eq!(daemon.count("spawned: 'web'"), 2);
    daemon.stop();
}

#[test]
fn an_exit_while_there_is_no_reactor_is_told_by_the_next_one() {
    if !ours("keeper and reactor") {
        return;
    }
    let daemon = Daemon::start("gap", "[program:brief]\ncommand=sleep 1000\nstartsecs=0\nautorestart=false");
    daemon.wait_for("spawned: 'brief'");
    let reactor = daemon.reactor();
    proc::signal(reactor, Signal::SIGSTOP);
    proc::signal(daemon.pid_of("brief"), Signal::SIGKILL);
    proc::signal(reactor, Signal::SIGKILL);
    daemon.next_reactor(reactor);
    daemon.wait_for("exited: brief (terminated by SIGKILL; not expected)");
    // A reactor that dies between saying and remembering lets the next one say it again, of the same pid.
    let spawned = daemon
        .lines()
        .into_iter()
        .filter_map(|line| line.split("spawned: 'brief' with ").nth(1).map(str::to_owned));
    assert_eq!(spawned.collect::<BTreeSet<_>>().len(), 1, "spawned again although autorestart=false");
    daemon.stop();
}

#[test]
fn an_edited_but_unapplied_configuration_is_not_picked_up_by_a_new_reactor() {
    if !ours("keeper and reactor") {
        return;
    }
    let daemon = Daemon::start("unapplied", "[program:web]\ncommand=sleep 1000\nstartsecs=0");
    let web = daemon.wait_running("web");
    daemon.sandbox.config("", "[program:other]\ncommand=sleep 1000\nstartsecs=0");
    let reactor = daemon.reactor();
    proc::signal(reactor, Signal::SIGKILL);
    daemon.next_reactor(reactor);
    proc::signal(web, Signal::SIGKILL);
    daemon.wait_for("exited: web (terminated by SIGKILL; not expected)");
    assert_eq!(daemon.count("spawned: 'other'"), 0);
    daemon.stop();
}

#[test]
fn a_termination_in_flight_survives_the_death_of_the_reactor() {
    if !ours("keeper and reactor") {
        return;
    }
    let mut daemon = Setup::new("stop-in-flight")
        .file("slow.sh", "trap 'touch told; sleep 1; exit 0' TERM; touch up; while :; do sleep 0.05; done")
        .start("[program:slow]\ncommand=bash slow.sh\nstartsecs=0");
    wait::until(LONG, "the program", || daemon.sandbox.path("up").exists().then_some(()));
    daemon.signal(Signal::SIGTERM);
    wait::until(LONG, "the program to hear", || daemon.sandbox.path("told").exists().then_some(()));
    proc::signal(daemon.reactor(), Signal::SIGKILL);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
    daemon.wait_for("stopped: slow (exit status 0)");
    assert!(daemon.sandbox.processes().is_empty());
}

#[test]
fn a_signal_on_its_way_to_a_reactor_that_dies_is_told_to_the_next_one() {
    if !ours("keeper and reactor") {
        return;
    }
    let mut daemon = Daemon::start("signal-in-flight", "[program:web]\ncommand=sleep 1000\nstartsecs=0");
    daemon.wait_running("web");
    let (keeper, reactor) = (daemon.keeper(), daemon.reactor());
    proc::signal(reactor, Signal::SIGSTOP);
    wait::until(LONG, "the reactor to stand still", || (proc::state(reactor) == Some('T')).then_some(()));
    let before = proc::switches(keeper);
    daemon.signal(Signal::SIGTERM);
    // The keeper woke up, wrote what it had to say, and sleeps again.
    let has_told = || proc::switches(keeper) > before && proc::state(keeper) == Some('S');
    wait::until(LONG, "the keeper to tell it", || has_told().then_some(()));
    proc::signal(reactor, Signal::SIGKILL);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
    assert!(daemon.sandbox.processes().is_empty());
}

#[test]
fn a_reactor_that_cannot_be_set_up_is_tried_again_and_never_ends_the_daemon() {
    if !ours("keeper and reactor") {
        return;
    }
    let daemon = Daemon::start(
        "cramped",
        "[program:many]\nprocess_name=many_%(process_num)d\nnumprocs=10\ncommand=sleep 1000\nstartsecs=0",
    );
    wait::until(LONG, "all programs", || (daemon.count("success: many_") == 10).then_some(()));
    let (keeper, reactor) = (daemon.keeper(), daemon.reactor());
    let limit = |limit: String| {
        let pid = keeper.to_string();
        let output =
            daemon.sandbox.command("prlimit").args(["--pid", &pid, &limit]).output().expect("prlimit");
        assert!(output.status.success(), "{output:?}");
    };
    // Room for the connection to the next reactor, and none for what that needs.
    limit(format!("--nofile={}:", proc::descriptors(keeper).len() + 2));
    proc::signal(reactor, Signal::SIGKILL);
    wait::until(LONG, "a reactor to fail", || {
        daemon.errors().iter().any(|line| line.contains("Too many open files")).then_some(())
    });
    assert!(proc::alive(keeper), "the keeper went and left its programs behind");
    limit("--nofile=1024:".to_owned());
    daemon.wait_for("the reactor died and was replaced");
    let log = daemon.stop();
    assert_eq!(log.iter().filter(|line| line.contains("stopped: many_")).count(), 10);
}

#[test]
fn a_reactor_that_answers_is_not_replaced_however_often_it_is_told_to_end() {
    if !ours("keeper and reactor") {
        return;
    }
    let mut daemon = Setup::new("impatient")
        .file("stubborn.sh", "trap '' TERM; touch up; while :; do sleep 0.1; done")
        .start("[program:stubborn]\ncommand=bash stubborn.sh\nstartsecs=0\nstopwaitsecs=12\n");
    wait::until(LONG, "the program", || daemon.sandbox.path("up").exists().then_some(()));
    let mut from = 0;
    for _ in 0..5 {
        daemon.signal(Signal::SIGTERM);
        from = daemon.wait_after(from, "received SIGTERM indicating exit request") + 1;
    }
    daemon.wait_exit(2 * LONG);
    assert_eq!(daemon.count("the reactor died"), 0, "{:?}", daemon.lines());
}
