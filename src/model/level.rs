//! The levels of the activity log (supervisor 4.3 loggers.py), one table.

use serde::{Deserialize, Serialize};

/// How much a line of the activity log matters; greater is graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Everything that passes through.
    Blather = 3,
    /// Each request and each transition.
    Trace = 5,
    /// What a developer of a program wants to see, its output included.
    Debug = 10,
    /// What happened.
    Info = 20,
    /// What was not expected.
    Warn = 30,
    /// What failed.
    Error = 40,
    /// What the user must act on.
    Critical = 50,
}

/// Level, the word `loglevel=` takes, and the four letters in the log.
pub const LEVELS: [(Level, &str, &str); 7] = [
    (Level::Critical, "critical", "CRIT"),
    (Level::Error, "error", "ERRO"),
    (Level::Warn, "warn", "WARN"),
    (Level::Info, "info", "INFO"),
    (Level::Debug, "debug", "DEBG"),
    (Level::Trace, "trace", "TRAC"),
    (Level::Blather, "blather", "BLAT"),
];

impl Level {
    /// Returns the level that `word` names, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Level> {
        LEVELS.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(word)).map(|row| row.0)
    }

    /// Returns the four letters that mark the level in a log line.
    #[must_use]
    pub fn tag(self) -> &'static str {
        LEVELS.iter().find(|row| row.0 == self).map_or("????", |row| row.2)
    }

    /// Returns the word that `loglevel=` takes.
    #[must_use]
    pub fn word(self) -> &'static str {
        LEVELS.iter().find(|row| row.0 == self).map_or("?", |row| row.1)
    }
}
