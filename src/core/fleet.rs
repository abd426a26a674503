//! The groups in force, and how a new configuration takes the place of another.
//!
//! Must not know where configurations come from. Example: [`super::Input::FleetLoaded`] with one program changed
//! stops its group, emits [`Action::GroupRemoved`] and [`Action::GroupAdded`], and starts the new one; every other
//! program runs on untouched, and the same input once more does nothing.

use super::Core;
use super::action::{Action, Reply};
use super::input::Actor;
use super::pool::Pool;
use super::process::{Desired, Process};
use crate::model::event::{Event, EventKind};
use crate::model::spec::{FleetSpec, GroupSpec, LogTarget, Place, ProcessSpec, StreamSpec};
use crate::model::{ProcessId, RunId};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How many run numbers are taken from the header at a time, so that it is not rewritten at every start.
pub const RUN_BLOCK: u64 = 1024;

/// A group in the core's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupId(pub(super) u32);

/// A group in force.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) spec: GroupSpec,
    /// Its processes in definition order.
    pub(super) members: Vec<ProcessId>,
    /// How many of them are not in one of supervisord's stopped states.
    pub(super) live: usize,
    /// Whether it is being stopped in order to be removed.
    pub(super) leaving: bool,
}

impl Group {
    /// Returns what the configuration says about it.
    #[must_use]
    pub fn spec(&self) -> &GroupSpec {
        &self.spec
    }

    /// Returns its processes in definition order.
    #[must_use]
    pub fn processes(&self) -> &[ProcessId] {
        &self.members
    }

    /// Whether it is being stopped in order to be removed.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }
}

