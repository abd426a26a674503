//! What the core is told: facts from the shell and wishes from people. Nothing here is a decision.

use crate::model::event::Channel;
use crate::model::marks::Marks;
use crate::model::spec::{FleetSpec, GroupSpec};
use crate::model::{ExitStatus, Pid, ProcessId, RunId, Signal, Time, Uid};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Start supervising: autostart what the fleet says. Given once, after `Core::new`.
    Boot,
    /// Nothing but the passing of time: a deadline is due.
    Tick,
    /// Somebody asks for something.
    Request {
        /// Names the request in its [`super::Action::Reply`].
        id: RequestId,
        /// Who asks.
        actor: Actor,
        /// What for.
        request: Request,
    },
    /// The answer to [`super::Action::Prepare`]: whether the run can be spawned (command found, logs open).
    Prepared {
        /// The run.
        run: RunId,
        /// Why not, where it cannot.
        result: Result<(), SpawnError>,
    },
    /// The answer to [`super::Action::Spawn`]: the child exists.
    Spawned {
        /// The run.
        run: RunId,
        /// Its process id, for reports only.
        pid: Pid,
    },
    /// The other answer to [`super::Action::Spawn`]: no child was made.
    SpawnFailed {
        /// The run.
        run: RunId,
        /// Why.
        error: SpawnError,
    },
    /// The main process of a run ended.
    Exited {
        /// The run.
        run: RunId,
        /// How.
        status: ExitStatus,
        /// When, however late that is told.
        at: Time,
    },
    /// The answer to [`super::Action::Sweep`], and later news about the same tree.
    Swept {
        /// The run.
        run: RunId,
        /// How many processes of its tree still live.
        left: u32,
    },
    /// A signal could not be sent, for another reason than that the process was gone.
    SignalFailed {
        /// The run.
        run: RunId,
        /// The system's word for it, `EPERM`.
        errno: String,
    },
    /// An event listener wrote this to its standard output.
    Heard {
        /// The run.
        run: RunId,
        /// What, in any pieces.
        bytes: Vec<u8>,
    },
    /// What an event listener wrote was read, and lost before it could be told.
    Unheard {
        /// The run.
        run: RunId,
    },
    /// The answer to [`super::Action::SendEvent`].
    EventSent {
        /// The run.
        run: RunId,
        /// Whether all of it is in the pipe; if not, nobody reads there any more.
        is_sent: bool,
    },
    /// A program wrote this, and somebody subscribed to it.
    Output {
        /// Which process; its run may be over, and this its last words.
        process: ProcessId,
        /// The main process of the run.
        pid: i32,
        /// Where it wrote.
        channel: Channel,
        /// What.
        bytes: Vec<u8>,
    },
    /// A program wrote this between the tags of capture mode.
    Captured {
        /// Which process; its run may be over, and this its last words.
        process: ProcessId,
        /// The main process of the run.
        pid: i32,
        /// Where it wrote.
        channel: Channel,
        /// What.
        bytes: Vec<u8>,
    },
    /// A client sends an event to all who listen: supervisord's `sendRemoteCommEvent`.
    RemoteEvent {
        /// Its type, a word of the client's.
        kind: String,
        /// Its data.
        data: String,
    },
    /// A keeper and a reactor have found each other, one of them being new, and everything that is known of old
    /// runs was told again as `Spawned` and `Exited`. What is still unanswered now was lost, and is asked for
    /// once more. To be given before anything is asked of the keeper in consequence of a later input.
    HandedOver,
    /// The answer to [`super::Action::OpenSocket`]. Also told, before `HandedOver`, of a socket that was held over
    /// the death of a reactor.
    SocketOpened {
        /// Which, as the configuration calls it.
        url: String,
        /// Why not, where it cannot be opened.
        result: Result<(), SpawnError>,
    },
    /// Which programs are disabled from now on: they are not started by themselves. Nothing is started or stopped
    /// by it. To be given before `Boot` and `HandedOver` too.
    Disabled(Marks),
    /// A signal was sent to the daemon. A HUP is passed on only when the new configuration was found good.
    Signal(Signal),
    /// What the configuration says of a group changed in a way that touches nothing that runs: the same processes
    /// with other limits, policies or priorities.
    GroupRespecified(GroupSpec),
    /// What the configuration says of a group changed in part: processes may come and go, and those named are to be
    /// restarted; the others run on with what is new for them. Answered by [`super::Action::GroupChanged`].
    GroupChanged {
        /// What it is from now on.
        group: GroupSpec,
        /// Names of processes that have to be restarted for it.
        restart: Vec<String>,
    },
    /// A checked configuration is to replace the one in force (after `Action::Finish(Finish::Reload)` for a
    /// HUP, or at once for an update): what is the same stays untouched.
    FleetLoaded(FleetSpec),
}

impl Input {
    /// Whether this tells of what has happened to a run or in the world around it. News move no timer, because there
    /// may be more of them; nor does the hand-over behind them, which gives new time to some.
    #[must_use]
    pub fn is_news(&self) -> bool {
        let is_around = matches!(
            self,
            Input::Output { .. } | Input::Captured { .. } | Input::SocketOpened { .. } | Input::HandedOver
        );
        is_around || self.run().is_some()
    }

