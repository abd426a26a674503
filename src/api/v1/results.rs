//! How requests went, process by process and group by group.

use super::{Diagnostic, Process};
use serde::{Deserialize, Serialize};

/// How it went with a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// What was asked for has been done, or is on its way where nobody waits.
    Done,
    /// It is starting, running or waiting for its next attempt already.
    AlreadyStarted,
    /// It does not run.
    NotRunning,
    /// There is no process of this name.
    NoSuchProcess,
    /// There is no group of this name.
    NoSuchGroup,
    /// The start attempt failed.
    SpawnError,
    /// It ended before it was running.
    AbnormalTermination,
    /// It cannot be run at all; nothing was tried.
    Refused,
    /// The time was over; the work goes on.
    TimedOut,
    /// The daemon is ending.
    ShuttingDown,
    /// The system refused, or something that this version does not know.
    #[default]
    #[serde(other)]
    Failed,
}

/// How it went with one process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessResult {
    /// Its name as shown, or the name that was asked for where it stands for nothing.
    pub namespec: String,
    /// How it went.
    pub status: ResultStatus,
    /// More, in words; may be empty.
    pub text: String,
    /// The process afterwards.
    pub process: Option<Process>,
}

/// The answer to what is asked about processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Results {
    /// One result a process, in the order in which they came about.
    pub results: Vec<ProcessResult>,
}

/// What was done with a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupAction {
    /// It is new.
    Added,
    /// It was stopped and replaced.
    Updated,
    /// It was changed without touching what runs.
    ChangedLive,
    /// It is gone.
    Removed,
    /// Its processes were stopped.
    Stopped,
    /// There is no group of this name.
    NoSuchGroup,
    /// It is there already.
    AlreadyActive,
    /// Its processes still run.
    StillRunning,
    /// It could not be stopped, or something that this version does not know.
    #[default]
    #[serde(other)]
    Problem,
}

/// How it went with one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupResult {
    /// Its name.
    pub group: String,
    /// What was done.
    pub action: GroupAction,
    /// More, in words; may be empty.
    pub text: String,
}

/// The answer to update, add and remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupResults {
    /// Whether the configuration is good; if not, nothing was done.
    pub ok: bool,
    /// What was done, in order; a group may come twice (stopped, then updated).
    pub results: Vec<GroupResult>,
    /// Keys of `[supervisord]` that differed: those that cost nothing are in force now, the others wait.
    pub daemon: Vec<super::ChangedKey>,
    /// Mistakes and warnings.
    pub diagnostics: Vec<Diagnostic>,
}
