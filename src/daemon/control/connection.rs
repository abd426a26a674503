//! One client: what it sends becomes requests, what is written for it waits until it reads.
//!
//! Bounded on both sides: the parser takes one largest request, and a stream's unread bytes have a limit.

use super::access::{Denial, Door};
use super::rights::Visitor;
use super::stream::Stream;
use super::{REQUEST_TIME, UNREAD_TIME};
use crate::api::http::reply::{self, Exchange, Framing, JSON, ReplyHead};
use crate::api::http::{Head, Limits, Request, RequestParser};
use crate::api::v1::{self, ErrorCode, ErrorReply};
use crate::model::delegate::Action;
use crate::model::{Time, Uid};
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;

/// Most bytes of a stream (a log, events) that wait for a slow reader; what comes on top is dropped and counted.
pub(super) const STREAM_UNREAD_MAX_BYTES: usize = 256 * 1024;
/// Bodies up to this size are taken even when the request will be refused: whoever sends head and body apart would
/// find the connection closed before reading why. Calls of a few parameters are smaller.
const BODY_HEARD_OUT_BYTES: usize = 16 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// What the connection is doing.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing of ours: a request may come.
    Open,
    /// A request is being answered.
    Answering(Exchange),
    /// A stream without an end.
    Streaming(Framing),
    /// Everything that is written is the last.
    Closing,
}

/// A client's connection.
pub(super) struct Connection {
    stream: Stream,
    /// Whose it is.
    pub(super) peer: Uid,
    /// Who that is, where it is neither the owner nor root and only what is granted may be asked for.
    pub(super) visitor: Option<Rc<Visitor>>,
    /// What the request that is being answered needs.
    pub(super) asks: &'static [Action],
    door: Rc<Door>,
    /// Whether the request whose body is awaited may be served.
    is_judged: bool,
    /// Whether a request was complete before.
    has_asked: bool,
    parser: RequestParser,
    phase: Phase,
    out: Vec<u8>,
    sent: usize,
    /// When the current request must be complete.
    request_due: Option<Time>,
    /// When something of `out` must have been read.
    unread_due: Option<Time>,
    /// The client sends nothing more.
    ended: bool,
    /// The client reads nothing more either.
    hung_up: bool,
    /// Nothing can be sent any more.
    broken: bool,
}

impl Connection {
    /// Takes over a connection.
    pub(super) fn new(stream: Stream, door: Rc<Door>) -> Connection {
        Connection {
            stream,
            peer: Uid(u32::MAX),
            visitor: None,
            asks: &[],
            door,
            is_judged: false,
            has_asked: false,
            parser: RequestParser::new(Limits::default()),
            phase: Phase::Open,
            out: Vec::new(),
            sent: 0,
            request_due: None,
            unread_due: None,
            ended: false,
            hung_up: false,
            broken: false,
        }
    }

    /// When it must have moved on, if anything is under way.
    pub(super) fn deadline(&self) -> Option<Time> {
        [self.request_due, self.unread_due].into_iter().flatten().min()
    }

    /// Whether a request has begun and is not complete.
    pub(super) fn is_in_request(&self) -> bool {
        self.phase == Phase::Open && self.parser.is_in_request()
    }

    /// Whether it has never asked for anything whole.
    pub(super) fn is_new(&self) -> bool {
        self.phase == Phase::Open && !self.has_asked
    }

    /// Whether its client waits for an answer and sends nothing more.
    pub(super) fn is_half_closed(&self) -> bool {
        self.ended && matches!(self.phase, Phase::Answering(_))
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Open && !self.parser.is_in_request() && self.out.is_empty()
    }

    /// Whether it is an answer without an end.
    pub(super) fn is_streaming(&self) -> bool {
        matches!(self.phase, Phase::Streaming(_))
    }

    /// Whether it is somebody's who is neither the owner nor root.
    pub(super) fn is_visit(&self) -> bool {
        self.visitor.is_some()
    }

    /// Whether it can be closed.
    pub(super) fn is_over(&self) -> bool {
        let written = self.out.is_empty();
        let finished = match self.phase {
            Phase::Closing => written,
            Phase::Open => self.ended && written,
            Phase::Streaming(_) => self.ended,
            Phase::Answering(_) => false,
        };
        finished || self.hung_up || self.broken
    }

    /// Takes in that the client has closed both directions; one that only sends nothing more may wait for answers.
    pub(super) fn hang_up(&mut self) {
        self.hung_up = true;
    }

    /// Whether a further request may already be there.
    pub(super) fn may_go_on(&self) -> bool {
        self.phase == Phase::Open && self.out.is_empty() && self.parser.is_in_request()
    }

    /// Reads what is there, as far as there is room for it.
    pub(super) fn read(&mut self, now: Time) {
        let mut buffer = [0; READ_BYTES];
        while !self.ended && !self.broken {
            let room = self.parser.room().min(READ_BYTES);
            if room == 0 {
                // Whoever is told a stream has nothing to say, and what follows hides the end of the connection.
                self.broken |= matches!(self.phase, Phase::Streaming(_));
                break;
            }
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.parser.feed(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.broken = true,
            }
        }
        if self.request_due.is_none() && self.is_in_request() {
            self.request_due = Some(now.after(REQUEST_TIME));
        }
    }