    /// Returns the run that this is about; a run that is over by now makes the input stale.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        match self {
            Input::Prepared { run, .. }
            | Input::Spawned { run, .. }
            | Input::SpawnFailed { run, .. }
            | Input::Exited { run, .. }
            | Input::Swept { run, .. }
            | Input::SignalFailed { run, .. }
            | Input::Heard { run, .. }
            | Input::Unheard { run }
            | Input::EventSent { run, .. } => Some(*run),
            _ => None,
        }
    }
}

/// Names a request until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Who caused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The rules of the configuration (autostart, autorestart, timers).
    Policy,
    /// A client with this user id.
    Client(Uid),
    /// A signal sent to the daemon.
    Signal(Signal),
    /// The program itself, by what it did.
    Program,
}

/// What a client can ask of the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Start a process, answering when it runs or failed (`wait`), or at once.
    Start {
        /// Which.
        process: ProcessId,
        /// Answer only when it is known how it went.
        wait: bool,
    },
    /// Stop a process.
    Stop {
        /// Which.
        process: ProcessId,
        /// Answer only when it is down.
        wait: bool,
    },
    /// Stop a process where that is needed, and start it: answered as a start. The wish outlives who asked, and a
    /// stop in between beats it.
    Restart {
        /// Which.
        process: ProcessId,
        /// Answer only when it is known how it went.
        wait: bool,
    },
    /// Send a signal to the main process.
    Signal {
        /// Which.
        process: ProcessId,
        /// What.
        signal: Signal,
    },
    /// Stop everything and end the daemon.
    Shutdown,
    /// Stop everything and begin anew with the configuration read again.
    Reload,
}

/// Why a run could not be spawned; its `Display` is the text of supervisord's `spawnerr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// The command line cannot be split into words.
    CannotParse {
        /// The command line.
        command: String,
        /// What is wrong, in Python's words (`No closing quotation`).
        why: String,
    },
    /// The command line is empty.
    Empty,
    /// No such command; holds its name.
    NotFound(String),
    /// It is a directory; holds its name.
    IsDirectory(String),
    /// Nobody may execute it; holds its name.
    NotExecutable(String),
    /// We may not execute it; holds its name.
    NoPermission(String),
    /// A log file or a pipe cannot be opened.
    Dispatchers {
        /// Name of the process.
        name: String,
        /// `ENOENT`.
        errno: String,
    },
    /// The socket that its processes share cannot be opened.
    Socket {
        /// Which, as the configuration calls it.
        url: String,
        /// What failed, in words.
        why: String,
    },
    /// No descriptors are left (`EMFILE`, `ENFILE`): waited out, not the program's failure.
    TooManyFiles(String),
    /// No processes are left (`EAGAIN`, `ENOMEM`): waited out, not the program's failure.
    TooManyProcesses(String),
    /// fork(2) failed in another way.
    Fork {
        /// Name of the process.
        name: String,
        /// `ENOSYS`.
        errno: String,
    },
    /// Its environment cannot be put together; says why.
    Environment(String),
    /// A condition of the configuration does not hold here and now; holds which and why.
    Condition(String),
    /// The configuration has a key that we must obey and cannot: nobody runs unprotected by surprise.
    Refused(String),
}

impl SpawnError {
    /// Whether the machine, not the program, is at fault and the attempt must not count.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self, SpawnError::TooManyFiles(_) | SpawnError::TooManyProcesses(_))
    }

    /// Whether the command itself is at fault: a start request is refused for it before anything is tried
    /// (supervisor 4.3 rpcinterface.py `startProcess`, faults 20 and 21).
    #[must_use]
    pub fn is_command(&self) -> bool {
        matches!(
            self,
            SpawnError::CannotParse { .. }
                | SpawnError::Empty
                | SpawnError::NotFound(_)
                | SpawnError::IsDirectory(_)
                | SpawnError::NotExecutable(_)
                | SpawnError::NoPermission(_)
                | SpawnError::Condition(_)
                | SpawnError::Environment(_)
        )
    }
}

impl SpawnError {
    /// Whether nothing failed: it is not meant to run here and now.
    #[must_use]
    pub fn is_condition(&self) -> bool {
        matches!(self, SpawnError::Condition(_))
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::CannotParse { command, why } => write!(f, "can't parse command {command}: {why}"),
            SpawnError::Empty => f.write_str("command is empty"),
            SpawnError::NotFound(name) => write!(f, "can't find command '{name}'"),
            SpawnError::IsDirectory(name) => write!(f, "command at '{name}' is a directory"),
            SpawnError::NotExecutable(name) => write!(f, "command at '{name}' is not executable"),
            SpawnError::NoPermission(name) => write!(f, "no permission to run command '{name}'"),
            SpawnError::Dispatchers { name, errno } => {
                write!(f, "unknown error making dispatchers for '{name}': {errno}")
            }
            SpawnError::Socket { url, why } => write!(f, "Could not create FastCGI socket {url}: {why}"),
            SpawnError::TooManyFiles(name) => write!(f, "too many open files to spawn '{name}'"),
            SpawnError::TooManyProcesses(name) => {
                write!(f, "Too many processes in process table to spawn '{name}'")
            }
            SpawnError::Fork { name, errno } => write!(f, "unknown error during fork for '{name}': {errno}"),
            SpawnError::Condition(why) | SpawnError::Environment(why) | SpawnError::Refused(why) => {
                f.write_str(why)
            }
        }
    }
}
