//! What every verb has at hand: which daemon is meant, and where to write.
//!
//! Must not know any verb. Example: `session.connect()?` is a connection, or a problem that tells every path that
//! was tried and the command that repairs it.

use super::boot::survey;
use super::output::Screen;
use super::{Problem, exit};
use crate::api::v1;
use crate::client::launch::{self, Launched};
use crate::client::{Connection, Places, Unreachable, wait};
use crate::model::Signal;
use crate::sys::ambient::Ambient;
use crate::sys::facts::lasting::BATCH_VARIABLES;
use crate::sys::identity;
use crate::sys::signals::SignalPipe;
use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest wait for a daemon that is there and has no socket: another command is starting it at this moment, or
/// somebody wiped its directories and it is binding them again. Either takes well below a second on an idle machine.
const RACE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long until it is tried again.
const RACE_PAUSE: Duration = Duration::from_millis(20);

/// The same where every try looks at the process table.
const SEARCH_PAUSE: Duration = Duration::from_millis(100);

/// Every how many tries the process table is looked at too: whoever was faster may live in a session with a `/tmp`
/// of its own, and be bound where this one never sees it.
const TRIES_PER_SEARCH: usize = 5;

/// What visord says when there is one already.
const ALREADY_RUNNING: &str = "already runs";

/// Which daemon, and where to write.
#[derive(Default)]
pub struct Session {
    /// Where the user looks.
    pub screen: Screen,
    /// The configuration file whose daemon is meant; else the user's own daemon.
    pub config: Option<PathBuf>,
    /// The socket to use, whatever the rest says.
    pub socket: Option<PathBuf>,
    /// The user whose daemon is meant, by what it grants to us.
    pub owner: Option<String>,
    keys: OnceCell<Option<SignalPipe>>,
}

impl Session {
    /// Returns the session of this process.
    #[must_use]
    pub fn new(config: Option<PathBuf>, socket: Option<PathBuf>) -> Session {
        Session { screen: Screen::real(), config, socket, owner: None, keys: OnceCell::new() }
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
        reach(&self.places()?).map_err(|unreachable| self.absent(&unreachable))
    }

    /// Returns a connection to the daemon, which is started where there is none and that may be.
    ///
    /// # Errors
    /// When there is none and none can be started.
    pub fn connect_or_start(&self, here: bool) -> Result<Connection, Problem> {
        let places = self.places()?;
        let unreachable = match reach(&places) {
            Ok(connection) => return Ok(connection),
            Err(unreachable) => unreachable,
        };
        let forbidden = std::env::var_os("VISOR_NO_SPAWN").is_some_and(|value| value == "1");
        if self.is_particular() || forbidden || unreachable.pid.is_some() {
            return Err(self.absent(&unreachable));
        }
        self.start(&places, here)
    }

    /// Starts the user's own daemon and returns a connection to it.
    ///
    /// # Errors
    /// When it does not start, or may not.
    pub fn start(&self, places: &Places, here: bool) -> Result<Connection, Problem> {
        let ambient = Ambient::real();
        let (mut connection, was_started) = self.start_silently(places, here, &ambient, launch::launch)?;
        if was_started {
            let version: v1::Version = connection.get(v1::path::VERSION)?;
            let hint = survey::outlook(&ambient).hint();
            self.screen.message(&format!("started visord, pid {} ({hint})", version.pid));
        }
        Ok(connection)
    }

