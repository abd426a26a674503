//! Rules of `snapshot.rs`: what comes back, from a whole snapshot and from what was stored on the way.

use crate::core::fleet::RUN_BLOCK;
use crate::core::testing::{Bench, WEB, group, program};
use crate::core::{Core, Header, Input, KeptEvents, Plan, Reply, Request, Snapshot, SpawnError};
use crate::model::spec::{FleetSpec, ProcessSpec};
use crate::model::{ExitStatus, Pid, ProcessId, ProcessRecord, Signal, State, WallTime};
use std::sync::Arc;

/// Replaces the core by what is restored from its header and records, as after a `kill -9` of the reactor.
fn lose_reactor(bench: &mut Bench) {
    let record = bench.core.record(WEB).unwrap();
    let record = ProcessRecord::decode(&record.encode()).unwrap();
    let header = serde_json::to_string(&bench.core.header()).unwrap();
    let header: Header = serde_json::from_str(&header).unwrap();
    let snapshot = Snapshot::from_records(header, vec![(WEB, record)], KeptEvents::default());
    bench.core = Core::restore(bench.core.fleet(), snapshot, bench.now);
}

#[test]
fn a_snapshot_goes_through_text_and_is_the_same() {
    let mut bench = Bench::one(|spec| spec.autostart = false);
    bench.ask_start(true);
    let text = serde_json::to_string(&bench.core.snapshot()).unwrap();
    let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
    assert!(snapshot.is_known());
    bench.core = Core::restore(bench.core.fleet(), snapshot.clone(), bench.now);
    assert_eq!(bench.core.snapshot(), snapshot);
    bench.up();
    assert_eq!(bench.replies(), [(1, Reply::Done)]);
}

#[test]
fn timers_go_on_after_the_loss_of_a_reactor() {
    let mut bench = Bench::one(|_| {});
    bench.spawned();
    bench.pass_ms(400);
    lose_reactor(&mut bench);
    assert_eq!(bench.deadline_ms(), Some(600));
    bench.give(Input::HandedOver);
    assert_eq!(bench.effects(), [""; 0]);
    bench.pass_ms(600);
    assert_eq!(bench.state(), State::Running);
    lose_reactor(&mut bench);
    bench.ask_stop(false);
    lose_reactor(&mut bench);
    assert_eq!((bench.state(), bench.deadline_ms()), (State::Stopping, Some(10_000)));
}

#[test]
fn a_spawn_whose_answer_was_lost_is_told_again() {
    let mut bench = Bench::one(|_| {});
    let run = bench.run(WEB);
    bench.give(Input::Prepared { run, result: Ok(()) });
    lose_reactor(&mut bench);
    bench.give(Input::Spawned { run, pid: Pid(7) });
    bench.give(Input::Exited { run, status: ExitStatus::Code(3), at: bench.now });
    assert_eq!(bench.lines(), ["exited: web (exit status 3; not expected)"]);
    bench.give(Input::HandedOver);
    assert_eq!(bench.state(), State::Backoff);
}

#[test]
fn a_spawn_of_which_the_keeper_knows_nothing_is_prepared_again() {
    let mut bench = Bench::one(|_| {});
    let run = bench.run(WEB);
    bench.give(Input::Prepared { run, result: Ok(()) });
    lose_reactor(&mut bench);
    bench.give(Input::HandedOver);
    assert_eq!(bench.effects(), ["prepare"]);
    bench.up();
}

#[test]
fn what_a_lost_keeper_was_asked_for_is_asked_of_the_next() {
    let mut bench = Bench::one(|_| {});
    bench.give(Input::HandedOver);
    assert_eq!(bench.effects(), [""; 0], "our own workers still owe the answer");
    let run = bench.run(WEB);
    bench.give(Input::Prepared { run, result: Ok(()) });
    bench.give(Input::HandedOver);
    assert_eq!(bench.effects(), ["prepare"]);
    bench.up();
    bench.ask_stop(false);
    bench.exit(0);
    bench.give(Input::HandedOver);
    assert_eq!(bench.effects(), ["sweep SIGTERM"]);
}

#[test]
fn a_core_that_never_booted_boots_after_the_loss_of_its_reactor() {
    let mut bench = Bench::one(|_| {});
    bench.core = Core::new(bench.core.fleet());
    lose_reactor(&mut bench);
    bench.give(Input::HandedOver);
    assert_eq!(bench.effects(), ["prepare"]);
}

#[test]
fn a_sweep_is_asked_for_again() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.ask_stop(false);
    bench.exit(0);
    lose_reactor(&mut bench);
    bench.give(Input::HandedOver);
    assert_eq!(bench.effects(), ["sweep SIGTERM"]);
    bench.swept(0);
    assert_eq!(bench.state(), State::Stopped);
}

#[test]
fn run_numbers_are_never_used_again() {
    let mut bench = Bench::one(|_| {});
    assert!(bench.core.take_header().is_some());
    assert!(bench.core.take_header().is_none());
    let run = bench.run(WEB);
    let header = bench.core.header();
    assert!(header.next_run > run);
    bench.ask_stop(false);
    lose_reactor(&mut bench);
    bench.ask_start(false);
    assert!(bench.run(WEB) >= header.next_run);
    assert!(bench.core.take_header().is_some(), "new numbers are spoken for before they are used");
}

