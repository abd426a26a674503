//! One arm per [`Action`]: the only place that does something to the system because the core decided it.
//!
//! What fails here becomes an input of the next turn; nothing is decided.

use super::reactor::{Job, LAST_OUTPUT_MAX, Reactor};
use super::runs::{CHANNELS, Channel};
use super::shared_sockets::key_of;
use super::sweep::{Orphan, Sweeper, Target};
use crate::api::names;
use crate::core::{Action, Actor, Finish, Input, Scope, SpawnError, Transition};
use crate::keeper::protocol::{Request, Streams, Whom};
use crate::logs::sink::StreamId;
use crate::logs::sink::{SinkId, SinkSpec};
use crate::model::spec::{LogTarget, ProcessSpec, StreamSpec};
use crate::model::{Level, ProcessId, RunId, Signal, State};
use crate::sys::{clock, tree};
use std::io;
use std::sync::Arc;

/// Carries out one action.
pub(super) fn perform(reactor: &mut Reactor, action: Action) {
    match action {
        Action::Prepare { run, process } => reactor.prepare(run, process),
        Action::Spawn { run, process } => reactor.spawn(run, process),
        Action::Signal { run, signal, scope } => reactor.signal(run, signal, scope),
        Action::Sweep { run, signal } => reactor.afterwards.sweeps.push((run, signal)),
        Action::Forget { run } => reactor.forget(run),
        Action::OpenSocket(socket) => reactor.open_shared_socket(socket),
        Action::CloseSocket(url) => reactor.close_shared_socket(&url),
        Action::Publish(transition) => reactor.publish(&transition),
        Action::Log { level, text } => reactor.log(level, &text),
        Action::Persist(process) => reactor.persist(process),
        Action::GroupAdded(group) => reactor.group_came(&group),
        Action::GroupChanged(group) => reactor.afterwards.changed_groups.push((group, true)),
        Action::GroupRemoved(group) => reactor.group_went(&group),
        Action::Reply { id, reply } => reactor.take_reply(id, &reply),
        Action::KeepEvent(delivery) => reactor.keep_event(&delivery),
        Action::SettleEvent { delivery, .. } => reactor.settle_event(&delivery),
        Action::SendEvent { run, delivery } => reactor.send_event(run, &delivery),
        Action::ShowResult(result) => reactor.show_result(&result),
        Action::Finish(Finish::Exit) => {
            reactor.sweep(&[]);
            reactor.forget_all();
            reactor.exit = Some((reactor.core.exit_code().into(), clock::now().after(LAST_OUTPUT_MAX)));
        }
        Action::Finish(Finish::Reload) => reactor.begin_anew(),
    }
}

impl Reactor {
    pub(super) fn spec(&self, process: ProcessId) -> Option<Arc<ProcessSpec>> {
        self.core.process(process).map(|process| Arc::clone(process.spec()))
    }

    /// Opens the logs and looks for the command; the disk worker does both, in this order.
    fn prepare(&mut self, run: RunId, process: ProcessId) {
        let Some(spec) = self.spec(process) else { return };
        let sinks = self.open_logs(&spec);
        let lookup = self.common.lookup(spec);
        self.disk.run(Box::new(move || Job::Looked(run, lookup.run())));
        let entry = self.runs.entry(run);
        entry.process = Some(process);
        // Asked for a second time after the loss of a keeper, it has its logs already.
        let before = std::mem::replace(&mut entry.sinks, sinks);
        before.into_iter().flatten().for_each(|sink| self.disk.close(sink));
    }

    /// Opens the logs of a process: of stdout, and of a stderr that is not the stdout.
    pub(super) fn open_logs(&self, spec: &ProcessSpec) -> [Option<SinkId>; 2] {
        let private = self.settings.daemon.private_files;
        let stderr = if spec.redirect_stderr { None } else { sink_of(&spec.stderr, private) };
        [sink_of(&spec.stdout, private), stderr].map(|sink| sink.map(|sink| self.disk.open(sink)))
    }

    /// Whether somebody wants the bytes of a stream; one that nobody wants needs no pipe.
    fn is_wanted(&self, stream: &StreamSpec) -> bool {
        stream.logfile.path().is_some()
            || stream.syslog
            || stream.events_enabled
            || stream.capture_maxbytes > 0
            || self.activity.wants(Level::Debug)
    }

