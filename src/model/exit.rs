//! How a process ended.

use super::Signal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a process ended, as wait(2) told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// It called exit with this code.
    Code(u8),
    /// A signal killed it.
    Signaled {
        /// The signal.
        signal: Signal,
        /// Whether a core file was written.
        core: bool,
    },
    /// It ended where nobody could see how (its parent, the keeper, was lost).
    Unknown,
}

impl ExitStatus {
    /// Returns the number that supervisord reports: the exit code, or -1 for a death by signal
    /// (supervisor 4.3 `decode_wait_status`).
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            ExitStatus::Code(code) => i32::from(code),
            ExitStatus::Signaled { .. } | ExitStatus::Unknown => -1,
        }
    }
}

impl fmt::Display for ExitStatus {
    /// Writes supervisord's words: `exit status 1`, `terminated by SIGKILL (core dumped)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Code(code) => write!(f, "exit status {code}"),
            ExitStatus::Signaled { signal, core } => {
                write!(f, "terminated by {signal}{}", if *core { " (core dumped)" } else { "" })
            }
            ExitStatus::Unknown => f.write_str("exit status unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_supervisords() {
        let killed = ExitStatus::Signaled { signal: Signal::KILL, core: true };
        assert_eq!(ExitStatus::Code(3).to_string(), "exit status 3");
        assert_eq!(killed.to_string(), "terminated by SIGKILL (core dumped)");
        assert_eq!((ExitStatus::Code(3).code(), killed.code()), (3, -1));
    }
}
