//! Configurations for the simulated daemon: small fleets that differ in everything the rules look at.

use super::program::plain;
use super::rng::Rng;
use std::sync::Arc;
use visor::model::Signal;
use visor::model::spec::{
    AutoRestart, Essential, FcgiSocketSpec, FleetSpec, GroupKind, GroupSpec, ProcessSpec,
    STDOUT_RESULT_HANDLER, STOCK_RESULT_HANDLER,
};

/// What listeners of a world may subscribe to.
#[derive(Clone, Copy, Debug)]
struct Events(&'static [&'static str]);

impl Events {
    /// Everything, or everything that does not follow the wall clock.
    fn with_ticks(ticks: bool) -> Events {
        const ALL: [&str; 7] = [
            "EVENT",
            "TICK",
            "TICK_5",
            "PROCESS_STATE",
            "PROCESS_COMMUNICATION",
            "PROCESS_LOG",
            "PROCESS_GROUP",
        ];
        Events(if ticks { &ALL } else { &ALL[3..] })
    }
}

/// Returns a fleet; every 16th seed has one group that is larger than the bound on starts in flight.
pub(crate) fn fleet(rng: &mut Rng, seed: u64, ticks: bool) -> FleetSpec {
    let events = Events::with_ticks(ticks);
    let mut groups: Vec<GroupSpec> =
        (0..2 + rng.below(4)).map(|n| group(rng, &format!("g{n}"), events)).collect();
    if seed % 16 == 15 {
        let member = program(rng, "big", "p");
        let members = (0..100).map(|n| ProcessSpec { name: format!("p{n}"), ..member.clone() });
        groups[0] = GroupSpec { processes: members.map(Arc::new).collect(), ..group(rng, "big", events) };
    }
    in_order(groups)
}

/// Returns a fleet in which some groups are the same, and others are gone, changed or new.
pub(crate) fn change(rng: &mut Rng, old: &FleetSpec, ticks: bool) -> FleetSpec {
    let events = Events::with_ticks(ticks);
    let mut groups = Vec::new();
    for spec in &old.groups {
        match rng.below(6) {
            0 => {}
            1 if spec.name != "big" => groups.push(group(rng, &spec.name, events)),
            _ => groups.push(spec.clone()),
        }
    }
    let new = format!("g{}", rng.below(8));
    if rng.chance(50) && groups.iter().all(|group| group.name != new) {
        groups.push(group(rng, &new, events));
    }
    in_order(groups)
}

/// Returns a group in which only such things differ as may change while its programs run.
pub(crate) fn respecify(rng: &mut Rng, old: &GroupSpec) -> GroupSpec {
    let again = |spec: &Arc<ProcessSpec>| {
        let new = program(rng, &spec.group, &spec.name);
        Arc::new(ProcessSpec {
            priority: new.priority,
            autorestart: new.autorestart,
            startsecs: new.startsecs,
            startretries: new.startretries,
            stopwaitsecs: new.stopwaitsecs,
            ..ProcessSpec::clone(spec)
        })
    };
    let processes = old.processes.iter().map(again).collect();
    GroupSpec { priority: rng.below(3) as i64, processes, ..old.clone() }
}

fn in_order(mut groups: Vec<GroupSpec>) -> FleetSpec {
    groups.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    FleetSpec { groups }
}

fn group(rng: &mut Rng, name: &str, events: Events) -> GroupSpec {
    let processes = (0..1 + rng.below(3)).map(|n| Arc::new(program(rng, name, &format!("p{n}")))).collect();
    let kind = if rng.chance(30) { listener(rng, events) } else { GroupKind::Program };
    GroupSpec { name: name.to_owned(), priority: rng.below(3) as i64, kind, processes }
}

fn listener(rng: &mut Rng, events: Events) -> GroupKind {
    let handler = *rng.pick(&[STOCK_RESULT_HANDLER, STOCK_RESULT_HANDLER, STDOUT_RESULT_HANDLER]);
    GroupKind::Listener {
        buffer_size: *rng.pick(&[1, 2, 10, 10]),
        events: vec![(*rng.pick(events.0)).to_owned(), "REMOTE_COMMUNICATION".to_owned()],
        result_handler: handler.to_owned(),
    }
}

/// Few, so that programs of one group and of several share them.
fn socket(rng: &mut Rng) -> FcgiSocketSpec {
    let url = (*rng.pick(&["unix:///a", "unix:///b", "tcp://c:1"])).to_owned();
    FcgiSocketSpec { url, backlog: None, owner: None, mode: None }
}

fn program(rng: &mut Rng, group: &str, name: &str) -> ProcessSpec {
    ProcessSpec {
        priority: rng.below(3) as i64,
        autostart: rng.chance(80),
        autorestart: *rng.pick(&[AutoRestart::True, AutoRestart::Unexpected, AutoRestart::False]),
        startsecs: *rng.pick(&[0, 1, 1, 3]),
        startretries: *rng.pick(&[0, 1, 3]),
        stopsignal: *rng.pick(&[Signal::TERM, Signal::TERM, Signal::INT, Signal::KILL]),
        stopwaitsecs: *rng.pick(&[0, 1, 3, 10]),
        stopasgroup: *rng.pick(&[None, None, None, Some(true), Some(false)]),
        killasgroup: *rng.pick(&[None, None, None, Some(true), Some(false)]),
        essential: rng.chance(4).then(|| *rng.pick(&[Essential::Daemon, Essential::Group])),
        socket: rng.chance(30).then(|| Arc::new(socket(rng))),
        refused: rng.chance(3).then(|| "not built yet".to_owned()),
        ..plain(group, name)
    }
}
