//! Rules of `start.rs`: order, bounds, `startsecs`, failed attempts, shortage.

use crate::core::testing::{Bench, WEB, group, program};
use crate::core::{Action, Desired, Input, SPAWNS_IN_FLIGHT_MAX, SpawnError};
use crate::model::{ExitStatus, ProcessId, RunId, State};

#[test]
fn boot_starts_what_is_wanted_and_looks_the_command_up_after_the_event() {
    let bench = Bench::one(|_| {});
    assert_eq!(bench.changes(), [(State::Stopped, State::Starting)]);
    assert_eq!(bench.effects(), ["prepare"]);
    assert_eq!(bench.core.next_deadline(), None, "the answer is awaited, not a time");
    let idle = Bench::one(|spec| spec.autostart = false);
    assert_eq!((idle.state(), idle.effects().len()), (State::Stopped, 0));
}

#[test]
fn startsecs_counts_from_the_spawn_and_is_exact() {
    let mut bench = Bench::one(|_| {});
    bench.pass_ms(5000);
    assert_eq!(bench.state(), State::Starting);
    bench.spawned();
    assert_eq!(bench.lines(), ["spawned: 'web' with pid 4001"]);
    assert_eq!(bench.deadline_ms(), Some(1000));
    bench.pass_ms(999);
    assert_eq!(bench.state(), State::Starting);
    bench.pass_ms(1);
    assert_eq!(bench.changes(), [(State::Starting, State::Running)]);
    let success =
        "success: web entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)";
    assert_eq!(bench.lines(), [success]);
    assert_eq!(bench.core.next_deadline(), None);
}

#[test]
fn without_startsecs_it_runs_from_the_spawn_before_a_later_exit() {
    let mut bench = Bench::one(|spec| spec.startsecs = 0);
    bench.spawned();
    assert_eq!(bench.changes(), [(State::Starting, State::Running)]);
    assert!(bench.lines()[1].starts_with("success: web entered RUNNING state"));
    bench.exit(0);
    assert_eq!(bench.lines(), ["exited: web (exit status 0; expected)"]);
    assert_eq!(bench.state(), State::Exited);
}

#[test]
fn an_exit_that_is_reported_with_the_timer_comes_first_and_counts_by_its_time() {
    let mut bench = Bench::one(|_| {});
    bench.spawned();
    bench.now.0 += 999_999_999;
    bench.exit(0);
    assert_eq!(bench.state(), State::Backoff);
    assert_eq!(bench.lines(), ["exited: web (exit status 0; not expected)"]);
    let mut bench = Bench::one(|_| {});
    bench.spawned();
    bench.now.0 += 1_000_000_000;
    bench.exit(0);
    assert_eq!(bench.changes(), [(State::Starting, State::Running), (State::Running, State::Exited)]);
}

#[test]
fn failed_starts_wait_one_second_more_each_and_end_in_fatal() {
    let mut bench = Bench::one(|spec| spec.startretries = 3);
    for attempt in 1..=4 {
        bench.spawned();
        bench.exit(1);
        let view = bench.core.view(WEB).unwrap();
        assert_eq!(view.spawnerr, "Exited too quickly (process log may have details)");
        assert_eq!((view.exitstatus, view.exit), (0, Some(ExitStatus::Code(1))));
        if attempt <= 3 {
            assert_eq!((view.state, view.attempt), (State::Backoff, attempt));
            bench.swept(0);
            assert_eq!(bench.deadline_ms(), Some(u64::from(attempt) * 1000));
            bench.pass_ms(u64::from(attempt) * 1000 - 1);
            assert_eq!(bench.state(), State::Backoff);
            bench.pass_ms(1);
            assert_eq!(bench.state(), State::Starting);
        }
    }
    assert_eq!(bench.changes(), [(State::Starting, State::Backoff), (State::Backoff, State::Fatal)]);
    let gave_up = "gave up: web entered FATAL state, too many start retries too quickly";
    assert_eq!(bench.lines()[1], gave_up);
    assert_eq!(bench.core.next_deadline(), None);
    assert_eq!(bench.core.process(WEB).unwrap().desired(), Desired::Up);
}

#[test]
fn without_retries_the_first_failure_is_fatal() {
    let mut bench = Bench::one(|spec| spec.startretries = 0);
    bench.give(Input::Prepared { run: RunId(1), result: Err(SpawnError::NotFound("nope".to_owned())) });
    assert_eq!(bench.changes(), [(State::Starting, State::Backoff), (State::Backoff, State::Fatal)]);
    assert_eq!(bench.lines()[0], "spawnerr: can't find command 'nope'");
    assert_eq!(bench.core.view(WEB).unwrap().spawnerr, "can't find command 'nope'");
    assert_eq!(bench.effects(), ["forget"]);
}

