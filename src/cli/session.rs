//! What every verb has at hand: which daemon is meant, and where to write.
//!
//! Must not know any verb. Example: `session.connect()?` is a connection, or a problem that tells every path that
//! was tried and the command that repairs it.

use super::output::Screen;
use super::{Problem, exit};
use crate::api::v1;
use crate::client::launch::{self, Launched};
use crate::client::places::{self, Surroundings};
use crate::client::{Connection, Unreachable, find, wait};
use crate::model::Signal;
use crate::sys::signals::SignalPipe;
use std::cell::OnceCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The longest wait for a daemon that another command is starting at this moment.
const RACE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long until it is tried again.
const RACE_PAUSE: Duration = Duration::from_millis(20);

/// Variables that batch systems set in their jobs: a daemon started there would be killed with the job.
const BATCH_VARIABLES: [&str; 3] = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"];

/// Which daemon, and where to write.
#[derive(Default)]
pub struct Session {
    /// Where the user looks.
    pub screen: Screen,
    /// The configuration file whose daemon is meant; else the user's own daemon.
    pub config: Option<PathBuf>,
    /// The socket to use, whatever the rest says.
    pub socket: Option<PathBuf>,
    keys: OnceCell<Option<SignalPipe>>,
}

impl Session {
    /// Returns the session of this process.
    #[must_use]
    pub fn new(config: Option<PathBuf>, socket: Option<PathBuf>) -> Session {
        Session { screen: Screen::real(), config, socket, keys: OnceCell::new() }
    }

    /// Returns what becomes readable when the user presses Ctrl-C, which is caught from the first call on.
    #[must_use]
    pub fn interrupt(&self) -> Option<&SignalPipe> {
        self.keys.get_or_init(|| SignalPipe::catch(&[Signal::INT]).ok()).as_ref()
    }

    /// Returns a connection to the daemon.
    ///
    /// # Errors
    /// When there is none.
    pub fn connect(&self) -> Result<Connection, Problem> {
        find::connect(&self.sockets()?).map_err(|unreachable| self.absent(&unreachable))
    }

    /// Returns a connection to the daemon, which is started where there is none and that may be.
    ///
    /// # Errors
    /// When there is none and none can be started.
    pub fn connect_or_start(&self, here: bool) -> Result<Connection, Problem> {
        let sockets = self.sockets()?;
        let unreachable = match find::connect(&sockets) {
            Ok(connection) => return Ok(connection),
            Err(unreachable) => unreachable,
        };
        let forbidden = std::env::var_os("VISOR_NO_SPAWN").is_some_and(|value| value == "1");
        if self.is_particular() || forbidden || !unreachable.is_absence() {
            return Err(self.absent(&unreachable));
        }
        self.start(&sockets, here)
    }

    /// Starts the user's own daemon and returns a connection to it.
    ///
    /// # Errors
    /// When it does not start, or may not.
    pub fn start(&self, sockets: &[PathBuf], here: bool) -> Result<Connection, Problem> {
        refuse_in_batch_job(here)?;
        let program = launch::program();
        let launched = launch::launch(&program).map_err(|error| {
            Problem::new(exit::ABSENT, format!("error: cannot start {}: {error}", program.display()))
        })?;
        let mut connection = self.await_start(sockets, &launched)?;
        if launched.status.success() {
            let version: v1::Version = connection.get(v1::path::VERSION)?;
            self.screen.message(&format!(
                "started visord, pid {} (to start it at boot, add to `crontab -e`: @reboot {})",
                version.pid,
                program.display()
            ));
        }
        Ok(connection)
    }

    /// Returns the sockets at which the daemon may be found.
    ///
    /// # Errors
    /// When the configuration that names it is not there.
    pub fn sockets(&self) -> Result<Vec<PathBuf>, Problem> {
        if let Some(socket) = &self.socket {
            return Ok(vec![socket.clone()]);
        }
        let instance = match &self.config {
            None => places::DEFAULT.to_owned(),
            Some(file) => places::instance_of(file)
                .map_err(|error| Problem::usage(format!("error: cannot read {}: {error}", file.display())))?,
        };
        Ok(places::candidates(&instance, &Surroundings::real()))
    }

    /// Whether a certain daemon is meant, which is not ours to start.
    #[must_use]
    pub fn is_particular(&self) -> bool {
        self.config.is_some() || self.socket.is_some()
    }

    /// Returns the problem of having no daemon, with the command that helps.
    #[must_use]
    pub fn absent(&self, unreachable: &Unreachable) -> Problem {
        let help = match (&self.config, &self.socket) {
            (_, Some(_)) => "name the socket of a daemon that runs, or leave --socket out".to_owned(),
            (Some(file), None) => format!("start it: visord -c {}", file.display()),
            (None, None) => "start it: visorctl daemon start".to_owned(),
        };
        Problem::new(exit::ABSENT, format!("error: {unreachable}\n{help}"))
    }

    /// Connects to what was just started, by us or by somebody faster.
    fn await_start(&self, sockets: &[PathBuf], launched: &Launched) -> Result<Connection, Problem> {
        let since = Instant::now();
        loop {
            match find::connect(sockets) {
                Ok(connection) => return Ok(connection),
                Err(_) if since.elapsed() < RACE_TIMEOUT => wait::pause(RACE_PAUSE),
                Err(unreachable) if launched.status.success() => return Err(self.absent(&unreachable)),
                Err(_) => {
                    let how =
                        format!("error: visord does not start ({})\n{}", launched.status, launched.words);
                    return Err(Problem::new(exit::ABSENT, how.trim_end()));
                }
            }
        }
    }
}

fn refuse_in_batch_job(here: bool) -> Result<(), Problem> {
    let job = BATCH_VARIABLES.iter().find(|name| std::env::var_os(name).is_some());
    match job {
        Some(name) if !here => Err(Problem::new(
            exit::REFUSED,
            format!(
                "error: this is a batch job ({name}), and a daemon started in it ends with it: say --here if that is meant"
            ),
        )),
        _ => Ok(()),
    }
}
