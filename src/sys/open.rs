//! Opening a log file where others may have laid traps: links, pipes, files of theirs.
//!
//! The rule: a symbolic link is followed when we or root made it, or when nobody else can write the directory
//! it is in; what is opened must be a regular file, or a device that the system itself has under `/dev`. The
//! open never waits for anybody. Knows no programs. Example: `open::log_file(path, Creation::Private)?`.

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::geteuid;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

/// Most symbolic links followed in one path, the kernel's own limit (path_resolution(7)).
pub const LINKS_MAX: usize = 40;

/// Who may read a file that has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// Only its owner, whatever the mask says.
    Private,
    /// Everybody that the file creation mask lets.
    Masked,
}

impl Creation {
    fn mode(self) -> Mode {
        Mode::from_bits_truncate(if self == Creation::Private { 0o600 } else { 0o666 })
    }
}

/// Why a file was not opened; reads after "cannot open PATH: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// The system's number for it.
    pub errno: Errno,
    /// What to tell the user.
    pub why: String,
}

impl OpenError {
    fn refused(errno: Errno, why: impl Into<String>) -> OpenError {
        OpenError { errno, why: why.into() }
    }
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        OpenError { errno, why: errno.desc().to_lowercase() }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for OpenError {}

/// A directory and a name in it that is no symbolic link: all others have been followed.
#[derive(Debug)]
pub struct Spot {
    /// The directory, good for the `*at` calls only.
    pub dir: OwnedFd,
    /// The last component.
    pub name: OsString,
}

/// Opens a log for writing at positions of the caller's choice, and makes it when it is not there.
///
/// # Errors
/// As openat(2), or a refusal in words: a link, pipe, device or hard link that may be somebody's trap.
pub fn log_file(path: &Path, creation: Creation) -> Result<File, OpenError> {
    match open_without_links(path, creation) {
        Some(Ok(file)) if is_beyond_doubt(&fstat(&file)?) => Ok(file),
        Some(Err(Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR | Errno::ELOOP)) | None | Some(Ok(_)) => {
            log_file_at(&locate(path)?, creation)
        }
        Some(Err(Errno::ENXIO)) => Err(refused_pipe()),
        Some(Err(errno)) => Err(errno.into()),
    }
}

/// Opens a log in a directory that was found before; as [`log_file`].
///
/// # Errors
/// As [`log_file`].
pub fn log_file_at(spot: &Spot, creation: Creation) -> Result<File, OpenError> {
    let flags = base_flags() | OFlag::O_CREAT;
    let name = spot.name.as_os_str();
    let fd = match openat(&spot.dir, name, flags | OFlag::O_RDWR, creation.mode()) {
        Err(Errno::EACCES) => openat(&spot.dir, name, flags | OFlag::O_WRONLY, creation.mode()),
        other => other,
    };
    let file = File::from(fd.map_err(|errno| match errno {
        Errno::ENXIO => refused_pipe(),
        errno => errno.into(),
    })?);
    check(&fstat(&file)?, &fstat(&spot.dir)?)?;
    Ok(file)
}

/// Makes a new private file; fails when anything at all has that name.
///
/// # Errors
/// `EEXIST`, else as openat(2).
pub fn exclusive(spot: &Spot) -> Result<File, OpenError> {
    let flags = base_flags() | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR;
    Ok(File::from(openat(&spot.dir, spot.name.as_os_str(), flags, Creation::Private.mode())?))
}

/// Makes the directory that `path` is in, where only that last one is missing.
///
/// # Errors
/// As mkdirat(2).
pub fn make_parent(path: &Path, creation: Creation) -> Result<(), OpenError> {
    let parent = path.parent().ok_or(Errno::ENOENT)?;
    let spot = locate(parent)?;
    let mode = if creation == Creation::Private { 0o700 } else { 0o777 };
    Ok(mkdirat(&spot.dir, spot.name.as_os_str(), Mode::from_bits_truncate(mode))?)
}

/// Never waits, never follows a link at the end, never becomes somebody's terminal.
fn base_flags() -> OFlag {
    OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY
}

/// The usual case in one call: a path without any symbolic link. None where the kernel cannot say.
#[cfg(target_os = "linux")]
fn open_without_links(path: &Path, creation: Creation) -> Option<Result<File, Errno>> {
    use nix::fcntl::{AT_FDCWD, OpenHow, ResolveFlag, openat2};
    let how = OpenHow::new()
        .flags(base_flags() | OFlag::O_RDWR | OFlag::O_CREAT)
        .mode(creation.mode())
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(AT_FDCWD, path, how) {
        // ENOSYS before Linux 5.6; EPERM is what sandboxes answer to calls that they do not know.
        Err(Errno::ENOSYS | Errno::EPERM) => None,
        result => Some(result.map(File::from)),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_without_links(_path: &Path, _creation: Creation) -> Option<Result<File, Errno>> {
    None
}

/// Whether a file is fine wherever it lies: regular, one name, ours or root's.
fn is_beyond_doubt(file: &FileStat) -> bool {
    kind(file) == SFlag::S_IFREG && file.st_nlink <= 1 && is_trusted(file.st_uid)
}

/// Finds the directory of a path, following the links that can be trusted; the last component need not exist.
///
/// # Errors
/// `ELOOP` with words for a link that may be a trap; else as openat(2).
pub fn locate(path: &Path) -> Result<Spot, OpenError> {
    let mut dir = start(path)?;
    let mut rest = components(path);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        let link = match fstatat(&dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) if kind(&found) == SFlag::S_IFLNK => Some(found),
            Err(Errno::ENOENT) if rest.is_empty() => None,
            Err(errno) => return Err(errno.into()),
            Ok(_) => None,
        };
        if let Some(link) = link {
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::ELOOP.into());
            }
            follow_allowed(&link, &fstat(&dir)?, &name)?;
            let target = readlinkat(&dir, name.as_os_str())?;
            let target = Path::new(&target);
            if target.is_absolute() {
                dir = start(target)?;
            }
            components(target).into_iter().rev().for_each(|part| rest.push_front(part));
        } else if rest.is_empty() {
            if name == ".." {
                return Err(Errno::EISDIR.into());
            }
            return Ok(Spot { dir, name });
        } else {
            dir = openat(&dir, name.as_os_str(), directory_flags() | OFlag::O_NOFOLLOW, Mode::empty())?;
        }
    }
    Err(Errno::EISDIR.into())
}

