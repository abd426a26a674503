//! Event listeners: who gets which event, and what follows from what they say.
//!
//! A pool is a group of listeners with one queue ([`Pool`]). An event goes to the queue of every pool that subscribed
//! to it, and from there, the oldest first, to the first listener that is READY while its process is RUNNING; one
//! event at a time per listener, and none while the one before is still being written. An event that is rejected,
//! or whose listener ends while it is BUSY, goes back to the front of its own pool (supervisor 4.3 hands it to every
//! pool of equal priority). Each event is kept in the shell's file until it is settled, so that it survives a
//! reactor: see [`Action::KeepEvent`] and [`Fate`].
//!
//! A listener that says what it must not is UNKNOWN, as in supervisord, and gets no more events; unlike there it is
//! stopped and started again, after a delay that grows when it goes on like that. Even the shortest one lets a
//! program that complains and ends do so by itself: then it is an exit like any other.
//!
//! Must not know pipes. Example: [`super::Input::Heard`] with `READY\n` from a RUNNING listener is followed by
//! [`Action::SendEvent`] as soon as there is an event for it.

use super::action::{Action, Fate};
use super::fleet::GroupId;
use super::input::Actor;
use super::pool::{Judge, Pool};
use super::state::{ProcState, Stage};
use super::{Core, lines};
use crate::model::dialogue::{Dialogue, Said, Standing};
use crate::model::event::{Channel, Delivery, Event, EventKind, EventSet, StateChange};
use crate::model::{ProcessId, RunId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shortest wait in seconds before a listener is restarted of which nothing can be expected any more.
pub const RESTART_DELAY_MIN_SECS: i64 = 1;

/// Longest wait in seconds before a listener that broke the protocol is restarted.
pub const RESTART_DELAY_MAX_SECS: i64 = 60;

/// Seconds after which a break of the protocol no longer makes the wait after the next one longer.
pub const PROBATION_SECS: i64 = 120;

/// A listener whose process lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listener {
    pub(super) group: GroupId,
    pub(super) run: RunId,
    pub(super) dialogue: Dialogue,
    /// The event that it has and has not answered.
    pub(super) event: Option<Arc<Delivery>>,
    /// Whether it has read, or can read, all of the last event.
    pub(super) is_sent: bool,
    /// When it is restarted, once it is UNKNOWN.
    pub(super) restart_at: Option<Time>,
}

/// How often a listener broke the protocol lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Breaks {
    pub(super) count: u32,
    pub(super) last: Time,
}

impl Breaks {
    /// Counts one more, and returns how long to wait before the restart, in seconds: 1, 2, 4...
    fn add(&mut self, now: Time) -> i64 {
        let is_old = self.last == Time(0) || now > self.last.after_secs(PROBATION_SECS);
        (self.count, self.last) = (if is_old { 0 } else { self.count.saturating_add(1) }, now);
        (RESTART_DELAY_MIN_SECS << self.count.min(16)).min(RESTART_DELAY_MAX_SECS)
    }
}

/// Everything about events in the core.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    pub(super) pools: BTreeMap<GroupId, Pool>,
    pub(super) listeners: BTreeMap<ProcessId, Listener>,
    pub(super) breaks: BTreeMap<ProcessId, Breaks>,
    /// What any pool subscribed to; kept with the pools.
    wanted: EventSet,
    /// The number of the next event that anybody gets.
    pub(super) next_serial: u64,
}

impl Events {
    /// Puts the pool of a group in force, where it is one of listeners.
    pub(super) fn insert(&mut self, id: GroupId, pool: Option<Pool>) {
        if let Some(pool) = pool {
            self.wanted = self.wanted.or(pool.events);
            self.pools.insert(id, pool);
        }
    }

    fn remove(&mut self, id: GroupId) -> Option<Pool> {
        let pool = self.pools.remove(&id)?;
        self.wanted = self.pools.values().fold(EventSet::default(), |all, pool| all.or(pool.events));
        Some(pool)
    }

    /// Whether anybody subscribed to a kind of event.
    pub(super) fn wants(&self, kind: EventKind) -> bool {
        self.wanted.has(kind)
    }

    /// Returns when a listener is to be restarted next.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.listeners.values().filter_map(|listener| listener.restart_at).min()
    }
}

