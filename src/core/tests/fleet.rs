//! Rules of `fleet.rs`: what is the same runs on, what differs is stopped first, and twice is once.

use crate::core::testing::{Bench, WEB, group, program};
use crate::core::{Action, Input, Request};
use crate::model::spec::{FleetSpec, GroupSpec, Place, ProcessSpec};
use crate::model::{ProcessId, State};

fn one(name: &str, change: impl FnOnce(&mut ProcessSpec)) -> GroupSpec {
    let mut spec = program(name);
    spec.stopasgroup = Some(true);
    change(&mut spec);
    group(name, 999, vec![spec])
}

fn groups(bench: &Bench) -> Vec<String> {
    let of = |action: &Action| match action {
        Action::GroupAdded(name) => Some(format!("+{name}")),
        Action::GroupRemoved(name) => Some(format!("-{name}")),
        _ => None,
    };
    bench.actions.iter().filter_map(of).collect()
}

fn running() -> Bench {
    let mut bench = Bench::fleet(vec![one("a", |_| {}), one("b", |_| {})]);
    bench.spawned_of(ProcessId(0));
    bench.spawned_of(ProcessId(1));
    bench.pass_ms(1000);
    bench
}

#[test]
fn the_same_configuration_changes_nothing() {
    let mut bench = running();
    let moved = one("a", |spec| spec.place = Place { file: "elsewhere".into(), line: 9 });
    bench.give(Input::FleetLoaded(FleetSpec { groups: vec![moved, one("b", |_| {})] }));
    assert_eq!(bench.actions, []);
}

#[test]
fn a_new_group_is_added_and_started() {
    let mut bench = running();
    let groups_now = vec![one("a", |_| {}), one("b", |_| {}), one("c", |_| {})];
    bench.give(Input::FleetLoaded(FleetSpec { groups: groups_now.clone() }));
    assert_eq!((groups(&bench), bench.effects()), (vec!["+c".to_owned()], vec!["prepare".to_owned()]));
    bench.give(Input::FleetLoaded(FleetSpec { groups: groups_now }));
    assert_eq!(bench.actions, []);
}

#[test]
fn a_group_that_is_gone_is_stopped_and_then_removed() {
    let mut bench = running();
    bench.give(Input::FleetLoaded(FleetSpec { groups: vec![one("b", |_| {})] }));
    assert_eq!((groups(&bench), bench.effects()), (vec![], vec!["SIGTERM group".to_owned()]));
    bench.exit_of(WEB, 0);
    assert_eq!(groups(&bench), ["-a"]);
    assert_eq!((bench.core.find("a", "a"), bench.core.record(WEB)), (None, None));
    assert_eq!(bench.state_of(ProcessId(1)), State::Running);
}

#[test]
fn a_group_that_changed_is_replaced() {
    let mut bench = running();
    let changed = vec![one("a", |spec| spec.startsecs = 5), one("b", |_| {})];
    bench.give(Input::FleetLoaded(FleetSpec { groups: changed.clone() }));
    bench.give(Input::FleetLoaded(FleetSpec { groups: changed }));
    assert_eq!(bench.effects(), [""; 0], "asked once");
    bench.exit_of(WEB, 0);
    assert_eq!(groups(&bench), ["-a", "+a"]);
    let change = bench.actions.iter().find_map(|action| match action {
        Action::Publish(change) => Some((change.group.as_str(), change.name.as_str(), change.to)),
        _ => None,
    });
    assert_eq!(change, Some(("a", "a", State::Stopped)), "told though it is gone by now");
    let id = bench.core.find("a", "a").unwrap();
    assert_eq!(bench.core.process(id).unwrap().spec().startsecs, 5);
    assert_eq!((bench.state_of(id), id), (State::Starting, WEB), "its id is used again");
}

#[test]
fn what_people_stopped_stays_stopped_and_what_they_started_goes_on_in_a_group_that_is_replaced() {
    let by_hand = |startsecs| one("c", move |spec| (spec.autostart, spec.startsecs) = (false, startsecs));
    let mut bench = Bench::fleet(vec![one("a", |_| {}), one("b", |_| {}), by_hand(1)]);
    for id in [WEB, ProcessId(1)] {
        bench.spawned_of(id);
    }
    let hand = ProcessId(2);
    bench.ask(Request::Start { process: hand, wait: false });
    bench.spawned_of(hand);
    bench.pass_ms(1000);
    bench.ask_stop(false);
    bench.exit_of(WEB, 0);
    assert_eq!((bench.state(), bench.state_of(hand)), (State::Stopped, State::Running));
    let changed = |name| one(name, |spec| spec.startsecs = 5);
    let groups = vec![changed("a"), changed("b"), by_hand(5)];
    bench.give(Input::FleetLoaded(FleetSpec { groups: groups.clone() }));
    bench.exit_of(ProcessId(1), 0);
    bench.exit_of(hand, 0);
    let states = ["a", "b", "c"].map(|name| bench.state_of(bench.core.find(name, name).unwrap()));
    assert_eq!(states, [State::Stopped, State::Starting, State::Starting]);
    // A wish counts once: what goes and comes back later begins as its configuration says.
    bench.give(Input::FleetLoaded(FleetSpec { groups: groups[1..2].to_vec() }));
    assert_eq!((bench.core.find("a", "a"), bench.core.find("c", "c")), (None, None));
    bench.give(Input::FleetLoaded(FleetSpec { groups }));
    let states = ["a", "c"].map(|name| bench.state_of(bench.core.find(name, name).unwrap()));
    assert_eq!(states, [State::Starting, State::Stopped]);
}

#[test]
fn a_change_taken_back_in_time_still_replaces_the_group() {
    let mut bench = running();
    bench.give(Input::FleetLoaded(FleetSpec { groups: vec![one("b", |_| {})] }));
    bench.give(Input::FleetLoaded(FleetSpec { groups: vec![one("a", |_| {}), one("b", |_| {})] }));
    bench.exit_of(WEB, 0);
    assert_eq!(groups(&bench), ["-a", "+a"]);
}

fn respecified(bench: &mut Bench, change: impl FnOnce(&mut ProcessSpec)) {
    bench.give(Input::GroupRespecified(one("a", change)));
}

#[test]
fn a_process_that_is_coming_up_counts_by_its_new_startsecs() {
    let mut bench = Bench::fleet(vec![one("a", |spec| spec.startsecs = 5)]);
    bench.spawned();
    assert_eq!(bench.deadline_ms(), Some(5000));
    respecified(&mut bench, |spec| spec.startsecs = 20);
    bench.pass_ms(6000);
    assert_eq!((bench.state(), bench.deadline_ms()), (State::Starting, Some(14_000)));
    respecified(&mut bench, |spec| spec.startsecs = 3);
    bench.give(Input::Tick);
    assert_eq!((bench.state(), bench.deadline_ms()), (State::Running, None));
    respecified(&mut bench, |spec| spec.startsecs = 9);
    bench.pass_ms(60_000);
    assert_eq!((bench.state(), bench.deadline_ms()), (State::Running, None));
}
