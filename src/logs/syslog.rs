//! Lines for the system log, one datagram each, and never a wait for it.
//!
//! The format is the `syslog` crate's, the socket is ours and non-blocking: what the system log does not take
//! at once is dropped and counted. A line that reads cut is put together again; across a crash of this
//! process its first part may get lost. Example: `syslog.feed(stream, "web", b"line\n", false, &mut notes)`.

use super::loss::{Loss, Note};
use super::sink::StreamId;
use super::strip::Strip;
use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use syslog::{Facility, Formatter3164, LogFormat, Severity};

/// Where system logs listen (syslog(3) of Linux, macOS, and the BSDs).
const SOCKETS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// Longest line in one datagram, in bytes; a longer one comes as several (what rsyslog and journald take).
pub const LINE_MAX_BYTES: usize = 8192;

/// The way to the system log.
#[derive(Debug)]
pub struct Syslog {
    sockets: Vec<PathBuf>,
    socket: Option<UnixDatagram>,
    format: Formatter3164,
    lines: BTreeMap<StreamId, Line>,
    loss: Loss,
}

/// A line whose end has not come yet.
#[derive(Debug, Default)]
struct Line {
    name: String,
    start: Vec<u8>,
    strip: Strip,
}

impl Default for Syslog {
    fn default() -> Syslog {
        Syslog::at(SOCKETS.iter().map(PathBuf::from).collect())
    }
}

impl Syslog {
    /// Returns a way to the first of these sockets that somebody listens on.
    #[must_use]
    pub fn at(sockets: Vec<PathBuf>) -> Syslog {
        let format = Formatter3164 {
            facility: Facility::LOG_USER,
            hostname: None,
            process: "visord".into(),
            pid: std::process::id(),
        };
        Syslog { sockets, socket: None, format, lines: BTreeMap::new(), loss: Loss::default() }
    }

    /// Sends the lines that end in `bytes`, each with `name` before it, and keeps the beginning of the next.
    pub fn feed(&mut self, stream: StreamId, name: &str, bytes: &[u8], strip: bool, notes: &mut Vec<Note>) {
        let mut line = self.lines.remove(&stream).unwrap_or_default();
        name.clone_into(&mut line.name);
        let mut plain = Vec::new();
        let bytes = if strip {
            line.strip.feed(bytes, None, &mut plain);
            &plain[..]
        } else {
            bytes
        };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in part.chunks(LINE_MAX_BYTES) {
                let over = line.start.len() + piece.len() > LINE_MAX_BYTES;
                if over {
                    self.send_line(&mut line, notes);
                }
                line.start.extend_from_slice(piece);
            }
            if part.ends_with(b"\n") {
                line.start.pop();
                self.send_line(&mut line, notes);
            }
        }
        if !line.start.is_empty() || !line.strip.is_outside() {
            self.lines.insert(stream, line);
        }
    }

    /// Sends what is left of a stream that has ended.
    pub fn end(&mut self, stream: StreamId, notes: &mut Vec<Note>) {
        if let Some(mut line) = self.lines.remove(&stream)
            && !line.start.is_empty()
        {
            self.send_line(&mut line, notes);
        }
    }

    /// Sends lines of our own.
    pub fn send_own(&mut self, bytes: &[u8], notes: &mut Vec<Note>) {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            for piece in line.chunks(LINE_MAX_BYTES) {
                self.send(&String::from_utf8_lossy(piece), notes);
            }
        }
    }

    fn send_line(&mut self, line: &mut Line, notes: &mut Vec<Note>) {
        let text = format!("{} {}", line.name, String::from_utf8_lossy(&line.start));
        line.start.clear();
        self.send(&text, notes);
    }

    fn send(&mut self, text: &str, notes: &mut Vec<Note>) {
        let mut datagram = Vec::with_capacity(text.len() + 64);
        let formatted = self.format.format(&mut datagram, Severity::LOG_INFO, text).is_ok();
        if formatted && self.deliver(&datagram) {
            notes.extend(self.loss.clear());
        } else {
            notes.extend(self.loss.add(text.len() as u64, "the system log does not take it", false));
        }
    }

    /// Sends over the socket at hand, or else over a new one: the system log may have been restarted.
    fn deliver(&mut self, datagram: &[u8]) -> bool {
        if let Some(socket) = &self.socket {
            match socket.send(datagram) {
                Ok(_) => return true,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
                Err(_) => self.socket = None,
            }
        }
        self.socket = self.sockets.iter().find_map(|path| connect(path));
        self.socket.as_ref().is_some_and(|socket| socket.send(datagram).is_ok())
    }
}

fn connect(path: &Path) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(path).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Test = Result<(), Box<dyn std::error::Error>>;

    /// A system log of our own, and the way to it.
    fn listener() -> Result<(tempfile::TempDir, UnixDatagram, Syslog), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("log");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        Ok((dir, socket, Syslog::at(vec!["/nonexistent/log".into(), path])))
    }

    fn received(socket: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 2 * LINE_MAX_BYTES];
        let mut all = Vec::new();
        while let Ok(len) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            all.push(text.split_once("]: ").map_or(text.clone(), |(_, message)| message.to_owned()));
        }
        all
    }

    #[test]
    fn one_datagram_for_each_line() -> Test {
        let (_dir, socket, mut syslog) = listener()?;
        let (stream, mut notes) = (StreamId(1), Vec::new());
        syslog.feed(stream, "web", b"one\ntw", false, &mut notes);
        assert_eq!(received(&socket), ["web one"]);
        syslog.feed(stream, "web", b"o\n\xff\n", false, &mut notes);
        assert_eq!(received(&socket), ["web two", "web \u{fffd}"]);
        syslog.feed(stream, "web", b"\x1b[1", true, &mut notes);
        syslog.feed(stream, "web", b"mrest", true, &mut notes);
        syslog.end(stream, &mut notes);
        assert_eq!((received(&socket), notes), (vec!["web rest".to_owned()], Vec::new()));
        Ok(())
    }

    #[test]
    fn long_lines_come_in_pieces() -> Test {
        let (_dir, socket, mut syslog) = listener()?;
        let mut text = vec![b'x'; LINE_MAX_BYTES];
        text.extend_from_slice(b"yz\n");
        syslog.feed(StreamId(1), "p", &text, false, &mut Vec::new());
        let lens: Vec<usize> = received(&socket).iter().map(|line| line.len() - "p ".len()).collect();
        assert_eq!(lens, [LINE_MAX_BYTES, 2]);
        Ok(())
    }

    #[test]
    fn a_missing_system_log_is_counted_and_said_once() -> Test {
        let (dir, socket, mut syslog) = listener()?;
        let mut notes = Vec::new();
        drop(socket);
        std::fs::remove_file(dir.path().join("log"))?;
        syslog.send_own(b"12345\n123\n", &mut notes);
        assert_eq!(notes, [Note::Dropped(5, "the system log does not take it".into())]);
        let _again = UnixDatagram::bind(dir.path().join("log"))?;
        syslog.send_own(b"back\n", &mut notes);
        assert_eq!(notes[1..], [Note::Resumed(8)]);
        Ok(())
    }
}
