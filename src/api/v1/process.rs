//! Processes and the daemon as `GET /v1/status` shows them.

use crate::model::State;
use serde::{Deserialize, Serialize};

/// A state by the name that supervisord's clients know, `RUNNING`.
mod state_name {
    use crate::model::State;
    use crate::model::state::STATES;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;

    pub(super) fn serialize<S: Serializer>(state: &State, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(state.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<State, D::Error> {
        let name = Cow::<str>::deserialize(from)?;
        Ok(STATES.iter().find(|row| row.1 == name).map_or(State::Unknown, |row| row.0))
    }
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exit {
    /// In supervisord's words: `exit status 1`, `terminated by SIGKILL`.
    pub text: String,
    /// The exit code; -1 for a death by signal.
    pub code: i32,
}

/// What a child could not do on its way to becoming the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailedStage {
    /// What, in words that follow "cannot": `enter its directory`.
    pub stage: String,
    /// `ENOENT`.
    pub errno: String,
    /// `No such file or directory`.
    pub text: String,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its group.
    pub group: String,
    /// Its name within the group.
    pub name: String,
    /// The name that is shown, see [`super::super::names::join`].
    pub namespec: String,
    /// Its state.
    #[serde(with = "state_name")]
    pub state: State,
    /// The code of its state.
    pub statecode: u16,
    /// Its main process; 0 when none.
    pub pid: i32,
    /// supervisord's text, see [`super::super::describe`].
    pub description: String,
    /// When it was last started.
    pub started_unix: f64,
    /// When it last stopped.
    pub stopped_unix: f64,
    /// How long it has been up, if it is.
    pub uptime_ms: Option<u64>,
    /// How its last run ended.
    pub exit: Option<Exit>,
    /// Whether that was one of the expected codes.
    pub expected: Option<bool>,
    /// Why its last start failed; empty when it did not.
    pub spawn_error: String,
    /// Why a start that was asked for was refused and changed nothing; empty since the next one that was not.
    pub start_refused: String,
    /// How often it was started again by itself since somebody asked for a start.
    pub restarts: u32,
    /// How the run before this one ended, where this one was started because of that; when is `stopped_unix`.
    pub previous_exit: Option<Exit>,
    /// Failed starts in a row.
    pub attempts: u32,
    /// When it is started again by itself, if so.
    pub retry_in_ms: Option<u64>,
    /// What it waits for: nothing, the next `attempt` of a start that failed, the `restart` after an end, its `turn`
    /// among many that start, free `descriptors` or free `processes`.
    pub waiting: String,
    /// Whether it was started again by itself many times in the last minute.
    pub flapping: bool,
    /// How many processes its last run left behind.
    pub left_overs: u32,
    /// Whether it is meant to be up.
    pub wanted: bool,
    /// Why its state last changed.
    pub cause: String,
    /// Who caused that: `policy`, `client:UID`, `signal:HUP` or `program`.
    pub actor: String,
    /// Whether it starts by itself.
    pub autostart: bool,
    /// Since when it is disabled, which means that it does not start by itself on this host.
    pub disabled_since_unix: Option<u64>,
    /// Where its standard output goes.
    pub stdout_log: Option<String>,
    /// Where its standard error goes; none also where it goes the way of the output.
    pub stderr_log: Option<String>,
    /// Its command line.
    pub command: String,
    /// Its working directory.
    pub directory: Option<String>,
    /// The file that has its section.
    pub config_file: String,
    /// The line of its section.
    pub config_line: usize,
    /// Why the configuration forbids to run it.
    pub refused: Option<String>,
    /// What its last child could not do, when that is why it failed.
    pub failed_stage: Option<FailedStage>,
}

impl Default for Process {
    fn default() -> Process {
        Process {
            group: String::new(),
            name: String::new(),
            namespec: String::new(),
            state: State::Unknown,
            statecode: State::Unknown.code(),
            pid: 0,
            description: String::new(),
            started_unix: 0.0,
            stopped_unix: 0.0,
            uptime_ms: None,
            exit: None,
            expected: None,
            spawn_error: String::new(),
            start_refused: String::new(),
            restarts: 0,
            previous_exit: None,
            attempts: 0,
            retry_in_ms: None,
            waiting: String::new(),
            flapping: false,
            left_overs: 0,
            wanted: false,
            cause: String::new(),
            actor: String::new(),
            autostart: false,
            disabled_since_unix: None,
            stdout_log: None,
            stderr_log: None,
            command: String::new(),
            directory: None,
            config_file: String::new(),
            config_line: 0,
            refused: None,
            failed_stage: None,
        }
    }
}

/// A process in a list: what `GET /v1/status?view=short` has of it, each a field of [`Process`]. A fifth of the
/// bytes, which is what a list of a thousand takes its time for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row<'a> {
    /// The name that is shown.
    pub namespec: &'a str,
    /// Its state.
    #[serde(with = "state_name")]
    pub state: State,
    /// supervisord's text.
    pub description: &'a str,
    /// Whether it is meant to be up.
    pub wanted: bool,
    /// Whether its last end was one of the expected codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
    /// How many processes its last run left behind.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_overs: u32,
    /// When it is started again by itself, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// Since when it is disabled, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_since_unix: Option<u64>,
    /// Why it was not started, if so.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub start_refused: &'a str,
    /// What it waits for.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub waiting: &'a str,
    /// Whether it was started again by itself many times in the last minute.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flapping: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Whether what is in force is what the files say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigState {
    /// It is.
    #[default]
    Ok,
    /// The files have mistakes; the last good configuration stays in force.
    Bad,
    /// A change waits to be applied.
    Pending,
}

/// The daemon's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where it comes from: the directory of a user's own configuration, or in classic mode the file.
    pub file: String,
    /// How many files were read.
    pub files: usize,
    /// Whether it is good.
    pub state: ConfigState,
    /// Since when.
    pub since_unix: f64,
    /// What is wrong, one line each.
    pub problems: Vec<String>,
    /// Keys of `[supervisord]` whose change waits for a restart of the daemon.
    pub waits_for_restart: Vec<String>,
    /// Whether anything waits for an update.
    pub waits_for_update: bool,
    /// Changes that were not put in force by themselves, because programs would stop; with the reason, a line each.
    pub waits_for_apply: Vec<String>,
    /// The processes whose change, coming or going waits for an update.
    pub pending: Vec<String>,
}

