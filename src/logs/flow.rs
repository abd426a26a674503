//! A log that only flows: our own standard streams, terminals, pipes, devices.
//!
//! Nothing can be rotated, placed or redone there, and nobody may be waited for longer than a moment: what
//! does not fit is dropped, and the caller counts it. Example: `Flow::standard(1).write(b"line\n")`.

use crate::sys::{open, pipe};
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes that are written at once: no more than a pipe takes in one piece (PIPE_BUF, pipe(7)).
pub const PIECE_BYTES: usize = libc::PIPE_BUF;

/// Milliseconds that a reader who is slow is waited for, before its output is dropped until it reads again:
/// long enough for a busy reader, short enough for the other logs.
pub const PATIENCE_MS: u16 = 100;

/// The way out.
#[derive(Debug)]
pub struct Flow {
    port: Port,
    patience_ms: u16,
    stuck: bool,
}

#[derive(Debug)]
enum Port {
    /// Our own standard output or standard error itself, which stays as it is.
    Standard(i32),
    /// An open file of our own.
    File(File),
}

impl Port {
    fn with<T>(&self, work: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        match self {
            Port::Standard(1) => work(std::io::stdout().as_fd()),
            Port::Standard(_) => work(std::io::stderr().as_fd()),
            Port::File(file) => work(file.as_fd()),
        }
    }
}

impl Flow {
    /// Writes to our own standard output (1) or standard error (2).
    #[must_use]
    pub fn standard(number: i32) -> Flow {
        let port = open::standard_stream_again(number).map_or(Port::Standard(number), Port::File);
        Flow { port, patience_ms: PATIENCE_MS, stuck: false }
    }

    /// As [`Flow::standard`], for somebody who must never wait: none where a write may wait although the poll says that
    /// there is room, for a terminal that stands still or for a file system.
    #[must_use]
    pub fn standard_without_waiting(number: i32) -> Option<Flow> {
        let flow = Flow::standard(number);
        (matches!(flow.port, Port::File(_)) || open::takes_what_it_has_room_for(number)).then_some(flow)
    }

    /// Writes to a device that was opened without waiting.
    #[must_use]
    pub fn device(file: File) -> Flow {
        Flow { port: Port::File(file), patience_ms: PATIENCE_MS, stuck: false }
    }

    /// Returns the same way out for somebody who must not wait at all.
    #[must_use]
    pub fn impatient(self) -> Flow {
        Flow { patience_ms: 0, ..self }
    }

    /// Writes at most [`PIECE_BYTES`] and returns how many went out, at least one.
    ///
    /// # Errors
    /// `EAGAIN` when nobody reads; else as write(2).
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        let patience = if self.stuck { 0 } else { self.patience_ms };
        let result = self.port.with(|fd| {
            if !pipe::wait_writable(&fd, patience).unwrap_or(true) {
                return Err(Errno::EAGAIN);
            }
            nix::unistd::write(fd, piece)
        });
        self.stuck = result == Err(Errno::EAGAIN);
        match result {
            Ok(0) => Err(Errno::EIO),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd;
    use std::io::Read;

    #[test]
    fn a_reader_that_stands_still_is_not_waited_for() -> std::io::Result<()> {
        let (read, write) = fd::pipe()?;
        fd::set_nonblocking(&write, true)?;
        let mut flow = Flow::device(File::from(write));
        let mut sent = 0;
        let refused = loop {
            match flow.write(&[b'x'; 2 * PIECE_BYTES]) {
                Ok(count) => sent += count,
                Err(errno) => break errno,
            }
        };
        assert_eq!((refused, flow.stuck), (Errno::EAGAIN, true));
        let mut got = vec![0; sent];
        File::from(read).read_exact(&mut got)?;
        assert_eq!(flow.write(b"again"), Err(Errno::EPIPE), "the reader is gone by now");
        Ok(())
    }
}
