//! When logs grew: an index beside the logs by which `--since` finds its place without reading them.
//!
//! Bytes of programs bear no time, and stay as they were written. So the disk worker notes, before it writes to a file
//! whose latest note is [`EVERY`] old, the time and the size of that file: what is behind that size was written at that
//! time or later, and what comes up to the next note was written within [`EVERY`]. One bounded file serves all logs of a
//! daemon. Where a note is missing (the oldest were rotated away, the disk was full, a file system that does not tell
//! the birth of a file) more is shown than was asked for, never less. Knows no programs. Example:
//! `index.position(path)` of an [`Index`] that was read for a point in time is where its bytes begin.

use super::follow::{self, Mark, Position};
use super::loss::Note;
use super::sink::{SinkSpec, Target};
use super::writer::Writer;
use crate::model::{Time, WallTime};
use crate::sys::{clock, journal};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// How exact the index is: a log that grows all the time gets a note as often.
pub const EVERY: Duration = Duration::from_secs(10);

/// Size in bytes at which the index is rotated: 80,000 notes, and as many in the older generation. Ten logs that never
/// rest reach back more than a day with both.
pub const INDEX_MAX_BYTES: u64 = 4 << 20;

/// The line that says that notes may be missing in front of it.
const GAP: &[u8] = b"gap\n";

/// Bytes of a note: four numbers with a blank or a line end behind each. A torn one has another length.
const NOTE_BYTES: usize = 4 * 17;

/// How far the clock of a file system may be behind ours.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// How far back the beginning of a line is looked for.
const LINE_MAX_BYTES: u64 = 64 * 1024;

/// Returns the note that a file had this size at a time.
fn note(at: WallTime, mark: Mark, size: u64) -> Vec<u8> {
    let at_ms = u64::try_from(at.0 / 1_000_000).unwrap_or(0);
    format!("{at_ms:016x} {:016x} {:016x} {size:016x}\n", mark.inode, mark.born_ns).into_bytes()
}

/// The index as it is written, by the disk worker.
#[derive(Debug, Default)]
pub(super) struct Times {
    writer: Option<Writer>,
    /// By how much people's clock was ahead of ours at the latest note.
    ahead_ns: Option<i64>,
    /// Whether something may have been written that has no note.
    has_gap: bool,
}

impl Times {
    /// Keeps an index in this file from now on, or none; returns what there is to say of the file.
    pub(super) fn keep(&mut self, index: Option<SinkSpec>) -> Vec<Note> {
        self.writer = index.map(Writer::new);
        let mut notes = Vec::new();
        if std::mem::replace(&mut self.has_gap, true) {
            self.append(GAP, &mut notes);
        }
        notes
    }

    /// Says whether something may have been written that has no note.
    pub(super) fn set_gap(&mut self, has_gap: bool) {
        self.has_gap = has_gap;
    }

    /// Returns where it is kept.
    pub(super) fn target(&self) -> Option<&Target> {
        self.writer.as_ref().map(Writer::target)
    }

    /// Notes the size of a log before something is written to it, unless that was done at `noted`, not long ago.
    pub(super) fn note(&mut self, log: &Writer, noted: &mut Time) -> Vec<Note> {
        let (now, wall) = (clock::now(), clock::wall());
        let mut notes = Vec::new();
        if self.writer.is_none() || (*noted != Time(0) && now.since(*noted) < EVERY) {
            return notes;
        }
        match log.place() {
            Some((mark, size)) => {
                *noted = now;
                let ahead_ns = wall.0.saturating_sub_unsigned(now.0);
                if self.ahead_ns.replace(ahead_ns).is_some_and(|before| was_set(before, ahead_ns)) {
                    self.append(GAP, &mut notes);
                }
                self.append(&note(wall, mark, size), &mut notes);
            }
            // What is written now has no note, which those that look between two others must know.
            None if std::mem::take(noted) != Time(0) => self.append(GAP, &mut notes),
            None => {}
        }
        notes
    }

    fn append(&mut self, line: &[u8], notes: &mut Vec<Note>) {
        if let Some(writer) = &mut self.writer {
            writer.append_own(line, notes);
        }
    }
}

/// Whether people's clock was set between two notes: then nothing is known of what was written in between.
fn was_set(before_ns: i64, now_ns: i64) -> bool {
    u128::from(before_ns.abs_diff(now_ns)) > CLOCK_SLACK.as_nanos()
}