#[test]
fn a_shortage_of_the_machine_is_not_the_programs_failure() {
    let mut bench = Bench::one(|spec| spec.startretries = 0);
    for wait in [1, 2, 4, 8, 16, 30, 30] {
        bench.spawn_failed(SpawnError::TooManyProcesses("web".to_owned()));
        let view = bench.core.view(WEB).unwrap();
        assert_eq!((view.state, view.attempt), (State::Backoff, 0));
        assert_eq!(view.spawnerr, "Too many processes in process table to spawn 'web'");
        assert_eq!(bench.deadline_ms(), Some(wait * 1000));
        bench.pass_ms(wait * 1000);
        assert_eq!(bench.effects(), ["forget", "prepare"][1..]);
    }
    bench.up();
    assert_eq!(bench.core.view(WEB).unwrap().spawnerr, "");
}

#[test]
fn a_shortage_holds_back_every_queued_start() {
    let programs = (0..SPAWNS_IN_FLIGHT_MAX + 10).map(|n| program(&format!("p{n}"))).collect();
    let mut bench = Bench::fleet(vec![group("g", 1, programs)]);
    let error = SpawnError::TooManyFiles("p0".to_owned());
    for n in 0..SPAWNS_IN_FLIGHT_MAX {
        let run = bench.run(ProcessId(u32::try_from(n).unwrap()));
        bench.give(Input::Prepared { run, result: Err(error.clone()) });
        assert_eq!(bench.effects(), ["forget"], "nothing takes the place");
    }
    assert_eq!(bench.deadline_ms(), Some(1000));
    bench.pass_ms(1000);
    let tried = bench.effects().iter().filter(|effect| *effect == "prepare").count();
    assert_eq!(tried, SPAWNS_IN_FLIGHT_MAX);
}

#[test]
fn starts_in_flight_are_bounded_and_keep_their_order() {
    let mut programs: Vec<_> = (0..SPAWNS_IN_FLIGHT_MAX + 2).map(|n| program(&format!("p{n}"))).collect();
    programs[5].priority = 1;
    let mut bench = Bench::fleet(vec![group("g", 1, programs)]);
    let prepared = |bench: &Bench| -> Vec<u32> {
        let of = |action: &Action| match action {
            Action::Prepare { process, .. } => Some(process.0),
            _ => None,
        };
        bench.actions.iter().filter_map(of).collect()
    };
    let first = prepared(&bench);
    assert_eq!((first.len(), &first[..3]), (SPAWNS_IN_FLIGHT_MAX, &[5, 0, 1][..]));
    bench.spawned_of(ProcessId(5));
    assert_eq!(prepared(&bench), [64]);
    bench.spawned_of(ProcessId(0));
    assert_eq!(prepared(&bench), [65]);
}

#[test]
fn groups_start_by_priority_and_their_members_too_with_ties_in_definition_order() {
    let member = |name: &str, priority| {
        let mut spec = program(name);
        spec.priority = priority;
        spec
    };
    let first = group("first", 1, vec![member("a", 999), member("b", 5), member("c", 999)]);
    let bench = Bench::fleet(vec![group("second", 2, vec![member("z", 1)]), first]);
    let named = |action: &Action| match action {
        Action::Publish(change) => Some(bench.core.process(change.process)?.spec().name.clone()),
        Action::GroupAdded(name) => Some(name.clone()),
        _ => None,
    };
    let order: Vec<_> = bench.actions.iter().filter_map(named).collect();
    assert_eq!(order, ["first", "second", "b", "a", "c", "z"]);
}

#[test]
fn a_program_that_must_not_run_is_fatal_and_never_spawned() {
    let bench = Bench::one(|spec| spec.refused = Some("memory_max= is not built yet".to_owned()));
    assert_eq!(bench.changes(), [(State::Stopped, State::Fatal)]);
    assert_eq!(bench.effects(), [""; 0]);
    assert_eq!(bench.core.view(WEB).unwrap().spawnerr, "memory_max= is not built yet");
    assert!(bench.lines()[0].contains("it must not be started: memory_max="));
}

#[test]
fn a_stale_answer_is_dropped() {
    let mut bench = Bench::one(|_| {});
    bench.spawned();
    let before = bench.core.snapshot();
    bench.give(Input::Exited { run: RunId(77), status: ExitStatus::Code(0), at: bench.now });
    assert_eq!(bench.actions, []);
    assert_eq!(bench.core.snapshot(), before);
}

#[test]
fn a_condition_that_does_not_hold_leaves_it_down_and_nothing_is_tried_again() {
    let mut bench = Bench::one(|_| {});
    let why = "condition_os=macos does not hold: this is linux";
    bench.give(Input::Prepared { run: bench.run(WEB), result: Err(SpawnError::Condition(why.to_owned())) });
    assert_eq!(bench.changes(), [(State::Starting, State::Stopped)]);
    assert_eq!(bench.lines(), [format!("not started: web ({why})")]);
    assert_eq!(bench.core.next_deadline(), None);
    let view = bench.core.view(WEB).expect("web");
    assert_eq!((view.desired, view.attempt, view.start_refused.as_str()), (Desired::Down, 0, why));
    assert_eq!(view.cause, why, "it is stored with the state");
}
