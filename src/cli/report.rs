//! How requests went, in supervisorctl's lines, and the exit code that follows.
//!
//! One table of reasons. What was done is data; what was not is a message. Example: `web: started`, or
//! `web: ERROR (spawn error: can't find command 'x')`.

use super::output::Screen;
use super::{Outcome, Session, exit, table};
use crate::api::v1::{
    ChangedKey, Cost, GroupAction, GroupResult, GroupResults, ProcessResult, ResultStatus, Results,
};
use crate::client::http::{Reply, parse};
use crate::model::State;

/// `(status, words, exit code)`. [`ResultStatus::Done`] is told by the verb.
const REASONS: [(ResultStatus, &str, i32); 12] = [
    (ResultStatus::Done, "", exit::OK),
    (ResultStatus::AlreadyStarted, "already started", exit::OK),
    (ResultStatus::NotRunning, "not running", exit::OK),
    (ResultStatus::NoSuchProcess, "no such process", exit::ABSENT),
    (ResultStatus::NoSuchGroup, "no such group", exit::ABSENT),
    (ResultStatus::SpawnError, "spawn error", exit::START_FAILED),
    (ResultStatus::AbnormalTermination, "abnormal termination", exit::START_FAILED),
    (ResultStatus::Refused, "", exit::START_FAILED),
    (ResultStatus::Forbidden, "", exit::REFUSED),
    (ResultStatus::Failed, "failed", exit::REFUSED),
    (ResultStatus::TimedOut, "timed out, it goes on in the background", exit::TIMED_OUT),
    (ResultStatus::ShuttingDown, "visord is shutting down", exit::REFUSED),
];

/// How a verb tells its results.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// What was done, in a participle: `started`.
    pub done: &'static str,
    /// Whether it takes a program that runs; for stopping, one that does not is what was wanted.
    pub needs_running: bool,
    /// Whether the answer is shown as it came.
    pub json: bool,
}

/// Shows the answer to a request about processes.
///
/// # Errors
/// When it means nothing to us.
pub(super) fn processes(session: &Session, reply: &Reply, manner: Manner) -> Outcome {
    let results: Results = parse(reply)?;
    if manner.json {
        session.screen.json(&String::from_utf8_lossy(&reply.body));
    } else {
        results.results.iter().for_each(|result| tell(&session.screen, result, manner));
        results.results.iter().for_each(|result| tell_disabled(session, result, manner));
        if let Some(failed) = results.results.iter().find(|result| is_start_failure(result.status)) {
            let command = session.command(&format!("why {}", failed.namespec));
            session.screen.message(&format!("see why: {command}"));
        }
    }
    Ok(code(&results.results, manner))
}

fn is_start_failure(status: ResultStatus) -> bool {
    REASONS.iter().any(|row| row.0 == status && row.2 == exit::START_FAILED)
}

/// Returns the gravest code, which is the greatest.
fn code(results: &[ProcessResult], manner: Manner) -> i32 {
    let of = |result: &ProcessResult| match result.status {
        ResultStatus::NotRunning if manner.needs_running && should_run(result) => exit::NOT_RUNNING,
        ResultStatus::NotRunning if manner.needs_running => exit::REFUSED,
        ResultStatus::AlreadyStarted if is_between_attempts(result) => exit::NOT_RUNNING,
        status => REASONS.iter().find(|row| row.0 == status).map_or(exit::REFUSED, |row| row.2),
    };
    results.iter().map(of).max().unwrap_or(exit::OK)
}

fn should_run(result: &ProcessResult) -> bool {
    result.process.as_ref().is_some_and(table::should_run)
}

/// Whether it counts as started and yet does not run: its start failed, and is tried again.
fn is_between_attempts(result: &ProcessResult) -> bool {
    result.process.as_ref().is_some_and(|process| process.state == State::Backoff)
}

