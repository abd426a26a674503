//! What the end of a main process means: too early, a stop that worked, or an exit that may be followed by a
//! restart; and the clean-up of what it left behind.
//!
//! Must not know how signals are sent. Example: a RUNNING process of `autorestart=true` exits; its left-overs get
//! SIGTERM by [`Action::Sweep`], and when [`super::Input::Swept`] says that none are left, it starts again.

use super::action::Action;
use super::input::Actor;
use super::process::Desired;
use super::state::{ProcState, Rest, Run, Stage, Step, Sweep};
use super::{Core, lines};
use crate::model::spec::AutoRestart;
use crate::model::{ExitStatus, Pid, ProcessId, Signal, Time};

/// supervisord's `spawnerr` of a program that ended before `startsecs`.
const EXITED_TOO_QUICKLY: &str = "Exited too quickly (process log may have details)";

/// How long to wait in seconds for processes that got SIGKILL: they end at once, or sleep in the kernel where
/// nothing reaches them and nobody knows for how long.
pub(super) const SWEEP_KILL_WAIT_SECS: i64 = 2;

impl Core {
    pub(super) fn on_exited(&mut self, id: ProcessId, status: ExitStatus, at: Time) {
        let is_unspawned = |state: &ProcState| {
            matches!(state, ProcState::Stopping { step: Step::Unspawned, .. })
                || matches!(state, ProcState::Starting { stage, .. } if *stage != Stage::Up)
        };
        if self.table.get(&id).is_some_and(|process| is_unspawned(process.state())) {
            // The news of its spawn was lost with a reactor.
            self.on_spawned(id, Pid(0));
        }
        let wall = self.wall;
        let Some(process) = self.table.get_mut(&id) else { return };
        let state = *process.state();
        let Some(run) = state.run() else { return };
        process.stopped_wall = wall;
        process.exit = Some(status);
        process.expected = matches!(status, ExitStatus::Code(code) if process.spec.exitcodes.contains(&code));
        let due = run.started.after_secs(process.spec.startsecs);
        let is_wanted = process.desired == Desired::Up;
        match state {
            ProcState::Starting { .. } if at < due => self.exited_early(id, run, status),
            ProcState::Starting { .. } => {
                self.enter_running(id, run);
                self.exited(id, run, status);
            }
            ProcState::Stopping { step, .. } => self.stopped(id, run, status, step),
            ProcState::Unknown { .. } if !is_wanted => self.stopped_unknown(id, status),
            _ => self.exited(id, run, status),
        }
    }

    /// The main process ended before it counted as running.
    fn exited_early(&mut self, id: ProcessId, run: Run, status: ExitStatus) {
        let Some(process) = self.table.get_mut(&id) else { return };
        process.expected = false;
        let line = lines::exited(&process.spec.name, status, false);
        let sweep = self.is_retried(id).then_some(Signal::TERM);
        let rest = self.rest_of(id, run, sweep);
        self.log(line);
        self.count_failure(id, EXITED_TOO_QUICKLY, rest);
        self.sweep_rest(id, sweep);
    }

    /// The main process ended by itself after it had been running.
    fn exited(&mut self, id: ProcessId, run: Run, status: ExitStatus) {
        let (now, is_open) = (self.now, self.closing.is_none());
        let Some(process) = self.table.get_mut(&id) else { return };
        process.attempt = 0;
        process.exitstatus = status.code();
        let expected = process.expected;
        if !expected {
            process.failure = format!("Bad exit code {}", status.code());
        }
        let restarts = is_open
            && process.desired == Desired::Up
            && match process.spec.autorestart {
                AutoRestart::False => false,
                AutoRestart::Unexpected => !expected,
                AutoRestart::True => true,
            };
        let again = restarts.then(|| process.rate.earliest(now));
        if !restarts {
            process.desired = Desired::Down;
        }
        let line = lines::exited(&process.spec.name, status, expected);
        let sweep = restarts.then_some(Signal::TERM);
        let rest = self.rest_of(id, run, sweep);
        self.set_state(id, ProcState::Exited { again, rest }, Actor::Program, &status.to_string());
        self.log(line);
        self.sweep_rest(id, sweep);
        self.start_again(id);
        if !restarts {
            self.note_end(id);
        }
    }

    /// The main process ended on request; the stop is over when its tree is gone too.
    fn stopped(&mut self, id: ProcessId, run: Run, status: ExitStatus, step: Step) {
        let now = self.now;
        let Some(process) = self.table.get_mut(&id) else { return };
        process.exitstatus = status.code();
        let line = lines::stopped(&process.spec.name, status, process.expected);
        let stops_tree = process.stops_tree();
        self.log(line);
        if !stops_tree {
            return self.enter_stopped(id);
        }
        let (deadline, killed) = match step {
            Step::Asked { kill_at } => (kill_at, false),
            Step::Unspawned => (now, false),
            Step::Killed { .. } => (now.after_secs(SWEEP_KILL_WAIT_SECS), true),
        };
        let sweep = Sweep { run: run.id, pid: run.pid, left: None, killed, deadline };
        self.set_state(id, ProcState::Sweeping { sweep }, self.last_actor(id), "main process ended");
        let signal = Some(if killed { Signal::KILL } else { Signal::TERM });
        self.actions.push_back(Action::Sweep { run: run.id, signal });
    }

