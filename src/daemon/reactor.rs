//! The loop: poll, turn readiness into inputs, let the core decide, carry out what it decided.
//!
//! One turn never waits for anything but the poll, and the poll's timeout is the next deadline: none while
//! nothing is timed. Must not decide anything about programs.

use super::config_watch::{Looked, Reading};
use super::control::{CallId, Calls, ClientId, Control, Jobs, Part, Subscribers, Update, Verb};
use super::flapping::Flapping;
use super::history::Journal;
use super::hot_reload::HotReload;
use super::image::{Common, Environment};
use super::instance::Identity;
use super::link::Link;
use super::listeners::{Listeners, STDINS};
use super::options::Options;
use super::runs::{Fetches, Runs};
use super::servers::Servers;
use super::share::Share;
use super::shared_sockets::SharedSockets;
use super::sockets::Sockets;
use super::store::Store;
use super::sweep::Strays;
use crate::api::v1::{self, history::History};
use crate::api::xmlrpc::{Fault, Value};
use crate::config::Loaded;
use crate::core::{Action, Core, Input, Phase, SpawnError};
use crate::daemon::command::Command;
use crate::keeper::protocol::Request;
use crate::logs::activity::Activity;
use crate::logs::disk::Disk;
use crate::logs::follow::Follower;
use crate::logs::lines::Lines;
use crate::logs::pump::Pump;
use crate::model::marks::Marks;
use crate::model::spec::{DaemonSpec, FleetSpec, Settings};
use crate::model::{Level, Pid, ProcessId, RunId, Signal, Time, WallTime};
use crate::sys::shared_socket::Failure;
use crate::sys::{clock, memory};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The disk worker woke us.
pub(super) const WAKER: Token = Token(0);
/// The keeper says something.
const KEEPER: Token = Token(1);
/// Tokens from here on are streams of programs.
pub(super) const STREAMS: usize = 16;
/// Most events that one poll returns; the rest comes with the next turn.
const EVENTS_MAX: usize = 256;
/// How long after a configuration came into force its programs have started, most are past their `startsecs`, and what
/// that needed is free.
const CALM_AFTER: Duration = Duration::from_secs(2);
/// Most rounds of one turn: what an action finds out at once (a left-over count, say) is decided on before the
/// next poll, but never so often that a client or a program waits for it.
const ROUNDS_MAX: usize = 4;
/// How long the end of the daemon waits for output that is still under way.
pub(super) const LAST_OUTPUT_MAX: Duration = Duration::from_secs(5);
/// How often left-overs are counted where their ends are not told (no subreaper), while somebody waits.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What the disk worker computes for us.
pub(super) enum Job {
    /// A command was looked up.
    Looked(RunId, Result<Command, SpawnError>),
    /// The configuration was read again.
    Loaded(Purpose, Box<Loaded>),
    /// The AUTO files of a fleet that is to come into force were made, or it cannot come into force: for which update,
    /// and what to log.
    Targeted {
        serial: u64,
        target: Result<FleetSpec, String>,
        words: Vec<(Level, String)>,
        parts: Vec<Part>,
    },
    /// The files were looked at, or read, because they may have changed.
    ConfigLooked(Looked),
    ConfigRead(Box<Reading>),
    /// A piece of a log was read for a client; one that is followed has a number among those of its client.
    Read {
        client: ClientId,
        follower: Option<(usize, Follower)>,
        bytes: io::Result<Vec<u8>>,
    },
    /// A socket that programs share was opened, or could not be: in which epoch, which.
    SocketOpened(u64, String, Result<OwnedFd, Failure>),
    /// The environment of a process, for a client.
    Environ(ClientId, Box<v1::Environment>),
    /// What a login gives now, for a client; whether only to compare it.
    LoggedIn(ClientId, bool, Result<Environment, String>),
    /// Records were read for a client.
    History(ClientId, History),
    /// The marks of disabled programs were changed, or could not be: which names were given, and which stand for
    /// nothing.
    Marked {
        client: ClientId,
        names: Vec<String>,
        missing: Vec<String>,
        result: io::Result<Marks>,
    },
    /// What a user is called.
    Named(u32, Option<String>),
    /// The folders of hosts that share the home were looked after: what to log.
    HostsTended(Vec<String>),
    /// What a call asked for.
    Called(CallId, Result<Value, Fault>),
}

/// What a configuration is read for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// A HUP: everything begins anew with it.
    Reload,
    /// A client asked what it says, or to put it in force.
    Client { client: ClientId, verb: Verb, groups: Vec<String> },
    /// A call of XML-RPC: what differs is told, and nothing more.
    Call(CallId),
}

