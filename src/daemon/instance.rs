//! Who this daemon is, and whether it may start: one per user, host and configuration, whatever races.
//!
//! A lock in the state directory decides where that is local; the locks of the directories for sockets catch those
//! who see other directories, a socket that answers and the process table the rest. No pid file is believed. Must
//! not bind anything. Example:
//!
//! ```no_run
//! use visor::daemon::instance::{Outcome, Who, claim};
//! use visor::sys::ambient::Ambient;
//! let who = Who::xdg(Ambient::real(), 4711).unwrap();
//! match claim(&who) {
//!     Outcome::Start(claim) => println!("state in {:?}", claim.state_path()),
//!     Outcome::AlreadyRunning(other) => println!("already running, pid {}", other.pid),
//! }
//! ```

use crate::model::Pid;
use crate::model::instance::{Instance, LockNote};
use crate::model::spec::XdgRoots;
use crate::sys::ambient::{Ambient, Origin};
use crate::sys::listen;
use crate::sys::locald::{self, NOTE_ATTEMPTS, NOTE_PAUSE_MS};
use crate::sys::lock::{self, Lock, TryLock};
use crate::sys::runtime_dir::{self, FileId, Missing, Refused, RuntimeDir};
use crate::sys::state_dir::{self, StateDir};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a daemon that was found may take to take a connection in, before it counts as silent.
const ANSWER_PATIENCE: Duration = Duration::from_millis(200);

/// How long a daemon that answers nowhere is waited for: one that is ending has closed its sockets and has its locks
/// until its keeper has gone, which is given a second, and one whose directories were wiped binds new sockets as fast.
const SILENT_PATIENCE: Duration = Duration::from_secs(3);
/// How long until it is tried again.
const SILENT_PAUSE_MS: u8 = 50;

/// Times that a rival is looked at which has only begun as well, and the pause between, in milliseconds: it gives up
/// or goes on within moments, and a second is all that anybody waits.
const RIVAL_ATTEMPTS: usize = 50;
const RIVAL_PAUSE_MS: u8 = 20;

/// What makes a daemon this one and no other of its user, for as long as it lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name in file names.
    pub instance: Instance,
    /// Where its configuration comes from: a directory, or in classic mode a file; links followed.
    pub config: PathBuf,
}

/// A daemon's identity, and where it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Its name in file names.
    pub instance: Instance,
    /// Where its configuration comes from: see [`Identity`].
    pub config: PathBuf,
    /// Which of the machines that share the home this is.
    pub host: String,
    /// The keeper's process id, for notes.
    pub pid: i32,
    /// The surroundings.
    pub ambient: Ambient,
}

impl Who {
    /// Returns the user's own daemon; nothing where the user has no home and names no directory.
    #[must_use]
    pub fn xdg(ambient: Ambient, pid: i32) -> Option<Who> {
        let config = canonical(ambient.config_root()?);
        Some(Who { instance: Instance::Default, config, host: ambient.host_key(), pid, ambient })
    }

    /// Returns the daemon of a configuration file.
    #[must_use]
    pub fn classic(ambient: Ambient, file: &Path, pid: i32) -> Who {
        let config = canonical(file.to_path_buf());
        Who { instance: Instance::classic(&config), config, host: ambient.host_key(), pid, ambient }
    }

    /// Returns the daemon of this identity in other surroundings.
    #[must_use]
    pub fn of(identity: Identity, ambient: Ambient, pid: i32) -> Who {
        let Identity { instance, config } = identity;
        Who { instance, config, host: ambient.host_key(), pid, ambient }
    }

    /// Returns what lasts of it.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity { instance: self.instance, config: self.config.clone() }
    }

    /// Returns what the holder of this daemon's locks writes into them.
    #[must_use]
    pub fn note(&self, sockets: Vec<PathBuf>) -> LockNote {
        let Who { config, host, pid, .. } = self.clone();
        LockNote { pid, config, host, claiming: false, sockets }
    }
}

