//! The core as plain data, and back.
//!
//! Two ways lead back. After an upgrade there is a whole [`Snapshot`], and nothing is forgotten. After the death of
//! a reactor there is what was stored on the way: the last [`Header`] and one record per process
//! ([`Snapshot::from_records`]); requests are lost with their connections, and what was asked of the dead
//! reactor's workers is asked again ([`super::Input::HandedOver`]).
//!
//! Deadlines are points in time of a clock that goes on, so nothing needs to be adjusted. Must not know where the
//! data is kept. Example: `Core::restore(fleet, Snapshot::from_records(header, records), now)`.

use super::Core;
use super::action::{Action, Finish};
use super::backoff::{RestartRate, Shortage};
use super::input::{Actor, RequestId};
use super::process::{Desired, ProcState, Process, Rest, Run, Stage, Step, Sweep};
use super::request::{Awaited, Waiter};
use crate::model::spec::FleetSpec;
use crate::model::{ProcessId, ProcessRecord, RunId, Signal, State, Time, Uid};
use serde::{Deserialize, Serialize};

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
    /// No run with this number or a higher one was ever used.
    pub next_run: RunId,
    /// No group with this serial number or a higher one was ever in force.
    pub next_serial: u32,
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
    /// What is lost with a reactor that dies.
    memory: Option<Memory>,
}

/// What only a core that is asked for it tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Memory {
    next_run: u64,
    next_process: u32,
    shortage: Shortage,
    target: Option<FleetSpec>,
    report_at: Time,
    closing_actor: u64,
    requests: Vec<(ProcessId, RequestId, u64, Awaited)>,
}

