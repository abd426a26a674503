//! From the wish to be down to a process that is: signals, patience, SIGKILL.
//!
//! Must not know who may ask. Example: `self.stop(id, actor, "stop requested")` sends the stop signal to a running
//! process, cancels the next attempt of one in BACKOFF, and does nothing to one that is down.

use super::action::{Action, Reply, Scope};
use super::input::Actor;
use super::process::{Desired, Process};
use super::state::{ProcState, Rest, Run, Stage, Step, Sweep};
use super::{Core, lines};
use crate::model::{ProcessId, Signal};

/// Least pause in seconds between two SIGKILLs of one process: `stopwaitsecs=0` would repeat them without end.
pub(super) const KILL_REPEAT_MIN_SECS: i64 = 1;

impl Core {
    /// Wants a process down, and moves it there from wherever it is.
    pub(super) fn stop(&mut self, id: ProcessId, actor: Actor, cause: &str) {
        self.want(id, Desired::Down);
        let Some(process) = self.table.get_mut(&id) else { return };
        match *process.state() {
            ProcState::Checking { shown, .. } => {
                // Nothing that shows has changed, and yet it is known whose wish it is.
                process.actor = actor;
                self.leave_checking(id, shown);
                self.answer_starts(id, &Reply::AbnormalTermination);
            }
            ProcState::Starting { run, stage: Stage::Up } | ProcState::Running { run } => {
                self.ask_to_stop(id, run, actor, cause);
            }
            ProcState::Starting { run, stage } => {
                let next = ProcState::Stopping { run, step: Step::Unspawned };
                self.set_state(id, next, actor, cause);
                if stage != Stage::Spawning {
                    self.enter_stopped(id);
                }
            }
            ProcState::Backoff { rest, .. } | ProcState::Exited { again: Some(_), rest } => match rest {
                Rest::Busy(sweep) => self.set_state(id, ProcState::Sweeping { sweep }, actor, cause),
                _ => {
                    process.attempt = 0;
                    self.set_state(id, ProcState::Stopped, actor, cause);
                }
            },
            // It was to be restarted, and is not.
            _ => self.settle(id),
        }
    }

    /// Cleans up what a process left behind that ended by itself; only an explicit stop asks for that.
    pub(super) fn stop_left_overs(&mut self, id: ProcessId, actor: Actor, cause: &str) {
        self.want(id, Desired::Down);
        let Some(process) = self.table.get(&id) else { return };
        let Rest::Left { run, .. } = process.state().rest() else { return };
        let deadline = self.now.after_secs(process.spec.stopwaitsecs);
        let sweep = Sweep { run, pid: 0, left: None, killed: false, deadline };
        self.set_state(id, ProcState::Sweeping { sweep }, actor, cause);
        self.actions.push_back(Action::Sweep { run, signal: Some(Signal::TERM) });
    }

    /// Sends the stop signal and sets the deadline for SIGKILL.
    pub(super) fn ask_to_stop(&mut self, id: ProcessId, run: Run, actor: Actor, cause: &str) {
        let Some(process) = self.table.get(&id) else { return };
        let kill_at = self.now.after_secs(process.spec.stopwaitsecs);
        let scope = if process.spec.stopasgroup == Some(true) { Scope::Group } else { Scope::Main };
        let signal = process.spec.stopsignal;
        self.set_state(id, ProcState::Stopping { run, step: Step::Asked { kill_at } }, actor, cause);
        self.send(id, run, signal, scope);
    }

    /// Sends SIGKILL after the patience of `stopwaitsecs`, and again after as long.
    pub(super) fn kill(&mut self, id: ProcessId, run: Run) {
        let Some(process) = self.table.get(&id) else { return };
        let again_at = self.now.after_secs(process.spec.stopwaitsecs.max(KILL_REPEAT_MIN_SECS));
        let scope = kill_scope(process);
        let line = lines::killing_hard(&process.spec.name, run.pid);
        self.log(line);
        self.set_state(id, ProcState::Stopping { run, step: Step::Killed { again_at } }, Actor::Policy, "");
        self.send(id, run, Signal::KILL, scope);
    }

    fn send(&mut self, id: ProcessId, run: Run, signal: Signal, scope: Scope) {
        let line = lines::killing(self.name(id), run.pid, scope == Scope::Group, signal);
        self.log(line);
        self.actions.push_back(Action::Signal { run: run.id, signal, scope });
    }

    /// Moves a process to STOPPED, at the end of a stop.
    pub(super) fn enter_stopped(&mut self, id: ProcessId) {
        let actor = self.last_actor(id);
        let Some(process) = self.table.get_mut(&id) else { return };
        process.attempt = 0;
        let cause = process.exit.map_or_else(|| "never spawned".to_owned(), |status| status.to_string());
        let is_wanted = process.desired == Desired::Up;
        self.set_state(id, ProcState::Stopped, actor, &cause);
        // The stop was the first half of a restart.
        if is_wanted {
            let cause = if actor == Actor::Policy { "restart" } else { "restart requested" };
            self.start(id, actor, cause);
        }
    }

    /// A signal could not be sent: whatever the process does now, we cannot make it.
    pub(super) fn on_signal_failed(&mut self, id: ProcessId, errno: &str) {
        let Some(process) = self.table.get(&id) else { return };
        let Some(run) = process.state().run().filter(|run| run.pid != 0) else { return };
        if matches!(process.state(), ProcState::Unknown { .. }) {
            return;
        }
        let name = process.spec.name.clone();
        self.log(lines::unsignallable(&name, run.pid, errno));
        let text = lines::unsignallable_text(&name, run.pid, errno);
        self.set_state(id, ProcState::Unknown { run }, Actor::Policy, &text);
    }

    /// Returns who caused the last change that clients could see.
    pub(super) fn last_actor(&self, id: ProcessId) -> Actor {
        self.table.get(&id).map_or(Actor::Policy, |process| process.actor)
    }
}

/// Returns who gets SIGKILL: the tree, unless the configuration speaks supervisord's own words, where
/// `killasgroup` defaults to `stopasgroup` (supervisor 4.3 options.py).
fn kill_scope(process: &Process) -> Scope {
    if process.stops_tree() {
        return Scope::Tree;
    }
    let group = process.spec.killasgroup.or(process.spec.stopasgroup).unwrap_or(false);
    if group { Scope::Group } else { Scope::Main }
}
