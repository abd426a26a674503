//! The server's side of writing: heads, whole replies, streams and server-sent events.
//!
//! Writes into a buffer of the caller, who sends it as far as the client reads. Example: [`write()`] for a reply
//! whose length is known; [`begin_stream`], then [`Framing::write`] for a log that is followed.

use super::Version;
use std::io::Write;

/// What an answer must know about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The version the client speaks; the answer has the same.
    pub version: Version,
    /// Whether the connection stays open afterwards.
    pub keep_alive: bool,
    /// Whether the answer is without its body.
    pub head_only: bool,
}

impl Exchange {
    /// What is assumed about a request that could not be read: the connection closes.
    pub const BROKEN: Exchange = Exchange { version: Version::Http11, keep_alive: false, head_only: false };
}

/// What goes in front of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHead<'a> {
    /// The status, one of [`REASONS`].
    pub status: u16,
    /// The type of the body.
    pub content_type: &'a str,
    /// More headers, as name and value; line ends in them are cut off.
    pub headers: &'a [(&'a str, &'a str)],
}

/// Statuses that are sent, with their words.
pub const REASONS: [(u16, &str); 16] = [
    (200, "OK"),
    (301, "Moved Permanently"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (408, "Request Timeout"),
    (409, "Conflict"),
    (411, "Length Required"),
    (413, "Content Too Large"),
    (421, "Misdirected Request"),
    (431, "Request Header Fields Too Large"),
    (500, "Internal Server Error"),
    (503, "Service Unavailable"),
    (505, "HTTP Version Not Supported"),
];

/// Sent when a client waits with its body for leave (`Expect: 100-continue`).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The type of JSON.
pub const JSON: &str = "application/json";
/// The type of bytes as they are.
pub const BYTES: &str = "application/octet-stream";
/// The type of server-sent events.
pub const EVENTS: &str = "text/event-stream";

fn reason(status: u16) -> &'static str {
    REASONS.iter().find(|row| row.0 == status).map_or("Unknown", |row| row.1)
}

/// Writing into a `Vec` cannot fail, so results are dropped.
macro_rules! put {
    ($out:expr, $($text:tt)*) => { drop(write!($out, $($text)*)) };
}

fn write_head(exchange: Exchange, head: &ReplyHead<'_>, out: &mut Vec<u8>) {
    let minor = i32::from(exchange.version == Version::Http11);
    put!(out, "HTTP/1.{minor} {} {}\r\n", head.status, reason(head.status));
    put!(out, "Content-Type: {}\r\n", first_line(head.content_type));
    for (name, value) in head.headers {
        put!(out, "{}: {}\r\n", first_line(name), first_line(value));
    }
    match (exchange.version, exchange.keep_alive) {
        (Version::Http11, false) => put!(out, "Connection: close\r\n"),
        (Version::Http10, true) => put!(out, "Connection: Keep-Alive\r\n"),
        _ => {}
    }
}

/// What cannot stand in a header is cut off: a value must not become another header.
fn first_line(text: &str) -> &str {
    text.split(['\r', '\n', '\0']).next().unwrap_or_default()
}

/// Writes a whole reply.
pub fn write(exchange: Exchange, head: &ReplyHead<'_>, body: &[u8], out: &mut Vec<u8>) {
    write_head(exchange, head, out);
    put!(out, "Content-Length: {}\r\n\r\n", body.len());
    if !exchange.head_only {
        out.extend_from_slice(body);
    }
}

/// How the pieces of a stream are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each piece has its length in front.
    Chunked,
    /// The pieces are the stream, and the end of the connection ends it (HTTP/1.0 knows no chunks).
    UntilClose,
    /// There is no body.
    Nothing,
}

/// Writes the head of a reply whose length nobody knows, and returns how to write the rest. The connection must
/// be closed behind it unless the framing is [`Framing::Chunked`].
pub fn begin_stream(exchange: Exchange, head: &ReplyHead<'_>, out: &mut Vec<u8>) -> Framing {
    let framing = match exchange.version {
        _ if exchange.head_only => Framing::Nothing,
        Version::Http11 => Framing::Chunked,
        Version::Http10 => Framing::UntilClose,
    };
    let stays = exchange.keep_alive && framing == Framing::Chunked;
    write_head(Exchange { keep_alive: stays, ..exchange }, head, out);
    if framing == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    framing
}

