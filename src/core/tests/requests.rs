//! Rules of `request.rs`: supervisord's answers by state, and that everybody gets one.

use crate::core::testing::{BOB, Bench, WEB};
use crate::core::{Input, Reply, Request, SpawnError};
use crate::model::{Signal, State};

fn stopped() -> Bench {
    Bench::one(|spec| spec.autostart = false)
}

#[test]
fn a_start_that_waits_is_answered_when_it_runs() {
    let mut bench = stopped();
    assert_eq!(bench.ask_start(true), None);
    assert_eq!((bench.state(), bench.effects()), (State::Stopped, vec!["prepare".to_owned()]));
    bench.spawned();
    assert_eq!((bench.state(), bench.replies()), (State::Starting, vec![]));
    bench.pass_ms(1000);
    assert_eq!(bench.replies(), [(1, Reply::Done)]);
}

#[test]
fn a_start_that_does_not_wait_is_answered_when_the_child_is_there() {
    let mut bench = stopped();
    assert_eq!(bench.ask_start(false), None);
    bench.spawned();
    assert_eq!(bench.replies(), [(1, Reply::Done)]);
}

#[test]
fn a_command_that_is_not_there_is_refused_and_changes_nothing() {
    let mut bench = stopped();
    bench.ask_start(true);
    let error = SpawnError::NotFound("nope".to_owned());
    bench.give(Input::Prepared { run: bench.run(WEB), result: Err(error.clone()) });
    assert_eq!(bench.replies(), [(1, Reply::Refused(error))]);
    assert_eq!((bench.state(), bench.changes(), bench.lines().len()), (State::Stopped, vec![], 0));
    assert_eq!(bench.effects(), ["forget"]);
}

#[test]
fn a_start_whose_logs_cannot_be_opened_is_a_spawn_error() {
    let mut bench = stopped();
    bench.ask_start(true);
    let error = SpawnError::Dispatchers { name: "web".to_owned(), errno: "ENOENT".to_owned() };
    bench.give(Input::Prepared { run: bench.run(WEB), result: Err(error) });
    let text = "unknown error making dispatchers for 'web': ENOENT".to_owned();
    assert_eq!(bench.replies(), [(1, Reply::SpawnError(text))]);
    assert_eq!(bench.changes(), [(State::Stopped, State::Starting), (State::Starting, State::Backoff)]);
}

#[test]
fn a_start_is_answered_at_its_first_failure_though_retries_go_on() {
    let mut bench = stopped();
    bench.ask_start(true);
    bench.spawned();
    bench.exit(1);
    let text = "Exited too quickly (process log may have details)".to_owned();
    assert_eq!((bench.replies(), bench.state()), (vec![(1, Reply::SpawnError(text))], State::Backoff));
}

#[test]
fn a_stop_ends_the_wait_of_a_start() {
    let mut bench = stopped();
    bench.ask_start(true);
    bench.spawned();
    bench.ask_stop(true);
    assert_eq!(bench.replies(), [(1, Reply::AbnormalTermination)]);
    let mut bench = stopped();
    bench.ask_start(true);
    bench.ask_stop(true);
    assert_eq!(bench.replies(), [(1, Reply::AbnormalTermination), (2, Reply::Done)]);
    assert_eq!((bench.state(), bench.effects()), (State::Stopped, vec!["forget".to_owned()]));
}

#[test]
fn a_start_that_is_called_off_does_not_get_the_reason_of_an_earlier_failure() {
    let mut bench = Bench::one(|spec| spec.startretries = 0);
    bench.spawned();
    bench.exit(1);
    assert_eq!(bench.state(), State::Fatal);
    bench.ask_start(true);
    bench.ask_stop(true);
    assert_eq!(bench.replies(), [(1, Reply::AbnormalTermination), (2, Reply::Done)]);
}

#[test]
fn answers_by_state_are_supervisords() {
    let mut bench = stopped();
    assert_eq!(bench.ask_stop(true), Some(Reply::NotRunning));
    let signal = Request::Signal { process: WEB, signal: Signal::HUP };
    assert_eq!(bench.ask(signal.clone()), Some(Reply::NotRunning));
    bench.ask_start(false);
    bench.spawned();
    assert_eq!(bench.ask_start(true), Some(Reply::AlreadyStarted));
    bench.pass_ms(1000);
    assert_eq!(bench.ask_start(false), Some(Reply::AlreadyStarted));
    assert_eq!(bench.ask(signal.clone()), Some(Reply::Done));
    assert_eq!(
        (bench.effects(), bench.lines()),
        (vec!["SIGHUP".to_owned()], vec!["sending web (pid 4001) sig SIGHUP"])
    );
    assert_eq!(bench.ask_stop(false), Some(Reply::Done));
    assert_eq!(bench.ask_stop(true), Some(Reply::NotRunning), "STOPPING is not running");
    assert_eq!(bench.ask_start(true), Some(Reply::AbnormalTermination));
    assert_eq!(bench.ask_start(false), Some(Reply::Done));
    assert_eq!(bench.ask(signal), Some(Reply::Done), "a process that is stopping can be signalled");
    assert_eq!(bench.state(), State::Stopping);
}

