//! Programs that ran and ended: exit codes and signals in words.
//!
//! Example: `terminated by SIGSEGV` is a crash, exit code 126 a shell that may not execute a file.

use super::{Circumstances, Finding, Words, hints, words};
use crate::api::v1::{Exit, Process};
use crate::model::State;

/// Deaths by signal.
const SIGNALS: [(&str, Words); 16] = [
    ("SIGSEGV", words("crashed", "it crashed: it used memory that it does not have (SIGSEGV)", CRASH)),
    ("SIGBUS", words("crashed", "it crashed: a file or memory that it used went away (SIGBUS)", CRASH)),
    (
        "SIGILL",
        words("crashed", "it crashed: this processor does not know one of its instructions (SIGILL)", CRASH),
    ),
    ("SIGFPE", words("crashed", "it crashed: it divided by zero, or the like (SIGFPE)", CRASH)),
    ("SIGTRAP", words("crashed", "it stopped itself at a check of its own (SIGTRAP)", CRASH)),
    ("SIGABRT", words("aborted", "it gave up by itself (SIGABRT), mostly after writing why", LOG)),
    ("SIGSYS", words("forbidden_call", "it did what its sandbox forbids (SIGSYS)", LOG)),
    (
        "SIGKILL",
        words(
            "killed",
            "it was killed with SIGKILL, and not by visord: by somebody, or by the system for lack of memory",
            "journalctl -k | grep -i 'out of memory' (or dmesg) tells; then: visorctl start {name}",
        ),
    ),
    (
        "SIGXCPU",
        words(
            "cpu_limit",
            "it used up its processor time (SIGXCPU, `ulimit -t`)",
            "raise the limit where visord is started, or ask the administrator (login nodes have such limits)",
        ),
    ),
    (
        "SIGXFSZ",
        words(
            "file_limit",
            "it wrote a file that is larger than it may be (SIGXFSZ, `ulimit -f`)",
            "raise the limit where visord is started",
        ),
    ),
    ("SIGPIPE", words("pipe", "it wrote to somebody who had gone (SIGPIPE)", LOG)),
    ("SIGTERM", words("asked_to_end", "somebody else than visord asked it to end (SIGTERM)", AGAIN)),
    ("SIGINT", words("asked_to_end", "somebody else than visord interrupted it (SIGINT)", AGAIN)),
    ("SIGQUIT", words("asked_to_end", "somebody else than visord made it quit (SIGQUIT)", AGAIN)),
    (
        "SIGHUP",
        words(
            "hangup",
            "it got SIGHUP and does not handle it: a terminal was closed, or somebody sent it",
            AGAIN,
        ),
    ),
    ("SIGALRM", words("alarm", "a timer of its own went off (SIGALRM)", LOG)),
];

const OTHER_SIGNAL: Words = words("signal", "it was {x}", AGAIN);

const CRASH: &str =
    "look at its log (visorctl logs {name}) and for a core file (`coredumpctl` where there is one)";
const LOG: &str = "look at its log: visorctl logs {name}";
const AGAIN: &str = "visorctl start {name}";

/// Exit codes that mean something by custom (sysexits.h, shells); `{x}` is the text.
const CODES: [(i32, Words); 14] = [
    (0, words("ended_early", "it ended by itself without an error ({x})", NORMAL)),
    (
        2,
        words(
            "usage",
            "it ended with exit status 2, mostly: it does not understand its arguments",
            "try it by hand: {command}",
        ),
    ),
    (
        64,
        words("usage", "it does not understand its arguments (exit status 64)", "try it by hand: {command}"),
    ),
    (65, words("bad_data", "its input is wrong (exit status 65)", LOG)),
    (66, words("file_missing", "its input is missing (exit status 66)", LOG)),
    (69, words("needs_service", "something that it needs is not there (exit status 69)", LOG)),
    (73, words("cannot_create", "it cannot make a file (exit status 73)", LOG)),
    (77, words("permission_denied", "it may not do what it wants to (exit status 77)", LOG)),
    (78, words("own_config", "its own configuration is wrong (exit status 78)", LOG)),
    (
        126,
        words(
            "no_permission",
            "a shell found a command and may not execute it (exit status 126)",
            "look at `ls -l` of the command, then: visorctl start {name}",
        ),
    ),
    (
        127,
        words(
            "command_not_found",
            "a shell did not find a command (exit status 127)",
            "write its full path in {where}, or set PATH with environment=",
        ),
    ),
    (134, words("aborted", "a program below it gave up by itself (exit status 134: SIGABRT)", LOG)),
    (
        137,
        words(
            "killed",
            "a program below it was killed (exit status 137: SIGKILL), perhaps by the system for lack of memory",
            "journalctl -k | grep -i 'out of memory' (or dmesg) tells",
        ),
    ),
    (139, words("crashed", "a program below it crashed (exit status 139: SIGSEGV)", CRASH)),
];

const NORMAL: &str = "a program that goes into the background must be kept in front (an option such as --foreground or \
                      --nodaemon); one that is to end needs startsecs=0 in {where}";

const OTHER_CODE: Words = words("failed", "it ended with {x}", LOG);

/// Explains how a run ended; what its log says is closer to the cause than a number is.
pub(super) fn of(process: &Process, exit: &Exit, circumstances: &Circumstances<'_>) -> Finding {
    let mut finding = by_log(process, exit, circumstances).unwrap_or_else(|| by_status(process, exit));
    finding.what.push_str(&lifetime(process));
    finding
}

fn by_log(process: &Process, exit: &Exit, circumstances: &Circumstances<'_>) -> Option<Finding> {
    if exit.code <= 0 && signal(exit) != Some("SIGABRT") {
        return None;
    }
    let (words, line) = hints::find([circumstances.stderr, circumstances.stdout])?;
    let found = words.about(process, line);
    Some(Finding { what: format!("{} ({})", found.what, exit.text), ..found })
}

fn by_status(process: &Process, exit: &Exit) -> Finding {
    let words = match signal(exit) {
        Some(name) => SIGNALS.iter().find(|row| row.0 == name).map_or(&OTHER_SIGNAL, |row| &row.1),
        None => CODES.iter().find(|row| row.0 == exit.code).map_or(&OTHER_CODE, |row| &row.1),
    };
    words.about(process, &exit.text)
}

/// Returns the signal of `terminated by SIGKILL (core dumped)`.
fn signal(exit: &Exit) -> Option<&str> {
    exit.text.strip_prefix("terminated by ")?.split(' ').next()
}

/// Tells how long it lived, where that is why its start failed.
fn lifetime(process: &Process) -> String {
    let seconds = process.stopped_unix - process.started_unix;
    let is_early = matches!(process.state, State::Backoff | State::Fatal);
    if !is_early || process.started_unix <= 0.0 || !(0.0..3600.0).contains(&seconds) {
        return String::new();
    }
    let when = if seconds < 0.1 { "at once".to_owned() } else { format!("{seconds:.1} s after its start") };
    format!(", {when}: too early to count as running (startsecs)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExitStatus, Signal};

    #[test]
    fn signals_are_those_of_this_platform_as_the_daemon_tells_them() {
        for (name, _) in SIGNALS {
            let signal_number = Signal::by_name(name);
            let status = signal_number.map(|signal| ExitStatus::Signaled { signal, core: true }.to_string());
            let exit = Exit { text: status.unwrap_or_default(), code: -1 };
            assert_eq!(signal(&exit), Some(name));
        }
    }

    #[test]
    fn codes_are_listed_once() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
