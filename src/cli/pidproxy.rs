//! `pidproxy PIDFILE COMMAND [ARGUMENT...]`: stands for a program that puts itself into the background
//! (supervisor 4.3 pidproxy.py).
//!
//! It runs the command, and signals that it gets go to the process whose number is in the file at that moment.
//! Example: `command=/usr/bin/pidproxy /run/x.pid /usr/sbin/x --daemon`.

use super::{exit, output};
use crate::model::{Pid, Signal};
use crate::sys::process;
use crate::sys::signals::SignalPipe;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

/// The name that asks for it.
pub const NAME: &str = "pidproxy";

/// The code of a command that could not be run, as of a shell.
const NOT_RUN: i32 = 127;

/// More bytes than a pid file has.
const PID_BYTES_MAX: u64 = 64;

/// Signals after which upstream ends at once, without a look at the command.
const LAST: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// Signals that are passed on besides those.
const OTHERS: [Signal; 3] = [Signal::HUP, Signal::USR1, Signal::USR2];

/// Runs pidproxy and returns its exit code; `words` begin with the program as it was called.
#[must_use]
pub fn main(words: &[String]) -> i32 {
    let [_, pidfile, command, arguments @ ..] = words else {
        let program = words.first().map_or(NAME, String::as_str);
        output::data(&format!(
            "{NAME} -- run a command and pass signals on to the process of a pid file.\n\n\
             Usage: {program} PIDFILE COMMAND [ARGUMENT...]"
        ));
        return exit::REFUSED;
    };
    match run(Path::new(pidfile), command, arguments) {
        Ok(code) => code,
        Err(error) => {
            output::message(&format!("{NAME}: cannot run {command}: {error}"));
            NOT_RUN
        }
    }
}

fn run(pidfile: &Path, command: &str, arguments: &[String]) -> io::Result<i32> {
    let caught: Vec<Signal> = LAST.into_iter().chain(OTHERS).chain([Signal::CHLD]).collect();
    let signals = SignalPipe::catch(&caught)?;
    // A relative command is meant from here; it is not looked for in PATH.
    let absolute = std::path::absolute(command)?;
    let mut child = Command::new(absolute).arg0(command).args(arguments).spawn()?;
    loop {
        let mut came = Vec::new();
        signals.drain(|signal| came.push(signal));
        for signal in came {
            if signal != Signal::CHLD
                && let Some(code) = pass_on(pidfile, signal)
            {
                return Ok(code);
            }
        }
        if has_ended(&mut child)? {
            return Ok(exit::OK);
        }
        let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        // Whatever ends the waiting, the signals are looked at again.
        let _woken = poll(&mut fds, PollTimeout::NONE);
    }
}

fn has_ended(child: &mut Child) -> io::Result<bool> {
    child.try_wait().map(|status| status.is_some())
}

/// Passes a signal on; returns the exit code where that is the end.
fn pass_on(pidfile: &Path, signal: Signal) -> Option<i32> {
    let Some(pid) = read(pidfile) else {
        output::data(&format!("Can't read child pidfile {}!", pidfile.display()));
        return None;
    };
    if let Err(error) = process::kill(pid, signal) {
        output::message(&format!("{NAME}: cannot send {signal} to process {}: {error}", pid.0));
        return Some(exit::REFUSED);
    }
    LAST.contains(&signal).then_some(exit::OK)
}

/// Reads a number that stands for one program: 0 and what is negative stand for many, and 1 is none.
fn read(pidfile: &Path) -> Option<Pid> {
    let mut text = String::new();
    File::open(pidfile).ok()?.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1).map(Pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_names_one_process() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("pid");
        for (text, pid) in [
            ("42\n", Some(Pid(42))),
            (" 42 ", Some(Pid(42))),
            ("0", None),
            ("1", None),
            ("-1", None),
            ("42 43", None),
            ("", None),
        ] {
            std::fs::write(&file, text)?;
            assert_eq!(read(&file), pid, "{text:?}");
        }
        assert_eq!(read(Path::new("/no/such/file")), None);
        Ok(())
    }
}
