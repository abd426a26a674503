//! A process as a record, and back: the table between [`ProcState`] and what is stored of it.
//!
//! Must not know where records are kept. Example: `core.record(id)` after every [`super::Action::Persist`].

use super::Core;
use super::input::Actor;
use super::listener::Listener;
use super::process::Desired;
use super::state::{ProcState, Rest, Run, Stage, Step, Sweep};
use crate::model::dialogue::Standing;
use crate::model::{ProcessId, ProcessRecord, RunId, Signal, State, Time, Uid};

impl Core {
    /// Returns a process as it is stored; nothing for one that is gone, whose slot is to be cleared.
    #[must_use]
    pub fn record(&self, id: ProcessId) -> Option<ProcessRecord> {
        let process = self.table.get(&id)?;
        let state = process.state();
        let run = state.run();
        let sweep = if let Rest::Busy(sweep) = state.rest() { Some(sweep) } else { None };
        let listener = self.events.listeners.get(&id);
        let event = listener.and_then(|listener| listener.event.as_ref());
        Some(ProcessRecord {
            serial: process.group.0,
            state: state.shown(),
            step: step_code(state),
            wanted: process.desired == Desired::Up,
            expected: process.expected,
            run: state.owned().unwrap_or(RunId(0)),
            pid: run.map(|run| run.pid).or(sweep.map(|sweep| sweep.pid)).unwrap_or(0),
            attempt: process.attempt,
            left: match state.rest() {
                Rest::Clean => None,
                Rest::Left { left, .. } => Some(left),
                Rest::Busy(sweep) => sweep.left,
            },
            deadline: match state {
                ProcState::Stopping { step, .. } => step_at(*step),
                _ => sweep.map_or(Time(0), |sweep| sweep.deadline),
            },
            retry_at: match state {
                ProcState::Backoff { until, .. } => *until,
                ProcState::Exited { again, .. } => again.unwrap_or(Time(0)),
                _ => Time(0),
            },
            started: run.map_or(Time(0), |run| run.started),
            rate: process.rate.0,
            started_wall: process.started_wall,
            stopped_wall: process.stopped_wall,
            changed_wall: process.changed_wall,
            exit: process.exit,
            exitstatus: process.exitstatus,
            actor: actor_code(process.actor),
            dialogue: listener.map_or(dialogue::NONE, dialogue_code),
            awaited: event.map_or(0, |event| event.pool_serial),
            failure: process.failure.clone(),
            cause: process.cause.clone(),
            restarts: process.restarts,
            previous: process.previous,
        })
    }
}

/// Steps of a record within its state. Each row of [`step_code`] and [`state_from`] names one of them; the numbers
/// are part of [`super::snapshot::SNAPSHOT_VERSION`].
mod step {
    pub(super) const ONLY: u8 = 0;
    pub(super) const QUEUED: u8 = 1;
    pub(super) const PREPARING: u8 = 2;
    pub(super) const SPAWNING: u8 = 3;
    pub(super) const UP: u8 = 4;
    pub(super) const UNSPAWNED: u8 = 5;
    pub(super) const ASKED: u8 = 6;
    pub(super) const KILLED: u8 = 7;
    pub(super) const LEFT: u8 = 8;
    pub(super) const SWEEP_TERM: u8 = 9;
    pub(super) const SWEEP_KILL: u8 = 10;
    pub(super) const CHECK_QUEUED: u8 = 11;
    pub(super) const CHECK_ASKED: u8 = 12;
}

/// Where a conversation stands; the numbers are part of [`super::snapshot::SNAPSHOT_VERSION`].
mod dialogue {
    pub(super) const NONE: u8 = 0;
    pub(super) const ACKNOWLEDGED: u8 = 1;
    pub(super) const READY: u8 = 2;
    pub(super) const BUSY: u8 = 3;
    pub(super) const LOST: u8 = 4;
}

/// What is said or sent in part dies with the reactor, and nobody can go on with it.
fn dialogue_code(listener: &Listener) -> u8 {
    match listener.dialogue.standing() {
        _ if listener.dialogue.is_within() || !listener.is_sent => dialogue::LOST,
        Standing::Acknowledged => dialogue::ACKNOWLEDGED,
        Standing::Ready => dialogue::READY,
        Standing::Busy => dialogue::BUSY,
        Standing::Unknown => dialogue::LOST,
    }
}