    /// As [`Session::start`], without a word, by [`launch::launch`] or [`launch::launch_in_place`]. Tells whether it
    /// was we who started it.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn start_silently(
        &self,
        places: &Places,
        here: bool,
        ambient: &Ambient,
        launch: fn(&Path, &Ambient) -> io::Result<Launched>,
    ) -> Result<(Connection, bool), Problem> {
        refuse_in_batch_job(here)?;
        let program = launch::program();
        let launched = launch(&program, ambient).map_err(|error| {
            Problem::new(exit::ABSENT, format!("error: cannot start {}: {error}", program.display()))
        })?;
        Ok((self.await_start(places, &launched)?, launched.status.success()))
    }

    /// Returns where the daemon may be found.
    ///
    /// # Errors
    /// When the configuration that names it is not there.
    pub fn places(&self) -> Result<Places, Problem> {
        if let Some(owner) = &self.owner {
            let uid = identity::uid_of(owner);
            let unknown = || Problem::usage(format!("error: there is no user {owner}"));
            return uid.map(Places::of_user).ok_or_else(unknown);
        }
        match (&self.socket, &self.config) {
            (Some(socket), _) => Ok(Places::Socket(socket.clone())),
            (None, None) => Ok(Places::own()),
            (None, Some(file)) => Places::of_file(file)
                .map_err(|error| Problem::usage(format!("error: cannot read {}: {error}", file.display()))),
        }
    }

    /// Whether a certain daemon is meant, which is not ours to start.
    #[must_use]
    pub fn is_particular(&self) -> bool {
        self.config.is_some() || self.socket.is_some() || self.owner.is_some()
    }

    /// Returns a command of this client that is to be typed, for the same daemon: words as `why web`.
    #[must_use]
    pub fn command(&self, words: &str) -> String {
        let of = |option: &str, path: &Path| match quote(&path.display().to_string()) {
            Some(path) => format!("visorctl {option} {path} {words}"),
            None => format!("visorctl {words}"),
        };
        match (&self.socket, &self.config) {
            _ if self.owner.is_some() => of("--owner", Path::new(self.owner.as_deref().unwrap_or_default())),
            (Some(socket), _) => of("--socket", socket),
            (None, Some(file)) => of("-c", file),
            (None, None) => format!("visorctl {words}"),
        }
    }

    /// Returns the problem of having no daemon, with the command that helps.
    #[must_use]
    pub fn absent(&self, unreachable: &Unreachable) -> Problem {
        let help = match (&self.config, &self.socket) {
            _ if self.owner.is_some() => {
                let owner = self.owner.as_deref().unwrap_or_default();
                format!(
                    "{owner} has no visord that grants anything to others ([delegate:x] in visor.conf(5))"
                )
            }
            _ if unreachable.pid.is_some() => {
                "its sockets are gone: visord binds them again by itself, try again".to_owned()
            }
            (_, Some(_)) => "name the socket of a daemon that runs, or leave --socket out".to_owned(),
            (Some(file), None) => format!("start it: visord -c {}", file.display()),
            (None, None) => "start it: visorctl daemon start".to_owned(),
        };
        Problem::new(exit::ABSENT, format!("error: {unreachable}\n{help}"))
    }

    /// Connects to what was just started, by us or by somebody faster.
    fn await_start(&self, places: &Places, launched: &Launched) -> Result<Connection, Problem> {
        // Somebody else may have been faster, and not be there yet.
        let comes = launched.status.success() || launched.words.contains(ALREADY_RUNNING);
        let timeout = if comes { RACE_TIMEOUT } else { Duration::ZERO };
        let unreachable = match await_socket(places, timeout).or_else(|_| places.connect()) {
            Ok(connection) => return Ok(connection),
            Err(unreachable) => unreachable,
        };
        if comes {
            return Err(self.absent(&unreachable));
        }
        let text = format!("error: visord does not start ({})\n{}", launched.status, launched.words);
        Err(Problem::new(exit::ABSENT, text.trim_end()))
    }
}

/// Connects to a daemon; one that runs and has no socket is waited for.
fn reach(places: &Places) -> Result<Connection, Unreachable> {
    let since = Instant::now();
    loop {
        match places.connect() {
            // One that is ending has closed its sockets, and goes within moments.
            Err(Unreachable { pid: Some(_), .. }) if since.elapsed() < RACE_TIMEOUT => {
                wait::pause(SEARCH_PAUSE);
            }
            reached => return reached,
        }
    }
}

fn await_socket(places: &Places, timeout: Duration) -> Result<Connection, Unreachable> {
    let since = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        let reached =
            if tries % TRIES_PER_SEARCH == 0 { places.connect() } else { places.connect_to_bound() };
        match reached {
            Err(_) if since.elapsed() < timeout => wait::pause(RACE_PAUSE),
            reached => return reached,
        }
    }
}

/// Returns a word as a shell takes it; nothing where it cannot be shown as it is.
fn quote(word: &str) -> Option<String> {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%".contains(letter);
    match word {
        word if word.chars().any(char::is_control) => None,
        word if !word.is_empty() && word.chars().all(is_plain) => Some(word.to_owned()),
        word => Some(format!("'{}'", word.replace('\'', "'\\''"))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_type_is_for_the_same_daemon() {
        let session = |config: Option<&str>, socket: Option<&str>| {
            Session::new(config.map(PathBuf::from), socket.map(PathBuf::from)).command("why web")
        };
        assert_eq!(session(None, None), "visorctl why web");
        assert_eq!(session(Some("/etc/v.conf"), None), "visorctl -c /etc/v.conf why web");
        assert_eq!(session(Some("it's my.conf"), None), r"visorctl -c 'it'\''s my.conf' why web");
        assert_eq!(session(Some("/etc/v.conf"), Some("/s")), "visorctl --socket /s why web");
        assert_eq!(session(Some("\u{1b}[2J"), None), "visorctl why web");
    }
}
