//! The client's side of reading: bytes as they arrive become a head and a body.
//!
//! Example: feed what was read; look at [`ResponseParser::head`], and take the body as far as it came, which is
//! how a log is followed.

use super::chunked::Decoder;
use super::{HEAD_BYTES_MAX, HEADERS_MAX, Headers, HttpError, Version, head_end};

/// A response without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status, 200 when all is well.
    pub status: u16,
    /// The words behind the status, for people.
    pub reason: String,
    /// The headers.
    pub headers: Headers,
    /// Whether another request may be sent on the same connection.
    pub keep_alive: bool,
}

#[derive(Debug)]
enum Place {
    /// In the head; this many bytes of it hold no end.
    Head { searched: usize },
    /// This many bytes of the body are to come.
    Length(usize),
    /// In a chunked body.
    Chunked(Decoder),
    /// In a body that ends with the connection.
    UntilClose,
    /// All was read.
    Done,
}

/// Turns bytes into one response.
#[derive(Debug)]
pub struct ResponseParser {
    head_only: bool,
    buffer: Vec<u8>,
    head: Option<ResponseHead>,
    body: Vec<u8>,
    place: Place,
}

impl ResponseParser {
    /// Returns a reader for the answer to a request; `head_only` when that was a HEAD request.
    #[must_use]
    pub fn new(head_only: bool) -> ResponseParser {
        let place = Place::Head { searched: 0 };
        ResponseParser { head_only, buffer: Vec::new(), head: None, body: Vec::new(), place }
    }

    /// Returns the head once it is there.
    #[must_use]
    pub fn head(&self) -> Option<&ResponseHead> {
        self.head.as_ref()
    }

    /// Returns the head, when nothing more of the response is wanted.
    #[must_use]
    pub fn into_head(self) -> Option<ResponseHead> {
        self.head
    }

    /// Takes what there is of the body so far.
    pub fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    /// Returns how many bytes of the body wait to be taken.
    #[must_use]
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// Whether the whole response was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.place, Place::Done)
    }

    /// Takes bytes that were read; those behind the response are dropped, for we ask one thing at a time.
    ///
    /// # Errors
    /// When it is not HTTP.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if !matches!(self.place, Place::Head { .. }) {
            return self.feed_body(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        while let Place::Head { searched } = self.place {
            match head_end(&self.buffer, searched) {
                Err(_) if self.buffer.len() >= HEAD_BYTES_MAX => {
                    return Err(HttpError::HeadTooLarge(HEAD_BYTES_MAX));
                }
                Err(searched) => {
                    self.place = Place::Head { searched };
                    return Ok(());
                }
                Ok(end) => self.take_head(end)?,
            }
        }
        let rest = std::mem::take(&mut self.buffer);
        self.feed_body(&rest)
    }

    /// Says that the connection has ended.
    ///
    /// # Errors
    /// When the response was not complete.
    pub fn close(&mut self) -> Result<(), HttpError> {
        if matches!(self.place, Place::UntilClose) {
            self.place = Place::Done;
        }
        if self.is_done() { Ok(()) } else { Err(HttpError::CutShort) }
    }

    fn take_head(&mut self, end: usize) -> Result<(), HttpError> {
        if end > HEAD_BYTES_MAX {
            return Err(HttpError::HeadTooLarge(HEAD_BYTES_MAX));
        }
        let mut space = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut space);
        if parsed.parse(&self.buffer[..end]).map_err(HttpError::of_head)?.is_partial() {
            return Err(HttpError::Malformed("the head ends in its middle"));
        }
        let status = parsed.code.unwrap_or(0);
        let reason = parsed.reason.unwrap_or_default().to_owned();
        let version = Version::of_minor(parsed.version);
        let headers = Headers::of(parsed.headers);
        self.buffer.drain(..end);
        if (100..200).contains(&status) {
            self.place = Place::Head { searched: 0 };
            return Ok(());
        }
        self.place = if self.head_only || matches!(status, 204 | 304) {
            Place::Done
        } else if headers.lists("transfer-encoding", "chunked") {
            Place::Chunked(Decoder::default())
        } else {
            match headers.content_length()? {
                Some(0) => Place::Done,
                Some(length) => Place::Length(length),
                None => Place::UntilClose,
            }
        };
        let keep_alive = headers.keep_alive(version) && !matches!(self.place, Place::UntilClose);
        self.head = Some(ResponseHead { status, reason, headers, keep_alive });
        Ok(())
    }

    fn feed_body(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        match &mut self.place {
            Place::Length(left) => {
                let here = bytes.len().min(*left);
                self.body.extend_from_slice(&bytes[..here]);
                *left -= here;
                if *left == 0 {
                    self.place = Place::Done;
                }
            }
            Place::Chunked(decoder) => {
                decoder.feed(bytes, &mut self.body)?;
                if decoder.is_done() {
                    self.place = Place::Done;
                }
            }
            Place::UntilClose => self.body.extend_from_slice(bytes),
            Place::Head { .. } | Place::Done => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Result<(u16, Vec<u8>, bool), HttpError> {
        let mut parser = ResponseParser::new(false);
        for piece in pieces {
            parser.feed(piece)?;
        }
        parser.close()?;
        let status = parser.head().map_or(0, |head| head.status);
        let keep_alive = parser.head().is_some_and(|head| head.keep_alive);
        Ok((status, parser.take_body(), keep_alive))
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        for (text, body, stays) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab and more", "ab", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "ab", true),
            ("HTTP/1.0 200 OK\r\n\r\nab", "ab", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "", false),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a", true),
            ("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", "a", true),
        ] {
            assert_eq!(read(&[text.as_bytes()]), Ok((200, body.as_bytes().to_vec(), stays)), "{text:?}");
        }
    }

    #[test]
    fn a_response_that_is_cut_short_is_an_error() {
        for text in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"] {
            assert_eq!(read(&[text.as_bytes()]), Err(HttpError::CutShort), "{text:?}");
        }
        assert!(read(&[b"220 mail ESMTP\r\n\r\n"]).is_err());
        assert_eq!(read(&[&[b'x'; HEAD_BYTES_MAX]]), Err(HttpError::HeadTooLarge(HEAD_BYTES_MAX)));
    }

    #[test]
    fn a_stream_is_read_as_it_comes() {
        let mut parser = ResponseParser::new(false);
        assert_eq!(parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"), Ok(()));
        assert_eq!((parser.take_body(), parser.is_done()), (b"ab".to_vec(), false));
        assert_eq!(parser.feed(b"c\r\n"), Ok(()));
        assert_eq!((parser.body_len(), parser.take_body()), (1, b"c".to_vec()));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(cut in 0_usize..60) {
            let text = b"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\nhello, world";
            let (first, rest) = text.split_at(cut.min(text.len()));
            prop_assert_eq!(read(&[first, rest]), Ok((404, b"hello, world".to_vec(), true)));
        }

        #[test]
        fn garbage_never_panics(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            drop(read(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        }
    }
}
