//! Rules of `stop.rs`: signals, patience, SIGKILL, left-overs, and that a stop beats a start in flight.

use crate::core::testing::{Bench, WEB};
use crate::core::{Input, Reply, Request, SpawnError};
use crate::model::{ExitStatus, Pid, Signal, State};

#[test]
fn a_stop_asks_the_main_process_and_sweeps_its_tree() {
    let mut bench = Bench::one(|spec| spec.stopsignal = Signal::INT);
    bench.up();
    assert_eq!(bench.ask_stop(true), None);
    assert_eq!(bench.changes(), [(State::Running, State::Stopping)]);
    assert_eq!(bench.effects(), ["SIGINT"]);
    assert_eq!(bench.lines(), ["killing web (pid 4001) with signal SIGINT", "waiting for web to stop"]);
    assert_eq!(bench.deadline_ms(), Some(10_000));
    bench.exit(0);
    assert_eq!(
        (bench.lines(), bench.effects()),
        (vec!["stopped: web (exit status 0)"], vec!["sweep SIGTERM".into()])
    );
    assert_eq!(bench.state(), State::Stopping);
    bench.swept(2);
    assert_eq!(bench.state(), State::Stopping);
    bench.swept(0);
    assert_eq!(bench.changes(), [(State::Stopping, State::Stopped)]);
    assert_eq!(bench.effects(), ["forget"]);
    assert_eq!(bench.replies(), [(1, Reply::Done)]);
    assert_eq!(bench.core.next_deadline(), None);
}

#[test]
fn at_the_deadline_the_tree_is_killed_again_and_again_until_it_ends() {
    let mut bench = Bench::one(|spec| spec.stopwaitsecs = 3);
    bench.up();
    bench.ask_stop(false);
    bench.pass_ms(2999);
    assert_eq!(bench.effects(), [""; 0]);
    for _ in 0..3 {
        bench.pass_ms(3000);
        assert_eq!(bench.effects(), ["SIGKILL tree"]);
        let lines = ["killing 'web' (4001) with SIGKILL", "killing web (pid 4001) with signal SIGKILL"];
        assert_eq!(bench.lines(), lines);
    }
    bench.give(Input::Exited {
        run: bench.run(WEB),
        status: ExitStatus::Signaled { signal: Signal::KILL, core: false },
        at: bench.now,
    });
    assert_eq!(bench.lines(), ["stopped: web (terminated by SIGKILL)"]);
    assert_eq!(bench.effects(), ["sweep SIGKILL"]);
    bench.swept(1);
    bench.pass_ms(2000);
    assert_eq!(bench.lines(), ["1 left-over process of 'web' did not end after SIGKILL, going on without"]);
    assert_eq!(bench.state(), State::Stopped);
    assert_eq!(bench.core.view(WEB).unwrap().exitstatus, -1);
}

#[test]
fn a_process_that_has_gone_is_not_killed_because_the_news_came_late() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.ask_stop(false);
    bench.now.0 += 60_000_000_000;
    bench.exit(0);
    assert!(!bench.effects().contains(&"SIGKILL tree".to_owned()), "{:?}", bench.effects());
    assert_eq!(bench.lines(), ["stopped: web (exit status 0)"]);
}

#[test]
fn left_overs_that_ignore_the_stop_are_killed_at_the_same_deadline() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.ask_stop(true);
    bench.pass_ms(4000);
    bench.exit(0);
    bench.swept(3);
    assert_eq!(bench.deadline_ms(), Some(6000));
    bench.pass_ms(6000);
    assert_eq!(bench.effects(), ["sweep SIGKILL"]);
    assert_eq!(bench.lines(), ["killing 3 left-over processes of 'web' with SIGKILL"]);
    bench.swept(0);
    assert_eq!(bench.replies(), [(1, Reply::Done)]);
}

#[test]
fn explicit_group_keys_are_obeyed_as_supervisord_does() {
    for (stop, kill, asked, killed) in [
        (Some(true), None, "SIGTERM group", "SIGKILL group"),
        (Some(false), None, "SIGTERM", "SIGKILL"),
        (None, Some(true), "SIGTERM", "SIGKILL group"),
        (None, Some(false), "SIGTERM", "SIGKILL"),
        (Some(true), Some(true), "SIGTERM group", "SIGKILL group"),
    ] {
        let mut bench = Bench::one(|spec| (spec.stopasgroup, spec.killasgroup) = (stop, kill));
        bench.up();
        bench.ask_stop(false);
        assert_eq!(bench.effects(), [asked]);
        let as_group = if asked.ends_with("group") { "process group " } else { "" };
        assert_eq!(bench.lines(), [format!("killing web (pid 4001) {as_group}with signal SIGTERM")]);
        bench.pass_ms(10_000);
        assert_eq!(bench.effects(), [killed]);
        bench.exit(0);
        assert_eq!((bench.state(), bench.effects()), (State::Stopped, vec!["forget".to_owned()]));
    }
}

