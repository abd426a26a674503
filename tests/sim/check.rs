//! The invariants, checked after every step from outside of the core: what was asked, what was done, what is.

use super::kernel::Kernel;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use visor::core::backoff::RESTARTS_PER_SECOND_MAX;
use visor::core::{
    Action, Actor, Core, Desired, Input, Phase, ProcState, Reply, Request, RequestId, Rest,
    SPAWNS_IN_FLIGHT_MAX, Stage, Step, Transition,
};
use visor::model::spec::{FleetSpec, ProcessSpec};
use visor::model::{ProcessId, RunId, Signal, State, Time};

const SECOND: u64 = 1_000_000_000;

/// Every change of state that clients may see.
const LEGAL: &[(State, &[State])] = &[
    (State::Stopped, &[State::Starting, State::Fatal]),
    (State::Starting, &[State::Running, State::Backoff, State::Stopping, State::Unknown]),
    (State::Running, &[State::Stopping, State::Exited, State::Unknown]),
    (State::Backoff, &[State::Starting, State::Fatal, State::Stopped, State::Stopping]),
    (State::Stopping, &[State::Stopped, State::Unknown]),
    (State::Exited, &[State::Starting, State::Stopped, State::Stopping]),
    (State::Fatal, &[State::Starting, State::Stopping]),
    (State::Unknown, &[State::Stopped, State::Exited]),
];

/// What happened in a world, so that a world in which nothing happens is noticed.
pub(crate) type Seen = BTreeSet<String>;

/// Returns everything that has to happen in some world: each change of state, each kind of input and of action.
pub(crate) fn everything() -> Seen {
    let change =
        |(from, to): &(State, &[State])| to.iter().map(|to| change_name(*from, *to)).collect::<Vec<_>>();
    let kinds = [
        "Boot",
        "Tick",
        "Request",
        "Prepared",
        "Spawned",
        "SpawnFailed",
        "Exited",
        "Swept",
        "SignalFailed",
        "HandedOver",
        "Signal",
        "FleetLoaded",
        "SocketOpened",
        "Heard",
        "Unheard",
        "EventSent",
        "Output",
        "Captured",
        "RemoteEvent",
        "GroupRespecified",
        "GroupChanged",
        "Request Start",
        "Request Stop",
        "Request Restart",
        "Request Signal",
        "Request Reload",
        "<- Prepare",
        "<- Spawn",
        "<- Signal",
        "<- Sweep",
        "<- Forget",
        "<- OpenSocket",
        "<- CloseSocket",
        "<- Publish",
        "<- Log",
        "<- Persist",
        "<- GroupAdded",
        "<- GroupChanged",
        "<- GroupRemoved",
        "<- KeepEvent",
        "<- SettleEvent Acknowledged",
        "<- SettleEvent Discarded",
        "<- SettleEvent Ended",
        "<- SendEvent",
        "<- ShowResult",
        "<- Reply Done",
        "<- Reply AlreadyStarted",
        "<- Reply NotRunning",
        "<- Reply Refused",
        "<- Reply SpawnError",
        "<- Reply AbnormalTermination",
        "<- Reply Failed",
        "<- Reply ShuttingDown",
        "<- Finish Exit",
        "<- Finish Reload",
    ];
    LEGAL.iter().flat_map(change).chain(kinds.map(str::to_owned)).collect()
}

fn change_name(from: State, to: State) -> String {
    format!("{} to {}", from.name(), to.name())
}

/// Returns the first word of a value's `Debug` text.
fn kind(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
}

/// What the outside knows of a process.
#[derive(Clone, Debug, Default)]
struct Known {
    state: Option<State>,
    /// A stop was accepted, and nobody asked for a start since.
    is_stopped: bool,
    /// Who asked for a start last, where that counted.
    started_by: Option<RequestId>,
    restarts: VecDeque<u64>,
}

/// What the outside knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    processes: BTreeMap<ProcessId, Known>,
    /// Stop and start requests without an answer.
    open: BTreeMap<RequestId, Request>,
    answered: BTreeSet<RequestId>,
    spawned_at: BTreeMap<RunId, u64>,
    forgotten: BTreeSet<RunId>,
    spawned: BTreeSet<RunId>,
    untouched: BTreeSet<RunId>,
    /// Where to note what happened, in the worlds that count it.
    pub(crate) seen: Option<Seen>,
    /// The next input must not lead to any action.
    pub(crate) expect_nothing: bool,
}

