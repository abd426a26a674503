//! The PATH that a login of the user has: a program that was typed in a shell with more needs that written down.
//!
//! Start-up files of shells may print, ask or hang, so there is a mark and a deadline. Example: with conda active in
//! the caller's shell only, [`login_path`] differs from `$PATH`.

use crate::client::Wait;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest wait for the shell.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Most bytes that the shell may print before its answer is given up.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Stands before and behind the answer.
const MARK: &str = "__visor_path__";

/// Variables that a login begins with.
const KEPT: [&str; 4] = ["HOME", "USER", "LOGNAME", "LANG"];

/// Returns the PATH of a login with `shell`, or nothing when the shell does not tell in time.
#[must_use]
pub(super) fn login_path(shell: &Path) -> Option<String> {
    let kept = KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(shell)
        .args(["-l", "-c", &format!("printf '%s%s%s' {MARK} \"$PATH\" {MARK}")])
        .env_clear()
        .envs(kept)
        .env("SHELL", shell)
        .env("TERM", "dumb")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let since = Instant::now();
    let mut answer = Vec::new();
    let told = child.stdout.take().and_then(|mut output| {
        let mut wait = Wait { timeout: Some(TIMEOUT), ..Wait::default() };
        let mut buffer = [0; 4096];
        while find(&answer).is_none() && answer.len() < ANSWER_BYTES_MAX {
            wait.readable(&output, since).ok()?;
            match output.read(&mut buffer) {
                Ok(count @ 1..) => answer.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        find(&answer)
    });
    // A shell that has answered ends by itself; one that hangs is ended.
    if told.is_none() {
        drop(child.kill());
    }
    drop(child.wait());
    told
}

fn find(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let (_, rest) = text.split_once(MARK)?;
    Some(rest.split_once(MARK)?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_found_among_what_start_up_files_print() {
        assert_eq!(find(b"Welcome!\n__visor_path__/a:/b__visor_path__").as_deref(), Some("/a:/b"));
        assert_eq!(find(b"__visor_path__/a:/b"), None);
    }

    #[test]
    fn a_shell_tells_and_what_is_none_does_not() {
        assert!(login_path(Path::new("/bin/sh")).is_some_and(|path| path.contains("/bin")));
        assert_eq!(login_path(Path::new("/bin/true")), None);
        assert_eq!(login_path(Path::new("/no/such/shell")), None);
    }
}