impl Framing {
    /// Writes a piece; an empty one is left out, since an empty chunk would end the stream.
    pub fn write(self, piece: &[u8], out: &mut Vec<u8>) {
        match self {
            _ if piece.is_empty() => {}
            Framing::Chunked => {
                put!(out, "{:x}\r\n", piece.len());
                out.extend_from_slice(piece);
                out.extend_from_slice(b"\r\n");
            }
            Framing::UntilClose => out.extend_from_slice(piece),
            Framing::Nothing => {}
        }
    }

    /// Writes the end of the stream.
    pub fn end(self, out: &mut Vec<u8>) {
        if self == Framing::Chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

/// Writes one server-sent event, to be sent as one piece of a stream; each line of the data is one of the event.
pub fn write_event(serial: Option<u64>, name: &str, data: &str, out: &mut Vec<u8>) {
    if let Some(serial) = serial {
        put!(out, "id: {serial}\n");
    }
    put!(out, "event: {}\n", first_line(name));
    for line in data.split('\n') {
        put!(out, "data: {}\n", line.trim_end_matches('\r'));
    }
    out.push(b'\n');
}

/// Returns a time as HTTP writes it, for a `Date` header; `seconds` since the epoch.
#[must_use]
pub fn http_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: ReplyHead<'_> = ReplyHead { status: 200, content_type: JSON, headers: &[] };

    fn exchange(version: Version, keep_alive: bool, head_only: bool) -> Exchange {
        Exchange { version, keep_alive, head_only }
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_reply_echoes_the_version_and_says_whether_the_connection_stays() {
        for (version, stays, expected) in [
            (
                Version::Http11,
                true,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            ),
            (
                Version::Http11,
                false,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
            ),
            (
                Version::Http10,
                false,
                "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            ),
            (
                Version::Http10,
                true,
                "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n{}",
            ),
        ] {
            assert_eq!(text(|out| write(exchange(version, stays, false), &HEAD, b"{}", out)), expected);
        }
        let headless = text(|out| write(exchange(Version::Http11, true, true), &HEAD, b"{}", out));
        assert!(headless.ends_with("Content-Length: 2\r\n\r\n"), "{headless}");
    }

    #[test]
    fn a_value_cannot_become_a_header() {
        let head = ReplyHead { headers: &[("X-Name", "a\r\nSet-Cookie: b")], ..HEAD };
        let written = text(|out| write(Exchange::BROKEN, &head, b"", out));
        assert!(written.contains("X-Name: a\r\n") && !written.contains("Set-Cookie"), "{written}");
    }

    #[test]
    fn a_stream_is_chunked_where_the_client_knows_chunks() {
        let stream = |version, head_only| {
            text(|out| {
                let framing = begin_stream(exchange(version, true, head_only), &HEAD, out);
                out.clear();
                framing.write(b"abc", out);
                framing.write(b"", out);
                framing.write(&[b'x'; 16], out);
                framing.end(out);
            })
        };
        assert_eq!(stream(Version::Http11, false), "3\r\nabc\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n");
        assert_eq!(stream(Version::Http10, false), "abcxxxxxxxxxxxxxxxx");
        assert_eq!(stream(Version::Http11, true), "");
        let head = |version| {
            text(|out| {
                let _framing = begin_stream(exchange(version, true, false), &HEAD, out);
            })
        };
        assert!(head(Version::Http11).ends_with("\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(!head(Version::Http10).contains("Keep-Alive"));
    }

    #[test]
    fn an_event_has_serial_name_and_data() {
        let event = text(|out| write_event(Some(7), "process_state", "{\"a\":1}", out));
        assert_eq!(event, "id: 7\nevent: process_state\ndata: {\"a\":1}\n\n");
        assert_eq!(text(|out| write_event(None, "x", "a\r\nb", out)), "event: x\ndata: a\ndata: b\n\n");
    }

    #[test]
    fn dates_are_in_the_form_of_http() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(i64::MAX), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn statuses_are_listed_once_and_in_order() {
        assert!(REASONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!((reason(413), reason(299)), ("Content Too Large", "Unknown"));
    }
}
