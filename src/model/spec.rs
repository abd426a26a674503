//! What the user asked for: the configuration, checked and typed.
//!
//! Field names are the configuration's keys; defaults are supervisord 4.3's.

use super::{Delegate, Level, Signal};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Where in the configuration something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, as it was named to us or found by an include.
    pub file: PathBuf,
    /// Line number from 1; 0 when no line applies.
    pub line: u32,
}

/// Everything one configuration says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The main file, absolute.
    pub file: PathBuf,
    /// `[supervisord]`, the command line applied.
    pub daemon: DaemonSpec,
    /// `[unix_http_server]` and `[inet_http_server]` sections: inet ones first, each kind in file order.
    pub servers: Vec<ServerSpec>,
    /// `[supervisorctl]`, where there is one.
    pub ctl: Option<CtlSpec>,
    /// `[rpcinterface:x]` sections in file order.
    pub rpc_interfaces: Vec<RpcInterfaceSpec>,
    /// What is to be supervised.
    pub fleet: FleetSpec,
    /// The directories of a user's own daemon; nothing in classic mode.
    #[serde(default)]
    pub xdg: Option<XdgRoots>,
    /// `[visor] apply=`: when a change of the files is put in force.
    #[serde(default)]
    pub apply: ApplyMode,
}

/// When a change of the files is put in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplyMode {
    /// By itself, but for what would stop programs by accident.
    Auto,
    /// By itself where no running process is touched; the rest when somebody says so.
    Live,
    /// When somebody says so; the files are not watched.
    #[default]
    Manual,
}

/// The directories of a user's own daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XdgRoots {
    /// What is written by hand: `visor.conf` and `conf.d`.
    pub config: PathBuf,
    /// What outlives the daemon: logs, history.
    pub state: PathBuf,
    /// Sockets, locks and the pid file.
    pub runtime: PathBuf,
}

/// `[supervisord]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonSpec {
    /// The activity log.
    pub logfile: MainLog,
    /// Size in bytes at which the activity log is rotated; 0 never rotates.
    pub logfile_maxbytes: i64,
    /// Rotated activity logs that are kept.
    pub logfile_backups: i64,
    /// Least level that is logged.
    pub loglevel: Level,
    /// Absolute path of the pid file.
    pub pidfile: PathBuf,
    /// File creation mask, applied when daemonizing.
    pub umask: u32,
    /// Stay in the foreground.
    pub nodaemon: bool,
    /// With `nodaemon`: do not echo the activity log to stdout.
    pub silent: bool,
    /// Least soft limit of open files.
    pub minfds: i64,
    /// Least soft limit of processes.
    pub minprocs: i64,
    /// Do not delete old AUTO logs at start.
    pub nocleanup: bool,
    /// Where AUTO logs go.
    pub childlogdir: PathBuf,
    /// Whom to become at start, when root.
    pub user: Option<UserSpec>,
    /// Directory to change to when daemonizing.
    pub directory: Option<PathBuf>,
    /// Remove ANSI escape sequences from all child logs.
    pub strip_ansi: bool,
    /// Make every log for the owner's eyes only, whatever the mask says.
    #[serde(default)]
    pub private_files: bool,
    /// Added to the environment of every child, in file order with the last of a name in the first's place.
    pub environment: Vec<(String, String)>,
    /// Name of this daemon in events and AUTO log names.
    pub identifier: String,
    /// What `SUPERVISOR_SERVER_URL` is computed to be, where a server is configured.
    pub serverurl: Option<String>,
    /// `[delegate:x]` sections in file order: what others are granted.
    #[serde(default)]
    pub delegates: Vec<Delegate>,
}

/// Where the activity log goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MainLog {
    /// An absolute path.
    File(PathBuf),
    /// The system log.
    Syslog,
}

/// A user that a name or number led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// As written.
    pub text: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

/// A control server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// The section's name as written, `unix_http_server`.
    pub section: String,
    /// Where it listens.
    pub address: ServerAddress,
    /// User name for Basic authentication.
    pub username: Option<String>,
    /// Password, plain or `{SHA}` with hexadecimal digits.
    pub password: Option<String>,
    /// Where the section stands.
    pub place: Place,
}

/// Where a control server listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerAddress {
    /// A socket in the file system.
    Unix {
        /// Absolute path.
        file: PathBuf,
        /// Permission bits.
        chmod: u32,
        /// Owner and group ids, where asked for; a missing group is left unchanged.
        chown: Option<(u32, Option<u32>)>,
    },
    /// A TCP port.
    Inet {
        /// Lower-cased host; empty for all interfaces.
        host: String,
        /// Port number.
        port: u16,
    },
}

/// `[supervisorctl]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtlSpec {
    /// Where the daemon is reached.
    pub serverurl: String,
    /// User name for Basic authentication.
    pub username: Option<String>,
    /// Password for Basic authentication.
    pub password: Option<String>,
    /// The interactive prompt, without `> `.
    pub prompt: String,
    /// Where the interactive history is kept.
    pub history_file: Option<PathBuf>,
}

