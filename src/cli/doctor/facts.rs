//! What the checks judge: the machine, the daemon as it shows itself, and the configuration as it is read from here.
//!
//! Plain data, and the gathering of it. Example: `Facts::gather(&session, &places)`.

use crate::api::v1::{Daemon, LoginDrift, LoginRequest, StatusReply, path};
use crate::cli::boot::machine::Machine;
use crate::cli::boot::survey::{self, Row};
use crate::cli::{Problem, Session, own_config, report};
use crate::client::{Places, Wait, launch};
use crate::config::{LoadRequest, Loaded, load, ownership};
use crate::model::spec::{ServerAddress, Settings};
use crate::model::{Host, Pid};
use crate::sys::ambient::Ambient;
use crate::sys::facts as machine;
use crate::sys::host::RealHost;
use crate::sys::{clock, tree};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

/// Clock ticks in a second, as proc(5) counts the start of a process (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Nanoseconds in a second.
const SECOND_NS: f64 = 1e9;

/// Permission bits that let others read.
const OTHERS_READ: u32 = 0o044;

/// Everything that is judged.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The machine.
    pub machine: machine::Facts,
    /// The daemon.
    pub daemon: Reached,
    /// The configuration, read from here.
    pub config: Config,
    /// How a login of now differs from the one that programs begin with, or why that is not known; nothing where there
    /// is no daemon to ask.
    pub login: Option<Result<LoginDrift, String>>,
    /// Every way to be started at boot; nothing for a daemon that is not the user's own.
    pub boot: Option<Vec<Row>>,
    /// The program of a daemon that would be started from here.
    pub visord: PathBuf,
    /// Our own version.
    pub version: String,
    /// How the user calls this client, `visorctl -c FILE `.
    pub client: String,
    /// What starts this daemon.
    pub start: String,
    /// What replaces this daemon by a new one.
    pub restart: String,
    /// By how many seconds the wall clock was set since the daemon was started.
    pub clock_set_s: f64,
    /// In which zone times are shown.
    pub zone: TimeZone,
}

/// Whether there is a daemon.
#[derive(Clone, Debug, PartialEq)]
pub enum Reached {
    /// It answers.
    Here {
        /// What it says of itself.
        daemon: Box<Daemon>,
        /// How many processes it has.
        processes: usize,
    },
    /// There is none.
    Absent,
    /// It runs and does not answer.
    Silent {
        /// A process of it.
        pid: i32,
        /// Why not.
        why: String,
    },
    /// Something answers that is not understood, or refuses.
    Strange(String),
}

/// The configuration, as the files say now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where it comes from; empty where there is no home, or a daemon is named by its socket.
    pub name: String,
    /// Mistakes, as `check` shows them.
    pub errors: Vec<String>,
    /// Warnings, as `check` shows them.
    pub warnings: Vec<String>,
    /// Processes that it defines.
    pub processes: usize,
    /// Servers that it opens.
    pub servers: Vec<Server>,
    /// Sections that let others control programs.
    pub delegates: Vec<String>,
    /// What speaks against trusting its files.
    pub doubts: Vec<ownership::Doubt>,
    /// Files with a password that others may read.
    pub readable_secrets: Vec<PathBuf>,
    /// Directories that programs start in, and their commands.
    pub places: Vec<PathBuf>,
}

/// A server of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its section.
    pub section: String,
    /// Where it listens.
    pub address: ServerAddress,
    /// Whether a password is asked for.
    pub has_login: bool,
    /// `file:line`.
    pub place: String,
}

impl Facts {
    /// Finds out everything about the daemon in question and this machine.
    ///
    /// # Errors
    /// When the configuration that names the daemon is not there.
    pub fn gather(session: &Session) -> Result<Facts, Problem> {
        let ambient = Ambient::real();
        let (daemon, login) = reach(&session.places()?);
        let pid = daemon.pid().map(Pid);
        Ok(Facts {
            machine: machine::gather(&ambient, pid),
            config: Config::gather(session, &daemon, &ambient),
            login,
            boot: (!session.is_particular()).then(|| boot(&ambient)),
            visord: launch::program(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            client: session.command(""),
            start: start(session),
            restart: report::restart_of_daemon(session),
            clock_set_s: clock_set_s(&daemon),
            zone: TimeZone::system(),
            daemon,
        })
    }

    /// Returns what the daemon says of itself, where it answers.
    #[must_use]
    pub fn shown(&self) -> Option<&Daemon> {
        match &self.daemon {
            Reached::Here { daemon, .. } => Some(daemon),
            _ => None,
        }
    }

    /// Returns how many processes there are or would be.
    #[must_use]
    pub fn processes(&self) -> usize {
        match &self.daemon {
            Reached::Here { processes, .. } => *processes,
            _ => self.config.processes,
        }
    }

    /// Returns a command of this client that is to be typed, for the same daemon.
    #[must_use]
    pub fn command(&self, words: &str) -> String {
        format!("{}{words}", self.client)
    }
}

impl Reached {
    /// Returns the keeper of a daemon that runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        match self {
            Reached::Here { daemon, .. } => Some(daemon.pid),
            Reached::Silent { pid, .. } => Some(*pid),
            Reached::Absent | Reached::Strange(_) => None,
        }
    }
}

fn boot(ambient: &Ambient) -> Vec<Row> {
    Machine::of(ambient.clone()).map(|machine| survey::survey(&machine)).unwrap_or_default()
}

