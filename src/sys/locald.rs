//! Looks for a running daemon of ours among the processes, for when no socket answers.
//!
//! A session with a `/tmp` of its own does not see the sockets of another, but it sees its processes. A daemon is
//! known by its program's name, its owner, and the lock that it holds; what it wrote into the lock says where its
//! sockets are, as it sees them. Must not signal anybody. Example: `find("default.lock", uid)`.

use super::{lock, tree};
use crate::model::Pid;
use crate::model::instance::LockNote;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How the program of a daemon is called, whatever name it was started by.
const PROGRAM: &str = "visord";

/// How the names of locks end.
const LOCK_END: &[u8] = b".lock";

/// Times that a note which is just being written is read again, and the pause between, in milliseconds: it takes
/// microseconds.
pub const NOTE_ATTEMPTS: usize = 20;
/// See [`NOTE_ATTEMPTS`].
pub const NOTE_PAUSE_MS: u8 = 5;

/// A daemon that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// A process of it that lives.
    pub pid: Pid,
    /// What it wrote into its lock.
    pub note: LockNote,
    /// Its control sockets, by paths that lead there from here.
    pub sockets: Vec<PathBuf>,
}

/// Returns the daemons of user `uid` that hold a lock of this name, each once. On platforms without `/proc` there
/// are no private views of `/tmp` either, and nothing is found.
#[must_use]
pub fn find(lock_name: &str, uid: u32) -> Vec<Found> {
    search(uid, |name| name == lock_name.as_bytes())
}

/// Returns every daemon of user `uid`, whatever its configuration.
#[must_use]
pub fn find_all(uid: u32) -> Vec<Found> {
    search(uid, |name| name.ends_with(LOCK_END))
}

/// Whether a process is one of a daemon, of any user.
#[must_use]
pub fn is_daemon_process(pid: Pid) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| is_daemon(&program))
}

fn search(uid: u32, is_lock: impl Fn(&[u8]) -> bool) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    if !cfg!(target_os = "linux") {
        return found;
    }
    for pid in tree::all() {
        let Some(one) = examine(pid, &is_lock, uid) else { continue };
        // Keeper and reactor hold the same lock; users know the keeper.
        match found.iter_mut().find(|known| known.note == one.note) {
            Some(known) if one.pid.0 == one.note.pid => *known = one,
            Some(_) => {}
            None => found.push(one),
        }
    }
    found
}

fn examine(pid: Pid, is_lock: &impl Fn(&[u8]) -> bool, uid: u32) -> Option<Found> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    if fs::metadata(&process).ok()?.uid() != uid || !is_daemon(&fs::read_link(process.join("exe")).ok()?) {
        return None;
    }
    let note = fs::read_dir(process.join("fd")).ok()?.flatten().find_map(|fd| {
        let target = fs::read_link(fd.path()).ok()?;
        // Only names that end like a lock's are opened: to open a pipe or a device may have effects.
        is_lock(base_name(&target)).then_some(())?;
        note_of(&fd.path())
    })?;
    let root = process.join("root");
    let seen_from_here = |path: &PathBuf| Some(root.join(path.strip_prefix("/").ok()?));
    let sockets = note.sockets.iter().filter_map(seen_from_here).collect();
    Some(Found { pid, note, sockets })
}

/// Reads the note in the lock called `name` in a directory, where somebody holds it.
#[must_use]
pub fn note_in(dir: &impl AsFd, name: &str) -> Option<LockNote> {
    read_whole(|| lock::holder(dir, name))
}

/// Reads the note in a lock that somebody holds.
fn note_of(lock: &Path) -> Option<LockNote> {
    read_whole(|| lock::holder_of(File::open(lock).ok()?))
}

/// Reads a note, again when it is just being written.
fn read_whole(read: impl Fn() -> Option<String>) -> Option<LockNote> {
    let mut text = read()?;
    for _ in 0..NOTE_ATTEMPTS {
        if LockNote::is_whole(&text) {
            break;
        }
        let _ = nix::poll::poll(&mut [], NOTE_PAUSE_MS);
        text = read()?;
    }
    Some(LockNote::parse(&text))
}

/// Whether a link of `/proc/PID/exe` leads to the daemon, or did before an upgrade replaced the file.
fn is_daemon(program: &Path) -> bool {
    base_name(program) == PROGRAM.as_bytes()
}

/// The last part of a link of `/proc`, without what the kernel appends to the names of removed files.
fn base_name(target: &Path) -> &[u8] {
    let name = target.file_name().map(OsStr::as_bytes).unwrap_or_default();
    name.strip_suffix(b" (deleted)").unwrap_or(name)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_known_by_its_program() {
        for (path, daemon) in [
            ("/usr/bin/visord", true),
            ("/home/me/bin/visord (deleted)", true),
            ("/usr/bin/visorctl", false),
            ("/usr/bin/visord.old", false),
            ("/", false),
        ] {
            assert_eq!(is_daemon(Path::new(path)), daemon, "{path}");
        }
    }

    #[test]
    fn nothing_is_found_where_nobody_holds_the_lock() {
        assert_eq!(find("no-such-instance.lock", crate::sys::identity::uid()), []);
    }
}