    fn spawn(&mut self, run: RunId, process: ProcessId) {
        let Some(spec) = self.spec(process) else { return };
        // A socket that is shared takes the place of a pipe.
        let held = spec.socket.as_deref().map_or(0, key_of);
        let mut streams = Streams(if held == 0 { Streams::STDIN } else { 0 });
        if self.is_wanted(&spec.stdout) || self.core.is_listener(process) {
            streams.0 |= Streams::STDOUT;
        }
        streams.0 |= match () {
            () if spec.redirect_stderr => Streams::STDERR_TO_STDOUT,
            () if self.is_wanted(&spec.stderr) => Streams::STDERR,
            () => 0,
        };
        let entry = self.runs.entry(run);
        let Some(command) = entry.command.take() else { return };
        entry.asked = true;
        let stored = self.common.image(run, &spec, &command).store();
        match stored {
            Ok(image) => {
                self.link.send(Request::Spawn { run: run.0, streams, held }, vec![image.into()]);
            }
            Err(error) => {
                let error = spawn_error(&spec.name, &error, false);
                self.inputs.push_back(Input::SpawnFailed { run, error });
            }
        }
    }

    fn signal(&mut self, run: RunId, signal: Signal, scope: Scope) {
        let whom = if scope == Scope::Group { Whom::Group } else { Whom::Main };
        if scope == Scope::Tree {
            // Descendants first: once their parent is gone they are harder to tell.
            self.sweep(&[(run, Some(signal))]);
        }
        self.link.send(Request::Signal { run: run.0, signal, whom }, Vec::new());
    }

    /// Counts what the core asked for in this turn, with one look at the process table.
    pub(super) fn sweep_all(&mut self) {
        let wanted = std::mem::take(&mut self.afterwards.sweeps);
        if wanted.is_empty() {
            return;
        }
        for (run, left) in self.sweep(&wanted) {
            // One that was forgotten meanwhile must not come back.
            if let Some(live) = self.runs.table.get_mut(&run) {
                live.left = (left > 0).then_some(left);
            }
            self.inputs.push_back(Input::Swept { run, left });
        }
    }

    /// Looks at the trees of runs and signals them as asked; returns how many processes each has left.
    fn sweep(&mut self, wanted: &[(RunId, Option<Signal>)]) -> Vec<(RunId, u32)> {
        let target = |(run, signal): &(RunId, Option<Signal>)| {
            let live = self.runs.table.get(run)?;
            Some(Target { run: *run, main: live.main?, main_alive: live.alive, signal: *signal })
        };
        let targets: Vec<Target> = wanted.iter().filter_map(target).collect();
        let mut known = self.runs.alive();
        known.insert(crate::sys::process::own_pid());
        let tag = |run| self.common.tag(run);
        let sweeper = Sweeper { keeper: self.keeper, scattered: self.scattered, known: &known, tag: &tag };
        let orphans = sweeper.orphans();
        let found = sweeper.sweep(&targets, &orphans);
        self.name_strays(&orphans, &targets);
        let count = |run: &RunId| found.get(run).map_or(0, |left| left.len() as u32);
        wanted.iter().map(|(run, _)| (*run, count(run))).collect()
    }

    /// Tells of what a program left behind without a mark: it cannot be told from whom it came, and is left alone.
    fn name_strays(&mut self, orphans: &[Orphan], targets: &[Target]) {
        // Where orphans scatter, those looked at are all processes of the machine; and a child that was asked for
        // bears no mark before it executes its program.
        if orphans.is_empty() || self.scattered || self.runs.table.values().any(|run| run.asked) {
            return;
        }
        let mut leaders = self.runs.alive();
        leaders.extend(targets.iter().map(|target| target.main));
        for stray in self.strays.new_ones(orphans, &self.common.token, &leaders) {
            let name = tree::name(stray.pid).unwrap_or_default().escape_default().to_string();
            let pid = stray.pid;
            let text = format!(
                "process {pid} ({name}) was left behind by a program and bears no mark of it: it is not \
                 stopped; kill {pid} ends it"
            );
            self.log(Level::Warn, &text);
        }
    }

    /// Counts the left-overs that somebody waits for once more, and tells the core what changed.
    pub(super) fn count_left_overs(&mut self) {
        let watched: Vec<_> = self.runs.watched().into_iter().map(|run| (run, None)).collect();
        if watched.is_empty() {
            return;
        }
        for (run, left) in self.sweep(&watched) {
            let entry = self.runs.entry(run);
            if entry.left != Some(left) {
                entry.left = (left > 0).then_some(left);
                self.inputs.push_back(Input::Swept { run, left });
            }
        }
    }

    /// Lets go of a run: the rest of its output is taken in, its logs and its pipes are closed.
    pub(super) fn forget(&mut self, run: RunId) {
        let Some(live) = self.runs.table.get_mut(&run) else { return };
        (live.forgotten, live.left) = (true, None);
        for (channel, _) in CHANNELS {
            self.pump.finish(channel.stream(run));
        }
        self.release_if_done(run);
    }

