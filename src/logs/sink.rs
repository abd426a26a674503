//! What a log is to be: where, how large, for whose eyes; and the form in which that fits into a journal.
//!
//! Plain data, no files. Example: `SinkSpec::file(Path::new("/var/log/web.log"), 50 << 20, 10)`.

use crate::sys::open::Creation;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Names an open sink until it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkId(pub u32);

/// Names a stream of a program: a number that is the same before and after a restart of the reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// Longest path or name that a journal takes, in bytes: two of them and the numbers fit into a slot's header.
pub const NAME_MAX_BYTES: usize = 3800;

/// A log: the settings of the latest opening hold for all that write to the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSpec {
    /// Where: a file, a device, one of our own standard streams, or the system log.
    pub target: Target,
    /// Size in bytes from which it is rotated at the next line end; 0 never.
    pub max_bytes: u64,
    /// Rotated files that are kept; with 0 a full file is emptied.
    pub backups: u32,
    /// Who may read it, where it has to be made.
    pub creation: Creation,
}

/// Where a log is; compared byte by byte, because it is looked up for every read.
#[derive(Clone, Debug)]
pub enum Target {
    /// A path, absolute.
    Path(PathBuf),
    /// Our own standard output (1) or standard error (2).
    Standard(i32),
    /// The system log.
    Syslog,
}

/// The spellings of our own standard streams.
const STANDARD: &[(&str, i32)] = &[
    ("/dev/stdout", 1),
    ("/dev/fd/1", 1),
    ("/proc/self/fd/1", 1),
    ("/dev/stderr", 2),
    ("/dev/fd/2", 2),
    ("/proc/self/fd/2", 2),
];

impl Target {
    /// Returns where `path` leads: to one of our own standard streams where it is a name of theirs.
    #[must_use]
    pub fn of(path: &Path) -> Target {
        match STANDARD.iter().find(|(name, _)| Path::new(name) == path) {
            Some((_, number)) => Target::Standard(*number),
            None => Target::Path(path.to_path_buf()),
        }
    }

    fn rank(&self) -> i32 {
        match self {
            Target::Path(_) => 0,
            Target::Standard(number) => *number,
            Target::Syslog => i32::MAX,
        }
    }

