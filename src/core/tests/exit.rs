//! Rules of `exit.rs`: `autorestart`, `exitcodes`, left-overs, and the bound on restarts.

use crate::core::backoff::RESTARTS_PER_SECOND_MAX;
use crate::core::testing::{Bench, WEB};
use crate::core::{Action, Desired, Input, Reply};
use crate::model::spec::AutoRestart;
use crate::model::{ExitStatus, Signal, State};
use std::time::Duration;

#[test]
fn autorestart_decides_by_the_exit_code() {
    for (policy, code, restarts) in [
        (AutoRestart::False, 1, false),
        (AutoRestart::Unexpected, 1, true),
        (AutoRestart::Unexpected, 0, false),
        (AutoRestart::Unexpected, 2, false),
        (AutoRestart::True, 0, true),
    ] {
        let mut bench = Bench::one(|spec| (spec.autorestart, spec.exitcodes) = (policy, vec![0, 2]));
        bench.up();
        bench.exit(code);
        assert_eq!(bench.state(), State::Exited);
        bench.swept(0);
        let state = if restarts { State::Starting } else { State::Exited };
        assert_eq!(bench.state(), state, "{policy:?} after {code}");
        let desired = bench.core.process(WEB).unwrap().desired();
        assert_eq!(desired == Desired::Up, restarts);
    }
}

#[test]
fn a_death_by_signal_is_never_expected() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    let status = ExitStatus::Signaled { signal: Signal::SEGV, core: true };
    bench.give(Input::Exited { run: bench.run(WEB), status, at: bench.now });
    assert_eq!(bench.lines(), ["exited: web (terminated by SIGSEGV (core dumped); not expected)"]);
    let view = bench.core.view(WEB).unwrap();
    assert_eq!((view.exitstatus, view.spawnerr.as_str()), (-1, "Bad exit code -1"));
}

#[test]
fn the_tree_is_cleaned_up_right_before_a_restart() {
    let mut bench = Bench::one(|spec| spec.autorestart = AutoRestart::True);
    bench.up();
    bench.exit(0);
    assert_eq!((bench.state(), bench.effects()), (State::Exited, vec!["sweep SIGTERM".to_owned()]));
    bench.swept(2);
    assert_eq!(bench.deadline_ms(), Some(10_000));
    bench.pass_ms(10_000);
    assert_eq!(bench.effects(), ["sweep SIGKILL"]);
    bench.swept(0);
    assert_eq!(bench.changes(), [(State::Exited, State::Starting)]);
    assert_eq!(bench.effects(), ["forget", "prepare"]);
}

#[test]
fn survivors_of_sigkill_do_not_hold_a_restart_for_ever() {
    let mut bench = Bench::one(|spec| spec.autorestart = AutoRestart::True);
    bench.up();
    bench.exit(0);
    bench.swept(1);
    bench.pass_ms(12_000);
    assert_eq!(bench.state(), State::Starting);
}

#[test]
fn explicit_group_keys_restart_without_a_clean_up() {
    let mut bench =
        Bench::one(|spec| (spec.autorestart, spec.stopasgroup) = (AutoRestart::True, Some(false)));
    bench.up();
    bench.exit(0);
    assert_eq!(bench.changes(), [(State::Running, State::Exited), (State::Exited, State::Starting)]);
    assert_eq!(bench.effects(), ["forget", "prepare"]);
}

#[test]
fn left_overs_of_an_exit_without_a_restart_are_left_alone_and_shown() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.exit(0);
    assert_eq!(bench.effects(), ["sweep"]);
    bench.swept(3);
    assert_eq!(bench.core.view(WEB).unwrap().left, 3);
    assert_eq!(bench.core.next_deadline(), None);
    bench.swept(0);
    assert_eq!((bench.core.view(WEB).unwrap().left, bench.effects()), (0, vec!["forget".to_owned()]));
    assert_eq!(bench.state(), State::Exited);
}

#[test]
fn an_explicit_stop_cleans_up_what_an_exit_left_behind() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.exit(0);
    bench.swept(3);
    assert_eq!(bench.ask_stop(true), None);
    assert_eq!(bench.effects(), ["sweep SIGTERM"]);
    bench.swept(0);
    assert_eq!((bench.state(), bench.replies()), (State::Stopped, vec![(1, Reply::Done)]));
}

#[test]
fn a_stop_between_exit_and_restart_wins() {
    let mut bench = Bench::one(|spec| spec.autorestart = AutoRestart::True);
    bench.up();
    bench.exit(0);
    assert_eq!(bench.ask_stop(true), None);
    bench.swept(0);
    assert_eq!((bench.state(), bench.replies()), (State::Stopped, vec![(1, Reply::Done)]));
    bench.pass_ms(60_000);
    assert_eq!(bench.state(), State::Stopped);
}

#[test]
fn a_program_that_ends_at_once_is_restarted_a_bounded_number_of_times() {
    let mut bench = Bench::one(|spec| {
        (spec.startsecs, spec.autorestart, spec.stopasgroup) = (0, AutoRestart::True, Some(true))
    });
    let mut starts = Vec::new();
    while starts.last().is_none_or(|last| *last < bench.now.0.min(160_000_000_000)) || starts.len() < 50 {
        bench.spawned();
        starts.push(bench.now.0);
        bench.exit(1);
        while bench.state() == State::Exited {
            bench.pass_ms(10);
        }
        assert!(bench.actions.iter().any(|action| matches!(action, Action::Prepare { .. })));
        if starts.len() > 60 {
            break;
        }
    }
    let within = |at: u64| starts.iter().filter(|start| (at..=at + 1_000_000_000).contains(*start)).count();
    let most = starts.iter().map(|at| within(*at)).max().unwrap();
    assert!(most <= RESTARTS_PER_SECOND_MAX as usize, "{most} starts in a second");
    assert!(starts[60] - starts[0] > 10_000_000_000, "60 restarts took {} ns", starts[60] - starts[0]);
}

#[test]
fn an_end_is_judged_by_when_it_came_and_not_by_when_it_is_told() {
    for (lived_ms, state) in [(1500, State::Backoff), (2999, State::Backoff), (3000, State::Exited)] {
        let mut bench = Bench::one(|spec| (spec.startsecs, spec.autorestart) = (3, AutoRestart::False));
        bench.spawned();
        let at = bench.now.after(Duration::from_millis(lived_ms));
        // Nobody looks for a while, and then the news come all at once.
        bench.now = bench.now.after_secs(5);
        bench.give(Input::Swept { run: bench.run(WEB), left: 1 });
        assert_eq!(bench.state(), State::Starting, "news of a run move no timer");
        bench.give(Input::Exited { run: bench.run(WEB), status: ExitStatus::Code(0), at });
        assert_eq!(bench.state(), state, "{lived_ms} ms");
    }
}
