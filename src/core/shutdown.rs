//! The orderly end of everything, for good or to begin anew.
//!
//! Groups go by priority downwards, those of one priority together: the next are asked when every process of those
//! before is down; inside a group all are asked at once, in descending priority (supervisor 4.3 supervisord.py
//! `runforever`, `ordered_stop_groups_phase_1`). What has not come up yet is called off at once, everywhere.
//! Nobody's patience counts but each program's `stopwaitsecs`, so the end comes in bounded time.

use super::Core;
use super::action::{Action, Finish, Reply};
use super::fleet::GroupId;
use super::input::Actor;
use super::lines;
use super::process::Desired;
use super::state::{ProcState, Rest, Stage};
use crate::model::event::{Event, EventKind};
use crate::model::{ProcessId, Signal, Time};
use serde::{Deserialize, Serialize};

/// Seconds between two lines about what is still being waited for (supervisor 4.3 `shutdown_report`).
pub(super) const REPORT_INTERVAL_SECS: i64 = 3;

/// Longest time in seconds for which a pool of listeners is kept up to take the events that wait for it: enough for
/// any that reads, and too short to be noticed at the end of a daemon. supervisord gives it one turn of its loop.
pub(super) const DRAIN_MAX_SECS: i64 = 1;

/// What the daemon as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It supervises.
    Running,
    /// It stops everything, and ends.
    ShuttingDown,
    /// It stops everything, and begins anew.
    Reloading,
}

/// An end that is under way.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    pub(super) finish: Finish,
    pub(super) actor: Actor,
    /// Groups that are not known to be down, the next one last.
    remaining: Vec<GroupId>,
    /// The priority whose groups were asked to stop.
    asked: Option<i64>,
    pub(super) report_at: Time,
    /// The priority whose pools are kept up for their events, and until when.
    pub(super) drain: Option<(i64, Time)>,
    is_done: bool,
}

