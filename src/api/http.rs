//! HTTP/1.1 over a byte stream, for a server that never waits and a client that does.
//!
//! Knows no path and no meaning; it frames. Lenient where supervisord's clients need it (empty lines before a
//! request, an empty `Host`, raw UTF-8 in the target), strict where two readers could disagree about where a
//! request ends. Example: [`RequestParser`] on the server, [`ResponseParser`] in the client, and
//! [`reply::write`] between them.

pub mod basic;
pub mod chunked;
pub mod reply;
mod request;
mod response;
pub mod uri;

pub use request::{Head, Method, Request, RequestParser};
pub use response::{ResponseHead, ResponseParser};

use std::fmt;

/// Most bytes of a request's or response's head: twice what common servers take, far above what our clients send.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most headers of a request or response; browsers send about 20.
pub const HEADERS_MAX: usize = 64;
/// Most bytes of a request's body: a million names, or a long standard input, fit.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What a server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a head, the empty line included.
    pub head_bytes: usize,
    /// Most bytes of a body.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head_bytes: HEAD_BYTES_MAX, body_bytes: BODY_BYTES_MAX }
    }
}

/// Why what was received is not HTTP that we take. After one of these a connection is of no more use: where the
/// next message begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// It breaks the rules; holds how.
    Malformed(&'static str),
    /// The head is larger than the limit, which it holds in bytes.
    HeadTooLarge(usize),
    /// There are more than [`HEADERS_MAX`] headers.
    TooManyHeaders,
    /// The body has no stated length.
    LengthRequired,
    /// The body is larger than the limit, which it holds in bytes.
    BodyTooLarge(usize),
    /// Not HTTP/1.0 or 1.1.
    Version,
    /// The stream ended inside a message.
    CutShort,
}

impl HttpError {
    /// Returns the status to answer with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            HttpError::Malformed(_) | HttpError::CutShort => 400,
            HttpError::LengthRequired => 411,
            HttpError::BodyTooLarge(_) => 413,
            HttpError::HeadTooLarge(_) | HttpError::TooManyHeaders => 431,
            HttpError::Version => 505,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Malformed(how) => f.write_str(how),
            HttpError::HeadTooLarge(limit) => write!(f, "the head is larger than {limit} bytes"),
            HttpError::TooManyHeaders => write!(f, "there are more than {HEADERS_MAX} headers"),
            HttpError::LengthRequired => {
                f.write_str("a body needs a Content-Length and no Transfer-Encoding")
            }
            HttpError::BodyTooLarge(limit) => write!(f, "the body is larger than {limit} bytes"),
            HttpError::Version => f.write_str("only HTTP/1.0 and HTTP/1.1 are spoken"),
            HttpError::CutShort => f.write_str("the connection ended inside a message"),
        }
    }
}

impl std::error::Error for HttpError {}

impl HttpError {
    fn of_head(error: httparse::Error) -> HttpError {
        match error {
            httparse::Error::TooManyHeaders => HttpError::TooManyHeaders,
            httparse::Error::Version => HttpError::Version,
            httparse::Error::HeaderName => HttpError::Malformed("a header's name has a wrong byte"),
            httparse::Error::HeaderValue => HttpError::Malformed("a header's value has a wrong byte"),
            httparse::Error::NewLine => HttpError::Malformed("a line ends in a wrong way"),
            httparse::Error::Status => HttpError::Malformed("the status line has a wrong byte"),
            httparse::Error::Token => HttpError::Malformed("the first line is not HTTP"),
        }
    }
}

/// Which of the two spoken versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: the connection closes after a reply, unless both sides want otherwise.
    Http10,
    /// HTTP/1.1: the connection stays, unless a side wants otherwise.
    Http11,
}

impl Version {
    /// Returns the version of a minor number, as httparse tells it.
    fn of_minor(minor: Option<u8>) -> Version {
        if minor == Some(0) { Version::Http10 } else { Version::Http11 }
    }
}

