//! What the core decided: each variant has one arm in `daemon::effects` and one in the simulated world.

use super::input::{Actor, RequestId, SpawnError};
use crate::model::event::Delivery;
use crate::model::spec::FcgiSocketSpec;
use crate::model::{ExitStatus, Level, ProcessId, RunId, Signal, State, WallTime};
use std::sync::Arc;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Find the command of a process and open its logs; answered by `Input::Prepared`.
    Prepare {
        /// The run that is to be spawned.
        run: RunId,
        /// Of which process.
        process: ProcessId,
    },
    /// Make the child; answered by `Input::Spawned` or `Input::SpawnFailed`.
    Spawn {
        /// The run.
        run: RunId,
        /// Of which process.
        process: ProcessId,
    },
    /// Send a signal to a run; only a failure other than "no such process" is answered.
    Signal {
        /// The run.
        run: RunId,
        /// What.
        signal: Signal,
        /// To whom of the run.
        scope: Scope,
    },
    /// The main process of a run has gone: count what is left of its tree, and send `signal` to it first where
    /// given. Answered by `Input::Swept`, and again whenever the number changes until it is zero or forgotten.
    Sweep {
        /// The run.
        run: RunId,
        /// What to send to the left-overs.
        signal: Option<Signal>,
    },
    /// The run is over: its pipes are drained and let go, its left-overs are watched no longer. It comes
    /// exactly once for every run, last of all about it: also before the answer to `Prepare`, and for a run
    /// that was never prepared, where a stop came first.
    Forget {
        /// The run.
        run: RunId,
    },
    /// Open a socket that processes share; answered by `Input::SocketOpened`. It is open before they are spawned.
    OpenSocket(Arc<FcgiSocketSpec>),
    /// Close the socket of this name: who had it has gone.
    CloseSocket(String),
    /// A process changed its state.
    Publish(Transition),
    /// A line for the activity log.
    Log {
        /// How grave.
        level: Level,
        /// The text, without level and time.
        text: String,
    },
    /// The record of this process changed: store it. One without a record has gone, with a new state file.
    Persist(ProcessId),
    /// A group came into force: make its AUTO log files.
    GroupAdded(String),
    /// A group in force is another one now: other members, or other settings of some.
    GroupChanged(String),
    /// A group is no longer in force.
    GroupRemoved(String),
    /// The answer to a request.
    Reply {
        /// Which request.
        id: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// An event waits in a pool from now on: it is to survive a reactor until it is settled.
    KeepEvent(Arc<Delivery>),
    /// An event needs to be kept no longer.
    SettleEvent {
        /// Which.
        delivery: Arc<Delivery>,
        /// What became of it.
        fate: Fate,
    },
    /// Write an event to the standard input of a listener, without waiting for it. Answered by `Input::EventSent`
    /// when all of it is in the pipe, or cannot get there.
    SendEvent {
        /// The run of the listener.
        run: RunId,
        /// The event.
        delivery: Arc<Delivery>,
    },
    /// Show what a listener gave as its result: output of a program with a line about it before.
    ShowResult(Vec<u8>),
    /// Everything is stopped.
    Finish(Finish),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A listener has dealt with it.
    Acknowledged,
    /// It made room for another one; a line says so.
    Discarded,
    /// Its pool ended before a listener took it; a line says so.
    Ended,
}

/// To whom of a run a signal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The main process.
    Main,
    /// Its process group, or the main process where there is no such group.
    Group,
    /// Every process of its tree.
    Tree,
}

/// What to do when everything is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// End the daemon.
    Exit,
    /// Load the configuration that was checked, and begin anew.
    Reload,
}

/// A change of state, with what `why` and `history` need to tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Which process; it may be gone by now, and its id another's.
    pub process: ProcessId,
    /// Name of its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// Which run; 0 when none.
    pub run: RunId,
    /// Process id of the run; 0 when none.
    pub pid: i32,
    /// Failed starts in a row, this one included.
    pub tries: u32,
    /// For an exit: whether the code was expected.
    pub expected: bool,
    /// How the run ended, where this change is the end of one that was spawned.
    pub exit: Option<ExitStatus>,
    /// When that run was started; 0 never.
    pub started: WallTime,
    /// Who caused it.
    pub actor: Actor,
    /// Why, in words.
    pub cause: String,
    /// When, for people.
    pub at: WallTime,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It is done, or on its way where the request did not want to wait.
    Done,
    /// It is starting, running or waiting for its next attempt already.
    AlreadyStarted,
    /// It is not running.
    NotRunning,
    /// The command cannot be run at all, found out before the attempt.
    Refused(SpawnError),
    /// The start attempt failed; holds the words.
    SpawnError(String),
    /// It ended, or was stopped, before it was running.
    AbnormalTermination,
    /// The system refused; holds the words.
    Failed(String),
    /// The daemon is ending or beginning anew.
    ShuttingDown,
}
