//! A group that changes in part: its processes that differ are restarted alone, the others do not notice.
//!
//! Must not know which keys cost a restart: it is told which processes do. Example:
//! [`super::Input::GroupChanged`] with one process to restart stops and starts that one under its new settings; one
//! that people stopped stays stopped and takes them over.

use super::Core;
use super::action::{Action, Reply};
use super::fleet::GroupId;
use super::input::Actor;
use super::process::{Desired, Process};
use super::state::ProcState;
use crate::model::spec::{GroupSpec, ProcessSpec};
use crate::model::{ProcessId, State};
use std::sync::Arc;

/// Why a process is stopped or started here, for people.
const CAUSE: &str = "its configuration was changed";

impl Core {
    /// Whether processes are still being stopped that their group has no more.
    #[must_use]
    pub fn is_regrouping(&self) -> bool {
        !self.departing.is_empty()
    }

    /// Puts another form of a group in force: `restart` names processes that have to be restarted for it.
    pub(super) fn on_group_changed(&mut self, spec: GroupSpec, restart: &[String]) {
        let Some(id) = self.group_ids.get(&spec.name).copied() else { return };
        let Some(group) = self.groups.get(&id).filter(|_| self.closing.is_none()) else { return };
        if group.leaving {
            return self.retarget(&spec);
        }
        let before = group.members.clone();
        let (mut members, mut added) = (Vec::new(), Vec::new());
        for process in &spec.processes {
            let known = before.iter().copied().find(|known| self.name(*known) == process.name);
            members.push(known.unwrap_or_else(|| self.admit(id, process.clone(), &mut added)));
        }
        let gone: Vec<ProcessId> = before.into_iter().filter(|id| !members.contains(id)).collect();
        let kept: Vec<_> = members.iter().copied().zip(spec.processes.iter().cloned()).collect();
        for (process, spec) in kept.iter().filter(|(process, _)| !added.contains(process)) {
            self.respecify(*process, spec.clone());
        }
        let name = spec.name.clone();
        if let Some(group) = self.groups.get_mut(&id) {
            group.members = members;
        }
        self.take_spec(id, spec);
        self.dismiss(&gone);
        for (process, spec) in kept {
            if restart.contains(&spec.name) {
                self.restart_changed(process);
            } else if added.contains(&process) && spec.autostart {
                self.start(process, Actor::Policy, "autostart");
            }
        }
        // Stored before anything of it is done, and once more behind it.
        self.is_plan_changed = true;
        self.actions.push_back(Action::GroupChanged(name));
    }

    fn admit(&mut self, group: GroupId, spec: Arc<ProcessSpec>, added: &mut Vec<ProcessId>) -> ProcessId {
        let id = self.free_process_id();
        self.table.insert(id, Process::new(spec, group));
        added.push(id);
        id
    }

    /// Stops processes that their group has no more; they go when they are down.
    fn dismiss(&mut self, gone: &[ProcessId]) {
        self.departing.extend(gone);
        for id in gone {
            self.stop(*id, Actor::Policy, "its configuration was removed");
        }
        self.let_depart();
    }

    /// Takes processes out of the table that had to go and are down by now.
    pub(super) fn let_depart(&mut self) {
        let is_down = |id: &ProcessId| {
            self.table.get(id).is_none_or(|process| {
                process.state().shown().is_stopped() && !matches!(process.state(), ProcState::Checking { .. })
            })
        };
        let gone: Vec<ProcessId> = self.departing.iter().copied().filter(is_down).collect();
        for id in gone {
            self.departing.remove(&id);
            let group = self.table.get(&id).and_then(|process| self.groups.get(&process.group));
            let name = group.map(|group| group.spec.name.clone());
            self.answer_all(id, &Reply::Failed("its configuration was removed".to_owned()));
            self.remove_process(id);
            self.free_ids.insert(id);
            self.mark_header();
            self.actions.extend(name.map(Action::GroupChanged));
        }
    }

    /// Restarts a process under settings that it has been given; what people stopped stays stopped.
    fn restart_changed(&mut self, id: ProcessId) {
        let Some(process) = self.table.get(&id) else { return };
        let is_up = process.is_stoppable();
        let is_by_hand = process.desired == Desired::Down && matches!(process.actor, Actor::Client(_));
        let is_out_of_hand = matches!(process.state().shown(), State::Stopping | State::Unknown);
        if is_up {
            self.stop(id, Actor::Policy, CAUSE);
            self.want(id, Desired::Up);
        } else if is_by_hand || is_out_of_hand || !process.spec.autostart {
            return;
        }
        let is_down = self.table.get(&id).is_some_and(|process| process.state().shown().is_stopped());
        if is_down {
            self.start(id, Actor::Policy, CAUSE);
        }
    }
}
