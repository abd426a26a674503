//! A reply that comes bit by bit and may never end.
//!
//! Example: several streams are polled together, and [`Stream::read`] gives what one of them has.

use super::Failure;
use super::address::Socket;
use crate::api::http::ResponseParser;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// A log or a sequence of events, as it comes.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    parser: ResponseParser,
    has_ended: bool,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Stream {
    pub(super) fn new(socket: Socket, parser: ResponseParser) -> Stream {
        let has_ended = parser.is_done();
        Stream { socket, parser, has_ended }
    }

    /// Returns what came with the head, which no poll tells about.
    pub fn begun(&mut self) -> Vec<u8> {
        self.parser.take_body()
    }

    /// Whether it came to its proper end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Reads once, waiting for bytes; what it returns may be empty.
    ///
    /// # Errors
    /// When the connection broke before the end of the stream.
    pub fn read(&mut self) -> Result<Vec<u8>, Failure> {
        let mut buffer = vec![0; READ_BYTES];
        match self.socket.read(&mut buffer) {
            Ok(0) => self.parser.close()?,
            Ok(count) => self.parser.feed(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        self.has_ended = self.parser.is_done();
        Ok(self.parser.take_body())
    }
}
