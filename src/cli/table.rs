//! The list of processes, in supervisorctl's columns.
//!
//! Example: a name padded to 30 and three more, a state padded to 10, a description. On a terminal states have
//! colours, and what supervisorctl has no words for is added.

use super::explain;
use super::output::{Colour, Screen};
use crate::api::v1::Process;
use crate::model::State;

/// Least width of the column of names (supervisor 4.3 supervisorctl.py).
const NAME_WIDTH_MIN: usize = 30;
/// Blanks behind the longest name.
const NAME_GAP: usize = 3;
/// Width of the column of states.
const STATE_WIDTH: usize = 10;

/// Returns the lines of a list.
#[must_use]
pub(super) fn lines(processes: &[Process], screen: &Screen) -> String {
    let names: Vec<_> = processes.iter().map(|process| screen.line(&process.namespec)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let width = longest.max(NAME_WIDTH_MIN) + NAME_GAP;
    let mut text = String::with_capacity(processes.len() * (width + 50));
    for (process, name) in processes.iter().zip(names) {
        pad(&mut text, &name, width);
        let state = process.state.name();
        screen.paint(colour(process), state, &mut text);
        pad(&mut text, "", STATE_WIDTH.saturating_sub(state.len()));
        text.push_str(&screen.line(&process.description));
        if process.disabled_since_unix.is_some() {
            text.push_str(if process.description.is_empty() { "disabled" } else { ", disabled" });
        }
        if process.start_refused.starts_with(explain::CONDITION) {
            text.push_str(&format!(", {}", screen.line(&process.start_refused)));
        }
        if screen.data_on_terminal {
            text.push_str(&remarks(process));
        }
        text.push('\n');
    }
    text
}

fn pad(text: &mut String, word: &str, width: usize) {
    text.push_str(word);
    text.extend(std::iter::repeat_n(' ', width.saturating_sub(word.chars().count())));
}

fn colour(process: &Process) -> Option<Colour> {
    match process.state {
        State::Running => Some(Colour::Green),
        State::Starting | State::Stopping | State::Backoff => Some(Colour::Yellow),
        State::Fatal | State::Unknown => Some(Colour::Red),
        State::Exited if !is_as_meant(process) => Some(Colour::Red),
        State::Stopped | State::Exited => Some(Colour::Dim),
    }
}

fn remarks(process: &Process) -> String {
    let mut remarks = String::new();
    let seconds = process.retry_in_ms.map(|wait| format!(" in {} s", wait.div_ceil(1000)));
    match (process.waiting.as_str(), seconds.unwrap_or_default()) {
        ("descriptors", seconds) => {
            remarks.push_str(&format!(", waits for free descriptors, tried{seconds}"))
        }
        ("processes", seconds) => remarks.push_str(&format!(", waits for the process limit, tried{seconds}")),
        ("restart", seconds) => remarks.push_str(&format!(", starts again{seconds}")),
        ("turn", _) => remarks.push_str(", waits for its turn"),
        (_, seconds) if process.state == State::Backoff && !seconds.is_empty() => {
            remarks.push_str(&format!(", next attempt{seconds}"));
        }
        _ => {}
    }
    if process.flapping {
        remarks.push_str(", flapping");
    }
    match process.left_overs {
        0 => {}
        1 => remarks.push_str(", 1 process left"),
        count => remarks.push_str(&format!(", {count} processes left")),
    }
    remarks
}

/// Whether a process should be up: it is wanted, and not through with its work.
#[must_use]
pub(super) fn should_run(process: &Process) -> bool {
    process.wanted && !(process.state == State::Exited && process.expected == Some(true))
}

/// Whether a process is where it is meant to be: up, on its way, not wanted, or through with its work.
#[must_use]
pub(super) fn is_as_meant(process: &Process) -> bool {
    match process.state {
        State::Running | State::Starting | State::Stopping => true,
        State::Exited | State::Stopped => !should_run(process),
        State::Backoff | State::Fatal | State::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(namespec: &str, state: State, description: &str) -> Process {
        let (namespec, description) = (namespec.to_owned(), description.to_owned());
        Process { namespec, state, description, ..Process::default() }
    }

    const FILE: Screen = Screen { data_on_terminal: false, messages_on_terminal: false, colour: true };
    const TERMINAL: Screen = Screen { data_on_terminal: true, messages_on_terminal: true, colour: true };

    #[test]
    fn columns_are_supervisorctls() {
        let list =
            [process("web", State::Running, "pid 1, uptime 0:00:02"), process("g:p", State::Starting, "")];
        assert_eq!(
            lines(&list, &FILE),
            format!(
                "web{}RUNNING   pid 1, uptime 0:00:02\ng:p{}STARTING  \n",
                " ".repeat(30),
                " ".repeat(30)
            )
        );
        let long = "x".repeat(40);
        let list = [process(&long, State::Fatal, "d"), process("ö", State::Stopped, "Not started")];
        assert_eq!(
            lines(&list, &FILE),
            format!("{long}   FATAL     d\nö{}STOPPED   Not started\n", " ".repeat(42))
        );
    }

    #[test]
    fn a_terminal_gets_colours_and_remarks_and_nothing_raw() {
        let mut failing = process("a", State::Backoff, "can't find command '\x1b[2J'");
        (failing.retry_in_ms, failing.left_overs) = (Some(1500), 3);
        let shown = lines(&[failing], &TERMINAL);
        assert!(shown.contains("\x1b[33mBACKOFF\x1b[0m   can't find command '\\x1b[2J'"), "{shown:?}");
        assert!(shown.ends_with(", next attempt in 2 s, 3 processes left\n"), "{shown:?}");
    }

    #[test]
    fn what_is_disabled_is_told_everywhere() {
        let disabled =
            Process { disabled_since_unix: Some(1), ..process("a", State::Stopped, "Not started") };
        assert!(lines(&[disabled], &FILE).ends_with("STOPPED   Not started, disabled\n"));
        let disabled = Process { disabled_since_unix: Some(1), ..process("a", State::Starting, "") };
        assert!(lines(&[disabled], &FILE).ends_with("STARTING  disabled\n"));
    }

    #[test]
    fn what_a_program_waits_for_and_that_it_flaps_is_remarked() {
        let mut process = process("a", State::Backoff, "");
        process.retry_in_ms = Some(1500);
        for (waiting, expected) in [
            ("attempt", ", next attempt in 2 s"),
            ("descriptors", ", waits for free descriptors, tried in 2 s"),
            ("processes", ", waits for the process limit, tried in 2 s"),
            ("restart", ", starts again in 2 s"),
            ("turn", ", waits for its turn"),
        ] {
            process.waiting = waiting.into();
            assert_eq!(remarks(&process), expected);
        }
        (process.waiting, process.state, process.flapping) = (String::new(), State::Running, true);
        assert_eq!(remarks(&process), ", flapping");
    }

    #[test]
    fn only_what_should_run_and_does_not_is_wrong() {
        for (state, wanted, expected, as_meant) in [
            (State::Running, true, None, true),
            (State::Starting, true, None, true),
            (State::Stopping, false, None, true),
            (State::Stopped, false, None, true),
            (State::Stopped, true, None, false),
            (State::Exited, true, Some(true), true),
            (State::Exited, true, Some(false), false),
            (State::Exited, false, Some(false), true),
            (State::Backoff, true, None, false),
            (State::Fatal, true, None, false),
            (State::Unknown, true, None, false),
        ] {
            let process = Process { wanted, expected, ..process("a", state, "") };
            assert_eq!(is_as_meant(&process), as_meant, "{state:?} {wanted} {expected:?}");
        }
    }
}
