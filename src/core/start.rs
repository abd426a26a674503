//! From the wish to run to a running process: queue, preparation, spawn, `startsecs`, and what a failed attempt
//! leads to.
//!
//! Must not know who may ask (`request.rs`) nor what an exit means (`exit.rs`). Example: `self.start(id,
//! Actor::Policy, "autostart")` puts a process in STARTING; `pump` sends [`Action::Prepare`] when it is its turn.

use super::action::Action;
use super::backoff;
use super::input::{Actor, SpawnError};
use super::process::Desired;
use super::state::{ProcState, Rest, Run, Stage, Step};
use super::{Core, lines};
use crate::model::{Pid, ProcessId, RunId, State, Time};

/// Most starts whose answer is awaited at a time: the keeper is kept busy, and a boot of thousands cannot flood
/// its socket nor take all descriptors for half-made children.
pub const SPAWNS_IN_FLIGHT_MAX: usize = 64;

impl Core {
    /// Begins a start that needs no further permission: STARTING is entered before the command is looked at
    /// (supervisor 4.3 process.py `spawn`).
    pub(super) fn start(&mut self, id: ProcessId, actor: Actor, cause: &str) {
        if self.refuse(id, actor) {
            return;
        }
        let run = self.take_run();
        self.enter_starting(id, run, Stage::Queued, actor, cause);
        self.queue.push_back((id, run));
    }

    /// Begins a start that a client asked for, by looking at the command: a command that is not there changes
    /// nothing (supervisor 4.3 rpcinterface.py `startProcess`).
    pub(super) fn check(&mut self, id: ProcessId, shown: State, actor: Actor) {
        let run = self.take_run();
        self.set_state(id, ProcState::Checking { run, asked: false, shown }, actor, "");
        self.queue.push_back((id, run));
    }

    /// Makes a process FATAL that its configuration forbids to run; returns whether that is so.
    pub(super) fn refuse(&mut self, id: ProcessId, actor: Actor) -> bool {
        let Some(process) = self.table.get_mut(&id) else { return true };
        let Some(why) = process.spec.refused.clone() else { return false };
        process.failure.clone_from(&why);
        process.desired = Desired::Up;
        self.set_state(id, ProcState::Fatal { rest: Rest::Clean }, actor, &why);
        let line = lines::refused(self.name(id), &why);
        self.log(line);
        true
    }

    fn enter_starting(&mut self, id: ProcessId, run: RunId, stage: Stage, actor: Actor, cause: &str) {
        let (now, wall) = (self.now, self.wall);
        let Some(process) = self.table.get_mut(&id) else { return };
        process.desired = Desired::Up;
        process.failure.clear();
        process.start_refused.clear();
        if actor != Actor::Policy {
            (process.restarts, process.previous) = (0, None);
        }
        process.exit = None;
        process.exitstatus = 0;
        process.expected = false;
        process.started_wall = wall;
        process.rate.take(now);
        let run = Run { id: run, pid: 0, started: Time(0) };
        self.set_state(id, ProcState::Starting { run, stage }, actor, cause);
    }

    /// Prepares as many queued starts as may be in flight, unless the machine is known to have no room.
    pub(super) fn pump(&mut self) {
        while self.in_flight < SPAWNS_IN_FLIGHT_MAX && self.now >= self.shortage.until() {
            let Some((process, run)) = self.queue.pop_front() else { return };
            let is_wanted = self.table.get(&process).is_some_and(|process| process.desired == Desired::Up);
            let next = match self.table.get(&process).map(|process| *process.state()) {
                Some(ProcState::Starting { run: owned, stage: Stage::Queued })
                    if owned.id == run && is_wanted =>
                {
                    ProcState::Starting { run: owned, stage: Stage::Preparing }
                }
                Some(ProcState::Checking { run: owned, asked: false, shown }) if owned == run => {
                    ProcState::Checking { run, asked: true, shown }
                }
                // It was stopped while it waited, or is about to be, after a hand-over.
                _ => continue,
            };
            self.set_state(process, next, Actor::Policy, "");
            self.actions.push_back(Action::Prepare { run, process });
        }
    }

    pub(super) fn on_prepared(&mut self, id: ProcessId, run: RunId, result: Result<(), SpawnError>) {
        let Some(process) = self.table.get(&id) else { return };
        match (*process.state(), result) {
            (ProcState::Starting { run, stage: Stage::Preparing }, Ok(())) => self.ask_for_child(id, run),
            (ProcState::Starting { stage: Stage::Preparing, .. }, Err(error)) if error.is_condition() => {
                self.not_here(id, &error);
            }
            (ProcState::Starting { stage: Stage::Preparing, .. }, Err(error)) => {
                self.start_failed(id, &error)
            }
            (ProcState::Checking { .. }, Ok(())) => {
                let actor = self.asker(id);
                self.enter_starting(id, run, Stage::Preparing, actor, "start requested");
                self.ask_for_child(id, Run { id: run, pid: 0, started: Time(0) });
            }
            (ProcState::Checking { shown, .. }, Err(error)) if error.is_command() => {
                self.note_refusal(id, &error);
                self.answer_refused(id, &error);
                self.leave_checking(id, shown);
            }
            (ProcState::Checking { .. }, Err(error)) => {
                let actor = self.asker(id);
                self.enter_starting(id, run, Stage::Preparing, actor, "start requested");
                self.start_failed(id, &error);
            }
            _ => {}
        }
    }