#[test]
fn the_header_changes_once_in_a_block_of_runs() {
    let mut bench = Bench::one(|spec| spec.autostart = false);
    let mut changes = Vec::new();
    bench.core.take_header();
    for start in 0..=RUN_BLOCK {
        bench.ask_start(false);
        if bench.core.take_header().is_some() {
            changes.push(start);
        }
        bench.ask_stop(false);
    }
    assert_eq!(changes, [0, RUN_BLOCK]);
}

#[test]
fn a_record_of_an_earlier_core_is_not_taken_for_ours() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    let stale = bench.core.record(WEB).unwrap();
    let fleet = bench.core.fleet();
    let mut core = Core::new_after(fleet.clone(), &bench.core.header());
    core.handle(bench.now, WallTime(0), Input::Boot);
    let snapshot = Snapshot::from_records(core.header(), vec![(WEB, stale)], KeptEvents::default());
    bench.core = Core::restore(fleet, snapshot, bench.now);
    assert_eq!(bench.state(), State::Stopped);
    bench.give(Input::HandedOver);
    assert_eq!(bench.effects(), ["prepare"], "it was to be started, and nothing of that was stored yet");
}

#[test]
fn an_end_that_was_under_way_goes_on() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.give(Input::Signal(Signal::TERM));
    lose_reactor(&mut bench);
    bench.give(Input::HandedOver);
    bench.exit(0);
    bench.swept(0);
    assert_eq!(bench.effects(), ["forget", "Exit"]);
}

#[test]
fn a_stop_signal_that_may_be_lost_is_sent_again_with_all_patience() {
    for is_reactor in [true, false] {
        let mut bench = Bench::one(|_| {});
        bench.up();
        bench.ask_stop(false);
        bench.pass_ms(9000);
        if is_reactor {
            lose_reactor(&mut bench);
        }
        // Nobody looked for longer than that.
        bench.now = bench.now.after_secs(60);
        bench.give(Input::HandedOver);
        assert_eq!((bench.effects(), bench.changes()), (vec!["SIGTERM".to_owned()], vec![]));
        bench.pass_ms(9999);
        assert_eq!(bench.effects(), [""; 0]);
        bench.pass_ms(1);
        assert_eq!(bench.effects(), ["SIGKILL tree"]);
        bench.give(Input::HandedOver);
        assert_eq!(bench.effects(), [""; 0], "who got SIGKILL gets it again in time");
    }
}

/// Replaces the core by what is restored from all that is stored, whatever is there by now.
fn lose_reactor_in_an_update(bench: &mut Bench) {
    let ids = bench.core.processes().map(|(id, _)| id);
    let records = ids.filter_map(|id| Some((id, bench.core.record(id)?))).collect();
    let plan = serde_json::from_str(&serde_json::to_string(&bench.core.plan()).unwrap()).unwrap();
    let snapshot =
        Snapshot::from_records(bench.core.header(), records, KeptEvents::default()).with_plan(plan);
    bench.core = Core::restore(bench.core.fleet(), snapshot, bench.now);
}

fn with_startsecs(startsecs: i64) -> FleetSpec {
    let of = |name: &str| ProcessSpec { startsecs, ..program(name) };
    FleetSpec { groups: vec![group("web", 999, vec![of("web"), of("db")])] }
}

#[test]
fn an_update_goes_on_with_what_people_wanted() {
    let mut bench = Bench::fleet(with_startsecs(1).groups);
    let db = ProcessId(1);
    bench.spawned_of(WEB);
    bench.spawned_of(db);
    bench.pass_ms(1000);
    bench.ask(Request::Stop { process: db, wait: false });
    bench.exit_of(db, 0);
    bench.give(Input::Swept { run: bench.run(db), left: 0 });
    assert!(!bench.core.take_plan_change());
    bench.give(Input::FleetLoaded(with_startsecs(5)));
    assert!(bench.core.take_plan_change(), "stored before anybody is stopped");
    bench.give(Input::FleetLoaded(with_startsecs(5)));
    assert!(!bench.core.take_plan_change(), "once");
    lose_reactor_in_an_update(&mut bench);
    bench.give(Input::HandedOver);
    bench.exit(0);
    bench.swept(0);
    assert_eq!(bench.core.fleet(), with_startsecs(5));
    assert_eq!((bench.state(), bench.state_of(db)), (State::Starting, State::Stopped));
    assert_eq!(bench.core.plan().target, None, "it is done");
}

