//! Reading a log from its end, and on: through rotation, clearing and truncation, without a poll.
//!
//! Whoever follows is told by the disk worker that the log grew ([`super::disk::Disk::watch`]), and reads then, on
//! the worker. Nothing is lost to a slow reader: the bytes are in the file. Example: `Follower::open(path, 1600)`,
//! then `follower.read(64 << 10)` whenever the log grew.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A place in a log.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<(File, u64)>,
    offset: u64,
}

impl Follower {
    /// Begins `tail_bytes` before the end of a log; one that is not there yet is followed from its beginning.
    #[must_use]
    pub fn open(path: &Path, tail_bytes: u64) -> Follower {
        let file = open(path);
        let size =
            file.as_ref().and_then(|(file, _)| file.metadata().ok()).map_or(0, |metadata| metadata.len());
        Follower { path: path.to_owned(), file, offset: size.saturating_sub(tail_bytes) }
    }

    /// Returns what came since, at most `bytes_max`; as much as that means that there may be more.
    ///
    /// # Errors
    /// As read(2).
    pub fn read(&mut self, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            self.read_current(bytes_max, &mut bytes)?;
            // Only a file that is read to its end is left for the one that took its name.
            if bytes.len() == bytes_max || !self.go_on() {
                return Ok(bytes);
            }
        }
    }

    fn read_current(&mut self, bytes_max: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let Some((file, _)) = &self.file else { return Ok(()) };
        let size = file.metadata()?.len();
        // Emptied in place, by us or by somebody's logrotate.
        self.offset = if size < self.offset { 0 } else { self.offset };
        let before = bytes.len();
        let want = usize::try_from(size - self.offset).unwrap_or(usize::MAX).min(bytes_max - before);
        bytes.resize(before + want, 0);
        let mut have = before;
        while have < bytes.len() {
            match file.read_at(&mut bytes[have..], self.offset)? {
                0 => break,
                count => (have, self.offset) = (have + count, self.offset + count as u64),
            }
        }
        bytes.truncate(have);
        Ok(())
    }

    /// Takes the file that has the name now; returns whether it is another one.
    fn go_on(&mut self) -> bool {
        let Some((next, inode)) = open(&self.path) else { return false };
        if self.file.as_ref().is_some_and(|(_, known)| *known == inode) {
            return false;
        }
        (self.file, self.offset) = (Some((next, inode)), 0);
        true
    }
}

/// Opens a plain file, without waiting for anybody's pipe.
fn open(path: &Path) -> Option<(File, u64)> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some((file, metadata.ino()))
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
        let mut follower = Follower::open(&path, 4);
        assert_eq!(follower.read(100)?, b"6789");
        append(&path, "more")?;
        assert_eq!(follower.read(100)?, b"more");
        append(&path, "last of the old\n")?;
        std::fs::rename(&path, directory.path().join("log.1"))?;
        append(&path, "first of the new\n")?;
        assert_eq!(follower.read(100)?, b"last of the old\nfirst of the new\n");
        File::options().write(true).truncate(true).open(&path)?;
        append(&path, "anew")?;
        assert_eq!(follower.read(100)?, b"anew");
        assert_eq!(follower.read(100)?, b"");
        Ok(())
    }

    #[test]
    fn it_is_read_in_pieces_of_the_limit_and_a_missing_log_is_waited_for() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("log");
        let mut follower = Follower::open(&path, 4);
        assert_eq!(follower.read(3)?, b"");
        append(&path, "abcdefg")?;
        assert_eq!(follower.read(3)?, b"abc");
        assert_eq!(follower.read(3)?, b"def");
        assert_eq!(follower.read(3)?, b"g");
        Ok(())
    }
}