/// What the actions of a round leave to be done once at its end.
#[derive(Default)]
pub(super) struct Afterwards {
    /// Groups whose logs are opened again, with their new limits, but for these processes.
    pub(super) relog: Vec<(String, Vec<String>)>,
    /// Groups that came (true) or went since the state file was made.
    pub(super) changed_groups: Vec<(String, bool)>,
    /// Counts of left-overs that the core asked for.
    pub(super) sweeps: Vec<(RunId, Option<Signal>)>,
    /// Signals to answer.
    pub(super) signals_taken: u32,
}

/// The daemon.
pub(super) struct Reactor {
    pub(super) poll: Poll,
    /// Ends the poll, from other threads.
    pub(super) waker: Arc<Waker>,
    pub(super) link: Link,
    /// Whether the keeper had more to say than one turn takes in.
    pub(super) more_reports: bool,
    /// Whether the poll tells of room in the connection to the keeper.
    pub(super) link_is_full: bool,
    pub(super) keeper: Pid,
    pub(super) core: Core,
    /// What is in force; its fleet is empty here, the core has it.
    pub(super) settings: Settings,
    pub(super) options: Options,
    pub(super) common: Common,
    pub(super) store: Option<Store>,
    /// The event listeners' side of it.
    pub(super) listeners: Listeners,
    pub(super) disk: Disk<Job>,
    pub(super) pump: Pump,
    pub(super) activity: Activity,
    /// The activity log's lines on their way, and whether they are echoed.
    pub(super) lines: Lines,
    pub(super) echo: bool,
    /// What happened, for `visorctl history`.
    pub(super) journal: Journal,
    pub(super) flapping: Flapping,
    pub(super) runs: Runs,
    /// What happened since the core was last told.
    pub(super) inputs: VecDeque<Input>,
    /// When this turn began to listen: what the keeper told before that is in `inputs`, so this is the time by which
    /// something is due. By a later one a program could be called RUNNING whose end waits to be read.
    pub(super) heard_at: Time,
    pub(super) afterwards: Afterwards,
    pub(super) look_again_at: Option<Time>,
    pub(super) strays: Strays,
    /// A checked configuration that waits until everything is stopped.
    pub(super) next: Option<Box<Loaded>>,
    /// Whether the configuration is being read again, and whether somebody asked once more meanwhile.
    pub(super) loading: bool,
    pub(super) load_again: bool,
    /// Whether everything is stopped and waits for a configuration.
    pub(super) anew_wanted: bool,
    /// Set when the daemon is to end: the exit code, and until when the last output is waited for.
    pub(super) exit: Option<(i32, Time)>,
    /// Set while there is no keeper: when another one is started.
    pub(super) keeper_wanted_at: Option<Time>,
    /// When the last one was started, or could not be.
    pub(super) keeper_sought_at: Option<Time>,
    /// Whether orphans of programs may have another parent than the keeper.
    pub(super) scattered: bool,
    /// Whether the groups of the configuration are in force: further ones come by an update.
    pub(super) is_up: bool,
    pub(super) fetches: Fetches,
    /// When memory that was needed for a moment goes back to the system.
    pub(super) trim_at: Option<Time>,
    /// When the folder of this host in a shared home is marked as in use; nothing where the home is not shared.
    pub(super) host_marked_at: Option<Time>,
    /// The control API.
    pub(super) control: Control,
    pub(super) jobs: Jobs,
    pub(super) calls: Calls,
    pub(super) subscribers: Subscribers,
    pub(super) updates: Vec<Update>,
    /// The serial number of the last one.
    pub(super) last_update: u64,
    /// Whether the configuration is read again when the update that is under way is done: a HUP asked for that.
    pub(super) hup_waits: bool,
    /// The watched files, and changes of them that wait.
    pub(super) hot: HotReload,
    /// What the files said when they were last read, where that is not in force.
    pub(super) latest: Option<FleetSpec>,
    /// What they said of the daemon itself then.
    pub(super) latest_daemon: Option<Box<DaemonSpec>>,
    pub(super) config_state: v1::Config,
    /// What the last child of a process could not do.
    pub(super) notes: BTreeMap<ProcessId, v1::FailedStage>,
    /// Programs that are not started by themselves.
    pub(super) marks: Marks,
    pub(super) identity: Identity,
    pub(super) started: WallTime,
    /// The control sockets, where there is any directory for them.
    pub(super) sockets: Option<Sockets>,
    /// The sockets that programs share.
    pub(super) shared_sockets: SharedSockets,
    /// Further servers that the configuration names.
    pub(super) servers: Servers,
    /// The control socket for others, and who they are.
    pub(super) share: Share,
}

