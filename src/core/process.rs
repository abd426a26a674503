//! One supervised process: its state, and [`Core::set_state`], the only way in which that ever changes.
//!
//! Must not know why a process should move; the rules are in `start`, `stop` and `exit`. Example: a rule says
//! `self.set_state(id, ProcState::Running { run }, actor, "up for startsecs")`, and the change is published,
//! persisted, entered into the deadlines, and lets go of the run that the old state held.

use super::Core;
use super::action::{Action, Transition};
use super::backoff::RestartRate;
use super::fleet::GroupId;
use super::input::Actor;
use super::request::Waiter;
use super::state::ProcState;
use crate::model::spec::ProcessSpec;
use crate::model::{ExitStatus, ProcessId, RunId, State, WallTime};
use std::sync::Arc;

/// What is wanted of a process, apart from what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// It is to run.
    Up,
    /// It is to be down.
    Down,
}

/// A supervised process.
#[derive(Clone, Debug)]
pub struct Process {
    pub(super) spec: Arc<ProcessSpec>,
    pub(super) group: GroupId,
    /// Private to this file: `set_state` is the only writer.
    state: ProcState,
    pub(super) desired: Desired,
    /// Failed starts in a row, supervisord's `backoff`.
    pub(super) attempt: u32,
    /// supervisord's `spawnerr`.
    pub(super) failure: String,
    pub(super) exit: Option<ExitStatus>,
    pub(super) exitstatus: i32,
    pub(super) expected: bool,
    pub(super) started_wall: WallTime,
    pub(super) stopped_wall: WallTime,
    pub(super) rate: RestartRate,
    /// Requests that wait for this process.
    pub(super) waiters: Vec<Waiter>,
    pub(super) actor: Actor,
    pub(super) cause: String,
    pub(super) changed_wall: WallTime,
    /// Starts by itself since somebody asked for one.
    pub(super) restarts: u32,
    /// How the run before this one ended, where this one was started because of that.
    pub(super) previous: Option<ExitStatus>,
    /// Why a start that was asked for changed nothing; empty since the next one that did. It is lost
    /// with a reactor that dies: who asked was told.
    pub(super) start_refused: String,
}

impl Process {
    pub(super) fn new(spec: Arc<ProcessSpec>, group: GroupId) -> Process {
        Process {
            spec,
            group,
            state: ProcState::Stopped,
            desired: Desired::Down,
            attempt: 0,
            failure: String::new(),
            exit: None,
            exitstatus: 0,
            expected: false,
            started_wall: WallTime(0),
            stopped_wall: WallTime(0),
            rate: RestartRate::default(),
            waiters: Vec::new(),
            actor: Actor::Policy,
            cause: String::new(),
            changed_wall: WallTime(0),
            restarts: 0,
            previous: None,
            start_refused: String::new(),
        }
    }

    /// Returns what the configuration says about it.
    #[must_use]
    pub fn spec(&self) -> &Arc<ProcessSpec> {
        &self.spec
    }

    /// Returns where it is.
    #[must_use]
    pub fn state(&self) -> &ProcState {
        &self.state
    }

    /// Returns whether it is wanted.
    #[must_use]
    pub fn desired(&self) -> Desired {
        self.desired
    }

    /// Returns the process id of its main process, where that may live and is known.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.state.run().map(|run| run.pid).filter(|pid| *pid != 0)
    }

    /// Returns its run: the one that is up, or the ended one whose left-overs are watched.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        self.state.owned()
    }

    /// Whether a stop request does something: it is up, on its way up, or due to be started again. Wider than
    /// [`State::is_running`](crate::model::State::is_running) by the moment between an exit and its automatic restart,
    /// and by a stop that is part of a restart.
    #[must_use]
    pub fn is_stoppable(&self) -> bool {
        match &self.state {
            ProcState::Checking { .. } | ProcState::Exited { again: Some(_), .. } => true,
            ProcState::Stopping { .. } | ProcState::Sweeping { .. } => self.is_restarting(),
            state => state.shown().is_running(),
        }
    }

    /// Whether it is down for a moment only, or on its way there: it is wanted up.
    #[must_use]
    pub fn is_restarting(&self) -> bool {
        let is_down = matches!(self.state.shown(), State::Stopping | State::Stopped);
        is_down && self.desired == Desired::Up
    }

    /// Whether the whole tree is ours to clean up: `kill_mode=mixed`, which an explicit `stopasgroup` or
    /// `killasgroup` turns off in favour of supervisord's ways.
    #[must_use]
    pub fn stops_tree(&self) -> bool {
        self.spec.stopasgroup.is_none() && self.spec.killasgroup.is_none()
    }

    /// Puts a restored process where its record says; nothing is published, because nothing happened.
    pub(super) fn restore_state(&mut self, state: ProcState) {
        self.state = state;
    }
}

