//! Asking: one request, one reply, on a connection that stays open.
//!
//! Knows the framing of HTTP and the shape of errors, not what is asked. Example:
//! `connection.post::<v1::Results>(v1::path::START, &v1::Names::default(), &mut wait)`.

use super::address::{Address, Socket};
use super::{Failure, Stream, Wait};
use crate::api::http::reply::JSON;
use crate::api::http::{ResponseHead, ResponseParser};
use crate::api::v1;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Largest reply in bytes that is kept in memory: hundreds of thousands of processes.
pub const REPLY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The longest wait for a daemon that does not read what we send.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// A connection to a daemon of ours.
#[derive(Debug)]
pub struct Connection {
    stream: Socket,
    path: PathBuf,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status, below 400.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: impl Into<Socket>, path: PathBuf) -> Connection {
        Connection { stream: stream.into(), path }
    }

    /// Connects to an address.
    ///
    /// # Errors
    /// As [`Address::connect`].
    pub fn to(address: &Address) -> io::Result<Connection> {
        let path = if let Address::Unix(path) = address { path.clone() } else { address.host().into() };
        Ok(Connection::new(address.connect()?, path))
    }

    /// Returns the socket it leads to; of another machine: its host and port.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks for something to look at.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn get<T: DeserializeOwned>(&mut self, target: &str) -> Result<T, Failure> {
        parse(&self.fetch(target)?)
    }

    /// Asks for something to look at, and returns it as it came.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn fetch(&mut self, target: &str) -> Result<Reply, Failure> {
        self.fetch_within(target, &mut Wait::default())
    }

    /// The same with a wait of one's own.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn fetch_within(&mut self, target: &str, wait: &mut Wait<'_>) -> Result<Reply, Failure> {
        self.ask("GET", target, None, wait)
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn post<T: DeserializeOwned>(
        &mut self,
        target: &str,
        body: &impl Serialize,
        wait: &mut Wait<'_>,
    ) -> Result<T, Failure> {
        parse(&self.submit(target, body, wait)?)
    }

    /// Asks for something to be done, and returns the answer as it came.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn submit(
        &mut self,
        target: &str,
        body: &impl Serialize,
        wait: &mut Wait<'_>,
    ) -> Result<Reply, Failure> {
        self.ask("POST", target, Some(&v1::body(body)), wait)
    }

    /// Asks for something that comes bit by bit, as logs that are followed.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn stream(self, target: &str, body: &impl Serialize) -> Result<Stream, Failure> {
        self.begin_stream("POST", target, Some(&v1::body(body)))
    }

    /// Asks for something to look at that comes bit by bit, as events.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn listen(self, target: &str) -> Result<Stream, Failure> {
        self.begin_stream("GET", target, None)
    }

    fn begin_stream(mut self, method: &str, target: &str, body: Option<&[u8]>) -> Result<Stream, Failure> {
        self.send(method, target, body)?;
        let mut parser = ResponseParser::new(false);
        let (mut wait, since) = (Wait::default(), Instant::now());
        while parser.head().is_none() {
            self.receive(&mut parser, &mut wait, since)?;
        }
        if parser.head().is_some_and(|head| head.status >= 400) {
            return Err(self.rest(parser, &mut wait, since).err().unwrap_or(Failure::Interrupted));
        }
        Ok(Stream::new(self.stream, parser))
    }

    /// Sends a request that is written out, and returns its whole answer, which may say no.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn exchange(
        &mut self,
        request: &[u8],
        wait: &mut Wait<'_>,
    ) -> Result<(ResponseHead, Vec<u8>), Failure> {
        self.send_all(request)?;
        let mut parser = ResponseParser::new(false);
        self.finish(&mut parser, wait, Instant::now())?;
        let body = parser.take_body();
        parser.into_head().map(|head| (head, body)).ok_or_else(no_answer)
    }

    /// Sends a request that is written out, and returns its answer as it comes, which may say no.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn begin(mut self, request: &[u8], wait: &mut Wait<'_>) -> Result<(ResponseHead, Stream), Failure> {
        self.send_all(request)?;
        let (mut parser, since) = (ResponseParser::new(false), Instant::now());
        loop {
            self.receive(&mut parser, wait, since)?;
            if let Some(head) = parser.head() {
                return Ok((head.clone(), Stream::new(self.stream, parser)));
            }
        }
    }

    /// Waits until the daemon closes the connection, which it does at the latest when it ends.
    ///
    /// # Errors
    /// When the time is over, or the user interrupts.
    pub fn closed(&mut self, wait: &mut Wait<'_>) -> Result<(), Failure> {
        let since = Instant::now();
        let mut buffer = [0; 1024];
        loop {
            wait.readable(&self.stream, since)?;
            if matches!(self.stream.read(&mut buffer), Ok(0) | Err(_)) {
                return Ok(());
            }
        }
    }

    fn ask(
        &mut self,
        method: &str,
        target: &str,
        body: Option<&[u8]>,
        wait: &mut Wait<'_>,
    ) -> Result<Reply, Failure> {
        let since = Instant::now();
        self.send(method, target, body)?;
        self.rest(ResponseParser::new(false), wait, since)
    }

    fn send(&mut self, method: &str, target: &str, body: Option<&[u8]>) -> Result<(), Failure> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: visord\r\n").into_bytes();
        if let Some(body) = body {
            let head = format!("Content-Type: {JSON}\r\nContent-Length: {}\r\n\r\n", body.len());
            request.extend_from_slice(head.as_bytes());
            request.extend_from_slice(body);
        } else {
            request.extend_from_slice(b"\r\n");
        }
        self.send_all(&request)
    }

    fn send_all(&mut self, request: &[u8]) -> Result<(), Failure> {
        self.stream.set_write_timeout(Some(SEND_TIMEOUT))?;
        match self.stream.write_all(request) {
            // It may have answered before it closed: that answer is worth more than our error.
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a whole reply; one that says no is a failure.
    fn rest(
        &mut self,
        mut parser: ResponseParser,
        wait: &mut Wait<'_>,
        since: Instant,
    ) -> Result<Reply, Failure> {
        self.finish(&mut parser, wait, since)?;
        let status = parser.head().map_or(0, |head| head.status);
        let reply = Reply { status, body: parser.take_body() };
        if status >= 400 { Err(refusal(&reply)) } else { Ok(reply) }
    }

    fn finish(
        &mut self,
        parser: &mut ResponseParser,
        wait: &mut Wait<'_>,
        since: Instant,
    ) -> Result<(), Failure> {
        while !parser.is_done() {
            self.receive(parser, wait, since)?;
            if parser.body_len() > REPLY_BYTES_MAX {
                return Err(Failure::NotUnderstood(format!(
                    "the answer is larger than {REPLY_BYTES_MAX} bytes"
                )));
            }
        }
        Ok(())
    }

    fn receive(
        &mut self,
        parser: &mut ResponseParser,
        wait: &mut Wait<'_>,
        since: Instant,
    ) -> Result<(), Failure> {
        wait.readable(&self.stream, since)?;
        let mut buffer = vec![0; READ_BYTES];
        match self.stream.read(&mut buffer) {
            Ok(0) if parser.head().is_none() => Err(no_answer()),
            Ok(0) => Ok(parser.close()?),
            Ok(count) => Ok(parser.feed(&buffer[..count])?),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads a reply's JSON.
///
/// # Errors
/// When it is something else.
pub fn parse<T: DeserializeOwned>(reply: &Reply) -> Result<T, Failure> {
    serde_json::from_slice(&reply.body).map_err(|error| Failure::NotUnderstood(error.to_string()))
}

fn no_answer() -> Failure {
    Failure::Lost("it was closed without an answer".to_owned())
}

fn refusal(reply: &Reply) -> Failure {
    let status = reply.status;
    match serde_json::from_slice::<v1::ErrorReply>(&reply.body) {
        Ok(v1::ErrorReply { error }) if !error.message.is_empty() => Failure::Refused { status, error },
        _ => Failure::NotUnderstood(format!("status {status} without words")),
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
