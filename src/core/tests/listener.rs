//! Rules of `listener.rs`, `ticks.rs` and of the end of a pool: who gets which event, and what becomes of the others.

use crate::core::testing::{Bench, group, program};
use crate::core::{Action, Fate, Input, Request};
use crate::model::event::Channel;
use crate::model::spec::{GroupKind, GroupSpec, STDOUT_RESULT_HANDLER, STOCK_RESULT_HANDLER};
use crate::model::{ProcessId, Signal, State};

/// The listener of [`pool`].
const EAR: ProcessId = ProcessId(0);

fn pool_of(events: &[&str], handler: &str, listeners: usize) -> GroupSpec {
    let members = (0..listeners).map(|n| {
        let mut spec = program(&format!("ear{n}"));
        (spec.startsecs, spec.stopasgroup) = (0, Some(true));
        spec
    });
    let kind = GroupKind::Listener {
        buffer_size: 3,
        events: events.iter().map(|name| (*name).to_owned()).collect(),
        result_handler: handler.to_owned(),
    };
    GroupSpec { kind, ..group("ears", -1, members.collect()) }
}

/// A pool of one listener that is up, and has been told of everything up to now.
fn pool(events: &[&str]) -> Bench {
    let mut bench = Bench::fleet(vec![pool_of(events, STOCK_RESULT_HANDLER, 1)]);
    bench.spawned_of(EAR);
    bench
}

fn hear(bench: &mut Bench, id: ProcessId, text: &str) {
    bench.give(Input::Heard { run: bench.run(id), bytes: text.as_bytes().to_vec() });
}

fn remote(bench: &mut Bench, data: &str) {
    bench.give(Input::RemoteEvent { kind: "t".to_owned(), data: data.to_owned() });
}

fn sent(bench: &Bench) -> Vec<(u64, String)> {
    let of = |action: &Action| match action {
        Action::SendEvent { delivery, .. } => Some((delivery.pool_serial, delivery.event.payload.clone())),
        _ => None,
    };
    bench.actions.iter().filter_map(of).collect()
}

fn settled(bench: &Bench) -> Vec<(u64, Fate)> {
    let of = |action: &Action| match action {
        Action::SettleEvent { delivery, fate } => Some((delivery.pool_serial, *fate)),
        _ => None,
    };
    bench.actions.iter().filter_map(of).collect()
}

fn is_in_pipe(bench: &mut Bench, id: ProcessId) {
    bench.give(Input::EventSent { run: bench.run(id), is_sent: true });
}

#[test]
fn an_event_waits_until_a_listener_asks_and_the_one_before_is_in_its_pipe() {
    let mut bench = pool(&["REMOTE_COMMUNICATION"]);
    remote(&mut bench, "one");
    remote(&mut bench, "two");
    assert_eq!(sent(&bench), []);
    hear(&mut bench, EAR, "READY\n");
    assert_eq!(sent(&bench), [(0, "type:t\none".to_owned())]);
    hear(&mut bench, EAR, "RESULT 2\nOKREADY\n");
    assert_eq!((settled(&bench), sent(&bench)), (vec![(0, Fate::Acknowledged)], vec![]), "half of it waits");
    is_in_pipe(&mut bench, EAR);
    assert_eq!(sent(&bench), [(1, "type:t\ntwo".to_owned())]);
}

#[test]
fn events_go_to_the_first_listener_that_is_ready() {
    let mut bench = Bench::fleet(vec![pool_of(&["REMOTE_COMMUNICATION"], STOCK_RESULT_HANDLER, 2)]);
    for id in [ProcessId(0), ProcessId(1)] {
        bench.spawned_of(id);
        hear(&mut bench, id, "READY\n");
    }
    remote(&mut bench, "one");
    let first = bench.run(ProcessId(0));
    assert!(bench.actions.iter().any(|a| matches!(a, Action::SendEvent { run, .. } if *run == first)));
    remote(&mut bench, "two");
    assert_eq!(sent(&bench).len(), 1, "the other one takes it");
    remote(&mut bench, "three");
    assert_eq!(sent(&bench).len(), 0, "both are busy");
}

#[test]
fn what_a_listener_gives_back_comes_first() {
    for answer in ["RESULT 4\nFAILREADY\n", "gone"] {
        let mut bench = pool(&["REMOTE_COMMUNICATION"]);
        hear(&mut bench, EAR, "READY\n");
        remote(&mut bench, "one");
        is_in_pipe(&mut bench, EAR);
        remote(&mut bench, "two");
        if answer == "gone" {
            bench.exit_of(EAR, 1);
            bench.spawned_of(EAR);
            hear(&mut bench, EAR, "READY\n");
        } else {
            hear(&mut bench, EAR, answer);
        }
        assert_eq!(sent(&bench), [(0, "type:t\none".to_owned())], "{answer}");
    }
}

