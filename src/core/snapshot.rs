//! The core as plain data, and back.
//!
//! Two ways lead back. After an upgrade there is a whole [`Snapshot`], and nothing is forgotten. After the death of
//! a reactor there is what was stored on the way: the last [`Header`], one record per process, and what an update has
//! still to do ([`Snapshot::from_records`], [`Snapshot::with_plan`]); requests are lost with their connections, and what was asked of the dead
//! reactor's workers is asked again ([`super::Input::HandedOver`]).
//!
//! Deadlines are points in time of a clock that goes on, so nothing needs to be adjusted. Must not know where the
//! data is kept. Example: `Core::restore(fleet, Snapshot::from_records(header, records), now)`.

use super::Core;
use super::action::{Action, Finish};
use super::backoff::{RestartRate, Shortage};
use super::input::{Actor, RequestId};
use super::listener_memory::{KeptEvents, ListenerMemory};
use super::plan::Plan;
use super::process::{Desired, Process};
use super::record::{actor_code, actor_from_code, dialogue_from, state_from};
use super::request::{Awaited, Waiter};
use super::socket::Shared;
use super::state::{ProcState, Rest, Stage, Step, Sweep};
use super::ticks::Ticks;
use crate::model::spec::FleetSpec;
use crate::model::{ProcessId, ProcessRecord, RunId, Signal, State, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version of [`Snapshot`] and [`Header`]; another one is not understood.
pub const SNAPSHOT_VERSION: u32 = 1;

/// What a restored core must know besides the processes. Small changes in it are rare: see [`Core::take_header`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`SNAPSHOT_VERSION`].
    pub version: u32,
    /// Whether the core was told to begin.
    pub booted: bool,
    /// What the daemon is ending for, if it is.
    pub finish: Option<Ending>,
    /// What the daemon is ending with.
    #[serde(default)]
    pub exit_code: u8,
    /// No run with this number or a higher one was ever used.
    pub next_run: RunId,
    /// No group with this serial number or a higher one was ever in force.
    pub next_serial: u32,
    /// No event with this number or a higher one was queued when this was written; the kept events know of later.
    #[serde(default)]
    pub next_event: u64,
    /// The groups in force, in order.
    pub groups: Vec<GroupSlots>,
}

/// Why the daemon is stopping everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// To end.
    Exit,
    /// To begin anew.
    Reload,
}

/// Where the records of a group are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSlots {
    /// Name of the group.
    pub name: String,
    /// Serial number of the group; a record with another one is of a process that is gone.
    pub serial: u32,
    /// Whether it is being stopped in order to be removed.
    pub leaving: bool,
    /// Name and id of its processes; the id is the number of the record's slot.
    pub processes: Vec<(String, ProcessId)>,
}

/// The whole core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What concerns all processes.
    pub header: Header,
    /// A record per process; one that is missing restores as never started.
    pub records: Vec<(ProcessId, ProcessRecord)>,
    /// The events that are not settled.
    #[serde(default)]
    pub events: KeptEvents,
    /// What an update has still to do.
    pub plan: Plan,
    /// What is lost with a reactor that dies.
    memory: Option<Memory>,
}

/// What only a core that is asked for it tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Memory {
    next_run: u64,
    next_process: u32,
    shortage: Shortage,
    report_at: Time,
    #[serde(default)]
    drain: Option<(i64, Time)>,
    closing_actor: u64,
    requests: Vec<(ProcessId, RequestId, u64, Awaited)>,
    #[serde(default)]
    sockets: Vec<(String, Shared)>,
    #[serde(default)]
    refused_starts: Vec<(ProcessId, String)>,
    #[serde(default)]
    listeners: ListenerMemory,
    #[serde(default)]
    ticks: Ticks,
}

impl Snapshot {
    /// Makes a snapshot of what was stored before the reactor died.
    #[must_use]
    pub fn from_records(
        header: Header,
        records: Vec<(ProcessId, ProcessRecord)>,
        events: KeptEvents,
    ) -> Snapshot {
        let plan = Plan { next_serial: header.next_serial, ..Plan::default() };
        Snapshot { header, records, events, plan, memory: None }
    }

    /// Adds the plan that was stored with the configuration.
    #[must_use]
    pub fn with_plan(self, plan: Plan) -> Snapshot {
        Snapshot { plan, ..self }
    }