/// `[rpcinterface:x]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcInterfaceSpec {
    /// The part of the section's name after the colon: the namespace.
    pub name: String,
    /// `supervisor.rpcinterface_factory`.
    pub factory: String,
    /// The section's other keys.
    pub extra: Vec<(String, String)>,
}

/// Groups, in the order in which supervisord holds them: by priority, then name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetSpec {
    /// The groups.
    pub groups: Vec<GroupSpec>,
}

/// A group of processes: the unit that is added, updated and removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupSpec {
    /// Name.
    pub name: String,
    /// Lower starts earlier and stops later.
    pub priority: i64,
    /// What kind of section made it.
    pub kind: GroupKind,
    /// Its processes, in definition order.
    pub processes: Vec<Arc<ProcessSpec>>,
}

/// supervisord's own judge of the results of listeners.
pub const STOCK_RESULT_HANDLER: &str = "supervisor.dispatchers:default_handler";

/// End of the name of the handler of the package supervisor-stdout, which has an equivalent here.
pub const STDOUT_RESULT_HANDLER: &str = "supervisor_stdout:event_handler";

/// What kind of section made a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupKind {
    /// `[program:x]` or `[group:x]`.
    Program,
    /// `[eventlistener:x]`.
    Listener {
        /// Events kept while no listener is ready.
        buffer_size: i64,
        /// Subscribed event names, upper case, sorted.
        events: Vec<String>,
        /// The Python entry point named in the file.
        result_handler: String,
    },
    /// `[fcgi-program:x]`; each of its processes has the socket too.
    Fcgi(FcgiSocketSpec),
}

/// The listening socket of an fcgi program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FcgiSocketSpec {
    /// `tcp://host:port` or `unix:///path`, normalised.
    pub url: String,
    /// Backlog of listen(2), where given.
    pub backlog: Option<u32>,
    /// Owner and group of a socket file; a missing group is left unchanged.
    pub owner: Option<(u32, Option<u32>)>,
    /// Mode of a socket file.
    pub mode: Option<u32>,
}

/// When a process that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AutoRestart {
    /// Never.
    False,
    /// When its exit code is not in `exitcodes`.
    Unexpected,
    /// Always.
    True,
}

/// What ends with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Essential {
    /// The daemon, with the program's exit code.
    Daemon,
    /// The other processes of its group.
    Group,
}

/// Priority of a process or a group that names none.
pub const PRIORITY_DEFAULT: i64 = 999;

/// One process, everything about it that the configuration says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Name within its group.
    pub name: String,
    /// Name of its group.
    pub group: String,
    /// The command as written, `%` expanded; split into words at each start.
    pub command: String,
    /// Working directory.
    pub directory: Option<PathBuf>,
    /// File creation mask.
    pub umask: Option<u32>,
    /// Lower starts earlier within the group where a request names the group.
    pub priority: i64,
    /// Start it with the daemon.
    pub autostart: bool,
    /// Start it again when it ended by itself.
    pub autorestart: AutoRestart,
    /// Seconds it must stay up to count as running.
    pub startsecs: i64,
    /// Failed starts in a row after the first before it is given up.
    pub startretries: i64,
    /// The signal that asks it to stop.
    pub stopsignal: Signal,
    /// Seconds between the stop signal and SIGKILL.
    pub stopwaitsecs: i64,
    /// Explicit `stopasgroup=`; unset means `kill_mode=mixed`.
    pub stopasgroup: Option<bool>,
    /// Explicit `killasgroup=`.
    pub killasgroup: Option<bool>,
    /// Expected exit codes.
    pub exitcodes: Vec<u8>,
    /// Whom it runs as.
    pub user: Option<UserSpec>,
    /// Its own variables, those of `[supervisord]` merged in beneath.
    pub environment: Vec<(String, String)>,
    /// Names in `environment` whose values are those of `[supervisord]`: a file of variables goes above these.
    #[serde(default)]
    pub environment_shared: Vec<String>,
    /// Files with variables, read at each start.
    #[serde(default)]
    pub env_file: Vec<EnvFile>,
    /// Patterns of names that it gets from outside although the rest is cleared, or a login lacks them.
    #[serde(default)]
    pub env_pass: Vec<String>,
    /// Patterns of names that it does not get.
    #[serde(default)]
    pub env_unset: Vec<String>,
    /// Begin with no variables from outside.
    #[serde(default)]
    pub env_clear: bool,
    /// Begin with the variables of a login, or with visord's own; unset leaves it to how visord was started.
    #[serde(default)]
    pub env_login: Option<bool>,
    /// What `SUPERVISOR_SERVER_URL` is to be, where not computed.
    pub serverurl: Option<String>,
    /// Its stderr goes where its stdout goes.
    pub redirect_stderr: bool,
    /// Its standard output.
    pub stdout: StreamSpec,
    /// Its standard error.
    pub stderr: StreamSpec,
    /// The listening socket that is its descriptor 0, shared with all who name the same.
    #[serde(default)]
    pub socket: Option<Arc<FcgiSocketSpec>>,
    /// Whose end its own end is.
    #[serde(default)]
    pub essential: Option<Essential>,
    /// Hosts on which it runs, as patterns; `!` in front says where it does not.
    #[serde(default)]
    pub condition_host: Vec<String>,
    /// Systems on which it runs.
    #[serde(default)]
    pub condition_os: Vec<String>,
    /// Processors on which it runs.
    #[serde(default)]
    pub condition_arch: Vec<String>,
    /// Paths that must exist, or not with `!` in front.
    #[serde(default)]
    pub condition_path: Vec<String>,
    /// Variables that must be set, with `=PATTERN` to something, or not with `!` in front.
    #[serde(default)]
    pub condition_env: Vec<String>,
    /// A line for a shell that must end well.
    #[serde(default)]
    pub condition_command: Option<String>,
    /// Restart it when settings change that it only gets by a restart; else they wait for its next start.
    #[serde(default = "yes")]
    pub restart_on_change: bool,
    /// Visor's own keys that are set and not built yet, as written.
    pub unbuilt: Vec<(String, String)>,
    /// Why it must not be started at all: an unbuilt key that protects or confines it.
    pub refused: Option<String>,
    /// Where its section stands.
    pub place: Place,
}

