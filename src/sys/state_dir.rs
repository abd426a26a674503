//! The directory for what outlives a daemon: logs, history, and where its private directory for sockets is.
//!
//! On a network file system every host has a folder of its own, and nothing of another host is read. Knows no
//! programs. Example: `open(&ambient, Missing::Make)?.path` is `/home/me/.local/state/visor`.

use super::ambient::{Ambient, Candidate, Origin};
use super::runtime_dir::{FileId, Missing, Refused};
use super::statfs::{Locality, locality};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path};
use nix::sys::stat::{Mode, fstat};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Folder with one folder for each host, where the state is shared between hosts.
pub(super) const HOSTS: &str = "hosts";

/// Names that are tried for a private directory: a second one is needed only when somebody guesses.
const PRIVATE_ATTEMPTS_MAX: usize = 16;

/// Permission bits that let others change files.
const OTHERS_WRITE: libc::mode_t = 0o022;

/// The state directory, held open.
#[derive(Debug)]
pub struct StateDir {
    /// Where it is; on a network file system the folder of this host.
    pub path: PathBuf,
    /// The name of the network file system that it lies on.
    pub network: Option<String>,
    /// Which directory it is.
    pub id: FileId,
    fd: OwnedFd,
}

impl AsFd for StateDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens the first state directory that works, and makes it when asked to.
///
/// # Errors
/// Why each of them was refused; nothing where there is no home at all.
pub fn open(ambient: &Ambient, missing: Missing) -> Result<StateDir, Vec<Refused>> {
    let mut refused = Vec::new();
    for root in ambient.state_roots() {
        match open_one(&root, ambient, missing) {
            Ok(dir) => return Ok(dir),
            Err(why) => refused.push(why),
        }
    }
    Err(refused)
}

fn open_one(root: &Path, ambient: &Ambient, missing: Missing) -> Result<StateDir, Refused> {
    let dir = open_checked(root, ambient, missing)?;
    if dir.network.is_none() {
        return Ok(dir);
    }
    let network = dir.network;
    let key = root.join(HOSTS).join(ambient.host_key());
    // A host with a name of its own is found by a link.
    let name = std::fs::read_link(&key).ok().filter(|name| name.components().count() == 1);
    let own = open_checked(&name.map_or(key, |name| root.join(HOSTS).join(name)), ambient, missing)?;
    Ok(StateDir { network, ..own })
}

/// Returns the directory that hosts share, where the state is on a network file system.
pub(super) fn shared_root(ambient: &Ambient, missing: Missing) -> Option<PathBuf> {
    let mut roots = ambient.state_roots().into_iter().map(|root| open_checked(&root, ambient, missing));
    let first = roots.find_map(Result::ok)?;
    first.network.is_some().then_some(first.path)
}

fn open_checked(path: &Path, ambient: &Ambient, missing: Missing) -> Result<StateDir, Refused> {
    let refused = |why: String| Refused { path: path.to_path_buf(), why, absent: false };
    let failed = |error: io::Error| Refused {
        absent: error.kind() == io::ErrorKind::NotFound,
        ..refused(error.to_string())
    };
    if missing == Missing::Make {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    }
    // A link is the user's own way to put logs on another disk, so it is followed.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let fd = open_path(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    let found = fstat(&fd).map_err(|errno| failed(errno.into()))?;
    if found.st_uid != ambient.uid {
        return Err(refused(format!("it belongs to user {}", found.st_uid)));
    }
    if found.st_mode & OTHERS_WRITE != 0 {
        return Err(refused("others can write in it (chmod go-w it)".to_owned()));
    }
    let network = match locality(&fd).map_err(failed)? {
        Locality::Network(name) => Some(name),
        Locality::Local => ambient.is_taken_for_network(path).then(|| "test".to_owned()),
    };
    Ok(StateDir { path: path.to_path_buf(), network, id: FileId::of(&found), fd })
}

/// Returns every directory in which sockets may be, best first: the candidates that follow from the surroundings,
/// and the private one that is remembered.
#[must_use]
pub fn candidates(state: Option<&StateDir>, ambient: &Ambient) -> Vec<Candidate> {
    let mut candidates = ambient.runtime_candidates();
    candidates.extend(state.and_then(|state| private_candidate(state, ambient)));
    candidates
}

/// Returns the private directory for sockets that is remembered for this host.
#[must_use]
pub fn private_candidate(state: &StateDir, ambient: &Ambient) -> Option<Candidate> {
    let text = std::fs::read_to_string(record(state, ambient)).ok()?;
    let path = PathBuf::from(text.trim_end_matches('\n'));
    // Only what this module could have written is believed.
    let name = path.file_name()?.to_str()?.to_owned();
    let is_ours = name.starts_with(&private_prefix(ambient)) && path.parent() == Some(&ambient.temp_dir());
    is_ours.then_some(Candidate { origin: Origin::Private, path })
}

/// Chooses a private directory that nobody can have planted, makes it, and remembers it for this host. When another
/// daemon of ours does the same, both use the directory of the one who was first.
///
/// # Errors
/// As mkdir(2), and as writing to the state directory.
pub fn make_private(state: &StateDir, ambient: &Ambient) -> io::Result<Candidate> {
    let useless = private_candidate(state, ambient);
    for _ in 0..PRIVATE_ATTEMPTS_MAX {
        let name = format!("{}{:08x}", private_prefix(ambient), random());
        let path = ambient.temp_dir().join(name);
        match nix::unistd::mkdir(&path, Mode::S_IRWXU) {
            Ok(()) => {
                remember(state, ambient, &path, useless.as_ref())?;
                let candidate = private_candidate(state, ambient).ok_or(io::ErrorKind::NotFound)?;
                if candidate.path != path {
                    let _ = std::fs::remove_dir(path);
                }
                return Ok(candidate);
            }
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::EEXIST.into())
}

/// Writes the record whole or not at all, and not over one that somebody else wrote since `useless` was read.
fn remember(state: &StateDir, ambient: &Ambient, path: &Path, useless: Option<&Candidate>) -> io::Result<()> {
    let file = record(state, ambient);
    let new = state.path.join(format!("runtime-{:08x}.new", random()));
    let mut options = std::fs::File::options();
    writeln!(options.write(true).create_new(true).mode(0o600).open(&new)?, "{}", path.display())?;
    if private_candidate(state, ambient).as_ref() == useless {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let linked = std::fs::hard_link(&new, &file);
    let renamed = match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // File systems without hard links: then the last one wins.
        Err(_) => std::fs::rename(&new, &file),
        Ok(()) => Ok(()),
    };
    let _ = std::fs::remove_file(new);
    renamed
}

fn record(state: &StateDir, ambient: &Ambient) -> PathBuf {
    state.path.join(format!("runtime.{}", ambient.host_key().replace('.', "_")))
}

fn private_prefix(ambient: &Ambient) -> String {
    format!("visor-{}-", ambient.name_uid)
}

fn random() -> u32 {
    // Each state is keyed anew by the system's random numbers.
    RandomState::new().hash_one(std::process::id()) as u32
}

#[cfg(test)]
#[path = "state_dir_tests.rs"]
mod tests;
