//! Why a question got no good answer.

use crate::api::http::HttpError;
use crate::api::v1;
use std::fmt;
use std::io;
use std::time::Duration;

/// What went wrong between the question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The daemon said no.
    Refused {
        /// The HTTP status.
        status: u16,
        /// In its words.
        error: v1::Error,
    },
    /// The connection broke; holds why.
    Lost(String),
    /// There was no answer in time.
    TimedOut(Duration),
    /// The user pressed Ctrl-C.
    Interrupted,
    /// The answer means nothing to us: the two are of different versions. Holds what was wrong with it.
    NotUnderstood(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused { error, .. } => write!(f, "{error}"),
            Failure::Lost(why) => write!(f, "the connection to visord was lost: {why}"),
            Failure::TimedOut(after) => write!(f, "no answer from visord within {} s", after.as_secs()),
            Failure::Interrupted => f.write_str("interrupted"),
            Failure::NotUnderstood(what) => {
                write!(
                    f,
                    "visord and visorctl are of different versions and do not understand each other: {what}"
                )
            }
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Lost(error.to_string())
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Failure {
        match error {
            HttpError::CutShort => Failure::Lost("it ended in the middle of an answer".to_owned()),
            other => Failure::NotUnderstood(other.to_string()),
        }
    }
}
