//! A command whose exit code is an answer: run by a shell, and ended with all it started when it takes too long.
//!
//! For the disk worker and clients; must not be called by the reactor, which never waits. Example:
//! `run("mountpoint -q /data", None, &variables, Duration::from_secs(5))` is `Ok` where it is mounted.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs the line in a shell of its own and writes its exit code. The code does not come by wait(2): the daemon's
/// reactor ignores SIGCHLD, so that nothing is left to wait for.
const SCRIPT: &str = "/bin/sh -c \"$1\" </dev/null >/dev/null 2>&1; printf %s $?";

/// Exit codes from here on are signals, as shells tell them.
const SIGNALS: i32 = 128;

/// Runs a line in `/bin/sh` with these variables, without input and output.
///
/// # Errors
/// In words that follow what was asked: how it ended instead of well, or that it did not.
pub fn run(
    line: &str,
    directory: Option<&Path>,
    variables: &[(OsString, OsString)],
    time: Duration,
) -> Result<(), String> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "sh", line]).env_clear();
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.current_dir(directory.unwrap_or(Path::new("/"))).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("it cannot be run: {error}"))?;
    let told = read_to_end(&mut child, Instant::now() + time);
    if told.is_none()
        && let Ok(group) = i32::try_from(child.id())
    {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.wait();
    match told.as_deref().map(str::parse::<i32>) {
        Some(Ok(0)) => Ok(()),
        Some(Ok(code)) if code > SIGNALS => Err(format!("it was ended by signal {}", code - SIGNALS)),
        Some(Ok(code)) => Err(format!("it ended with exit status {code}")),
        Some(Err(_)) => Err("it was ended before it had an answer".to_owned()),
        None => Err(format!("it took longer than {} s and was killed", time.as_secs_f32())),
    }
}

/// Reads what the script writes; nothing where its end does not come in time.
fn read_to_end(child: &mut Child, due: Instant) -> Option<String> {
    let mut pipe = child.stdout.take()?;
    let (mut text, mut buffer) = (Vec::new(), [0; 16]);
    loop {
        let rest = due.checked_duration_since(Instant::now())?;
        let timeout = PollTimeout::try_from(rest.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut fds, timeout), Ok(1..)) {
            continue;
        }
        match pipe.read(&mut buffer) {
            Ok(0) | Err(_) => return Some(String::from_utf8_lossy(&text).into_owned()),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_answer() {
        let long = Duration::from_secs(30);
        let variables = [("A".into(), "b c".into()), ("PATH".into(), "/usr/bin:/bin".into())];
        let ask = |line: &str| run(line, Some(Path::new("/usr")), &variables, long);
        assert_eq!(ask("test \"$A\" = 'b c' && test -d bin"), Ok(()));
        assert_eq!(ask("exit 7"), Err("it ended with exit status 7".to_owned()));
        assert_eq!(ask("kill -9 $$"), Err("it was ended by signal 9".to_owned()));
        assert!(
            run("true", Some(Path::new("/no/such")), &[], long)
                .is_err_and(|why| why.contains("cannot be run"))
        );
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_it_started() {
        let variables = [("PATH".into(), "/usr/bin:/bin".into())];
        let since = Instant::now();
        let told = run("sleep 1000 & sleep 1000", None, &variables, Duration::from_millis(50));
        assert!(told.is_err_and(|why| why.contains("took longer than 0.05 s")));
        assert!(since.elapsed() < Duration::from_secs(30));
    }
}
