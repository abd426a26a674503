//! How requests went, process by process and group by group.

use super::{Diagnostic, Process};
use crate::api::names;
use serde::{Deserialize, Serialize};
use std::fmt;

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
    /// It is not granted to the asker, who may know of it.
    Forbidden,
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
    /// What differed and what that meant for each process; only from `apply`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<PlannedStep>,
    /// Keys of `[supervisord]` that differed: those that cost nothing are in force now, the others wait.
    pub daemon: Vec<super::ChangedKey>,
    /// Mistakes and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// What a change of the configuration means for a process, or for a group as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedAction {
    /// It is new, and started where `autostart` says so.
    Add,
    /// It is changed while it runs.
    Live,
    /// It is changed with its next start (`restart_on_change=false`).
    NextStart,
    /// It is stopped and taken away.
    Remove,
    /// It is restarted, or something that this version does not know.
    #[default]
    #[serde(other)]
    Restart,
}

impl PlannedAction {
    /// Returns the words for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            PlannedAction::Add => "add",
            PlannedAction::Live => "change live",
            PlannedAction::Restart => "restart",
            PlannedAction::NextStart => "change with its next start",
            PlannedAction::Remove => "stop and remove",
        }
    }
}

/// A step of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlannedStep {
    /// The group.
    pub group: String,
    /// The process; empty where it is the group as a whole.
    pub process: String,
    /// What is done.
    pub action: PlannedAction,
    /// The keys that differ.
    pub keys: Vec<String>,
    /// Why it is not done by itself; empty where nothing keeps it back.
    pub waits: String,
}

impl fmt::Display for PlannedStep {
    /// Writes `web: restart (command)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.process.is_empty() {
            self.group.clone()
        } else {
            names::join(&self.group, &self.process)
        };
        write!(f, "{name}: {}", self.action.words())?;
        if !self.keys.is_empty() {
            write!(f, " ({})", self.keys.join(" "))?;
        }
        if self.waits.is_empty() { Ok(()) } else { write!(f, "; waits: {}", self.waits) }
    }
}