fn parse(line: &[u8]) -> Option<(u64, Mark, u64)> {
    let line = std::str::from_utf8(line).ok().filter(|line| line.len() + 1 == NOTE_BYTES)?;
    let mut numbers =
        line.split(' ').map(|part| u64::from_str_radix(part, 16).ok().filter(|_| part.len() == 16));
    let mut next = || numbers.next().flatten();
    let (at_ms, inode, born_ns, size) = (next()?, next()?, next()?, next()?);
    Some((at_ms, Mark { inode, born_ns }, size))
}

/// What the notes say of one file and a point in time.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// The time in milliseconds and the size of the latest note that is not younger.
    before: Option<(u64, u64)>,
    /// The size in the note behind it, where none is missing between the two.
    next: Option<u64>,
    /// Whether a note was younger: those behind it say nothing more.
    is_passed: bool,
    /// Gaps in front of the latest note.
    gaps: u64,
}

/// What the notes say of a point in time.
#[derive(Debug)]
pub struct Index {
    since_ms: u64,
    files: BTreeMap<(u64, u64), Found>,
}

impl Index {
    /// Reads the notes of an index, if there is one, for a point in time.
    #[must_use]
    pub fn read(path: Option<&Path>, since: WallTime) -> Index {
        let generations = path.map(journal::generations).unwrap_or_default();
        Index::of(&generations, since)
    }

    fn of(generations: &[Vec<u8>], since: WallTime) -> Index {
        let since_ms = u64::try_from(since.0 / 1_000_000).unwrap_or(0);
        let mut files: BTreeMap<(u64, u64), Found> = BTreeMap::new();
        let mut gaps = 0;
        let lines = generations.iter().flat_map(|bytes| bytes.split(|&byte| byte == b'\n'));
        for line in lines.filter(|line| !line.is_empty()) {
            match parse(line) {
                Some((at_ms, mark, size)) => {
                    let found = files.entry((mark.inode, mark.born_ns)).or_default();
                    found.take(at_ms, size, since_ms, gaps);
                }
                None => gaps += 1,
            }
        }
        Index { since_ms, files }
    }

    /// Returns where in a log the bytes begin that were written since, at the beginning of a line; none where there is
    /// no file.
    #[must_use]
    pub fn position(&self, path: &Path) -> Option<Position> {
        let mut begin = None;
        for name in follow::names(path) {
            let Some((file, mark, size)) = follow::open(&name) else { break };
            let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
            let modified = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let is_old = modified.is_some_and(|at| self.is_before((at + CLOCK_SLACK).as_millis() as u64));
            if is_old {
                // Nothing in it is as young; what is younger begins with the next file, or is still to come.
                return begin.or(Some(Position { mark, offset: size }));
            }
            let start = self.start(mark).filter(|start| *start <= size);
            let offset = start.map_or(0, |start| line_start(&file, start).unwrap_or(0));
            begin = Some(Position { mark, offset });
            if start.is_some() {
                break;
            }
        }
        begin
    }

    fn is_before(&self, at_ms: u64) -> bool {
        at_ms < self.since_ms
    }

    /// Returns from where on a file was written since; none where that may be in front of it.
    fn start(&self, mark: Mark) -> Option<u64> {
        let found = self.files.get(&(mark.inode, mark.born_ns)).filter(|_| mark.born_ns != 0)?;
        let (at_ms, size) = found.before?;
        // What was written behind the latest note had been written soon after it, unless a note follows.
        let has_rested = self.since_ms >= at_ms.saturating_add(EVERY.as_millis() as u64);
        Some(found.next.filter(|_| has_rested).unwrap_or(size))
    }
}

impl Found {
    /// Takes in a note, in the order in which they were written.
    fn take(&mut self, at_ms: u64, size: u64, since_ms: u64, gaps: u64) {
        if self.before.is_some_and(|(_, before)| size < before) {
            // It was emptied since: what was known of its beginning is of other bytes.
            *self = Found::default();
        }
        if self.is_passed {
            return;
        }
        if at_ms <= since_ms {
            (self.before, self.gaps) = (Some((at_ms, size)), gaps);
        } else {
            self.is_passed = true;
            self.next = Some(size).filter(|_| self.before.is_some() && self.gaps == gaps);
        }
    }
}

/// Returns the beginning of the line in which an offset is; the offset itself in a line that is too long.
fn line_start(file: &std::fs::File, offset: u64) -> io::Result<u64> {
    let from = offset.saturating_sub(LINE_MAX_BYTES);
    let mut bytes = vec![0; usize::try_from(offset - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(match memchr::memrchr(b'\n', &bytes) {
        Some(at) => from + at as u64 + 1,
        None if from == 0 => 0,
        None => offset,
    })
}

#[cfg(test)]
#[path = "times_tests.rs"]
mod tests;