/// A pool as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Events that wait.
    pub waiting: usize,
    /// Events that may wait.
    pub waiting_max: usize,
}

impl Core {
    /// Whether anybody subscribed to a kind of event: what nobody wants need not be told.
    #[must_use]
    pub fn wants_event(&self, kind: EventKind) -> bool {
        self.events.wants(kind)
    }

    /// Whether a process is an event listener: its stdout is a conversation.
    #[must_use]
    pub fn is_listener(&self, id: ProcessId) -> bool {
        self.table.get(&id).is_some_and(|process| self.events.pools.contains_key(&process.group))
    }

    /// Returns the pools in force.
    pub fn pools(&self) -> impl Iterator<Item = PoolView<'_>> {
        self.events.pools.iter().filter_map(|(id, pool)| {
            let name = self.groups.get(id)?.spec.name.as_str();
            Some(PoolView { name, waiting: pool.queue().len(), waiting_max: pool.size_max() })
        })
    }

    /// Tells of an event whoever subscribed to it. The text is made only when somebody did.
    pub(super) fn notify(&mut self, kind: EventKind, event: impl FnOnce(&Core) -> Option<Event>) {
        if !self.events.wants(kind) {
            return;
        }
        let Some(event) = event(self) else { return };
        let takers: Vec<GroupId> =
            self.events.pools.iter().filter(|(_, pool)| pool.events.has(kind)).map(|(id, _)| *id).collect();
        let serial = self.events.next_serial;
        self.events.next_serial += 1;
        for id in takers {
            let Some(pool) = self.events.pools.get_mut(&id) else { continue };
            let Some(name) = self.groups.get(&id).map(|group| group.spec.name.clone()) else { continue };
            let pool_serial = pool.next_serial;
            pool.next_serial += 1;
            let event = event.clone();
            let delivery = Arc::new(Delivery { group: id.0, pool: name, pool_serial, serial, event });
            let discarded = pool.push(Arc::clone(&delivery));
            self.actions.push_back(Action::KeepEvent(delivery));
            self.discard(discarded);
        }
    }

    fn discard(&mut self, discarded: Vec<Arc<Delivery>>) {
        for delivery in discarded {
            self.log(lines::overflowed(&delivery.pool, delivery.serial));
            self.actions.push_back(Action::SettleEvent { delivery, fate: Fate::Discarded });
        }
    }

    /// Tells of a change of state; `pid` is that of the run that the change is about.
    pub(super) fn notify_state(&mut self, id: ProcessId, change: &super::Transition) {
        self.notify(EventKind::of_state(change.to), |core| {
            let spec = &core.table.get(&id)?.spec;
            let (process, group) = (spec.name.as_str(), spec.group.as_str());
            let super::Transition { from, to, tries, expected, pid, .. } = *change;
            Some(Event::state(&StateChange { process, group, from, to, tries, expected, pid }))
        });
    }

    /// Takes in what a program wrote.
    pub(super) fn on_output(&mut self, id: ProcessId, pid: i32, channel: Channel, data: &[u8]) {
        self.notify(EventKind::of_log(channel), |core| {
            let spec = &core.table.get(&id)?.spec;
            Some(Event::log(&spec.name, &spec.group, pid, channel, data))
        });
    }

    /// Takes in what a program said between the tags of capture mode.
    pub(super) fn on_captured(&mut self, id: ProcessId, pid: i32, channel: Channel, data: &[u8]) {
        if let Some(process) = self.table.get(&id) {
            let line = lines::comm_event(&process.spec.name, channel);
            self.log(line);
        }
        self.notify(EventKind::of_communication(channel), |core| {
            let spec = &core.table.get(&id)?.spec;
            Some(Event::communication(&spec.name, &spec.group, pid, channel, data))
        });
    }

    /// A child of a process is there: where it is a listener, the conversation begins.
    pub(super) fn listener_begins(&mut self, id: ProcessId, run: RunId) {
        let Some(group) = self.table.get(&id).map(|process| process.group) else { return };
        if self.events.pools.contains_key(&group) {
            let dialogue = Dialogue::default();
            let listener = Listener { group, run, dialogue, event: None, is_sent: true, restart_at: None };
            self.events.listeners.insert(id, listener);
            self.actions.push_back(Action::Persist(id));
        }
    }

    /// The main process of a listener has ended: what it had not answered is for another one, or for its next run.
    pub(super) fn listener_ends(&mut self, id: ProcessId) {
        if let Some(listener) = self.events.listeners.remove(&id) {
            self.take_back(listener.group, listener.event);
        }
    }

    /// Puts an event that a listener did not deal with back to the front of its pool.
    fn take_back(&mut self, group: GroupId, event: Option<Arc<Delivery>>) {
        let (Some(delivery), Some(pool)) = (event, self.events.pools.get_mut(&group)) else { return };
        let (waiting, most) = (pool.queue().len(), pool.size_max());
        let discarded = pool.push_again(Arc::clone(&delivery));
        self.log(lines::rebuffering(&delivery.pool, delivery.serial, waiting, most));
        self.discard(discarded);
    }

    /// Takes in what a listener wrote to its stdout.
    pub(super) fn on_heard(&mut self, id: ProcessId, run: RunId, bytes: &[u8]) {
        let Some(listener) = self.events.listeners.get_mut(&id).filter(|one| one.run == run) else { return };
        listener.dialogue.feed(bytes);
        loop {
            let Some(listener) = self.events.listeners.get_mut(&id) else { return };
            let before = listener.dialogue.standing();
            let Some(said) = listener.dialogue.next_said() else { break };
            match said {
                Said::Ready => self.log_standing(id, before, Standing::Ready),
                Said::Result(result) => self.on_result(id, result),
                Said::BadResult(line) => {
                    self.log(lines::bad_result(self.name(id), &line));
                    self.on_break(id, before);
                }
                Said::Noise => self.on_break(id, before),
            }
        }
        self.actions.push_back(Action::Persist(id));
    }

    /// What a listener said was lost with a reactor: nobody knows where the conversation stands.
    pub(super) fn on_unheard(&mut self, id: ProcessId) {
        let Some(listener) = self.events.listeners.get(&id) else { return };
        let before = listener.dialogue.standing();
        if before != Standing::Unknown {
            self.log(lines::unheard(self.name(id)));
            self.on_break(id, before);
            self.actions.push_back(Action::Persist(id));
        }
    }

    fn log_standing(&mut self, id: ProcessId, from: Standing, to: Standing) {
        let line = lines::standing(self.name(id), from, to);
        self.log(line);
    }

    /// A listener has answered.
    fn on_result(&mut self, id: ProcessId, result: Vec<u8>) {
        let Some(listener) = self.events.listeners.get_mut(&id) else { return };
        let (group, event) = (listener.group, listener.event.take());
        let judge = self.events.pools.get(&group).map_or(Judge::Stock, |pool| pool.judge);
        let is_good = judge != Judge::Stock || result == b"OK";
        let name = self.name(id).to_owned();
        self.log(if is_good { lines::processed(&name) } else { lines::rejected(&name) });
        self.log(lines::standing(&name, Standing::Busy, Standing::Acknowledged));
        if !is_good {
            return self.take_back(group, event);
        }
        if judge == Judge::Show {
            self.actions.push_back(Action::ShowResult(result));
        }
        if let Some(delivery) = event {
            self.actions.push_back(Action::SettleEvent { delivery, fate: Fate::Acknowledged });
        }
    }

    /// A listener broke the protocol: it is of no use until it begins anew.
    fn on_break(&mut self, id: ProcessId, before: Standing) {
        let now = self.now;
        let delay = self.events.breaks.entry(id).or_default().add(now);
        let Some(listener) = self.events.listeners.get_mut(&id) else { return };
        listener.dialogue.end();
        listener.restart_at = Some(now.after_secs(delay));
        let (group, event) = (listener.group, listener.event.take());
        self.log_standing(id, before, Standing::Unknown);
        self.log(lines::broke_protocol(self.name(id)));
        self.take_back(group, event);
    }

    /// Restarts the listeners whose time for it has come.
    pub(super) fn restart_broken(&mut self) {
        let is_due = |listener: &Listener| listener.restart_at.is_some_and(|at| at <= self.now);
        let due: Vec<ProcessId> =
            self.events.listeners.iter().filter(|(_, one)| is_due(one)).map(|(id, _)| *id).collect();
        for id in due {
            if let Some(listener) = self.events.listeners.get_mut(&id) {
                listener.restart_at = None;
            }
            // The wish to run stays, so that the end of this stop is followed by a start.
            if let Some(ProcState::Starting { run, stage: Stage::Up } | ProcState::Running { run }) =
                self.table.get(&id).map(|process| *process.state())
            {
                self.log(lines::restarting(self.name(id)));
                self.ask_to_stop(id, run, Actor::Policy, "it broke the event listener protocol");
            }
        }
    }

    /// Sends what waits to listeners that are ready.
    pub(super) fn dispatch(&mut self) {
        let waiting = |(_, pool): &(&GroupId, &Pool)| !pool.queue().is_empty();
        let pools: Vec<GroupId> = self.events.pools.iter().filter(waiting).map(|(id, _)| *id).collect();
        for pool in pools {
            let members = self.groups.get(&pool).map_or(&[][..], |group| &group.members);
            let ready: Vec<ProcessId> = members.iter().copied().filter(|id| self.is_free(*id)).collect();
            for id in ready {
                self.send_next(pool, id);
            }
        }
    }

    fn is_free(&self, id: ProcessId) -> bool {
        let is_ready = |one: &Listener| one.dialogue.standing() == Standing::Ready && one.is_sent;
        self.events.listeners.get(&id).is_some_and(is_ready)
            && self.table.get(&id).is_some_and(|process| matches!(process.state(), ProcState::Running { .. }))
    }

    /// Whether a pool has an event that one of its listeners deals with, or will when it is ready.
    pub(super) fn has_takers(&self, pool: GroupId) -> bool {
        let has_waiting = self.events.pools.get(&pool).is_some_and(|pool| !pool.queue().is_empty());
        let takes = |(id, one): (&ProcessId, &Listener)| {
            one.group == pool
                && one.dialogue.standing() != Standing::Unknown
                && (has_waiting || one.event.is_some())
                && self.table.get(id).is_some_and(|p| matches!(p.state(), ProcState::Running { .. }))
        };
        self.events.listeners.iter().any(takes)
    }

    fn send_next(&mut self, pool: GroupId, id: ProcessId) {
        let Some(delivery) = self.events.pools.get_mut(&pool).and_then(Pool::pop) else { return };
        let Some(listener) = self.events.listeners.get_mut(&id) else { return };
        listener.dialogue.ask();
        listener.is_sent = false;
        listener.event = Some(Arc::clone(&delivery));
        let run = listener.run;
        let line = lines::event_sent(delivery.serial, self.name(id));
        self.log(line);
        self.actions.push_back(Action::Persist(id));
        self.actions.push_back(Action::SendEvent { run, delivery });
    }

    /// All of an event is in the listener's pipe, or its pipe is closed.
    pub(super) fn on_event_sent(&mut self, id: ProcessId, run: RunId, is_sent: bool) {
        let Some(listener) = self.events.listeners.get_mut(&id).filter(|one| one.run == run) else { return };
        if is_sent {
            listener.is_sent = true;
        } else {
            // As a rule it has ended, and the news of that are on their way.
            listener.dialogue.end();
            listener.restart_at = Some(self.now.after_secs(RESTART_DELAY_MIN_SECS));
            let (group, event) = (listener.group, listener.event.take());
            self.log(lines::deaf(self.name(id)));
            self.take_back(group, event);
        }
        self.actions.push_back(Action::Persist(id));
    }

    /// A pool ends, with what nobody took.
    pub(super) fn end_pool(&mut self, id: GroupId) {
        let Some(mut pool) = self.events.remove(id) else { return };
        // One that cannot even be signalled may still have an event.
        let listeners = self.events.listeners.values_mut().filter(|listener| listener.group == id);
        let mut rest: Vec<_> = listeners.filter_map(|listener| listener.event.take()).collect();
        rest.extend(std::iter::from_fn(|| pool.pop()));
        if let Some(first) = rest.first() {
            self.log(lines::undelivered(&first.pool, rest.len()));
        }
        for delivery in rest {
            self.actions.push_back(Action::SettleEvent { delivery, fate: Fate::Ended });
        }
    }

    /// All pools end with the daemon, or with the configuration that made them.
    pub(super) fn end_pools(&mut self) {
        let pools: Vec<GroupId> = self.events.pools.keys().copied().collect();
        pools.into_iter().for_each(|id| self.end_pool(id));
    }
}