#[test]
fn a_full_pool_says_what_it_discards() {
    let mut bench = pool(&["REMOTE_COMMUNICATION"]);
    for data in ["one", "two", "three"] {
        remote(&mut bench, data);
        assert_eq!(settled(&bench), []);
    }
    remote(&mut bench, "four");
    assert_eq!(settled(&bench), [(0, Fate::Discarded)]);
    assert_eq!(bench.lines(), ["pool ears event buffer overflowed, discarding event 0"]);
}

#[test]
fn a_listener_that_breaks_the_protocol_is_restarted_after_a_growing_delay() {
    let mut bench = pool(&["REMOTE_COMMUNICATION"]);
    for delay_ms in [1000, 2000, 4000] {
        hear(&mut bench, EAR, "READY\n");
        remote(&mut bench, "one");
        hear(&mut bench, EAR, "rubbish\n");
        assert_eq!(bench.deadline_ms(), Some(delay_ms));
        assert_eq!(bench.state_of(EAR), State::Running);
        bench.pass_ms(delay_ms);
        assert_eq!(
            (bench.state_of(EAR), bench.effects()),
            (State::Stopping, vec!["SIGTERM group".to_owned()])
        );
        bench.exit_of(EAR, 0);
        assert_eq!(bench.changes().last(), Some(&(State::Stopped, State::Starting)));
        bench.spawned_of(EAR);
        hear(&mut bench, EAR, "READY\n");
        assert_eq!(sent(&bench).len(), 1, "what it had not answered comes again");
        is_in_pipe(&mut bench, EAR);
        hear(&mut bench, EAR, "RESULT 2\nOK");
    }
}

#[test]
fn a_stop_beats_the_restart_of_a_broken_listener() {
    let mut bench = pool(&["REMOTE_COMMUNICATION"]);
    hear(&mut bench, EAR, "rubbish");
    bench.pass_ms(1000);
    assert_eq!(bench.ask(Request::Stop { process: EAR, wait: false }), Some(crate::core::Reply::Done));
    bench.exit_of(EAR, 0);
    assert_eq!(bench.state_of(EAR), State::Stopped);
}

#[test]
fn a_listener_that_complains_and_ends_has_ended() {
    let mut bench = pool(&["REMOTE_COMMUNICATION"]);
    hear(&mut bench, EAR, "Traceback");
    bench.exit_of(EAR, 1);
    assert_eq!(bench.changes()[0], (State::Running, State::Exited));
}

#[test]
fn a_listener_that_closed_its_stdin_gives_the_event_back_and_is_restarted() {
    let mut bench = pool(&["REMOTE_COMMUNICATION"]);
    hear(&mut bench, EAR, "READY\n");
    remote(&mut bench, "one");
    bench.give(Input::EventSent { run: bench.run(EAR), is_sent: false });
    assert_eq!((sent(&bench), bench.deadline_ms()), (vec![], Some(1000)));
    bench.pass_ms(1000);
    assert_eq!(bench.state_of(EAR), State::Stopping);
}

#[test]
fn what_was_lost_with_a_reactor_restarts_the_listener_alone() {
    let mut bench = pool(&["REMOTE_COMMUNICATION"]);
    hear(&mut bench, EAR, "READY\n");
    assert_eq!(bench.core.record(EAR).map(|record| record.dialogue), Some(2));
    bench.give(Input::Unheard { run: bench.run(EAR) });
    assert_eq!(bench.deadline_ms(), Some(1000));
    bench.give(Input::Unheard { run: bench.run(EAR) });
    assert_eq!(bench.lines(), [""; 0], "once is enough");
}

#[test]
fn handlers_that_are_not_here_acknowledge_and_one_shows() {
    for (handler, shows) in [("my:own", false), (STDOUT_RESULT_HANDLER, true)] {
        let mut bench = Bench::fleet(vec![pool_of(&["REMOTE_COMMUNICATION"], handler, 1)]);
        bench.spawned_of(EAR);
        hear(&mut bench, EAR, "READY\n");
        remote(&mut bench, "one");
        hear(&mut bench, EAR, "RESULT 4\nFAIL");
        assert_eq!(settled(&bench), [(0, Fate::Acknowledged)]);
        assert_eq!(bench.actions.contains(&Action::ShowResult(b"FAIL".to_vec())), shows);
    }
}