fn tell(screen: &Screen, result: &ProcessResult, manner: Manner) {
    if result.status == ResultStatus::Done {
        screen.data(&format!("{}: {}", result.namespec, manner.done));
    } else {
        screen.message(&format!("{}: ERROR ({})", result.namespec, reason(result)));
    }
}

/// Tells that what was started by hand will not start by itself the next time.
fn tell_disabled(session: &Session, result: &ProcessResult, manner: Manner) {
    let is_disabled = result.process.as_ref().is_some_and(|process| process.disabled_since_unix.is_some());
    let is_up = matches!(result.status, ResultStatus::Done | ResultStatus::AlreadyStarted);
    if is_disabled && is_up && ["started", "restarted"].contains(&manner.done) {
        let name = &result.namespec;
        let command = session.command(&format!("enable {name}"));
        session
            .screen
            .message(&format!("{name} is disabled: it runs now, and does not start by itself ({command})"));
    }
}

/// Returns the reason: the table's words, the daemon's, or both.
fn reason(result: &ProcessResult) -> String {
    let words = REASONS.iter().find(|row| row.0 == result.status).map_or("failed", |row| row.1);
    match (words, result.text.as_str()) {
        _ if result.status == ResultStatus::AlreadyStarted && is_between_attempts(result) => {
            "already started, waits for its next attempt".to_owned()
        }
        ("", "") => "refused".to_owned(),
        (words, "") => words.to_owned(),
        ("", text) => text.to_owned(),
        // The daemon can say no more about it than the table does.
        (words, _) if result.status == ResultStatus::TimedOut => words.to_owned(),
        (words, text) if words == text => words.to_owned(),
        (words, text) => format!("{words}: {text}"),
    }
}

/// `(action, what is said of the group, whether it went wrong, exit code)`.
const ACTIONS: [(GroupAction, &str, i32); 9] = [
    (GroupAction::Added, "added process group", exit::OK),
    (GroupAction::Updated, "updated process group", exit::OK),
    (GroupAction::ChangedLive, "changed without a restart", exit::OK),
    (GroupAction::Removed, "removed process group", exit::OK),
    (GroupAction::Stopped, "stopped", exit::OK),
    (GroupAction::AlreadyActive, "process group already active", exit::OK),
    (GroupAction::NoSuchGroup, "no such process/group", exit::ABSENT),
    (GroupAction::StillRunning, "process/group still running", exit::REFUSED),
    (GroupAction::Problem, "has problems", exit::REFUSED),
];

/// Shows the answer to a request about groups.
///
/// # Errors
/// When it means nothing to us.
pub(super) fn groups(session: &Session, reply: &Reply, json: bool) -> Outcome {
    let answer: GroupResults = parse(reply)?;
    if json {
        session.screen.json(&String::from_utf8_lossy(&reply.body));
    } else {
        answer.diagnostics.iter().for_each(|diagnostic| session.screen.message(&diagnostic.to_string()));
        for result in &answer.results {
            tell_group(&session.screen, result);
        }
        daemon_keys(session, &answer.daemon, "changed without a restart");
        if !answer.ok {
            session.screen.message("error: the configuration has mistakes, so nothing was changed");
        }
    }
    let worst = answer.results.iter().map(|result| row(result.action).2).max().unwrap_or(exit::OK);
    Ok(if answer.ok { worst } else { worst.max(exit::REFUSED) })
}

/// Tells of keys of `[supervisord]` that differ; `done` is said of those that need no restart of the daemon.
pub(super) fn daemon_keys(session: &Session, keys: &[ChangedKey], done: &str) {
    for ChangedKey { key, cost } in keys {
        let words = match cost {
            Cost::Live => done.to_owned(),
            Cost::Restart | Cost::Daemon => format!("changed, waits for {}", restart_of_daemon(session)),
        };
        // What others are granted is no key of that section.
        let section = if key.starts_with('[') { "" } else { "[supervisord] " };
        session.screen.message(&format!("{section}{key}: {words}"));
    }
}

