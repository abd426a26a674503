//! The reactor's side: reads the pipes of all programs fairly, into journaled slots, and never leaves one unread.
//!
//! A quiet stream is watched by the poll. One that keeps writing a little leaves the poll and is looked at
//! again after a rest, so that the next read is a full one ([`rest`](super::rest)). When no slot is free for
//! long, because the disk stands still, output is read and dropped, and counted. Knows no files and no names.
//!
//! Example: `pump.attach(stream, pipe, Some(sink), StreamOptions::default())?`, then for each event of the
//! poll with its token `pump.ready(stream)`, and `pump.tick(now)` in every turn and at `next_deadline`.

use super::capture::{self, Capture, Piece};
use super::disk::{Inlet, Lost};
use super::pool::{Pool, SMALL_BYTES};
use super::rest::{Pace, Rest, Visit};
use super::sink::{Route, SinkId, StreamId, Target};
use super::slot::{GUARD_BYTES, Outlet, Reading, SLOT_BYTES, Slot};
use super::strip::Strip;
use crate::model::Time;
use crate::sys::pipe::{self, Peeper};
use crate::sys::{fd, shm};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Most bytes read in one turn of the loop, over all streams: a millisecond or less, so that requests wait no longer.
pub const TURN_BYTES: usize = 1 << 20;

/// Most bytes read from one stream before the next one has its turn.
pub const VISIT_BYTES: usize = SLOT_BYTES;

/// How long no slot may come back before output is read and dropped, so that no program waits for a frozen disk.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How long after the last large read the memory of unused slots is given back.
pub const DISCARD_AFTER: Duration = Duration::from_secs(1);

/// Filled slots that are handed over at once: waking the worker for each would cost more than its work.
const BATCH_SLOTS: usize = 16;

/// Bytes read at once while dropping.
const SCRATCH_BYTES: usize = 16 * 1024;

/// What is to happen with a stream besides going into its log.
#[derive(Clone, Debug, Default)]
pub struct StreamOptions {
    /// The bytes are handed out by [`Pump::take_events`] as well.
    pub observe: bool,
    /// ANSI escape sequences are removed, from what is handed out too.
    pub strip: bool,
    /// Each line goes to the system log too, with this name before it.
    pub syslog: Option<String>,
    /// It is one side of a conversation: handed out as it is, whatever the other options say, and never rests.
    pub attentive: bool,
    /// Passages between the tags of capture mode are handed out and not logged, at most this many bytes of each.
    pub capture_max_bytes: Option<usize>,
}

/// What the pump has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PumpEvent {
    /// Bytes of a stream that is observed.
    Observed(StreamId, Vec<u8>),
    /// A passage between the tags of capture mode.
    Captured(StreamId, Vec<u8>),
    /// A stream has ended and everything of it is handed over: its pipe is closed.
    Closed(StreamId),
}

struct Stream {
    fd: OwnedFd,
    outlet: Arc<Outlet>,
    observe: bool,
    strip: Option<Strip>,
    attentive: bool,
    capture: Option<Capture>,
    pace: Pace,
    queued: bool,
    /// Bytes still to be read after the program has ended.
    left: Option<usize>,
    lost: u64,
    lost_in_line: bool,
}

/// The pipes of all programs.
pub struct Pump {
    registry: Registry,
    base: usize,
    pool: Arc<Pool>,
    inlet: Arc<dyn Inlet>,
    /// Empty while it is visited.
    streams: BTreeMap<StreamId, Option<Box<Stream>>>,
    /// Streams that have something to read, in the order of their turns.
    drive: VecDeque<StreamId>,
    /// Streams that wait for a slot.
    waiting: VecDeque<StreamId>,
    waiting_since: Time,
    /// How many slots the worker was done with then.
    finished_before: u64,
    dropping: bool,
    /// Streams that lost something which was not told yet.
    lossy: BTreeSet<StreamId>,
    rest: Rest,
    /// Filled slots that the worker does not have yet.
    batch: Vec<Slot>,
    events: Vec<PumpEvent>,
    random: u64,
    peeper: Option<Peeper>,
    scratch: Vec<u8>,
    discard_at: Option<Time>,
}

