//! Putting in force what differs: each change in the way that touches least.
//!
//! Must not know why it is done: a client, a signal or a changed file. Example: of a group in which one program got
//! another command only that program is restarted, and a new log limit is taken over while its program runs.

use super::ClientId;
use super::config_verbs::{Asked, Verb, changed_key, result};
use super::updates::{Asker, Obstacle, Part};
use crate::api::v1::{self, ChangedKey, GroupAction, PlannedAction, PlannedStep};
use crate::config::diff::{self, FleetDiff, GroupChange};
use crate::config::guard::{self, Way};
use crate::config::{Loaded, keys::Reload};
use crate::core::Input;
use crate::daemon::control::NOBODY;
use crate::daemon::reactor::Reactor;
use crate::model::Level;
use crate::model::spec::{ApplyMode, DaemonSpec, FleetSpec, GroupSpec, LogTarget, Settings};
use std::sync::Arc;

/// Groups by how their change is carried out.
#[derive(Default)]
struct Sorted {
    /// Those whose end or beginning is awaited.
    waiting: Vec<(String, GroupAction)>,
    /// Those of them that change in part.
    parts: Vec<Part>,
    /// Those that are changed at once.
    live: Vec<String>,
}

/// What an update starts from.
pub(super) struct Changes {
    active: FleetSpec,
    wanted: FleetSpec,
    daemon: DaemonSpec,
    mode: ApplyMode,
    /// What differs between the two fleets.
    pub(super) found: FleetDiff,
    /// What differs in `[supervisord]`.
    pub(super) keys: Vec<ChangedKey>,
}

impl Changes {
    /// Compares what is in force with what files say.
    pub(super) fn between(reactor: &Reactor, settings: Settings) -> Changes {
        let active = reactor.core.fleet();
        let keys = diff::daemon_change(&reactor.settings.daemon, &settings.daemon);
        Changes {
            found: diff::between(&active, &settings.fleet),
            keys: keys.into_iter().map(changed_key).collect(),
            active,
            wanted: settings.fleet,
            daemon: settings.daemon,
            mode: settings.apply,
        }
    }

    fn way_of(&self, change: &GroupChange) -> Way {
        match (group_of(&self.active, &change.name), group_of(&self.wanted, &change.name)) {
            (Some(old), Some(new)) => guard::way(change, old, new),
            _ => Way::Whole,
        }
    }

    /// Sorts what is chosen by how it is carried out; only what is new where groups are added.
    fn sort(&self, verb: Verb, is_chosen: impl Fn(&String) -> bool) -> Sorted {
        let mut sorted = Sorted::default();
        if verb != Verb::Add {
            let removed = self.found.removed.iter().filter(|name| is_chosen(name));
            sorted.waiting.extend(removed.map(|name| (name.clone(), GroupAction::Removed)));
            for change in self.found.changed.iter().filter(|change| is_chosen(&change.name)) {
                let name = change.name.clone();
                match self.way_of(change) {
                    Way::Live => sorted.live.push(name),
                    Way::Part(restart) => {
                        sorted.waiting.push((name.clone(), GroupAction::Updated));
                        sorted.parts.push(Part { group: name, restart });
                    }
                    Way::Whole => sorted.waiting.push((name, GroupAction::Updated)),
                }
            }
        }
        let added = self.found.added.iter().filter(|name| is_chosen(name));
        sorted.waiting.extend(added.map(|name| (name.clone(), GroupAction::Added)));
        sorted
    }

    /// Has processes that stay in groups that change in part keep their AUTO files.
    fn keep_auto_files(&mut self, parts: &[Part]) {
        for part in parts {
            let active = self.active.groups.iter().find(|group| group.name == part.group);
            let wanted = self.wanted.groups.iter_mut().find(|group| group.name == part.group);
            if let (Some(active), Some(wanted)) = (active, wanted) {
                keep_auto_files(wanted, active);
            }
        }
    }

