//! The way to the one thread that may wait for a file system, and its answers.
//!
//! Whether a write will hang is known only once it hangs, so everything that touches a log file happens over
//! there, in the order in which it was asked for. Nothing here waits. Knows no streams' names and no policy.
//! Example: `let disk = Disk::start(pool, wake)?; let sink = disk.open(spec);` and, when `wake` was called,
//! `for event in disk.drain() { ... }`.

use super::loss::Note;
use super::pool::Pool;
use super::sink::{SinkId, SinkSpec, StreamId, Target};
use super::slot::Slot;
use super::worker::Worker;
use crate::sys::open::OpenError;
use nix::sys::signal::SigSet;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes of the worker's stack: the deepest path there is a rotation after a path walk, in small frames;
/// closures given to [`Disk::run`] must live with it too.
pub const STACK_BYTES: usize = 256 * 1024;

/// Most bytes of our own lines that wait for the disk; what comes on top is dropped and counted.
pub const LINES_QUEUED_MAX_BYTES: usize = 256 * 1024;

/// Most log files that are open at a time, however many descriptors there are; the others are opened again when
/// something is written to them, which then is rare enough.
pub const OPEN_FILES_MAX: usize = 512;

/// Open log files that any limit on descriptors leaves room for.
pub const OPEN_FILES_MIN: usize = 16;

/// What the worker has to say.
#[derive(Debug)]
pub enum Event<T> {
    /// An answer to [`Disk::open`].
    Opened {
        /// Which.
        sink: SinkId,
        /// Why not, where it is not open; the sink is closed then.
        result: Result<(), OpenError>,
    },
    /// An answer to [`Disk::clear`].
    Cleared {
        /// Which.
        sink: SinkId,
        /// Why not, where it could not be removed.
        result: Result<(), OpenError>,
    },
    /// What a closure given to [`Disk::run`] returned.
    Done(T),
    /// News about a log.
    Log {
        /// Its path, or `syslog`.
        target: String,
        /// The news.
        note: Note,
    },
    /// What an earlier process had read and not written is in its place now.
    Recovered {
        /// How many buffers.
        slots: usize,
        /// How many bytes were in them.
        bytes: u64,
    },
    /// A log that is watched has grown, maybe several times.
    Grown(Target),
    /// A buffer is free again, and the pump waits for one.
    SlotFree,
}

pub(super) enum Job<T> {
    Open(SinkId, SinkSpec),
    Close(SinkId),
    Clear(SinkId),
    ReopenAll,
    Lines(SinkId, Vec<u8>),
    Slot(Slot),
    End(StreamId),
    Lost(Lost),
    Run(Box<dyn FnOnce() -> T + Send>),
    AllOpen(BTreeSet<StreamId>),
    LimitOpenFiles(usize),
    KeepTimes(Option<SinkSpec>),
    Discard,
    Stop,
}

/// Bytes that were dropped on the way to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Which log.
    pub target: Target,
    /// How many.
    pub bytes: u64,
    /// Whether they ended within a line.
    pub in_line: bool,
    /// Why.
    pub why: &'static str,
}

struct Queue<T> {
    jobs: VecDeque<Job<T>>,
    idle: bool,
    stopped: bool,
    line_bytes: usize,
    lines_lost: BTreeMap<SinkId, u64>,
}

/// What both sides share.
pub(super) struct Shared<T> {
    queue: Mutex<Queue<T>>,
    bell: Condvar,
    end: Condvar,
    events: Mutex<Vec<Event<T>>>,
    wake: Box<dyn Fn() + Send + Sync>,
    specs: Mutex<BTreeMap<SinkId, SinkSpec>>,
    /// Logs that somebody follows: how many, and whether their growth is told and not yet heard.
    watched: Mutex<BTreeMap<Target, (usize, bool)>>,
    pub(super) pool: Arc<Pool>,
}

