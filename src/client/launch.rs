//! Starting the daemon from a client.
//!
//! Decides nothing: whether it may is the caller's business. `visord` goes into the background by itself and
//! returns once it can be reached. Example: `launch(&program(), &Ambient::real())`.

use crate::model::detach::{Detachment, decide};
use crate::sys::ambient::Ambient;
use crate::sys::scope;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Name of the daemon's program.
const PROGRAM: &str = "visord";

/// Most bytes of its words that are shown.
const WORDS_BYTES_MAX: u64 = 16 * 1024;

/// Variables that a login of the user would have too. The rest of the caller's environment belongs to the caller: a
/// daemon that outlives it must not carry its secrets and virtual environments around.
const KEPT: [&str; 16] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// Tells the daemon that programs are to get the environment of a login, not this one.
const STARTED_BY_CLIENT: &str = "VISOR_STARTED_BY_CLIENT";

/// What came of starting the daemon.
#[derive(Debug)]
pub struct Launched {
    /// How the launcher ended; 0 when the daemon can be reached.
    pub status: ExitStatus,
    /// What it said.
    pub words: String,
}

/// Returns the daemon's program: the one beside our own, else what `PATH` has.
#[must_use]
pub fn program() -> PathBuf {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(|dir| dir.join(PROGRAM));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PROGRAM.into())
}

/// Starts the daemon and waits until it can be reached, or has said why not. It gets a scope of its own under the
/// user's service manager where that lets it live longer.
///
/// # Errors
/// When the program cannot be executed.
pub fn launch(program: &Path, ambient: &Ambient) -> io::Result<Launched> {
    if decide(&scope::facts(ambient)).detachment == Detachment::Scope {
        let unit = format!("visord-{}", std::process::id());
        if let Some((words, variable)) = scope::command(ambient, &unit, &[program.into()]) {
            let in_scope = run(words.iter().map(OsString::as_os_str), Some(variable), ambient)?;
            if in_scope.status.success() {
                return Ok(in_scope);
            }
            // The service manager may refuse; without a scope it runs as well, only perhaps not as long.
        }
    }
    launch_in_place(program, ambient)
}

/// As [`launch`], in the control group where we are: a service manager that starts us looks after that one.
///
/// # Errors
/// As [`launch`].
pub fn launch_in_place(program: &Path, ambient: &Ambient) -> io::Result<Launched> {
    run(std::iter::once(program.as_os_str()), None, ambient)
}

fn run<'a>(
    mut words: impl Iterator<Item = &'a OsStr>,
    variable: Option<(OsString, OsString)>,
    ambient: &Ambient,
) -> io::Result<Launched> {
    let mut said = crate::sys::memfile::create(c"visord-words")?;
    let is_kept = |name: &str| KEPT.contains(&name) || name.starts_with("VISOR_");
    let kept = ambient.variables.iter().filter(|(name, _)| name.to_str().is_some_and(is_kept));
    let status = Command::new(words.next().unwrap_or_default())
        .args(words)
        .env_clear()
        .envs(kept.map(|(name, value)| (name, value)))
        .envs(variable)
        .env(STARTED_BY_CLIENT, "1")
        .current_dir("/")
        // Ctrl-C is for us, and must not hit a daemon that is half started.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        .status()?;
    Ok(Launched { status, words: read(&mut said)? })
}

fn read(words: &mut File) -> io::Result<String> {
    let mut text = Vec::new();
    words.rewind()?;
    words.take(WORDS_BYTES_MAX).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_daemon_understands_who_started_it() {
        assert_eq!(STARTED_BY_CLIENT, crate::daemon::login_env::STARTED_BY_CLIENT);
    }

    #[test]
    fn what_the_launcher_says_and_how_it_ends_is_told() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let script = dir.path().join("visord");
        let text = "#!/bin/sh\necho \"in $(pwd) with ${CARGO_MANIFEST_DIR:-nothing} of $VISOR_STARTED_BY_CLIENT caller\" >&2\nexit 2\n";
        // A child of another test may hold a file open for writing that was just written, so it is copied.
        std::fs::write(dir.path().join("text"), text)?;
        std::fs::set_permissions(dir.path().join("text"), std::fs::Permissions::from_mode(0o700))?;
        assert!(Command::new("cp").arg(dir.path().join("text")).arg(&script).status()?.success());
        let ambient = Ambient { root: dir.path().to_path_buf(), ..Ambient::real() };
        let launched = launch(&script, &ambient)?;
        assert_eq!(launched.status.code(), Some(2));
        assert_eq!(launched.words, "in / with nothing of 1 caller");
        assert!(launch(&dir.path().join("missing"), &ambient).is_err());
        Ok(())
    }
}
