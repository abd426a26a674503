//! One log and all that is written to it: appended, rotated, made again when it vanished, never torn.
//!
//! The position of each piece is noted in the journal before it is written, so that a crash at any moment
//! can be repeated without losing or doubling a byte. A log that cannot be written drops and counts, and says
//! so in a line of its own once it can be written again. Knows no streams. Used by the disk worker only.

use super::crash;
use super::flow::{Flow, PIECE_BYTES};
use super::follow::Mark;
use super::loss::Loss;
pub use super::loss::Note;
use super::rotate;
use super::sink::{SinkSpec, Target};
use super::slot::{Journal, NoJournal, Piece, Progress};
use super::strip::Cut;
use crate::model::Time;
use crate::sys::clock;
use crate::sys::open::{self, OpenError};
use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag, fstat, stat};
use nix::sys::uio::{pread, pwrite};
use std::fs::File;
use std::time::Duration;

/// How often a path is looked at, to see whether the file has been moved away or replaced.
pub const PATH_CHECK: Duration = Duration::from_secs(1);

/// How long after a failed attempt to open a log the next one is made.
pub const OPEN_RETRY: Duration = Duration::from_millis(200);

#[derive(Debug)]
enum Port {
    File(File),
    Flow(Flow),
}

/// A log.
#[derive(Debug)]
pub struct Writer {
    spec: SinkSpec,
    port: Option<Port>,
    /// Device and inode of the open file.
    identity: (u64, u64),
    size: u64,
    /// Whether the last byte was a line end; None when it has to be looked at.
    line_start: Option<bool>,
    path_checked: Time,
    /// Why it could not be opened, and when that is tried again.
    open_failure: Option<(OpenError, Time)>,
    /// Size at which a rotation that failed is tried again.
    rotate_from: u64,
    loss: Loss,
    scratch: Vec<u8>,
}

impl Writer {
    /// Returns a log that is not open yet.
    #[must_use]
    pub fn new(spec: SinkSpec) -> Writer {
        Writer {
            spec,
            port: None,
            identity: (0, 0),
            size: 0,
            line_start: None,
            path_checked: Time(0),
            open_failure: None,
            rotate_from: 0,
            loss: Loss::default(),
            scratch: Vec::new(),
        }
    }

    /// Returns where it is.
    pub(super) fn target(&self) -> &Target {
        &self.spec.target
    }

    /// Takes the settings of a later opening.
    pub fn set_spec(&mut self, spec: SinkSpec) {
        self.spec = spec;
    }

    /// Opens it, where it is not open.
    ///
    /// # Errors
    /// As [`open::log_file`].
    pub fn open(&mut self) -> Result<(), OpenError> {
        if self.port.is_some() {
            return Ok(());
        }
        let path = match &self.spec.target {
            Target::Standard(number) => {
                self.port = Some(Port::Flow(Flow::standard(*number)));
                return Ok(());
            }
            target => target.path(),
        };
        let file = open::log_file(path, self.spec.creation)?;
        let found = fstat(&file)?;
        crash::point("the file was opened");
        self.path_checked = clock::now();
        self.adopt(file, &found);
        Ok(())
    }

