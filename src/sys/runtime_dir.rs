//! Directories for sockets and locks: ours alone, on this machine, or not used at all.
//!
//! A directory is used only when it belongs to us, nobody else can enter it, it is no link, and nobody else can put
//! another one in its place. What others planted is named, never changed. Knows no instances. Example:
//! `survey(&candidates, &ambient, Missing::Make).usable` are the places to bind in.

use super::ambient::{Ambient, Candidate, Origin};
use super::statfs::{Locality, locality};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open as open_path, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat, fstatat, mkdirat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What names a file on this machine: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

impl FileId {
    /// Returns the name of what was looked at.
    #[must_use]
    #[allow(clippy::unnecessary_cast, reason = "the numbers are narrower on macOS")]
    pub fn of(found: &FileStat) -> FileId {
        FileId { device: found.st_dev as u64, inode: found.st_ino as u64 }
    }
}

/// A directory that passed every check, held open.
#[derive(Debug)]
pub struct RuntimeDir {
    /// How it was found.
    pub origin: Origin,
    /// Where it was found.
    pub path: PathBuf,
    /// Which directory it is.
    pub id: FileId,
    fd: OwnedFd,
}

impl AsFd for RuntimeDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A directory that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it, after "cannot use PATH: ".
    pub why: String,
    /// Whether it is just not there, and nothing is wrong.
    pub absent: bool,
}

impl Refused {
    fn of(path: &Path, why: impl Into<String>) -> Refused {
        Refused { path: path.to_path_buf(), why: why.into(), absent: false }
    }
}

/// What is done about a directory that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is made, where its parent lets us: the daemon.
    Make,
    /// Nothing: a client.
    Leave,
}

/// What came of looking at candidates.
#[derive(Debug, Default)]
pub struct Survey {
    /// Directories to use, best first, each once.
    pub usable: Vec<RuntimeDir>,
    /// The others.
    pub refused: Vec<Refused>,
}

/// Opens every candidate; two paths to one directory count as the better of them.
#[must_use]
pub fn survey(candidates: &[Candidate], ambient: &Ambient, missing: Missing) -> Survey {
    let mut survey = Survey::default();
    for candidate in candidates {
        match open(candidate, ambient, missing) {
            Ok(dir) if survey.usable.iter().any(|known| known.id == dir.id) => {}
            Ok(dir) => survey.usable.push(dir),
            Err(refused) if survey.refused.iter().any(|known| known.path == refused.path) => {}
            Err(refused) => survey.refused.push(refused),
        }
    }
    survey
}

/// Opens one directory after checking it; makes it when asked to.
///
/// # Errors
/// Everything that speaks against using it.
pub fn open(candidate: &Candidate, ambient: &Ambient, missing: Missing) -> Result<RuntimeDir, Refused> {
    open_as(candidate, ambient, missing, OWN)
}

/// As [`open`], for a directory that others may enter, and in which only we make files: its mode is 0711.
///
/// # Errors
/// Everything that speaks against using it.
pub fn open_shared(
    candidate: &Candidate,
    ambient: &Ambient,
    missing: Missing,
) -> Result<RuntimeDir, Refused> {
    open_as(candidate, ambient, missing, SHARED)
}

fn open_as(
    candidate: &Candidate,
    ambient: &Ambient,
    missing: Missing,
    mode: libc::mode_t,
) -> Result<RuntimeDir, Refused> {
    let path = &candidate.path;
    let refused = |why: String| Refused::of(path, why);
    let (Some(parent_path), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(refused("it is no directory of its own".to_owned()));
    };
    let parent = open_path(parent_path, parent_flags(), Mode::empty())
        .map_err(|errno| Refused { absent: is_absence(errno), ..refused(words(errno)) })?;
    check_parent(&parent, parent_path, candidate.origin, ambient.uid).map_err(refused)?;
    match fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => check(&found, ambient.uid, mode).map_err(refused)?,
        Err(errno @ Errno::ENOENT) if missing == Missing::Leave => {
            return Err(Refused { absent: true, ..refused(words(errno)) });
        }
        Err(Errno::ENOENT) => make(&parent, name, mode).map_err(|errno| refused(words(errno)))?,
        Err(errno) => return Err(refused(words(errno))),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = openat(&parent, name, flags, Mode::empty()).map_err(|errno| refused(words(errno)))?;
    // What counts is what was opened: the name may mean something else by now.
    let found = fstat(&fd).map_err(|errno| refused(words(errno)))?;
    check(&found, ambient.uid, mode).map_err(refused)?;
    check_locality(&fd, path, ambient).map_err(refused)?;
    Ok(RuntimeDir { origin: candidate.origin, path: path.clone(), id: FileId::of(&found), fd })
}

