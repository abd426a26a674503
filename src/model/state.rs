//! The eight states that supervisord shows (compatible clients know these names and codes).

use serde::{Deserialize, Serialize};

/// A process state as supervisord's clients see it (supervisor 4.3 states.py).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Never started, or stopped on request.
    Stopped = 0,
    /// Spawned, and not yet up for `startsecs`.
    Starting = 10,
    /// Up for longer than `startsecs`.
    Running = 20,
    /// A start attempt failed; the next one is waited for.
    Backoff = 30,
    /// The stop signal was sent, and the process has not gone yet.
    Stopping = 40,
    /// Ended by itself after it had been running.
    Exited = 100,
    /// Its start attempts are used up.
    Fatal = 200,
    /// A signal could not be sent, for another reason than that the process was gone.
    Unknown = 1000,
}

/// State and the name that clients see; the code is the discriminant.
pub const STATES: [(State, &str); 8] = [
    (State::Stopped, "STOPPED"),
    (State::Starting, "STARTING"),
    (State::Running, "RUNNING"),
    (State::Backoff, "BACKOFF"),
    (State::Stopping, "STOPPING"),
    (State::Exited, "EXITED"),
    (State::Fatal, "FATAL"),
    (State::Unknown, "UNKNOWN"),
];

impl State {
    /// Returns the name that clients see.
    #[must_use]
    pub fn name(self) -> &'static str {
        STATES.iter().find(|row| row.0 == self).map_or("UNKNOWN", |row| row.1)
    }

    /// Returns the numeric code that clients see.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// Returns the state of a numeric code.
    #[must_use]
    pub fn by_code(code: u16) -> Option<State> {
        STATES.iter().map(|row| row.0).find(|state| state.code() == code)
    }

    /// Whether a stop request applies: supervisord's "running" set.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, State::Starting | State::Running | State::Backoff)
    }

    /// Whether the process counts as stopped: supervisord's "stopped" set.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        matches!(self, State::Stopped | State::Exited | State::Fatal | State::Unknown)
    }

    /// Whether a signal can be sent to it.
    #[must_use]
    pub fn is_signallable(self) -> bool {
        matches!(self, State::Starting | State::Running | State::Stopping)
    }
}
