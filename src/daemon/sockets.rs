//! The control sockets of a daemon: one in every usable directory, and again wherever one vanished.
//!
//! Directories come and go: a logout wipes one, a cleaner another, a login brings one back. They are looked at when
//! something changed in them, never from time to time while they can be watched. Must not accept or speak. Example:
//! the reactor begins with [`Sockets::bind`] and calls [`Sockets::tick`] whenever it woke up.

use super::instance::{Claim, ClaimedDir, Who};
use super::places::{Bound, Looked, Place, id_of};
use super::socket_watch::SocketWatch;
pub use super::socket_watch::Wake;
use crate::model::{Instance, Time};
use crate::sys::ambient::Origin;
use crate::sys::listen;
use crate::sys::lock::{self, Lock, TryLock};
use crate::sys::runtime_dir::{FileId, Missing};
use crate::sys::state_dir::{self, StateDir};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a directory is left alone after a change in it: who removes one removes its files one by one.
const SETTLE: Duration = Duration::from_millis(100);

/// Further looks after a change, each so long after the one before: a directory of a session is made first, and
/// becomes ours and usable a moment later, which nobody tells.
const LOOKS_AFTER: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(700), Duration::from_secs(3), Duration::from_secs(10)];

/// How often directories are looked at that cannot be watched, and one in `/tmp` that somebody else has: who leaves it
/// tells nobody but who watches `/tmp`, where every neighbour could wake us at will.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Most places: all kinds of candidates, and some generations of private directories.
pub const PLACES_MAX: usize = 16;

/// First of the keys under which the keeper holds our locks and listeners.
pub const KEYS_BEGIN: u64 = 0x5000;

/// End of these keys: the deciding lock, and two for each place.
pub const KEYS_END: u64 = KEYS_BEGIN + 1 + 2 * PLACES_MAX as u64;

/// Names a place for as long as the daemon lives.
pub type PlaceKey = usize;

/// What the keeper has to be told.
#[derive(Debug)]
pub enum Hold {
    /// Hold this descriptor under this key, in the place of what was there.
    Keep(u64, OwnedFd),
    /// Hold nothing under this key any more.
    Forget(u64),
}

/// What the keeper held over a reactor's death.
#[derive(Debug, Default)]
pub struct Held {
    /// Locks, for [`super::instance::resume`].
    pub locks: Vec<OwnedFd>,
    /// Listeners of sockets that are bound anew; connections may wait in them.
    pub listeners: Vec<UnixListener>,
}

/// Takes what is ours out of the descriptors that the keeper handed over.
#[must_use]
pub fn take_held(handed: &mut Vec<(u64, OwnedFd)>) -> Held {
    let mut held = Held::default();
    for (key, fd) in handed.extract_if(.., |(key, _)| (KEYS_BEGIN..KEYS_END).contains(key)) {
        if is_lock_key(key) { held.locks.push(fd) } else { held.listeners.push(fd.into()) }
    }
    held
}

fn lock_key(place: PlaceKey) -> u64 {
    KEYS_BEGIN + 1 + 2 * place as u64
}

fn listener_key(place: PlaceKey) -> u64 {
    lock_key(place) + 1
}

fn is_lock_key(key: u64) -> bool {
    key == KEYS_BEGIN || (key - KEYS_BEGIN) % 2 == 1
}

/// What a look at the directories brought. A place whose socket was replaced is in both lists: first stop listening
/// at the old one, after accepting what waits there, then begin with the new one.
#[derive(Debug, Default)]
pub struct Change {
    /// Listeners that are of no use any more; connections may still wait in them.
    pub gone: Vec<(PlaceKey, UnixListener)>,
    /// Places that have a new listener.
    pub appeared: Vec<PlaceKey>,
    /// What people should know.
    pub words: Vec<String>,
}

/// The control sockets.
pub struct Sockets {
    who: Who,
    state: Option<StateDir>,
    deciding: Option<Lock>,
    places: Vec<Place>,
    watch: SocketWatch,
    due: Option<Time>,
    looks_done: usize,
    holds: Vec<Hold>,
}