impl Core {
    /// Returns what the daemon as a whole is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.closing.as_ref().map(|closing| closing.finish) {
            None => Phase::Running,
            Some(Finish::Exit) => Phase::ShuttingDown,
            Some(Finish::Reload) => Phase::Reloading,
        }
    }

    /// Takes in a signal that was sent to the daemon (supervisor 4.3 `handle_signal`).
    pub(super) fn on_daemon_signal(&mut self, signal: Signal) {
        match signal {
            Signal::TERM | Signal::INT | Signal::QUIT => {
                self.log(lines::exit_requested(signal));
                self.close(Finish::Exit, Actor::Signal(signal));
            }
            Signal::HUP if self.phase() == Phase::ShuttingDown => self.log(lines::restart_ignored(signal)),
            Signal::HUP => {
                self.log(lines::restart_requested(signal));
                self.close(Finish::Reload, Actor::Signal(signal));
            }
            _ => {}
        }
    }

    /// Begins to stop everything, or changes what for: an end for good wins.
    pub(super) fn close(&mut self, finish: Finish, actor: Actor) {
        if let Some(closing) = &mut self.closing {
            if finish == Finish::Exit && closing.finish != finish && !closing.is_done {
                closing.finish = finish;
                self.mark_header();
            }
            return;
        }
        self.begin_closing(finish, actor, self.now);
        self.notify(EventKind::SupervisorStopping, |_| Some(Event::plain(EventKind::SupervisorStopping)));
        self.target = None;
        self.wishes.clear();
        let ids: Vec<ProcessId> = self.table.keys().copied().collect();
        for id in ids {
            self.answer_starts(id, &Reply::ShuttingDown);
        }
        self.call_all_off();
    }

    /// Enters the phase; what is already stopping goes on.
    pub(super) fn begin_closing(&mut self, finish: Finish, actor: Actor, report_at: Time) {
        let remaining = self.order.clone();
        self.closing =
            Some(Closing { finish, actor, remaining, asked: None, report_at, drain: None, is_done: false });
        self.mark_header();
    }

    /// Calls off everything that has not come up yet, in a daemon that ends: also when it is taken up again by a
    /// reactor whose predecessor died before it could note that of each process.
    pub(super) fn call_all_off(&mut self) {
        let Some(actor) = self.closing.as_ref().map(|closing| closing.actor) else { return };
        let ids: Vec<ProcessId> = self.table.keys().copied().collect();
        ids.into_iter().for_each(|id| self.call_off(id, actor));
    }

    /// Calls off what has not come up yet: nothing is started in a daemon that ends.
    fn call_off(&mut self, id: ProcessId, actor: Actor) {
        self.want(id, Desired::Down);
        let Some(process) = self.table.get(&id) else { return };
        match *process.state() {
            ProcState::Backoff { rest: Rest::Clean, .. } => self.give_up(id, Rest::Clean, "the daemon ends"),
            ProcState::Exited { again: Some(_), rest: Rest::Clean } => {
                let next = ProcState::Exited { again: None, rest: Rest::Clean };
                self.set_state(id, next, actor, "");
            }
            // Their left-overs are being cleaned up, and that is brought to its end.
            ProcState::Backoff { .. } | ProcState::Exited { again: Some(_), .. } => {
                self.stop(id, actor, "the daemon ends");
            }
            ProcState::Checking { .. } => self.stop(id, actor, "the daemon ends"),
            ProcState::Starting { stage, .. } if stage != Stage::Up => {
                self.stop(id, actor, "the daemon ends")
            }
            _ => {}
        }
    }

    /// Asks the groups of the next priority to stop when those before are down, and finishes after the last.
    ///
    /// Groups of one priority stop together: supervisord takes one at a time (`ordered_stop_groups_phase_1`),
    /// which makes a thousand programs of the default priority wait for each other without a reason.
    pub(super) fn close_on(&mut self) {
        while let Some(closing) = self.closing.as_mut().filter(|closing| !closing.is_done) {
            let (actor, finish, asked) = (closing.actor, closing.finish, closing.asked);
            let Some(last) = closing.remaining.last().copied() else {
                closing.is_done = true;
                return self.finish(finish);
            };
            let priority = self.groups.get(&last).map(|group| group.spec.priority);
            if asked != priority {
                if self.is_draining(priority) {
                    return;
                }
                self.stop_priority(priority, actor);
            }
            if self.groups.get(&last).is_some_and(|group| group.live > 0) {
                return;
            }
            if let Some(closing) = &mut self.closing {
                closing.remaining.pop();
            }
        }
    }

    /// Asks the last of the remaining groups to stop, as far as they have this priority.
    fn stop_priority(&mut self, priority: Option<i64>, actor: Actor) {
        let Some(closing) = &mut self.closing else { return };
        closing.asked = priority;
        // Priorities that are down already are asked again after a restore: theirs it is not.
        closing.drain = closing.drain.filter(|(drained, _)| Some(*drained) != priority);
        let of_priority = |group: &&GroupId| self.groups.get(group).map(|g| g.spec.priority) == priority;
        let batch: Vec<GroupId> = closing.remaining.iter().rev().take_while(of_priority).copied().collect();
        for group in batch {
            for id in self.stop_order(group) {
                self.stop(id, actor, "the daemon ends");
            }
        }
    }

    /// Whether listeners of this priority are about to take events, and there is still time for that.
    fn is_draining(&mut self, priority: Option<i64>) -> bool {
        let of_priority =
            |group: &&GroupId| self.groups.get(group).map(|group| group.spec.priority) == priority;
        if !self.order.iter().filter(of_priority).any(|group| self.has_takers(*group)) {
            return false;
        }
        let (Some(closing), Some(priority)) = (&mut self.closing, priority) else { return false };
        let begun = closing.drain.filter(|(drained, _)| *drained == priority);
        let (_, until) = begun.unwrap_or((priority, self.now.after_secs(DRAIN_MAX_SECS)));
        closing.drain = Some((priority, until));
        self.now < until
    }

    fn finish(&mut self, finish: Finish) {
        let ids: Vec<ProcessId> = self.table.keys().copied().collect();
        for id in ids {
            self.answer_all(id, &Reply::ShuttingDown);
        }
        self.end_pools();
        self.wind_ticks();
        self.actions.push_back(Action::Finish(finish));
    }

    /// Returns until when listeners are waited for.
    pub(super) fn drain_until(&self) -> Option<Time> {
        self.closing.as_ref().and_then(|closing| closing.drain).map(|(_, until)| until)
    }

    /// Returns when the next line about what is waited for is due.
    pub(super) fn closing_report_at(&self) -> Option<Time> {
        self.closing.as_ref().filter(|closing| !closing.is_done).map(|closing| closing.report_at)
    }

    /// Says what is waited for, when that is due.
    pub(super) fn report_closing(&mut self) {
        if self.closing_report_at().is_none_or(|at| at > self.now) {
            return;
        }
        let is_live = |id: &&ProcessId| self.table.get(id).is_some_and(|p| !p.state().shown().is_stopped());
        let groups = self.order.iter().filter_map(|group| self.groups.get(group));
        let names: Vec<&str> =
            groups.flat_map(|group| &group.members).filter(is_live).map(|id| self.name(*id)).collect();
        let line = (!names.is_empty()).then(|| lines::waiting_to_die(&names));
        if let Some(line) = line {
            self.log(line);
        }
        let report_at = self.now.after_secs(REPORT_INTERVAL_SECS);
        if let Some(closing) = &mut self.closing {
            closing.report_at = report_at;
        }
    }
}
