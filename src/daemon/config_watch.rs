//! Notices when a file of the configuration changes, and reads it when it stands still.
//!
//! The thread of `notify` looks at names and wakes the reactor when one of ours is meant. The rest runs on the disk
//! worker: it may wait for a file system. Must not decide what is done about a change. Example:
//! `watch.read(&request)` returns what the files say, and from then on `shared.take()` tells of a change.

use super::config_sources::{Recorder, Sources, Spots};
use super::socket_watch::Wake;
use crate::config::{self, LoadRequest, Loaded, glob};
use crate::sys::runtime_dir::FileId;
use crate::sys::signals;
use crate::sys::statfs::{Locality, locality};
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// How often a configuration is read that changes meanwhile, before it is left alone for a moment.
const READS_MAX: usize = 3;

/// What is looked for in the events.
#[derive(Default)]
struct Wanted {
    spots: Spots,
    /// Patterns of the names of further files.
    names: BTreeSet<String>,
}

impl Wanted {
    fn is_meant(&self, path: &Path) -> bool {
        let at_or_below = self.spots.files.range::<Path, _>((Bound::Included(path), Bound::Unbounded)).next();
        if at_or_below.is_some_and(|file| file.starts_with(path)) {
            return true;
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return false };
        let name = name.to_string_lossy();
        self.spots.lists.contains(parent) && self.names.iter().any(|pattern| glob::takes(pattern, &name))
    }
}

/// What the threads share.
#[derive(Default)]
pub(super) struct Shared {
    /// Something changed since the reactor looked.
    changed: AtomicBool,
    wanted: RwLock<Wanted>,
    /// Files that were changed by somebody who has them still open.
    writing: Mutex<BTreeSet<PathBuf>>,
    /// Directories that have to be watched anew, and whether all have.
    lost: Mutex<BTreeSet<PathBuf>>,
    all_lost: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Whether something changed since this was last asked.
    pub(super) fn take(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    /// Whether a file is being written that counts.
    pub(super) fn is_being_written(&self) -> bool {
        !locked(&self.writing).is_empty()
    }

    /// Whether an event may mean one of our files; what is only read does not count.
    fn concerns(&self, result: &notify::Result<Event>) -> bool {
        let Ok(event) = result else { return self.lose_all() };
        if event.need_rescan() || event.paths.is_empty() {
            return self.lose_all();
        }
        let is_closed = event.kind == EventKind::Access(AccessKind::Close(AccessMode::Write));
        if matches!(event.kind, EventKind::Access(_)) && !is_closed {
            return false;
        }
        let Ok(wanted) = self.wanted.read() else { return true };
        let mut is_meant = false;
        for path in event.paths.iter().filter(|path| wanted.is_meant(path)) {
            is_meant = true;
            self.note(event.kind, path, &wanted);
        }
        is_meant
    }

    /// Events were lost: nothing is known of who writes, nor of what is watched.
    fn lose_all(&self) -> bool {
        locked(&self.writing).clear();
        self.all_lost.store(true, Ordering::Release);
        true
    }

    fn note(&self, kind: EventKind, path: &Path, wanted: &Wanted) {
        match kind {
            // Only Linux tells of the end of it.
            EventKind::Modify(ModifyKind::Data(_)) if cfg!(target_os = "linux") => {
                locked(&self.writing).insert(path.to_path_buf());
            }
            EventKind::Access(_) => drop(locked(&self.writing).remove(path)),
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                locked(&self.writing).remove(path);
                if wanted.spots.dirs.contains(path) {
                    locked(&self.lost).insert(path.to_path_buf());
                }
            }
            _ => {}
        }
    }
}

/// What a look at files that cannot be watched brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// They are as they were read.
    Same,
    /// They differ, and may still be changing.
    Changing,
    /// They differ, and have been the same for two looks.
    Changed,
}

/// A configuration that was read.
pub(super) struct Reading {
    /// What it says.
    pub(super) loaded: Loaded,
    /// Its files that are there and not empty.
    pub(super) present: BTreeSet<PathBuf>,
    /// Whether nothing changed while it was read.
    pub(super) is_stable: bool,
    /// Why the files have to be looked at from time to time, where they do.
    pub(super) trouble: Option<String>,
}

