//! Reading a log from its end, and on: through rotation, clearing and truncation, without a poll.
//!
//! Whoever follows is told by the disk worker that the log grew ([`super::disk::Disk::watch`]), and reads then, on
//! the worker. Nothing is lost to a slow reader: the bytes are in the file. A [`Position`] is a place in a log that
//! another process can go on from. Example: `Follower::new(path, Start::End(1600))`, then `follower.read(64 << 10)`
//! whenever the log grew.

use super::times::Index;
use crate::model::WallTime;
use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// Most rotated files that are looked through for the one that was read last: more than anybody keeps.
const BACKUPS_MAX: u32 = 1000;

/// Which file it is, whatever it is called by now: a number may be used again, so its birth counts too where the
/// file system tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) inode: u64,
    pub(super) born_ns: u64,
}

impl Mark {
    /// Returns which file these are the metadata of.
    pub(super) fn of(metadata: &Metadata) -> Mark {
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Mark { inode: metadata.ino(), born_ns: born.map_or(0, |since| since.as_nanos() as u64) }
    }
}

/// A place in a log: everything in front of it has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The file; none of that number exists where there was no log yet.
    pub(super) mark: Mark,
    pub(super) offset: u64,
}

impl Position {
    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Position> {
        let mut numbers = text.split('-').map(|part| u64::from_str_radix(part, 16).ok());
        let mut next = || numbers.next().flatten();
        let position = Position { mark: Mark { inode: next()?, born_ns: next()? }, offset: next()? };
        numbers.next().is_none().then_some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.mark.inode, self.mark.born_ns, self.offset)
    }
}

/// Where reading begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// So many bytes before the end; a log that is not there yet is followed from its beginning.
    End(u64),
    /// Where somebody has read to.
    At(Position),
    /// With what was written since a point in time.
    Since(Arc<Since>),
}

/// A point in time from which logs are read, and the index that says where that is in each.
#[derive(Debug)]
pub struct Since {
    at: WallTime,
    index: Option<PathBuf>,
    /// Read once for all logs, by whoever comes first.
    read: OnceLock<Index>,
}

impl Since {
    /// Returns a point in time that is looked up in the index at a path, where there is one.
    #[must_use]
    pub fn new(at: WallTime, index: Option<PathBuf>) -> Since {
        Since { at, index, read: OnceLock::new() }
    }

    fn position(&self, path: &Path) -> Option<Position> {
        let index = self.read.get_or_init(|| Index::read(self.index.as_deref(), self.at));
        index.position(path)
    }
}

/// Somebody who follows a log.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// Where to begin, until that has been done.
    start: Option<Start>,
    file: Option<File>,
    position: Position,
    keeps_file: bool,
    modified: Option<SystemTime>,
    was_cut: bool,
}

impl Follower {
    /// Returns one that has not looked at the log yet.
    #[must_use]
    pub fn new(path: &Path, start: Start) -> Follower {
        let position = Position::default();
        Follower {
            path: path.to_owned(),
            start: Some(start),
            file: None,
            position,
            keeps_file: true,
            modified: None,
            was_cut: false,
        }
    }

    /// Has it hold no descriptor between two readings. Then only what is still called by a name of the log is found
    /// again: what a rotation without backups throws away meanwhile is not read.
    #[must_use]
    pub fn without_file(mut self) -> Follower {
        self.keeps_file = false;
        self
    }

    /// Returns where it has read to.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether it has come upon a file by now.
    #[must_use]
    pub fn has_found(&self) -> bool {
        self.position.mark != Mark::default()
    }

    /// Returns when the file in which it began had last been written to.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Whether the file became shorter since this was asked last.
    pub fn take_cut(&mut self) -> bool {
        std::mem::take(&mut self.was_cut)
    }

    /// Returns what came since, at most `bytes_max`; as much as that means that there may be more.
    ///
    /// # Errors
    /// As read(2).
    pub fn read(&mut self, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.reach();
        let mut bytes = Vec::new();
        loop {
            self.read_current(bytes_max, &mut bytes)?;
            // Only a file that is read to its end is left for the one after it.
            if bytes.len() == bytes_max || !self.go_on() {
                break;
            }
        }
        if !self.keeps_file {
            self.file = None;
        }
        Ok(bytes)
    }