#[test]
fn groups_are_told_to_pools_that_are_there() {
    let mut bench = Bench::fleet(vec![pool_of(&["PROCESS_GROUP"], STOCK_RESULT_HANDLER, 1)]);
    let groups = vec![bench.core.fleet().groups[0].clone(), group("web", 999, vec![program("web")])];
    bench.give(Input::FleetLoaded(crate::model::spec::FleetSpec { groups: groups.clone() }));
    bench.give(Input::FleetLoaded(crate::model::spec::FleetSpec { groups: groups[..1].to_vec() }));
    bench.exit_of(ProcessId(1), 0);
    bench.spawned_of(EAR);
    let mut told = Vec::new();
    for _ in 0..3 {
        hear(&mut bench, EAR, "READY\n");
        told.extend(sent(&bench).into_iter().map(|(_, payload)| payload));
        is_in_pipe(&mut bench, EAR);
        hear(&mut bench, EAR, "RESULT 2\nOK");
    }
    assert_eq!(told, ["groupname:ears\n", "groupname:web\n", "groupname:web\n"]);
}

#[test]
fn output_is_told_to_whoever_wants_it_and_costs_nothing_else() {
    let mut bench = pool(&["PROCESS_LOG_STDERR"]);
    let output = |channel| Input::Output { process: EAR, pid: 7, channel, bytes: b"x".to_vec() };
    bench.give(output(Channel::Stdout));
    assert_eq!(bench.actions, []);
    bench.give(output(Channel::Stderr));
    assert!(matches!(bench.actions[0], Action::KeepEvent(_)));
}

#[test]
fn ticks_come_with_the_wall_clock_and_only_for_those_who_want_them() {
    let mut bench = pool(&["TICK_60", "TICK_5"]);
    hear(&mut bench, EAR, "READY\n");
    // The bench's clocks begin at 100 seconds.
    assert_eq!(bench.deadline_ms(), Some(5000));
    bench.pass_ms(5000);
    assert_eq!(sent(&bench), [(0, "when:105".to_owned())]);
    let quiet = pool(&["PROCESS_STATE_FATAL"]);
    assert_eq!(quiet.core.next_deadline(), None, "nobody wants to be woken");
}

#[test]
fn the_end_waits_for_the_last_events_but_not_for_long() {
    for answers in [true, false] {
        let mut bench = pool(&["SUPERVISOR_STATE_CHANGE"]);
        hear(&mut bench, EAR, "READY\n");
        is_in_pipe(&mut bench, EAR);
        hear(&mut bench, EAR, "RESULT 2\nOKREADY\n");
        bench.give(Input::Signal(Signal::TERM));
        assert_eq!((sent(&bench).len(), bench.effects()), (1, vec![]), "it is told before it is stopped");
        is_in_pipe(&mut bench, EAR);
        if answers {
            hear(&mut bench, EAR, "RESULT 2\nOK");
            assert_eq!(bench.effects(), ["SIGTERM group"]);
            continue;
        }
        bench.pass_ms(1000);
        assert_eq!(bench.effects(), ["SIGTERM group"]);
        bench.exit_of(EAR, 0);
        assert_eq!(settled(&bench), [(1, Fate::Ended)]);
        assert!(bench.lines().contains(&"pool ears ends, discarding 1 event that no listener took"));
    }
}

#[test]
fn events_come_back_from_what_was_kept() {
    let mut bench = pool(&["REMOTE_COMMUNICATION"]);
    hear(&mut bench, EAR, "READY\n");
    remote(&mut bench, "one");
    is_in_pipe(&mut bench, EAR);
    remote(&mut bench, "two");
    let record = bench.core.record(EAR).unwrap();
    let mut kept = bench.core.kept_events();
    kept.sort();
    let snapshot =
        crate::core::Snapshot::from_records(bench.core.header(), vec![(EAR, record.clone())], kept.clone());
    bench.core = crate::core::Core::restore(bench.core.fleet(), snapshot, bench.now);
    bench.give(Input::HandedOver);
    hear(&mut bench, EAR, "RESULT 2\nOKREADY\n");
    assert_eq!(
        (settled(&bench), sent(&bench).len()),
        (vec![(0, Fate::Acknowledged)], 1),
        "goes on unnoticed"
    );
    // What it was about to answer is not there any more: nobody knows what it waits for.
    kept.events.remove(0);
    let snapshot = crate::core::Snapshot::from_records(bench.core.header(), vec![(EAR, record)], kept);
    bench.core = crate::core::Core::restore(bench.core.fleet(), snapshot, bench.now);
    bench.give(Input::HandedOver);
    bench.give(Input::Tick);
    assert_eq!(bench.state_of(EAR), State::Stopping);
}
