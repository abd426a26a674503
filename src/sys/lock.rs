//! A lock that one process of a user holds: the proof that a daemon lives, which no pid file is.
//!
//! The lock is on the open file, so that it lives as long as any duplicate of the descriptor: the keeper is given
//! one. Knows no instances. Example: `try_lock(&dir, "default.lock")?` is `Held(lock)` for the first of many.

use super::runtime_dir::FileId;
use crate::model::instance::NOTE_MAX_BYTES;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Times that a lock is opened again because its file was removed meanwhile; a cleaner does that once.
const ATTEMPTS_MAX: usize = 16;

/// Times that a held lock is tried again: whoever only asks ([`holder`]) holds it for some microseconds.
const PATIENCE_ATTEMPTS: usize = 5;

/// Pause between two of these, in milliseconds.
const PATIENCE_PAUSE_MS: u8 = 4;

/// A lock that is held for as long as this value, or a duplicate of it, lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// Which file it is.
    pub id: FileId,
}

/// What came of trying.
#[derive(Debug)]
pub enum TryLock {
    /// It is ours.
    Held(Lock),
    /// Somebody else holds it, and wrote this into it.
    HeldBy(String),
}

/// Takes the lock called `name` in a directory that is ours, if nobody holds it.
///
/// # Errors
/// `ELOOP` for a link and `EINVAL` for what is no plain file of ours; `ENOLCK`, `EOPNOTSUPP` and the like where the
/// file system has no locks; else as openat(2).
pub fn try_lock(dir: &impl AsFd, name: &str) -> io::Result<TryLock> {
    for _ in 0..ATTEMPTS_MAX {
        let mut file = open(dir, name, OFlag::O_RDWR | OFlag::O_CREAT)?;
        let id = FileId::of(&fstat(&file)?);
        match lock_patiently(&file) {
            Ok(()) => {}
            Err(Errno::EWOULDBLOCK) => return Ok(TryLock::HeldBy(text_of(&mut file))),
            Err(errno) => return Err(errno.into()),
        }
        // A file that was removed between the two calls locks nobody else out.
        if is_there(dir, name, id) {
            return Ok(TryLock::Held(Lock { file, id }));
        }
    }
    Err(Errno::EBUSY.into())
}

/// Returns what the holder wrote into a lock that somebody holds; nothing where nobody does.
#[must_use]
pub fn holder(dir: &impl AsFd, name: &str) -> Option<String> {
    holder_of(open(dir, name, OFlag::O_RDONLY).ok()?)
}

/// As [`holder`], for a file that was opened already.
#[must_use]
pub fn holder_of(mut file: File) -> Option<String> {
    match flock(&file, libc::LOCK_SH | libc::LOCK_NB) {
        Err(Errno::EWOULDBLOCK) => Some(text_of(&mut file)),
        // Closing the file gives the lock back.
        _ => None,
    }
}

impl Lock {
    /// Takes over a lock whose descriptor was handed to us by whoever kept it.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn adopt(fd: OwnedFd) -> io::Result<Lock> {
        let id = FileId::of(&fstat(&fd)?);
        Ok(Lock { file: File::from(fd), id })
    }

    /// Whether the name still leads to the file that is locked.
    #[must_use]
    pub fn is_at(&self, dir: &impl AsFd, name: &str) -> bool {
        is_there(dir, name, self.id)
    }

    /// Removes the file, if it is still the one that is locked: the holder's last act, since whoever comes now locks
    /// another file.
    pub fn remove(&self, dir: &impl AsFd, name: &str) {
        if self.is_at(dir, name) {
            let _ = unlinkat(dir, name, UnlinkatFlags::NoRemoveDir);
        }
    }

    /// Replaces what others read in it.
    ///
    /// # Errors
    /// As write(2); the lock is held nevertheless.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl From<Lock> for OwnedFd {
    fn from(lock: Lock) -> OwnedFd {
        lock.file.into()
    }
}

fn open(dir: &impl AsFd, name: &str, access: OFlag) -> io::Result<File> {
    let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let file = openat(dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let found = fstat(&file)?;
    let is_plain = found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
    if !is_plain || found.st_nlink > 1 || found.st_uid != super::identity::uid() {
        return Err(Errno::EINVAL.into());
    }
    Ok(File::from(file))
}

fn is_there(dir: &impl AsFd, name: &str, id: FileId) -> bool {
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|found| FileId::of(&found) == id)
}

fn flock(file: &File, operation: libc::c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers only; the file is open by its borrow.
    let result = unsafe { libc::flock(file.as_raw_fd(), operation) };
    Errno::result(result).map(drop)
}

