//! Rules of `regroup.rs`: of a group that changes in part only that part is touched.

use crate::core::testing::{Bench, group, program};
use crate::core::{Action, Input, Request};
use crate::model::spec::{FleetSpec, GroupSpec, ProcessSpec};
use crate::model::{ProcessId, State};

const A: ProcessId = ProcessId(0);
const B: ProcessId = ProcessId(1);

fn team(names: &[&str], change: impl Fn(&mut ProcessSpec)) -> GroupSpec {
    let one = |name: &&str| {
        let mut spec = program(name);
        spec.stopasgroup = Some(true);
        change(&mut spec);
        spec
    };
    group("team", 999, names.iter().map(one).collect())
}

fn running() -> Bench {
    let mut bench = Bench::fleet(vec![team(&["a", "b"], |_| {})]);
    bench.spawned_of(A);
    bench.spawned_of(B);
    bench.pass_ms(1000);
    bench
}

fn change(bench: &mut Bench, group: GroupSpec, restart: &[&str]) {
    let restart = restart.iter().map(|&name| name.to_owned()).collect();
    bench.give(Input::GroupChanged { group, restart });
}

fn came(bench: &Bench) -> usize {
    bench.actions.iter().filter(|action| **action == Action::GroupChanged("team".to_owned())).count()
}

#[test]
fn a_changed_process_is_restarted_alone() {
    let mut bench = running();
    let other = team(&["a", "b"], |spec| spec.startretries = 7);
    change(&mut bench, other.clone(), &["b"]);
    assert_eq!((bench.effects(), came(&bench)), (vec!["SIGTERM group".to_owned()], 1));
    assert_eq!((bench.state_of(A), bench.state_of(B)), (State::Running, State::Stopping));
    bench.exit_of(B, 0);
    assert_eq!(bench.state_of(B), State::Starting);
    assert!(bench.core.processes().all(|(_, process)| process.spec().startretries == 7));
    // It is in force: the same once more as a whole changes nothing.
    bench.give(Input::FleetLoaded(FleetSpec { groups: vec![other] }));
    assert_eq!(bench.actions, []);
}

#[test]
fn a_process_that_comes_is_started_and_one_that_goes_is_stopped_first() {
    let mut bench = running();
    change(&mut bench, team(&["c", "a"], |_| {}), &[]);
    let c = bench.core.find("team", "c").expect("it came");
    assert_eq!((bench.state_of(A), bench.state_of(B)), (State::Running, State::Stopping));
    assert_eq!(bench.state_of(c), State::Starting);
    assert!(bench.core.find("team", "b").is_none() && bench.core.is_regrouping());
    bench.ask(Request::Start { process: B, wait: true });
    assert!(bench.actions.iter().any(|action| matches!(action, Action::Reply { .. })), "nobody waits for it");
    bench.exit_of(B, 0);
    assert!(!bench.core.is_regrouping() && bench.core.process(B).is_none());
    assert_eq!(came(&bench), 1, "what is in force is stored once more");
    assert_eq!(bench.core.fleet().groups, [team(&["c", "a"], |_| {})]);
}

#[test]
fn what_people_stopped_stays_stopped_and_what_failed_is_tried_again() {
    let mut bench = running();
    bench.ask(Request::Stop { process: A, wait: false });
    bench.exit_of(A, 0);
    change(&mut bench, team(&["a", "b"], |spec| spec.command = "/bin/false".into()), &["a", "b"]);
    assert_eq!((bench.state_of(A), bench.state_of(B)), (State::Stopped, State::Stopping));
    assert_eq!(bench.core.process(A).map(|process| process.spec().command.as_str()), Some("/bin/false"));
    bench.exit_of(B, 0);
    assert_eq!(bench.state_of(B), State::Starting);
}

#[test]
fn a_group_that_leaves_or_is_not_there_is_not_changed() {
    let mut bench = running();
    bench.give(Input::GroupChanged { group: group("other", 1, vec![program("x")]), restart: Vec::new() });
    assert_eq!(bench.actions, []);
    bench.give(Input::FleetLoaded(FleetSpec::default()));
    change(&mut bench, team(&["a"], |_| {}), &["a"]);
    assert_eq!(bench.actions, []);
}
