//! Which programs flap: start again by themselves many times in a short while, whatever each end looks like.
//!
//! The latest restarts of each are remembered, and lost with a reactor that dies: what flaps is found out again within
//! the window. Must not decide anything. Example: `flapping.restarted(id, now)`, and then `flapping.is(id, now)`.

use crate::model::{ProcessId, Time};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Restarts within [`WINDOW`] from which on a program flaps: more than the three attempts after which supervisord gives
/// up one that never runs.
const RESTARTS: usize = 5;

/// How long a restart counts.
const WINDOW: Duration = Duration::from_secs(60);

/// The latest restarts of programs.
#[derive(Debug, Default)]
pub(super) struct Flapping {
    restarts: BTreeMap<ProcessId, VecDeque<Time>>,
}

impl Flapping {
    /// Counts a restart that nobody asked for.
    pub(super) fn restarted(&mut self, process: ProcessId, now: Time) {
        let times = self.restarts.entry(process).or_default();
        times.push_back(now);
        if times.len() > RESTARTS {
            times.pop_front();
        }
    }

    /// Forgets a program that was stopped or started by somebody, or is gone.
    pub(super) fn forget(&mut self, process: ProcessId) {
        self.restarts.remove(&process);
    }

    /// Whether a program flaps.
    pub(super) fn is(&self, process: ProcessId, now: Time) -> bool {
        let Some(times) = self.restarts.get(&process).filter(|times| times.len() == RESTARTS) else {
            return false;
        };
        times.front().is_some_and(|first| now.since(*first) <= WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_flaps_from_so_many_restarts_in_the_window_until_it_is_over() {
        let (id, other) = (ProcessId(1), ProcessId(2));
        let mut flapping = Flapping::default();
        let start = Time(1_000_000_000);
        for _ in 1..RESTARTS {
            flapping.restarted(id, start);
            assert!(!flapping.is(id, start));
        }
        flapping.restarted(id, start.after_secs(10));
        assert!(flapping.is(id, start.after(WINDOW)) && !flapping.is(other, start));
        assert!(!flapping.is(id, start.after(WINDOW + Duration::from_nanos(1))));
        flapping.restarted(id, start.after(WINDOW));
        assert!(flapping.is(id, start.after(WINDOW)), "only the latest count");
        flapping.forget(id);
        assert!(!flapping.is(id, start));
    }
}
