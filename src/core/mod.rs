//! The pure state machine: every decision of the daemon, and nothing else.
//!
//! # The mental model
//!
//! The core is told what happened ([`Input`]) and at what time, and says what to do ([`Action`]). It reads no
//! clock, opens no file, sends no signal and cannot fail: the same inputs at the same times give the same
//! actions, always. What is true of a thousand imagined machines in `tests/sim` is true of the real one.
//!
//! **A wish and a fact are two fields.** [`Desired`] says whether a process is wanted, [`ProcState`] where it
//! is (`state.rs`). A stop request makes the wish `Down` and begins to move the fact; an exit that is reported a moment
//! later finds the wish, and does not restart. So a stop beats a restart in flight, whatever comes first.
//!
//! **A run is one life of a process.** Every start takes a new [`RunId`], and every input about a child names
//! its run. A state owns at most one run; an input about a run that no state owns is stale and is dropped in
//! `Core::handle`, the one place where generations are compared. When a state lets go of a run, `set_state`
//! emits [`Action::Forget`] for it: a run cannot leak, because nobody has to remember to release it.
//!
//! **One setter.** `Core::set_state` in `process.rs` makes every change of state. It publishes, persists, keeps
//! the index of deadlines and the index of runs, and answers the requests that waited for this state.
//!
//! **The life of a process**, with supervisord's names in capitals:
//!
//! ```text
//!   STOPPED --> Checking --> STARTING: Queued -> Preparing -> Spawning -> Up --startsecs--> RUNNING
//!                  |             |                                        |                   |
//!            (no such command)   +---------- failed, or ended early ------+              ended by itself
//!                                                  v                                          v
//!                    FATAL <-- too often -- BACKOFF --until--> STARTING   STARTING <--again-- EXITED
//!
//!   STARTING, RUNNING --stop--> STOPPING: Unspawned, Asked -> Killed --exit--> Sweeping --> STOPPED
//! ```
//!
//! A restart is a stop of a process that is wanted up: the wish is stored with the process, and STOPPED is followed
//! by STARTING.
//!
//! `Checking` exists only for starts that a client asked for: a command that is not there is refused before
//! anything changes. `Queued` bounds how many starts are in flight, in the order in which they were asked for.
//! `Sweeping` is the rest of a stop, after the main process ended: what is left of its tree gets SIGTERM, and
//! SIGKILL at the deadline. The same clean-up runs inside BACKOFF and EXITED before an automatic restart
//! ([`Rest::Busy`]). What a program left behind that ended by itself, and is not restarted, is left alone.
//!
//! **Time.** Rules run on the monotonic [`Time`]; [`WallTime`] is only passed on to people. `handle` first does
//! everything that is due by `now`, except that news of a run move no timer: a program that ended before `startsecs`
//! was over must not be called RUNNING, and one that has gone must not be killed, because its news came late, or
//! behind other news; nor does a hand-over, which follows news. An exit is judged by when it happened. The shell
//! gives all news that are there, and then [`Input::Tick`] if something is due. It sleeps until
//! [`Core::next_deadline`]; there are no ticks.
//!
//! **Order.** Starts go by priority upwards, stops downwards, and the end of the daemon takes one priority
//! after the other (`shutdown.rs`). A configuration that replaces another (`fleet.rs`) stops what is gone or different,
//! starts what is new, and does not touch the rest.
//!
//! **Memory.** Each process has a record of fixed size; `snapshot.rs` turns the core into records and back.
//! Deadlines are points in time, so a restored core goes on as if nothing had happened.
//!
//! **Events** are made where things happen (`set_state`, groups, `ticks.rs`, what programs write), queued by pool
//! and sent by `listener.rs`.
//!
//! **Where supervisord is left** (each for a reason that stands at the code): startsecs counts from the spawn,
//! exits are looked at before timers, a stop in BACKOFF resets the count of attempts, the members of a group start
//! by priority, a want of processes or descriptors is not the program's failure, automatic restarts of one program
//! are bounded ([`backoff::RESTARTS_PER_SECOND_MAX`]), SIGKILLs are at least a second apart, a stop also calls off
//! the restart of a program shown as EXITED, and cleans up what an ended program left behind.
//!
//! # Example
//!
//! ```
//! use visor::core::{Action, Core, Input};
//! use visor::model::{Time, WallTime, spec::FleetSpec};
//!
//! let mut core = Core::new(FleetSpec::default());
//! core.handle(Time(0), WallTime(0), Input::Boot);
//! while let Some(action) = core.poll_action() {
//!     println!("the shell would do {action:?}");
//! }
//! assert_eq!(core.next_deadline(), None); // nothing to supervise: sleep for ever
//! ```

