//! The environment that a login gives: what a person's programs expect, whoever started the daemon and from where.
//!
//! The login shell runs once and prints its variables between two marks, in a session of its own. Files of its own
//! (`.profile`, `.zprofile`) may print, hang or fail: it has a deadline, and then a plain environment is used. Knows
//! no programs. Example: `environment(&Ambient::real(), DEADLINE).variables`.

use super::ambient::Ambient;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid, User};
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a login may take: longer than a slow prompt or a version manager, shorter than anybody waits.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// Most bytes that a login may print; an environment has its limit in execve(2), and greetings are short.
pub const OUTPUT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// The search path of a login without any file of its own.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Tells files of the login shell that nobody is there to look.
const MARK_VARIABLE: &str = "VISOR_LOGIN";

/// Variables that belong to the shell that printed them.
const OF_THE_SHELL: [&str; 6] = ["_", "SHLVL", "PWD", "OLDPWD", "TERM", MARK_VARIABLE];

/// Variables of the caller that a login would have got from elsewhere (PAM, ssh): language and time zone.
const KEPT: [&str; 4] = ["LANG", "LANGUAGE", "LC_ALL", "TZ"];

/// An environment, and what was wrong with the way to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Names and values.
    pub variables: Vec<(OsString, OsString)>,
    /// Why it is not the login shell's.
    pub trouble: Option<String>,
}

/// Returns the environment of a login of this user; a plain one where the login shell does not give one in time.
#[must_use]
pub fn environment(ambient: &Ambient, deadline: Duration) -> Login {
    let account = User::from_uid(Uid::from_raw(ambient.uid)).ok().flatten();
    let shell = account.as_ref().map(|account| account.shell.clone()).filter(|shell| shell.is_absolute());
    let shell = shell.unwrap_or_else(|| "/bin/sh".into());
    let base = base(ambient, account.as_ref(), &shell);
    match capture(&shell, &base, deadline) {
        Ok(variables) => Login { variables, trouble: None },
        Err(why) => {
            let trouble = format!("the login shell {} gave no environment: {why}", shell.display());
            Login { variables: base, trouble: Some(trouble) }
        }
    }
}

/// What login(1) sets before the shell runs.
fn base(ambient: &Ambient, account: Option<&User>, shell: &Path) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = vec![("PATH".into(), PATH.into())];
    let mut set = |name: &str, value: OsString| variables.push((name.into(), value));
    set("SHELL", shell.into());
    if let Some(home) = ambient.home() {
        set("HOME", home.into());
    }
    if let Some(account) = account {
        set("USER", account.name.clone().into());
        set("LOGNAME", account.name.clone().into());
    }
    for name in KEPT {
        if let Some(value) = ambient.get(name) {
            set(name, value.to_owned());
        }
    }
    let session = ambient.run_user().join(ambient.name_uid.to_string());
    if std::fs::metadata(&session).is_ok_and(|found| found.is_dir()) {
        set("XDG_RUNTIME_DIR", session.into());
    }
    variables
}

/// Runs a login shell with the variables `base`, and returns those that it has when its own files have run.
///
/// # Errors
/// In words: it cannot be run, did not finish in time, printed too much, or printed no environment.
pub fn capture(
    shell: &Path,
    base: &[(OsString, OsString)],
    deadline: Duration,
) -> Result<Vec<(OsString, OsString)>, String> {
    let marks = Marks::new();
    let mut child = start(shell, base, &marks).map_err(|error| format!("cannot run it: {error}"))?;
    let output = read_until_mark(&mut child, &marks, Instant::now() + deadline);
    end(&mut child, output.is_ok());
    parse(&output?, &marks).ok_or_else(|| "its output has no environment in it".to_owned())
}

/// What stands before and behind the environment; nobody can know it before.
struct Marks {
    begin: String,
    end: String,
}

impl Marks {
    fn new() -> Marks {
        let secret = RandomState::new().hash_one(std::process::id());
        Marks { begin: format!("visor-begin-{secret:016x}"), end: format!("visor-end-{secret:016x}") }
    }

