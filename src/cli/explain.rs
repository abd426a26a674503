//! `why`: a state in plain words: what happened, why, and what to do next.
//!
//! Pure: a process as the daemon shows it and the ends of its logs go in, words come out; each kind of failure is a
//! row of a table in [`causes`], [`ends`] or [`hints`]. Example: a FATAL process whose `spawn_error` is
//! `can't find command 'serve'` is explained as the kind `command_not_found`.

mod causes;
mod ends;
mod hints;

use crate::api::describe;
use crate::api::v1::Process;
use crate::model::State;
use crate::sys::identity;
use jiff::tz::TimeZone;

/// What is known besides the process itself.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The end of its standard output.
    pub stdout: &'a str,
    /// The end of its standard error.
    pub stderr: &'a str,
    /// The user who asks.
    pub uid: u32,
    /// For times of the day.
    pub zone: TimeZone,
}

/// Why something is as it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A name for programs: `command_not_found`.
    pub kind: &'static str,
    /// What happened; a sentence without its full stop.
    pub what: String,
    /// What to do; empty where nothing needs to be done.
    pub next: String,
}

/// A state in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Name and state: `web does not run: it was given up`.
    pub headline: String,
    /// The cause.
    pub finding: Finding,
}

/// A row of a table: when it applies stands in front of it; `{x}`, `{name}`, `{where}`, `{command}` and `{directory}`
/// are filled in.
struct Words {
    kind: &'static str,
    what: &'static str,
    next: &'static str,
}

const fn words(kind: &'static str, what: &'static str, next: &'static str) -> Words {
    Words { kind, what, next }
}

impl Words {
    fn about(&self, process: &Process, x: &str) -> Finding {
        Finding { kind: self.kind, what: fill(self.what, process, x), next: fill(self.next, process, x) }
    }
}

fn fill(template: &str, process: &Process, x: &str) -> String {
    let place = match (process.config_file.as_str(), process.config_line) {
        ("", _) => "its configuration".to_owned(),
        (file, 0) => file.to_owned(),
        (file, line) => format!("{file}:{line}"),
    };
    let directory = process.directory.as_deref().unwrap_or("its directory");
    let values = [
        ("{name}", process.namespec.as_str()),
        ("{where}", &place),
        ("{command}", &process.command),
        ("{directory}", directory),
        ("{x}", x),
    ];
    // In one pass: texts of others may have such marks in them.
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (mark, value) = values.iter().find(|(mark, _)| rest.starts_with(mark)).unwrap_or(&("{", "{"));
        text.push_str(value);
        rest = &rest[mark.len()..];
    }
    text + rest
}

/// Explains a process.
#[must_use]
pub fn explain(process: &Process, circumstances: &Circumstances<'_>) -> Explanation {
    let headline = format!("{} {}", process.namespec, headline(process, circumstances));
    Explanation { headline, finding: finding(process, circumstances) }
}

fn headline(process: &Process, circumstances: &Circumstances<'_>) -> String {
    let at = || describe::stop_time(process.stopped_unix as i64, &circumstances.zone);
    match process.state {
        State::Running => format!("runs ({})", process.description),
        State::Starting => format!("is starting (pid {})", process.pid),
        State::Stopping => format!("is being stopped (pid {})", process.pid),
        State::Backoff => format!("does not run yet: {}{}", failed(process), next_attempt(process)),
        State::Stopped | State::Exited | State::Fatal if process.start_refused.starts_with(CONDITION) => {
            "does not run: it is not meant to run here now".to_owned()
        }
        State::Stopped | State::Exited | State::Fatal if !process.start_refused.is_empty() => {
            "does not run: it could not be started".to_owned()
        }
        State::Fatal => "does not run: it was given up (FATAL)".to_owned(),
        State::Stopped if process.started_unix == 0.0 && process.stopped_unix == 0.0 => {
            "does not run: it was not started yet".to_owned()
        }
        State::Stopped if process.stopped_unix == 0.0 => "does not run: it was stopped".to_owned(),
        State::Stopped => format!("does not run: it was stopped at {}", at()),
        State::Exited => format!("does not run: it ended at {}", at()),
        State::Unknown => "is in an unknown state: a signal could not be sent to it".to_owned(),
    }
}

fn failed(process: &Process) -> String {
    match process.attempts {
        0 | 1 => "a start failed".to_owned(),
        count => format!("{count} starts failed"),
    }
}

fn next_attempt(process: &Process) -> String {
    process
        .retry_in_ms
        .map_or(String::new(), |wait| format!(", the next attempt is in {} s", wait.div_ceil(1000)))
}

fn finding(process: &Process, circumstances: &Circumstances<'_>) -> Finding {
    if let Some(why) = &process.refused {
        return REFUSED.about(process, why);
    }
    if let Some(finding) = again(process, circumstances) {
        return finding;
    }
    match process.state {
        State::Stopped | State::Exited | State::Fatal if !process.start_refused.is_empty() => {
            causes::of_refusal(process)
        }
        State::Running => running(process),
        State::Starting => STARTING.about(process, ""),
        State::Stopping => STOPPING.about(process, &who(process, circumstances.uid)),
        State::Unknown => UNKNOWN.about(process, ""),
        State::Stopped => stopped(process, circumstances),
        State::Exited if process.expected == Some(true) => {
            ended_well(process, process.exit.as_ref().map_or("exit status 0", |exit| &exit.text))
        }
        State::Backoff | State::Fatal | State::Exited => failure(process, circumstances),
    }
}

