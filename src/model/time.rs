//! Two kinds of time that cannot be mixed: rules run on [`Time`], people read [`WallTime`].

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A point on the monotonic clock, in nanoseconds; the same clock in every process of one boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// Returns the time `seconds` later; never overflows, and a negative number counts as none.
    #[must_use]
    pub fn after_secs(self, seconds: i64) -> Time {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        Time(self.0.saturating_add(seconds.saturating_mul(1_000_000_000)))
    }

    /// Returns the time `span` later; never overflows.
    #[must_use]
    pub fn after(self, span: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Returns how long it is from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A point on the wall clock: nanoseconds since the Unix epoch, for reports only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallTime(pub i64);

impl WallTime {
    /// Returns whole seconds since the epoch, as supervisord reports its stamps.
    #[must_use]
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }
}
