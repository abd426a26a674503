//! The words beside a state, exactly supervisord's: others parse them (supervisor 4.3 rpcinterface.py
//! `_interpretProcessInfo`).
//!
//! Knows no process, only what it is told. Example: a running one is `pid 42, uptime 0:00:02`.

use crate::model::State;
use jiff::tz::TimeZone;

/// What there is to say about a process; times in whole seconds since the epoch, 0 for never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Its name within its group.
    pub name: &'a str,
    /// Its state.
    pub state: State,
    /// Its main process.
    pub pid: i32,
    /// When it was last started.
    pub started: i64,
    /// When it last stopped.
    pub stopped: i64,
    /// Now.
    pub now: i64,
    /// Why its last start failed; empty when it did not.
    pub spawn_error: &'a str,
}

/// Returns the description; times of the day are those of `zone`.
#[must_use]
pub fn describe(facts: &Facts<'_>, zone: &TimeZone) -> String {
    match facts.state {
        State::Running => format!("pid {}, uptime {}", facts.pid, uptime(facts.now - facts.started)),
        State::Fatal | State::Backoff if facts.spawn_error.is_empty() => {
            format!("unknown error (try \"tail {}\")", facts.name)
        }
        State::Fatal | State::Backoff => facts.spawn_error.to_owned(),
        // A process that was started and never stopped, because it could not be spawned, never ran either.
        State::Stopped | State::Exited if facts.started == 0 || facts.stopped == 0 => {
            "Not started".to_owned()
        }
        State::Stopped | State::Exited => stop_time(facts.stopped, zone),
        State::Starting | State::Stopping | State::Unknown => String::new(),
    }
}

/// Returns a span as Python writes a timedelta: `0:00:02`, `1 day, 3:04:05`; one below zero counts as none.
#[must_use]
pub fn uptime(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

/// Returns a time as `Nov 20 07:33 AM`.
#[must_use]
pub fn stop_time(seconds: i64, zone: &TimeZone) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_zoned(zone.clone()).strftime("%b %d %I:%M %p").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        name: "web",
        state: State::Running,
        pid: 42,
        started: 1_700_000_000,
        stopped: 1_700_465_580,
        now: 1_700_000_002,
        spawn_error: "",
    };

    #[test]
    fn each_state_has_supervisords_words() {
        let failed = "can't find command 'x'";
        for (state, spawn_error, expected) in [
            (State::Running, "", "pid 42, uptime 0:00:02"),
            (State::Fatal, failed, failed),
            (State::Backoff, failed, failed),
            (State::Fatal, "", "unknown error (try \"tail web\")"),
            (State::Stopped, "", "Nov 20 07:33 AM"),
            (State::Exited, "ignored", "Nov 20 07:33 AM"),
            (State::Starting, "", ""),
            (State::Stopping, "", ""),
            (State::Unknown, "", ""),
        ] {
            assert_eq!(
                describe(&Facts { state, spawn_error, ..FACTS }, &TimeZone::UTC),
                expected,
                "{state:?}"
            );
        }
        for never in [Facts { started: 0, ..FACTS }, Facts { stopped: 0, ..FACTS }] {
            let facts = Facts { state: State::Stopped, ..never };
            assert_eq!(describe(&facts, &TimeZone::UTC), "Not started");
        }
    }

    #[test]
    fn spans_are_pythons() {
        for (seconds, expected) in [
            (-5, "0:00:00"),
            (59, "0:00:59"),
            (3_661, "1:01:01"),
            (86_399, "23:59:59"),
            (86_400, "1 day, 0:00:00"),
            (2 * 86_400 + 36_000, "2 days, 10:00:00"),
        ] {
            assert_eq!(uptime(seconds), expected);
        }
    }

    #[test]
    fn stop_times_are_local_with_noon_and_midnight_as_twelve() {
        for (seconds, expected) in
            [(0, "Jan 01 12:00 AM"), (43_200, "Jan 01 12:00 PM"), (43_260 + 3600, "Jan 01 01:01 PM")]
        {
            assert_eq!(stop_time(seconds, &TimeZone::UTC), expected);
        }
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(stop_time(0, &east), "Jan 01 02:00 AM");
    }
}
