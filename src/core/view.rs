//! What there is to know about a process, for those who show it.
//!
//! Example: `core.view(id)` gives name, state and pid; the words of a description are made by whoever shows it.

use super::Core;
use super::input::Actor;
use super::process::Desired;
use super::state::{ProcState, Rest};
use crate::model::{ExitStatus, ProcessId, RunId, State, Time, WallTime};

/// A process as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessView {
    /// Its id.
    pub id: ProcessId,
    /// Name within its group.
    pub name: String,
    /// Name of its group.
    pub group: String,
    /// The state that clients see.
    pub state: State,
    /// Whether it is wanted.
    pub desired: Desired,
    /// Its main process; 0 when none, or not known.
    pub pid: i32,
    /// The run that is up, or whose left-overs are watched.
    pub run: Option<RunId>,
    /// When it was last started; 0 never.
    pub start: WallTime,
    /// When it last stopped; 0 never.
    pub stop: WallTime,
    /// supervisord's number: exit code, -1 after a death by signal, 0 when there is none to tell.
    pub exitstatus: i32,
    /// How the last run ended, an early exit included.
    pub exit: Option<ExitStatus>,
    /// Why the last start failed; empty when it did not.
    pub spawnerr: String,
    /// Failed starts in a row.
    pub attempt: u32,
    /// When it is started again automatically, if so.
    pub retry_at: Option<Time>,
    /// How many processes its last run left behind.
    pub left: u32,
    /// Why its state last changed.
    pub cause: String,
    /// Who caused that.
    pub actor: Actor,
    /// When that was; 0 never.
    pub changed: WallTime,
    /// Starts by itself since somebody asked for one.
    pub restarts: u32,
    /// How the run before this one ended, where this one was started because of that.
    pub previous: Option<ExitStatus>,
    /// Why a start that was asked for changed nothing; empty since the next one that did.
    pub start_refused: String,
}

impl Core {
    /// Returns what there is to know about a process.
    #[must_use]
    pub fn view(&self, id: ProcessId) -> Option<ProcessView> {
        let process = self.process(id)?;
        let state = process.state();
        Some(ProcessView {
            id,
            name: process.spec.name.clone(),
            group: process.spec.group.clone(),
            state: state.shown(),
            desired: process.desired,
            pid: process.pid().unwrap_or(0),
            run: process.run(),
            start: process.started_wall,
            stop: process.stopped_wall,
            exitstatus: process.exitstatus,
            exit: process.exit,
            spawnerr: process.failure.clone(),
            attempt: process.attempt,
            retry_at: match state {
                ProcState::Backoff { until, .. } => Some(*until),
                ProcState::Exited { again, .. } => *again,
                _ => None,
            },
            left: match state.rest() {
                Rest::Clean => 0,
                Rest::Left { left, .. } => left,
                Rest::Busy(sweep) => sweep.left.unwrap_or(0),
            },
            cause: process.cause.clone(),
            actor: process.actor,
            changed: process.changed_wall,
            restarts: process.restarts,
            previous: process.previous,
            start_refused: process.start_refused.clone(),
        })
    }
}
