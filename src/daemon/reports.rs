//! What comes in: reports of the keeper, and answers of the disk worker.

use super::effects::spawn_error;
use super::reactor::{Job, Reactor};
use super::runs::{CHANNELS, Channel};
use crate::api::v1;
use crate::core::{Input, SpawnError};
use crate::keeper::protocol::{Report, Request, Streams};
use crate::logs::disk::Event;
use crate::logs::pump::{PumpEvent, StreamOptions};
use crate::logs::sink::SinkId;
use crate::logs::writer::Note;
use crate::model::spec::ProcessSpec;
use crate::model::{ExitStatus, Level, Pid, RunId, Signal, Time};
use crate::sys::clock;
use crate::sys::open::OpenError;
use crate::sys::spawn::Stage;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How soon descriptors are asked for again that the limit of open files kept out.
const FETCH_AGAIN: Duration = Duration::from_secs(1);

/// Most reports of one turn: when thousands of programs end at once, clients wait for some of them only.
const REPORTS_A_TURN: usize = 256;

impl Reactor {
    /// Takes in what the keeper said, up to [`REPORTS_A_TURN`]. Ends come last: what the programs wrote before is read
    /// once for all of them.
    pub(super) fn take_reports(&mut self) {
        let mut ends = Vec::new();
        self.more_reports = true;
        for _ in 0..REPORTS_A_TURN {
            match self.link.receive() {
                Ok(Some((Report::Exited { run, status, at_ns }, _)))
                    if self.runs.table.contains_key(&RunId(run)) =>
                {
                    ends.push((RunId(run), status, Time(at_ns)));
                }
                Ok(Some((report, fds))) => self.take_report(report, fds),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.more_reports = false;
                    break;
                }
                Ok(None) | Err(_) => {
                    self.more_reports = false;
                    self.keeper_is_lost();
                    break;
                }
            }
        }
        self.exited(&ends);
    }

    pub(super) fn take_report(&mut self, report: Report, fds: Vec<OwnedFd>) {
        match report {
            // Late news of a run that was let go of, such as streams that were asked for once more.
            Report::Spawned { run, .. } if !self.runs.table.contains_key(&RunId(run)) => {}
            Report::Exited { run, .. } if !self.runs.table.contains_key(&RunId(run)) => {
                self.link.send(Request::Release { run }, Vec::new());
            }
            Report::Spawned { run, pid, streams, started_ticks } => {
                let run = RunId(run);
                if !self.runs.entry(run).alive {
                    self.inputs.push_back(Input::Spawned { run, pid: Pid(pid) });
                }
                self.spawned(run, Pid(pid), streams, started_ticks, fds);
            }
            Report::Failed { run, errno, pipe } => {
                let run = RunId(run);
                self.runs.entry(run).asked = false;
                let error = spawn_error(&self.name_of(run), &io::Error::from_raw_os_error(errno), pipe);
                self.inputs.push_back(Input::SpawnFailed { run, error });
            }
            Report::Noted { run, stage, errno } => self.noted(RunId(run), stage, errno),
            Report::Exited { run, status, at_ns } => self.exited(&[(RunId(run), status, Time(at_ns))]),
            Report::Refused { run, errno } => {
                let errno = crate::sys::errno_name(errno);
                self.inputs.push_back(Input::SignalFailed { run: RunId(run), errno });
            }
            Report::Signal { signal } => {
                self.afterwards.signals_taken += 1;
                self.take_signal(signal);
            }
            Report::Orphans { count, pid, status } => self.orphans(count, pid, status),
            Report::Unheld { .. } => {
                self.fetches.holds = true;
                self.fetches.at.get_or_insert(clock::now().after(FETCH_AGAIN));
            }
            // Parts of a hand-over, which is over before the loop begins.
            Report::Held { .. } | Report::Window | Report::Begin { .. } => {}
        }
    }

    pub(super) fn name_of(&self, run: RunId) -> String {
        let process = self.runs.table.get(&run).and_then(|live| live.process);
        process
            .and_then(|id| self.core.process(id))
            .map_or_else(|| run.to_string(), |p| p.spec().name.clone())
    }

    /// Notes a child and takes over its streams.
    pub(super) fn spawned(
        &mut self,
        run: RunId,
        pid: Pid,
        streams: Streams,
        started_ticks: u64,
        fds: Vec<OwnedFd>,
    ) {
        if fds.len() < streams.kept() {
            self.fetch_again(run, streams);
        }
        let mut fds = fds.into_iter();
        let stdin = if streams.has(Streams::STDIN) { fds.next() } else { None };
        let entry = self.runs.entry(run);
        (entry.main, entry.alive, entry.asked) = (Some(pid), true, false);
        (entry.streams, entry.started_ticks, entry.stdin) = (streams, started_ticks, stdin);
        let spec = entry.process.and_then(|id| self.core.process(id)).map(|p| p.spec().clone());
        let listens = entry.process.is_some_and(|id| self.core.is_listener(id));
        if listens {
            entry.outbox.get_or_insert_default();
        }
        for (channel, bit) in [(Channel::Stdout, Streams::STDOUT), (Channel::Stderr, Streams::STDERR)] {
            if !streams.has(bit) {
                continue;
            }
            let Some(fd) = fds.next().filter(|_| !self.pump.has(channel.stream(run))) else { continue };
            let options = spec.as_ref().map(|spec| self.stream_options(spec, channel, listens));
            let sink = self.runs.entry(run).sinks[channel as usize];
            match self.pump.attach(channel.stream(run), fd, sink, options.unwrap_or_default()) {
                Ok(()) => self.runs.entry(run).streams_open += 1,
                Err(error) => {
                    let name = self.name_of(run);
                    let text = format!("cannot read the {} of '{name}' yet: {error}", channel.name());
                    self.log(Level::Error, &text);
                    self.fetch_again(run, streams);
                }
            }
        }
    }

    /// What is to happen with a stream besides going into its log. That of a listener's stdout is a conversation, to
    /// which neither syslog nor capture mode apply (supervisor 4.3 `PEventListenerDispatcher`).
    fn stream_options(&self, spec: &ProcessSpec, channel: Channel, listens: bool) -> StreamOptions {
        let stream = if channel == Channel::Stdout { &spec.stdout } else { &spec.stderr };
        let attentive = listens && channel == Channel::Stdout;
        let capture = usize::try_from(stream.capture_maxbytes).ok().filter(|bytes| *bytes > 0);
        StreamOptions {
            observe: self.is_observed(stream, channel),
            strip: self.settings.daemon.strip_ansi,
            syslog: (stream.syslog && !attentive).then(|| spec.name.clone()),
            attentive,
            capture_max_bytes: capture,
        }
    }

    /// The kernel drops descriptors on their way to a process that has no room for them: they are asked for once
    /// more, because a program whose output nobody reads stands still.
    fn fetch_again(&mut self, run: RunId, streams: Streams) {
        if !std::mem::replace(&mut self.fetches.told, true) {
            let text = format!(
                "no descriptors are left to read the output of '{}'; trying again every second, for others too: raise \
                 the limit of open files",
                self.name_of(run)
            );
            self.log(Level::Error, &text);
        }
        self.fetches.runs.push((run, streams));
        self.fetches.at = Some(clock::now().after(FETCH_AGAIN));
    }

    /// Asks once more for descriptors that were dropped: a known run is answered with all of its streams.
    pub(super) fn fetch_due(&mut self) {
        if self.fetches.at.is_none_or(|due| due > clock::now()) {
            return;
        }
        self.fetches.at = None;
        if std::mem::take(&mut self.fetches.holds) {
            self.hold_everything();
        }
        let given = std::mem::take(&mut self.fetches.given);
        let incomplete: Vec<RunId> = given.into_iter().filter(|run| !self.give(*run)).collect();
        if !incomplete.is_empty() {
            self.give_again(incomplete);
        }
        if self.fetches.runs.is_empty() && std::mem::take(&mut self.fetches.told) {
            self.log(Level::Info, "the output of all programs is read again");
        }
        for (run, streams) in std::mem::take(&mut self.fetches.runs) {
            if self.runs.table.get(&run).is_some_and(|live| live.alive) {
                self.link.send(Request::Spawn { run: run.0, streams, held: 0 }, Vec::new());
            }
        }
        // Once more without any: then all have arrived.
        if self.fetches.told {
            self.fetches.at = Some(clock::now().after(FETCH_AGAIN));
        }
    }

    fn noted(&mut self, run: RunId, stage: u32, errno: i32) {
        let words = Stage::by_number(stage).map_or("start", Stage::words);
        let error = io::Error::from_raw_os_error(errno);
        if let Some(process) = self.runs.table.get(&run).and_then(|live| live.process) {
            let (stage, errno) = (words.to_owned(), crate::sys::errno_name(errno));
            let text = crate::sys::error_text(&error);
            self.notes.insert(process, v1::FailedStage { stage, errno, text });
        }
        let text = format!("'{}' could not {words}: {error}", self.name_of(run));
        self.log(Level::Info, &text);
    }

    fn exited(&mut self, ends: &[(RunId, ExitStatus, Time)]) {
        if ends.is_empty() {
            return;
        }
        // What they wrote before they ended goes before their ends.
        for (run, ..) in ends {
            CHANNELS.iter().for_each(|(channel, _)| self.pump.ready(channel.stream(*run)));
        }
        self.pump.tick(clock::now());
        self.take_pump_events();
        for (run, status, at) in ends {
            self.log(Level::Debug, "received SIGCHLD indicating a child quit");
            self.close_outbox(*run);
            self.log_overheard(*run);
            self.runs.entry(*run).alive = false;
            self.inputs.push_back(Input::Exited { run: *run, status: *status, at: *at });
        }
    }

    fn orphans(&mut self, count: u64, pid: i32, status: ExitStatus) {
        let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
        self.log(Level::Info, &format!("reaped unknown pid {pid} ({status}){more}"));
        self.count_left_overs();
    }

    fn take_signal(&mut self, signal: Signal) {
        match signal {
            Signal::HUP => self.reload(),
            Signal::USR2 => {
                self.log(Level::Info, "received SIGUSR2 indicating log reopen request");
                self.log(Level::Info, "supervisord logreopen");
                self.disk.reopen_all();
            }
            Signal::USR1 => self.log(Level::Debug, "received SIGUSR1, which asks nothing of visord"),
            other => self.inputs.push_back(Input::Signal(other)),
        }
    }

    /// Takes in what the disk worker has done.
    pub(super) fn take_disk_events(&mut self) {
        for event in self.disk.drain() {
            match event {
                Event::Opened { result: Ok(()), .. } => {}
                Event::Cleared { sink, result } => {
                    self.log_was_cleared(sink, result.err().map(|e| e.to_string()))
                }
                Event::Opened { sink, result: Err(error) } if self.history_failed(sink, &error) => {}
                Event::Opened { sink, result: Err(error) } => self.sink_failed(sink, &error),
                Event::Done(Job::Looked(run, result)) => self.looked(run, result),
                Event::Done(Job::SocketOpened(epoch, url, opened)) => {
                    self.shared_socket_opened(epoch, url, opened)
                }
                Event::Done(Job::Loaded(purpose, loaded)) => self.loaded(purpose, *loaded),
                Event::Done(Job::Targeted { serial, target, words, parts }) => {
                    self.targeted(serial, target, parts, &words);
                }
                Event::Done(Job::ConfigLooked(looked)) => self.config_looked(looked),
                Event::Done(Job::ConfigRead(reading)) => self.config_read(*reading),
                Event::Done(Job::Read { client, follower, bytes }) => {
                    self.log_was_read(client, follower, bytes)
                }
                Event::Done(Job::Environ(client, shown)) => self.send(client, &shown),
                Event::Done(Job::LoggedIn(client, dry_run, login)) => self.logged_in(client, dry_run, login),
                Event::Done(Job::History(client, history)) => self.send(client, &history),
                Event::Done(Job::Marked { client, names, missing, result }) => {
                    self.marked(client, &names, missing, result);
                }
                Event::Done(Job::Named(uid, name)) => self.learned(uid, name),
                Event::Done(Job::HostsTended(words)) => {
                    words.iter().for_each(|line| self.log(Level::Warn, line));
                }
                Event::Done(Job::Called(call, result)) => self.calls.complete(call, result),
                Event::Grown(target) => self.log_has_grown(&target),
                Event::SlotFree => self.pump.slots_freed(),
                Event::Log { target, note } => self.log_note(&target, note),
                Event::Recovered { slots: 0, .. } => {}
                Event::Recovered { bytes, .. } => {
                    self.log(
                        Level::Info,
                        &format!("{bytes} bytes that the lost reactor had read were written"),
                    );
                }
            }
        }
    }

    fn log_note(&mut self, target: &str, note: Note) {
        self.record_loss(target, &note);
        let (level, text) = match note {
            Note::Dropped(bytes, why) => (
                Level::Error,
                format!("cannot write to {target}: {why}; {bytes} bytes of output were dropped so far"),
            ),
            Note::Resumed(bytes) => (
                Level::Warn,
                format!("writing to {target} works again; {bytes} bytes of output were dropped"),
            ),
            Note::Warning(why) => (Level::Warn, format!("{target}: {why}")),
        };
        self.log(level, &text);
    }

    /// A log cannot be opened: the run that it was opened for is told with its command's answer, which follows.
    fn sink_failed(&mut self, sink: SinkId, error: &OpenError) {
        let owner = self.runs.table.values_mut().find(|live| live.sinks.contains(&Some(sink)));
        match owner {
            Some(live) => live.sink_failure = Some(error.errno.into()),
            None => self.log(Level::Error, &format!("cannot open a log: {error}")),
        }
    }

    fn looked(&mut self, run: RunId, result: Result<super::command::Command, SpawnError>) {
        let name = self.name_of(run);
        let Some(live) = self.runs.table.get_mut(&run) else { return };
        let result = result.map(|command| live.command = Some(command));
        self.keep_login();
        let Some(live) = self.runs.table.get_mut(&run) else { return };
        let result = match live.sink_failure.take() {
            Some(error) => result.and(Err(spawn_error(&name, &error, true))),
            None => result,
        };
        self.inputs.push_back(Input::Prepared { run, result });
    }

    /// Takes in what the pump says: output that the activity log is to show, and streams that ended.
    pub(super) fn take_pump_events(&mut self) {
        for event in self.pump.take_events() {
            match event {
                PumpEvent::Observed(stream, bytes) => {
                    let (run, channel) = Channel::of(stream);
                    self.observed(run, channel, bytes);
                }
                PumpEvent::Captured(stream, bytes) => {
                    let (run, channel) = Channel::of(stream);
                    self.captured(run, channel, bytes);
                }
                PumpEvent::Closed(stream) => self.stream_closed(stream),
            }
        }
    }
}