    /// The main process ended after all that could not be signalled when it was to stop. It counted as stopped
    /// already, so nobody waits; its children can be signalled as little as itself.
    fn stopped_unknown(&mut self, id: ProcessId, status: ExitStatus) {
        let Some(process) = self.table.get_mut(&id) else { return };
        process.exitstatus = status.code();
        let line = lines::stopped(&process.spec.name, status, process.expected);
        self.log(line);
        self.enter_stopped(id);
    }

    /// Returns what an ended run is to be kept for: to be cleaned up, where a signal is given, or to be shown.
    fn rest_of(&self, id: ProcessId, run: Run, sweep: Option<Signal>) -> Rest {
        let Some(process) = self.table.get(&id).filter(|process| process.stops_tree()) else {
            return Rest::Clean;
        };
        match sweep {
            None => Rest::Left { run: run.id, left: 0 },
            Some(_) => {
                let deadline = self.now.after_secs(process.spec.stopwaitsecs);
                Rest::Busy(Sweep { run: run.id, pid: run.pid, left: None, killed: false, deadline })
            }
        }
    }

    fn sweep_rest(&mut self, id: ProcessId, signal: Option<Signal>) {
        let rest = self.table.get(&id).map_or(Rest::Clean, |process| process.state().rest());
        if let Rest::Left { run, .. } | Rest::Busy(Sweep { run, .. }) = rest {
            self.actions.push_back(Action::Sweep { run, signal });
        }
    }

    /// Takes in how many processes of an ended run are left.
    pub(super) fn on_swept(&mut self, id: ProcessId, left: u32) {
        let Some(state) = self.table.get(&id).map(|process| *process.state()) else { return };
        match state.rest() {
            Rest::Clean => {}
            Rest::Left { run, .. } if left > 0 => self.set_rest(id, Rest::Left { run, left }),
            Rest::Left { .. } => self.set_rest(id, Rest::Clean),
            Rest::Busy(sweep) if left > 0 => {
                self.set_rest(id, Rest::Busy(Sweep { left: Some(left), ..sweep }));
            }
            Rest::Busy(_) => self.sweep_over(id),
        }
    }

    /// Goes on with a clean-up whose deadline has come: SIGKILL, and after that without the survivors.
    pub(super) fn on_sweep_deadline(&mut self, id: ProcessId, sweep: Sweep) {
        if sweep.killed {
            if let Some(left) = sweep.left {
                let line = lines::survived(self.name(id), left);
                self.log(line);
            }
            return self.sweep_over(id);
        }
        if let Some(left) = sweep.left {
            let line = lines::killing_rest(self.name(id), left);
            self.log(line);
        }
        let deadline = self.now.after_secs(SWEEP_KILL_WAIT_SECS);
        self.set_rest(id, Rest::Busy(Sweep { killed: true, deadline, ..sweep }));
        self.actions.push_back(Action::Sweep { run: sweep.run, signal: Some(Signal::KILL) });
    }

    fn sweep_over(&mut self, id: ProcessId) {
        match self.table.get(&id).map(|process| *process.state()) {
            Some(ProcState::Sweeping { .. }) => self.enter_stopped(id),
            Some(_) => {
                self.set_rest(id, Rest::Clean);
                self.start_again(id);
            }
            None => {}
        }
    }

    fn set_rest(&mut self, id: ProcessId, rest: Rest) {
        let Some(process) = self.table.get(&id) else { return };
        let next = match (*process.state(), rest) {
            (ProcState::Backoff { until, .. }, _) => ProcState::Backoff { until, rest },
            (ProcState::Exited { again, .. }, _) => ProcState::Exited { again, rest },
            (ProcState::Fatal { .. }, _) => ProcState::Fatal { rest },
            (ProcState::Sweeping { .. }, Rest::Busy(sweep)) => ProcState::Sweeping { sweep },
            _ => return,
        };
        self.set_state(id, next, Actor::Policy, "");
    }

    /// Starts a process again that waits for it, when its time has come and nothing is in the way.
    pub(super) fn start_again(&mut self, id: ProcessId) {
        match self.table.get(&id).map(|process| *process.state()) {
            Some(ProcState::Exited { again: Some(at), rest: Rest::Clean }) if at <= self.now => {
                self.restart(id, "autorestart");
            }
            Some(ProcState::Backoff { until, rest: Rest::Clean }) if until <= self.now => {
                self.restart(id, "next attempt");
            }
            _ => {}
        }
    }
    /// Starts a process that ended by itself, or could not be started, and counts that.
    fn restart(&mut self, id: ProcessId, cause: &str) {
        if let Some(process) = self.table.get_mut(&id) {
            process.restarts = process.restarts.saturating_add(1);
            process.previous = process.exit.or(process.previous);
        }
        self.start(id, Actor::Policy, cause);
    }
}
