//! The disk worker's thread: takes jobs in order and does them, however long the file system takes.
//!
//! Knows no pipes and no reactor. Started by [`super::disk::Disk::start`], which is also how it is reached.

use super::crash;
use super::disk::{Event, Job, Lost, OPEN_FILES_MIN, Shared};
use super::lines;
use super::loss::Note;
use super::sink::{Route, SinkId, SinkSpec, StreamId, Target};
use super::slot::{Journal, Progress, Slot, SlotState};
use super::strip::Strip;
use super::syslog::Syslog;
use super::times::Times;
use super::writer::Writer;
use crate::model::Time;
use crate::sys::open::OpenError;
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most slots that wait for the rest of a line or of an escape sequence; beyond them lines may be torn where
/// streams share a file, so that reading never comes to a halt.
const HELD_MAX: usize = 8;

/// Most slots of one stream that wait for the end of a line; a longer line is torn where streams share a file.
/// Fewer than a stream may have under way, so that the end can be read at all.
const CHAIN_MAX: usize = 3;

/// A log and how many sinks lead to it.
struct Shelf {
    writer: Writer,
    holders: u32,
    /// When it was last written to, counted in writes.
    used: u64,
    /// When its size was last noted.
    noted: Time,
}

/// The thread's own state.
pub(super) struct Worker<T> {
    shared: Arc<Shared<T>>,
    logs: BTreeMap<Target, Shelf>,
    sinks: BTreeMap<SinkId, Target>,
    syslog: Syslog,
    /// Slots whose last bytes wait for what comes after them, in order.
    held: BTreeMap<StreamId, Vec<Slot>>,
    replaying: bool,
    /// Whether it is known who shares a log: not between a recovery and [`Job::AllOpen`].
    all_open: bool,
    writes: u64,
    open_files_max: usize,
    /// Whether a shortage of descriptors was told of.
    shortage_told: bool,
    /// The index of when logs grew.
    times: Times,
}