fn lock_patiently(file: &File) -> Result<(), Errno> {
    let mut result = flock(file, libc::LOCK_EX | libc::LOCK_NB);
    for _ in 0..PATIENCE_ATTEMPTS {
        if result != Err(Errno::EWOULDBLOCK) {
            break;
        }
        let _ = nix::poll::poll(&mut [], PATIENCE_PAUSE_MS);
        result = flock(file, libc::LOCK_EX | libc::LOCK_NB);
    }
    result
}

/// Reads a note; one that cannot be read is empty.
fn text_of(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let _ = file.seek(SeekFrom::Start(0));
    let _ = file.take(NOTE_MAX_BYTES as u64).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::open as open_path;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn directory() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().expect("a directory");
        let fd = open_path(dir.path(), OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty()).expect("open");
        (dir, fd)
    }

    fn held(result: io::Result<TryLock>) -> Lock {
        match result {
            Ok(TryLock::Held(lock)) => lock,
            other => panic!("not held: {other:?}"),
        }
    }

    /// A child that another test forks has our descriptors, and with them the lock, until it executes its program.
    fn wait_free(dir: &OwnedFd) {
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while holder(dir, "x.lock").is_some() {
            assert!(std::time::Instant::now() < patience, "the lock stays held");
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_holds_it_and_the_others_read_who() {
        let (dir, fd) = directory();
        let mut lock = held(try_lock(&fd, "x.lock"));
        lock.write("a longer text").expect("write");
        lock.write("pid=7\n").expect("write");
        assert!(matches!(try_lock(&fd, "x.lock"), Ok(TryLock::HeldBy(text)) if text == "pid=7\n"));
        assert_eq!(holder(&fd, "x.lock").as_deref(), Some("pid=7\n"));
        let mode = std::fs::metadata(dir.path().join("x.lock")).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(lock);
        wait_free(&fd);
        held(try_lock(&fd, "x.lock"));
    }

    #[test]
    fn a_duplicate_keeps_it() {
        let (_dir, fd) = directory();
        let lock = held(try_lock(&fd, "x.lock"));
        let kept = lock.as_fd().try_clone_to_owned().expect("dup");
        drop(lock);
        assert!(holder(&fd, "x.lock").is_some());
        let again = Lock::adopt(kept).expect("fstat");
        assert!(again.is_at(&fd, "x.lock"));
        drop(again);
        wait_free(&fd);
    }

    #[test]
    fn those_who_only_ask_keep_nobody_from_it() {
        let (dir, fd) = directory();
        drop(held(try_lock(&fd, "x.lock")));
        wait_free(&fd);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let fd = open_path(dir.path(), OFlag::O_RDONLY, Mode::empty()).expect("open");
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = holder(&fd, "x.lock");
                }
            });
            for _ in 0..300 {
                drop(held(try_lock(&fd, "x.lock")));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_removed_file_is_noticed_and_a_new_one_is_another_lock() {
        let (dir, fd) = directory();
        let old = held(try_lock(&fd, "x.lock"));
        std::fs::remove_file(dir.path().join("x.lock")).expect("remove");
        assert!(!old.is_at(&fd, "x.lock"));
        let new = held(try_lock(&fd, "x.lock"));
        assert!(new.is_at(&fd, "x.lock") && !old.is_at(&fd, "x.lock"));
        old.remove(&fd, "x.lock");
        assert!(new.is_at(&fd, "x.lock"), "it is not the old one's to remove");
        new.remove(&fd, "x.lock");
        assert!(!dir.path().join("x.lock").exists());
    }

    #[test]
    fn traps_are_refused_and_left_alone() {
        let (dir, fd) = directory();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").expect("write");
        symlink(&victim, dir.path().join("link")).expect("link");
        std::fs::hard_link(&victim, dir.path().join("hard")).expect("link");
        nix::unistd::mkfifo(&dir.path().join("pipe"), Mode::S_IRWXU).expect("pipe");
        std::fs::create_dir(dir.path().join("dir")).expect("directory");
        for name in ["link", "hard", "pipe", "dir"] {
            assert!(try_lock(&fd, name).is_err(), "{name}");
            assert_eq!(holder(&fd, name), None, "{name}");
        }
        assert_eq!(std::fs::read_to_string(&victim).expect("read"), "precious");
        assert_eq!(std::fs::metadata(&victim).expect("metadata").size(), 8);
    }

    #[test]
    fn only_so_much_of_a_note_is_read() {
        let (_dir, fd) = directory();
        let mut lock = held(try_lock(&fd, "x.lock"));
        lock.write(&"x".repeat(NOTE_MAX_BYTES + 1)).expect("write");
        assert_eq!(holder(&fd, "x.lock").map(|text| text.len()), Some(NOTE_MAX_BYTES));
    }
}
