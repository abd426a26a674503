//! Reading a chunked stream, in any cut.
//!
//! Example: `decoder.feed(bytes, &mut data)` appends what arrived and says how many bytes belonged to the stream.

use super::HttpError;

/// Longest line in bytes in front of a chunk, or behind the last one (a trailer).
pub const LINE_BYTES_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the line that has the length.
    Length,
    /// This many bytes of the chunk are to come.
    Data(u64),
    /// In the line end behind a chunk.
    Behind,
    /// In the lines behind the last chunk.
    Trailer,
    Done,
}

/// A reader of chunks.
#[derive(Clone, Debug)]
pub struct Decoder {
    place: Place,
    line: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { place: Place::Length, line: Vec::new() }
    }
}

impl Decoder {
    /// Whether the last chunk and what follows it were read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// Reads on, appends the data to `out`, and returns how many bytes were used: all, unless the stream ended.
    ///
    /// # Errors
    /// When it is no chunked stream.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, HttpError> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            if let Place::Data(left) = self.place {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                out.extend_from_slice(&bytes[at..at + here]);
                at += here;
                let left = left - here as u64;
                self.place = if left == 0 { Place::Behind } else { Place::Data(left) };
            } else {
                at += self.feed_line(&bytes[at..])?;
            }
        }
        Ok(at)
    }

    fn feed_line(&mut self, bytes: &[u8]) -> Result<usize, HttpError> {
        let end = memchr::memchr(b'\n', bytes);
        let used = end.map_or(bytes.len(), |end| end + 1);
        if self.line.len() + used > LINE_BYTES_MAX {
            return Err(HttpError::Malformed("a line between chunks is too long"));
        }
        self.line.extend_from_slice(&bytes[..used]);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            let text = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(&line);
            self.place = self.after_line(text)?;
        }
        Ok(used)
    }

    fn after_line(&self, line: &[u8]) -> Result<Place, HttpError> {
        match self.place {
            Place::Length => match length(line)? {
                0 => Ok(Place::Trailer),
                length => Ok(Place::Data(length)),
            },
            Place::Behind if line.is_empty() => Ok(Place::Length),
            Place::Behind => Err(HttpError::Malformed("a chunk is longer than it says")),
            Place::Trailer if line.is_empty() => Ok(Place::Done),
            place => Ok(place),
        }
    }
}

/// Reads the length in hex; an extension behind `;` is passed over.
fn length(line: &[u8]) -> Result<u64, HttpError> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).unwrap_or_default();
    let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
    value.ok_or(HttpError::Malformed("a chunk has no length"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::reply::Framing;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), HttpError> {
        let (mut decoder, mut out) = (Decoder::default(), Vec::new());
        for piece in pieces {
            decoder.feed(piece, &mut out)?;
        }
        Ok((out, decoder.is_done()))
    }

    #[test]
    fn extensions_and_trailers_are_passed_over() {
        let text = b"3;name=value\r\nabc\r\n0A \r\n0123456789\r\n0\r\nX: y\r\n\r\n";
        assert_eq!(decode(&[text]), Ok((b"abc0123456789".to_vec(), true)));
    }

    #[test]
    fn what_follows_the_stream_is_left() {
        let (mut decoder, mut out) = (Decoder::default(), Vec::new());
        assert_eq!(decoder.feed(b"1\r\na\r\n0\r\n\r\nHTTP", &mut out), Ok(11));
        assert_eq!(decoder.feed(b"more", &mut out), Ok(0));
    }

    #[test]
    fn wrong_lengths_and_endless_lines_are_refused() {
        for bad in ["x\r\n", "\r\n", "-1\r\n", "3\r\nabcd\r\n", "11111111111111111\r\n", "+3\r\nabc"] {
            assert!(decode(&[bad.as_bytes()]).is_err(), "{bad:?}");
        }
        let padded = |size: usize| format!("1;{}\r\n", "x".repeat(size - 4));
        assert!(decode(&[padded(LINE_BYTES_MAX).as_bytes()]).is_ok());
        assert!(decode(&[padded(LINE_BYTES_MAX + 1).as_bytes()]).is_err());
    }

    proptest! {
        #[test]
        fn what_the_server_frames_the_client_reads_in_any_cut(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut stream = Vec::new();
            pieces.iter().for_each(|piece| Framing::Chunked.write(piece, &mut stream));
            Framing::Chunked.end(&mut stream);
            let (first, rest) = stream.split_at(cut.index(stream.len()));
            prop_assert_eq!(decode(&[first, rest]), Ok((pieces.concat(), true)));
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            drop(decode(&[&bytes]));
        }
    }
}