#[cfg(target_os = "linux")]
fn parent_flags() -> OFlag {
    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

#[cfg(not(target_os = "linux"))]
fn parent_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn is_absence(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR)
}

fn words(errno: Errno) -> String {
    errno.desc().to_lowercase()
}

/// Makes the directory with this mode, whatever the creation mask takes away.
fn make(parent: &OwnedFd, name: &OsStr, mode: libc::mode_t) -> Result<(), Errno> {
    let mode = Mode::from_bits_truncate(mode);
    match mkdirat(parent, name, mode) {
        // Nobody but us can have moved it: the parent was checked.
        Ok(()) => fchmodat(parent, name, mode, FchmodatFlags::FollowSymlink),
        // Another daemon of ours was faster; what is there now is checked next.
        Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// In the parent nobody else may be able to replace our directory; a session's directory must be our own.
fn check_parent(parent: &OwnedFd, path: &Path, origin: Origin, me: u32) -> Result<(), String> {
    let found = fstat(parent).map_err(words)?;
    let (owner, mode) = (found.st_uid, found.st_mode);
    let shown = path.display();
    let of_session = matches!(origin, Origin::Session | Origin::RunUser);
    if of_session && owner != me {
        return Err(format!("{shown} is the session directory of user {owner}"));
    }
    if owner != me && owner != 0 {
        return Err(format!("{shown} belongs to user {owner}, who could put another directory there"));
    }
    let bits = |mode: Mode| mode.bits();
    if mode & bits(Mode::S_IWOTH) != 0 && mode & bits(Mode::S_ISVTX) == 0 {
        return Err(format!("everybody can rename files in {shown} (chmod o-w {shown})"));
    }
    Ok(())
}

/// Checks the directory itself: kind, owner, permissions.
fn check(found: &FileStat, me: u32, wanted: libc::mode_t) -> Result<(), String> {
    match SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFDIR => {}
        SFlag::S_IFLNK => return Err("it is a symbolic link, which may lead anywhere".to_owned()),
        SFlag::S_IFSOCK => return Err("it is a socket and not a directory".to_owned()),
        SFlag::S_IFIFO => return Err("it is a pipe and not a directory".to_owned()),
        _ => return Err("it is a file and not a directory".to_owned()),
    }
    if found.st_uid != me {
        return Err(format!("it belongs to user {}", found.st_uid));
    }
    let mode = found.st_mode & PERMISSIONS;
    if mode != wanted {
        return Err(format!("its mode is {mode:04o}, and {wanted:04o} is needed (chmod {wanted:o} it)"));
    }
    Ok(())
}

const PERMISSIONS: libc::mode_t = 0o777;
/// Nobody else enters.
const OWN: libc::mode_t = 0o700;
/// Everybody reaches what is in it by name.
const SHARED: libc::mode_t = 0o711;

fn check_locality(fd: &OwnedFd, path: &Path, ambient: &Ambient) -> Result<(), String> {
    if ambient.is_taken_for_network(path) {
        return Err("it is on a network file system (test)".to_owned());
    }
    match locality(fd) {
        Ok(Locality::Local) => Ok(()),
        Ok(Locality::Network(name)) => {
            Err(format!("it is on a network file system ({name}), where other machines see it"))
        }
        Err(error) => Err(format!("its file system cannot be told: {error}")),
    }
}

#[cfg(test)]
#[path = "runtime_dir_tests.rs"]
mod tests;
