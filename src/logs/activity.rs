//! The daemon's own log: its line format, its level, and its echo on the terminal.
//!
//! Lines are supervisord's to the byte, because people grep them. Knows no files: the line that it returns goes
//! to the disk worker. Example: `activity.line(Level::Info, "spawned: 'web' with pid 7", clock::wall())`.

use super::flow::Flow;
use super::loss::Loss;
use crate::model::python::{bytes_repr, str_repr};
use crate::model::{Level, WallTime};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The activity log: what is worth a line, and how the line looks.
#[derive(Debug)]
pub struct Activity {
    level: Level,
    zone: TimeZone,
    echo: Option<Echo>,
    /// Whether somebody else must echo the lines, who may wait.
    echo_waits: bool,
}

impl Activity {
    /// Returns a log of everything from `level` up, in the machine's time zone; with `echo` the lines go to
    /// standard output too, as far as that never waits.
    #[must_use]
    pub fn new(level: Level, echo: bool) -> Activity {
        let flow = echo.then(|| Flow::standard_without_waiting(1)).flatten();
        let echo_waits = echo && flow.is_none();
        Activity { level, zone: TimeZone::system(), echo: flow.map(Echo::to), echo_waits }
    }

    /// Whether the echo is left to the disk worker: writing to standard output might have to wait.
    #[must_use]
    pub fn echo_waits(&self) -> bool {
        self.echo_waits
    }

    /// Whether lines of this level are logged at all: what costs something to say is asked for first.
    #[must_use]
    pub fn wants(&self, level: Level) -> bool {
        level >= self.level
    }

    /// Changes the least level that is logged.
    pub fn set_level(&mut self, level: Level) {
        self.level = level;
    }

    /// Returns the line for the log, when its level is wanted, and echoes it.
    pub fn line(&mut self, level: Level, text: &str, at: WallTime) -> Option<Vec<u8>> {
        if !self.wants(level) {
            return None;
        }
        let line = format!("{} {} {text}\n", stamp(at, &self.zone), level.tag()).into_bytes();
        if let Some(echo) = &mut self.echo {
            echo.write(&line);
        }
        Some(line)
    }
}

/// Returns a time as supervisord writes it, `2026-11-20 09:45:01,042`.
#[must_use]
pub fn stamp(at: WallTime, zone: &TimeZone) -> String {
    let timestamp = Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or(Timestamp::UNIX_EPOCH);
    let time = timestamp.to_zoned(zone.clone());
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

/// Returns the text that tells what a program has just written, at level debug.
#[must_use]
pub fn child_output(name: &str, channel: &str, bytes: &[u8]) -> String {
    let name = str_repr(name);
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{name} {channel} output:\n{text}"),
        Err(_) => format!("{name} {channel} output:\nUndecodable: {}", bytes_repr(bytes)),
    }
}

/// Lines on a terminal that may stand still: then they are dropped, counted, and the count is shown later.
#[derive(Debug)]
pub struct Echo {
    flow: Flow,
    loss: Loss,
    at_line_start: bool,
}

impl Echo {
    /// Writes to `flow`, and never waits for it.
    #[must_use]
    pub fn to(flow: Flow) -> Echo {
        Echo { flow: flow.impatient(), loss: Loss::default(), at_line_start: true }
    }

    /// Writes a line, or as much of it as goes out at once.
    pub fn write(&mut self, line: &[u8]) {
        if !self.loss.is_none() {
            let note = self.loss.line(self.at_line_start);
            if self.send(note.as_bytes()) < note.len() {
                self.loss.add(line.len() as u64, "", false);
                return;
            }
            self.loss.clear();
        }
        let sent = self.send(line);
        self.loss.add((line.len() - sent) as u64, "nobody reads them", false);
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while sent < bytes.len()
            && let Ok(count) = self.flow.write(&bytes[sent..])
        {
            sent += count;
            self.at_line_start = bytes[sent - 1] == b'\n';
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{fd, pipe};
    use std::fs::File;
    use std::io::Read;

    #[test]
    fn a_line_is_supervisords() {
        let mut activity =
            Activity { level: Level::Info, zone: TimeZone::UTC, echo: None, echo_waits: false };
        let at = WallTime(1_795_167_901_042_999_999);
        let line = activity.line(Level::Warn, "two\nlines", at);
        assert_eq!(line.as_deref(), Some(&b"2026-11-20 09:45:01,042 WARN two\nlines\n"[..]));
        assert_eq!(activity.line(Level::Debug, "no", at), None);
        activity.set_level(Level::Debug);
        assert!(activity.line(Level::Debug, "yes", at).is_some());
    }

    #[test]
    fn the_machines_zone_counts() -> Result<(), jiff::Error> {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(stamp(WallTime(1_795_167_901_042_000_000), &zone), "2026-11-20 11:45:01,042");
        assert_eq!(stamp(WallTime(-1), &TimeZone::UTC), "1969-12-31 23:59:59,999");
        Ok(())
    }

    #[test]
    fn output_that_is_no_text_is_shown_as_python_does() {
        assert_eq!(child_output("x", "stdout", b"hi\n"), "'x' stdout output:\nhi\n");
        assert_eq!(child_output("x", "stderr", b"\x88\n"), "'x' stderr output:\nUndecodable: b'\\x88\\n'");
    }

    #[test]
    fn an_echo_that_nobody_reads_is_counted() -> std::io::Result<()> {
        let (mut read, write) = fd::pipe().map(|(read, write)| (File::from(read), write))?;
        fd::set_nonblocking(&write, true)?;
        let mut echo = Echo::to(Flow::device(File::from(write)));
        let line = [[b'x'; 999].as_slice(), b"\n"].concat();
        let lines = pipe::DEFAULT_CAPACITY / line.len() + 100;
        (0..lines).for_each(|_| echo.write(&line));
        let mut got = vec![0; pipe::available(&read)?];
        read.read_exact(&mut got)?;
        let missing = lines * line.len() - got.len();
        assert!(missing > 0 && echo.loss.bytes() == missing as u64, "{missing} are missing, {:?}", echo.loss);
        echo.write(b"back\n");
        let mut rest = vec![0; pipe::available(&read)?];
        read.read_exact(&mut rest)?;
        let text = String::from_utf8_lossy(&rest);
        let want = format!("visord: {missing} bytes of output dropped: nobody reads them\nback\n");
        assert_eq!(text.trim_start_matches('\n'), want);
        Ok(())
    }
}
