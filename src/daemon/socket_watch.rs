//! Notices when a directory for sockets changes, without a wake-up for what neighbours do.
//!
//! One thread, that of `notify`, looks at file names and wakes the reactor when one of ours is meant; it decides
//! nothing. Watched are directories of our own, and `/run/user`; never `/tmp`. Example: `watch.follow(&paths)` after
//! each look at the directories, `watch.take()` when the reactor woke up.

use crate::sys::runtime_dir::FileId;
use crate::sys::signals;
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

/// Ends the reactor's sleep; called by another thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What the two threads share.
#[derive(Default)]
struct Shared {
    /// Something changed since the reactor looked.
    changed: AtomicBool,
    /// Files and directories that count.
    interesting: RwLock<Vec<PathBuf>>,
}

/// The watched directories.
pub(super) struct SocketWatch {
    shared: Arc<Shared>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, FileId>,
    /// Why watching does not work, until it is said.
    trouble: Option<String>,
}

impl SocketWatch {
    /// Starts to watch nothing. Without a watcher the directories have to be looked at from time to time.
    pub(super) fn start(wake: Wake) -> SocketWatch {
        let shared = Arc::new(Shared::default());
        let (watcher, trouble) = match watcher(Arc::clone(&shared), wake) {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error)),
        };
        SocketWatch { shared, watcher, watched: BTreeMap::new(), trouble }
    }

    /// Says which files count; a change of what is above them counts as well.
    pub(super) fn set_interesting(&self, files: Vec<PathBuf>) {
        if let Ok(mut interesting) = self.shared.interesting.write() {
            *interesting = files;
        }
    }

    /// Watches exactly these directories; where a path leads to another one by now, that one.
    pub(super) fn follow(&mut self, wanted: &BTreeMap<PathBuf, FileId>) {
        let Some(watcher) = &mut self.watcher else { return };
        self.watched.retain(|path, id| {
            let stays = wanted.get(path) == Some(id);
            if !stays {
                // The directory may have ended, and its watch with it.
                let _ = watcher.unwatch(path);
            }
            stays
        });
        for (path, id) in wanted {
            if self.watched.contains_key(path) {
                continue;
            }
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(path.clone(), *id)),
                // It has just vanished: the next look finds that out.
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                Err(error) => self.trouble = Some(format!("cannot watch {}: {error}", path.display())),
            }
        }
    }

    /// Whether this directory is watched.
    pub(super) fn covers(&self, path: &Path) -> bool {
        self.watched.contains_key(path)
    }

    /// Whether something changed since the last time this was asked.
    pub(super) fn take(&self) -> bool {
        self.shared.changed.swap(false, Ordering::AcqRel)
    }

    /// Returns why watching does not work, once.
    pub(super) fn take_trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }
}

fn watcher(shared: Arc<Shared>, wake: Wake) -> Result<RecommendedWatcher, String> {
    let handler = move |result: notify::Result<Event>| {
        if !concerns(&result, &shared) {
            return;
        }
        // One wake-up is enough until the reactor has looked.
        if !shared.changed.swap(true, Ordering::AcqRel) {
            wake();
        }
    };
    let failed = |error: &dyn std::fmt::Display| format!("cannot watch directories: {error}");
    // Signals are for the reactor: the new thread inherits this mask.
    let mask = signals::block_all().map_err(|error| failed(&error))?;
    let watcher = RecommendedWatcher::new(handler, Config::default());
    signals::restore(&mask).map_err(|error| failed(&error))?;
    watcher.map_err(|error| failed(&error))
}

/// Whether an event may mean one of our files. Its kind says little, but that something was only read.
fn concerns(result: &notify::Result<Event>, shared: &Shared) -> bool {
    let Ok(event) = result else { return true };
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    let Ok(interesting) = shared.interesting.read() else { return true };
    let meant = |path: &PathBuf| interesting.iter().any(|file| file.starts_with(path));
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(meant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, CreateKind, Flag};

    fn shared(files: &[&str]) -> Shared {
        Shared { interesting: RwLock::new(files.iter().map(PathBuf::from).collect()), ..Shared::default() }
    }

    #[test]
    fn only_our_own_names_wake_anybody() {
        let shared = shared(&["/run/user/1/visor/default.sock", "/run/user/1/visor/default.lock"]);
        let create = |path: &str| Ok(Event::new(EventKind::Create(CreateKind::Any)).add_path(path.into()));
        for (path, ours) in [
            ("/run/user/1/visor/default.sock", true),
            ("/run/user/1/visor", true),
            ("/run/user/1", true),
            ("/run/user/2", false),
            ("/run/user/1/visor/default.sock.new", false),
            ("/run/user/1/visor/visord.pid", false),
            ("/run/user/1/other", false),
        ] {
            assert_eq!(concerns(&create(path), &shared), ours, "{path}");
        }
    }

    #[test]
    fn what_was_only_read_wakes_nobody_and_what_is_unclear_does() {
        let shared = shared(&["/a/b"]);
        let read = Event::new(EventKind::Access(AccessKind::Any)).add_path("/a/b".into());
        assert!(!concerns(&Ok(read), &shared));
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(concerns(&Ok(lost), &shared));
        assert!(concerns(&Err(notify::Error::generic("overflow")), &shared));
    }
}