    /// Returns what would be done, in the order in which it is done.
    fn steps(&self, reactor: &Reactor, is_chosen: impl Fn(&String) -> bool) -> Vec<PlannedStep> {
        let step = |group: &String, action| PlannedStep {
            group: group.clone(),
            action,
            waits: reactor.hot.why_held(group).unwrap_or_default(),
            ..PlannedStep::default()
        };
        let found = &self.found;
        let mut steps: Vec<PlannedStep> =
            found.removed.iter().map(|name| step(name, PlannedAction::Remove)).collect();
        for change in &found.changed {
            let way = self.way_of(change);
            let whole = step(&change.name, PlannedAction::Restart);
            if way == Way::Whole && change.changed.is_empty() {
                let keys = change.keys.iter().map(|&key| key.to_owned()).collect();
                steps.push(PlannedStep { keys, ..whole });
                continue;
            }
            if !change.keys.is_empty() && change.changed.is_empty() {
                let keys = change.keys.iter().map(|&key| key.to_owned()).collect();
                steps.push(PlannedStep { keys, ..step(&change.name, PlannedAction::Live) });
            }
            let of = |process: &String, action| PlannedStep {
                process: process.clone(),
                ..step(&change.name, action)
            };
            steps.extend(change.removed.iter().map(|process| of(process, PlannedAction::Remove)));
            for process in &change.changed {
                let action = match &way {
                    Way::Whole => PlannedAction::Restart,
                    Way::Part(restart) if restart.contains(&process.name) => PlannedAction::Restart,
                    _ if process.reload == Reload::Live => PlannedAction::Live,
                    _ => PlannedAction::NextStart,
                };
                steps.push(PlannedStep { keys: process.keys.clone(), ..of(&process.name, action) });
            }
            steps.extend(change.added.iter().map(|process| of(process, PlannedAction::Add)));
        }
        steps.extend(found.added.iter().map(|name| step(name, PlannedAction::Add)));
        steps.retain(|step| is_chosen(&step.group));
        steps
    }
}

fn group_of<'f>(fleet: &'f FleetSpec, name: &str) -> Option<&'f GroupSpec> {
    fleet.groups.iter().find(|group| group.name == name)
}

/// Returns what is in force once groups of the wanted fleet have taken the place of those that are.
pub(super) fn target_of(
    active: FleetSpec,
    wanted: FleetSpec,
    waiting: &[(String, GroupAction)],
) -> FleetSpec {
    let takes = |group: &GroupSpec| waiting.iter().any(|(known, _)| *known == group.name);
    let kept = active.groups.into_iter().filter(|group| !takes(group));
    FleetSpec { groups: kept.chain(wanted.groups.into_iter().filter(takes)).collect() }
}

/// Has processes that stay keep the AUTO files that are in use.
fn keep_auto_files(group: &mut GroupSpec, active: &GroupSpec) {
    for process in &mut group.processes {
        let Some(old) = active.processes.iter().find(|old| old.name == process.name) else { continue };
        let process = Arc::make_mut(process);
        for (new, old) in [(&mut process.stdout, &old.stdout), (&mut process.stderr, &old.stderr)] {
            if let (LogTarget::Auto(path @ None), LogTarget::Auto(known)) = (&mut new.logfile, &old.logfile) {
                path.clone_from(known);
            }
        }
    }
}

impl Reactor {
    /// Puts in force what changed in files; these groups, and what there is of the daemon itself.
    pub(in crate::daemon) fn put_changes_in_force(&mut self, verb: Verb, groups: &[String], loaded: Loaded) {
        let Some(settings) = loaded.settings else { return };
        let changes = Changes::between(self, settings);
        let reply = v1::GroupResults { ok: true, ..v1::GroupResults::default() };
        self.put_in_force(NOBODY, verb, groups, changes, reply);
    }