    /// The commands, which hold the marks only in halves: a shell that prints its commands prints no mark.
    fn script(&self) -> String {
        let print = |mark: &str| {
            let (one, two) = mark.split_at(mark.len() / 2);
            format!("printf %s%s {one} {two}")
        };
        format!("{}; /usr/bin/env -0; {}", print(&self.begin), print(&self.end))
    }
}

fn start(shell: &Path, base: &[(OsString, OsString)], marks: &Marks) -> io::Result<Child> {
    let mut login_name = OsString::from("-");
    login_name.push(shell.file_name().unwrap_or(OsStr::new("sh")));
    let mut command = Command::new(shell);
    // A dash before the name makes a login shell of every shell; options do so only of some.
    command.arg0(login_name).arg("-c").arg(marks.script());
    command.env_clear().envs(base.iter().map(|(name, value)| (name, value)));
    command.env("TERM", "dumb").env(MARK_VARIABLE, "1");
    let home = base.iter().find(|(name, _)| name == "HOME").map(|(_, home)| PathBuf::from(home));
    command.current_dir(home.filter(|home| home.is_dir()).unwrap_or_else(|| "/".into()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // SAFETY: between fork and exec only setsid is called, which is async-signal-safe.
    unsafe { command.pre_exec(new_session) };
    command.spawn()
}

/// Leaves the terminal, so that no question can be asked there, and makes the process the head of a group.
fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// Reads until the end mark has come; what holds the pipe open longer is not waited for.
fn read_until_mark(child: &mut Child, marks: &Marks, due: Instant) -> Result<Vec<u8>, String> {
    let Some(pipe) = &mut child.stdout else { return Err("it has no output".to_owned()) };
    let mut output = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let rest = due.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err("it did not finish in time (does a file of it wait for something?)".to_owned());
        }
        let timeout = PollTimeout::try_from(rest.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(errno.to_string()),
        }
        match pipe.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => return Ok(output),
            count => output.extend_from_slice(&buffer[..count]),
        }
        // The mark may lie across two reads; before it lies at most one read.
        let fresh = output.len().saturating_sub(buffer.len() + marks.end.len());
        if find(&output[fresh..], marks.end.as_bytes()).is_some() {
            return Ok(output);
        }
        if output.len() > OUTPUT_MAX_BYTES {
            return Err(format!("it printed more than {OUTPUT_MAX_BYTES} bytes"));
        }
    }
}

/// Ends the shell. Agents that it started in the background live on where it did its work.
fn end(child: &mut Child, finished: bool) {
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    drop(child.stdout.take());
    if !finished && let Ok(group) = group {
        let _ = killpg(group, Signal::SIGKILL);
    }
    // It may still run what it does at its end: that is not waited for, and nothing is left unreaped.
    let _ = child.kill();
    let _ = child.wait();
}

/// Returns the variables between the marks, without those that are the shell's own.
fn parse(output: &[u8], marks: &Marks) -> Option<Vec<(OsString, OsString)>> {
    let begin = find(output, marks.begin.as_bytes())? + marks.begin.len();
    let inside = &output[begin..];
    let inside = &inside[..find(inside, marks.end.as_bytes())?];
    let mut variables = Vec::new();
    for entry in inside.split(|byte| *byte == 0) {
        let Some(at) = entry.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (&entry[..at], &entry[at + 1..]);
        let is_shells = OF_THE_SHELL.iter().any(|own| own.as_bytes() == name);
        if is_name(name) && !is_shells {
            variables.push((OsString::from_vec(name.to_vec()), OsStr::from_bytes(value).to_owned()));
        }
    }
    (!variables.is_empty()).then_some(variables)
}

/// Whether this is a variable's name; shells also print functions, under odd names.
fn is_name(name: &[u8]) -> bool {
    let starts_well = name.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_');
    starts_well && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