#[test]
fn a_group_that_only_the_header_knows_is_added_again() {
    let mut bench = Bench::fleet(with_startsecs(1).groups);
    bench.ask_stop(false);
    bench.ask(Request::Stop { process: ProcessId(1), wait: false });
    bench.give(Input::FleetLoaded(with_startsecs(5)));
    // It was replaced at once; what the state file says is still of before.
    let plan = Plan { target: Some(with_startsecs(5)), ..Plan::fresh(&with_startsecs(1), None) };
    let snapshot =
        Snapshot::from_records(bench.core.header(), Vec::new(), KeptEvents::default()).with_plan(plan);
    bench.core = Core::restore(with_startsecs(1), snapshot, bench.now);
    bench.give(Input::HandedOver);
    assert_eq!(bench.core.fleet(), with_startsecs(5));
}

#[test]
fn what_changes_live_during_an_update_is_not_undone_by_it() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    let mut target = with_startsecs(5);
    bench.give(Input::FleetLoaded(target.clone()));
    assert!(bench.core.take_plan_change());
    target.groups[0].processes.truncate(1);
    bench.give(Input::FleetLoaded(target.clone()));
    target.groups[0].processes = vec![Arc::new(ProcessSpec { stopwaitsecs: 77, ..program("web") })];
    bench.give(Input::GroupRespecified(target.groups[0].clone()));
    assert!(bench.core.take_plan_change());
    bench.exit(0);
    bench.swept(0);
    assert_eq!(bench.core.fleet(), target);
}

/// Gives an input of which the reactor stores the header alone, and then dies.
fn die_behind_the_header(bench: &mut Bench, input: Input) {
    let record = bench.core.record(WEB).unwrap();
    let fleet = bench.core.fleet();
    bench.give(input);
    let snapshot = Snapshot::from_records(bench.core.header(), vec![(WEB, record)], KeptEvents::default());
    bench.core = Core::restore(fleet, snapshot, bench.now);
}

#[test]
fn a_removal_of_which_only_the_header_was_stored_goes_on() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    die_behind_the_header(&mut bench, Input::FleetLoaded(FleetSpec::default()));
    assert_eq!(bench.state(), State::Running);
    bench.give(Input::HandedOver);
    assert_eq!((bench.state(), bench.effects()), (State::Stopping, vec!["SIGTERM".to_owned()]));
    bench.exit(0);
    bench.swept(0);
    assert_eq!(bench.core.processes().count(), 0);
}

#[test]
fn an_end_of_which_only_the_header_was_stored_calls_everything_off() {
    let mut bench = Bench::one(|_| {});
    bench.spawned();
    bench.exit(1);
    bench.swept(0);
    assert_eq!((bench.state(), bench.deadline_ms()), (State::Backoff, Some(1000)));
    die_behind_the_header(&mut bench, Input::Signal(Signal::TERM));
    bench.give(Input::HandedOver);
    assert_eq!((bench.state(), bench.effects()), (State::Fatal, vec!["Exit".to_owned()]));
}

#[test]
fn a_restart_goes_on_and_a_group_that_is_replaced_meanwhile_comes_up() {
    let mut bench = Bench::one(|spec| spec.autostart = false);
    bench.ask_start(false);
    bench.up();
    bench.ask(Request::Restart { process: WEB, wait: true });
    lose_reactor(&mut bench);
    bench.give(Input::HandedOver);
    bench.exit(0);
    bench.swept(0);
    bench.up();
    bench.ask(Request::Restart { process: WEB, wait: false });
    let spec = ProcessSpec { autostart: false, startsecs: 7, ..program("web") };
    bench.give(Input::FleetLoaded(FleetSpec { groups: vec![group("web", 999, vec![spec])] }));
    bench.exit(0);
    bench.swept(0);
    assert_eq!(
        (bench.state(), bench.effects()),
        (State::Starting, vec!["forget".to_owned(), "prepare".to_owned()])
    );
}

#[test]
fn a_restart_is_over_when_everything_ends_though_that_was_not_stored_for_the_process() {
    let mut bench = Bench::one(|_| {});
    bench.up();
    bench.ask(Request::Restart { process: WEB, wait: false });
    die_behind_the_header(&mut bench, Input::Signal(Signal::TERM));
    bench.exit(0);
    bench.swept(0);
    assert_eq!(
        (bench.state(), bench.effects()),
        (State::Stopped, vec!["forget".to_owned(), "Exit".to_owned()])
    );
}

#[test]
fn a_start_that_waited_for_room_goes_on_in_a_core_that_is_restored_when_there_is_some() {
    let by_hand = ProcessSpec { autostart: false, ..program("db") };
    let mut bench = Bench::fleet(vec![group("web", 1, vec![program("web")]), group("db", 2, vec![by_hand])]);
    bench.spawn_failed(SpawnError::TooManyProcesses("web".to_owned()));
    bench.ask_stop(false);
    bench.ask(Request::Start { process: ProcessId(1), wait: false });
    assert_eq!((bench.effects(), bench.deadline_ms()), (vec![], Some(1000)));
    bench.now = bench.now.after_secs(5);
    bench.core = Core::restore(bench.core.fleet(), bench.core.snapshot(), bench.now);
    assert_eq!(bench.deadline_ms(), Some(0), "somebody must wake for it");
    bench.give(Input::Tick);
    assert_eq!(bench.effects(), ["prepare"]);
}
