//! Logs of many programs in one answer: what `POST /v1/follow` takes, and the pieces that come.
//!
//! A piece is a line of JSON and as many bytes behind it as the line says, because logs are bytes and not text. Each
//! tells a position: whoever was cut off asks again with the latest positions, and misses and repeats nothing.
//! Example: `{"namespec":"web","bytes":6,"position":"1f-0-6"}`, a line end, and `hello` with its own.

use super::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most bytes of a log in a piece, and of the line in front of it: above all that a daemon sends.
const PIECE_BYTES_MAX: usize = 1024 * 1024;

/// What `POST /v1/follow` takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FollowRequest {
    /// Which processes.
    pub names: Vec<String>,
    /// `stdout`, which is meant by nothing too, or `stderr`.
    pub channel: String,
    /// How much of the end of a log comes first, where no position is told.
    pub bytes: Option<u64>,
    /// From which point in time on, where no position is told, instead of `bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_unix: Option<f64>,
    /// Whether the answer ends when all that is there was sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
    /// Where to go on, by the names that pieces bear.
    pub positions: BTreeMap<String, String>,
}

/// What stands in front of some bytes of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Piece {
    /// Whose log it is, or the name that was asked for where it stands for nothing.
    pub namespec: String,
    /// How many bytes follow.
    pub bytes: usize,
    /// Where to go on behind them.
    pub position: String,
    /// Why nothing will come of this log any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

impl Piece {
    /// Returns a piece as it travels.
    #[must_use]
    pub fn framed(mut self, bytes: &[u8]) -> Vec<u8> {
        self.bytes = bytes.len();
        let mut out = super::body(&self);
        out.push(b'\n');
        out.extend_from_slice(bytes);
        out
    }
}

/// Takes pieces out of bytes as they come.
#[derive(Debug, Default)]
pub struct PieceReader {
    buffer: Vec<u8>,
    piece: Option<Piece>,
}

impl PieceReader {
    /// Adds what came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next piece with its bytes, once it is whole.
    ///
    /// # Errors
    /// What is wrong with what came.
    pub fn take(&mut self) -> Result<Option<(Piece, Vec<u8>)>, String> {
        if self.piece.is_none() {
            let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') else {
                let is_endless = self.buffer.len() > PIECE_BYTES_MAX;
                return if is_endless { Err("a piece of a log has no head".to_owned()) } else { Ok(None) };
            };
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let piece: Piece = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
            if piece.bytes > PIECE_BYTES_MAX {
                return Err(format!("a piece of a log has {} bytes", piece.bytes));
            }
            self.piece = Some(piece);
        }
        let whole = |piece: &mut Piece| self.buffer.len() >= piece.bytes;
        let Some(piece) = self.piece.take_if(whole) else { return Ok(None) };
        let bytes = self.buffer.drain(..piece.bytes).collect();
        Ok(Some((piece, bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(namespec: &str, bytes: usize) -> Piece {
        Piece { namespec: namespec.into(), bytes, position: "1-2-3".into(), error: None }
    }

    #[test]
    fn pieces_come_back_however_they_are_cut() -> Result<(), String> {
        let sent =
            [piece("a", 0).framed(b""), piece("b", 0).framed(b"\n{}\xff\n"), piece("a", 0).framed(b"x")];
        let bytes = sent.concat();
        for size in 1..=bytes.len() {
            let (mut reader, mut came) = (PieceReader::default(), Vec::new());
            for part in bytes.chunks(size) {
                reader.feed(part);
                while let Some(next) = reader.take()? {
                    came.push(next);
                }
            }
            let expected = [
                (piece("a", 0), Vec::new()),
                (piece("b", 5), b"\n{}\xff\n".to_vec()),
                (piece("a", 1), b"x".to_vec()),
            ];
            assert_eq!(came, expected, "{size}");
        }
        Ok(())
    }

    #[test]
    fn what_is_no_piece_is_refused_and_not_kept() {
        let largest = format!("{{\"bytes\":{PIECE_BYTES_MAX}}}\n");
        let larger = format!("{{\"bytes\":{}}}\n", PIECE_BYTES_MAX + 1);
        let read = |bytes: &[u8]| {
            let mut reader = PieceReader::default();
            reader.feed(bytes);
            reader.take().map(|piece| piece.is_some())
        };
        assert_eq!(read(largest.as_bytes()), Ok(false));
        assert!(read(larger.as_bytes()).is_err() && read(b"no\n").is_err());
        assert_eq!(read(&vec![b'x'; PIECE_BYTES_MAX]), Ok(false));
        assert!(read(&vec![b'x'; PIECE_BYTES_MAX + 1]).is_err());
    }
}