impl Sockets {
    /// Binds a socket in every directory of the claim, and begins to watch them. `wake` ends the reactor's sleep; it
    /// is called by another thread, and [`Sockets::tick`] has to follow.
    #[must_use]
    pub fn bind(claim: Claim, wake: Wake, now: Time) -> (Sockets, Change) {
        let Claim { who, state, deciding, dirs, refused: _ } = claim;
        let candidates = state_dir::candidates(state.as_ref(), &who.ambient);
        let mut sockets = Sockets {
            places: candidates.into_iter().take(PLACES_MAX).map(Place::new).collect(),
            watch: SocketWatch::start(wake),
            due: None,
            looks_done: LOOKS_AFTER.len(),
            holds: Vec::new(),
            who,
            state,
            deciding: None,
        };
        if let Some(lock) = deciding {
            sockets.hold(KEYS_BEGIN, &lock);
            sockets.deciding = Some(lock);
        }
        let mut change = Change::default();
        for ClaimedDir { dir, lock } in dirs {
            if let Some(key) = sockets.places.iter().position(|place| place.candidate.path == dir.path) {
                let looked = sockets.places[key].use_dir(dir, &sockets.who, Some(lock));
                sockets.note(key, looked, &mut change);
            }
        }
        change.words.clear();
        sockets.look(now, &mut change);
        (sockets, change)
    }

    /// Returns every socket that listens.
    pub fn listeners(&self) -> impl Iterator<Item = (PlaceKey, &UnixListener)> {
        self.bound().map(|(key, bound)| (key, &bound.listening.listener))
    }

    /// Returns the listener of a place, where it has one.
    #[must_use]
    pub fn listener(&self, key: PlaceKey) -> Option<&UnixListener> {
        self.places.get(key)?.bound.as_ref().map(|bound| &bound.listening.listener)
    }