/// A server that the configuration names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Its section, `inet_http_server`.
    pub section: String,
    /// A path, or `HOST:PORT`.
    pub address: String,
    /// Whether it answers.
    pub open: bool,
    /// Why not; else empty.
    pub text: String,
}

/// The daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Daemon {
    /// Process id of the keeper: the one to signal.
    pub pid: i32,
    /// Process id of the reactor.
    pub reactor_pid: i32,
    /// Its version.
    pub version: String,
    /// `default`, or the hash of a configuration's path.
    pub instance: String,
    /// `running`, `shutting_down` or `reloading`.
    pub phase: String,
    /// When it was started.
    pub started_unix: f64,
    /// Its configuration.
    pub config: Config,
    /// Control sockets that are bound.
    pub sockets: Vec<String>,
    /// Further servers that the configuration names.
    pub servers: Vec<Server>,
    /// The lock that makes it the only one.
    pub lock: String,
    /// Its activity log.
    pub log: String,
}

/// The answer to `GET /v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusReply {
    /// The daemon.
    pub daemon: Daemon,
    /// The processes, sorted by group and name.
    pub processes: Vec<Process>,
    /// Names that were asked for and stand for nothing.
    pub missing: Vec<String>,
}

/// The answer to `GET /v1/status?view=short`; its reader takes it for a [`StatusReply`] with less in it.
#[derive(Debug, Serialize)]
pub struct StatusList<'a> {
    /// The daemon.
    pub daemon: Daemon,
    /// The processes, sorted by group and name.
    pub processes: Vec<Row<'a>>,
    /// Names that were asked for and stand for nothing.
    pub missing: Vec<String>,
}