/// A lock is poisoned only when the other thread panicked, and its data are whole even then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Shared<T> {
    pub(super) fn new(pool: Arc<Pool>, wake: Box<dyn Fn() + Send + Sync>) -> Shared<T> {
        let queue = Queue {
            jobs: VecDeque::new(),
            idle: false,
            stopped: false,
            line_bytes: 0,
            lines_lost: BTreeMap::new(),
        };
        Shared {
            queue: Mutex::new(queue),
            bell: Condvar::new(),
            end: Condvar::new(),
            events: Mutex::new(Vec::new()),
            wake,
            specs: Mutex::new(BTreeMap::new()),
            watched: Mutex::new(BTreeMap::new()),
            pool,
        }
    }

    fn push(&self, job: Job<T>) {
        self.push_to(lock(&self.queue), [job]);
    }

    fn push_to(&self, mut queue: MutexGuard<'_, Queue<T>>, jobs: impl IntoIterator<Item = Job<T>>) {
        queue.jobs.extend(jobs);
        let asleep = std::mem::replace(&mut queue.idle, false);
        drop(queue);
        if asleep {
            self.bell.notify_one();
        }
    }

    /// Waits for the next job; calls `before_sleep` when there is none yet.
    pub(super) fn next(&self, before_sleep: impl FnOnce()) -> Job<T> {
        let mut queue = lock(&self.queue);
        if queue.jobs.is_empty() {
            drop(queue);
            before_sleep();
            queue = lock(&self.queue);
        }
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                if let Job::Lines(_, bytes) = &job {
                    queue.line_bytes -= bytes.len();
                }
                return job;
            }
            queue.idle = true;
            queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn emit(&self, event: Event<T>) {
        let mut events = lock(&self.events);
        events.push(event);
        let first = events.len() == 1;
        drop(events);
        if first {
            (self.wake)();
        }
    }

    /// Says that a log has grown, if somebody follows it and has not been told yet.
    pub(super) fn has_grown(&self, target: &Target) {
        let told = lock(&self.watched).get_mut(target).map(|watched| std::mem::replace(&mut watched.1, true));
        if told == Some(false) {
            self.emit(Event::Grown(target.clone()));
        }
    }

    pub(super) fn set_stopped(&self) {
        lock(&self.queue).stopped = true;
        self.end.notify_all();
    }
}

/// What the pump needs of the worker.
pub trait Inlet: Send + Sync {
    /// Hands filled slots over, in their order, and leaves none.
    fn submit(&self, slots: &mut Vec<Slot>);
    /// Says that a stream has ended; everything of it was handed over.
    fn end(&self, stream: StreamId);
    /// Says that bytes were dropped before they came to a slot.
    fn lost(&self, lost: Lost);
    /// Gives the memory of unused slots back.
    fn discard_unused(&self);
    /// Returns what a sink was opened as.
    fn spec(&self, sink: SinkId) -> Option<SinkSpec>;
}

impl<T: Send> Inlet for Shared<T> {
    fn submit(&self, slots: &mut Vec<Slot>) {
        self.push_to(lock(&self.queue), slots.drain(..).map(Job::Slot));
    }

    fn end(&self, stream: StreamId) {
        self.push(Job::End(stream));
    }

    fn lost(&self, lost: Lost) {
        self.push(Job::Lost(lost));
    }

    fn discard_unused(&self) {
        self.push(Job::Discard);
    }

    fn spec(&self, sink: SinkId) -> Option<SinkSpec> {
        lock(&self.specs).get(&sink).cloned()
    }
}

/// The disk worker, seen from the reactor. `T` is what closures on the worker return.
pub struct Disk<T> {
    shared: Arc<Shared<T>>,
    thread: Option<JoinHandle<()>>,
    next_sink: std::cell::Cell<u32>,
}