/// Returns where the conversation with a listener stood; `None` where there was none.
pub(super) fn dialogue_from(record: &ProcessRecord) -> Option<Standing> {
    match record.dialogue {
        dialogue::ACKNOWLEDGED => Some(Standing::Acknowledged),
        dialogue::READY => Some(Standing::Ready),
        dialogue::BUSY => Some(Standing::Busy),
        dialogue::LOST => Some(Standing::Unknown),
        _ => None,
    }
}

fn step_code(state: &ProcState) -> u8 {
    match state {
        ProcState::Checking { asked, .. } => {
            if *asked {
                step::CHECK_ASKED
            } else {
                step::CHECK_QUEUED
            }
        }
        ProcState::Starting { stage, .. } => match stage {
            Stage::Queued => step::QUEUED,
            Stage::Preparing => step::PREPARING,
            Stage::Spawning => step::SPAWNING,
            Stage::Up => step::UP,
        },
        ProcState::Stopping { step, .. } => match step {
            Step::Unspawned => step::UNSPAWNED,
            Step::Asked { .. } => step::ASKED,
            Step::Killed { .. } => step::KILLED,
        },
        _ => match state.rest() {
            Rest::Clean => step::ONLY,
            Rest::Left { .. } => step::LEFT,
            Rest::Busy(sweep) => {
                if sweep.killed {
                    step::SWEEP_KILL
                } else {
                    step::SWEEP_TERM
                }
            }
        },
    }
}

fn step_at(step: Step) -> Time {
    match step {
        Step::Unspawned => Time(0),
        Step::Asked { kill_at } => kill_at,
        Step::Killed { again_at } => again_at,
    }
}

pub(super) fn state_from(record: &ProcessRecord) -> ProcState {
    let run = Run { id: record.run, pid: record.pid, started: record.started };
    let sweep = Sweep {
        run: record.run,
        pid: record.pid,
        left: record.left,
        killed: record.step == step::SWEEP_KILL,
        deadline: record.deadline,
    };
    let rest = match record.step {
        step::LEFT => Rest::Left { run: record.run, left: record.left.unwrap_or(0) },
        step::SWEEP_TERM | step::SWEEP_KILL => Rest::Busy(sweep),
        _ => Rest::Clean,
    };
    if let step::CHECK_QUEUED | step::CHECK_ASKED = record.step {
        let asked = record.step == step::CHECK_ASKED;
        return ProcState::Checking { run: record.run, asked, shown: record.state };
    }
    match record.state {
        State::Stopped => ProcState::Stopped,
        State::Starting => ProcState::Starting {
            run,
            stage: match record.step {
                step::QUEUED => Stage::Queued,
                step::PREPARING => Stage::Preparing,
                step::SPAWNING => Stage::Spawning,
                _ => Stage::Up,
            },
        },
        State::Running => ProcState::Running { run },
        State::Backoff => ProcState::Backoff { until: record.retry_at, rest },
        State::Stopping => match record.step {
            step::UNSPAWNED => ProcState::Stopping { run, step: Step::Unspawned },
            step::KILLED => ProcState::Stopping { run, step: Step::Killed { again_at: record.deadline } },
            step::SWEEP_TERM | step::SWEEP_KILL => ProcState::Sweeping { sweep },
            _ => ProcState::Stopping { run, step: Step::Asked { kill_at: record.deadline } },
        },
        State::Exited => {
            let again = (record.retry_at != Time(0)).then_some(record.retry_at);
            ProcState::Exited { again, rest }
        }
        State::Fatal => ProcState::Fatal { rest },
        State::Unknown => ProcState::Unknown { run },
    }
}

/// Returns an actor as kind (high half) and number (low half).
pub(super) fn actor_code(actor: Actor) -> u64 {
    let (kind, number) = match actor {
        Actor::Policy => (0, 0),
        Actor::Program => (1, 0),
        Actor::Client(uid) => (2, uid.0),
        Actor::Signal(signal) => (3, signal.0.cast_unsigned()),
    };
    kind << 32 | u64::from(number)
}

pub(super) fn actor_from_code(code: u64) -> Actor {
    let number = code as u32;
    match code >> 32 {
        1 => Actor::Program,
        2 => Actor::Client(Uid(number)),
        3 => Actor::Signal(Signal(number.cast_signed())),
        _ => Actor::Policy,
    }
}