/// The path with all links followed, where it is there by now.
fn canonical(path: PathBuf) -> PathBuf {
    std::fs::canonicalize(&path).unwrap_or(path)
}

/// Whether this daemon may start.
#[derive(Debug)]
pub enum Outcome {
    /// Nobody else is it: go on, and keep the claim.
    Start(Box<Claim>),
    /// Somebody is.
    AlreadyRunning(Other),
}

/// The daemon that was there first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Other {
    /// Its process, for people; 0 where nobody knows.
    pub pid: i32,
    /// A socket of it that takes connections, by a path that leads there from here.
    pub socket: Option<PathBuf>,
    /// Whether it has only begun to start itself.
    pub claiming: bool,
}

/// A directory for sockets whose lock is ours.
#[derive(Debug)]
pub struct ClaimedDir {
    /// The directory.
    pub dir: RuntimeDir,
    /// Its lock.
    pub lock: Lock,
}

/// Everything that makes this process the daemon.
#[derive(Debug)]
pub struct Claim {
    /// Who it is.
    pub who: Who,
    /// Where its state is; nothing where there is no usable directory.
    pub state: Option<StateDir>,
    /// The lock in the state directory, where that decides.
    pub deciding: Option<Lock>,
    /// Directories for sockets, best first.
    pub dirs: Vec<ClaimedDir>,
    /// Directories that are not used, and why.
    pub refused: Vec<Refused>,
}

impl Claim {
    /// Returns where the daemon's state is.
    #[must_use]
    pub fn state_path(&self) -> Option<&Path> {
        self.state.as_ref().map(|state| state.path.as_path())
    }

    /// Returns the directories of the configuration's defaults; nothing without a state directory.
    #[must_use]
    pub fn xdg_roots(&self) -> Option<XdgRoots> {
        let state = self.state_path()?.to_path_buf();
        let runtime = self.dirs.first().map_or_else(|| state.clone(), |first| first.dir.path.clone());
        Some(XdgRoots { config: self.who.config.clone(), state, runtime })
    }
}

/// Becomes the daemon, unless there is one. One that is just ending is waited for.
#[must_use]
pub fn claim(who: &Who) -> Outcome {
    let since = Instant::now();
    loop {
        match try_claim(who) {
            Outcome::AlreadyRunning(Other { socket: None, claiming: false, .. })
                if since.elapsed() < SILENT_PATIENCE =>
            {
                let _ = nix::poll::poll(&mut [], SILENT_PAUSE_MS);
            }
            outcome => return outcome,
        }
    }
}

fn try_claim(who: &Who) -> Outcome {
    let (mut claim, usable) = look_around(who);
    let name = who.instance.lock_name();
    if let Some(state) = claim.state.as_ref().filter(|state| state.network.is_none()) {
        match try_noted_lock(state, &name) {
            Ok(Tried::Held(lock)) => claim.deciding = Some(lock),
            Ok(Tried::HeldBy(note)) => return Outcome::AlreadyRunning(other(who, &usable, &note)),
            // Without locks here, those of the directories for sockets decide.
            Err(error) => claim.refused.push(refusal(&state.path, &error)),
        }
    }
    if let Err((note, usable)) = lock_all(&mut claim, usable) {
        return Outcome::AlreadyRunning(other(who, &usable, &note));
    }
    // Its locks are gone, and it has not taken them again yet.
    if let Some(socket) = claim.dirs.iter().find_map(|claimed| answering(&claimed.dir, who)) {
        return Outcome::AlreadyRunning(Other { socket: Some(socket), ..Other::default() });
    }
    write_notes(&mut claim);
    match rival(who) {
        Some(other) => Outcome::AlreadyRunning(other),
        None => Outcome::Start(Box::new(claim)),
    }
}