fn start(session: &Session) -> String {
    match (&session.config, &session.socket) {
        (_, Some(_)) => "name the socket of a daemon that runs, or leave --socket out".to_owned(),
        (Some(file), None) => format!("visord -c {}", file.display()),
        (None, None) => session.command("daemon start"),
    }
}

fn reach(places: &Places) -> (Reached, Option<Result<LoginDrift, String>>) {
    let mut connection = match places.connect() {
        Ok(connection) => connection,
        Err(unreachable) => {
            let whys: Vec<String> = unreachable
                .attempts
                .iter()
                .filter(|attempt| !attempt.absent)
                .map(|attempt| format!("{}: {}", attempt.path.display(), attempt.why))
                .collect();
            let reached = match unreachable.pid {
                Some(pid) => Reached::Silent { pid, why: whys.join("; ") },
                None => Reached::Absent,
            };
            return (reached, None);
        }
    };
    let status: Result<StatusReply, _> = connection.get(&format!("{}?view=short", path::STATUS));
    match status {
        Ok(StatusReply { daemon, processes, .. }) => {
            let question = LoginRequest { dry_run: true };
            let drift = connection.post(path::LOGIN_ENV, &question, &mut Wait::default());
            let drift = drift.map_err(|failure| failure.to_string());
            (Reached::Here { daemon: Box::new(daemon), processes: processes.len() }, Some(drift))
        }
        Err(failure) => (Reached::Strange(failure.to_string()), None),
    }
}

/// Compares when the reactor started by the kernel's clock with what the wall clock said then.
fn clock_set_s(daemon: &Reached) -> f64 {
    let Reached::Here { daemon, .. } = daemon else { return 0.0 };
    let Some(entry) = tree::entry(Pid(daemon.reactor_pid)).filter(|_| cfg!(target_os = "linux")) else {
        return 0.0;
    };
    let age_s = clock::since_boot_ns() as f64 / SECOND_NS - entry.started_ticks as f64 / TICKS_PER_SECOND;
    clock::wall().0 as f64 / SECOND_NS - age_s - daemon.started_unix
}

impl Config {
    /// Reads what the daemon in question would read now.
    fn gather(session: &Session, daemon: &Reached, ambient: &Ambient) -> Config {
        let named = match (&session.config, &session.socket, daemon) {
            (Some(file), _, _) => Some(LoadRequest::of(file)),
            // Its configuration is what it says it is; a directory is that of a user's own daemon.
            (None, Some(_), Reached::Here { daemon, .. }) => {
                Some(Path::new(&daemon.config.file)).filter(|file| file.is_file()).map(LoadRequest::of)
            }
            (None, Some(_), _) => None,
            (None, None, _) => own_config::request(ambient),
        };
        let Some(request) = named else { return Config::default() };
        let name = request.xdg.as_ref().map_or(&request.file, |roots| &roots.config).clone();
        Config::of(&name, &load(&request, &RealHost), &RealHost)
    }

    /// Takes from a configuration what is judged.
    fn of(name: &Path, loaded: &Loaded, host: &dyn Host) -> Config {
        let told = |wanted: bool| {
            let chosen = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error() == wanted);
            chosen.map(ToString::to_string).collect()
        };
        let mut doubts = Vec::new();
        for file in loaded.files.iter().map(PathBuf::as_path).chain([name]) {
            for doubt in ownership::examine(file, host) {
                if !doubts.contains(&doubt) {
                    doubts.push(doubt);
                }
            }
        }
        let groups = loaded.settings.as_ref().map_or(&loaded.defined, |settings| &settings.fleet.groups);
        let processes = || groups.iter().flat_map(|group| &group.processes);
        Config {
            name: name.display().to_string(),
            errors: told(true),
            warnings: told(false),
            processes: processes().count(),
            servers: loaded.settings.as_ref().map(servers).unwrap_or_default(),
            delegates: loaded.settings.as_ref().map(delegates).unwrap_or_default(),
            doubts,
            readable_secrets: loaded.settings.as_ref().map(|s| secrets(s, host)).unwrap_or_default(),
            places: processes()
                .flat_map(|process| process.directory.iter().cloned().chain(program(&process.command)))
                .collect(),
        }
    }
}

/// Returns the path of a command that begins with one.
fn program(command: &str) -> Option<PathBuf> {
    command.split_ascii_whitespace().next().map(PathBuf::from).filter(|path| path.is_absolute())
}

fn servers(settings: &Settings) -> Vec<Server> {
    let of = |server: &crate::model::spec::ServerSpec| Server {
        section: server.section.clone(),
        address: server.address.clone(),
        has_login: server.password.is_some(),
        place: format!("{}:{}", server.place.file.display(), server.place.line),
    };
    settings.servers.iter().map(of).collect()
}

fn delegates(settings: &Settings) -> Vec<String> {
    settings.daemon.delegates.iter().map(|delegate| format!("[delegate:{}]", delegate.name)).collect()
}

/// Returns files that hold a server's password in plain and can be read by others.
fn secrets(settings: &Settings, host: &dyn Host) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for server in &settings.servers {
        let is_plain = server.password.as_ref().is_some_and(|password| !password.starts_with("{SHA}"));
        let file = &server.place.file;
        let is_open = host.ownership(file).is_ok_and(|found| found.mode & OTHERS_READ != 0);
        if is_plain && is_open && !files.contains(file) {
            files.push(file.clone());
        }
    }
    files
}