/// Whether a change of the state that clients see is the end of a run.
fn is_end(from: State, to: State) -> bool {
    let ends = [State::Exited, State::Stopped, State::Backoff, State::Fatal];
    ends.contains(&to) && !ends.contains(&from)
}

impl Core {
    /// Moves a process to `next`: the only place where a state changes.
    ///
    /// A change that clients can see is published with who and why. The run that the old state owned is
    /// forgotten unless the new one owns it too, so that no run can leak.
    pub(super) fn set_state(&mut self, id: ProcessId, next: ProcState, actor: Actor, cause: &str) {
        let Some(process) = self.table.get_mut(&id) else { return };
        let old = std::mem::replace(&mut process.state, next);
        let (from, to) = (old.shown(), next.shown());
        let mut change = None;
        if from != to {
            process.actor = actor;
            cause.clone_into(&mut process.cause);
            process.changed_wall = self.wall;
            let run = next.run().or(old.about()).or(next.about());
            let is_over = is_end(from, to) && run.is_some_and(|run| run.pid != 0);
            change = Some(Transition {
                process: id,
                group: process.spec.group.clone(),
                name: process.spec.name.clone(),
                from,
                to,
                run: run.map_or(RunId(0), |run| run.id),
                pid: run.map_or(0, |run| run.pid),
                tries: process.attempt,
                expected: process.expected,
                exit: process.exit.filter(|_| is_over),
                started: process.started_wall,
                actor,
                cause: cause.to_owned(),
                at: self.wall,
            });
        }
        let startsecs = process.spec.startsecs;
        if let Some(change) = change {
            self.notify_state(id, &change);
            self.actions.push_back(Action::Publish(change));
        }
        self.actions.push_back(Action::Persist(id));
        let has_ended = old.run().is_some_and(|run| next.run().is_none_or(|now| now.id != run.id));
        if has_ended {
            self.listener_ends(id);
        }
        if let Some(run) = old.owned().filter(|run| next.owned() != Some(*run)) {
            self.actions.push_back(Action::Forget { run });
        }
        self.unindex(id, &old, startsecs);
        self.index(id, &next, startsecs);
        if old.holds_socket() && !next.holds_socket() {
            self.release_socket(id);
        }
        if from != to {
            self.settle(id);
        }
    }

    /// Sets what is wanted of a process.
    pub(super) fn want(&mut self, id: ProcessId, desired: Desired) {
        let Some(process) = self.table.get_mut(&id) else { return };
        if std::mem::replace(&mut process.desired, desired) != desired {
            self.actions.push_back(Action::Persist(id));
        }
    }

    /// Enters what can be looked up by a state: its deadline, its run, and the counts of what is under way.
    pub(super) fn index(&mut self, id: ProcessId, state: &ProcState, startsecs: i64) {
        if let Some(at) = state.deadline(startsecs) {
            self.deadlines.insert((at, id));
        }
        if let Some(run) = state.owned() {
            self.runs.insert(run, id);
        }
        self.in_flight += usize::from(state.is_in_flight());
        if !state.shown().is_stopped() {
            self.count_live(id, 1);
        }
        if state.holds_socket() {
            self.count_holder(id, 1);
        }
    }

    /// Replaces what the configuration says of a process. Its state is entered anew, because the deadline of a
    /// process that is coming up follows from both.
    pub(super) fn respecify(&mut self, id: ProcessId, spec: Arc<ProcessSpec>) {
        let Some(process) = self.table.get_mut(&id) else { return };
        let (state, startsecs) = (process.state, spec.startsecs);
        let old = std::mem::replace(&mut process.spec, spec);
        self.unindex(id, &state, old.startsecs);
        self.index(id, &state, startsecs);
    }

    /// Takes a process out of the table; what it still owns is forgotten.
    pub(super) fn remove_process(&mut self, id: ProcessId) {
        let Some(process) = self.table.get(&id) else { return };
        let (state, startsecs) = (process.state, process.spec.startsecs);
        self.unindex(id, &state, startsecs);
        self.release_socket(id);
        self.table.remove(&id);
        self.events.listeners.remove(&id);
        self.events.breaks.remove(&id);
        if let Some(run) = state.owned() {
            self.actions.push_back(Action::Forget { run });
        }
        self.actions.push_back(Action::Persist(id));
    }

    fn unindex(&mut self, id: ProcessId, state: &ProcState, startsecs: i64) {
        if let Some(at) = state.deadline(startsecs) {
            self.deadlines.remove(&(at, id));
        }
        if let Some(run) = state.owned() {
            self.runs.remove(&run);
        }
        self.in_flight -= usize::from(state.is_in_flight());
        if !state.shown().is_stopped() {
            self.count_live(id, -1);
        }
        if state.holds_socket() {
            self.count_holder(id, -1);
        }
    }
}
