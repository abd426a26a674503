//! Event listeners, as the shell sees them: bytes to their stdin, bytes from their stdout, and the file that keeps
//! events across the death of a reactor.
//!
//! A listener that does not read never holds up the loop: what its pipe does not take waits in its [`Outbox`], which
//! holds one event, because the core sends the next one only when this one is in the pipe. Nothing is decided here.
//! Example: `reactor.send_event(run, &delivery)` is answered by `Input::EventSent`.

use super::event_store::EventStore;
use super::reactor::Reactor;
use super::runs::Channel;
use super::shown;
use crate::core::Input;
use crate::logs::activity::child_output;
use crate::logs::lines::Lines;
use crate::logs::sink::{SinkSpec, StreamId};
use crate::model::event::{Delivery, EventKind};
use crate::model::python::{bytes_repr, str_repr};
use crate::model::spec::{GroupKind, StreamSpec};
use crate::model::{Level, ProcessId, RunId, Time};
use crate::sys::{clock, fd};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

/// Tokens from here on are standard inputs of listeners.
pub(super) const STDINS: usize = 1 << 59;

/// How long what a listener says waits for the rest of it before it is written to the activity log, at level debug:
/// one line for an answer, however many writes it came in.
const OVERHEARD_FOR: Duration = Duration::from_millis(5);

/// Most bytes of what a listener says that wait to be logged, at level debug.
const OVERHEARD_MAX_BYTES: usize = 64 * 1024;

/// What a listener has not read of the last event, or a program of what clients sent to it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    done: usize,
    /// Whether the poll tells of room in the pipe.
    is_watched: bool,
}

impl Outbox {
    /// Returns how many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.done
    }
}

/// What concerns all listeners.
#[derive(Default)]
pub(super) struct Listeners {
    /// The events that are not settled; there where the configuration has listeners.
    pub(super) store: Option<EventStore>,
    /// Listeners of which something may have been read that the core was not told yet.
    in_doubt: Vec<(ProcessId, StreamId)>,
    /// Said, and not yet in the activity log: since when.
    overheard: BTreeMap<RunId, (Vec<u8>, Time)>,
    /// The way to standard error, once a result was shown there.
    shown: Option<Lines>,
    /// Whether somebody wants the output of programs: stdout, stderr.
    wants_output: [bool; 2],
}

impl Listeners {
    /// Returns when there is something to log.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.overheard.values().map(|(_, since)| since.after(OVERHEARD_FOR)).min()
    }
}

impl Reactor {
    /// Makes the file of events anew, with those that are not settled, where the configuration has listeners.
    ///
    /// # Errors
    /// As memfd_create(2) and write(2).
    pub(super) fn store_events(&mut self, slots: usize) -> io::Result<()> {
        let is_pool = |kind: &GroupKind| matches!(kind, GroupKind::Listener { .. });
        self.listeners.store = match self.core.groups().any(|group| is_pool(&group.spec().kind)) {
            true => Some(EventStore::create(&self.core.kept_events(), slots)?),
            false => None,
        };
        Ok(())
    }

    pub(super) fn keep_event(&mut self, delivery: &Delivery) {
        let kept = self.listeners.store.as_mut().map_or(Ok(()), |store| store.keep(delivery));
        self.log_unkept(kept);
    }

    pub(super) fn settle_event(&mut self, delivery: &Delivery) {
        let settled = self.listeners.store.as_mut().map_or(Ok(()), |store| store.settle(delivery));
        self.log_unkept(settled);
    }