/// Explains a start that failed, or an end that was not expected.
fn failure(process: &Process, circumstances: &Circumstances<'_>) -> Finding {
    let by_stage = || process.failed_stage.as_ref().and_then(|failed| causes::of_stage(process, failed));
    let by_spawn = || causes::of_spawn_error(process);
    let by_end = || process.exit.as_ref().map(|exit| ends::of(process, exit, circumstances));
    by_stage()
        .or_else(by_spawn)
        .or_else(by_end)
        .unwrap_or_else(|| UNEXPLAINED.about(process, untold(&process.spawn_error)))
}

fn untold(spawn_error: &str) -> &str {
    if spawn_error.is_empty() { "no error was told" } else { spawn_error }
}

/// Explains a program that is up again after it ended by itself not long ago: nobody who asks then asks why it runs.
fn again(process: &Process, circumstances: &Circumstances<'_>) -> Option<Finding> {
    let is_recent = match process.state {
        State::Running => process.uptime_ms.is_some_and(|uptime| uptime < RECENT_MS),
        State::Starting => true,
        _ => false,
    };
    let exit = process.previous_exit.as_ref().filter(|_| is_recent)?;
    let end = ends::of(process, exit, circumstances);
    let times = match process.restarts {
        0 | 1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let at = describe::stop_time(process.stopped_unix as i64, &circumstances.zone);
    let finding = RESTARTED.about(process, &times);
    // It is up: to start it is the one thing that is not to be done.
    let next = end.next.strip_suffix(&format!("visorctl start {}", process.namespec)).unwrap_or(&end.next);
    let next = next.strip_suffix("then: ").unwrap_or(next).trim_end_matches([';', ',', ' ']);
    Some(Finding {
        what: format!("{}; it last ended at {at}: {}", finding.what, end.what),
        next: next.to_owned(),
        ..finding
    })
}

fn running(process: &Process) -> Finding {
    match process.left_overs {
        0 => RUNNING.about(process, ""),
        count => LEFT_OVERS.about(process, &count.to_string()),
    }
}

fn stopped(process: &Process, circumstances: &Circumstances<'_>) -> Finding {
    if process.started_unix > 0.0 || process.stopped_unix > 0.0 {
        let stopped = STOPPED.about(process, &who(process, circumstances.uid));
        // What it was stopped in the middle of is why it never ran.
        return match causes::of_spawn_error(process) {
            Some(cause) => {
                Finding { what: format!("{}, and before that {}", stopped.what, cause.what), ..cause }
            }
            None => stopped,
        };
    }
    if let Some(since) = process.disabled_since_unix {
        let at = describe::stop_time(since.cast_signed(), &circumstances.zone);
        return DISABLED.about(process, &at);
    }
    if process.autostart { NOT_STARTED.about(process, "") } else { MANUAL.about(process, "") }
}

fn ended_well(process: &Process, text: &str) -> Finding {
    ENDED.about(process, text)
}

/// Returns who caused the last change.
#[must_use]
pub fn who(process: &Process, uid: u32) -> String {
    who_is(&process.actor, uid)
}

/// Returns whom the API's word for who caused something means.
#[must_use]
pub fn who_is(actor: &str, uid: u32) -> String {
    match actor.split_once(':') {
        Some(("client", user)) if user == uid.to_string() => "you".to_owned(),
        Some(("client", "0")) => "root".to_owned(),
        Some(("client", user)) => {
            let uid = user.parse().unwrap_or(u32::MAX);
            identity::in_words(identity::name_of(uid).as_deref(), uid)
        }
        Some(("signal", name)) => format!("SIG{name}, which was sent to visord"),
        _ if actor == "program" => "the program itself".to_owned(),
        _ => "visord, as its configuration asks".to_owned(),
    }
}

/// How long after a restart in milliseconds a program that runs is still asked about because of it.
const RECENT_MS: u64 = 10 * 60 * 1000;

/// How the words about a condition that does not hold begin: with its key.
pub(super) const CONDITION: &str = "condition_";

const RESTARTED: Words = words("restarted", "it was started again {x}", "");
const REFUSED: Words =
    words("refused", "its configuration forbids to run it: {x}", "change {where}, then: visorctl update");
const RUNNING: Words = words("running", "all is well", "");
const LEFT_OVERS: Words = words(
    "left_overs",
    "it runs, and {x} processes of an earlier run are still there",
    "visorctl restart {name} cleans them up",
);
const STARTING: Words = words(
    "starting",
    "it was started, and counts as running once it has stayed up for startsecs",
    "visorctl wait {name} --ready",
);
const STOPPING: Words = words(
    "stopping",
    "it was asked to end by {x}, and has not ended yet; after stopwaitsecs it is killed",
    "visorctl wait {name} --stopped",
);
const STOPPED: Words = words("stopped", "it was stopped by {x}", "visorctl start {name}");
const MANUAL: Words = words(
    "not_started",
    "it does not start by itself (autostart=false)",
    "visorctl start {name}, or autostart=true in {where}",
);
const DISABLED: Words = words(
    "disabled",
    "it was disabled on this host at {x}, so it does not start by itself",
    "visorctl enable --now {name}",
);
const NOT_STARTED: Words =
    words("not_started", "nobody has started it since visord runs", "visorctl start {name}");
const ENDED: Words = words(
    "ended",
    "it ended by itself ({x}), which is expected, so it is not restarted",
    "visorctl start {name} runs it again; autorestart=true in {where} would do so each time",
);
const UNKNOWN: Words = words(
    "unknown",
    "the system did not let visord send a signal to it, so whether it still runs is not known",
    "look at `ps`, end it by hand, then: visorctl start {name}",
);
const UNEXPLAINED: Words =
    words("unexplained", "visord does not know why: {x}", "look at the log: visorctl logs {name}");

#[cfg(test)]
mod tests;