/// Goes on as the daemon with the locks that the keeper held over the reactor's death. What is not locked any more
/// is locked again when the sockets are looked after.
#[must_use]
pub fn resume(who: &Who, locks: Vec<OwnedFd>) -> Claim {
    let (mut claim, usable) = look_around(who);
    let name = who.instance.lock_name();
    let mut held: Vec<Lock> = locks.into_iter().filter_map(|fd| Lock::adopt(fd).ok()).collect();
    let mut take = |dir: BorrowedFd<'_>| {
        let at = held.iter().position(|lock| lock.is_at(&dir, &name))?;
        Some(held.swap_remove(at))
    };
    claim.deciding = claim.state.as_ref().and_then(|state| take(state.as_fd()));
    for dir in usable {
        if let Some(lock) = take(dir.as_fd()) {
            claim.dirs.push(ClaimedDir { dir, lock });
        }
    }
    claim
}

/// Opens everything that may be of use, and locks nothing.
fn look_around(who: &Who) -> (Claim, Vec<RuntimeDir>) {
    let (state, mut refused) = match state_dir::open(&who.ambient, Missing::Make) {
        Ok(state) => (Some(state), Vec::new()),
        Err(refused) => (None, refused),
    };
    let candidates = state_dir::candidates(state.as_ref(), &who.ambient);
    let (private, others): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| candidate.origin == Origin::Private);
    let mut survey = runtime_dir::survey(&others, &who.ambient, Missing::Make);
    if survey.usable.is_empty() {
        let made = || state.as_ref().and_then(|state| state_dir::make_private(state, &who.ambient).ok());
        survey.usable = runtime_dir::survey(&private, &who.ambient, Missing::Make).usable;
        if survey.usable.is_empty()
            && let Some(candidate) = made()
        {
            survey.usable.extend(runtime_dir::open(&candidate, &who.ambient, Missing::Leave));
        }
    }
    refused.extend(survey.refused);
    (Claim { who: who.clone(), state, deciding: None, dirs: Vec::new(), refused }, survey.usable)
}

/// Takes the locks of all directories, in an order that is the same for everybody: of two who race, the one who
/// gets the first that both see gets all. Gives everything back when another daemon of this configuration has one.
fn lock_all(claim: &mut Claim, usable: Vec<RuntimeDir>) -> Result<(), (LockNote, Vec<RuntimeDir>)> {
    let name = claim.who.instance.lock_name();
    let mut order: Vec<&RuntimeDir> = usable.iter().collect();
    order.sort_by_key(|dir| dir.id);
    let mut locks: Vec<(FileId, Lock)> = Vec::new();
    for dir in order {
        match try_noted_lock(dir, &name) {
            Ok(Tried::Held(lock)) => locks.push((dir.id, lock)),
            Ok(Tried::HeldBy(note)) if is_same(&note, &claim.who) => {
                drop(locks);
                return Err((note, usable));
            }
            Ok(Tried::HeldBy(note)) => claim.refused.push(taken(dir, &note)),
            Err(error) => claim.refused.push(refusal(&dir.path, &error)),
        }
    }
    for dir in usable {
        if let Some(at) = locks.iter().position(|(id, _)| *id == dir.id) {
            let (_, lock) = locks.swap_remove(at);
            claim.dirs.push(ClaimedDir { dir, lock });
        }
    }
    Ok(())
}

/// What came of trying a lock, with the holder's note.
#[derive(Debug)]
pub(super) enum Tried {
    /// It is ours.
    Held(Lock),
    /// Somebody else holds it.
    HeldBy(LockNote),
}

/// Tries a lock, and waits a moment for the note of a holder that has just taken it, or that only asked who has it.
///
/// # Errors
/// As [`lock::try_lock`].
pub(super) fn try_noted_lock(dir: &impl AsFd, name: &str) -> std::io::Result<Tried> {
    for _ in 0..NOTE_ATTEMPTS {
        match lock::try_lock(dir, name)? {
            TryLock::Held(lock) => return Ok(Tried::Held(lock)),
            TryLock::HeldBy(text) if LockNote::is_whole(&text) => {
                return Ok(Tried::HeldBy(LockNote::parse(&text)));
            }
            TryLock::HeldBy(_) => {
                let _ = nix::poll::poll(&mut [], NOTE_PAUSE_MS);
            }
        }
    }
    Ok(Tried::HeldBy(LockNote::default()))
}

