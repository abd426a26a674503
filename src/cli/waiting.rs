//! Commands that wait: a progress line on a terminal, a longest wait, and Ctrl-C, which cancels nothing.
//!
//! Example: `submit(session, &mut connection, &Question { path, what: "web", timeout: None }, &names)`.

use super::{Problem, Session, exit};
use crate::client::http::Reply;
use crate::client::{Connection, Failure, Wait};
use serde::Serialize;
use std::os::fd::AsFd;
use std::time::Duration;

/// How often the progress line changes.
const PROGRESS_PERIOD: Duration = Duration::from_secs(1);

/// How much later than the daemon we give up: its answer names what is late.
const GRACE: Duration = Duration::from_secs(5);

/// The longest wait that can be asked for; a year is for ever.
const TIMEOUT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// Where it is asked.
    pub path: &'a str,
    /// What is shown while it lasts: `start web`.
    pub what: &'a str,
    /// The longest wait.
    pub timeout: Option<Duration>,
}

/// Asks, and waits for the answer.
///
/// # Errors
/// As [`Connection::submit`]; Ctrl-C is told as what it means.
pub(super) fn submit(
    session: &Session,
    connection: &mut Connection,
    question: &Question<'_>,
    body: &impl Serialize,
) -> Result<Reply, Problem> {
    patiently(session, question, |wait| connection.submit(question.path, body, wait))
}

/// Carries out something that waits.
///
/// # Errors
/// Those of what is carried out.
pub(super) fn patiently<T>(
    session: &Session,
    question: &Question<'_>,
    act: impl FnOnce(&mut Wait<'_>) -> Result<T, Failure>,
) -> Result<T, Problem> {
    let screen = session.screen;
    let mut is_shown = false;
    let mut show = |waited: Duration| {
        is_shown = true;
        screen.progress(&format!(
            "{}: waiting, {} s; Ctrl-C leaves it going on in the background",
            question.what,
            waited.as_secs()
        ));
    };
    let done = act(&mut Wait {
        timeout: question.timeout.map(|timeout| timeout + GRACE),
        interrupt: session.interrupt().map(AsFd::as_fd),
        tick: screen.messages_on_terminal.then_some((PROGRESS_PERIOD, &mut show)),
    });
    if is_shown {
        screen.end_progress();
    }
    done.map_err(|failure| match failure {
        Failure::Interrupted => Problem::new(
            exit::TIMED_OUT,
            format!("{}: goes on in the background (visorctl status shows how it went)", question.what),
        ),
        other => other.into(),
    })
}

/// Reads a duration as configurations write them: `20s`, `5m`, `1h`, `250ms`; a bare number is seconds.
///
/// # Errors
/// Words for the user.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("`{unit}` is no unit of time: ms, s, m, h or d")),
    };
    let number: u64 = number.parse().map_err(|_| "a duration is a number and a unit, as 30s".to_owned())?;
    Ok(Duration::from_millis(number.saturating_mul(milliseconds)).min(TIMEOUT_MAX))
}

/// Returns a wait as the API takes it.
#[must_use]
pub(super) fn milliseconds(timeout: Option<Duration>) -> Option<u64> {
    timeout.and_then(|timeout| u64::try_from(timeout.as_millis()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_configurations() {
        for (text, expected) in [
            ("30", Some(30_000)),
            ("30s", Some(30_000)),
            ("250ms", Some(250)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("0", Some(0)),
            ("99999999999999999d", Some(366 * 86_400_000)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("5 weeks", None),
        ] {
            assert_eq!(milliseconds(duration(text).ok()), expected, "{text:?}");
        }
    }
}