#[test]
fn without_patience_sigkill_follows_at_once_but_does_not_spin() {
    let mut bench = Bench::one(|spec| spec.stopwaitsecs = 0);
    bench.up();
    bench.ask_stop(false);
    assert_eq!((bench.effects(), bench.deadline_ms()), (vec!["SIGTERM".to_owned()], Some(0)));
    bench.give(Input::Tick);
    assert_eq!((bench.effects(), bench.deadline_ms()), (vec!["SIGKILL tree".to_owned()], Some(1000)));
}

#[test]
fn stop_during_backoff_cancels_restart() {
    let mut bench = Bench::one(|_| {});
    bench.give(Input::Prepared { run: bench.run(WEB), result: Err(SpawnError::Empty) });
    assert_eq!(bench.state(), State::Backoff);
    assert_eq!(bench.ask_stop(true), Some(Reply::Done));
    assert_eq!(bench.changes(), [(State::Backoff, State::Stopped)]);
    assert_eq!(bench.core.next_deadline(), None);
    assert_eq!(bench.core.view(WEB).unwrap().attempt, 0, "a later start begins afresh");
    bench.pass_ms(60_000);
    assert_eq!(bench.state(), State::Stopped);
}

#[test]
fn stop_during_prepare_leaks_no_child() {
    let mut bench = Bench::one(|_| {});
    let run = bench.run(WEB);
    assert_eq!(bench.ask_stop(true), Some(Reply::Done));
    assert_eq!(bench.changes(), [(State::Starting, State::Stopping), (State::Stopping, State::Stopped)]);
    assert_eq!(bench.effects(), ["forget"]);
    bench.give(Input::Prepared { run, result: Ok(()) });
    assert_eq!(bench.actions, []);
}

#[test]
fn stop_during_spawn_stops_the_child_at_once() {
    let mut bench = Bench::one(|_| {});
    let run = bench.run(WEB);
    bench.give(Input::Prepared { run, result: Ok(()) });
    assert_eq!(bench.ask_stop(true), None);
    assert_eq!((bench.state(), bench.effects().len()), (State::Stopping, 0));
    bench.give(Input::Spawned { run, pid: Pid(4001) });
    assert_eq!(bench.effects(), ["SIGTERM"]);
    assert_eq!(bench.deadline_ms(), Some(10_000));
    bench.exit(0);
    bench.swept(0);
    assert_eq!(bench.replies(), [(1, Reply::Done)]);
    assert_eq!(bench.state(), State::Stopped);
}

#[test]
fn stop_during_spawn_ends_with_a_spawn_that_fails() {
    let mut bench = Bench::one(|_| {});
    let run = bench.run(WEB);
    bench.give(Input::Prepared { run, result: Ok(()) });
    bench.ask_stop(true);
    bench.give(Input::SpawnFailed { run, error: SpawnError::TooManyFiles("web".to_owned()) });
    assert_eq!((bench.state(), bench.replies()), (State::Stopped, vec![(1, Reply::Done)]));
}

#[test]
fn a_signal_that_cannot_be_sent_makes_it_unknown_and_its_exit_is_dealt_with() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    assert_eq!(bench.ask_stop(true), None);
    bench.give(Input::SignalFailed { run: bench.run(WEB), errno: "EPERM".to_owned() });
    let text = "unknown problem killing web (4001): EPERM";
    assert_eq!(bench.changes(), [(State::Stopping, State::Unknown)]);
    assert_eq!((bench.lines(), bench.replies()), (vec![text], vec![(1, Reply::Failed(text.to_owned()))]));
    assert_eq!(bench.core.next_deadline(), None);
    assert_eq!(bench.ask_stop(true), Some(Reply::NotRunning));
    assert!(matches!(bench.ask_start(true), Some(Reply::Failed(_))));
    bench.exit(0);
    assert_eq!(bench.lines(), ["stopped: web (exit status 0)"]);
    assert_eq!(bench.state(), State::Stopped);
}

#[test]
fn an_unknown_process_that_is_wanted_is_restarted_when_it_ends() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.ask(Request::Signal { process: WEB, signal: Signal::USR1 });
    bench.give(Input::SignalFailed { run: bench.run(WEB), errno: "EPERM".to_owned() });
    bench.exit(1);
    assert_eq!(bench.changes(), [(State::Unknown, State::Exited)]);
    bench.swept(0);
    assert_eq!(bench.state(), State::Starting);
}

#[test]
fn an_unexpected_end_on_request_is_a_warning() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.ask_stop(false);
    bench.exit(7);
    let warned = |action: &crate::core::Action| matches!(action, crate::core::Action::Log { level: crate::model::Level::Warn, text } if text == "stopped: web (exit status 7)");
    assert!(bench.actions.iter().any(warned));
}