    /// Returns the one path that stands for it in messages and journals.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Target::Path(path) => path,
            Target::Standard(1) => Path::new("/dev/stdout"),
            Target::Standard(_) => Path::new("/dev/stderr"),
            Target::Syslog => Path::new("syslog"),
        }
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Target) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Target {}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Target) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Target {
    fn cmp(&self, other: &Target) -> Ordering {
        match (self, other) {
            (Target::Path(ours), Target::Path(theirs)) => {
                ours.as_os_str().as_bytes().cmp(theirs.as_os_str().as_bytes())
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl SinkSpec {
    /// Returns the usual log at `path`, made with the creation mask.
    #[must_use]
    pub fn file(path: &Path, max_bytes: u64, backups: u32) -> SinkSpec {
        SinkSpec { target: Target::of(path), max_bytes, backups, creation: Creation::Masked }
    }

    /// Returns the same log for its owner's eyes only.
    #[must_use]
    pub fn private(self) -> SinkSpec {
        SinkSpec { creation: Creation::Private, ..self }
    }

    /// Returns our own standard output.
    #[must_use]
    pub fn standard_output() -> SinkSpec {
        SinkSpec { target: Target::Standard(1), max_bytes: 0, backups: 0, creation: Creation::Private }
    }

    /// Returns the system log.
    #[must_use]
    pub fn syslog() -> SinkSpec {
        SinkSpec { target: Target::Syslog, max_bytes: 0, backups: 0, creation: Creation::Private }
    }
}

/// What happens with the bytes of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Into this log: a file, or the system log where whole lines of our own go there.
    pub file: Option<SinkSpec>,
    /// Into the system log as well, each line with this name before it.
    pub syslog: Option<String>,
    /// Without ANSI escape sequences.
    pub strip: bool,
}

const STRIP: u64 = 1;
const FILE: u64 = 2;
const PRIVATE: u64 = 4;
const SYSLOG: u64 = 8;
const SYSTEM: u64 = 16;

/// Bytes before the two names of an encoded route: five numbers.
const NUMBERS: usize = 40;

impl Route {
    /// Whether the bytes go nowhere.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.file.is_none() && self.syslog.is_none()
    }

    /// Returns the bytes that [`Route::decode`] understands; names are cut at [`NAME_MAX_BYTES`], and a path as
    /// long as that cannot have been opened.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let path = self.file.as_ref().map_or(&b""[..], |file| file.target.path().as_os_str().as_bytes());
        let name = self.syslog.as_deref().unwrap_or("").as_bytes();
        let (path, name) = (&path[..path.len().min(NAME_MAX_BYTES)], &name[..name.len().min(NAME_MAX_BYTES)]);
        let private = self.file.as_ref().is_some_and(|file| file.creation == Creation::Private);
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        let flags = flag(self.strip, STRIP)
            | flag(self.file.is_some(), FILE)
            | flag(private, PRIVATE)
            | flag(self.syslog.is_some(), SYSLOG)
            | flag(self.file.as_ref().is_some_and(|file| file.target == Target::Syslog), SYSTEM);
        let (max_bytes, backups) = self.file.as_ref().map_or((0, 0), |file| (file.max_bytes, file.backups));
        let mut bytes = Vec::with_capacity(NUMBERS + path.len() + name.len());
        for number in [flags, max_bytes, u64::from(backups), path.len() as u64, name.len() as u64] {
            bytes.extend_from_slice(&number.to_ne_bytes());
        }
        bytes.extend_from_slice(path);
        bytes.extend_from_slice(name);
        bytes
    }

    /// Returns the route that was encoded at the start of `bytes`; None when they are no route.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Route> {
        let number = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (flags, max_bytes, backups) = (number(0)?, number(8)?, number(16)?);
        let (path_len, name_len) = (usize::try_from(number(24)?).ok()?, usize::try_from(number(32)?).ok()?);
        let names = bytes.get(NUMBERS..)?;
        let path = names.get(..path_len)?;
        let name = names.get(path_len..)?.get(..name_len)?;
        let file = SinkSpec {
            target: match flags & SYSTEM {
                0 => Target::of(Path::new(OsStr::from_bytes(path))),
                _ => Target::Syslog,
            },
            max_bytes,
            backups: u32::try_from(backups).ok()?,
            creation: if flags & PRIVATE == 0 { Creation::Masked } else { Creation::Private },
        };
        Some(Route {
            file: (flags & FILE != 0).then_some(file),
            syslog: (flags & SYSLOG != 0).then(|| String::from_utf8_lossy(name).into_owned()),
            strip: flags & STRIP != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_survive_their_encoding() {
        let file = SinkSpec::file(Path::new("/a/b c.log"), 5, 7).private();
        let routes = [
            Route::default(),
            Route { file: Some(file.clone()), syslog: Some("web".into()), strip: true },
            Route { file: Some(SinkSpec { target: Target::Standard(2), ..file }), ..Route::default() },
            Route { file: Some(SinkSpec::syslog()), ..Route::default() },
            Route { file: Some(SinkSpec::file(Path::new("syslog"), 0, 0)), ..Route::default() },
        ];
        for route in routes {
            assert_eq!(Route::decode(&route.encode()), Some(route));
        }
    }

    #[test]
    fn rubbish_is_no_route() {
        assert_eq!(Route::decode(b"short"), None);
        assert_eq!(Route::decode(&[0xff; 64]), None);
    }

    #[test]
    fn names_are_cut_at_the_limit() {
        let long = Route { syslog: Some("n".repeat(NAME_MAX_BYTES + 1)), ..Route::default() };
        let name = Route::decode(&long.encode()).and_then(|route| route.syslog);
        assert_eq!(name.map(|name| name.len()), Some(NAME_MAX_BYTES));
    }

    #[test]
    fn our_own_streams_have_many_names() {
        assert_eq!(Target::of(Path::new("/dev/fd/1")), Target::Standard(1));
        assert_eq!(Target::of(Path::new("/dev/stderr")).path(), Path::new("/dev/stderr"));
        assert_eq!(Target::of(Path::new("/dev/null")), Target::Path("/dev/null".into()));
    }
}
