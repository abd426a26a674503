//! Where a process can be: sum types in which a wrong state cannot be written down.
//!
//! Only a state that owns a run can name one, and every state that waits for a time holds it. Must not know how
//! states follow each other. Example: `ProcState::Stopped.shown()` is `State::Stopped`.

use crate::model::{RunId, State, Time};

/// A child of which we do not know that it has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its generation.
    pub id: RunId,
    /// The kernel's number, for reports; 0 until it is known.
    pub pid: i32,
    /// When it was spawned; 0 until it was.
    pub started: Time,
}

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits until fewer starts are in flight.
    Queued,
    /// [`Action::Prepare`](crate::core::Action::Prepare) is not answered yet.
    Preparing,
    /// [`Action::Spawn`](crate::core::Action::Spawn) is not answered yet.
    Spawning,
    /// The child lives, and has not done so for `startsecs` yet.
    Up,
}

/// How far a stop has come while the main process may still live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// [`Action::Spawn`](crate::core::Action::Spawn) is not answered yet: the child is stopped as soon as there is one.
    Unspawned,
    /// The stop signal was sent.
    Asked {
        /// When patience ends.
        kill_at: Time,
    },
    /// SIGKILL was sent.
    Killed {
        /// When it is sent again.
        again_at: Time,
    },
}

/// The clean-up of what an ended run left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The run, whose main process has gone.
    pub run: RunId,
    /// What its main process was called, for reports.
    pub pid: i32,
    /// How many processes are left, once they were counted.
    pub left: Option<u32>,
    /// Whether they got SIGKILL; SIGTERM before.
    pub killed: bool,
    /// When the next step is due: SIGKILL, or giving up on them.
    pub deadline: Time,
}

/// What an ended run left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing that we watch.
    Clean,
    /// Processes that are left alone, and shown.
    Left {
        /// The run.
        run: RunId,
        /// How many.
        left: u32,
    },
    /// Processes that have to go before the next automatic start.
    Busy(Sweep),
}

/// Where a process is. Only a state that owns a run can name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcState {
    /// Never started, or stopped on request.
    Stopped,
    /// A client asked for a start, and its command is looked at before anything else is done or shown.
    Checking {
        /// The run that it may become.
        run: RunId,
        /// Whether [`Action::Prepare`](crate::core::Action::Prepare) was sent.
        asked: bool,
        /// The state before, which is the state that clients see.
        shown: State,
    },
    /// A start is under way.
    Starting {
        /// The run.
        run: Run,
        /// How far.
        stage: Stage,
    },
    /// Up for `startsecs`.
    Running {
        /// The run.
        run: Run,
    },
    /// A start failed; the next one waits for its time.
    Backoff {
        /// When.
        until: Time,
        /// What the failed run left behind.
        rest: Rest,
    },
    /// A stop is under way.
    Stopping {
        /// The run.
        run: Run,
        /// How far.
        step: Step,
    },
    /// The main process was stopped, and what is left of its tree is being stopped.
    Sweeping {
        /// The clean-up.
        sweep: Sweep,
    },
    /// It ended by itself after it had been running.
    Exited {
        /// When it is started again by `autorestart`, if so.
        again: Option<Time>,
        /// What it left behind.
        rest: Rest,
    },
    /// Given up.
    Fatal {
        /// What the last run left behind.
        rest: Rest,
    },
    /// A signal could not be sent: it is out of our hands until it ends.
    Unknown {
        /// The run.
        run: Run,
    },
}

impl ProcState {
    /// Returns the state that supervisord's clients see: the one table.
    #[must_use]
    pub fn shown(&self) -> State {
        match self {
            ProcState::Stopped => State::Stopped,
            ProcState::Checking { shown, .. } => *shown,
            ProcState::Starting { .. } => State::Starting,
            ProcState::Running { .. } => State::Running,
            ProcState::Backoff { .. } => State::Backoff,
            ProcState::Stopping { .. } | ProcState::Sweeping { .. } => State::Stopping,
            ProcState::Exited { .. } => State::Exited,
            ProcState::Fatal { .. } => State::Fatal,
            ProcState::Unknown { .. } => State::Unknown,
        }
    }

    /// Returns the run whose main process may live.
    #[must_use]
    pub fn run(&self) -> Option<Run> {
        match self {
            ProcState::Starting { run, .. }
            | ProcState::Running { run }
            | ProcState::Stopping { run, .. }
            | ProcState::Unknown { run } => Some(*run),
            _ => None,
        }
    }

    /// Returns what an ended run left behind.
    #[must_use]
    pub fn rest(&self) -> Rest {
        match self {
            ProcState::Backoff { rest, .. } | ProcState::Exited { rest, .. } | ProcState::Fatal { rest } => {
                *rest
            }
            ProcState::Sweeping { sweep } => Rest::Busy(*sweep),
            _ => Rest::Clean,
        }
    }

    /// Returns the run to name in a report: the main process may have gone already.
    pub(super) fn about(&self) -> Option<Run> {
        let ended = |id, pid| Some(Run { id, pid, started: Time(0) });
        self.run().or(match self.rest() {
            Rest::Clean => None,
            Rest::Left { run, .. } => ended(run, 0),
            Rest::Busy(sweep) => ended(sweep.run, sweep.pid),
        })
    }

    /// Returns the run that inputs may be about: every other run is over.
    pub(super) fn owned(&self) -> Option<RunId> {
        if let ProcState::Checking { run, .. } = self {
            return Some(*run);
        }
        self.about().map(|run| run.id)
    }

    /// Whether an answer about a start is awaited.
    pub(super) fn is_in_flight(&self) -> bool {
        matches!(
            self,
            ProcState::Checking { asked: true, .. }
                | ProcState::Starting { stage: Stage::Preparing | Stage::Spawning, .. }
                | ProcState::Stopping { step: Step::Unspawned, .. }
        )
    }

    /// Whether its child has, or may have, the socket that it shares.
    pub(super) fn holds_socket(&self) -> bool {
        matches!(
            self,
            ProcState::Starting { stage: Stage::Spawning | Stage::Up, .. }
                | ProcState::Running { .. }
                | ProcState::Stopping { .. }
                | ProcState::Unknown { .. }
        )
    }

    /// Returns when time alone moves it on; `startsecs` is its specification's.
    pub(super) fn deadline(&self, startsecs: i64) -> Option<Time> {
        let when = |rest: &Rest, otherwise: Option<Time>| match rest {
            Rest::Busy(sweep) => Some(sweep.deadline),
            _ => otherwise,
        };
        match self {
            ProcState::Starting { run, stage: Stage::Up } => Some(run.started.after_secs(startsecs)),
            ProcState::Backoff { until, rest } => when(rest, Some(*until)),
            ProcState::Exited { again, rest } => when(rest, *again),
            ProcState::Stopping {
                step: Step::Asked { kill_at: at } | Step::Killed { again_at: at }, ..
            } => Some(*at),
            ProcState::Sweeping { sweep } => Some(sweep.deadline),
            _ => None,
        }
    }
}