    /// Whether this program understands it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.header.version == SNAPSHOT_VERSION
    }
}

impl Core {
    pub(super) fn mark_header(&mut self) {
        self.is_header_changed = true;
    }

    /// Returns the header if it changed since it was last taken. It must be stored before the actions of the same
    /// turn are carried out: it bounds the numbers of the runs in them.
    pub fn take_header(&mut self) -> Option<Header> {
        std::mem::take(&mut self.is_header_changed).then(|| self.header())
    }

    /// Returns the header.
    #[must_use]
    pub fn header(&self) -> Header {
        let slots = |id: &ProcessId| (self.name(*id).to_owned(), *id);
        Header {
            version: SNAPSHOT_VERSION,
            booted: self.booted,
            finish: self.closing.as_ref().map(|closing| match closing.finish {
                Finish::Exit => Ending::Exit,
                Finish::Reload => Ending::Reload,
            }),
            exit_code: self.exit_code,
            next_run: RunId(self.reserved_run.max(self.next_run)),
            next_serial: self.next_group,
            next_event: self.events.next_serial,
            groups: self
                .order
                .iter()
                .filter_map(|id| Some((id, self.groups.get(id)?)))
                .map(|(id, group)| GroupSlots {
                    name: group.spec.name.clone(),
                    serial: id.0,
                    leaving: group.leaving,
                    processes: group.members.iter().map(slots).collect(),
                })
                .collect(),
        }
    }

