//! What a daemon must remember about a process to survive the death of its reactor.
//!
//! The core writes one [`ProcessRecord`] per process into a slot of a shared file whenever something in it
//! changes, and a new reactor restores the core from them. Fixed size, so that a slot is rewritten in place.

use super::{ExitStatus, RunId, State, Time, WallTime};
use serde::{Deserialize, Serialize};

/// A process in a form that can be stored and restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// The state it is in.
    pub state: State,
    /// Whether the user or the policy wants it up.
    pub wanted: bool,
    /// The current run; 0 when none.
    pub run: RunId,
    /// The kernel's number of the current run; 0 when unknown or none.
    pub pid: i32,
    /// Failed starts in a row.
    pub attempt: u32,
    /// When the next timed step is due; 0 when none.
    pub deadline: Time,
    /// When the current run started, on the monotonic clock; 0 when none.
    pub started: Time,
    /// When it was last started, for people; 0 never.
    pub started_wall: WallTime,
    /// When it last stopped, for people; 0 never.
    pub stopped_wall: WallTime,
    /// How the last run ended, where that is known.
    pub exit: Option<ExitStatus>,
    /// Inner flags of the core, opaque to everybody else.
    pub flags: u32,
    /// supervisord's `spawnerr`: why the last start failed; empty when it did not.
    pub failure: String,
}