fn yes() -> bool {
    true
}

impl ProcessSpec {
    /// Returns a process with supervisord's defaults (supervisor 4.3 `processes_from_section`).
    #[must_use]
    pub fn new(group: &str, name: &str, command: &str, place: Place) -> ProcessSpec {
        ProcessSpec {
            name: name.to_owned(),
            group: group.to_owned(),
            command: command.to_owned(),
            directory: None,
            umask: None,
            priority: PRIORITY_DEFAULT,
            autostart: true,
            autorestart: AutoRestart::Unexpected,
            startsecs: 1,
            startretries: 3,
            stopsignal: Signal::TERM,
            stopwaitsecs: 10,
            stopasgroup: None,
            killasgroup: None,
            exitcodes: vec![0],
            user: None,
            environment: Vec::new(),
            environment_shared: Vec::new(),
            env_file: Vec::new(),
            env_pass: Vec::new(),
            env_unset: Vec::new(),
            env_clear: false,
            env_login: None,
            serverurl: None,
            redirect_stderr: false,
            stdout: StreamSpec::default(),
            stderr: StreamSpec::default(),
            socket: None,
            essential: None,
            condition_host: Vec::new(),
            condition_os: Vec::new(),
            condition_arch: Vec::new(),
            condition_path: Vec::new(),
            condition_env: Vec::new(),
            condition_command: None,
            restart_on_change: true,
            unbuilt: Vec::new(),
            refused: None,
            place,
        }
    }

    /// Returns `group:name`, or just the name when both are the same (supervisor 4.3 `make_namespec`).
    #[must_use]
    pub fn namespec(&self) -> String {
        if self.group == self.name { self.name.clone() } else { format!("{}:{}", self.group, self.name) }
    }
}

/// A file with variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvFile {
    /// Where it is; a relative path is one from the program's directory, or from that of the configuration file.
    pub path: PathBuf,
    /// Whether it may be missing.
    pub optional: bool,
}

/// What happens with one output stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// Where it is logged.
    pub logfile: LogTarget,
    /// Size in bytes at which the file is rotated; 0 never rotates.
    pub maxbytes: i64,
    /// Rotated files that are kept.
    pub backups: i64,
    /// Size of the capture buffer; 0 turns capture mode off.
    pub capture_maxbytes: i64,
    /// Whether PROCESS_LOG events are sent.
    pub events_enabled: bool,
    /// Whether lines also go to the system log.
    pub syslog: bool,
}

impl Default for StreamSpec {
    /// supervisord's defaults: a file of its own naming, rotated at 50 MiB, ten kept.
    fn default() -> StreamSpec {
        StreamSpec {
            logfile: LogTarget::Auto(None),
            maxbytes: 50 << 20,
            backups: 10,
            capture_maxbytes: 0,
            events_enabled: false,
            syslog: false,
        }
    }
}

/// Where an output stream is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogTarget {
    /// Nowhere.
    None,
    /// A file of our own naming, made when the group is activated: the path once it is known.
    Auto(Option<PathBuf>),
    /// A file that the user named.
    File(PathBuf),
}

impl LogTarget {
    /// Returns the path of the file, where there is one by now.
    #[must_use]
    pub fn path(&self) -> Option<&std::path::Path> {
        match self {
            LogTarget::None | LogTarget::Auto(None) => None,
            LogTarget::Auto(Some(path)) | LogTarget::File(path) => Some(path),
        }
    }
}