impl Reactor {
    /// Runs until the daemon ends; returns its exit code.
    pub(super) fn run(mut self) -> i32 {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            self.decide();
            if let Some((code, due)) = self.exit
                && (self.runs.table.is_empty() || due <= clock::now())
            {
                return self.end(code);
            }
            let timeout = self.timeout();
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                self.log(Level::Critical, &format!("cannot wait for events: {error}"));
            }
            self.take_events(&events);
        }
    }

    /// Registers what is always watched.
    pub(super) fn register(&mut self) -> io::Result<()> {
        let fd = self.link.as_fd().as_raw_fd();
        self.link_is_full = false;
        self.poll.registry().register(&mut SourceFd(&fd), KEEPER, Interest::READABLE)
    }

    /// Sends what waits for the keeper, and asks to be told of room only while there is none: else each message
    /// that the keeper reads would wake us.
    fn tend_link(&mut self) {
        self.link.flush();
        if self.link.is_full() == self.link_is_full {
            return;
        }
        self.link_is_full = !self.link_is_full;
        let room = self.link_is_full.then_some(Interest::WRITABLE);
        let interest = room.map_or(Interest::READABLE, |room| room | Interest::READABLE);
        let fd = self.link.as_fd().as_raw_fd();
        if let Err(error) = self.poll.registry().reregister(&mut SourceFd(&fd), KEEPER, interest) {
            self.log(Level::Critical, &format!("cannot listen to the keeper: {error}"));
        }
    }

    /// How long to sleep: until the next deadline, for ever when there is none, not at all with work left.
    fn timeout(&self) -> Option<Duration> {
        if !self.inputs.is_empty() || self.more_reports {
            return Some(Duration::ZERO);
        }
        let end = self.exit.map(|(_, due)| due);
        let own = [
            self.look_again_at,
            self.fetches.at,
            self.keeper_wanted_at,
            self.trim_at,
            self.host_marked_at,
            end,
        ];
        let due = own.into_iter().chain([
            self.core.next_deadline(),
            self.pump.next_deadline(),
            self.control.next_deadline(),
            self.jobs.next_deadline(),
            self.sockets.as_ref().and_then(Sockets::next_deadline),
            self.listeners.next_deadline(),
            self.hot.next_deadline(),
            self.share.next_deadline(),
        ]);
        // Rounded up to the poll's resolution: waking a little early would only mean to sleep again.
        let round_up = |rest: Duration| rest.checked_add(Duration::from_micros(999)).unwrap_or(rest);
        due.flatten().min().map(|due| round_up(due.since(clock::now())))
    }

    fn take_events(&mut self, events: &Events) {
        let now = clock::now();
        self.heard_at = now;
        for event in events {
            match event.token() {
                WAKER => {}
                // Read below; what waits is sent at the end of the turn.
                KEEPER => {}
                _ if self.control.ready(event, now) => {}
                Token(STDINS..) => self.stdin_ready(event.token()),
                token => {
                    if let Some(stream) = self.pump.stream_of(token) {
                        self.about_to_hear(stream);
                        self.pump.ready(stream);
                    }
                }
            }
        }
        // Output first, then ends: what a program wrote before it ended is logged before its end.
        self.pump.tick(now);
        self.take_pump_events();
        self.take_reports();
        self.take_disk_events();
        self.tend_sockets(now);
        self.tend_config(now);
        self.tend_share(now);
        self.tend_host(now);
        self.control.tick(now);
        self.take_requests();
        self.tend_streams();
        self.expire_jobs();
        self.forget_gone();
        if let Some(line) = self.control.denials(now) {
            self.log(Level::Warn, &line);
        }
        self.tell_of_refusals(now);
        self.look_again(now);
        self.fetch_due();
        self.tell_overheard(now);
        if self.trim_at.is_some_and(|due| due <= now) {
            self.trim_at = None;
            self.link.send(Request::Calm, Vec::new());
            memory::trim();
        }
    }

    /// Gives memory back once what just came into force has settled.
    pub(super) fn trim_later(&mut self) {
        self.trim_at = Some(clock::now().after(CALM_AFTER));
    }

    /// Tells the core what happened, and carries out what it decides.
    pub(super) fn decide(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let told = !self.inputs.is_empty();
            for input in news_first(std::mem::take(&mut self.inputs)) {
                self.core.handle(self.heard_at, clock::wall(), input);
                self.carry_out();
            }
            if self.core.next_deadline().is_some_and(|due| due <= self.heard_at) {
                self.core.handle(self.heard_at, clock::wall(), Input::Tick);
                self.carry_out();
            }
            self.is_up |= told;
            self.relog_changed();
            self.keep_changed_groups();
            if self.core.phase() != Phase::Running {
                self.end_updates();
            }
            self.sweep_all();
            self.settle_calls();
            if self.inputs.is_empty() {
                break;
            }
        }
        self.answer_signals();
        self.tend_link();
        self.tend_listeners();
        self.lines.flush(&self.disk);
        self.flush_history();
        if self.keeper_wanted_at.is_some_and(|due| due <= clock::now()) {
            self.replace_keeper();
        }
    }

    /// Answers signals once what they led to is kept: until then the keeper tells them to the next reactor as well. It
    /// takes us for dead when nobody answers the third TERM.
    fn answer_signals(&mut self) {
        for _ in 0..std::mem::take(&mut self.afterwards.signals_taken) {
            self.link.send(Request::Taken, Vec::new());
        }
    }

    /// Keeps what groups came and went, once for all of a round, and tells who waits for it. Before a program of
    /// theirs is started: that takes a look at the disk first, whose answer comes with a later turn.
    fn keep_changed_groups(&mut self) {
        let changed = std::mem::take(&mut self.afterwards.changed_groups);
        if !changed.is_empty() {
            let fleet = self.core.fleet();
            self.divide_descriptors(&fleet);
            self.store_fleet(&fleet);
        }
        for (group, is_there) in changed {
            self.group_changed(&group, is_there);
        }
        self.observe_again(false);
    }

    /// Carries out what the core decided. First what a death of this reactor must not undo, in this order: the
    /// lines and events that tell of it, then the state that makes it so, so that nothing happens untold; then the
    /// rest.
    fn carry_out(&mut self) {
        let mut rest = Vec::new();
        let mut changed = BTreeSet::new();
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Log { .. } | Action::KeepEvent(_) | Action::SettleEvent { .. } => {
                    self.perform(action)
                }
                Action::Persist(process) => drop(changed.insert(process)),
                Action::Publish(transition) => {
                    self.record(&transition);
                    rest.push(Action::Publish(transition));
                }
                action => rest.push(action),
            }
        }
        self.store_header();
        changed.iter().copied().map(Action::Persist).for_each(|action| self.perform(action));
        rest.into_iter().for_each(|action| self.perform(action));
        // Not all that is waited for shows as another state: that no restart follows any more does not.
        for process in changed {
            if let Some(state) = self.core.process(process).map(|process| process.state().shown()) {
                self.check_watches(process, state);
            }
        }
    }

    /// Counts left-overs again where nobody tells of their ends.
    fn look_again(&mut self, now: Time) {
        if self.look_again_at.is_some_and(|due| due <= now) {
            self.look_again_at = None;
            self.count_left_overs();
        }
        if self.look_again_at.is_none() && self.scattered && !self.runs.watched().is_empty() {
            self.look_again_at = Some(now.after(LOOK_AGAIN));
        }
    }

    /// Writes a line to the activity log.
    pub(super) fn log(&mut self, level: Level, text: &str) {
        if let Some(line) = self.activity.line(level, text, clock::wall()) {
            self.lines.add(&self.disk, line);
        }
    }

    /// The last acts: everything that is queued reaches the disk, and the keeper is told the exit code.
    fn end(mut self, code: i32) -> i32 {
        super::pidfile::remove(&self.settings.daemon.pidfile, self.keeper);
        // What a frozen disk keeps back is in the buffers that the keeper holds; they end with the daemon.
        if let Some(sockets) = self.sockets.take() {
            sockets.close();
        }
        std::mem::take(&mut self.servers).close();
        self.record_note("", "daemon_ended", "");
        std::mem::take(&mut self.share).close();
        self.lines.flush(&self.disk);
        self.flush_history();
        let _ = self.disk.stop(LAST_OUTPUT_MAX);
        self.link.send(Request::Exit { code: code as u64 }, Vec::new());
        self.link.drain();
        code
    }

    /// Carries out one action; see `effects.rs`.
    fn perform(&mut self, action: Action) {
        super::effects::perform(self, action);
    }
}

/// Puts the news of runs before what somebody wants, because that makes timers run: a program that has ended must
/// not be called RUNNING, nor killed, because its end was told a moment behind a signal. Nothing passes a hand-over.
fn news_first(inputs: VecDeque<Input>) -> Vec<Input> {
    let mut part = 0;
    let mut ranked: Vec<((usize, bool), Input)> = Vec::with_capacity(inputs.len());
    for input in inputs {
        let is_hand_over = input == Input::HandedOver;
        part += usize::from(is_hand_over);
        ranked.push(((part, !input.is_news()), input));
        part += usize::from(is_hand_over);
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, input)| input).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ExitStatus;

    #[test]
    fn news_pass_what_somebody_wants_but_no_hand_over() {
        let end = |run| Input::Exited { run: RunId(run), status: ExitStatus::Code(0), at: Time(0) };
        let stop = || Input::Signal(Signal::TERM);
        let given = [end(1), stop(), end(2), Input::HandedOver, stop(), end(3), Input::Tick, end(4)];
        let told = [end(1), end(2), stop(), Input::HandedOver, end(3), end(4), stop(), Input::Tick];
        assert_eq!(news_first(given.into()), told);
    }
}
