//! What time alone brings about.
//!
//! Example: the shell sleeps until [`Core::next_deadline`], and gives [`super::Input::Tick`] when it wakes.

use super::Core;
use super::start::SPAWNS_IN_FLIGHT_MAX;
use super::state::{ProcState, Rest, Stage, Step};
use crate::model::{ProcessId, Time};

impl Core {
    /// Returns when [`super::Input::Tick`] is due next; `None` means never, unless something else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let process = self.deadlines.first().map(|(at, _)| *at);
        let report = self.closing_report_at();
        let room = self.shortage.until();
        let queue = (!self.queue.is_empty() && self.in_flight < SPAWNS_IN_FLIGHT_MAX).then_some(room);
        let listeners = [self.events.next_deadline(), self.ticks.next_deadline(), self.drain_until()];
        [process, report, queue].into_iter().chain(listeners).flatten().min()
    }

    /// Does everything that is due by now, the earliest first.
    pub(super) fn run_due(&mut self) {
        self.tick();
        // Both stop processes, whose own deadline has come at once where they get no patience.
        self.restart_broken();
        if self.drain_until().is_some_and(|at| at <= self.now) {
            self.close_on();
        }
        while let Some((at, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= self.now) {
            self.on_deadline(id, at);
        }
    }

    /// Moves a process on whose deadline has come. Every arm changes the deadline, and one that is not that of the
    /// process is dropped, so `run_due` ends.
    fn on_deadline(&mut self, id: ProcessId, at: Time) {
        let process = self.table.get(&id);
        let own = process.and_then(|process| process.state().deadline(process.spec.startsecs));
        let Some(state) = process.map(|process| *process.state()).filter(|_| own == Some(at)) else {
            self.deadlines.remove(&(at, id));
            return;
        };
        match state {
            ProcState::Starting { run, stage: Stage::Up } => self.enter_running(id, run),
            ProcState::Stopping { run, step: Step::Asked { .. } | Step::Killed { .. } } => self.kill(id, run),
            _ => match state.rest() {
                Rest::Busy(sweep) => self.on_sweep_deadline(id, sweep),
                _ => self.start_again(id),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::core::Input;
    use crate::core::testing::{Bench, WEB};
    use crate::model::{ProcessId, State, Time};

    #[test]
    fn a_deadline_that_belongs_to_no_state_is_dropped() {
        let mut bench = Bench::one(|_| {});
        bench.spawned();
        bench.core.deadlines.extend([(bench.now, WEB), (Time(0), ProcessId(77))]);
        bench.give(Input::Tick);
        assert_eq!((bench.state(), bench.deadline_ms()), (State::Starting, Some(1000)));
    }
}
