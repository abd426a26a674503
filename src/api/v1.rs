//! The native API, version 1: what is asked and answered under `/v1`, as types that both sides share.
//!
//! Knows neither the core nor a socket. Unknown fields are ignored, and missing ones have a default, on both
//! sides, so that a client and a daemon of different versions get along as far as they can. Times are numbers:
//! `*_ms` are durations in milliseconds, `*_unix` points in time in seconds since the epoch, 0 for never.
//!
//! `serde_json::from_slice::<v1::Names>(br#"{"names":["web"]}"#)` is what `POST /v1/start` takes.

mod environment;
mod follow;
pub mod history;
mod process;
mod results;

pub use environment::{Environment, EnvironmentVariable, LoginDrift, LoginRequest, Next, Origin, is_secret};
pub use follow::{FollowRequest, Piece, PieceReader};
pub use process::{
    Config, ConfigState, Daemon, Exit, FailedStage, Process, Row, Server, StatusList, StatusReply,
};
pub use results::{
    GroupAction, GroupResult, GroupResults, PlannedAction, PlannedStep, ProcessResult, ResultStatus, Results,
};

use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of this API. It changes when an old client would misunderstand.
pub const API: u32 = 1;

/// Paths of the API.
pub mod path {
    /// Versions and pids.
    pub const VERSION: &str = "/v1/version";
    /// Every process, or those of `name=`; with `view=short` only what a list shows.
    pub const STATUS: &str = "/v1/status";
    /// Starts processes.
    pub const START: &str = "/v1/start";
    /// Stops processes.
    pub const STOP: &str = "/v1/stop";
    /// Stops and starts processes.
    pub const RESTART: &str = "/v1/restart";
    /// Sends a signal to processes.
    pub const SIGNAL: &str = "/v1/signal";
    /// Waits for a state.
    pub const WAIT: &str = "/v1/wait";
    /// Lets processes start by themselves again.
    pub const ENABLE: &str = "/v1/enable";
    /// Keeps processes from starting by themselves.
    pub const DISABLE: &str = "/v1/disable";
    /// Reads the configuration and tells what would change.
    pub const REREAD: &str = "/v1/reread";
    /// Reads the configuration and applies it.
    pub const UPDATE: &str = "/v1/update";
    /// Reads the configuration, tells what it changes, and applies it.
    pub const APPLY: &str = "/v1/apply";
    /// Adds groups of the configuration that was read.
    pub const ADD: &str = "/v1/add";
    /// Removes stopped groups.
    pub const REMOVE: &str = "/v1/remove";
    /// Lists what the configuration has.
    pub const AVAIL: &str = "/v1/avail";
    /// Shows the environment of a process.
    pub const ENV: &str = "/v1/env";
    /// Asks for a login's variables anew.
    pub const LOGIN_ENV: &str = "/v1/login-env";
    /// Empties logs.
    pub const CLEAR: &str = "/v1/clear";
    /// Reads a log.
    pub const LOG: &str = "/v1/log";
    /// Follows the logs of many.
    pub const FOLLOW: &str = "/v1/follow";
    /// Reads the activity log.
    pub const MAINLOG: &str = "/v1/mainlog";
    /// Writes to a standard input.
    pub const STDIN: &str = "/v1/stdin";
    /// Follows events.
    pub const EVENTS: &str = "/v1/events";
    /// What happened, from the journal.
    pub const HISTORY: &str = "/v1/history";
    /// Ends the daemon.
    pub const SHUTDOWN: &str = "/v1/shutdown";
}

/// The answer to `GET /v1/version`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    /// Version of the daemon.
    pub version: String,
    /// Version of the API, see [`API`].
    pub api: u32,
    /// Process id of the keeper: the one to signal.
    pub pid: i32,
    /// Process id of the reactor.
    pub reactor_pid: i32,
    /// `default`, or the hash of a configuration's path.
    pub instance: String,
}

/// What start, stop and restart take; clear takes it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// Which processes, see [`super::names::Namespec`].
    pub names: Vec<String>,
    /// Whether the answer comes only when it is known how it went.
    pub wait: bool,
    /// The longest wait; the work goes on behind it.
    pub timeout_ms: Option<u64>,
}

impl Default for Names {
    fn default() -> Names {
        Names { names: Vec::new(), wait: true, timeout_ms: None }
    }
}

/// What `POST /v1/signal` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignalRequest {
    /// Which processes.
    pub names: Vec<String>,
    /// A name with or without `SIG`, or a number.
    pub signal: String,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// RUNNING; an end that will not be followed by another start is a failure.
    #[default]
    Running,
    /// The end of the run that is up, or was last.
    Exited,
    /// Any state that counts as stopped.
    Stopped,
}