/// How a visit to a stream ended, other than by emptying its pipe.
enum Stop {
    More,
    /// For that many bytes.
    NoSlot(usize),
    Ended,
    /// Somebody else took what was there.
    Empty,
}

fn stripped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut strip = Strip::default();
    strip.feed(bytes, None, &mut plain);
    strip.finish(&mut plain);
    plain
}

/// Reads at least one byte.
fn read_some(fd: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Stop> {
    match nix::unistd::read(fd, buffer) {
        Ok(0) => Err(Stop::Ended),
        Ok(read) => Ok(read),
        Err(_) => Err(Stop::Empty),
    }
}

impl Pump {
    /// Returns a pump whose streams are polled with the token `base` plus their number.
    #[must_use]
    pub fn new(registry: Registry, base: usize, pool: Arc<Pool>, inlet: Arc<dyn Inlet>) -> Pump {
        Pump {
            registry,
            base,
            pool,
            inlet,
            streams: BTreeMap::new(),
            drive: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_since: Time(0),
            finished_before: 0,
            dropping: false,
            lossy: BTreeSet::new(),
            rest: Rest::default(),
            batch: Vec::with_capacity(BATCH_SLOTS),
            events: Vec::new(),
            random: RandomState::new().hash_one(std::process::id()),
            peeper: Peeper::new().ok(),
            scratch: Vec::new(),
            discard_at: None,
        }
    }

    /// Returns the stream that a token of the poll belongs to.
    #[must_use]
    pub fn stream_of(&self, token: Token) -> Option<StreamId> {
        let stream = StreamId(token.0.checked_sub(self.base)? as u64);
        self.streams.contains_key(&stream).then_some(stream)
    }

    /// Begins to read a pipe, into the log that was opened as `sink` or into none.
    ///
    /// # Errors
    /// `NotFound` for a sink that is not open; else as epoll_ctl(2).
    pub fn attach(
        &mut self,
        stream: StreamId,
        fd: OwnedFd,
        sink: Option<SinkId>,
        options: StreamOptions,
    ) -> io::Result<()> {
        let file = match sink {
            Some(sink) => Some(self.inlet.spec(sink).ok_or(io::ErrorKind::NotFound)?),
            None => None,
        };
        fd::set_nonblocking(&fd, true)?;
        let token = Token(self.base + usize::try_from(stream.0).unwrap_or(usize::MAX - self.base));
        self.registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        let route = Route { file, syslog: options.syslog, strip: options.strip };
        let attentive = options.attentive;
        let strip = (options.observe && options.strip && !attentive).then(Strip::default);
        let capture = options.capture_max_bytes.filter(|_| !attentive).map(Capture::new);
        let outlet = Arc::new(Outlet::new(route));
        let (pace, observe) = (Pace::new(pipe::capacity(&fd)), options.observe || attentive);
        let new = Stream {
            fd,
            outlet,
            observe,
            strip,
            attentive,
            capture,
            pace,
            queued: false,
            left: None,
            lost: 0,
            lost_in_line: false,
        };
        self.streams.insert(stream, Some(Box::new(new)));
        Ok(())
    }

    /// Whether a stream is being read.
    #[must_use]
    pub fn has(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Returns the streams that are being read.
    #[must_use]
    pub fn streams(&self) -> BTreeSet<StreamId> {
        self.streams.keys().copied().collect()
    }

    /// Returns a duplicate of a stream's pipe, for whoever must keep it open.
    #[must_use]
    pub fn duplicate(&self, stream: StreamId) -> Option<OwnedFd> {
        self.streams.get(&stream)?.as_ref()?.fd.try_clone().ok()
    }

    /// Changes whether the bytes of a stream are handed out.
    pub fn observe(&mut self, stream: StreamId, observe: bool) {
        let found = self.streams.get_mut(&stream).and_then(Option::as_mut);
        if let Some(found) = found.filter(|found| !found.attentive) {
            found.observe = observe;
            found.strip = (observe && found.outlet.route.strip).then(|| found.strip.unwrap_or_default());
        }
    }

    /// Whether a stream waits for its turn to be read.
    #[must_use]
    pub fn is_queued(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).and_then(Option::as_ref).is_some_and(|stream| stream.queued)
    }

    /// The poll says that a stream has something to read, or has ended.
    pub fn ready(&mut self, stream: StreamId) {
        self.enqueue(stream);
    }

    /// The program has ended: what is in its pipe by now is read, then the pipe is closed, whoever else may
    /// still hold its other end.
    pub fn finish(&mut self, stream: StreamId) {
        if let Some(found) = self.streams.get_mut(&stream).and_then(Option::as_mut) {
            found.left = Some(pipe::available(&found.fd).unwrap_or(0));
            self.enqueue(stream);
        }
    }

    /// Whether nothing of any stream is left to be read or handed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The worker says that slots have come back.
    pub fn slots_freed(&mut self) {
        self.dropping = false;
        self.scratch = Vec::new();
        // Who lost something may never say anything again.
        for id in std::mem::take(&mut self.lossy) {
            if let Some(mut stream) = self.streams.get_mut(&id).and_then(Option::take) {
                self.report_lost(&mut stream);
                self.streams.insert(id, Some(stream));
            }
        }
        self.drive.extend(std::mem::take(&mut self.waiting));
    }

    /// Returns what there is to say since the last call.
    #[must_use]
    pub fn take_events(&mut self) -> Vec<PumpEvent> {
        std::mem::take(&mut self.events)
    }

    /// Returns when [`Pump::tick`] has something to do: the past when at once, None when only the poll or the
    /// worker can bring work.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if !self.drive.is_empty() {
            return Some(Time(0));
        }
        let patience = (!self.waiting.is_empty()).then(|| self.waiting_since.after(PATIENCE));
        [patience, self.rest.next_deadline(), self.discard_at].into_iter().flatten().min()
    }

    /// Reads what is ready, one stream after the other, up to [`TURN_BYTES`].
    pub fn tick(&mut self, now: Time) {
        while let Some(stream) = self.rest.due(now) {
            self.enqueue(stream);
        }
        if !self.waiting.is_empty() && now >= self.waiting_since.after(PATIENCE) {
            // Whoever was kept from running for that long knows nothing of the disk; that no slot came back tells it.
            self.dropping = self.pool.finished() == self.finished_before;
            self.drive.extend(std::mem::take(&mut self.waiting));
        }
        let mut budget = TURN_BYTES;
        // A stream that is put back behind the others comes again only while the budget lasts.
        while budget > 0
            && let Some(stream) = self.drive.pop_front()
        {
            self.visit(stream, now, &mut budget);
        }
        self.hand_over();
        if self.discard_at.is_some_and(|at| now >= at) && self.drive.is_empty() {
            self.discard_at = None;
            self.inlet.discard_unused();
        }
    }

    fn hand_over(&mut self) {
        if !self.batch.is_empty() {
            self.inlet.submit(&mut self.batch);
        }
    }

    fn enqueue(&mut self, stream: StreamId) {
        if let Some(found) = self.streams.get_mut(&stream).and_then(Option::as_mut)
            && !found.queued
        {
            found.queued = true;
            self.drive.push_back(stream);
        }
    }

    fn visit(&mut self, id: StreamId, now: Time, budget: &mut usize) {
        let Some(mut stream) = self.streams.get_mut(&id).and_then(Option::take) else { return };
        stream.queued = false;
        let mut total = 0;
        let stop = self.read_all(id, &mut stream, &mut total);
        *budget = budget.saturating_sub(total.max(1));
        if total > shm::PAGE {
            self.discard_at = Some(now.after(DISCARD_AFTER));
        }
        match stop {
            Ok(()) | Err(Stop::Empty) => self.settle(id, &mut stream, total, now),
            Err(Stop::More) => {
                stream.queued = true;
                self.drive.push_back(id);
            }
            Err(Stop::NoSlot(len)) => {
                stream.queued = true;
                if !self.pool.wait_for_slot(id, len) {
                    self.drive.push_back(id);
                } else {
                    if self.waiting.is_empty() {
                        (self.waiting_since, self.finished_before) = (now, self.pool.finished());
                    }
                    self.waiting.push_back(id);
                }
            }
            Err(Stop::Ended) => return self.close(id, stream),
        }
        if let Some(place) = self.streams.get_mut(&id) {
            *place = Some(stream);
        }
    }

    /// Reads until the pipe is empty; fails with why it stopped earlier.
    fn read_all(&mut self, id: StreamId, stream: &mut Stream, total: &mut usize) -> Result<(), Stop> {
        loop {
            let mut available = pipe::available(&stream.fd).unwrap_or(0);
            if let Some(left) = stream.left {
                available = available.min(left);
            }
            if available == 0 {
                if stream.left.is_none() && !pipe::is_hung_up(&stream.fd).unwrap_or(true) {
                    return Ok(());
                }
                // Its last words may have come between the two questions.
                if stream.left.is_none() && pipe::available(&stream.fd).is_ok_and(|last| last > 0) {
                    continue;
                }
                return Err(Stop::Ended);
            }
            if *total >= VISIT_BYTES {
                return Err(Stop::More);
            }
            let len = available.min(SLOT_BYTES);
            let read = match self.read_one(id, stream, len) {
                Err(Stop::NoSlot(_)) if self.dropping => self.read_and_drop(id, stream, len)?,
                other => other?,
            };
            *total += read;
            stream.left = stream.left.map(|left| left.saturating_sub(read));
            // A stream that comes back after a rest anyway need not be asked again whether it is empty.
            if stream.pace.is_resting() && read < SLOT_BYTES && read == available && stream.left.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads `len` bytes, which are there, into a slot, and hands it over.
    fn read_one(&mut self, id: StreamId, stream: &mut Stream, len: usize) -> Result<usize, Stop> {
        // What was held back of a tag may come on top.
        let room = stream.capture.as_ref().map_or(0, |_| capture::BEGIN.len());
        let len = len.min(SLOT_BYTES - room);
        let Some(mut slot) = self.pool.take(id, len + room) else {
            self.hand_over();
            return Err(Stop::NoSlot(len + room));
        };
        self.report_lost(stream);
        let journaled = !stream.outlet.route.is_none();
        let guard = if journaled { self.guard(stream, len) } else { [0; GUARD_BYTES] };
        let reading = Reading { stream: id, outlet: &stream.outlet, len };
        let buffer = slot.begin(reading, &guard);
        let read = match read_some(&stream.fd, buffer) {
            Ok(read) => read,
            Err(stop) => {
                self.pool.give_back(slot);
                return Err(stop);
            }
        };
        slot.filled(read);
        if let Some(plain) = self.hand_out(id, stream, slot.bytes()) {
            slot.rewrite(&plain);
        }
        if journaled && !slot.is_empty() {
            let large = slot.capacity() > SMALL_BYTES;
            self.batch.push(slot);
            if large || self.batch.len() >= BATCH_SLOTS {
                self.hand_over();
            }
        } else {
            self.pool.give_back(slot);
        }
        Ok(read)
    }

    /// Reads without keeping anything, because no slot comes free.
    fn read_and_drop(&mut self, id: StreamId, stream: &mut Stream, len: usize) -> Result<usize, Stop> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(SCRATCH_BYTES, 0);
        let result = read_some(&stream.fd, &mut scratch[..len.min(SCRATCH_BYTES)]);
        if let Ok(read) = result {
            stream.lost += read as u64;
            self.lossy.insert(id);
            stream.lost_in_line = scratch[read - 1] != b'\n';
            let _ = self.hand_out(id, stream, &scratch[..read]);
        }
        self.scratch = scratch;
        result
    }

    fn report_lost(&mut self, stream: &mut Stream) {
        let bytes = std::mem::take(&mut stream.lost);
        if bytes == 0 {
            return;
        }
        let target = stream.outlet.route.file.as_ref().map_or(Target::Syslog, |file| file.target.clone());
        let why = "the disk did not take it in time";
        self.hand_over();
        self.inlet.lost(Lost { target, bytes, in_line: stream.lost_in_line, why });
    }

    /// Hands bytes out to whom they concern; returns what of them is output, where not all is.
    fn hand_out(&mut self, id: StreamId, stream: &mut Stream, bytes: &[u8]) -> Option<Vec<u8>> {
        let Some(capture) = &mut stream.capture else {
            if stream.observe {
                self.observed(id, stream, bytes);
            }
            return None;
        };
        let mut plain = Vec::with_capacity(bytes.len());
        for piece in capture.feed(bytes) {
            match piece {
                Piece::Plain(bytes) => {
                    if stream.observe {
                        self.observed(id, stream, &bytes);
                    }
                    plain.extend(bytes);
                }
                Piece::Captured(bytes) => {
                    let bytes = if stream.outlet.route.strip { stripped(&bytes) } else { bytes };
                    self.events.push(PumpEvent::Captured(id, bytes));
                }
            }
        }
        Some(plain)
    }

    /// Gives free what capture mode held back, at the end of a stream.
    fn end_capture(&mut self, id: StreamId, stream: &mut Stream) {
        let Some(mut capture) = stream.capture.take() else { return };
        let rest = capture.finish();
        if stream.observe && !rest.is_empty() {
            self.observed(id, stream, &rest);
        }
        for bytes in rest.chunks(SLOT_BYTES).filter(|_| !stream.outlet.route.is_none()) {
            let Some(mut slot) = self.pool.take(id, bytes.len()) else {
                stream.lost += bytes.len() as u64;
                continue;
            };
            slot.begin(Reading { stream: id, outlet: &stream.outlet, len: 0 }, &[]);
            slot.rewrite(bytes);
            slot.filled(bytes.len());
            self.batch.push(slot);
            self.hand_over();
        }
    }

    fn observed(&mut self, id: StreamId, stream: &mut Stream, bytes: &[u8]) {
        let bytes = match &mut stream.strip {
            None => bytes.to_vec(),
            Some(strip) => {
                let mut plain = Vec::with_capacity(bytes.len());
                strip.feed(bytes, None, &mut plain);
                plain
            }
        };
        self.events.push(PumpEvent::Observed(id, bytes));
    }

    /// Returns bytes that differ from the last of the next `len` in the pipe: by chance where they are many,
    /// and where they are few by looking at them first.
    fn guard(&mut self, stream: &Stream, len: usize) -> [u8; GUARD_BYTES] {
        let mut guard = [0; GUARD_BYTES];
        guard[..8].copy_from_slice(&self.next_random().to_ne_bytes());
        guard[8..].copy_from_slice(&self.next_random().to_ne_bytes());
        if len < GUARD_BYTES {
            let short = &mut guard[..len];
            match &self.peeper {
                Some(peeper) if peeper.peek(&stream.fd, short).is_ok() => {
                    short.iter_mut().for_each(|byte| *byte = !*byte);
                }
                // Bytes that no text has (UTF-8 never uses the last eight values).
                _ => short.iter_mut().for_each(|byte| *byte |= 0xf8),
            }
        }
        guard
    }

    /// Steps a splitmix64 generator; nobody but a guard depends on it.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Decides how an emptied stream is waited for: by the poll, or by a rest.
    fn settle(&mut self, id: StreamId, stream: &mut Stream, total: usize, now: Time) {
        // A conversation waits for each answer.
        if stream.attentive {
            return;
        }
        let token = Token(self.base + usize::try_from(id.0).unwrap_or(usize::MAX - self.base));
        let raw = stream.fd.as_raw_fd();
        let visit = Visit { stream: id, fd: &stream.fd, total, now };
        match self.rest.settle(&mut stream.pace, visit) {
            super::rest::Step::Stay => {}
            super::rest::Step::Leave => {
                let _ = self.registry.deregister(&mut SourceFd(&raw));
            }
            super::rest::Step::Watch => {
                // Data that came meanwhile is told at once.
                let _ = self.registry.register(&mut SourceFd(&raw), token, Interest::READABLE);
            }
        }
    }

    fn close(&mut self, id: StreamId, mut stream: Box<Stream>) {
        self.hand_over();
        self.end_capture(id, &mut stream);
        self.report_lost(&mut stream);
        self.rest.forget(id, &mut stream.pace);
        let _ = self.registry.deregister(&mut SourceFd(&stream.fd.as_raw_fd()));
        self.streams.remove(&id);
        self.inlet.end(id);
        self.events.push(PumpEvent::Closed(id));
    }
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