    fn log_unkept(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            let text = format!("cannot keep events: {error}; a death of the reactor would lose them");
            self.log(Level::Error, &text);
        }
    }

    /// Writes an event to the stdin of a listener: as much as there is room for now, the rest when there is.
    pub(super) fn send_event(&mut self, run: RunId, delivery: &Delivery) {
        let bytes = delivery.envelope(&self.settings.daemon.identifier);
        self.send_later(run, &bytes);
    }

    /// Sends bytes to the stdin of a process behind those that wait there.
    pub(super) fn send_later(&mut self, run: RunId, bytes: &[u8]) {
        if let Some(live) = self.runs.table.get_mut(&run) {
            let outbox = live.outbox.get_or_insert_default();
            outbox.bytes.drain(..std::mem::take(&mut outbox.done));
            outbox.bytes.extend_from_slice(bytes);
            self.push_outbox(run);
        }
    }

    /// The poll says that there is room in the stdin of a listener, or that nobody reads there any more.
    pub(super) fn stdin_ready(&mut self, token: Token) {
        self.push_outbox(RunId((token.0 - STDINS) as u64));
    }

    fn push_outbox(&mut self, run: RunId) {
        let Some(live) = self.runs.table.get_mut(&run) else { return };
        let (Some(outbox), Some(stdin)) = (&mut live.outbox, &live.stdin) else {
            return self.inputs.push_back(Input::EventSent { run, is_sent: false });
        };
        if outbox.bytes.is_empty() {
            return;
        }
        let written = fd::set_nonblocking(stdin, true).and_then(|()| {
            loop {
                match nix::unistd::write(stdin, &outbox.bytes[outbox.done..]) {
                    Ok(count) if outbox.done + count == outbox.bytes.len() => return Ok(()),
                    Ok(count) => outbox.done += count,
                    Err(nix::errno::Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        });
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            let (raw, token) = (stdin.as_raw_fd(), Token(STDINS + run.0 as usize));
            let registry = self.poll.registry();
            if outbox.is_watched || registry.register(&mut SourceFd(&raw), token, Interest::WRITABLE).is_ok()
            {
                outbox.is_watched = true;
                return;
            }
        }
        self.close_outbox(run);
        self.inputs.push_back(Input::EventSent { run, is_sent: written.is_ok() });
    }

    /// Forgets what a listener has not read. The keeper holds the pipe too, so the poll would not forget by itself.
    pub(super) fn close_outbox(&mut self, run: RunId) {
        let Some(live) = self.runs.table.get_mut(&run) else { return };
        let Some(outbox) = &mut live.outbox else { return };
        let outbox = std::mem::take(outbox);
        if let Some(stdin) = live.stdin.as_ref().filter(|_| outbox.is_watched) {
            let _ = self.poll.registry().deregister(&mut SourceFd(&stdin.as_raw_fd()));
        }
    }

    /// Notes, before it is read, that a listener has said something: a death in between must not go unnoticed.
    pub(super) fn about_to_hear(&mut self, stream: StreamId) {
        let (run, channel) = Channel::of(stream);
        if channel != Channel::Stdout {
            return;
        }
        let Some(live) = self.runs.table.get(&run).filter(|live| live.outbox.is_some()) else { return };
        let Some(process) = live.process else { return };
        self.doubt(process, Some(run));
        self.listeners.in_doubt.push((process, stream));
    }

    fn doubt(&mut self, process: ProcessId, run: Option<RunId>) {
        let noted =
            self.listeners.store.as_ref().map_or(Ok(()), |store| store.doubt(process.0 as usize, run));
        self.log_unkept(noted);
    }

    /// Takes in what a program wrote, where somebody wants it.
    pub(super) fn observed(&mut self, run: RunId, channel: Channel, bytes: Vec<u8>) {
        let Some(live) = self.runs.table.get(&run) else { return };
        if live.outbox.is_some() && channel == Channel::Stdout {
            self.overhear(run, &bytes);
            return self.inputs.push_back(Input::Heard { run, bytes });
        }
        let (process, pid) = (live.process, live.main.map_or(0, |pid| pid.0));
        if self.activity.wants(Level::Debug) {
            let text = child_output(&self.name_of(run), channel.name(), &bytes);
            self.log(Level::Debug, &text);
        }
        let Some((process, spec)) = process.and_then(|id| Some((id, self.spec(id)?))) else { return };
        let stream = if channel == Channel::Stdout { &spec.stdout } else { &spec.stderr };
        if stream.events_enabled {
            self.inputs.push_back(Input::Output { process, pid, channel, bytes });
        }
    }

    /// Takes in what a program said between the tags of capture mode.
    pub(super) fn captured(&mut self, run: RunId, channel: Channel, bytes: Vec<u8>) {
        let Some(live) = self.runs.table.get(&run) else { return };
        let (process, pid) = (live.process, live.main.map_or(0, |pid| pid.0));
        if let Some(process) = process {
            self.inputs.push_back(Input::Captured { process, pid, channel, bytes });
        }
    }

    /// Whether somebody wants the bytes of a stream besides its log.
    pub(super) fn is_observed(&self, stream: &StreamSpec, channel: Channel) -> bool {
        let is_wanted = self.core.wants_event(EventKind::of_log(channel));
        self.activity.wants(Level::Debug) || (stream.events_enabled && is_wanted)
    }

    /// Looks again at who wants the output of programs: pools came or went, or (`always`) a configuration changed.
    pub(super) fn observe_again(&mut self, always: bool) {
        let wants = [Channel::Stdout, Channel::Stderr]
            .map(|channel| self.core.wants_event(EventKind::of_log(channel)));
        if std::mem::replace(&mut self.listeners.wants_output, wants) == wants && !always {
            return;
        }
        let runs: Vec<(RunId, ProcessId)> =
            self.runs.table.iter().filter_map(|(run, live)| Some((*run, live.process?))).collect();
        for (run, process) in runs {
            let Some(spec) = self.spec(process) else { continue };
            for (channel, stream) in [(Channel::Stdout, &spec.stdout), (Channel::Stderr, &spec.stderr)] {
                let observe = self.is_observed(stream, channel);
                self.pump.observe(channel.stream(run), observe);
            }
        }
    }

    /// At the end of a turn: the core knows what was read, and what is shown goes out.
    pub(super) fn tend_listeners(&mut self) {
        let pump = &self.pump;
        let is_told = |(_, stream): &mut (ProcessId, StreamId)| !pump.is_queued(*stream);
        let told: Vec<_> = self.listeners.in_doubt.extract_if(.., is_told).collect();
        for (process, _) in told {
            self.doubt(process, None);
        }
        if let Some(shown) = &mut self.listeners.shown {
            shown.flush(&self.disk);
        }
        if self.listeners.store.as_ref().is_some_and(EventStore::is_stale) {
            let slots = self.core.processes().last().map_or(0, |(id, _)| id.0 as usize + 1);
            let stored = self.store_events(slots);
            self.log_unkept(stored);
            for (process, stream) in self.listeners.in_doubt.clone() {
                self.doubt(process, Some(Channel::of(stream).0));
            }
            self.hold_state();
        }
    }

    /// Goes on after the death of a reactor: what it had read of a listener and not told is lost.
    pub(super) fn resume_listeners(&mut self, in_doubt: Vec<RunId>) {
        for run in in_doubt {
            if let Some(process) = self.core.owner(run) {
                self.inputs.push_back(Input::Unheard { run });
                self.doubt(process, None);
            }
        }
        let is_told = |stream: &StreamSpec| stream.events_enabled || stream.capture_maxbytes > 0;
        let tells = |(_, process): (ProcessId, &crate::core::Process)| {
            is_told(&process.spec().stdout) || is_told(&process.spec().stderr)
        };
        if self.core.pools().next().is_some() && self.core.processes().any(tells) {
            let text = "events about output that was being read when the reactor died may be missing; the logs \
                        have all of it";
            self.log(Level::Warn, text);
        }
        self.observe_again(false);
    }

    /// Keeps what a listener says until it is worth a line: with its next READY, or after a moment.
    fn overhear(&mut self, run: RunId, bytes: &[u8]) {
        if !self.activity.wants(Level::Debug) {
            return;
        }
        let (heard, _) = self.listeners.overheard.entry(run).or_insert_with(|| (Vec::new(), clock::now()));
        heard.extend_from_slice(bytes);
        if heard.ends_with(b"READY\n") || heard.len() >= OVERHEARD_MAX_BYTES {
            self.log_overheard(run);
        }
    }

    pub(super) fn log_overheard(&mut self, run: RunId) {
        if let Some((heard, _)) = self.listeners.overheard.remove(&run) {
            let name = str_repr(&self.name_of(run));
            self.log(Level::Debug, &format!("{name} stdout output:\n{}", bytes_repr(&heard)));
        }
    }

    /// Logs what has waited for its moment.
    pub(super) fn tell_overheard(&mut self, now: Time) {
        let is_due = |since: &Time| since.after(OVERHEARD_FOR) <= now;
        let due = self.listeners.overheard.iter().filter(|(_, (_, since))| is_due(since));
        let due: Vec<RunId> = due.map(|(run, _)| *run).collect();
        due.into_iter().for_each(|run| self.log_overheard(run));
    }

    /// Shows the result of a listener on our standard error; the disk worker waits for whoever reads there.
    pub(super) fn show_result(&mut self, result: &[u8]) {
        let text = shown::lines(result);
        if text.is_empty() {
            return;
        }
        let disk = &self.disk;
        let shown = self.listeners.shown.get_or_insert_with(|| {
            let spec = SinkSpec::file(Path::new("/dev/stderr"), 0, 0);
            Lines::new(disk.open(spec.clone()), spec)
        });
        shown.add(disk, text);
    }
}