    fn adopt(&mut self, file: File, found: &FileStat) {
        if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            self.port = Some(Port::Flow(Flow::device(file)));
            return;
        }
        self.identity = identity(found);
        self.size = u64::try_from(found.st_size).unwrap_or(0);
        self.line_start = None;
        self.rotate_from = 0;
        self.open_failure = None;
        self.port = Some(Port::File(file));
    }

    /// Whether it has a file open, which [`Writer::close`] would close.
    #[must_use]
    pub fn has_file(&self) -> bool {
        matches!(self.port, Some(Port::File(_)))
    }

    /// Returns which file is open and its size; none where it is no plain file, or cannot be told from another one.
    pub(super) fn place(&self) -> Option<(Mark, u64)> {
        let Some(Port::File(file)) = &self.port else { return None };
        let metadata = file.metadata().ok()?;
        let mark = Mark::of(&metadata);
        (mark.born_ns != 0).then_some((mark, metadata.len()))
    }

    /// Closes the file; the next write opens it again.
    pub fn close(&mut self) {
        self.port = None;
    }

    /// Whether bytes have been dropped that no line in the log tells of yet.
    #[must_use]
    pub fn is_dropping(&self) -> bool {
        !self.loss.is_none()
    }

    /// Closes and opens it again, under the same name: somebody may have moved the old file away.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn reopen(&mut self) -> Result<(), OpenError> {
        self.port = None;
        self.open_failure = None;
        self.open()
    }

    /// Removes the file and begins a new one; backups stay.
    ///
    /// # Errors
    /// As unlinkat(2) and [`Writer::open`]; for what cannot be removed, nothing happens.
    pub fn clear(&mut self) -> Result<(), OpenError> {
        if let Target::Path(path) = &self.spec.target
            && !matches!(self.port, Some(Port::Flow(_)))
        {
            let spot = open::locate(path)?;
            let flags = nix::unistd::UnlinkatFlags::NoRemoveDir;
            match nix::unistd::unlinkat(&spot.dir, spot.name.as_os_str(), flags) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.reopen()
    }

    /// Writes whole lines of our own, which are not journaled.
    pub fn append_own(&mut self, bytes: &[u8], notes: &mut Vec<Note>) {
        self.append(bytes, bytes.len(), false, &mut NoJournal::default(), notes);
    }

    /// Writes the first `limit` of `bytes` as far as the journal does not say that they are written already.
    /// What cannot be written is dropped and counted: the journal is at `limit` in any case.
    pub fn append(
        &mut self,
        bytes: &[u8],
        limit: usize,
        strip: bool,
        journal: &mut impl Journal,
        notes: &mut Vec<Note>,
    ) {
        if let Some(piece) = journal.piece() {
            self.redo(bytes, strip, piece, journal);
        }
        while journal.progress().done < limit {
            let ready =
                self.make_ready(notes).and_then(|()| self.resume(&bytes[..limit], strip, journal, notes));
            let from = journal.progress();
            if from.done >= limit {
                break;
            }
            let (len, end) = self.cut(&bytes[..limit], from, strip);
            let scratch = std::mem::take(&mut self.scratch);
            let out = if strip { &scratch[..len] } else { &bytes[from.done..end.done] };
            if let Err((kept, errno)) =
                ready.map_err(|errno| (0, errno)).and_then(|()| self.put(out, end, journal))
            {
                let lost = &out[kept..];
                notes.extend(self.loss.add(lost.len() as u64, errno.desc(), !lost.ends_with(b"\n")));
            }
            self.scratch = scratch;
            journal.advance(end);
            crash::point("the piece was done");
        }
        self.rotate_if_due(notes);
    }

    /// Counts bytes that were lost before they came here; `in_line` says whether they ended within a line.
    pub fn note_dropped(&mut self, count: u64, why: &str, in_line: bool, notes: &mut Vec<Note>) {
        notes.extend(self.loss.add(count, why, in_line));
    }

    /// Before the first bytes after a loss: drops the rest of a line whose beginning is lost, and writes the
    /// line that tells of it.
    fn resume(
        &mut self,
        bytes: &[u8],
        strip: bool,
        journal: &mut impl Journal,
        notes: &mut Vec<Note>,
    ) -> Result<(), Errno> {
        if self.loss.is_none() {
            return Ok(());
        }
        if self.loss.in_line() {
            let from = journal.progress();
            let rest = &bytes[from.done..];
            let line = memchr::memchr(b'\n', rest);
            let len = line.map_or(rest.len(), |at| at + 1);
            self.loss.add(len as u64, "", line.is_none());
            let mut state = from.strip;
            if strip {
                state.feed(&rest[..len], None, &mut Vec::new());
            }
            journal.advance(Progress { done: from.done + len, strip: state });
            if self.loss.in_line() {
                return Ok(());
            }
        }
        let at_line_start = self.at_line_start();
        let line = self.loss.line(at_line_start);
        let end = Progress::default();
        self.put(line.as_bytes(), end, &mut NoJournal::default()).map_err(|(_, errno)| errno)?;
        notes.extend(self.loss.clear());
        Ok(())
    }

    /// Writes a piece again that a crash may have interrupted, where its file is still the same.
    fn redo(&mut self, bytes: &[u8], strip: bool, piece: Piece, journal: &mut impl Journal) {
        let _ = self.open();
        let Some(Port::File(file)) = &self.port else { return };
        let Ok(found) = fstat(file) else { return };
        let size = u64::try_from(found.st_size).unwrap_or(0);
        if identity(&found) != (piece.device, piece.inode) || size < piece.offset {
            return;
        }
        let from = journal.progress();
        let mut strip_state = from.strip;
        self.scratch.clear();
        let out = if strip {
            strip_state.feed(&bytes[from.done..piece.end.done], None, &mut self.scratch);
            &self.scratch[..]
        } else {
            &bytes[from.done..piece.end.done]
        };
        let Ok(offset) = i64::try_from(piece.offset) else { return };
        if write_all_at(file, out, offset).1.is_none() {
            journal.advance(piece.end);
        }
        self.line_start = None;
    }

    /// Decides how much goes into the next piece; returns its length and where the input stands after it.
    /// The bytes are those of the input, or in the scratch buffer when they had to be changed.
    fn cut(&mut self, bytes: &[u8], from: Progress, strip: bool) -> (usize, Progress) {
        let cut = match self.port {
            Some(Port::File(_)) if self.spec.max_bytes > 0 && self.size >= self.rotate_from => Some(Cut {
                line_from: distance(self.spec.max_bytes, self.size),
                at_most: distance(self.spec.max_bytes.saturating_add(rotate::LINE_MAX_BYTES), self.size)
                    .max(1),
            }),
            Some(Port::Flow(_)) => Some(Cut { line_from: usize::MAX, at_most: PIECE_BYTES }),
            _ => None,
        };
        let input = &bytes[from.done..];
        if strip {
            let mut state = from.strip;
            self.scratch.clear();
            let used = state.feed(input, cut, &mut self.scratch);
            return (self.scratch.len(), Progress { done: from.done + used, strip: state });
        }
        let len = cut.map_or(input.len(), |cut| cut.take(0, input).0);
        (len, Progress { done: from.done + len, strip: from.strip })
    }

    /// Opens, looks whether the file is still the one that its path leads to, and rotates it when it is due.
    fn make_ready(&mut self, notes: &mut Vec<Note>) -> Result<(), Errno> {
        let now = clock::now();
        if self.port.is_none() {
            self.open_when_due().map_err(|error| error.errno)?;
        }
        let Some(Port::File(file)) = &self.port else { return Ok(()) };
        let found = fstat(file)?;
        let gone = found.st_nlink == 0;
        if gone || now.since(self.path_checked) >= PATH_CHECK {
            self.path_checked = now;
            if gone || self.is_replaced() {
                self.replace(gone, notes)?;
                return Ok(());
            }
        }
        let size = u64::try_from(found.st_size).unwrap_or(0);
        if size != self.size {
            self.size = size;
            self.line_start = None;
        }
        self.rotate_if_due(notes);
        Ok(())
    }

    /// Opens it, where it is not open and the last failure is long enough ago, with the directory that it is in.
    ///
    /// # Errors
    /// As [`Writer::open`]; the last failure when it is too early to try again.
    pub fn open_when_due(&mut self) -> Result<(), OpenError> {
        let now = clock::now();
        if let Some((error, _)) = self.open_failure.as_ref().filter(|(_, until)| now < *until) {
            return Err(error.clone());
        }
        let mut result = self.open();
        if result.as_ref().is_err_and(|error| error.errno == Errno::ENOENT) {
            // The directory was removed at run time: at a start this is the user's mistake, here it is not.
            let _ = open::make_parent(self.spec.target.path(), self.spec.creation);
            result = self.open();
        }
        self.open_failure = result.as_ref().err().map(|error| (error.clone(), now.after(OPEN_RETRY)));
        result
    }

    fn is_replaced(&self) -> bool {
        stat(self.spec.target.path()).map_or(true, |found| identity(&found) != self.identity)
    }

    /// Opens what the path leads to now. A file that still has a name somewhere is kept when that fails.
    fn replace(&mut self, gone: bool, notes: &mut Vec<Note>) -> Result<(), Errno> {
        let old = self.port.take();
        let result = self.open_when_due().map_err(|error| error.errno);
        if result.is_err() && !gone {
            self.port = old;
            return Ok(());
        }
        if result.is_ok() {
            self.rotate_if_due(notes);
        }
        result
    }

    fn rotate_if_due(&mut self, notes: &mut Vec<Note>) {
        let Some(Port::File(_)) = &self.port else { return };
        let max = self.spec.max_bytes;
        if max == 0 || self.size < max || self.size < self.rotate_from {
            return;
        }
        if !rotate::is_due(self.size, self.at_line_start(), max) {
            return;
        }
        if let Err(error) = self.rotate() {
            let path = self.spec.target.path().display();
            self.rotate_from = self.size.saturating_add(max);
            notes.push(Note::Warning(format!("cannot rotate {path}: {error}; it grows on")));
        }
    }

    fn rotate(&mut self) -> Result<(), OpenError> {
        let Some(Port::File(file)) = &self.port else { return Ok(()) };
        if self.spec.backups == 0 {
            nix::unistd::ftruncate(file, 0)?;
            (self.size, self.line_start) = (0, Some(true));
            return Ok(());
        }
        let spot = open::locate(self.spec.target.path())?;
        rotate::shift(&spot, self.spec.backups)?;
        let fresh = open::log_file_at(&spot, self.spec.creation)
            .and_then(|file| fstat(&file).map(|found| (file, found)).map_err(OpenError::from));
        match fresh {
            Ok((file, found)) => {
                crash::point("the next file was made");
                self.adopt(file, &found);
                Ok(())
            }
            Err(error) => {
                // No descriptors, no inodes: go on in the old file under its old name.
                rotate::undo(&spot)?;
                Err(error)
            }
        }
    }

    fn at_line_start(&mut self) -> bool {
        if let Some(known) = self.line_start {
            return known;
        }
        let known = match &self.port {
            Some(Port::File(file)) if self.size > 0 => {
                let mut last = [b'\n'];
                // A file that cannot be read is taken to be well.
                let _ = pread(file, &mut last, i64::try_from(self.size - 1).unwrap_or(0));
                last[0] == b'\n'
            }
            _ => true,
        };
        self.line_start = Some(known);
        known
    }

    /// Writes one piece with its journal; fails with how much of it stays, whole lines where possible.
    fn put(&mut self, out: &[u8], end: Progress, journal: &mut impl Journal) -> Result<(), (usize, Errno)> {
        match &mut self.port {
            _ if out.is_empty() => Ok(()),
            Some(Port::File(file)) => {
                let offset = i64::try_from(self.size).map_err(|_| (0, Errno::EFBIG))?;
                let (device, inode) = self.identity;
                journal.intend(Piece { end, device, inode, offset: self.size });
                crash::point("the piece was announced");
                let (written, error) = write_all_at(file, out, offset);
                crash::point("the piece was written");
                let kept = match error {
                    None => written,
                    Some(_) => memchr::memrchr(b'\n', &out[..written]).map_or(0, |at| at + 1),
                };
                if kept < written {
                    let _ = nix::unistd::ftruncate(file, offset + kept as i64);
                }
                self.size += kept as u64;
                self.line_start = out[..kept].last().map_or(self.line_start, |byte| Some(*byte == b'\n'));
                error.map_or(Ok(()), |errno| Err((kept, errno)))
            }
            Some(Port::Flow(flow)) => {
                let mut sent = 0;
                while sent < out.len() {
                    sent += flow.write(&out[sent..]).map_err(|errno| (sent, errno))?;
                    self.line_start = Some(out[sent - 1] == b'\n');
                }
                Ok(())
            }
            None => Err((0, Errno::EBADF)),
        }
    }
}

/// Writes everything at a position; returns how much was written and why not all.
fn write_all_at(file: &File, bytes: &[u8], offset: i64) -> (usize, Option<Errno>) {
    let mut written = 0;
    while written < bytes.len() {
        match pwrite(file, &bytes[written..], offset + written as i64) {
            Ok(0) => return (written, Some(Errno::EIO)),
            Ok(count) => written += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return (written, Some(errno)),
        }
    }
    (written, None)
}

#[allow(clippy::unnecessary_cast, reason = "the types differ between platforms")]
fn identity(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// Returns the bytes from `size` up to `mark`; none when it is past it.
fn distance(mark: u64, size: u64) -> usize {
    usize::try_from(mark.saturating_sub(size)).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