    /// Opens the file that it is in.
    fn reach(&mut self) {
        match self.start.take() {
            Some(Start::End(bytes)) => {
                if let Some((file, mark, size)) = open(&self.path) {
                    self.position = Position { mark, offset: size.saturating_sub(bytes) };
                    self.modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
                    self.file = Some(file);
                }
                return;
            }
            Some(Start::At(position)) => self.position = position,
            // A log that is not there yet is read from its beginning.
            Some(Start::Since(since)) => self.position = since.position(&self.path).unwrap_or_default(),
            None => {}
        }
        if self.file.is_none() && self.position.mark != Mark::default() {
            let mark = self.position.mark;
            let own = self.names().find_map(|name| open(&name).filter(|(_, found, _)| *found == mark));
            self.file = own.map(|(file, ..)| file);
        }
    }

    fn read_current(&mut self, bytes_max: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let size = file.metadata()?.len();
        let offset = &mut self.position.offset;
        // Emptied in place, by us or by somebody's logrotate.
        if size < *offset {
            (*offset, self.was_cut) = (0, true);
        }
        let before = bytes.len();
        let want = usize::try_from(size - *offset).unwrap_or(usize::MAX).min(bytes_max - before);
        bytes.resize(before + want, 0);
        let mut have = before;
        while have < bytes.len() {
            match file.read_at(&mut bytes[have..], *offset)? {
                0 => break,
                count => (have, *offset) = (have + count, *offset + count as u64),
            }
        }
        bytes.truncate(have);
        Ok(())
    }

    /// Takes the file that was begun after this one; returns whether there is one.
    fn go_on(&mut self) -> bool {
        let mark = self.position.mark;
        let Some(latest) = open(&self.path).filter(|(_, found, _)| *found != mark) else { return false };
        // It may have been rotated several times: then the next one is a backup too. One that is nowhere was taken
        // away: what was begun after it is still to be read, as far as the file system tells.
        let mut newer = None;
        for backup in self.names().skip(1).map_while(|name| open(&name)) {
            if backup.1 == mark {
                self.enter(newer.unwrap_or(latest));
                return true;
            }
            if mark.born_ns != 0 && backup.1.born_ns < mark.born_ns {
                break;
            }
            newer = Some(backup);
        }
        self.enter(newer.filter(|_| mark.born_ns != 0).unwrap_or(latest));
        true
    }

    fn enter(&mut self, (file, mark, _): Opened) {
        (self.file, self.position) = (Some(file), Position { mark, offset: 0 });
    }

    fn names(&self) -> impl Iterator<Item = PathBuf> + use<> {
        names(&self.path)
    }
}

