//! How long to wait before the next start: three small counters without a process in sight.
//!
//! Example: `let until = retry_at(now, attempt)` after a failed start, and
//! `let again = process.rate.earliest(now)` after an exit that is to be followed by a restart.

use crate::model::Time;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most automatic restarts of one program in any second, whatever its configuration says: a program with
/// `startsecs=0` that ends at once would otherwise burn a processor. supervisord restarts without a limit.
pub const RESTARTS_PER_SECOND_MAX: u32 = 10;

/// Restarts that may follow each other without a pause.
const RESTART_BURST: u64 = 5;

/// Pause between restarts once the burst is used up, which gives [`RESTARTS_PER_SECOND_MAX`] with the burst.
const RESTART_SPACING: Duration = Duration::from_millis(200);

/// Longest wait in seconds for descriptors or processes to become free: people notice a longer one.
pub const SHORTAGE_DELAY_MAX_SECS: i64 = 30;

/// Returns when the next attempt is due after `attempt` failures in a row: supervisord waits 1, 2, 3... seconds
/// (supervisor 4.3 process.py `change_state`).
#[must_use]
pub fn retry_at(now: Time, attempt: u32) -> Time {
    now.after_secs(i64::from(attempt))
}

/// The recent starts of one program, as one point in time: when the allowance will be full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRate(pub(super) Time);

impl RestartRate {
    /// Returns the earliest time, not before `now`, at which a start keeps the limit.
    #[must_use]
    pub fn earliest(self, now: Time) -> Time {
        let burst = RESTART_SPACING.as_nanos() as u64 * (RESTART_BURST - 1);
        now.max(Time(self.0.0.saturating_sub(burst)))
    }

    /// Counts a start at `now`.
    pub fn take(&mut self, now: Time) {
        self.0 = self.0.max(now).after(RESTART_SPACING);
    }
}

/// Shortage of the machine, for all programs together: when it has no descriptors or processes left, every
/// program would find out by itself, again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The last wait in seconds; 0 when all is well.
    delay_secs: i64,
    /// When a start may be tried again.
    until: Time,
}

impl Shortage {
    /// Returns when the next start may be tried, after one that was refused at `now`. Of many that are refused
    /// together only the first makes the wait longer: 1, 2, 4... seconds up to [`SHORTAGE_DELAY_MAX_SECS`].
    pub fn refused(&mut self, now: Time) -> Time {
        if now >= self.until {
            self.delay_secs = (self.delay_secs * 2).clamp(1, SHORTAGE_DELAY_MAX_SECS);
            self.until = now.after_secs(self.delay_secs);
        }
        self.until
    }

    /// Notes that a start was possible: the shortage is over.
    pub fn passed(&mut self) {
        *self = Shortage::default();
    }

    /// Returns until when no start makes sense; a time in the past when all is well.
    #[must_use]
    pub fn until(self) -> Time {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn restarts_never_exceed_the_limit_in_any_second() {
        let mut rate = RestartRate::default();
        let mut starts = Vec::new();
        let mut now = Time(SECOND);
        for _ in 0..100 {
            now = rate.earliest(now);
            rate.take(now);
            starts.push(now.0);
        }
        let most =
            starts.iter().map(|at| starts.iter().filter(|s| (*at..=at + SECOND).contains(s)).count()).max();
        assert_eq!(most, Some(RESTARTS_PER_SECOND_MAX as usize));
        assert_eq!(starts[4] - starts[0], 0, "a burst passes at once");
        assert_eq!(starts[99] - starts[98], SECOND / 5);
    }

    #[test]
    fn a_rested_program_restarts_at_once() {
        let mut rate = RestartRate::default();
        (0..50).for_each(|_| rate.take(Time(SECOND)));
        assert_eq!(rate.earliest(Time(60 * SECOND)), Time(60 * SECOND));
    }

    #[test]
    fn shortage_doubles_its_wait_up_to_the_limit_and_forgets() {
        let mut shortage = Shortage::default();
        let mut now = Time(SECOND);
        let mut waits = Vec::new();
        for _ in 0..7 {
            let until = shortage.refused(now);
            assert_eq!(shortage.refused(now), until, "refused together, wait together");
            waits.push((until.0 - now.0) / SECOND);
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        shortage.passed();
        assert_eq!(shortage.refused(now), now.after_secs(1));
    }
}
