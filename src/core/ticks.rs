//! The events that time alone brings: TICK_5, TICK_60, TICK_3600.
//!
//! They follow the wall clock, because listeners read it in them: one comes when a new slice of 5, 60 or 3600 seconds
//! since the epoch begins (supervisor 4.3 `supervisord.tick`). Slices that were slept through are not made up, and a
//! clock that was set makes one come at once or late. What nobody subscribed to has no timer. Must not know who
//! subscribed. Example: a pool with TICK_60 comes into force at 12:00:10, and the next deadline is 12:01:00.

use super::Core;
use crate::model::event::{Event, EventKind, TICKS};
use crate::model::{Time, WallTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SECOND_NS: i64 = 1_000_000_000;

/// One kind of tick that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tick {
    kind: EventKind,
    period_secs: i64,
    /// The slice of time in which it was looked at last: its first second.
    slice: i64,
    due: Time,
}

/// All that somebody waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticks(Vec<Tick>);

impl Ticks {
    /// Returns when the next one may be due.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.0.iter().map(|tick| tick.due).min()
    }
}

fn slice_of(wall: WallTime, period_secs: i64) -> i64 {
    wall.secs() - wall.secs().rem_euclid(period_secs)
}

/// Returns when the next slice begins, unless the wall clock is set before.
fn next_slice(now: Time, wall: WallTime, period_secs: i64) -> Time {
    let period = period_secs * SECOND_NS;
    let rest = period - wall.0.rem_euclid(period);
    now.after(Duration::from_nanos(rest.unsigned_abs()))
}

impl Core {
    /// Winds up the timers that somebody needs, and stops the others: pools came or went.
    pub(super) fn wind_ticks(&mut self) {
        let (now, wall) = (self.now, self.wall);
        for (kind, period_secs) in TICKS {
            let is_wound = self.ticks.0.iter().any(|tick| tick.kind == kind);
            match (self.events.wants(kind), is_wound) {
                (true, false) => {
                    let (slice, due) = (slice_of(wall, period_secs), next_slice(now, wall, period_secs));
                    self.ticks.0.push(Tick { kind, period_secs, slice, due });
                }
                (false, true) => self.ticks.0.retain(|tick| tick.kind != kind),
                _ => {}
            }
        }
    }

    /// Tells of the slices that have begun.
    pub(super) fn tick(&mut self) {
        let (now, wall) = (self.now, self.wall);
        let mut begun = Vec::new();
        for tick in self.ticks.0.iter_mut().filter(|tick| tick.due <= now) {
            let slice = slice_of(wall, tick.period_secs);
            if slice != tick.slice {
                begun.push((tick.kind, slice));
            }
            (tick.slice, tick.due) = (slice, next_slice(now, wall, tick.period_secs));
        }
        for (kind, slice) in begun {
            self.notify(kind, |_| Some(Event::tick(kind, slice)));
        }
    }
}