impl Core {
    /// Returns the groups in force, by priority upwards.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.order.iter().filter_map(|id| self.groups.get(id))
    }

    /// Returns the group called `name`.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(self.group_ids.get(name)?)
    }

    /// Returns the process called `name` of a group.
    #[must_use]
    pub fn find(&self, group: &str, name: &str) -> Option<ProcessId> {
        let members = &self.group(group)?.members;
        members.iter().copied().find(|id| self.name(*id) == name)
    }

    /// Returns the configuration in force: what a restored core must be given back.
    #[must_use]
    pub fn fleet(&self) -> FleetSpec {
        FleetSpec { groups: self.groups().map(|group| group.spec.clone()).collect() }
    }

    /// Begins to supervise.
    pub(super) fn boot(&mut self) {
        if std::mem::replace(&mut self.booted, true) {
            return;
        }
        self.mark_header();
        for group in self.order.clone() {
            self.announce(group);
        }
        self.notify(EventKind::SupervisorRunning, |_| Some(Event::plain(EventKind::SupervisorRunning)));
        for group in self.order.clone() {
            self.autostart(group);
        }
    }

    /// Keeps what people wanted of the processes of a group that is replaced: what they stopped stays stopped, and
    /// what they started goes on, whatever `autostart` says.
    fn remember_wishes(&mut self, group: GroupId) {
        let Some(group) = self.groups.get(&group) else { return };
        for id in &group.members {
            let Some(process) = self.table.get(id) else { continue };
            let is_running = process.state().shown().is_running();
            let is_by_hand = matches!(process.actor, Actor::Client(_));
            if is_running || process.is_restarting() || (process.desired == Desired::Down && is_by_hand) {
                let key = (group.spec.name.clone(), process.spec.name.clone());
                self.wishes.insert(key, process.desired);
            }
        }
    }

    /// Puts a group's pool in force, if it is one of listeners, and tells of the group: a pool hears of itself, and of
    /// groups that come later (supervisor 4.3 `add_process_group`).
    fn announce(&mut self, id: GroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        let name = group.spec.name.clone();
        self.events.insert(id, Pool::of(&group.spec.kind));
        self.wind_ticks();
        self.notify(EventKind::GroupAdded, |_| Some(Event::group(EventKind::GroupAdded, &name)));
        self.actions.push_back(Action::GroupAdded(name));
    }

    /// Starts what a group starts by itself: by priority, those of one priority in definition order.
    fn autostart(&mut self, group: GroupId) {
        let mut ids = self.groups.get(&group).map(|group| group.members.clone()).unwrap_or_default();
        ids.retain(|id| self.is_to_start(*id));
        ids.sort_by_key(|id| self.table.get(id).map_or(0, |process| process.spec.priority));
        for id in ids {
            self.start(id, Actor::Policy, "autostart");
        }
    }

    /// Whether a process that has just been put in force is started: what people wanted of the one before it counts,
    /// once, and else `autostart`.
    fn is_to_start(&mut self, id: ProcessId) -> bool {
        let Some(process) = self.table.get(&id) else { return false };
        let key = (process.spec.group.clone(), process.spec.name.clone());
        match self.wishes.remove(&key) {
            Some(desired) => desired == Desired::Up,
            None => self.starts_by_itself(id),
        }
    }

    /// Whether the configuration starts a process, and nobody has disabled that.
    pub(super) fn starts_by_itself(&self, id: ProcessId) -> bool {
        let Some(process) = self.table.get(&id) else { return false };
        let spec = &process.spec;
        spec.autostart && self.disabled.since(&spec.group, &spec.name).is_none()
    }

    /// Returns the processes of a group in the order in which they are stopped: descending priority, those of
    /// one priority in reverse definition order.
    pub(super) fn stop_order(&self, group: GroupId) -> Vec<ProcessId> {
        let mut ids = self.groups.get(&group).map(|group| group.members.clone()).unwrap_or_default();
        ids.reverse();
        ids.sort_by_key(|id| Reverse(self.table.get(id).map_or(0, |process| process.spec.priority)));
        ids
    }

    /// Puts a group in force, behind those of the same priority. A second one of the same name is ignored, as
    /// supervisord does.
    pub(super) fn insert_group(&mut self, spec: GroupSpec) -> Option<GroupId> {
        let ids: Vec<ProcessId> = spec.processes.iter().map(|_| self.free_process_id()).collect();
        self.insert_group_as(spec, &ids)
    }

    /// Puts a group in force whose processes have these ids.
    pub(super) fn insert_group_as(&mut self, spec: GroupSpec, ids: &[ProcessId]) -> Option<GroupId> {
        if self.group_ids.contains_key(&spec.name) {
            return None;
        }
        let id = GroupId(self.next_group);
        self.next_group += 1;
        for (process, process_id) in spec.processes.iter().zip(ids) {
            self.table.insert(*process_id, Process::new(process.clone(), id));
        }
        let at = self.order.partition_point(|other| {
            self.groups.get(other).is_some_and(|group| group.spec.priority <= spec.priority)
        });
        self.order.insert(at, id);
        self.group_ids.insert(spec.name.clone(), id);
        self.groups.insert(id, Group { spec, members: ids.to_vec(), live: 0, leaving: false });
        self.mark_header();
        Some(id)
    }

    /// Takes over what the configuration newly says of a group, if its processes are the same; they run on.
    pub(super) fn on_respecified(&mut self, spec: GroupSpec) {
        let Some(id) = self.group_ids.get(&spec.name).copied() else { return };
        let Some(members) = self.groups.get(&id).map(|group| group.members.clone()) else { return };
        let pairs: Vec<_> = members
            .iter()
            .filter_map(|id| Some((*id, spec.processes.iter().find(|p| p.name == self.name(*id))?.clone())))
            .collect();
        if pairs.len() != members.len() || members.len() != spec.processes.len() {
            return;
        }
        for (process, spec) in pairs {
            self.respecify(process, spec);
        }
        self.take_spec(id, spec);
    }

    /// Replaces what a group is to be when an update that is under way is done.
    pub(super) fn retarget(&mut self, spec: &GroupSpec) {
        let known = self.target.iter_mut().flat_map(|target| &mut target.groups);
        for known in known.filter(|known| known.name == spec.name) {
            known.clone_from(spec);
            self.is_plan_changed = true;
        }
    }

    /// Replaces what the configuration says of a group itself; its processes are the caller's business.
    pub(super) fn take_spec(&mut self, id: GroupId, spec: GroupSpec) {
        self.order.retain(|other| *other != id);
        let at = self.order.partition_point(|other| {
            self.groups.get(other).is_some_and(|group| group.spec.priority <= spec.priority)
        });
        self.order.insert(at, id);
        self.retarget(&spec);
        if let Some(group) = self.groups.get_mut(&id) {
            group.spec = spec;
        }
        self.mark_header();
    }

    /// Returns an id that no process has: one that was given back, or a new one.
    pub(super) fn free_process_id(&mut self) -> ProcessId {
        self.free_ids.pop_first().unwrap_or_else(|| {
            self.next_process += 1;
            ProcessId(self.next_process - 1)
        })
    }

    /// Takes in a configuration that is to be in force.
    pub(super) fn on_fleet_loaded(&mut self, fleet: FleetSpec) {
        if self.closing.is_some() {
            return;
        }
        let (in_force, leaving) = (self.next_group, self.leaving.len());
        let wanted: BTreeMap<&str, &GroupSpec> =
            fleet.groups.iter().map(|group| (group.name.as_str(), group)).collect();
        for id in self.order.clone() {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let same = wanted.get(group.spec.name.as_str()).filter(|spec| is_same_group(spec, &group.spec));
            if same.is_some() || group.leaving {
                continue;
            }
            group.leaving = true;
            let comes_back = wanted.contains_key(group.spec.name.as_str());
            self.leaving.insert(id);
            self.mark_header();
            if comes_back {
                self.remember_wishes(id);
            }
            self.stop_leaving(id);
        }
        let before = self.target.replace(fleet);
        self.add_new();
        // Also what is done at once: a group that is down is replaced before anything of that is stored.
        self.is_plan_changed |= (in_force, leaving) != (self.next_group, self.leaving.len());
        self.is_plan_changed |= self.target.is_some() && self.target != before;
    }

    /// Stops the processes of a group that is to be removed.
    pub(super) fn stop_leaving(&mut self, group: GroupId) {
        for process in self.stop_order(group) {
            self.stop(process, Actor::Policy, "its configuration was removed or changed");
        }
    }

    /// Removes groups that leave and are down by now, and adds those for which that makes room.
    pub(super) fn update_on(&mut self) {
        let is_down = |id: &&GroupId| self.groups.get(id).is_none_or(|group| group.live == 0);
        let gone: Vec<GroupId> = self.leaving.iter().filter(is_down).copied().collect();
        if gone.is_empty() {
            return;
        }
        gone.into_iter().for_each(|id| self.remove_group(id));
        self.add_new();
    }

    /// Adds the groups of the configuration to be whose names are free; it is in force when none leaves any more.
    pub(super) fn add_new(&mut self) {
        let Some(target) = self.target.take() else { return };
        let is_new = |group: &&GroupSpec| !self.group_ids.contains_key(&group.name);
        let new: Vec<GroupSpec> = target.groups.iter().filter(is_new).cloned().collect();
        for group in new {
            if let Some(id) = self.insert_group(group) {
                self.announce(id);
                self.autostart(id);
            }
        }
        if self.leaving.is_empty() {
            self.wishes.clear();
        } else {
            self.target = Some(target);
        }
    }

    fn remove_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        let (members, name) = (group.members.clone(), group.spec.name.clone());
        self.end_pool(id);
        self.wind_ticks();
        for process in members {
            self.answer_all(process, &Reply::Failed("its group was removed".to_owned()));
            self.remove_process(process);
            self.free_ids.insert(process);
        }
        self.leaving.remove(&id);
        self.groups.remove(&id);
        self.group_ids.remove(&name);
        self.order.retain(|other| *other != id);
        self.mark_header();
        self.notify(EventKind::GroupRemoved, |_| Some(Event::group(EventKind::GroupRemoved, &name)));
        self.actions.push_back(Action::GroupRemoved(name));
    }

    /// Keeps the number of live processes of a process's group.
    pub(super) fn count_live(&mut self, id: ProcessId, change: isize) {
        let group = self.table.get(&id).and_then(|process| self.groups.get_mut(&process.group));
        if let Some(group) = group {
            group.live = group.live.saturating_add_signed(change);
        }
    }

    /// Returns a run number that was never used.
    pub(super) fn take_run(&mut self) -> RunId {
        if self.next_run >= self.reserved_run {
            self.reserved_run = self.next_run + RUN_BLOCK;
            self.mark_header();
        }
        self.next_run += 1;
        RunId(self.next_run - 1)
    }
}

/// Whether two groups mean the same: where they stand in the files does not matter, nor does how a user was
/// spelled, nor whether an automatic log file was made already (supervisor 4.3 `PConfig.__eq__`).
fn is_same_group(one: &GroupSpec, other: &GroupSpec) -> bool {
    one.name == other.name
        && one.priority == other.priority
        && one.kind == other.kind
        && one.processes.len() == other.processes.len()
        && one.processes.iter().zip(&other.processes).all(|(one, other)| meaning(one) == meaning(other))
}

fn meaning(spec: &ProcessSpec) -> ProcessSpec {
    let mut spec = spec.clone();
    spec.place = Place::default();
    if let Some(user) = &mut spec.user {
        user.text.clear();
    }
    forget_auto_path(&mut spec.stdout);
    forget_auto_path(&mut spec.stderr);
    spec
}

fn forget_auto_path(stream: &mut StreamSpec) {
    if matches!(stream.logfile, LogTarget::Auto(_)) {
        stream.logfile = LogTarget::Auto(None);
    }
}