    /// Puts in force what a verb is for, and answers when that is done.
    pub(super) fn put_in_force(
        &mut self,
        client: ClientId,
        verb: Verb,
        groups: &[String],
        mut changes: Changes,
        mut reply: v1::GroupResults,
    ) {
        let all = verb != Verb::Watched && (groups.is_empty() || groups.iter().any(|group| group == "all"));
        let chosen = |name: &String| all || groups.contains(name);
        let known = |name: &String| {
            group_of(&changes.active, name).is_some() || group_of(&changes.wanted, name).is_some()
        };
        for name in groups.iter().filter(|name| *name != "all" && !known(name)) {
            reply.results.push(result(name, GroupAction::NoSuchGroup, ""));
        }
        if matches!(verb, Verb::Plan | Verb::Apply | Verb::Watched) {
            reply.plan = changes.steps(self, chosen);
            if verb != Verb::Plan {
                reply.plan.iter_mut().for_each(|step| step.waits.clear());
            }
        }
        reply.daemon.clone_from(&changes.keys);
        if verb == Verb::Plan {
            return self.send(client, &reply);
        }
        if verb == Verb::Add {
            let there = groups.iter().filter(|name| group_of(&changes.active, name).is_some());
            reply.results.extend(there.map(|name| result(name, GroupAction::AlreadyActive, "")));
            reply.daemon.clear();
        }
        let Sorted { waiting, parts, live } = changes.sort(verb, chosen);
        // Before what needs no restart is changed: all of it or nothing.
        let target = target_of(changes.active.clone(), changes.wanted.clone(), &waiting);
        if let Err(why) = self.may_change_to(&target) {
            if why == Obstacle::Busy && client != NOBODY && self.is_busy_unasked() {
                self.hot.asked.push(Asked { client, verb, groups: groups.to_vec() });
                return;
            }
            return self.refuse_update(Asker::Json { client, reply }, &why);
        }
        if verb != Verb::Watched {
            self.hot.release(chosen);
            self.config_state.waits_for_apply = self.hot.waiting();
        }
        self.tell_plan(&reply.plan, client);
        if verb != Verb::Add {
            self.change_daemon_live(&changes.daemon);
            self.take_apply_mode(changes.mode);
        }
        for name in &live {
            self.take_over_live(name, &mut changes);
            reply.results.push(result(name, GroupAction::ChangedLive, ""));
        }
        if waiting.is_empty() {
            self.compare_with_latest();
            return self.send(client, &reply);
        }
        changes.keep_auto_files(&parts);
        let Changes { active, wanted, .. } = changes;
        self.change_groups(
            Asker::Json { client, reply },
            target_of(active, wanted, &waiting),
            waiting,
            parts,
        );
    }

    /// Takes over what is new of a group that runs on; what follows must find it so, or it would be restarted after
    /// all.
    fn take_over_live(&mut self, name: &str, changes: &mut Changes) {
        let Some(mut group) = group_of(&changes.wanted, name).cloned() else { return };
        let Some(known) = changes.active.groups.iter_mut().find(|known| known.name == name) else { return };
        keep_auto_files(&mut group, known);
        known.clone_from(&group);
        self.afterwards.relog.push((group.name.clone(), Vec::new()));
        self.record_note("", "group_changed", &format!("{}, without a restart", group.name));
        self.inputs.push_back(Input::GroupRespecified(group));
    }

    /// Says in the activity log what a changed file brings, because nobody asked for it.
    fn tell_plan(&mut self, plan: &[PlannedStep], client: ClientId) {
        if client != NOBODY {
            return;
        }
        for step in plan {
            let text = format!("the configuration changed: {step}");
            self.log(Level::Info, &text);
        }
    }

    /// Opens the logs of running processes again whose limits were changed; those that are restarted get theirs then.
    pub(in crate::daemon) fn relog_changed(&mut self) {
        let changed = std::mem::take(&mut self.afterwards.relog);
        if changed.is_empty() {
            return;
        }
        self.compare_with_latest();
        self.observe_again(true);
        for (name, restarted) in changed {
            let members = self.core.group(&name).map(|group| group.processes().to_vec()).unwrap_or_default();
            for process in members {
                let Some(spec) = self.core.process(process).map(|process| process.spec().clone()) else {
                    continue;
                };
                let run = self.core.process(process).and_then(crate::core::Process::run);
                let Some(run) = run.filter(|_| !restarted.contains(&spec.name)) else { continue };
                let sinks = self.open_logs(&spec);
                let Some(live) = self.runs.table.get_mut(&run) else { continue };
                for old in std::mem::replace(&mut live.sinks, sinks).into_iter().flatten() {
                    self.disk.close(old);
                }
            }
        }
        let fleet = self.core.fleet();
        self.store_fleet(&fleet);
    }
}