impl Snapshot {
    /// Makes a snapshot of what was stored before the reactor died.
    #[must_use]
    pub fn from_records(header: Header, records: Vec<(ProcessId, ProcessRecord)>) -> Snapshot {
        Snapshot { header, records, memory: None }
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
            next_run: RunId(self.reserved_run.max(self.next_run)),
            next_serial: self.next_group,
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

    /// Returns a process as it is stored; nothing for one that is gone, whose slot is to be cleared.
    #[must_use]
    pub fn record(&self, id: ProcessId) -> Option<ProcessRecord> {
        let process = self.table.get(&id)?;
        let state = process.state();
        let run = state.run();
        let sweep = if let Rest::Busy(sweep) = state.rest() { Some(sweep) } else { None };
        Some(ProcessRecord {
            serial: process.group.0,
            state: state.shown(),
            step: step_code(state),
            wanted: process.desired == Desired::Up,
            expected: process.expected,
            run: state.owned().unwrap_or(RunId(0)),
            pid: run.map(|run| run.pid).or(sweep.map(|sweep| sweep.pid)).unwrap_or(0),
            attempt: process.attempt,
            left: match state.rest() {
                Rest::Clean => None,
                Rest::Left { left, .. } => Some(left),
                Rest::Busy(sweep) => sweep.left,
            },
            deadline: match state {
                ProcState::Stopping { step, .. } => step_at(*step),
                _ => sweep.map_or(Time(0), |sweep| sweep.deadline),
            },
            retry_at: match state {
                ProcState::Backoff { until, .. } => *until,
                ProcState::Exited { again, .. } => again.unwrap_or(Time(0)),
                _ => Time(0),
            },
            started: run.map_or(Time(0), |run| run.started),
            rate: process.rate.0,
            started_wall: process.started_wall,
            stopped_wall: process.stopped_wall,
            changed_wall: process.changed_wall,
            exit: process.exit,
            exitstatus: process.exitstatus,
            actor: actor_code(process.actor),
            failure: process.failure.clone(),
            cause: process.cause.clone(),
        })
    }

    /// Returns the whole core as data; the actions must have been drained before.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let waiting = |(id, process): (&ProcessId, &Process)| -> Vec<_> {
            let request = |w: &Waiter| (*id, w.id, actor_code(w.actor), w.awaited);
            process.waiters.iter().map(request).collect()
        };
        let closing = self.closing.as_ref();
        Snapshot {
            header: self.header(),
            records: self.table.keys().filter_map(|id| Some((*id, self.record(*id)?))).collect(),
            memory: Some(Memory {
                next_run: self.next_run,
                next_process: self.next_process,
                shortage: self.shortage,
                target: self.target.clone(),
                report_at: closing.map_or(Time(0), |closing| closing.report_at),
                closing_actor: actor_code(closing.map_or(Actor::Policy, |closing| closing.actor)),
                requests: self.table.iter().flat_map(waiting).collect(),
            }),
        }
    }

    /// Makes the core that a snapshot tells of, over the configuration that was in force ([`Core::fleet`]).
    ///
    /// Nothing is due and nothing happens before the next [`Core::handle`]. What only one of `fleet` and the header
    /// knows is dropped, and its runs are owned by nobody ([`Core::owner`]).
    #[must_use]
    pub fn restore(fleet: FleetSpec, snapshot: Snapshot, now: Time) -> Core {
        let Snapshot { header, records, memory } = snapshot;
        let mut core = Core { now, booted: header.booted, next_run: header.next_run.0, ..Core::default() };
        core.next_process = memory.as_ref().map_or(0, |memory| memory.next_process);
        core.restore_groups(fleet, &header);
        core.unborn = core.table.keys().copied().collect();
        let keeps_checks = memory.is_some();
        for (id, record) in records {
            core.restore_process(id, record, keeps_checks);
        }
        core.restore_queue();
        core.inherited = core.runs.keys().copied().collect();
        for (_, queued) in &core.queue {
            core.inherited.remove(queued);
        }
        let ending = header.finish.map(|ending| match ending {
            Ending::Exit => Finish::Exit,
            Ending::Reload => Finish::Reload,
        });
        let (actor, report_at) = memory
            .as_ref()
            .map_or((Actor::Policy, now), |memory| (actor_from_code(memory.closing_actor), memory.report_at));
        if let Some(finish) = ending {
            core.begin_closing(finish, actor, report_at);
        }
        if let Some(memory) = memory {
            core.restore_memory(memory);
        }
        core.reserved_run = header.next_run.0;
        core.is_header_changed = false;
        core
    }

    fn restore_groups(&mut self, fleet: FleetSpec, header: &Header) {
        for mut spec in fleet.groups {
            let Some(slots) = header.groups.iter().find(|slots| slots.name == spec.name) else { continue };
            let id_of = |name: &str| slots.processes.iter().find(|slot| slot.0 == name).map(|slot| slot.1);
            spec.processes.retain(|process| id_of(&process.name).is_some());
            let ids: Vec<ProcessId> =
                spec.processes.iter().filter_map(|process| id_of(&process.name)).collect();
            self.next_group = slots.serial;
            let Some(group) = self.insert_group_as(spec, &ids) else { continue };
            if let Some(group) = self.groups.get_mut(&group) {
                group.leaving = slots.leaving;
                self.leaving += usize::from(slots.leaving);
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
        let startsecs = process.spec.startsecs;
        self.index(id, &state, startsecs);
    }

    /// Queues the starts that were queued: they took their run numbers in the same order.
    fn restore_queue(&mut self) {
        let queued = self.runs.iter().filter(|(_, id)| {
            let state = self.table.get(id).map(|process| *process.state());
            matches!(
                state,
                Some(
                    ProcState::Starting { stage: Stage::Queued, .. }
                        | ProcState::Checking { asked: false, .. }
                )
            )
        });
        self.queue = queued.map(|(run, id)| (*id, *run)).collect();
    }

    fn restore_memory(&mut self, memory: Memory) {
        self.next_run = memory.next_run;
        self.shortage = memory.shortage;
        self.target = memory.target;
        for (process, id, actor, awaited) in memory.requests {
            if let Some(process) = self.table.get_mut(&process) {
                process.waiters.push(Waiter { id, actor: actor_from_code(actor), awaited });
            }
        }
    }

    /// Asks again for everything that is unanswered when the keeper has told all it knows: a spawn of which it
    /// knows nothing never took place.
    pub(super) fn on_handed_over(&mut self) {
        self.boot();
        self.start_unborn();
        for run in std::mem::take(&mut self.inherited) {
            let Some(id) = self.runs.get(&run).copied() else { continue };
            let Some(state) = self.table.get(&id).map(|process| *process.state()) else { continue };
            match state {
                ProcState::Checking { run, asked: true, .. } => {
                    self.actions.push_back(Action::Prepare { run, process: id });
                }
                ProcState::Starting { run, stage: Stage::Preparing | Stage::Spawning } => {
                    let next = ProcState::Starting { run, stage: Stage::Preparing };
                    self.set_state(id, next, Actor::Policy, "");
                    self.actions.push_back(Action::Prepare { run: run.id, process: id });
                }
                ProcState::Stopping { step: Step::Unspawned, .. } => self.enter_stopped(id),
                _ => match state.rest() {
                    Rest::Clean => {}
                    Rest::Left { run, .. } => self.actions.push_back(Action::Sweep { run, signal: None }),
                    Rest::Busy(Sweep { run, killed, .. }) => {
                        let signal = Some(if killed { Signal::KILL } else { Signal::TERM });
                        self.actions.push_back(Action::Sweep { run, signal });
                    }
                },
            }
        }
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
            if is_open && stays && is_idle && process.spec.autostart {
                self.start(id, Actor::Policy, "autostart");
            }
        }
    }
}