/// The watched files.
pub(super) struct ConfigWatch {
    shared: Arc<Shared>,
    wake: Wake,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, FileId>,
    sources: Sources,
    last_look: Sources,
}

impl ConfigWatch {
    /// Watches nothing yet. `wake` ends the reactor's sleep.
    pub(super) fn new(wake: Wake) -> (ConfigWatch, Arc<Shared>) {
        let shared = Arc::new(Shared::default());
        let watch = ConfigWatch {
            shared: Arc::clone(&shared),
            wake,
            watcher: None,
            watched: BTreeMap::new(),
            sources: Sources::default(),
            last_look: Sources::default(),
        };
        (watch, shared)
    }

    /// Reads a configuration, again where it changes meanwhile, and watches what it was read from.
    pub(super) fn read(&mut self, request: &LoadRequest) -> Reading {
        let mut reads = 0;
        loop {
            let recorder = Recorder::default();
            let loaded = config::load(request, &recorder);
            self.sources = recorder.into_sources();
            let trouble = self.follow(self.sources.spots(), &loaded.names).err();
            reads += 1;
            // Looked at once more after the watch began: what comes from now on is told.
            let is_stable = self.sources.are_same();
            if is_stable || reads == READS_MAX {
                self.last_look = self.sources.clone();
                return Reading { loaded, present: self.sources.present(), is_stable, trouble };
            }
        }
    }

    /// Looks at files that cannot be watched.
    pub(super) fn look(&mut self) -> Looked {
        let now = self.sources.again();
        let looked = match () {
            () if now == self.sources => Looked::Same,
            () if now == self.last_look => Looked::Changed,
            () => Looked::Changing,
        };
        self.last_look = now;
        looked
    }

    /// Watches exactly these places.
    fn follow(&mut self, spots: Spots, names: &BTreeSet<String>) -> Result<(), String> {
        let wanted = spots.identified();
        if let Ok(mut shared) = self.shared.wanted.write() {
            *shared = Wanted { spots, names: names.clone() };
        }
        let all_lost = self.shared.all_lost.swap(false, Ordering::AcqRel);
        let lost = std::mem::take(&mut *locked(&self.shared.lost));
        let stays =
            |path: &Path, id: &FileId| !all_lost && wanted.get(path) == Some(id) && !lost.contains(path);
        let gone: Vec<PathBuf> =
            self.watched.iter().filter(|(path, id)| !stays(path, id)).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.watched.remove(&path);
            if let Some(watcher) = &mut self.watcher {
                // The directory may have ended, and its watch with it.
                let _ = watcher.unwatch(&path);
            }
        }
        for (path, id) in &wanted {
            if !self.watched.contains_key(path) && self.watch(path)? {
                self.watched.insert(path.clone(), *id);
            }
        }
        Ok(())
    }

    /// Begins to watch a directory; one that has just vanished is found missing by the next look.
    fn watch(&mut self, path: &Path) -> Result<bool, String> {
        let kind = std::fs::File::open(path).and_then(|directory| locality(&directory));
        if let Ok(Locality::Network(name)) = kind {
            return Err(format!("{} is on a network file system ({name})", path.display()));
        }
        if self.watcher.is_none() {
            self.watcher = Some(watcher(Arc::clone(&self.shared), Arc::clone(&self.wake))?);
        }
        let Some(watcher) = &mut self.watcher else { return Ok(false) };
        match watcher.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => Ok(false),
            Err(error) => Err(format!("cannot watch {}: {}", path.display(), reason(&error))),
        }
    }
}

/// Returns what failed, in words that tell what to do.
fn reason(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "no inotify watches are left (fs.inotify.max_user_watches)".to_owned()
        }
        notify::ErrorKind::Io(io) => io.to_string(),
        _ => error.to_string(),
    }
}