pub mod action;
pub mod backoff;
mod essential;
mod exit;
pub mod fleet;
pub mod input;
mod lines;
pub mod listener;
mod listener_memory;
pub mod plan;
pub mod pool;
pub mod process;
mod record;
mod regroup;
pub mod request;
mod shutdown;
pub mod snapshot;
mod socket;
mod start;
mod state;
mod stop;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod ticks;
mod timers;
pub mod view;

pub use action::{Action, Fate, Finish, Reply, Scope, Transition};
pub use input::{Actor, Input, Request, RequestId, SpawnError};
pub use listener_memory::KeptEvents;
pub use plan::Plan;
pub use process::{Desired, Process};
pub use shutdown::Phase;
pub use snapshot::{Header, Snapshot};
pub use start::SPAWNS_IN_FLIGHT_MAX;
pub use state::{ProcState, Rest, Run, Stage, Step, Sweep};
pub use view::ProcessView;

use crate::model::event::{Event, EventKind};
use crate::model::marks::Marks;
use crate::model::spec::FleetSpec;
use crate::model::{ProcessId, RunId, Time, WallTime};
use backoff::Shortage;
use fleet::{Group, GroupId};
use lines::Line;
use listener::Events;
use shutdown::Closing;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use ticks::Ticks;

/// The state machine.
#[derive(Clone, Debug, Default)]
pub struct Core {
    table: BTreeMap<ProcessId, Process>,
    groups: BTreeMap<GroupId, Group>,
    /// The groups by priority upwards, those of one priority in the order in which they were added.
    order: Vec<GroupId>,
    group_ids: BTreeMap<String, GroupId>,
    /// Which process owns a run; kept by `set_state`.
    runs: BTreeMap<RunId, ProcessId>,
    /// When time moves a process on; kept by `set_state`.
    deadlines: BTreeSet<(Time, ProcessId)>,
    /// Starts whose answer is awaited; kept by `set_state`.
    in_flight: usize,
    /// Starts that wait for fewer in flight; an entry whose run is no longer queued is skipped.
    queue: VecDeque<(ProcessId, RunId)>,
    shortage: Shortage,
    /// Sockets that processes share, by what the configuration calls them.
    sockets: BTreeMap<String, socket::Shared>,
    /// Restored processes without a record, until the keeper has told all it knows.
    unborn: BTreeSet<ProcessId>,
    /// Preparations that a reactor before this one asked its workers for, until then.
    inherited: BTreeSet<RunId>,
    booted: bool,
    closing: Option<Closing>,
    /// What the daemon ends with.
    exit_code: u8,
    /// Processes that ended for good in this turn, and whose end is the end of more.
    ended: Vec<ProcessId>,
    /// The configuration that is to be in force when the groups that differ are down.
    target: Option<FleetSpec>,
    /// What people wanted of processes whose groups are being replaced, by group and name.
    wishes: BTreeMap<(String, String), Desired>,
    /// Programs that are not started by themselves.
    disabled: Marks,
    /// Groups that are being stopped in order to be removed.
    leaving: BTreeSet<GroupId>,
    /// Processes that are being stopped because their group has them no more.
    departing: BTreeSet<ProcessId>,
    next_process: u32,
    /// Ids below `next_process` that were given back.
    free_ids: BTreeSet<ProcessId>,
    next_group: u32,
    next_run: u64,
    /// Run numbers below this one are spoken for in the header that was stored.
    reserved_run: u64,
    is_header_changed: bool,
    events: Events,
    ticks: Ticks,
    is_plan_changed: bool,
    now: Time,
    wall: WallTime,
    actions: VecDeque<Action>,
}

impl Core {
    /// Makes a core that supervises `fleet`; nothing happens before [`Input::Boot`].
    #[must_use]
    pub fn new(fleet: FleetSpec) -> Core {
        Core { next_run: 1, ..Core::default() }.with(fleet)
    }

    /// Makes a core as [`Core::new`] after another one of the same daemon: its runs and events are not numbered
    /// again, and what is still stored of its processes is not taken for the new ones.
    #[must_use]
    pub fn new_after(fleet: FleetSpec, before: &Header) -> Core {
        let mut core =
            Core { next_run: before.next_run.0, next_group: before.next_serial, ..Core::default() };
        core.events.next_serial = before.next_event;
        core.with(fleet)
    }

