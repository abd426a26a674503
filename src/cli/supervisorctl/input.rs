//! Standard input, line by line, while Ctrl-C is watched; and the terminal for a password.
//!
//! Example: `input.line(keys)?` is what was typed, or nothing at the end.

use super::trouble::Trouble;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// Longest line in bytes; a script that sends more without a line end is no session.
pub(super) const LINE_BYTES_MAX: usize = 1024 * 1024;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 4096;

/// Bytes that were read and are no line yet.
#[derive(Debug, Default)]
pub(super) struct Input {
    pending: Vec<u8>,
    has_ended: bool,
}

impl Input {
    /// Returns the next line without its end, waiting for it; nothing at the end.
    ///
    /// # Errors
    /// At Ctrl-C, and when a line is longer than [`LINE_BYTES_MAX`].
    pub(super) fn line(&mut self, keys: Option<BorrowedFd<'_>>) -> Result<Option<String>, Trouble> {
        self.line_of(&io::stdin(), keys)
    }

    fn line_of(&mut self, from: &impl AsFd, keys: Option<BorrowedFd<'_>>) -> Result<Option<String>, Trouble> {
        loop {
            if let Some(line) = self.take_line()? {
                return Ok(Some(line));
            }
            if self.has_ended {
                return Ok(None);
            }
            wait(from, keys)?;
            self.read(from);
        }
    }

    /// Whether the input has ended and every line of it was taken.
    pub(super) fn is_done(&self) -> bool {
        self.has_ended && self.pending.is_empty()
    }

    /// Reads once.
    pub(super) fn read(&mut self, from: &impl AsFd) {
        let mut buffer = [0; READ_BYTES];
        match nix::unistd::read(from, &mut buffer) {
            Ok(count @ 1..) => self.pending.extend_from_slice(&buffer[..count]),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // The end, or the terminal is gone.
            Ok(0) | Err(_) => self.has_ended = true,
        }
    }

    /// Returns the next line of what was read; at the end what is left is one.
    pub(super) fn take_line(&mut self) -> Result<Option<String>, Trouble> {
        let end = memchr::memchr(b'\n', &self.pending);
        let (length, used) = match end {
            Some(end) => (end, end + 1),
            None if self.has_ended && !self.pending.is_empty() => (self.pending.len(), self.pending.len()),
            None if self.pending.len() > LINE_BYTES_MAX => {
                return Err(Trouble::Other(format!("a line is longer than {LINE_BYTES_MAX} bytes")));
            }
            None => return Ok(None),
        };
        let line = String::from_utf8_lossy(&self.pending[..length]).into_owned();
        self.pending.drain(..used);
        Ok(Some(line))
    }
}

/// Waits until something can be read.
fn wait(from: &impl AsFd, keys: Option<BorrowedFd<'_>>) -> Result<(), Trouble> {
    let mut fds = vec![PollFd::new(from.as_fd(), PollFlags::POLLIN)];
    fds.extend(keys.map(|keys| PollFd::new(keys, PollFlags::POLLIN)));
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(io::Error::from(errno).into()),
            Ok(_) if fds.get(1).is_some_and(|keys| keys.any().unwrap_or(false)) => {
                return Err(Trouble::Interrupted);
            }
            Ok(_) => return Ok(()),
        }
    }
}

/// Asks for a password on the terminal, which does not show it; without one on standard error and input.
///
/// # Errors
/// At Ctrl-C.
pub(super) fn password(
    prompt: &str,
    input: &mut Input,
    keys: Option<BorrowedFd<'_>>,
) -> Result<Option<String>, Trouble> {
    let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else {
        drop(io::stderr().write_all(prompt.as_bytes()));
        return input.line(keys);
    };
    let old = tcgetattr(&terminal).map_err(io::Error::from)?;
    let mut silent = old.clone();
    silent.local_flags &= !LocalFlags::ECHO;
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent).map_err(io::Error::from)?;
    drop(terminal.write_all(prompt.as_bytes()));
    let typed = Input::default().line_of(&terminal, keys);
    let _ = tcsetattr(&terminal, SetArg::TCSAFLUSH, &old);
    drop(terminal.write_all(b"\n"));
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[u8], has_ended: bool) -> Input {
        Input { pending: text.to_vec(), has_ended }
    }

    #[test]
    fn lines_are_cut_at_their_ends_and_the_last_needs_none() {
        let mut input = of(b"status\n\nstop web", false);
        let mut next = || input.take_line().ok().flatten();
        assert_eq!((next(), next(), next()), (Some("status".to_owned()), Some(String::new()), None));
        input.has_ended = true;
        assert!(!input.is_done());
        assert_eq!(input.take_line().ok().flatten().as_deref(), Some("stop web"));
        assert!(input.is_done());
    }

    #[test]
    fn a_line_has_a_longest_form() {
        assert!(of(&vec![b'x'; LINE_BYTES_MAX], false).take_line().is_ok());
        assert!(of(&vec![b'x'; LINE_BYTES_MAX + 1], false).take_line().is_err());
    }
}