/// The headers of a message: names in lower case, values without surrounding blanks, wrong UTF-8 replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    fn of(parsed: &[httparse::Header<'_>]) -> Headers {
        let pair = |header: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(header.value);
            (header.name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Headers(parsed.iter().map(pair).collect())
    }

    /// Returns the first value of a header; `name` is in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns every value of a header; `name` is in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a header that holds a list has this word in it, in any case (`Connection: keep-alive, close`).
    #[must_use]
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    }

    /// Returns the body's stated length, if there is one.
    ///
    /// # Errors
    /// When it is no number, or two headers disagree: two readers would cut the stream differently.
    pub fn content_length(&self) -> Result<Option<usize>, HttpError> {
        let wrong = HttpError::Malformed("the Content-Length is not one number");
        let mut length = None;
        for value in self.all("content-length") {
            if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(wrong);
            }
            // More digits than fit is larger than any limit, not malformed.
            let number = value.parse().unwrap_or(usize::MAX);
            if length.replace(number).is_some_and(|other| other != number) {
                return Err(wrong);
            }
        }
        Ok(length)
    }

    /// Whether the sender lets the connection stay open after this message.
    #[must_use]
    pub fn keep_alive(&self, version: Version) -> bool {
        match version {
            Version::Http10 => self.lists("connection", "keep-alive"),
            Version::Http11 => !self.lists("connection", "close"),
        }
    }
}

/// Finds where a head ends: behind its first empty line. Returns `Err` with where to go on searching once there
/// are more bytes, so that a head that comes in pieces is looked at once.
fn head_end(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let mut at = from;
    while let Some(offset) = memchr::memchr(b'\n', bytes.get(at..).unwrap_or_default()) {
        let next = at + offset + 1;
        match &bytes[next..] {
            [b'\n', ..] => return Ok(next + 1),
            [b'\r', b'\n', ..] => return Ok(next + 2),
            // Undecided: the line end itself must be looked at again.
            [] | [b'\r'] => return Err(next - 1),
            _ => at = next,
        }
    }
    Err(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_head_ends_at_its_first_empty_line_however_it_is_cut() {
        for (text, end) in [("a\r\n\r\nx", 5), ("a\n\nx", 3), ("a\r\nb\r\n\r\n", 8), ("a\n\r\n", 4)] {
            for cut in 0..=text.len() {
                let first = head_end(&text.as_bytes()[..cut], 0);
                let found = first.or_else(|from| head_end(text.as_bytes(), from));
                assert_eq!(found, Ok(end), "{text:?} cut at {cut}");
            }
        }
        assert_eq!(head_end(b"a\r\nb", 0), Err(4));
    }

    #[test]
    fn a_length_is_one_number() {
        for (values, expected) in [
            (&["12"][..], Ok(Some(12))),
            (&[], Ok(None)),
            (&["0"], Ok(Some(0))),
            (&["5", "5"], Ok(Some(5))),
            (&["99999999999999999999999"], Ok(Some(usize::MAX))),
            (&["5", "6"], Err(())),
            (&["-1"], Err(())),
            (&["+1"], Err(())),
            (&["1 2"], Err(())),
            (&["5, 5"], Err(())),
            (&[""], Err(())),
        ] {
            let pairs: Vec<_> = values.iter().map(|value| ("content-length", *value)).collect();
            assert_eq!(headers(&pairs).content_length().map_err(drop), expected, "{values:?}");
        }
    }

    #[test]
    fn a_connection_stays_open_by_the_rules_of_its_version() {
        for (version, connection, stays) in [
            (Version::Http11, "", true),
            (Version::Http11, "close", false),
            (Version::Http11, "Upgrade, Close", false),
            (Version::Http10, "", false),
            (Version::Http10, "Keep-Alive", true),
        ] {
            assert_eq!(headers(&[("connection", connection)]).keep_alive(version), stays, "{connection}");
        }
    }

    #[test]
    fn every_error_has_a_status_of_its_kind_and_words() {
        for error in [
            HttpError::Malformed("x"),
            HttpError::HeadTooLarge(1),
            HttpError::TooManyHeaders,
            HttpError::LengthRequired,
            HttpError::BodyTooLarge(1),
            HttpError::Version,
            HttpError::CutShort,
        ] {
            assert!((400..=505).contains(&error.status()) && !error.to_string().is_empty());
        }
    }
}