fn watcher(shared: Arc<Shared>, wake: Wake) -> Result<RecommendedWatcher, String> {
    let handler = move |result: notify::Result<Event>| {
        // One wake-up is enough until the reactor has looked.
        if shared.concerns(&result) && !shared.changed.swap(true, Ordering::AcqRel) {
            wake();
        }
    };
    let failed = |why: String| format!("cannot watch the configuration: {why}");
    // Signals are for the reactor: the new thread inherits this mask.
    let mask = signals::block_all().map_err(|error| failed(error.to_string()))?;
    let watcher = RecommendedWatcher::new(handler, Config::default());
    signals::restore(&mask).map_err(|error| failed(error.to_string()))?;
    watcher.map_err(|error| failed(reason(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessMode, CreateKind, DataChange, Flag, RemoveKind};

    fn shared() -> Shared {
        let spots = Spots {
            dirs: BTreeSet::from(["/c".into(), "/c/conf.d".into()]),
            files: ["/c/visor.conf", "/c/conf.d", "/c/conf.d/a.conf"].iter().map(PathBuf::from).collect(),
            lists: BTreeSet::from(["/c/conf.d".into()]),
        };
        let names = ["conf.d", "*.conf"].iter().map(|&name| name.to_owned()).collect();
        Shared { wanted: RwLock::new(Wanted { spots, names }), ..Shared::default() }
    }

    fn event(kind: EventKind, path: &str) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path(path.into()))
    }

    #[test]
    fn only_files_of_the_configuration_wake_anybody() {
        let shared = shared();
        for (path, ours) in [
            ("/c/visor.conf", true),
            ("/c/conf.d/a.conf", true),
            ("/c/conf.d/new.conf", true),
            ("/c/conf.d", true),
            ("/c", true),
            ("/", true),
            ("/c/other.conf", false),
            ("/c/conf.d/a.conf~", false),
            ("/c/conf.d/.a.conf.swp", false),
            ("/c/conf.d/.#a.conf", false),
            ("/c/conf.d/4913", false),
            ("/c/conf.d/a.conf.rpmsave", false),
            ("/c/conf.d/a.conf.dpkg-new", false),
            ("/cc", false),
        ] {
            let created = event(EventKind::Create(CreateKind::Any), path);
            assert_eq!(shared.concerns(&created), ours, "{path}");
        }
    }

    #[test]
    fn what_is_only_read_is_no_change_and_a_writer_is_known_until_it_closes() {
        let shared = shared();
        let file = "/c/conf.d/a.conf";
        assert!(!shared.concerns(&event(EventKind::Access(AccessKind::Open(AccessMode::Any)), file)));
        let write = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let close = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(shared.concerns(&event(write, file)));
        assert_eq!(shared.is_being_written(), cfg!(target_os = "linux"));
        assert!(shared.concerns(&event(close, file)) && !shared.is_being_written());
        shared.concerns(&event(write, file));
        shared.concerns(&event(EventKind::Remove(RemoveKind::File), file));
        assert!(!shared.is_being_written(), "nobody waits for what is gone");
    }

    #[test]
    fn lost_events_and_lost_directories_are_watched_anew() {
        let shared = shared();
        assert!(shared.concerns(&event(EventKind::Remove(RemoveKind::Folder), "/c/conf.d")));
        assert_eq!(*locked(&shared.lost), BTreeSet::from([PathBuf::from("/c/conf.d")]));
        for lost in
            [Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)), Err(notify::Error::generic("overflow"))]
        {
            assert!(shared.concerns(&lost) && shared.all_lost.swap(false, Ordering::AcqRel));
        }
    }

    #[test]
    fn files_that_cannot_be_watched_are_read_when_they_stand_still() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("v.conf");
        std::fs::write(&file, "[supervisord]\n")?;
        let (mut watch, _) = ConfigWatch::new(Arc::new(|| {}));
        let reading = watch.read(&LoadRequest::of(&file));
        assert!(reading.is_stable && reading.loaded.settings.is_some());
        assert_eq!(watch.look(), Looked::Same);
        std::fs::write(&file, "[supervisord]\n[program:a]\n")?;
        assert_eq!((watch.look(), watch.look()), (Looked::Changing, Looked::Changed));
        std::fs::write(&file, "[supervisord]\n[program:a]\ncommand=c\n")?;
        assert_eq!((watch.look(), watch.look()), (Looked::Changing, Looked::Changed));
        watch.read(&LoadRequest::of(&file));
        assert_eq!(watch.look(), Looked::Same);
        Ok(())
    }
}
