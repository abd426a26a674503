//! Asking another program a question that must not take long.
//!
//! Example: `ask(Command::new("launchctl").arg("managername"))` is what it said and its exit code, or nothing.

use crate::sys::memfile;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long an answer may take that normally takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(2);

/// Pause between two looks at a program that still runs, in milliseconds.
const PAUSE_MS: u8 = 5;

/// Most bytes of an answer that are read; a few lines are expected.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// What a program said, on either channel, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) success: bool,
}

/// Runs a program to its end, in plain English; nothing where it cannot be run or does not end in time.
pub(super) fn ask(command: &mut Command) -> Option<Answer> {
    let mut said = memfile::create(c"visorctl-answer").ok()?;
    command.stdin(Stdio::null()).stdout(said.try_clone().ok()?).stderr(said.try_clone().ok()?);
    let mut child = command.env("LC_ALL", "C").spawn().ok()?;
    let due = Instant::now() + DEADLINE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < due => {
                let _ = nix::poll::poll(&mut [], PAUSE_MS);
            }
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let mut bytes = Vec::new();
    said.rewind().ok()?;
    said.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(Answer { text: String::from_utf8_lossy(&bytes).into_owned(), success: status.success() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_on_both_channels_comes_back_with_the_end() {
        let answer = ask(Command::new("/bin/sh").args(["-c", "echo a; echo b >&2; exit 1"]));
        assert_eq!(answer, Some(Answer { text: "a\nb\n".into(), success: false }));
        assert_eq!(ask(&mut Command::new("/no/such/program")), None);
    }

    #[test]
    fn one_that_hangs_is_not_waited_for() {
        let since = Instant::now();
        assert_eq!(ask(Command::new("/bin/sh").args(["-c", "exec sleep 600"])), None);
        assert!(since.elapsed() >= DEADLINE);
    }

    #[test]
    fn a_long_answer_is_cut() {
        let script = format!("head -c {} /dev/zero", ANSWER_BYTES_MAX + 1);
        let answer = ask(Command::new("/bin/sh").args(["-c", &script]));
        assert_eq!(answer.map(|answer| answer.text.len() as u64), Some(ANSWER_BYTES_MAX));
    }
}