impl<T: Send + 'static> Disk<T> {
    /// Starts the worker; its first job is what an earlier process left in the pool. `wake` is called, on the
    /// worker, when [`Disk::drain`] has something to return.
    ///
    /// # Errors
    /// As pthread_create(3).
    pub fn start(pool: Arc<Pool>, wake: Box<dyn Fn() + Send + Sync>) -> io::Result<Disk<T>> {
        let shared = Arc::new(Shared::new(pool, wake));
        let worker = Worker::new(Arc::clone(&shared));
        // The thread inherits the mask: no signal must be delivered over there.
        let mask = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?;
        let thread =
            std::thread::Builder::new().name("disk".into()).stack_size(STACK_BYTES).spawn(|| worker.run());
        mask.thread_set_mask()?;
        Ok(Disk { shared, thread: Some(thread?), next_sink: std::cell::Cell::new(1) })
    }

    /// Opens a log; [`Event::Opened`] answers. Sinks with the same path share one writer.
    pub fn open(&self, spec: SinkSpec) -> SinkId {
        let sink = SinkId(self.next_sink.replace(self.next_sink.get().wrapping_add(1)));
        lock(&self.shared.specs).insert(sink, spec.clone());
        self.shared.push(Job::Open(sink, spec));
        sink
    }

    /// Closes a log once everything that was handed over before is written.
    pub fn close(&self, sink: SinkId) {
        lock(&self.shared.specs).remove(&sink);
        self.shared.push(Job::Close(sink));
    }

    /// Writes lines of our own. When [`LINES_QUEUED_MAX_BYTES`] wait already they are dropped and counted.
    pub fn write(&self, sink: SinkId, lines: Vec<u8>) {
        let mut queue = lock(&self.shared.queue);
        if queue.line_bytes + lines.len() > LINES_QUEUED_MAX_BYTES {
            *queue.lines_lost.entry(sink).or_default() += lines.len() as u64;
            return;
        }
        if let Some(bytes) = queue.lines_lost.remove(&sink)
            && let Some(spec) = self.shared.spec(sink)
        {
            let why = "the disk did not keep up";
            queue.jobs.push_back(Job::Lost(Lost { target: spec.target, bytes, in_line: false, why }));
        }
        queue.line_bytes += lines.len();
        self.shared.push_to(queue, [Job::Lines(sink, lines)]);
    }

    /// Removes the file of a log and begins a new one; [`Event::Cleared`] answers.
    pub fn clear(&self, sink: SinkId) {
        self.shared.push(Job::Clear(sink));
    }

    /// Closes and opens every log under its name, for whoever moved the files away.
    pub fn reopen_all(&self) {
        self.shared.push(Job::ReopenAll);
    }

    /// Says that every log that an earlier process had open is open again, over a pool that was adopted: from now
    /// on it is known which are shared, and the beginning of a line waits for its end in those only, and only of the
    /// `streams` that are still read.
    pub fn all_open(&self, streams: BTreeSet<StreamId>) {
        self.shared.push(Job::AllOpen(streams));
    }

    /// Says how many log files may be open at a time; until then, [`OPEN_FILES_MIN`].
    pub fn limit_open_files(&self, max: usize) {
        self.shared.push(Job::LimitOpenFiles(max));
    }

    /// Keeps an index of when logs grew (see [`super::times`]) in this file, or no longer.
    pub fn keep_times(&self, index: Option<SinkSpec>) {
        self.shared.push(Job::KeepTimes(index));
    }

    /// Runs something on the worker that may have to wait for a file system; [`Event::Done`] answers.
    pub fn run(&self, work: Box<dyn FnOnce() -> T + Send>) {
        self.shared.push(Job::Run(work));
    }

    /// Returns what the worker has said since the last call.
    #[must_use]
    pub fn drain(&self) -> Vec<Event<T>> {
        let events = std::mem::take(&mut *lock(&self.shared.events));
        for event in &events {
            if let Event::Grown(target) = event
                && let Some(watched) = lock(&self.shared.watched).get_mut(target)
            {
                watched.1 = false;
            }
        }
        events
    }

    /// Tells by [`Event::Grown`] whenever this log grows, until [`Disk::unwatch`] was called as often.
    pub fn watch(&self, target: &Target) {
        lock(&self.shared.watched).entry(target.clone()).or_default().0 += 1;
    }

    /// Ends one [`Disk::watch`].
    pub fn unwatch(&self, target: &Target) {
        let mut watched = lock(&self.shared.watched);
        if let Some((count, _)) = watched.get_mut(target) {
            *count -= 1;
            if *count == 0 {
                watched.remove(target);
            }
        }
    }

    /// Returns the pump's way to the worker.
    #[must_use]
    pub fn inlet(&self) -> Arc<dyn Inlet> {
        Arc::clone(&self.shared) as Arc<dyn Inlet>
    }

    /// Returns the pool that the worker empties.
    #[must_use]
    pub fn pool(&self) -> Arc<Pool> {
        Arc::clone(&self.shared.pool)
    }

    /// Ends the worker once everything that was handed over is written. Returns false when that took longer
    /// than `patience`: what is left is in the pool, for the next process.
    #[must_use]
    pub fn stop(mut self, patience: Duration) -> bool {
        self.shared.push(Job::Stop);
        let queue = lock(&self.shared.queue);
        let waited = self.shared.end.wait_timeout_while(queue, patience, |queue| !queue.stopped);
        let stopped = waited.map_or_else(|error| error.into_inner().0.stopped, |(queue, _)| queue.stopped);
        if stopped && let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        stopped
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