    /// Returns the next complete request; one at a time, and none while an answer is not read.
    pub(super) fn next_request(&mut self) -> Option<Request> {
        if self.phase != Phase::Open || !self.out.is_empty() {
            return None;
        }
        match self.parser.next() {
            Some(Ok(request)) => {
                self.request_due = None;
                if !std::mem::take(&mut self.is_judged)
                    && let Err(denial) = self.door.judge(&request.head)
                {
                    self.deny(denial);
                    return None;
                }
                (self.phase, self.has_asked) = (Phase::Answering(request.exchange), true);
                Some(request)
            }
            Some(Err(error)) => {
                self.refuse(error.status(), &error.to_string());
                None
            }
            None => {
                self.judge_awaited();
                None
            }
        }
    }

    /// Judges a request whose body is on its way: nothing is taken of it that would be refused, and a client that
    /// waits for leave gets it.
    fn judge_awaited(&mut self) {
        let Some(head) = self.parser.awaited().filter(|_| !self.is_judged) else { return };
        match self.door.judge(head) {
            Err(_) if !waits_for_leave(head) && head.content_length <= Some(BODY_HEARD_OUT_BYTES) => {}
            Ok(()) => {
                if waits_for_leave(head) {
                    self.out.extend_from_slice(reply::CONTINUE);
                }
                self.is_judged = true;
            }
            Err(denial) => self.deny(denial),
        }
    }

    fn deny(&mut self, denial: Denial) {
        let asks = [("WWW-Authenticate", "Basic realm=\"default\"")];
        self.refuse_with(denial.status, denial.message, if denial.status == 401 { &asks } else { &[] });
    }

    /// Answers with a value.
    pub(super) fn reply<T: serde::Serialize>(&mut self, status: u16, value: &T) {
        let Phase::Answering(exchange) = self.phase else { return };
        let head = ReplyHead { status, content_type: JSON, headers: &[] };
        reply::write(exchange, &head, &v1::body(value), &mut self.out);
        self.phase = if exchange.keep_alive { Phase::Open } else { Phase::Closing };
    }

    /// Answers with an error.
    pub(super) fn error(&mut self, error: &ErrorReply) {
        self.reply(error.error.code.status(), error);
    }

    /// Answers with an error that ends the connection, whatever it was doing.
    pub(super) fn refuse(&mut self, status: u16, message: &str) {
        self.refuse_with(status, message, &[]);
    }

    fn refuse_with(&mut self, status: u16, message: &str, headers: &[(&str, &str)]) {
        let code = match status {
            401 | 403 | 421 => ErrorCode::Forbidden,
            413 | 431 => ErrorCode::TooLarge,
            503 => ErrorCode::Busy,
            _ => ErrorCode::BadRequest,
        };
        let head = ReplyHead { status, content_type: JSON, headers };
        let body = v1::body(&ErrorReply::new(code, message, ""));
        reply::write(Exchange::BROKEN, &head, &body, &mut self.out);
        (self.phase, self.request_due) = (Phase::Closing, None);
    }

    /// Says no to a client that is not served, as far as its socket takes it at once.
    pub(super) fn refuse_and_close(mut self, status: u16, message: &str) {
        self.refuse(status, message);
        let _ = self.stream.write(&self.out);
    }

    /// Begins a stream without an end.
    pub(super) fn begin_stream(&mut self, content_type: &str, headers: &[(&str, &str)]) {
        let Phase::Answering(exchange) = self.phase else { return };
        let head = ReplyHead { status: 200, content_type, headers };
        self.phase = Phase::Streaming(reply::begin_stream(exchange, &head, &mut self.out));
    }

    /// Adds a piece to a stream; returns false when its reader is too slow, and the piece is dropped.
    pub(super) fn stream(&mut self, piece: &[u8]) -> bool {
        let Phase::Streaming(framing) = self.phase else { return true };
        if self.out.len() - self.sent + piece.len() > STREAM_UNREAD_MAX_BYTES {
            return false;
        }
        framing.write(piece, &mut self.out);
        true
    }

    /// Whether that many bytes of a stream would be taken now.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.out.len() - self.sent + bytes <= STREAM_UNREAD_MAX_BYTES
    }

    /// Ends a stream and the connection behind it.
    pub(super) fn end_stream(&mut self) {
        if let Phase::Streaming(framing) = self.phase {
            framing.end(&mut self.out);
            self.phase = Phase::Closing;
        }
    }

    /// Answers with bytes.
    pub(super) fn reply_bytes(&mut self, bytes: &[u8]) {
        self.reply_as("application/octet-stream", bytes);
    }

    /// Answers with bytes of a type.
    pub(super) fn reply_as(&mut self, content_type: &str, bytes: &[u8]) {
        let Phase::Answering(exchange) = self.phase else { return };
        let head = ReplyHead { status: 200, content_type, headers: &[] };
        reply::write(exchange, &head, bytes, &mut self.out);
        self.phase = if exchange.keep_alive { Phase::Open } else { Phase::Closing };
    }

    /// Sends what the socket has room for.
    pub(super) fn flush(&mut self, now: Time) {
        let before = self.sent;
        while self.sent < self.out.len() && !self.broken {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(0) => self.broken = true,
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.broken = true,
            }
        }
        if self.sent == self.out.len() {
            (self.out, self.sent, self.unread_due) = (Vec::new(), 0, None);
        } else if matches!(self.phase, Phase::Streaming(_)) {
            // Whoever reads it may pause as long as they like: what waits for them is bounded, and so are streams.
            self.unread_due = None;
        } else if self.unread_due.is_none() || self.sent > before {
            self.unread_due = Some(now.after(UNREAD_TIME));
        }
        // A reader who is always a little behind must not make it grow. Not for every byte: what is left is moved.
        if self.sent > self.out.len() / 2 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }
}

fn waits_for_leave(head: &Head) -> bool {
    head.headers.lists("expect", "100-continue")
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
