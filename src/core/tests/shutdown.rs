//! Rules of `shutdown.rs`: order, patience, lines, and that nothing starts any more.

use crate::core::testing::{Bench, WEB, group, program};
use crate::core::{Action, Finish, Input, Phase, Reply, Request, SpawnError};
use crate::model::{ProcessId, Signal, State};

fn signalled(bench: &Bench) -> Vec<String> {
    let of = |action: &Action| match action {
        Action::Signal { run, .. } => {
            bench.core.process(bench.core.owner(*run)?).map(|process| process.spec().name.clone())
        }
        _ => None,
    };
    bench.actions.iter().filter_map(of).collect()
}

fn two_groups() -> Bench {
    let member = |name: &str, priority| {
        let mut spec = program(name);
        spec.priority = priority;
        spec.stopasgroup = Some(true);
        spec
    };
    let early = group("early", 1, vec![member("a", 1)]);
    let late = group("late", 2, vec![member("b", 5), member("c", 9), member("d", 5)]);
    let mut bench = Bench::fleet(vec![early, late]);
    (0..4).for_each(|id| bench.spawned_of(ProcessId(id)));
    bench.pass_ms(1000);
    bench
}

#[test]
fn groups_stop_one_after_the_other_by_descending_priority() {
    let mut bench = two_groups();
    bench.give(Input::Signal(Signal::TERM));
    assert_eq!(bench.core.phase(), Phase::ShuttingDown);
    assert_eq!(bench.lines()[0], "received SIGTERM indicating exit request");
    assert_eq!(bench.lines().last(), Some(&"waiting for a, b, c, d to die"));
    assert_eq!(signalled(&bench), ["c", "d", "b"]);
    bench.exit_of(ProcessId(1), 0);
    bench.exit_of(ProcessId(2), 0);
    assert_eq!(signalled(&bench), [""; 0]);
    bench.pass_ms(2999);
    assert_eq!(bench.lines(), [""; 0]);
    bench.pass_ms(1);
    assert_eq!(bench.lines(), ["waiting for a, d to die"]);
    bench.exit_of(ProcessId(3), 0);
    assert_eq!(signalled(&bench), ["a"]);
    bench.exit_of(ProcessId(0), 0);
    assert_eq!(bench.actions.last(), Some(&Action::Finish(Finish::Exit)));
    assert_eq!(bench.core.next_deadline(), None);
}

#[test]
fn a_program_of_a_later_group_that_ends_meanwhile_is_not_restarted() {
    let mut bench = two_groups();
    bench.give(Input::Signal(Signal::INT));
    bench.exit_of(ProcessId(0), 1);
    assert_eq!(bench.changes(), [(State::Running, State::Exited)]);
    assert_eq!(bench.effects(), ["forget"]);
}

#[test]
fn a_program_of_a_later_group_that_ends_too_early_is_given_up() {
    let member = |name: &str, priority| group(name, priority, vec![program(name)]);
    let mut bench = Bench::fleet(vec![member("a", 1), member("b", 2)]);
    bench.spawned_of(ProcessId(0));
    bench.spawned_of(ProcessId(1));
    bench.give(Input::Signal(Signal::TERM));
    assert_eq!(signalled(&bench), ["b"]);
    bench.exit_of(ProcessId(0), 1);
    assert_eq!(bench.changes(), [(State::Starting, State::Backoff), (State::Backoff, State::Fatal)]);
    assert_eq!(bench.lines(), ["exited: a (exit status 1; not expected)"]);
}

#[test]
fn groups_of_one_priority_stop_together_and_the_next_waits_for_all_of_them() {
    let member = |name: &str, priority| {
        let mut spec = program(name);
        spec.stopasgroup = Some(true);
        group(name, priority, vec![spec])
    };
    let mut bench = Bench::fleet(vec![member("a", 1), member("b", 9), member("c", 9)]);
    (0..3).for_each(|id| bench.spawned_of(ProcessId(id)));
    bench.pass_ms(1000);
    bench.give(Input::Signal(Signal::TERM));
    assert_eq!(signalled(&bench), ["c", "b"]);
    bench.exit_of(ProcessId(2), 0);
    assert_eq!(signalled(&bench), [""; 0]);
    bench.exit_of(ProcessId(1), 0);
    assert_eq!(signalled(&bench), ["a"]);
}

#[test]
fn what_is_not_up_yet_is_called_off() {
    let mut bench = Bench::one(|_| {});
    bench.give(Input::Prepared { run: bench.run(WEB), result: Err(SpawnError::Empty) });
    bench.give(Input::Signal(Signal::QUIT));
    assert_eq!(bench.changes(), [(State::Backoff, State::Fatal)]);
    assert_eq!(bench.actions.last(), Some(&Action::Finish(Finish::Exit)));

    let mut bench = Bench::one(|_| {});
    bench.give(Input::Signal(Signal::QUIT));
    assert_eq!(bench.changes(), [(State::Starting, State::Stopping), (State::Stopping, State::Stopped)]);
    assert_eq!(bench.actions.last(), Some(&Action::Finish(Finish::Exit)));
}

#[test]
fn a_start_that_waits_is_told() {
    let mut bench = Bench::one(|spec| spec.autostart = false);
    bench.ask_start(true);
    bench.give(Input::Signal(Signal::TERM));
    assert_eq!(bench.replies(), [(1, Reply::ShuttingDown)]);
}

#[test]
fn a_reload_stops_everything_and_a_shutdown_wins_over_it() {
    let mut bench = Bench::one(|spec| spec.stopasgroup = Some(false));
    bench.up();
    bench.give(Input::Signal(Signal::HUP));
    assert_eq!(bench.lines()[0], "received SIGHUP indicating restart request");
    assert_eq!(bench.core.phase(), Phase::Reloading);
    bench.give(Input::Signal(Signal::TERM));
    assert_eq!(bench.core.phase(), Phase::ShuttingDown);
    bench.give(Input::Signal(Signal::HUP));
    assert_eq!(bench.lines(), ["ignored SIGHUP indicating restart request (shutdown in progress)"]);
    bench.exit(0);
    assert_eq!(bench.actions.last(), Some(&Action::Finish(Finish::Exit)));
}

#[test]
fn a_reload_request_ends_in_a_new_beginning() {
    let mut bench = Bench::one(|spec| spec.stopasgroup = Some(false));
    bench.up();
    assert_eq!(bench.ask(Request::Reload), Some(Reply::Done));
    bench.exit(0);
    assert_eq!(bench.actions.last(), Some(&Action::Finish(Finish::Reload)));
    let next = crate::core::Core::new_after(bench.core.fleet(), &bench.core.header());
    assert!(next.header().next_run > bench.run(WEB));
}

#[test]
fn left_overs_of_a_program_that_had_ended_do_not_hold_up_the_end() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.exit(0);
    bench.swept(2);
    bench.give(Input::Signal(Signal::TERM));
    assert_eq!(bench.effects(), ["Exit"]);
}