#[test]
fn a_backing_off_process_counts_as_started_and_cannot_be_signalled() {
    let mut bench = Bench::one(|_| {});
    bench.spawned();
    bench.exit(1);
    assert_eq!(bench.ask_start(true), Some(Reply::AlreadyStarted));
    let signal = Request::Signal { process: WEB, signal: Signal::HUP };
    assert_eq!(bench.ask(signal), Some(Reply::NotRunning));
}

#[test]
fn a_program_that_must_not_run_is_refused_with_the_reason() {
    let mut bench = Bench::one(|spec| (spec.autostart, spec.refused) = (false, Some("no".to_owned())));
    let reply = Reply::Refused(SpawnError::Refused("no".to_owned()));
    assert_eq!(bench.ask_start(true), Some(reply));
    assert_eq!(bench.state(), State::Fatal);
}

#[test]
fn nobody_is_served_while_the_daemon_ends() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    assert_eq!(bench.ask(Request::Shutdown), Some(Reply::Done));
    assert_eq!(bench.ask_start(true), Some(Reply::ShuttingDown));
    assert_eq!(bench.ask(Request::Reload), Some(Reply::ShuttingDown));
}

fn restart(wait: bool) -> Request {
    Request::Restart { process: WEB, wait }
}

#[test]
fn a_restart_stops_and_starts_and_is_answered_as_a_start() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    assert_eq!(bench.ask(restart(true)), None);
    assert_eq!((bench.state(), bench.effects()), (State::Stopping, vec!["SIGTERM".to_owned()]));
    bench.exit(0);
    bench.swept(0);
    assert_eq!(bench.changes(), [(State::Stopping, State::Stopped), (State::Stopped, State::Starting)]);
    assert_eq!(bench.effects(), ["forget", "prepare"]);
    let view = bench.core.view(WEB).unwrap();
    assert_eq!((view.cause.as_str(), view.actor), ("restart requested", BOB));
    bench.spawned();
    bench.pass_ms(1000);
    assert_eq!(bench.replies(), [(1, Reply::Done)]);
}

#[test]
fn a_restart_that_does_not_wait_is_answered_at_once() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    assert_eq!(bench.ask(restart(false)), Some(Reply::Done));
    bench.exit(0);
    bench.swept(0);
    bench.up();
}

#[test]
fn a_restart_of_what_does_not_run_is_a_start() {
    let mut bench = stopped();
    assert_eq!(bench.ask(restart(true)), None);
    let error = SpawnError::NotFound("nope".to_owned());
    bench.give(Input::Prepared { run: bench.run(WEB), result: Err(error.clone()) });
    assert_eq!((bench.replies(), bench.state()), (vec![(1, Reply::Refused(error))], State::Stopped));
    // What has not come up yet begins anew at once.
    let mut bench = Bench::one(|_| {});
    let first = bench.run(WEB);
    assert_eq!(bench.ask(restart(false)), None);
    assert_eq!(bench.effects(), ["forget", "prepare"]);
    assert!(bench.run(WEB) > first);
    bench.spawned();
    assert_eq!(bench.replies(), [(1, Reply::Done)]);
}

#[test]
fn a_stop_beats_a_restart_and_a_restart_a_stop_before_it() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    assert_eq!(bench.ask(restart(true)), None);
    assert_eq!(bench.ask_stop(true), None);
    assert_eq!((bench.replies(), bench.effects()), (vec![(1, Reply::AbnormalTermination)], vec![]));
    assert_eq!(bench.ask_stop(false), Some(Reply::NotRunning));
    assert_eq!(bench.ask(restart(false)), Some(Reply::Done));
    assert_eq!(bench.ask_stop(false), Some(Reply::Done));
    bench.exit(0);
    bench.swept(0);
    assert_eq!((bench.replies(), bench.state()), (vec![(2, Reply::Done)], State::Stopped));
    bench.ask_start(false);
    bench.up();
    bench.ask_stop(false);
    assert_eq!(bench.ask(restart(false)), Some(Reply::Done));
    bench.exit(0);
    bench.swept(0);
    assert_eq!(bench.state(), State::Starting);
}