fn start(path: &Path) -> Result<OwnedFd, Errno> {
    open(if path.is_absolute() { "/" } else { "." }, directory_flags(), Mode::empty())
}

fn directory_flags() -> OFlag {
    // A handle is enough, so that directories without read permission can be walked through.
    #[cfg(target_os = "linux")]
    let handle = OFlag::O_PATH;
    #[cfg(not(target_os = "linux"))]
    let handle = OFlag::O_RDONLY;
    handle | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn components(path: &Path) -> VecDeque<OsString> {
    let named = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(named).collect()
}

fn follow_allowed(link: &FileStat, dir: &FileStat, name: &OsStr) -> Result<(), OpenError> {
    if is_trusted(link.st_uid) || !others_can_write(dir) {
        return Ok(());
    }
    let why = format!(
        "the symbolic link {} belongs to user {} in a directory that others can write",
        Path::new(name).display(),
        link.st_uid
    );
    Err(OpenError::refused(Errno::ELOOP, why))
}

fn check(file: &FileStat, dir: &FileStat) -> Result<(), OpenError> {
    match kind(file) {
        SFlag::S_IFREG => {}
        SFlag::S_IFCHR if !others_can_write(dir) => return Ok(()),
        SFlag::S_IFIFO => return Err(refused_pipe()),
        SFlag::S_IFDIR => return Err(Errno::EISDIR.into()),
        _ => return Err(OpenError::refused(Errno::EINVAL, "it is not a regular file")),
    }
    if file.st_nlink > 1 && others_can_write(dir) {
        let why = "it has a second name (hard link) and lies in a directory that others can write";
        return Err(OpenError::refused(Errno::EMLINK, why));
    }
    if !is_trusted(file.st_uid) && dir.st_mode & 0o002 != 0 {
        let why = format!("it belongs to user {} in a directory that everybody can write", file.st_uid);
        return Err(OpenError::refused(Errno::EACCES, why));
    }
    Ok(())
}

fn refused_pipe() -> OpenError {
    OpenError::refused(Errno::ENXIO, "it is a named pipe or a socket: use a regular file, or /dev/stdout")
}

#[allow(clippy::unnecessary_cast, reason = "mode_t is narrower on macOS")]
fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode as libc::mode_t) & SFlag::S_IFMT
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

/// Whether anybody but root and us can put names into a directory.
fn others_can_write(dir: &FileStat) -> bool {
    !is_trusted(dir.st_uid) || dir.st_mode & 0o022 != 0
}

/// Opens one of our own standard streams a second time, so that it can be non-blocking here without being so
/// for whoever shares it. None where there is no second way in: a socket, a regular file, another platform.
#[must_use]
pub fn standard_stream_again(number: i32) -> Option<File> {
    let path = format!("/proc/self/fd/{number}");
    let found = nix::sys::stat::stat(path.as_str()).ok()?;
    if !matches!(kind(&found), SFlag::S_IFIFO | SFlag::S_IFCHR) {
        return None;
    }
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    open(path.as_str(), flags, Mode::empty()).ok().map(File::from)
}

/// Whether one of our own standard streams is a pipe or a socket: where the poll says that there is room, a small piece
/// goes in at once. The poll says so of any file, and of a terminal that takes only a part (poll(2), tty(4)).
#[must_use]
pub fn takes_what_it_has_room_for(number: i32) -> bool {
    let found = match number {
        1 => fstat(std::io::stdout()),
        _ => fstat(std::io::stderr()),
    };
    found.is_ok_and(|found| matches!(kind(&found), SFlag::S_IFIFO | SFlag::S_IFSOCK))
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
