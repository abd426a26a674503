//! Rules of `essential.rs`: whose end is whose.

use crate::core::testing::{Bench, WEB, group, program};
use crate::core::{Action, Core, Finish, Input, Phase, Snapshot};
use crate::model::spec::{AutoRestart, Essential, ProcessSpec};
use crate::model::{ExitStatus, ProcessId, Signal, State};

const OTHER: ProcessId = ProcessId(1);

/// `web`, essential as the test has it, and `other` in the same group; both run.
fn running(essential: Essential, change: impl FnOnce(&mut ProcessSpec)) -> Bench {
    let mut web = ProcessSpec { essential: Some(essential), stopasgroup: Some(true), ..program("web") };
    change(&mut web);
    let other = ProcessSpec { stopasgroup: Some(true), ..program("other") };
    let mut bench = Bench::fleet(vec![group("g", 999, vec![web, other])]);
    bench.spawned_of(WEB);
    bench.spawned_of(OTHER);
    bench.pass_ms(1000);
    bench
}

fn ends(bench: &Bench) -> bool {
    bench.core.phase() == Phase::ShuttingDown
}

#[test]
fn the_daemon_ends_with_the_code_of_its_essential_program() {
    let mut bench = running(Essential::Daemon, |_| {});
    bench.exit(3);
    // Unexpected: it is started again.
    assert!(!ends(&bench));
    bench.spawned();
    bench.pass_ms(1000);
    bench.exit(0);
    assert!(ends(&bench));
    assert!(bench.lines().contains(&"the essential program web ended: the daemon ends with exit code 0"));
    bench.exit_of(OTHER, 0);
    assert!(bench.actions.contains(&Action::Finish(Finish::Exit)));
    assert_eq!(bench.core.exit_code(), 0);
}

#[test]
fn codes_are_those_of_a_shell_and_a_failure_is_never_0() {
    for (status, code) in [
        (ExitStatus::Code(42), 42),
        (ExitStatus::Signaled { signal: Signal::KILL, core: false }, 137),
        (ExitStatus::Unknown, 1),
    ] {
        let mut bench = running(Essential::Daemon, |spec| spec.autorestart = AutoRestart::False);
        bench.give(Input::Exited { run: bench.run(WEB), status, at: bench.now });
        assert_eq!((ends(&bench), bench.core.exit_code()), (true, code));
    }
    let mut bench = Bench::one(|spec| {
        (spec.essential, spec.startretries) = (Some(Essential::Daemon), 0);
    });
    bench.spawned();
    bench.exit(0);
    assert_eq!((bench.state(), ends(&bench), bench.core.exit_code()), (State::Fatal, true, 1));
}

#[test]
fn the_code_outlives_the_reactor() {
    let mut bench = running(Essential::Daemon, |spec| spec.exitcodes = vec![7]);
    bench.exit(7);
    let snapshot = bench.core.snapshot();
    let stored = Snapshot::from_records(snapshot.header, snapshot.records, snapshot.events);
    let core = Core::restore(bench.core.fleet(), stored, bench.now);
    assert_eq!((core.phase(), core.exit_code()), (Phase::ShuttingDown, 7));
}

#[test]
fn a_stop_on_request_ends_nothing_else() {
    let mut bench = running(Essential::Daemon, |_| {});
    bench.ask_stop(false);
    bench.exit(0);
    assert_eq!((bench.state(), ends(&bench)), (State::Stopped, false));
}

#[test]
fn its_group_is_stopped_and_the_daemon_goes_on() {
    let mut bench = running(Essential::Group, |_| {});
    bench.exit(0);
    assert_eq!((bench.state_of(OTHER), ends(&bench)), (State::Stopping, false));
    bench.exit_of(OTHER, 0);
    assert_eq!(bench.state_of(OTHER), State::Stopped);
}

#[test]
fn one_that_must_not_run_ends_nothing() {
    let bench = Bench::one(|spec| {
        spec.refused = Some("not built".to_owned());
        spec.essential = Some(Essential::Daemon);
    });
    assert_eq!((bench.state(), ends(&bench)), (State::Fatal, false));
}