    /// Returns the whole core as data; the actions must have been drained before.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let waiting = |(id, process): (&ProcessId, &Process)| -> Vec<_> {
            let request = |w: &Waiter| (*id, w.id, actor_code(w.actor), w.awaited);
            process.waiters.iter().map(request).collect()
        };
        let refused = |(id, process): (&ProcessId, &Process)| {
            let why = &process.start_refused;
            (!why.is_empty()).then(|| (*id, why.clone()))
        };
        let closing = self.closing.as_ref();
        Snapshot {
            header: self.header(),
            records: self.table.keys().filter_map(|id| Some((*id, self.record(*id)?))).collect(),
            events: self.kept_events(),
            plan: self.plan(),
            memory: Some(Memory {
                next_run: self.next_run,
                next_process: self.next_process,
                shortage: self.shortage,
                report_at: closing.map_or(Time(0), |closing| closing.report_at),
                drain: closing.and_then(|closing| closing.drain),
                closing_actor: actor_code(closing.map_or(Actor::Policy, |closing| closing.actor)),
                requests: self.table.iter().flat_map(waiting).collect(),
                sockets: self.sockets_asked_for(),
                refused_starts: self.table.iter().filter_map(refused).collect(),
                listeners: self.listener_memory(),
                ticks: self.ticks.clone(),
            }),
        }
    }

    /// Makes the core that a snapshot tells of, over the configuration that was in force ([`Core::fleet`]).
    ///
    /// Nothing is due and nothing happens before the next [`Core::handle`]. What only one of `fleet` and the header
    /// knows is dropped, and its runs are owned by nobody ([`Core::owner`]); the plan knows of it.
    #[must_use]
    pub fn restore(fleet: FleetSpec, snapshot: Snapshot, now: Time) -> Core {
        let Snapshot { header, records, events, plan, memory } = snapshot;
        let mut core = Core { now, booted: header.booted, next_run: header.next_run.0, ..Core::default() };
        core.exit_code = header.exit_code;
        core.next_process = memory.as_ref().map_or(0, |memory| memory.next_process);
        core.restore_groups(fleet, &header, plan.next_serial);
        core.unborn = core.table.keys().copied().collect();
        core.restore_pools(events, header.next_event);
        let keeps_checks = memory.is_some();
        for (id, record) in records {
            core.restore_process(id, record, keeps_checks);
        }
        core.restore_queue();
        core.restore_inherited();
        let ending = header.finish.map(|ending| match ending {
            Ending::Exit => Finish::Exit,
            Ending::Reload => Finish::Reload,
        });
        let (actor, report_at) = memory
            .as_ref()
            .map_or((Actor::Policy, now), |memory| (actor_from_code(memory.closing_actor), memory.report_at));
        match ending {
            Some(finish) => core.begin_closing(finish, actor, report_at),
            None => core.restore_plan(plan),
        }
        core.restore_intents();
        if let Some(memory) = memory {
            core.restore_memory(memory);
        }
        core.reserved_run = header.next_run.0;
        core.is_header_changed = false;
        core
    }

    fn restore_groups(&mut self, fleet: FleetSpec, header: &Header, next_serial: u32) {
        let known = header.groups.iter().filter(|slots| slots.serial < next_serial);
        let slots: BTreeMap<&str, &GroupSlots> = known.map(|slots| (slots.name.as_str(), slots)).collect();
        for mut spec in fleet.groups {
            let Some(slots) = slots.get(spec.name.as_str()) else { continue };
            let ids: BTreeMap<&str, ProcessId> =
                slots.processes.iter().map(|(name, id)| (name.as_str(), *id)).collect();
            spec.processes.retain(|process| ids.contains_key(process.name.as_str()));
            let ids: Vec<ProcessId> =
                spec.processes.iter().filter_map(|process| ids.get(process.name.as_str()).copied()).collect();
            self.next_group = slots.serial;
            let Some(id) = self.insert_group_as(spec, &ids) else { continue };
            if let Some(group) = self.groups.get_mut(&id).filter(|_| slots.leaving) {
                group.leaving = true;
                self.leaving.insert(id);
            }
        }
        self.next_group = header.next_serial;
        let used = self.table.keys().next_back().map_or(0, |last| last.0 + 1);
        self.next_process = self.next_process.max(used);
        self.free_ids =
            (0..self.next_process).map(ProcessId).filter(|id| !self.table.contains_key(id)).collect();
    }

    fn restore_process(&mut self, id: ProcessId, record: ProcessRecord, keeps_checks: bool) {
        let process = self.table.get_mut(&id).filter(|process| process.group.0 == record.serial);
        let Some(process) = process else { return };
        self.unborn.remove(&id);
        let dialogue = dialogue_from(&record);
        let mut state = state_from(&record);
        if let (ProcState::Checking { shown, .. }, false) = (state, keeps_checks) {
            state = match shown {
                State::Exited => ProcState::Exited { again: None, rest: Rest::Clean },
                State::Fatal => ProcState::Fatal { rest: Rest::Clean },
                _ => ProcState::Stopped,
            };
        }
        process.restore_state(state);
        process.desired = if record.wanted { Desired::Up } else { Desired::Down };
        process.attempt = record.attempt;
        process.failure = record.failure;
        process.exit = record.exit;
        process.exitstatus = record.exitstatus;
        process.expected = record.expected;
        process.started_wall = record.started_wall;
        process.stopped_wall = record.stopped_wall;
        process.changed_wall = record.changed_wall;
        process.rate = RestartRate(record.rate);
        process.actor = actor_from_code(record.actor);
        process.cause = record.cause;
        process.restarts = record.restarts;
        process.previous = record.previous;
        let (group, startsecs) = (process.group, process.spec.startsecs);
        self.index(id, &state, startsecs);
        if let Some(standing) = dialogue.filter(|_| state.run().is_some()) {
            self.restore_listener(id, group, record.run, standing, record.awaited);
        }
    }

    /// Wants down what leaves or ends with everything, whether that was stored for each process or not.
    fn restore_intents(&mut self) {
        let is_closing = self.closing.is_some();
        for process in self.table.values_mut() {
            if is_closing || self.groups.get(&process.group).is_some_and(|group| group.leaving) {
                process.desired = Desired::Down;
            }
        }
    }

    /// Queues the starts that were queued: they took their run numbers in the same order.
    fn restore_queue(&mut self) {
        let is_queued = |state: &ProcState| {
            matches!(
                state,
                ProcState::Starting { stage: Stage::Queued, .. } | ProcState::Checking { asked: false, .. }
            )
        };
        self.queue = self.runs_in(is_queued).map(|(run, id)| (id, run)).collect();
    }

    /// Notes what was asked of workers that may have died.
    fn restore_inherited(&mut self) {
        let is_preparing = |state: &ProcState| {
            matches!(
                state,
                ProcState::Starting { stage: Stage::Preparing, .. } | ProcState::Checking { asked: true, .. }
            )
        };
        self.inherited = self.runs_in(is_preparing).map(|(run, _)| run).collect();
    }

    fn runs_in(&self, is_meant: impl Fn(&ProcState) -> bool) -> impl Iterator<Item = (RunId, ProcessId)> {
        let owners = self.runs.iter().map(|(run, id)| (*run, *id));
        owners.filter(move |(_, id)| self.table.get(id).is_some_and(|process| is_meant(process.state())))
    }

    fn restore_memory(&mut self, memory: Memory) {
        self.next_run = memory.next_run;
        self.shortage = memory.shortage;
        self.restore_sockets(memory.sockets);
        if let Some(closing) = &mut self.closing {
            closing.drain = memory.drain;
        }
        self.restore_listeners(memory.listeners);
        self.ticks = memory.ticks;
        for (process, id, actor, awaited) in memory.requests {
            if let Some(process) = self.table.get_mut(&process) {
                process.waiters.push(Waiter { id, actor: actor_from_code(actor), awaited });
            }
        }
        for (process, why) in memory.refused_starts {
            if let Some(process) = self.table.get_mut(&process) {
                process.start_refused = why;
            }
        }
    }

    /// Asks again for everything that is unanswered when the keeper has told all it knows: a spawn of which it
    /// knows nothing never took place, nor will a tree be counted that it was not asked to watch. Who was asked to
    /// stop is asked again, with all patience. Preparations are lost only with a reactor.
    pub(super) fn on_handed_over(&mut self) {
        self.boot();
        self.wind_ticks();
        self.start_unborn();
        self.call_all_off();
        let inherited = std::mem::take(&mut self.inherited);
        let is_asked =
            |state: &ProcState| matches!(state, ProcState::Stopping { step: Step::Asked { .. }, .. });
        let asked: BTreeSet<RunId> = self.runs_in(is_asked).map(|(run, _)| run).collect();
        self.stop_again();
        self.add_new();
        let owned: Vec<(RunId, ProcessId)> = self.runs_in(|_| true).collect();
        for (run, id) in owned {
            match self.table.get(&id).map(|process| *process.state()) {
                Some(
                    ProcState::Checking { asked: true, .. }
                    | ProcState::Starting { stage: Stage::Preparing, .. },
                ) if inherited.contains(&run) => {
                    self.actions.push_back(Action::Prepare { run, process: id });
                }
                Some(ProcState::Starting { run, stage: Stage::Spawning }) => {
                    let next = ProcState::Starting { run, stage: Stage::Preparing };
                    self.set_state(id, next, Actor::Policy, "");
                    self.actions.push_back(Action::Prepare { run: run.id, process: id });
                }
                Some(ProcState::Stopping { step: Step::Unspawned, .. }) => self.enter_stopped(id),
                // The signal may have been lost with either: nobody is killed who was not asked.
                Some(ProcState::Stopping { run, step: Step::Asked { .. } }) if asked.contains(&run.id) => {
                    self.ask_to_stop(id, run, Actor::Policy, "");
                }
                Some(state) => self.sweep_again(state.rest()),
                None => {}
            }
        }
    }

    /// Stops what was to be stopped when the reactor died: it had stored that groups leave, and not yet what follows
    /// from it for each process.
    fn stop_again(&mut self) {
        for group in self.leaving.clone() {
            self.stop_leaving(group);
        }
    }

    fn sweep_again(&mut self, rest: Rest) {
        let (run, signal) = match rest {
            Rest::Clean => return,
            Rest::Left { run, .. } => (run, None),
            Rest::Busy(Sweep { run, killed: false, .. }) => (run, Some(Signal::TERM)),
            Rest::Busy(Sweep { run, .. }) => (run, Some(Signal::KILL)),
        };
        self.actions.push_back(Action::Sweep { run, signal });
    }
}

impl Core {
    /// Starts what was to be started when the reactor died, before it could store even that.
    fn start_unborn(&mut self) {
        let is_open = self.closing.is_none();
        for id in std::mem::take(&mut self.unborn) {
            let Some(process) = self.table.get(&id) else { continue };
            let stays = self.groups.get(&process.group).is_some_and(|group| !group.leaving);
            let is_idle = *process.state() == ProcState::Stopped;
            if is_open && stays && is_idle && self.starts_by_itself(id) {
                self.start(id, Actor::Policy, "autostart");
            }
        }
    }
}