/// Returns what puts all of `[supervisord]` in force.
pub(super) fn restart_of_daemon(session: &Session) -> String {
    if session.is_particular() { "a restart of visord".to_owned() } else { session.command("daemon restart") }
}

fn row(action: GroupAction) -> (GroupAction, &'static str, i32) {
    ACTIONS.into_iter().find(|row| row.0 == action).unwrap_or((action, "has problems", exit::REFUSED))
}

/// Whether an action says that something was not done.
pub(super) fn is_failure(action: GroupAction) -> bool {
    row(action).2 != exit::OK
}

/// Tells what was done with a group; returns the exit code that follows.
pub(super) fn tell_group(screen: &Screen, result: &GroupResult) -> i32 {
    let (action, words, code) = row(result.action);
    let more = if result.text.is_empty() { String::new() } else { format!(" ({})", result.text) };
    if code == exit::OK && action != GroupAction::AlreadyActive {
        screen.data(&format!("{}: {words}{more}", result.group));
    } else {
        screen.message(&format!("ERROR: {words}: {}{more}", result.group));
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::Process;

    const STATUSES: [ResultStatus; 11] = [
        ResultStatus::Done,
        ResultStatus::AlreadyStarted,
        ResultStatus::NotRunning,
        ResultStatus::NoSuchProcess,
        ResultStatus::NoSuchGroup,
        ResultStatus::SpawnError,
        ResultStatus::AbnormalTermination,
        ResultStatus::Refused,
        ResultStatus::Failed,
        ResultStatus::TimedOut,
        ResultStatus::ShuttingDown,
    ];

    fn result(status: ResultStatus, text: &str) -> ProcessResult {
        ProcessResult { namespec: "web".into(), status, text: text.into(), process: None }
    }

    #[test]
    fn every_status_has_one_row_and_words() {
        for status in STATUSES {
            assert_eq!(REASONS.iter().filter(|row| row.0 == status).count(), 1, "{status:?}");
            assert!(status == ResultStatus::Done || !reason(&result(status, "")).is_empty());
        }
    }

    #[test]
    fn reasons_have_the_daemons_words_where_it_has_some() {
        for (status, text, expected) in [
            (ResultStatus::SpawnError, "can't find command 'x'", "spawn error: can't find command 'x'"),
            (ResultStatus::SpawnError, "spawn error", "spawn error"),
            (ResultStatus::Refused, "command at '/' is a directory", "command at '/' is a directory"),
            (ResultStatus::NotRunning, "", "not running"),
            (ResultStatus::TimedOut, "the time is over", "timed out, it goes on in the background"),
        ] {
            assert_eq!(reason(&result(status, text)), expected);
        }
    }

    #[test]
    fn the_gravest_result_decides_the_code() {
        let manner = Manner { done: "stopped", needs_running: false, json: false };
        let codes = |statuses: &[ResultStatus]| {
            code(&statuses.iter().map(|status| result(*status, "")).collect::<Vec<_>>(), manner)
        };
        use ResultStatus::{Done, NoSuchProcess, NotRunning, SpawnError};
        assert_eq!(codes(&[]), exit::OK);
        assert_eq!(codes(&[Done, NotRunning]), exit::OK);
        assert_eq!(codes(&[SpawnError, Done, NoSuchProcess]), exit::START_FAILED);
    }

    #[test]
    fn not_running_is_for_what_should_run() {
        let manner = Manner { done: "signalled", needs_running: true, json: false };
        for (wanted, expected) in [(true, exit::NOT_RUNNING), (false, exit::REFUSED)] {
            let process = Process { wanted, state: State::Stopped, ..Process::default() };
            let result = ProcessResult { process: Some(process), ..result(ResultStatus::NotRunning, "") };
            assert_eq!(code(&[result], manner), expected);
        }
    }

    #[test]
    fn every_action_has_one_row() {
        for (action, words, _) in ACTIONS {
            assert_eq!(ACTIONS.iter().filter(|other| other.0 == action).count(), 1, "{words}");
        }
    }
}