    /// Lets go of every run, when all have ended: what they left behind may hold their pipes for ever.
    pub(super) fn forget_all(&mut self) {
        let all: Vec<RunId> = self.runs.table.keys().copied().collect();
        all.into_iter().for_each(|run| self.forget(run));
    }

    /// Takes in that a stream was read to its end.
    pub(super) fn stream_closed(&mut self, stream: StreamId) {
        let (run, channel) = Channel::of(stream);
        let Some(live) = self.runs.table.get_mut(&run) else { return };
        live.streams_open = live.streams_open.saturating_sub(1);
        if let Some(sink) = live.sinks[channel as usize].take() {
            self.disk.close(sink);
        }
        self.release_if_done(run);
    }

    /// A run that is over and read to the end is released: before that its pipes must survive us.
    fn release_if_done(&mut self, run: RunId) {
        let Some(live) = self.runs.table.get(&run).filter(|live| live.forgotten && live.streams_open == 0)
        else {
            return;
        };
        live.sinks.into_iter().flatten().for_each(|sink| self.disk.close(sink));
        self.runs.table.remove(&run);
        self.link.send(Request::Release { run: run.0 }, Vec::new());
    }

    fn group_came(&mut self, group: &str) {
        self.log(Level::Trace, &format!("group {group} is in force"));
        if self.is_up {
            self.record_note("", "group_added", group);
            self.afterwards.changed_groups.push((group.to_owned(), true));
        }
    }

    fn group_went(&mut self, group: &str) {
        self.log(Level::Trace, &format!("group {group} is gone"));
        self.drop_watches(group);
        self.record_note("", "group_removed", group);
        self.afterwards.changed_groups.push((group.to_owned(), false));
    }

    fn publish(&mut self, transition: &Transition) {
        self.note_restart(transition);
        self.tell_transition(transition);
        self.check_watches(transition.process, transition.to);
        if !self.activity.wants(Level::Trace) {
            return;
        }
        let (from, to) = (transition.from.name(), transition.to.name());
        let name = names::join(&transition.group, &transition.name);
        let text = format!("{name}: {from} -> {to} ({})", transition.cause);
        self.log(Level::Trace, &text);
    }

    /// Counts restarts that nobody asked for; whoever starts or stops a program begins to count anew.
    fn note_restart(&mut self, transition: &Transition) {
        let Transition { process, from, to, actor, .. } = transition;
        match to {
            State::Starting if *actor == Actor::Policy && *from != State::Stopped => {
                self.flapping.restarted(*process, clock::now());
            }
            State::Starting | State::Stopped | State::Stopping => self.flapping.forget(*process),
            _ => {}
        }
    }

    /// Rewrites the slot of a process. A failure is told once and ends nothing: it matters only if the
    /// reactor dies as well.
    fn persist(&mut self, process: ProcessId) {
        let Some(store) = &self.store else { return };
        let Some(record) = self.core.record(process) else { return };
        if let Err(error) = store.write(process.0 as usize, &record.encode()) {
            self.log(Level::Error, &format!("cannot keep the state of {process}: {error}"));
        }
    }

    /// Writes the core's header when it changed, and what an update has to do before any of it is done.
    pub(super) fn store_header(&mut self) {
        if self.core.take_plan_change() {
            let fleet = self.core.fleet();
            self.store_fleet(&fleet);
        }
        let Some(header) = self.core.take_header() else { return };
        let Some(store) = &self.store else { return };
        let written =
            serde_json::to_vec(&header).map_err(io::Error::other).and_then(|text| store.write_header(&text));
        if let Err(error) = written {
            self.log(Level::Error, &format!("cannot keep the daemon's state: {error}"));
        }
    }
}

/// Returns the log file of a stream, where it has one; `private` makes those private that the user named, too.
fn sink_of(stream: &StreamSpec, private: bool) -> Option<SinkSpec> {
    let path = stream.logfile.path()?;
    let max_bytes = u64::try_from(stream.maxbytes).unwrap_or(0);
    let backups = u32::try_from(stream.backups).unwrap_or(0);
    let sink = SinkSpec::file(path, max_bytes, backups);
    Some(if private || matches!(stream.logfile, LogTarget::Auto(_)) { sink.private() } else { sink })
}

/// Sorts a failure to make a child into supervisord's kinds.
pub(super) fn spawn_error(name: &str, error: &io::Error, pipe: bool) -> SpawnError {
    let errno = crate::sys::error_name(error);
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => SpawnError::TooManyFiles(name.into()),
        Some(libc::EAGAIN | libc::ENOMEM) => SpawnError::TooManyProcesses(name.into()),
        _ if pipe => SpawnError::Dispatchers { name: name.into(), errno },
        _ => SpawnError::Fork { name: name.into(), errno },
    }
}
