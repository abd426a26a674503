//! What every action has at hand: the daemon, the screen, and the exit code so far.
//!
//! Must not know any action. Example: `session.call("getPID", &[])?` is a value of the interface `supervisor`.

use super::codes;
use super::input::{self, Input};
use super::settings::Settings;
use super::trouble::Trouble;
use crate::api::xmlrpc::{Code, Value};
use crate::cli::escape;
use crate::cli::output::Screen;
use crate::client::{Address, Login, Rpc, Stream, Wait};
use crate::model::Signal;
use crate::sys::signals::SignalPipe;
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd};

/// The version of the interface that is spoken.
const API_VERSION: &str = "3.0";

/// A session: one action, or a shell.
pub(super) struct Session {
    /// What holds; `open` and a login change it.
    pub(super) settings: Settings,
    /// Where the user looks.
    pub(super) screen: Screen,
    /// What the user types.
    pub(super) input: Input,
    /// What the program will end with: the last failure, as upstream has it.
    pub(super) exit_code: i32,
    rpc: Option<Rpc>,
    keys: Option<SignalPipe>,
}

impl Session {
    /// Returns a session that has asked nothing yet.
    pub(super) fn new(settings: Settings) -> Session {
        let screen = Screen::real();
        Session { settings, screen, input: Input::default(), exit_code: codes::OK, rpc: None, keys: None }
    }

    /// Writes lines.
    pub(super) fn say(&self, text: &str) {
        if self.screen.data_on_terminal {
            let lines: Vec<_> = text.split('\n').map(escape::plain).collect();
            crate::cli::output::data(&lines.join("\n"));
        } else {
            crate::cli::output::data(text);
        }
    }

    /// Writes lines about something that went wrong.
    pub(super) fn fail(&mut self, code: i32, text: &str) {
        self.say(text);
        self.exit_code = code;
    }

    /// Takes the exit code that a fault leads to.
    pub(super) fn note_fault(&mut self, number: i32, ignored: Option<Code>) {
        if let Some(code) = codes::of_fault(number, ignored) {
            self.exit_code = code;
        }
    }

    /// Begins an action: on a connection of its own, as the daemon may be another one by now.
    pub(super) fn begin(&mut self) {
        self.rpc = None;
    }

    /// Calls a method of the interface `supervisor`.
    pub(super) fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, Trouble> {
        let mut rpc = match self.rpc.take() {
            Some(rpc) => rpc,
            None => self.daemon()?,
        };
        let mut wait = Wait { timeout: None, interrupt: self.keys(), tick: None };
        let answer = rpc.call(&format!("supervisor.{method}"), params, &mut wait);
        self.rpc = Some(rpc);
        Ok(answer?)
    }

    /// Asks for a log that is followed.
    pub(super) fn follow(&self, target: &str) -> Result<Stream, Trouble> {
        let mut wait = Wait { timeout: None, interrupt: self.keys(), tick: None };
        Ok(self.daemon()?.follow(target, &mut wait)?)
    }

    /// Returns the daemon, not yet connected to.
    pub(super) fn daemon(&self) -> Result<Rpc, Trouble> {
        let address = Address::parse(&self.settings.serverurl).map_err(Trouble::Other)?;
        let Settings { username, password, .. } = &self.settings;
        let login = username.clone().zip(password.clone());
        Ok(Rpc::new(address, login.map(|(username, password)| Login { username, password })))
    }

    /// Whether there is a daemon that speaks our version; says so when there is none.
    pub(super) fn is_up(&mut self) -> Result<bool, Trouble> {
        let url = self.settings.serverurl.clone();
        let (code, text) = match self.call("getVersion", &[]) {
            Ok(version) if version.as_str() == Some(API_VERSION) => return Ok(true),
            Ok(version) => {
                let theirs = version.as_str().unwrap_or("no text").to_owned();
                let text =
                    format!("{url} speaks API version {theirs}, and this supervisorctl only {API_VERSION}.");
                (codes::VERSION, text)
            }
            Err(trouble) if trouble.fault() == Some(Code::UnknownMethod) => {
                let text = format!(
                    "{url} answers, but does not know the methods of the supervisor namespace: its configuration \
                     needs a [rpcinterface:supervisor] section."
                );
                (codes::UNIMPLEMENTED, text)
            }
            Err(trouble) => match trouble.connect_errno() {
                Some(Errno::ECONNREFUSED) => (codes::REFUSED, format!("{url} refused connection")),
                Some(Errno::ENOENT) => (codes::NOT_RUNNING, format!("{url} no such file")),
                _ => return Err(trouble),
            },
        };
        self.fail(code, &text);
        Ok(false)
    }

    /// Catches Ctrl-C from now on: it ends what waits, and not the program.
    pub(super) fn catch_keys(&mut self) {
        if self.keys.is_none() {
            self.keys = SignalPipe::catch(&[Signal::INT]).ok();
        }
    }

    /// Returns what becomes readable at Ctrl-C, where that is caught.
    pub(super) fn keys(&self) -> Option<BorrowedFd<'_>> {
        self.keys.as_ref().map(AsFd::as_fd)
    }

    /// Forgets a Ctrl-C that has been obeyed.
    pub(super) fn forget_keys(&self) {
        if let Some(keys) = &self.keys {
            keys.drain(|_| {});
        }
    }

    /// Reads a line that the user types behind a prompt; nothing at the end of the input.
    pub(super) fn ask(&mut self, prompt: &str) -> Result<Option<String>, Trouble> {
        self.screen.ready(prompt.as_bytes());
        let Session { input, keys, .. } = self;
        input.line(keys.as_ref().map(AsFd::as_fd))
    }

    /// Reads a line that the terminal does not show.
    pub(super) fn ask_secret(&mut self, prompt: &str) -> Result<Option<String>, Trouble> {
        let Session { input, keys, .. } = self;
        input::password(prompt, input, keys.as_ref().map(AsFd::as_fd))
    }
}