impl<T> Worker<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Worker<T> {
        Worker {
            shared,
            logs: BTreeMap::new(),
            sinks: BTreeMap::new(),
            syslog: Syslog::default(),
            held: BTreeMap::new(),
            replaying: false,
            all_open: true,
            writes: 0,
            open_files_max: OPEN_FILES_MIN,
            shortage_told: false,
            times: Times::default(),
        }
    }

    /// Returns the same with another way to the system log.
    #[cfg(test)]
    pub(super) fn with_syslog(self, syslog: Syslog) -> Worker<T> {
        Worker { syslog, ..self }
    }

    /// Works until it is stopped.
    pub(super) fn run(mut self) {
        self.replay();
        loop {
            let shared = Arc::clone(&self.shared);
            let job = shared.next(|| self.before_sleep());
            match job {
                Job::Open(sink, spec) => self.open(sink, spec),
                Job::Close(sink) => self.close(sink),
                Job::Clear(sink) => self.clear(sink),
                Job::ReopenAll => self.reopen_all(),
                Job::Lines(sink, bytes) => self.lines(sink, &bytes),
                Job::Slot(slot) => self.slot(slot),
                Job::End(stream) => self.end(stream),
                Job::Lost(lost) => self.lost(&lost),
                Job::AllOpen(streams) => self.set_all_open(&streams),
                Job::LimitOpenFiles(max) => self.set_open_files_max(max),
                Job::KeepTimes(index) => self.keep_times(index),
                Job::Run(work) => self.shared.emit(Event::Done(work())),
                Job::Discard => self.shared.pool.discard_unused(),
                Job::Stop => break,
            }
        }
        let streams: Vec<StreamId> = self.held.keys().copied().collect();
        streams.into_iter().for_each(|stream| self.end(stream));
        self.shared.set_stopped();
    }

    /// Finishes what an earlier process left: every step of it can be repeated.
    pub(super) fn replay(&mut self) {
        self.replaying = true;
        self.all_open = false;
        let (mut slots, mut bytes) = (0, 0);
        // Nobody else wrote while the programs' pipes were held.
        self.times.set_gap(!self.shared.pool.is_adopted());
        for mut slot in self.shared.pool.take_left_over() {
            if slot.state() == SlotState::Reading && !slot.read_happened() {
                self.give_back(slot);
                continue;
            }
            let len = slot.len();
            slot.filled(len);
            slots += 1;
            if !lines::is_own(slot.stream()) {
                self.times.set_gap(true);
            }
            bytes += (len - slot.progress().done.min(len)) as u64;
            self.slot(slot);
        }
        self.replaying = false;
        self.all_open = !self.shared.pool.is_adopted();
        self.logs.retain(|_, shelf| shelf.holders > 0 || shelf.writer.is_dropping());
        if slots > 0 {
            self.shared.emit(Event::Recovered { slots, bytes });
        }
    }

    pub(super) fn open(&mut self, sink: SinkId, spec: SinkSpec) {
        let target = spec.target.clone();
        let result = if target == Target::Syslog { Ok(()) } else { self.open_log(spec) };
        if result.is_ok() {
            self.sinks.insert(sink, target);
        }
        self.shared.emit(Event::Opened { sink, result });
    }

    fn open_log(&mut self, spec: SinkSpec) -> Result<(), OpenError> {
        let target = spec.target.clone();
        let shelf = self.logs.entry(target.clone()).or_insert_with(|| Shelf::new(spec.clone()));
        shelf.writer.set_spec(spec);
        self.writes += 1;
        shelf.used = self.writes;
        let result = self.open_writer(&target, Writer::open);
        let Some(shelf) = self.logs.get_mut(&target) else { return result };
        match &result {
            Ok(()) => shelf.holders += 1,
            Err(_) => self.forget_if_done(&target),
        }
        self.limit_open_files();
        result
    }

    /// Opens a log; when no descriptor is left, the file that was not written to for the longest time is closed for it.
    fn open_writer(
        &mut self,
        target: &Target,
        open: impl FnOnce(&mut Writer) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let Some(shelf) = self.logs.get_mut(target) else { return Ok(()) };
        let result = open(&mut shelf.writer);
        let is_short = |error: &OpenError| matches!(error.errno, Errno::EMFILE | Errno::ENFILE);
        if !result.as_ref().is_err_and(is_short) || !self.close_oldest() {
            return result;
        }
        if !std::mem::replace(&mut self.shortage_told, true) {
            let why = "no descriptors are left for it: another log was closed for now; raise the limit of open files";
            self.tell(target, vec![Note::Warning(why.into())]);
        }
        self.logs.get_mut(target).map_or(Ok(()), |shelf| shelf.writer.open())
    }

    /// Opens a log that something is to be written to. What else may be wrong than descriptors is found again by the
    /// writing itself, which counts what it cannot write.
    fn make_open(&mut self, target: &Target) {
        if self.logs.get(target).is_some_and(|shelf| !shelf.writer.has_file())
            && self.open_writer(target, Writer::open_when_due).is_ok()
        {
            self.limit_open_files();
        }
    }

    fn set_open_files_max(&mut self, max: usize) {
        self.open_files_max = max;
        while self.open_files() > max && self.close_oldest() {}
    }

    fn open_files(&self) -> usize {
        self.logs.values().filter(|shelf| shelf.writer.has_file()).count()
    }

    fn limit_open_files(&mut self) {
        if self.open_files() > self.open_files_max {
            self.close_oldest();
        }
    }

    /// Closes the file that was not written to for the longest time; returns false when none is open.
    fn close_oldest(&mut self) -> bool {
        let open = self.logs.values_mut().filter(|shelf| shelf.writer.has_file());
        let oldest = open.min_by_key(|shelf| shelf.used);
        oldest.map(|shelf| shelf.writer.close()).is_some()
    }

    /// From now on it is known which logs are shared.
    ///
    /// Who is not among `streams` has ended: the rest of its line will not come.
    pub(super) fn set_all_open(&mut self, streams: &BTreeSet<StreamId>) {
        self.all_open = true;
        let ended: Vec<StreamId> = self.held.keys().filter(|held| !streams.contains(held)).copied().collect();
        ended.into_iter().for_each(|stream| self.end(stream));
    }

    pub(super) fn close(&mut self, sink: SinkId) {
        let Some(target) = self.sinks.remove(&sink) else { return };
        if let Some(shelf) = self.logs.get_mut(&target) {
            shelf.holders = shelf.holders.saturating_sub(1);
        }
        self.forget_if_done(&target);
    }

    fn clear(&mut self, sink: SinkId) {
        let result = match self.sinks.get(&sink) {
            Some(Target::Syslog) => Ok(()),
            Some(target) => self.logs.get_mut(target).map_or(Ok(()), |shelf| shelf.writer.clear()),
            // It could not be opened, and whoever asked was told why.
            None => Err(OpenError { errno: Errno::EBADF, why: "the log cannot be opened".to_owned() }),
        };
        self.shared.emit(Event::Cleared { sink, result });
    }

    fn reopen_all(&mut self) {
        for (target, shelf) in &mut self.logs {
            if let Err(error) = shelf.writer.reopen() {
                let target = target.path().display().to_string();
                let note = Note::Warning(format!("cannot open {target} again: {error}"));
                self.shared.emit(Event::Log { target, note });
            }
        }
    }

    pub(super) fn lines(&mut self, sink: SinkId, bytes: &[u8]) {
        let Some(target) = self.sinks.get(&sink).cloned() else { return };
        if target == Target::Syslog {
            let mut notes = Vec::new();
            self.syslog.send_own(bytes, &mut notes);
            self.tell(&target, notes);
        } else {
            self.make_open(&target);
            self.with_log(&target, |writer, notes| writer.append_own(bytes, notes));
        }
    }

    fn lost(&mut self, lost: &Lost) {
        self.with_log(&lost.target, |writer, notes| {
            writer.note_dropped(lost.bytes, lost.why, lost.in_line, notes);
        });
    }

    /// Puts the bytes of a slot where they belong, and frees it or holds it for the rest of a line.
    pub(super) fn slot(&mut self, mut slot: Slot) {
        let Some(outlet) = slot.outlet() else { return self.give_back(slot) };
        let route = &outlet.route;
        let stream = slot.stream();
        self.feed_syslog(&mut slot, route);
        let mut chain = self.held.remove(&stream).unwrap_or_default();
        let shared = self.is_shared(route);
        let no_line_ends = end_of_lines(&slot) == 0;
        let absorbs =
            |last: &mut Slot| last.has_absorbed(&slot) || (shared && no_line_ends && last.absorb(&slot));
        if chain.last_mut().is_some_and(absorbs) {
            crash::point("the slot was absorbed");
            self.give_back(slot);
            self.held.insert(stream, chain);
            return;
        }
        chain.push(slot);
        let room = chain.len() <= CHAIN_MAX && self.held_count() + chain.len() <= HELD_MAX;
        if shared && no_line_ends && room {
            self.held.insert(stream, chain);
            return;
        }
        if let Some(mut slot) = self.complete_all_but_last(chain, route) {
            let limit = if shared { end_of_lines(&slot) } else { slot.len() };
            self.write(&mut slot, route, limit);
            let waits = limit < slot.len() || !slot.progress().strip.is_outside();
            if waits && self.held_count() < HELD_MAX {
                self.held.insert(stream, vec![slot]);
            } else {
                self.complete(slot, route, |_| {});
            }
        }
        self.tidy(route);
    }

    /// Writes beginnings of lines that wait for their ends in logs that nobody else writes to: after a recovery
    /// that was not known, or the others have gone since.
    fn write_tails_of_unshared(&mut self) {
        let streams: Vec<StreamId> = self.held.keys().copied().collect();
        for stream in streams {
            let chain = self.held.get(&stream);
            let Some(outlet) = chain.and_then(|chain| chain.first()).and_then(Slot::outlet) else { continue };
            let spec = outlet.route.file.as_ref();
            if spec.and_then(|spec| self.logs.get(&spec.target)).is_some_and(|shelf| shelf.holders > 1) {
                continue;
            }
            let chain = self.held.remove(&stream).unwrap_or_default();
            if let Some(mut slot) = self.complete_all_but_last(chain, &outlet.route) {
                let len = slot.len();
                self.write(&mut slot, &outlet.route, len);
                if slot.progress().strip.is_outside() {
                    self.give_back(slot);
                } else {
                    self.held.insert(stream, vec![slot]);
                }
            }
            self.tidy(&outlet.route);
        }
    }

    fn feed_syslog(&mut self, slot: &mut Slot, route: &Route) {
        let Some(name) = &route.syslog else { return };
        if slot.syslog_is_done() {
            return;
        }
        let mut notes = Vec::new();
        self.syslog.feed(slot.stream(), name, slot.bytes(), route.strip, &mut notes);
        slot.set_syslog_done();
        self.tell(&Target::Syslog, notes);
    }

    fn held_count(&self) -> usize {
        self.held.values().map(Vec::len).sum()
    }

    /// Writes and frees slots of one stream in their order; the last one only learns where they ended.
    fn complete_all_but_last(&mut self, chain: Vec<Slot>, route: &Route) -> Option<Slot> {
        let mut slots = chain.into_iter();
        let mut slot = slots.next()?;
        for mut next in slots {
            self.complete(slot, route, |strip| next.inherit(strip));
            slot = next;
        }
        Some(slot)
    }

    /// Writes what is left of a slot and frees it; `before_free` learns in which escape sequence it ended.
    fn complete(&mut self, mut slot: Slot, route: &Route, before_free: impl FnOnce(Strip)) -> Strip {
        let len = slot.len();
        self.write(&mut slot, route, len);
        let strip = slot.progress().strip;
        before_free(strip);
        crash::point("the slot was done");
        self.give_back(slot);
        strip
    }

    fn write(&mut self, slot: &mut Slot, route: &Route, limit: usize) {
        let Some(spec) = &route.file else { return };
        if spec.target == Target::Syslog {
            return self.write_to_syslog(slot, limit);
        }
        if !self.logs.contains_key(&spec.target) {
            self.logs.insert(spec.target.clone(), Shelf::new(spec.clone()));
        }
        if slot.progress().done < limit {
            self.make_open(&spec.target);
        }
        let (bytes, mut journal) = slot.parts();
        self.with_log(&spec.target, |writer, notes| {
            writer.append(bytes, limit, route.strip, &mut journal, notes);
        });
    }

    /// Sends whole lines of our own to the system log. One that was sent when a crash came may be sent again.
    fn write_to_syslog(&mut self, slot: &mut Slot, limit: usize) {
        let from = slot.progress();
        let mut notes = Vec::new();
        self.syslog.send_own(&slot.bytes()[from.done.min(limit)..limit], &mut notes);
        slot.parts().1.advance(Progress { done: limit, ..from });
        self.tell(&Target::Syslog, notes);
    }

    fn keep_times(&mut self, index: Option<SinkSpec>) {
        let notes = self.times.keep(index);
        self.tell_of_times(notes);
    }

    /// Notes the size of a log before something is written to it.
    fn note_time(&mut self, target: &Target) {
        let Some(shelf) = self.logs.get_mut(target) else { return };
        let notes = self.times.note(&shelf.writer, &mut shelf.noted);
        self.tell_of_times(notes);
    }

    fn tell_of_times(&self, notes: Vec<Note>) {
        if let Some(target) = self.times.target() {
            self.tell(target, notes);
        }
    }

    /// Does something with a log that may open its file, and passes on what there is to say.
    fn with_log(&mut self, target: &Target, work: impl FnOnce(&mut Writer, &mut Vec<Note>)) {
        self.note_time(target);
        let Some(shelf) = self.logs.get_mut(target) else { return };
        let was_open = shelf.writer.has_file();
        let mut notes = Vec::new();
        self.writes += 1;
        shelf.used = self.writes;
        work(&mut shelf.writer, &mut notes);
        if !was_open && shelf.writer.has_file() {
            self.limit_open_files();
        }
        self.tell(target, notes);
        self.shared.has_grown(target);
    }

    pub(super) fn end(&mut self, stream: StreamId) {
        let chain = self.held.remove(&stream).unwrap_or_default();
        if let Some(outlet) = chain.first().and_then(Slot::outlet)
            && let Some(last) = self.complete_all_but_last(chain, &outlet.route)
        {
            let route = &outlet.route;
            let mut strip = self.complete(last, route, |_| {});
            let mut rest = Vec::new();
            strip.finish(&mut rest);
            if let Some(spec) = route.file.as_ref().filter(|_| !rest.is_empty()) {
                self.note_time(&spec.target);
                if let Some(shelf) = self.logs.get_mut(&spec.target) {
                    shelf.writer.append_own(&rest, &mut Vec::new());
                }
            }
            self.tidy(route);
        }
        let mut notes = Vec::new();
        self.syslog.end(stream, &mut notes);
        self.tell(&Target::Syslog, notes);
    }

    /// Whether other streams may write to the same file. After a recovery nobody knows at first, so they may.
    fn is_shared(&self, route: &Route) -> bool {
        let shelf = route.file.as_ref().and_then(|spec| self.logs.get(&spec.target));
        !self.all_open || shelf.is_some_and(|shelf| shelf.holders > 1)
    }

    /// Forgets a log that was opened for a slot whose sink is closed.
    fn tidy(&mut self, route: &Route) {
        if let Some(spec) = &route.file
            && !self.replaying
        {
            self.forget_if_done(&spec.target);
        }
    }

    /// Forgets a log that nobody has open, unless its next bytes must come behind a mark for those that are missing.
    fn forget_if_done(&mut self, target: &Target) {
        let done = |shelf: &Shelf| shelf.holders == 0 && !shelf.writer.is_dropping();
        if self.logs.get(target).is_some_and(done) {
            self.logs.remove(target);
        }
    }

    fn give_back(&self, slot: Slot) {
        if self.shared.pool.finish(slot) {
            self.shared.emit(Event::SlotFree);
        }
    }

    /// Nothing is left to do for now.
    pub(super) fn before_sleep(&mut self) {
        if self.all_open {
            self.write_tails_of_unshared();
        }
        if self.shared.pool.take_hunger() {
            self.shared.emit(Event::SlotFree);
        }
    }

    fn tell(&self, target: &Target, notes: Vec<Note>) {
        for note in notes {
            self.shared.emit(Event::Log { target: target.path().display().to_string(), note });
        }
    }
}

impl Shelf {
    fn new(spec: SinkSpec) -> Shelf {
        Shelf { writer: Writer::new(spec), holders: 0, used: 0, noted: Time(0) }
    }
}

/// Returns how many of a slot's bytes are whole lines, at least those that are written already.
fn end_of_lines(slot: &Slot) -> usize {
    let lines = memchr::memrchr(b'\n', slot.bytes()).map_or(0, |at| at + 1);
    lines.max(slot.progress().done)
}
