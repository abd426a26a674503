//! The server's side of reading: bytes as they arrive become requests.
//!
//! Example: feed what was read, then take requests until there is none; one error ends the connection.

use super::{Headers, HttpError, Limits, Version, head_end, reply::Exchange, uri};
use std::fmt;

/// An empty buffer that grew beyond this many bytes is given back: hundreds of idle connections must cost little.
const BUFFER_KEPT_BYTES: usize = 8 * 1024;

/// What a request asks for, as far as we tell methods apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Look.
    Get,
    /// Look, and answer without the body.
    Head,
    /// Do.
    Post,
    /// Anything else: refused by whoever serves.
    Other,
}

/// A request without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The decoded path, `/v1/status`.
    pub path: String,
    /// The decoded parameters of the query, in their order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: Headers,
    /// The stated length of the body in bytes, if there was one.
    pub content_length: Option<usize>,
    /// What an answer must know.
    pub exchange: Exchange,
}

/// A complete request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Everything but the body.
    pub head: Head,
    /// The body; empty when there was none.
    pub body: Vec<u8>,
}

impl std::ops::Deref for Request {
    type Target = Head;
    fn deref(&self) -> &Head {
        &self.head
    }
}

impl fmt::Debug for Request {
    /// Leaves out headers and body, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ({} bytes)", self.method, self.path, self.body.len())
    }
}

impl Head {
    /// Returns the first parameter of this name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns every parameter of this name.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(bytes: &[u8]) -> Result<Head, HttpError> {
        let mut space = [httparse::EMPTY_HEADER; super::HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut space);
        match parsed.parse(bytes).map_err(HttpError::of_head)? {
            httparse::Status::Complete(_) => {}
            httparse::Status::Partial => return Err(HttpError::Malformed("the head ends in its middle")),
        }
        let method = match parsed.method.unwrap_or_default() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            _ => Method::Other,
        };
        let target = uri::parse(parsed.path.unwrap_or_default())?;
        let version = Version::of_minor(parsed.version);
        let headers = Headers::of(parsed.headers);
        if headers.get("transfer-encoding").is_some() {
            return Err(HttpError::LengthRequired);
        }
        let content_length = headers.content_length()?;
        let exchange =
            Exchange { version, keep_alive: headers.keep_alive(version), head_only: method == Method::Head };
        Ok(Head { method, path: target.path, query: target.query, headers, content_length, exchange })
    }
}

/// Where in a request the reader is.
#[derive(Debug)]
enum Place {
    /// In the head; this many bytes of it hold no end.
    Head { searched: usize },
    /// In the body, which is this long.
    Body { head: Box<Head>, length: usize },
    /// There was an error: nothing behind it is looked at.
    Failed,
}

/// Turns bytes into requests, in any cut; several requests may wait in it (pipelining).
///
/// As an iterator it yields every request that is complete; `None` means that more bytes are needed. After an
/// error it yields nothing more.
#[derive(Debug)]
pub struct RequestParser {
    limits: Limits,
    buffer: Vec<u8>,
    /// How much of the buffer has been used up.
    start: usize,
    place: Place,
}

impl RequestParser {
    /// Returns a reader with nothing in it.
    #[must_use]
    pub fn new(limits: Limits) -> RequestParser {
        RequestParser { limits, buffer: Vec::new(), start: 0, place: Place::Head { searched: 0 } }
    }

    /// Takes bytes that were read. Whoever reads should stop while there is no [`RequestParser::room`].
    pub fn feed(&mut self, bytes: &[u8]) {
        if matches!(self.place, Place::Failed) {
            return;
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns how many more bytes fit: enough for one largest request, so that a client that sends many at once
    /// waits instead of filling our memory.
    #[must_use]
    pub fn room(&self) -> usize {
        let most = self.limits.head_bytes + self.limits.body_bytes;
        most.saturating_sub(self.buffer.len() - self.start)
    }

    /// Whether a request has begun and is not complete: its time is running.
    #[must_use]
    pub fn is_in_request(&self) -> bool {
        match self.place {
            Place::Head { .. } => self.start < self.buffer.len(),
            Place::Body { .. } => true,
            Place::Failed => false,
        }
    }

    /// Returns the head of the request whose body is awaited: rights can be checked before the body is taken, and
    /// `Expect: 100-continue` be answered.
    #[must_use]
    pub fn awaited(&self) -> Option<&Head> {
        match &self.place {
            Place::Body { head, .. } => Some(head),
            _ => None,
        }
    }

    fn take_head(&mut self, searched: usize) -> Result<Option<Place>, HttpError> {
        let too_large = HttpError::HeadTooLarge(self.limits.head_bytes);
        let bytes = &self.buffer[self.start..];
        let end = match head_end(bytes, searched) {
            Err(searched) if bytes.len() < self.limits.head_bytes => {
                self.place = Place::Head { searched };
                return Ok(None);
            }
            Err(_) => return Err(too_large),
            Ok(end) if end > self.limits.head_bytes => return Err(too_large),
            Ok(end) => end,
        };
        let head = Head::parse(&bytes[..end])?;
        self.start += end;
        let length = head.content_length.unwrap_or(0);
        if length > self.limits.body_bytes {
            return Err(HttpError::BodyTooLarge(self.limits.body_bytes));
        }
        Ok(Some(Place::Body { head: Box::new(head), length }))
    }

    /// Drops the empty lines in front of a request, as supervisorctl sends them.
    fn skip_empty_lines(&mut self) {
        let blank = self.buffer[self.start..].iter().take_while(|&&byte| byte == b'\r' || byte == b'\n');
        self.start += blank.count();
    }

    fn take_body(&mut self, length: usize) -> Vec<u8> {
        let body = self.buffer[self.start..self.start + length].to_vec();
        self.start += length;
        if self.start == self.buffer.len() {
            self.start = 0;
            self.buffer.clear();
            self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        }
        body
    }
}

impl Iterator for RequestParser {
    type Item = Result<Request, HttpError>;

    fn next(&mut self) -> Option<Result<Request, HttpError>> {
        if let Place::Head { searched } = self.place {
            if searched == 0 {
                self.skip_empty_lines();
            }
            match self.take_head(searched) {
                Ok(Some(place)) => self.place = place,
                Ok(None) => return None,
                Err(error) => {
                    (self.place, self.buffer, self.start) = (Place::Failed, Vec::new(), 0);
                    return Some(Err(error));
                }
            }
        }
        let Place::Body { length, .. } = self.place else { return None };
        if self.buffer.len() - self.start < length {
            return None;
        }
        let Place::Body { head, .. } = std::mem::replace(&mut self.place, Place::Head { searched: 0 }) else {
            return None;
        };
        Some(Ok(Request { head: *head, body: self.take_body(length) }))
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