/// What `POST /v1/wait` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitRequest {
    /// Which processes.
    pub names: Vec<String>,
    /// For what.
    pub until: Until,
    /// The longest wait.
    pub timeout_ms: Option<u64>,
}

/// What update, add and remove take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Groups {
    /// Which groups; for update none means all.
    pub groups: Vec<String>,
}

/// What `POST /v1/apply` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApplyRequest {
    /// Which groups; none means all.
    pub groups: Vec<String>,
    /// Whether only to tell what would be done.
    pub dry_run: bool,
}

/// What applying a change costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// Nothing: the running program is not touched.
    Live,
    /// A restart of the program.
    #[default]
    Restart,
    /// A restart of the daemon.
    Daemon,
}

/// A key of `[supervisord]` that a new configuration changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangedKey {
    /// The key.
    pub key: String,
    /// What applying the change costs: nothing, or a restart of the daemon.
    pub cost: Cost,
}

/// A process that a new configuration changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangedProcess {
    /// Its name within the group.
    pub name: String,
    /// The keys that differ.
    pub keys: Vec<String>,
    /// What applying them costs.
    pub cost: Cost,
}

/// A group that a new configuration changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangedGroup {
    /// Its name.
    pub group: String,
    /// Its processes that change; empty where only the group itself does.
    pub processes: Vec<ChangedProcess>,
}

/// The answer to `POST /v1/reread`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reread {
    /// Whether the configuration is good; if not, nothing changed.
    pub ok: bool,
    /// Groups that are new.
    pub added: Vec<String>,
    /// Groups that differ.
    pub changed: Vec<ChangedGroup>,
    /// Groups that are gone.
    pub removed: Vec<String>,
    /// Keys of `[supervisord]` that differ.
    pub daemon: Vec<ChangedKey>,
    /// Mistakes and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// A mistake in the configuration, as `visorctl check --json` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Diagnostic {
    /// `error` or `warning`.
    pub severity: String,
    /// The file.
    pub file: String,
    /// The line; 0 means the file as a whole.
    pub line: usize,
    /// The section it is about.
    pub section: Option<String>,
    /// The key it is about.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    /// Writes the line that `visorctl check` shows: `file:line: error: [section] key: what, hint`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}: ", self.severity)?;
        if let Some(section) = &self.section {
            write!(f, "[{section}] ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, ", {hint}"))
    }
}

/// A process of the configuration, in `GET /v1/avail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Available {
    /// Its group.
    pub group: String,
    /// Its name within the group.
    pub name: String,
    /// The name that is shown.
    pub namespec: String,
    /// Whether its group is active.
    pub in_use: bool,
    /// Whether it starts by itself.
    pub autostart: bool,
    /// Priority of its group.
    pub group_priority: i64,
    /// Its own priority.
    pub priority: i64,
}

/// The answer to `GET /v1/avail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Avail {
    /// Every process of the latest configuration, sorted by name.
    pub processes: Vec<Available>,
}

/// The answer to what has nothing to tell but success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Always true.
    pub ok: bool,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request makes no sense.
    BadRequest,
    /// There is nothing at this path.
    NotFound,
    /// There is no process of this name.
    NoSuchProcess,
    /// There is no group of this name.
    NoSuchGroup,
    /// The asker may not.
    Forbidden,
    /// The request is too large.
    TooLarge,
    /// Too much is asked at once.
    Busy,
    /// The daemon is ending.
    ShuttingDown,
    /// A mistake of ours, or a kind that this version does not know.
    #[default]
    #[serde(other)]
    Internal,
}

impl ErrorCode {
    /// Returns the HTTP status that goes with it.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            ErrorCode::BadRequest => 400,
            ErrorCode::Forbidden => 403,
            ErrorCode::NotFound | ErrorCode::NoSuchProcess | ErrorCode::NoSuchGroup => 404,
            ErrorCode::TooLarge => 413,
            ErrorCode::Busy | ErrorCode::ShuttingDown => 503,
            ErrorCode::Internal => 500,
        }
    }
}

/// A failure of a whole request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Error {
    /// What kind.
    pub code: ErrorCode,
    /// What happened, in words.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " ({})", self.hint) }
    }
}

/// The body of every answer whose status is 400 or more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorReply {
    /// The failure.
    pub error: Error,
}

impl ErrorReply {
    /// Returns the body for a failure.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> ErrorReply {
        ErrorReply { error: Error { code, message: message.into(), hint: hint.into() } }
    }
}

/// Returns a value as the body of a message.
#[must_use]
pub fn body<T: Serialize>(value: &T) -> Vec<u8> {
    // Our types have no maps with other keys than strings, which alone could fail.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
#[path = "v1/tests.rs"]
mod tests;