    fn with(mut self, fleet: FleetSpec) -> Core {
        for group in fleet.groups {
            self.insert_group(group);
        }
        self
    }

    /// Takes in what happened at `now` (`wall` for people), after everything that was due by then, unless that is
    /// news of a run: see the paragraph on time above.
    ///
    /// Cannot fail and cannot block. The actions that follow from it are then got by [`Core::poll_action`].
    pub fn handle(&mut self, now: Time, wall: WallTime, input: Input) {
        self.now = self.now.max(now);
        self.wall = wall;
        if !input.is_news() {
            self.run_due();
        }
        match input.run() {
            // The one place where generations are compared: a run that no state owns is over.
            Some(run) => {
                if let Some(id) = self.runs.get(&run).copied() {
                    self.handle_run(id, run, input);
                }
            }
            None => self.handle_wish(input),
        }
        self.go_on();
    }

    /// Does what became possible: later groups of a shutdown or an update, starts that were queued, events for
    /// listeners that are ready.
    fn go_on(&mut self) {
        self.end_with_essential();
        self.let_depart();
        self.update_on();
        self.close_on();
        self.report_closing();
        self.pump();
        self.dispatch();
    }

    /// Takes in what happened to a run that process `id` owns.
    fn handle_run(&mut self, id: ProcessId, run: RunId, input: Input) {
        match input {
            Input::Prepared { result, .. } => self.on_prepared(id, run, result),
            Input::Spawned { pid, .. } => self.on_spawned(id, pid),
            Input::SpawnFailed { error, .. } => self.on_spawn_failed(id, &error),
            Input::Exited { status, at, .. } => self.on_exited(id, status, at),
            Input::Swept { left, .. } => self.on_swept(id, left),
            Input::SignalFailed { errno, .. } => self.on_signal_failed(id, &errno),
            Input::Heard { bytes, .. } => self.on_heard(id, run, &bytes),
            Input::Unheard { .. } => self.on_unheard(id),
            Input::EventSent { is_sent, .. } => self.on_event_sent(id, run, is_sent),
            _ => {}
        }
    }

    /// Takes in what somebody wants.
    fn handle_wish(&mut self, input: Input) {
        match input {
            Input::Boot => self.boot(),
            Input::Request { id, actor, request } => self.on_request(id, actor, request),
            Input::HandedOver => self.on_handed_over(),
            Input::SocketOpened { url, result } => self.on_socket_opened(&url, result),
            Input::Disabled(marks) => self.disabled = marks,
            Input::Signal(signal) => self.on_daemon_signal(signal),
            Input::FleetLoaded(fleet) => self.on_fleet_loaded(fleet),
            Input::GroupRespecified(group) => self.on_respecified(group),
            Input::GroupChanged { group, restart } => self.on_group_changed(group, &restart),
            Input::Output { process, pid, channel, bytes } => self.on_output(process, pid, channel, &bytes),
            Input::Captured { process, pid, channel, bytes } => {
                self.on_captured(process, pid, channel, &bytes);
            }
            Input::RemoteEvent { kind, data } => {
                self.notify(EventKind::RemoteCommunication, |_| Some(Event::remote(&kind, &data)));
            }
            _ => {}
        }
    }

    /// Takes the next thing to do, in order; the shell drains it to `None` after every [`Core::handle`].
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns a process.
    #[must_use]
    pub fn process(&self, id: ProcessId) -> Option<&Process> {
        self.table.get(&id)
    }

    /// Returns all processes, in the order in which they came into force.
    pub fn processes(&self) -> impl Iterator<Item = (ProcessId, &Process)> {
        self.table.iter().map(|(id, process)| (*id, process))
    }

    /// Returns the process that owns `run`. A run that the keeper knows and no process owns is over: the shell
    /// ends and releases it after a handover.
    #[must_use]
    pub fn owner(&self, run: RunId) -> Option<ProcessId> {
        self.runs.get(&run).copied()
    }

    fn log(&mut self, (level, text): Line) {
        self.actions.push_back(Action::Log { level, text });
    }

    fn name(&self, id: ProcessId) -> &str {
        self.table.get(&id).map_or("", |process| process.spec.name.as_str())
    }
}