/// Steps of a record within its state. Each row of [`step_code`] and [`state_from`] names one of them; the numbers
/// are part of [`SNAPSHOT_VERSION`].
mod step {
    pub(super) const ONLY: u8 = 0;
    pub(super) const QUEUED: u8 = 1;
    pub(super) const PREPARING: u8 = 2;
    pub(super) const SPAWNING: u8 = 3;
    pub(super) const UP: u8 = 4;
    pub(super) const UNSPAWNED: u8 = 5;
    pub(super) const ASKED: u8 = 6;
    pub(super) const KILLED: u8 = 7;
    pub(super) const LEFT: u8 = 8;
    pub(super) const SWEEP_TERM: u8 = 9;
    pub(super) const SWEEP_KILL: u8 = 10;
    pub(super) const CHECK_QUEUED: u8 = 11;
    pub(super) const CHECK_ASKED: u8 = 12;
}

fn step_code(state: &ProcState) -> u8 {
    match state {
        ProcState::Checking { asked, .. } => {
            if *asked {
                step::CHECK_ASKED
            } else {
                step::CHECK_QUEUED
            }
        }
        ProcState::Starting { stage, .. } => match stage {
            Stage::Queued => step::QUEUED,
            Stage::Preparing => step::PREPARING,
            Stage::Spawning => step::SPAWNING,
            Stage::Up => step::UP,
        },
        ProcState::Stopping { step, .. } => match step {
            Step::Unspawned => step::UNSPAWNED,
            Step::Asked { .. } => step::ASKED,
            Step::Killed { .. } => step::KILLED,
        },
        _ => match state.rest() {
            Rest::Clean => step::ONLY,
            Rest::Left { .. } => step::LEFT,
            Rest::Busy(sweep) => {
                if sweep.killed {
                    step::SWEEP_KILL
                } else {
                    step::SWEEP_TERM
                }
            }
        },
    }
}

fn step_at(step: Step) -> Time {
    match step {
        Step::Unspawned => Time(0),
        Step::Asked { kill_at } => kill_at,
        Step::Killed { again_at } => again_at,
    }
}

fn state_from(record: &ProcessRecord) -> ProcState {
    let run = Run { id: record.run, pid: record.pid, started: record.started };
    let sweep = Sweep {
        run: record.run,
        pid: record.pid,
        left: record.left,
        killed: record.step == step::SWEEP_KILL,
        deadline: record.deadline,
    };
    let rest = match record.step {
        step::LEFT => Rest::Left { run: record.run, left: record.left.unwrap_or(0) },
        step::SWEEP_TERM | step::SWEEP_KILL => Rest::Busy(sweep),
        _ => Rest::Clean,
    };
    if let step::CHECK_QUEUED | step::CHECK_ASKED = record.step {
        let asked = record.step == step::CHECK_ASKED;
        return ProcState::Checking { run: record.run, asked, shown: record.state };
    }
    match record.state {
        State::Stopped => ProcState::Stopped,
        State::Starting => ProcState::Starting {
            run,
            stage: match record.step {
                step::QUEUED => Stage::Queued,
                step::PREPARING => Stage::Preparing,
                step::SPAWNING => Stage::Spawning,
                _ => Stage::Up,
            },
        },
        State::Running => ProcState::Running { run },
        State::Backoff => ProcState::Backoff { until: record.retry_at, rest },
        State::Stopping => match record.step {
            step::UNSPAWNED => ProcState::Stopping { run, step: Step::Unspawned },
            step::KILLED => ProcState::Stopping { run, step: Step::Killed { again_at: record.deadline } },
            step::SWEEP_TERM | step::SWEEP_KILL => ProcState::Sweeping { sweep },
            _ => ProcState::Stopping { run, step: Step::Asked { kill_at: record.deadline } },
        },
        State::Exited => {
            let again = (record.retry_at != Time(0)).then_some(record.retry_at);
            ProcState::Exited { again, rest }
        }
        State::Fatal => ProcState::Fatal { rest },
        State::Unknown => ProcState::Unknown { run },
    }
}

/// Returns an actor as kind (high half) and number (low half).
fn actor_code(actor: Actor) -> u64 {
    let (kind, number) = match actor {
        Actor::Policy => (0, 0),
        Actor::Program => (1, 0),
        Actor::Client(uid) => (2, uid.0),
        Actor::Signal(signal) => (3, signal.0.cast_unsigned()),
    };
    kind << 32 | u64::from(number)
}

fn actor_from_code(code: u64) -> Actor {
    let number = code as u32;
    match code >> 32 {
        1 => Actor::Program,
        2 => Actor::Client(Uid(number)),
        3 => Actor::Signal(Signal(number.cast_signed())),
        _ => Actor::Policy,
    }
}
