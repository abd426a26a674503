//! A client on a terminal: what it shows, and fingers for it.

use super::wait::{self, LONG};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A terminal that is wide enough for every line of the tests.
const SIZE: Winsize = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };

/// A command on a terminal.
pub(crate) struct Pty {
    pub(crate) child: Child,
    terminal: File,
    shown: Vec<u8>,
}

impl Pty {
    /// Starts a command on a terminal that knows colours.
    pub(crate) fn start(command: &mut Command) -> Pty {
        Pty::start_as("xterm", command)
    }

    /// Starts a command on a terminal of a certain kind.
    pub(crate) fn start_as(kind: &str, command: &mut Command) -> Pty {
        let pty = openpty(Some(&SIZE), None).expect("a terminal");
        let end = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
        let child = command.env("TERM", kind).stdin(end()).stdout(end()).stderr(end()).spawn();
        // The command itself holds the terminal open through its end.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Pty { child: child.expect("a client"), terminal: File::from(pty.master), shown: Vec::new() }
    }

    /// Types.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).expect("the terminal takes it");
    }

    /// Waits for a text behind what was waited for before; returns what was shown up to its end.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let since = Instant::now();
        loop {
            if let Some(at) = memchr::memmem::find(&self.shown, text.as_bytes()) {
                let shown: Vec<u8> = self.shown.drain(..at + text.len()).collect();
                return String::from_utf8_lossy(&shown).into_owned();
            }
            assert!(self.read() && since.elapsed() < LONG, "{text:?} did not come: {:?}", self.text());
        }
    }

    /// Waits for the end; returns what was shown since, and the exit code.
    pub(crate) fn finish(mut self) -> (String, Option<i32>) {
        while self.read() {}
        let status = wait::until(LONG, "the end", || self.child.try_wait().expect("a status"));
        (self.text(), status.code())
    }

    fn read(&mut self) -> bool {
        let mut fds = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(LONG).expect("a time");
        assert!(poll(&mut fds, limit).is_ok_and(|count| count > 0), "nothing came: {:?}", self.text());
        let mut buffer = [0; 4096];
        match self.terminal.read(&mut buffer) {
            Ok(count @ 1..) => {
                self.shown.extend_from_slice(&buffer[..count]);
                true
            }
            _ => false,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }
}