impl Ledger {
    /// Notes what the core is told.
    pub(crate) fn told(&mut self, input: &Input, core: &Core, now: u64) {
        if let Some(seen) = &mut self.seen {
            seen.insert(kind(input));
            if let Input::Request { request, .. } = input {
                seen.insert(format!("Request {}", kind(request)));
            }
        }
        match input {
            Input::Spawned { run, .. } => {
                self.spawned_at.entry(*run).or_insert(now);
            }
            Input::Request { id, request, .. } => {
                self.open.insert(*id, request.clone());
                let is_stopping = |process: &ProcessId| {
                    core.process(*process).is_some_and(|p| p.state().shown() == State::Stopping)
                };
                let started = match request {
                    Request::Start { process, .. } => Some(process).filter(|process| !is_stopping(process)),
                    Request::Restart { process, .. } => Some(process),
                    _ => None,
                };
                if let Some(process) = started {
                    let known = self.processes.entry(*process).or_default();
                    (known.is_stopped, known.started_by) = (false, Some(*id));
                }
            }
            _ => {}
        }
    }

    /// Notes and checks what the core does.
    pub(crate) fn done(&mut self, action: &Action, core: &Core, now: u64) -> Result<(), String> {
        if self.expect_nothing {
            return Err(format!("{action:?} out of nothing"));
        }
        if let Some(seen) = &mut self.seen {
            seen.insert(match action {
                Action::Reply { reply, .. } => format!("<- Reply {}", kind(reply)),
                Action::SettleEvent { fate, .. } => format!("<- SettleEvent {fate:?}"),
                Action::Finish(finish) => format!("<- Finish {finish:?}"),
                _ => format!("<- {}", kind(action)),
            });
            if let Action::Publish(change) = action {
                seen.insert(change_name(change.from, change.to));
            }
        }
        match action {
            Action::Prepare { .. } | Action::Spawn { .. } if core.phase() != Phase::Running => {
                Err(format!("{action:?} while everything is stopped"))
            }
            Action::Prepare { run, process } => self.not_stopped(*run, *process),
            Action::Spawn { run, process } => {
                if core.process(*process).is_none_or(|process| process.desired() == Desired::Down) {
                    return Err(format!("{process} is to be down and is spawned as {run}"));
                }
                self.not_stopped(*run, *process)?;
                self.spawned.insert(*run);
                if self.forgotten.contains(run) {
                    Err(format!("{run} is spawned after its end"))
                } else {
                    Ok(())
                }
            }
            Action::Signal { run, .. } | Action::Sweep { run, .. } => {
                if self.untouched.contains(run) {
                    return Err(format!("{action:?} for a program that did not change"));
                }
                if self.forgotten.contains(run) {
                    return Err(format!("{action:?} for a run that is over"));
                }
                Ok(())
            }
            Action::Forget { run } => {
                let is_new = self.forgotten.insert(*run);
                let is_owned = core.owner(*run).is_some();
                if is_new && !is_owned {
                    Ok(())
                } else {
                    Err(format!("{run} is forgotten twice or too early"))
                }
            }
            Action::Publish(change) => self.published(change, core, now),
            Action::Reply { id, reply } => self.replied(*id, reply),
            Action::GroupAdded(name) => {
                // Its ids may have named other processes before.
                for id in core.group(name).map(|group| group.processes()).unwrap_or_default() {
                    self.processes.remove(id);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A program is not started without the socket that it shares.
    pub(crate) fn has_its_socket(&self, core: &Core, id: ProcessId, kernel: &Kernel) -> Result<(), String> {
        match core.process(id).and_then(|process| process.spec().socket.as_ref()) {
            Some(socket) if !kernel.sockets.contains(&socket.url) => {
                Err(format!("{id} is spawned, and {} is not open", socket.url))
            }
            _ => Ok(()),
        }
    }

    /// A socket is not closed while a program has it.
    pub(crate) fn socket_closed(&self, core: &Core, url: &str, kernel: &mut Kernel) -> Result<(), String> {
        kernel.sockets.remove(url);
        let has_it = |id: ProcessId| {
            core.process(id).and_then(|process| process.spec().socket.as_ref()).is_some_and(|s| s.url == url)
        };
        match kernel.runs.iter().find(|(run, child)| kernel.is_live(**run) && has_it(child.process)) {
            Some((run, _)) => Err(format!("{url} is closed, and {run} has it")),
            None => Ok(()),
        }
    }

    fn not_stopped(&self, run: RunId, process: ProcessId) -> Result<(), String> {
        let is_stopped = self.processes.get(&process).is_some_and(|known| known.is_stopped);
        if is_stopped { Err(format!("{process} was stopped and is started as {run}")) } else { Ok(()) }
    }

    fn published(&mut self, change: &Transition, core: &Core, now: u64) -> Result<(), String> {
        let known = self.processes.entry(change.process).or_default();
        let before = known.state.replace(change.to).unwrap_or(State::Stopped);
        let is_legal = LEGAL.iter().any(|(from, to)| *from == change.from && to.contains(&change.to));
        if before != change.from || !is_legal {
            return Err(format!(
                "{:?} was {before:?} and goes from {:?} to {:?}",
                change.process, change.from, change.to
            ));
        }
        let Some(spec) = core.process(change.process).map(|process| process.spec().clone()) else {
            return Ok(());
        };
        if change.to == State::Running {
            let lived = now - self.spawned_at.get(&change.run).copied().unwrap_or(now);
            if lived < u64::try_from(spec.startsecs).unwrap_or(0) * SECOND {
                return Err(format!("{} is RUNNING after {lived} ns", spec.name));
            }
        }
        if change.to == State::Starting && change.actor == Actor::Policy {
            known.restarts.push_back(now);
            while known.restarts.front().is_some_and(|at| at + SECOND < now) {
                known.restarts.pop_front();
            }
            if known.restarts.len() > RESTARTS_PER_SECOND_MAX as usize {
                return Err(format!("{} restarts in a second", known.restarts.len()));
            }
        }
        Ok(())
    }

    fn replied(&mut self, id: RequestId, reply: &Reply) -> Result<(), String> {
        let Some(request) = self.open.remove(&id) else {
            return Err(format!("{id:?} is answered {reply:?} without a question"));
        };
        if !self.answered.insert(id) {
            return Err(format!("{id:?} is answered twice"));
        }
        if let (Request::Stop { process, .. }, Reply::Done) = (request, reply) {
            // Whoever asked for a start after this stop was heard has cleared it again by then.
            let known = self.processes.entry(process).or_default();
            known.is_stopped = known.started_by.is_none_or(|start| start < id)
                && known.state.is_none_or(|state| !matches!(state, State::Starting | State::Running));
        }
        Ok(())
    }

    /// A configuration is about to be loaded: the runs of what stays are not to be touched.
    pub(crate) fn loading(&mut self, core: &Core, target: &FleetSpec) {
        let stays =
            |group: &&visor::core::fleet::Group| !group.is_leaving() && target.groups.contains(group.spec());
        let ids = core.groups().filter(stays).flat_map(|group| group.processes());
        self.untouched = ids.filter_map(|id| core.process(*id)?.run()).collect();
    }

    /// The configuration is loaded.
    pub(crate) fn loaded(&mut self) {
        self.untouched.clear();
    }

    /// The core was made anew: whoever waited for an answer has lost the connection.
    pub(crate) fn restored(&mut self, core: &Core) {
        self.open.clear();
        self.processes.clear();
        for (id, process) in core.processes() {
            self.processes.entry(id).or_default().state = Some(process.state().shown());
        }
    }

    /// Whether the core was told of the child of a run.
    pub(crate) fn is_spawned(&self, run: RunId) -> bool {
        self.spawned_at.contains_key(&run)
    }

    /// A run was released without the core.
    pub(crate) fn released(&mut self, run: RunId) {
        self.forgotten.insert(run);
    }

    /// Everything is stopped: nothing lives, nobody waits.
    pub(crate) fn finished(&self, core: &Core, kernel: &Kernel) -> Result<(), String> {
        if let Some((id, request)) = self.open.first_key_value() {
            return Err(format!("{id:?} {request:?} was never answered"));
        }
        if let Some((id, process)) =
            core.processes().find(|(_, process)| !process.state().shown().is_stopped())
        {
            return Err(format!("finished, and {id} is {:?}", process.state()));
        }
        let is_lost = |(_, process): (ProcessId, &visor::core::Process)| {
            matches!(process.state(), ProcState::Unknown { .. })
        };
        if let Some(url) = kernel.sockets.first().filter(|_| !core.processes().any(is_lost)) {
            return Err(format!("finished, and {url} is open"));
        }
        let live = kernel.runs.keys().find(|run| kernel.is_live(**run) && !is_unknown(core, **run));
        live.map_or(Ok(()), |run| Err(format!("finished, and {run} lives")))
    }

    /// Checks what must hold at any time.
    pub(crate) fn check(&self, core: &Core, kernel: &Kernel, now: u64) -> Result<(), String> {
        if kernel.in_flight.len() > SPAWNS_IN_FLIGHT_MAX {
            return Err(format!("{} starts are in flight", kernel.in_flight.len()));
        }
        let is_killer = |run: &RunId| {
            let spec = core.owner(*run).and_then(|id| core.process(id)).map(|process| process.spec());
            spec.is_none_or(|spec| spec.stopsignal == Signal::KILL)
        };
        if let Some(run) = kernel.not_asked.iter().find(|run| !is_killer(run)) {
            return Err(format!("{run} got SIGKILL and was never asked to end"));
        }
        let mut live: BTreeMap<ProcessId, RunId> = BTreeMap::new();
        for (run, child) in kernel.runs.iter().filter(|(run, _)| kernel.is_live(**run)) {
            if let Some(other) = live.insert(child.process, *run) {
                return Err(format!("{run} and {other} of {} live together", child.process));
            }
        }
        let next = core.next_deadline();
        for (id, process) in core.processes() {
            let state = process.state();
            let own = own_deadline(state, process.spec().startsecs);
            if own.is_some_and(|own| next.is_none_or(|next| next > own)) {
                return Err(format!("{id} waits for {own:?} and the core for {next:?}"));
            }
            let waits = own.is_some()
                || is_asked(state, kernel, next.is_some())
                || is_opening(state, process.spec(), kernel);
            let rests = matches!(
                state,
                ProcState::Running { .. } | ProcState::Fatal { .. } | ProcState::Unknown { .. }
            );
            if process.desired() == Desired::Up && !waits && !rests {
                return Err(format!("{id} is wanted, and nothing moves it: {state:?} at {now}"));
            }
            if state.shown() == State::Stopping && !waits {
                return Err(format!("{id} stops for ever: {state:?}"));
            }
        }
        Ok(())
    }
}

fn is_unknown(core: &Core, run: RunId) -> bool {
    let state = core.owner(run).and_then(|id| core.process(id)).map(|process| *process.state());
    matches!(state, Some(ProcState::Unknown { .. }))
}

/// Returns when a state is to end by itself, worked out from what it shows.
fn own_deadline(state: &ProcState, startsecs: i64) -> Option<Time> {
    match state {
        ProcState::Starting { run, stage: Stage::Up } => Some(run.started.after_secs(startsecs)),
        ProcState::Stopping { step: Step::Asked { kill_at }, .. } => Some(*kill_at),
        ProcState::Stopping { step: Step::Killed { again_at }, .. } => Some(*again_at),
        ProcState::Sweeping { sweep } => Some(sweep.deadline),
        ProcState::Backoff { rest: Rest::Busy(sweep), .. }
        | ProcState::Exited { rest: Rest::Busy(sweep), .. } => Some(sweep.deadline),
        ProcState::Backoff { until, .. } => Some(*until),
        ProcState::Exited { again, .. } => *again,
        _ => None,
    }
}

/// Whether the process waits for the socket that it shares.
fn is_opening(state: &ProcState, spec: &ProcessSpec, kernel: &Kernel) -> bool {
    matches!(state, ProcState::Starting { stage: Stage::Preparing, .. })
        && spec.socket.as_ref().is_some_and(|socket| kernel.opening.contains(&socket.url))
}

/// Whether somebody owes the process an answer, or others are before it in the queue.
fn is_asked(state: &ProcState, kernel: &Kernel, has_deadline: bool) -> bool {
    match state {
        ProcState::Starting { stage: Stage::Queued, .. } | ProcState::Checking { asked: false, .. } => {
            // Who waits for a socket is in flight too.
            let is_full = kernel.in_flight.len() >= SPAWNS_IN_FLIGHT_MAX || !kernel.opening.is_empty();
            has_deadline || is_full
        }
        ProcState::Starting { run, stage: Stage::Preparing | Stage::Spawning }
        | ProcState::Stopping { run, step: Step::Unspawned } => kernel.in_flight.contains_key(&run.id),
        ProcState::Checking { run, .. } => kernel.in_flight.contains_key(run),
        _ => false,
    }
}
