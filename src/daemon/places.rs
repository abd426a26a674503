//! One directory that control sockets may be in: looked at, locked, bound, lost, bound again.
//!
//! Must not know of other directories but by the list of those that are in use. Example: `place.look(&who, &mut
//! seen, Missing::Make)` says what became of it.

use super::instance::{self, Tried, Who};
use crate::sys::ambient::{Candidate, Origin};
use crate::sys::listen::{self, Listening};
use crate::sys::lock::Lock;
use crate::sys::runtime_dir::{self, FileId, Missing, Refused, RuntimeDir};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A directory that may be used.
pub(super) struct Place {
    pub(super) candidate: Candidate,
    pub(super) bound: Option<Bound>,
    /// Why it is not used.
    pub(super) refused: Option<Refused>,
}

/// A place with its socket.
pub(super) struct Bound {
    pub(super) dir: RuntimeDir,
    pub(super) lock: Lock,
    pub(super) listening: Listening,
}

/// What a look at a place brought.
pub(super) enum Looked {
    /// Nothing new.
    Same,
    /// There is a new socket; the old one, where there was one, is of no use any more.
    Bound(Option<UnixListener>),
    /// The socket is lost.
    Lost(UnixListener),
    /// It is not used, for a reason that was not known before.
    Refused,
}

impl Place {
    /// Returns a place that nobody has looked at.
    pub(super) fn new(candidate: Candidate) -> Place {
        Place { candidate, bound: None, refused: None }
    }

    /// Makes the place as it should be; `seen` has the directories that better places use.
    pub(super) fn look(&mut self, who: &Who, seen: &mut Vec<FileId>, missing: Missing) -> Looked {
        match runtime_dir::open(&self.candidate, &who.ambient, missing) {
            Err(refused) => self.lose(refused),
            Ok(dir) if seen.contains(&dir.id) => {
                let why = "it is one of the other directories by another name".to_owned();
                self.lose(Refused { path: dir.path, why, absent: true })
            }
            Ok(dir) => {
                seen.push(dir.id);
                self.use_dir(dir, who, None)
            }
        }
    }

    /// Uses a directory, with a lock in it that is ours already where there is one.
    pub(super) fn use_dir(&mut self, dir: RuntimeDir, who: &Who, lock: Option<Lock>) -> Looked {
        let name = who.instance.lock_name();
        if self.bound.as_ref().is_some_and(|bound| bound.dir.id == dir.id && bound.is_intact(who)) {
            return Looked::Same;
        }
        let (mut old, mut lock) = (None, lock);
        if let Some(bound) = self.bound.take() {
            lock = lock.or_else(|| bound.lock.is_at(&dir, &name).then_some(bound.lock));
            old = Some(bound.listening.listener);
        }
        let lock = match lock {
            Some(lock) => Ok(lock),
            None => match instance::try_noted_lock(&dir, &name) {
                Ok(Tried::Held(lock)) => Ok(lock),
                Ok(Tried::HeldBy(note)) => Err(instance::taken(&dir, &note)),
                Err(error) => Err(instance::refusal(&dir.path, &error)),
            },
        };
        let bound = lock.and_then(|lock| {
            let listening = listen::bind(&dir, &who.instance.socket_name()).map_err(|error| {
                let why = format!("a socket cannot be bound in it: {error}");
                Refused { path: dir.path.clone(), why, absent: false }
            })?;
            Ok(Bound { dir, lock, listening })
        });
        match (bound, old) {
            (Ok(bound), old) => {
                self.bound = Some(bound);
                self.refused = None;
                Looked::Bound(old)
            }
            (Err(refused), Some(old)) => {
                self.refused = Some(refused);
                Looked::Lost(old)
            }
            (Err(refused), None) => self.lose(refused),
        }
    }

    fn lose(&mut self, refused: Refused) -> Looked {
        let is_news = self.refused.as_ref() != Some(&refused);
        self.refused = Some(refused);
        match self.bound.take() {
            Some(bound) => Looked::Lost(bound.listening.listener),
            None if is_news => Looked::Refused,
            None => Looked::Same,
        }
    }

    /// Whether the path still leads to our socket.
    pub(super) fn is_intact(&self, who: &Who) -> bool {
        let Some(bound) = &self.bound else { return true };
        id_of(&bound.dir.path) == Some(bound.dir.id) && bound.is_intact(who)
    }

    /// Whether somebody else has what would be our directory in `/tmp`.
    pub(super) fn is_squatted(&self) -> bool {
        let is_there = self.refused.as_ref().is_some_and(|refused| !refused.absent);
        self.candidate.origin == Origin::Temp && is_there
    }

    /// Returns the directory in which a change could make the place usable, or unusable: itself, or what is above it
    /// when it is not there. Never one in which others make files.
    pub(super) fn to_watch(&self, who: &Who) -> Option<PathBuf> {
        let path = &self.candidate.path;
        let is_absent = self.refused.as_ref().is_some_and(|refused| refused.absent);
        let there = if is_absent { path.ancestors().skip(1).find(|path| path.is_dir())? } else { path };
        let found = std::fs::metadata(there).ok()?;
        let is_ours = found.uid() == who.ambient.uid && found.mode() & OTHERS_WRITE == 0 && found.is_dir();
        is_ours.then(|| there.to_path_buf())
    }
}

/// Permission bits that let others make files.
const OTHERS_WRITE: u32 = 0o022;

impl Bound {
    /// Whether lock and socket are still under their names.
    fn is_intact(&self, who: &Who) -> bool {
        self.lock.is_at(&self.dir, &who.instance.lock_name())
            && listen::is_at(&self.dir, &who.instance.socket_name(), self.listening.id)
    }
}

/// Returns which file a path leads to.
pub(super) fn id_of(path: &Path) -> Option<FileId> {
    nix::sys::stat::stat(path).ok().map(|found| FileId::of(&found))
}
