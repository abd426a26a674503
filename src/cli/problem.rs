//! Why a command ends early: words for standard error, and an exit code.

use super::exit;
use crate::api::v1::ErrorCode;
use crate::client::Failure;

/// The end of a command that could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One of [`exit`].
    pub code: i32,
    /// What to tell; may have several lines.
    pub text: String,
}

/// How a command went: an exit code, or a problem.
pub type Outcome = Result<i32, Problem>;

impl Problem {
    /// Returns a problem.
    #[must_use]
    pub fn new(code: i32, text: impl Into<String>) -> Problem {
        Problem { code, text: text.into() }
    }

    /// Returns a mistake in the command line.
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Problem {
        Problem::new(exit::USAGE, text)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        let code = match &failure {
            Failure::Refused { error, .. } => match error.code {
                ErrorCode::NoSuchProcess | ErrorCode::NoSuchGroup => exit::ABSENT,
                // We ask for nothing that a daemon of our version does not have.
                ErrorCode::NotFound => exit::VERSION,
                _ => exit::REFUSED,
            },
            Failure::Lost(_) => exit::ABSENT,
            Failure::TimedOut(_) | Failure::Interrupted => exit::TIMED_OUT,
            Failure::NotUnderstood(_) => exit::VERSION,
        };
        Problem::new(code, format!("error: {failure}"))
    }
}
