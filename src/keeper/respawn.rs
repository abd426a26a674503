//! How soon a dead reactor is replaced: at once, unless it dies again and again.

use crate::model::Time;
use std::time::Duration;

/// This many deaths within [`WINDOW`] are a crash loop.
const DEATHS_MAX: usize = 5;
/// The span in which deaths are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// First and longest delay in a crash loop.
const DELAY_MIN: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_secs(30);

/// Counts deaths and says when to try again.
#[derive(Debug, Default)]
pub(super) struct Respawn {
    recent: [Option<Time>; DEATHS_MAX],
    delay: Option<Duration>,
    /// Deaths since the keeper began.
    pub(super) deaths: u64,
}

impl Respawn {
    /// Notes a death, and returns when the next reactor is due.
    pub(super) fn died(&mut self, now: Time) -> Time {
        self.deaths += 1;
        self.recent.rotate_right(1);
        self.recent[0] = Some(now);
        let looping = self.recent[DEATHS_MAX - 1].is_some_and(|oldest| now.since(oldest) <= WINDOW);
        let delayed = self
            .delay
            .is_some_and(|delay| self.recent[1].is_some_and(|last| now.since(last) <= delay + WINDOW));
        self.delay = match self.delay {
            Some(delay) if delayed => Some((delay * 2).min(DELAY_MAX)),
            _ if looping => Some(DELAY_MIN),
            _ => None,
        };
        self.delay.map_or(now, |delay| now.after(delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    #[test]
    fn the_first_deaths_are_answered_at_once_and_a_loop_with_growing_delays() {
        let mut respawn = Respawn::default();
        for ms in [0, 100, 200, 300] {
            assert_eq!(respawn.died(at(ms)), at(ms));
        }
        let mut now = at(400);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let due = respawn.died(now);
            assert_eq!(due, now.after_secs(seconds));
            now = due;
        }
    }

    #[test]
    fn deaths_far_apart_are_no_loop_and_a_quiet_while_ends_one() {
        let mut respawn = Respawn::default();
        for ms in (0..20).map(|n| n * 3_000) {
            assert_eq!(respawn.died(at(ms)), at(ms));
        }
        for ms in [100_000, 100_001, 100_002, 100_003, 100_004] {
            respawn.died(at(ms));
        }
        assert!(respawn.delay.is_some());
        assert_eq!(respawn.died(at(200_000)), at(200_000));
    }
}