    /// Leaves a process alone whose conditions do not hold: nothing failed, and nothing is tried again.
    fn not_here(&mut self, id: ProcessId, error: &SpawnError) {
        self.note_refusal(id, error);
        if let Some(process) = self.table.get_mut(&id) {
            process.attempt = 0;
            process.desired = Desired::Down;
        }
        self.answer_refused(id, error);
        let text = error.to_string();
        self.set_state(id, ProcState::Stopped, Actor::Policy, &text);
        let line = lines::not_here(self.name(id), &text);
        self.log(line);
    }

    fn note_refusal(&mut self, id: ProcessId, error: &SpawnError) {
        if let Some(process) = self.table.get_mut(&id) {
            process.start_refused = error.to_string();
        }
    }

    /// Goes back to where a process was before a start was asked for that comes to nothing.
    pub(super) fn leave_checking(&mut self, id: ProcessId, shown: State) {
        let back = match shown {
            State::Exited => ProcState::Exited { again: None, rest: Rest::Clean },
            State::Fatal => ProcState::Fatal { rest: Rest::Clean },
            _ => ProcState::Stopped,
        };
        self.set_state(id, back, Actor::Policy, "");
    }

    pub(super) fn on_spawned(&mut self, id: ProcessId, pid: Pid) {
        let Some(process) = self.table.get_mut(&id) else { return };
        let state = *process.state();
        let run = match state {
            ProcState::Starting { run, stage } if stage != Stage::Up => run,
            ProcState::Stopping { run, step: Step::Unspawned } => run,
            // Told again after a handover.
            _ => return,
        };
        process.started_wall = self.wall;
        let startsecs = process.spec.startsecs;
        let run = Run { pid: pid.0, started: self.now, ..run };
        self.shortage.passed();
        if pid.0 != 0 {
            let line = lines::spawned(self.name(id), pid.0);
            self.log(line);
        }
        if matches!(state, ProcState::Stopping { .. }) {
            // The stop came while the child was being made.
            self.ask_to_stop(id, run, Actor::Policy, "");
            return;
        }
        self.set_state(id, ProcState::Starting { run, stage: Stage::Up }, Actor::Policy, "");
        self.listener_begins(id, run.id);
        self.settle(id);
        if startsecs <= 0 {
            self.enter_running(id, run);
        }
    }

    pub(super) fn on_spawn_failed(&mut self, id: ProcessId, error: &SpawnError) {
        match self.table.get(&id).map(|process| *process.state()) {
            Some(ProcState::Starting { stage, .. }) if stage != Stage::Up => self.start_failed(id, error),
            Some(ProcState::Stopping { step: Step::Unspawned, .. }) => self.enter_stopped(id),
            _ => {}
        }
    }

    /// Moves a process to RUNNING: its child has lived for `startsecs`.
    pub(super) fn enter_running(&mut self, id: ProcessId, run: Run) {
        let Some(process) = self.table.get_mut(&id) else { return };
        process.attempt = 0;
        let startsecs = process.spec.startsecs;
        self.set_state(id, ProcState::Running { run }, Actor::Program, "up for startsecs");
        let line = lines::success(self.name(id), startsecs);
        self.log(line);
    }

    /// Deals with a start that made no child.
    pub(super) fn start_failed(&mut self, id: ProcessId, error: &SpawnError) {
        let text = error.to_string();
        self.log(lines::spawn_error(&text));
        if !error.is_shortage() {
            return self.count_failure(id, &text, Rest::Clean);
        }
        let until = self.shortage.refused(self.now);
        if let Some(process) = self.table.get_mut(&id) {
            process.failure.clone_from(&text);
        }
        self.set_state(id, ProcState::Backoff { until, rest: Rest::Clean }, Actor::Policy, &text);
    }

    /// Counts a failed attempt of the program, and waits for the next one or gives up.
    pub(super) fn count_failure(&mut self, id: ProcessId, text: &str, rest: Rest) {
        let is_spent = self.are_retries_spent(id);
        let Some(process) = self.table.get_mut(&id) else { return };
        process.attempt = process.attempt.saturating_add(1);
        text.clone_into(&mut process.failure);
        let until = backoff::retry_at(self.now, process.attempt);
        self.set_state(id, ProcState::Backoff { until, rest }, Actor::Program, text);
        if is_spent {
            self.give_up(id, rest, "too many start retries");
            let line = lines::gave_up(self.name(id));
            self.log(line);
        } else if self.closing.is_some() {
            self.give_up(id, rest, "the daemon ends");
        }
    }

    /// Whether a failure of the attempt under way is followed by another attempt.
    pub(super) fn is_retried(&self, id: ProcessId) -> bool {
        self.closing.is_none() && !self.are_retries_spent(id)
    }

    /// Whether the attempt under way is the last: `startretries` counts those after the first.
    fn are_retries_spent(&self, id: ProcessId) -> bool {
        self.table.get(&id).is_none_or(|process| i64::from(process.attempt) >= process.spec.startretries)
    }

    /// Moves a process from BACKOFF to FATAL.
    pub(super) fn give_up(&mut self, id: ProcessId, rest: Rest, cause: &str) {
        self.set_state(id, ProcState::Fatal { rest }, Actor::Policy, cause);
        if let Some(process) = self.table.get_mut(&id) {
            process.attempt = 0;
        }
        self.note_end(id);
    }
}