    /// Returns the paths of all sockets, best first.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let name = self.who.instance.socket_name();
        self.bound().map(|(_, bound)| bound.dir.path.join(&name)).collect()
    }

    /// Returns the path that programs are told: one whose directory no logout wipes, where there is one.
    #[must_use]
    pub fn lasting_path(&self) -> Option<PathBuf> {
        let wiped = |origin: Origin| matches!(origin, Origin::Session | Origin::RunUser);
        let best = self.bound().min_by_key(|(key, bound)| (wiped(bound.dir.origin), *key));
        best.map(|(_, bound)| bound.dir.path.join(self.who.instance.socket_name()))
    }

    /// Returns the path of the lock that decides.
    #[must_use]
    pub fn lock_path(&self) -> Option<PathBuf> {
        let state = self.state.as_ref().filter(|_| self.deciding.is_some()).map(|state| &state.path);
        let dir = state.or_else(|| self.bound().next().map(|(_, bound)| &bound.dir.path));
        dir.map(|dir| dir.join(self.who.instance.lock_name()))
    }

    /// Returns the directory for what outlives the daemon on this host; nothing where there is none.
    #[must_use]
    pub fn state_path(&self) -> Option<&Path> {
        self.state.as_ref().map(|state| state.path.as_path())
    }

    /// Returns the folder of this host, and the key that tells the machine, where hosts share the state.
    #[must_use]
    pub fn shared_state(&self) -> Option<(&Path, &str)> {
        let state = self.state.as_ref().filter(|state| state.network.is_some())?;
        Some((&state.path, &self.who.host))
    }

    /// Returns the directories that are there and not used, with the reason.
    pub fn refused(&self) -> impl Iterator<Item = (&Path, &str)> {
        let refused = self.places.iter().filter_map(|place| place.refused.as_ref());
        refused
            .filter(|refused| !refused.absent)
            .map(|refused| (refused.path.as_path(), refused.why.as_str()))
    }

    /// Returns what the keeper is to be told, once.
    #[must_use]
    pub fn take_holds(&mut self) -> Vec<Hold> {
        std::mem::take(&mut self.holds)
    }

    /// Has a new keeper, with this pid, hold everything.
    pub fn hold_again(&mut self, keeper: i32) {
        self.who.pid = keeper;
        self.holds.clear();
        if let Some(lock) = self.deciding.take() {
            self.hold(KEYS_BEGIN, &lock);
            self.deciding = Some(lock);
        }
        for key in 0..self.places.len() {
            self.hold_place(key);
        }
        self.write_notes();
    }

    /// Returns when the directories are to be looked at, whatever happens until then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.due
    }

    /// Looks at the directories where it is time to, or lets them settle where something changed. Costs next to
    /// nothing when neither is so; call it whenever the reactor woke up.
    #[must_use]
    pub fn tick(&mut self, now: Time) -> Option<Change> {
        if self.watch.take() {
            self.looks_done = 0;
            let settled = now.after(SETTLE);
            self.due = Some(self.due.map_or(settled, |due| due.min(settled)));
        }
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        let mut change = Change::default();
        self.look(now, &mut change);
        Some(change)
    }

    /// Removes the sockets that are still ours, as the daemon's last act. The locks of configuration files go too:
    /// there is no end of such files.
    pub fn close(self) {
        let (socket, lock) = (self.who.instance.socket_name(), self.who.instance.lock_name());
        let is_classic = self.who.instance != Instance::Default;
        for (_, bound) in self.bound() {
            listen::remove(&bound.dir, &socket, bound.listening.id);
            if is_classic {
                bound.lock.remove(&bound.dir, &lock);
            }
        }
        if let (Some(state), Some(deciding), true) = (&self.state, &self.deciding, is_classic) {
            deciding.remove(state, &lock);
        }
    }

    fn bound(&self) -> impl Iterator<Item = (PlaceKey, &Bound)> {
        self.places.iter().enumerate().filter_map(|(key, place)| Some((key, place.bound.as_ref()?)))
    }

    /// Makes every place as it should be, and sets the time of the next look.
    fn look(&mut self, now: Time, change: &mut Change) {
        self.watch.set_interesting(self.interesting());
        let mut seen: Vec<FileId> = Vec::new();
        for key in 0..self.places.len() {
            let place = &mut self.places[key];
            // A private directory is made only where there is no other.
            let is_needed = place.candidate.origin != Origin::Private || seen.is_empty();
            let missing = if is_needed { Missing::Make } else { Missing::Leave };
            let looked = place.look(&self.who, &mut seen, missing);
            self.note(key, looked, change);
        }
        if self.bound().next().is_none() {
            self.make_private(change);
        }
        self.relock_state(change);
        if !change.appeared.is_empty() || !change.gone.is_empty() {
            self.write_notes();
        }
        self.watch.follow(&self.directories_to_watch());
        if let Some(trouble) = self.watch.take_trouble() {
            change.words.push(format!("{trouble}; from now on they are looked at every second"));
        }
        self.due = self.next_look().map(|pause| now.after(pause));
    }

    /// How long to wait until the next look that nobody asks for.
    fn next_look(&mut self) -> Option<Duration> {
        // What changed between a look and its watch is seen only now.
        let missed = self.places.iter().any(|place| !place.is_intact(&self.who)).then_some(SETTLE);
        let all_bound = self.places.iter().all(|place| place.bound.is_some());
        let follow_up = LOOKS_AFTER.get(self.looks_done).filter(|_| !all_bound).copied();
        self.looks_done = self.looks_done.saturating_add(1).min(LOOKS_AFTER.len());
        let is_blind = self.bound().any(|(_, bound)| !self.watch.covers(&bound.dir.path))
            || self.places.iter().any(Place::is_squatted);
        missed.into_iter().chain(follow_up).chain(is_blind.then_some(LOOK_EVERY)).min()
    }

    /// Takes in what became of a place.
    fn note(&mut self, key: PlaceKey, looked: Looked, change: &mut Change) {
        let place = &self.places[key];
        let shown = place.candidate.path.display();
        let refused = place.refused.as_ref();
        let why = refused.map(|refused| refused.why.as_str()).unwrap_or_default();
        match looked {
            Looked::Same => {}
            Looked::Refused if refused.is_some_and(|refused| refused.absent) => {}
            Looked::Refused => change.words.push(format!("cannot use {shown} for a control socket: {why}")),
            Looked::Lost(old) => {
                change.words.push(format!("lost the control socket in {shown}: {why}"));
                change.gone.push((key, old));
                self.holds.push(Hold::Forget(lock_key(key)));
                self.holds.push(Hold::Forget(listener_key(key)));
            }
            Looked::Bound(old) => {
                change.words.push(format!("bound the control socket in {shown}"));
                change.gone.extend(old.map(|old| (key, old)));
                change.appeared.push(key);
                self.hold_place(key);
            }
        }
    }

    /// Has the keeper hold lock and listener of a place, where it has them.
    fn hold_place(&mut self, key: PlaceKey) {
        let Some(bound) = self.places.get(key).and_then(|place| place.bound.as_ref()) else { return };
        let fds = [bound.lock.as_fd(), bound.listening.listener.as_fd()].map(|fd| fd.try_clone_to_owned());
        let keys = [lock_key(key), listener_key(key)];
        self.holds.extend(keys.into_iter().zip(fds).filter_map(|(k, fd)| Some(Hold::Keep(k, fd.ok()?))));
    }

    fn hold(&mut self, key: u64, fd: &impl AsFd) {
        // Without a spare descriptor the keeper goes without; the daemon itself still has it.
        if let Ok(fd) = fd.as_fd().try_clone_to_owned() {
            self.holds.push(Hold::Keep(key, fd));
        }
    }

    /// Makes a directory that nobody can have planted, where no other one can be used.
    fn make_private(&mut self, change: &mut Change) {
        let Some(state) = self.state.as_ref().filter(|_| self.places.len() < PLACES_MAX) else { return };
        match state_dir::make_private(state, &self.who.ambient) {
            Ok(candidate) => {
                self.places.push(Place::new(candidate));
                let key = self.places.len() - 1;
                let looked = self.places[key].look(&self.who, &mut Vec::new(), Missing::Leave);
                self.note(key, looked, change);
                self.watch.set_interesting(self.interesting());
            }
            Err(error) => change.words.push(format!("cannot make a private directory: {error}")),
        }
    }

    /// Takes the deciding lock again where its file was removed: it keeps a second daemon out no more.
    fn relock_state(&mut self, change: &mut Change) {
        let name = self.who.instance.lock_name();
        let (Some(state), Some(lock)) = (&self.state, &self.deciding) else { return };
        if lock.is_at(state, &name) && id_of(&state.path) == Some(state.id) {
            return;
        }
        let Ok(state) = state_dir::open(&self.who.ambient, Missing::Make) else { return };
        match lock::try_lock(&state, &name) {
            Ok(TryLock::Held(lock)) => {
                self.hold(KEYS_BEGIN, &lock);
                self.deciding = Some(lock);
                self.state = Some(state);
                self.write_notes();
            }
            Ok(TryLock::HeldBy(_)) => {
                let path = state.path.display();
                change
                    .words
                    .push(format!("the lock in {path} was removed, and another daemon took it since"));
            }
            Err(error) => change.words.push(format!("cannot take the lock again: {error}")),
        }
    }

    fn write_notes(&mut self) {
        let text = self.who.note(self.paths()).to_text();
        let places = self.places.iter_mut().filter_map(|place| place.bound.as_mut());
        for lock in self.deciding.iter_mut().chain(places.map(|bound| &mut bound.lock)) {
            // Only people miss it.
            let _ = lock.write(&text);
        }
    }

    /// The files whose coming and going counts.
    fn interesting(&self) -> Vec<PathBuf> {
        let names = [self.who.instance.socket_name(), self.who.instance.lock_name()];
        let dirs = self.places.iter().map(|place| &place.candidate.path);
        let state = self.state.as_ref().filter(|_| self.deciding.is_some());
        let state_lock = state.map(|state| state.path.join(&names[1]));
        dirs.flat_map(|dir| names.each_ref().map(|name| dir.join(name))).chain(state_lock).collect()
    }

    fn directories_to_watch(&self) -> BTreeMap<PathBuf, FileId> {
        let places = self.places.iter().filter_map(|place| place.to_watch(&self.who));
        let state = self.state.as_ref().filter(|_| self.deciding.is_some()).map(|state| state.path.clone());
        let all = places.chain(state).chain(std::iter::once(self.who.ambient.run_user()));
        all.filter_map(|path| id_of(&path).map(|id| (path, id))).collect()
    }
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