/// Whether a note is by the same daemon as ours; one that says nothing is taken for that.
pub(super) fn is_same(note: &LockNote, who: &Who) -> bool {
    let is_empty = note.config.as_os_str().is_empty();
    is_empty || (note.config == who.config && note.host == who.host)
}

/// Says that a directory serves another daemon of ours.
pub(super) fn taken(dir: &RuntimeDir, note: &LockNote) -> Refused {
    let why = format!("the daemon of {} (pid {}) uses it", note.config.display(), note.pid);
    Refused { path: dir.path.clone(), why, absent: false }
}

/// Says that a directory cannot be locked.
pub(super) fn refusal(path: &Path, error: &std::io::Error) -> Refused {
    Refused { path: path.to_path_buf(), why: format!("its lock cannot be taken: {error}"), absent: false }
}

/// Writes into all locks who we are and that we have only begun. Where it cannot be written, those who see other
/// directories cannot know.
fn write_notes(claim: &mut Claim) {
    let note = LockNote { claiming: true, ..claim.who.note(Vec::new()) };
    let text = note.to_text();
    let locks = claim.dirs.iter_mut().map(|claimed| &mut claimed.lock);
    for lock in claim.deciding.iter_mut().chain(locks) {
        let _ = lock.write(&text);
    }
}

/// Returns where the daemon that wrote a note takes connections: where it says, in a directory that we see, or by
/// way of its process, which may see another `/tmp`.
fn other(who: &Who, usable: &[RuntimeDir], note: &LockNote) -> Other {
    let there = note.sockets.iter().find(|socket| answers_at(socket, who)).cloned();
    let here = || usable.iter().find_map(|dir| answering(dir, who));
    let lost = || lost_daemon(who).and_then(|found| found.1.socket);
    Other { pid: note.pid, socket: there.or_else(here).or_else(lost), claiming: note.claiming }
}

/// Returns the daemon that shares no directory with us and was there first. Of two who have only begun, the one with
/// the greater pid gives up; the other waits for that, because it may have been overlooked.
fn rival(who: &Who) -> Option<Other> {
    for _ in 0..RIVAL_ATTEMPTS {
        let (note, other) = lost_daemon(who)?;
        if !note.claiming || note.pid < who.pid {
            return Some(other);
        }
        let _ = nix::poll::poll(&mut [], RIVAL_PAUSE_MS);
    }
    lost_daemon(who).map(|(_, other)| other)
}

/// Looks for this very daemon among the processes.
fn lost_daemon(who: &Who) -> Option<(LockNote, Other)> {
    let own = [crate::sys::process::own_pid(), Pid(who.pid)];
    let found = locald::find(&who.instance.lock_name(), who.ambient.uid).into_iter().find(|one| {
        let is_ours = one.note.config == who.config && one.note.host == who.host;
        is_ours && !own.contains(&one.pid)
    })?;
    let socket = found.sockets.iter().find(|socket| answers_at(socket, who)).cloned();
    let other = Other { pid: found.pid.0, socket, claiming: found.note.claiming };
    Some((found.note, other))
}

/// Returns the path of the socket in a directory where a process of ours takes connections.
fn answering(dir: &RuntimeDir, who: &Who) -> Option<PathBuf> {
    let name = who.instance.socket_name();
    let stream = listen::connect(dir, &name, ANSWER_PATIENCE).ok()?;
    is_own(&stream, who).then(|| dir.path.join(name))
}

fn answers_at(socket: &Path, who: &Who) -> bool {
    listen::connect_path(socket, ANSWER_PATIENCE).is_ok_and(|stream| is_own(&stream, who))
}

fn is_own(stream: &impl AsFd, who: &Who) -> bool {
    listen::peer_uid(stream).is_ok_and(|uid| uid == who.ambient.uid)
}