/// Returns the names of a log's files, the latest first.
pub(super) fn names(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let path = path.to_owned();
    let first = std::iter::once(path.clone());
    let backup = move |number| {
        let mut name = OsString::from(path.as_os_str());
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    first.chain((1..=BACKUPS_MAX).map(backup).take_while(|name| name.exists()))
}

/// Returns why there is nothing to read at the path of a log.
#[must_use]
pub fn why_not(path: &Path) -> io::Error {
    let opened = std::fs::metadata(path).and_then(|metadata| {
        if metadata.is_file() {
            File::open(path).map(drop)
        } else {
            Err(io::Error::other("it is no plain file"))
        }
    });
    opened.err().unwrap_or_else(|| io::ErrorKind::NotFound.into())
}

/// A file, which one it is, and its size.
pub(super) type Opened = (File, Mark, u64);

/// Opens a plain file, without waiting for anybody's pipe.
pub(super) fn open(path: &Path) -> Option<Opened> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    Some((file, Mark::of(&metadata), metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn append(path: &Path, text: &str) -> io::Result<()> {
        File::options().append(true).create(true).open(path)?.write_all(text.as_bytes())
    }

    #[test]
    fn it_begins_before_the_end_and_goes_on_through_rotation_and_truncation() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("log");
        append(&path, "0123456789")?;
        let mut follower = Follower::new(&path, Start::End(4));
        assert_eq!(follower.read(100)?, b"6789");
        append(&path, "more")?;
        assert_eq!(follower.read(100)?, b"more");
        append(&path, "last of the old\n")?;
        std::fs::rename(&path, directory.path().join("log.1"))?;
        append(&path, "first of the new\n")?;
        assert_eq!(follower.read(100)?, b"last of the old\nfirst of the new\n");
        File::options().write(true).truncate(true).open(&path)?;
        append(&path, "anew")?;
        assert!(!follower.take_cut());
        assert_eq!(follower.read(100)?, b"anew");
        assert!(follower.take_cut() && !follower.take_cut() && follower.has_found());
        assert_eq!(follower.read(100)?, b"");
        Ok(())
    }

    #[test]
    fn it_is_read_in_pieces_of_the_limit_and_a_missing_log_is_waited_for() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("log");
        let mut follower = Follower::new(&path, Start::End(4));
        assert_eq!(follower.read(3)?, b"");
        append(&path, "abcdefg")?;
        assert_eq!(follower.read(3)?, b"abc");
        assert_eq!(follower.read(3)?, b"def");
        assert_eq!(follower.read(3)?, b"g");
        Ok(())
    }

    /// Moves the log and its backups on by one.
    fn rotate(path: &Path, backups: u32) -> io::Result<()> {
        let name = |number: u32| PathBuf::from(format!("{}.{number}", path.display()));
        for number in (1..backups).rev().filter(|number| name(*number).exists()) {
            std::fs::rename(name(number), name(number + 1))?;
        }
        std::fs::rename(path, name(1))
    }

    #[test]
    fn another_goes_on_from_a_position_through_any_number_of_rotations() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("log");
        append(&path, "read, ")?;
        for keeps_file in [true, false] {
            let mut follower = Follower::new(&path, Start::End(0));
            follower = if keeps_file { follower } else { follower.without_file() };
            assert_eq!(follower.read(100)?, b"");
            let stored = follower.position().to_string();
            for piece in ["one ", "two ", "three "] {
                append(&path, piece)?;
                rotate(&path, 9)?;
            }
            append(&path, "four")?;
            assert_eq!(follower.read(100)?, b"one two three four");
            let mut next = Follower::new(&path, Start::At(Position::parse(&stored).expect("our own text")));
            // In pieces that end at the ends of files, too.
            assert_eq!((next.read(4)?, next.read(100)?), (b"one ".to_vec(), b"two three four".to_vec()));
            assert_eq!((next.position(), next.read(100)?), (follower.position(), Vec::new()));
        }
        Ok(())
    }

    #[test]
    fn a_position_in_a_file_that_is_gone_leads_to_the_beginning_of_the_next() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("log");
        let mut follower = Follower::new(&path, Start::End(9));
        assert_eq!((follower.read(9)?, follower.position()), (Vec::new(), Position::default()));
        append(&path, "first")?;
        let mut next = Follower::new(&path, Start::At(follower.position()));
        assert_eq!(next.read(9)?, b"first", "there was no log before");
        rotate(&path, 9)?;
        append(&path, "second")?;
        assert_eq!(next.read(9)?, b"second");
        std::fs::rename(&path, directory.path().join("elsewhere"))?;
        append(&path, "third")?;
        let mut last = Follower::new(&path, Start::At(next.position()));
        assert_eq!((last.read(9)?, next.read(9)?), (b"third".to_vec(), b"third".to_vec()));
        Ok(())
    }

    #[test]
    fn one_that_is_far_behind_goes_on_in_the_oldest_file_that_is_left() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("log");
        append(&path, "read")?;
        let mut follower = Follower::new(&path, Start::End(0)).without_file();
        assert_eq!(follower.read(100)?, b"");
        let marked = open(&path).map(|(_, mark, _)| mark).unwrap_or_default();
        for piece in ["one ", "two ", "three "] {
            rotate(&path, 2)?;
            append(&path, piece)?;
            // Where births are told in ticks, the next file is to be begun in another one.
            while marked.born_ns != 0 && !is_born_later(directory.path(), marked.born_ns)? {}
        }
        let wanted: &[u8] = if marked.born_ns == 0 { b"three " } else { b"one two three " };
        assert_eq!(follower.read(100)?, wanted);
        Ok(())
    }

    /// Whether a file that is made now is younger than that.
    fn is_born_later(directory: &Path, born_ns: u64) -> io::Result<bool> {
        let probe = directory.join("probe");
        std::fs::remove_file(&probe)
            .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        append(&probe, "")?;
        Ok(open(&probe).is_some_and(|(_, mark, _)| mark.born_ns > born_ns))
    }

    #[test]
    fn a_position_is_three_numbers() {
        let position = Position { mark: Mark { inode: 255, born_ns: u64::MAX }, offset: 16 };
        assert_eq!(position.to_string(), "ff-ffffffffffffffff-10");
        assert_eq!(Position::parse(&position.to_string()), Some(position));
        for text in ["", "1", "1-2", "1-2-3-4", "1-2-x", "1-2-", "1-2-10000000000000000"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
