//! Running the machine's own commands: found in PATH, called by their absolute path, and never waited for long.
//!
//! Knows none of them. Example: `tools.run("crontab", &["-l"], b"")?.out` is the user's crontab.

use crate::client::wait;
use crate::sys::ambient::Ambient;
use crate::sys::memfile;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Where commands are looked for besides PATH, which cron, a job or a container may have cut short.
const DIRECTORIES: [&str; 7] =
    ["usr/local/bin", "usr/bin", "bin", "usr/local/sbin", "usr/sbin", "sbin", "opt/homebrew/bin"];

/// How long a command may take: each answers within milliseconds, or waits for a service that is stuck.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether a command has ended.
const PAUSE: Duration = Duration::from_millis(4);

/// Most bytes of its output that are taken: far above every crontab. What is longer is an error, because what is
/// read here may be written back.
pub const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// Most bytes of what a command says that are repeated to the user.
const WORDS_BYTES_MAX: usize = 400;

/// What a command said, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its exit code; 128 and the number of the signal that ended it.
    pub code: i32,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Whether it succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// Returns its output as text, without line ends behind it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).trim_end().to_owned()
    }

    /// Returns what it said, short and in one line.
    #[must_use]
    pub fn words(&self) -> String {
        let both = format!("{}\n{}", self.err, String::from_utf8_lossy(&self.out));
        let line = both.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        let end = (0..=WORDS_BYTES_MAX.min(line.len())).rev().find(|at| line.is_char_boundary(*at));
        match &line[..end.unwrap_or(0)] {
            "" => format!("exit code {}", self.code),
            words => words.to_owned(),
        }
    }
}

/// Where commands are, and in which environment they run.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    directories: Vec<PathBuf>,
    variables: Vec<(String, PathBuf)>,
}

impl Tools {
    /// Returns those that this user can reach.
    #[must_use]
    pub fn of(ambient: &Ambient) -> Tools {
        let path = ambient.get("PATH").unwrap_or_default();
        let fixed = DIRECTORIES.iter().map(|directory| ambient.root.join(directory));
        let named = std::env::split_paths(path).filter(|directory| directory.is_absolute());
        let session = ambient.run_user().join(ambient.name_uid.to_string());
        // su and cron leave it unset, and then nobody finds the user's service manager.
        let is_needed = ambient.get("XDG_RUNTIME_DIR").is_none() && session.is_dir();
        let variables = is_needed.then(|| ("XDG_RUNTIME_DIR".to_owned(), session));
        Tools { directories: named.chain(fixed).collect(), variables: variables.into_iter().collect() }
    }

    /// Returns the absolute path of a command.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let mut files = self.directories.iter().map(|directory| directory.join(name));
        files.find(|file| file.is_file() && access(file, AccessFlags::X_OK).is_ok())
    }

    /// Runs a command to its end with this standard input.
    ///
    /// # Errors
    /// In words: it is not there, cannot be run, does not end, or says too much.
    pub fn run(&self, name: &str, words: &[&str], input: &[u8]) -> Result<Said, String> {
        let path = self.find(name).ok_or_else(|| format!("there is no command {name}"))?;
        self.run_within(&path, words, input, TIMEOUT)
    }

    fn run_within(&self, path: &Path, words: &[&str], input: &[u8], limit: Duration) -> Result<Said, String> {
        let cannot = |error: io::Error| format!("cannot run {}: {error}", path.display());
        let file = || memfile::create(c"visor-tool");
        let (mut stdin, mut out, mut err) =
            (file().map_err(cannot)?, file().map_err(cannot)?, file().map_err(cannot)?);
        stdin.write_all(input).and_then(|()| stdin.rewind()).map_err(cannot)?;
        let stream = |file: &File| file.try_clone().map(Stdio::from).map_err(cannot);
        let mut child = Command::new(path)
            .args(words)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            // Its words are read, here and by people who search for them.
            .env("LC_ALL", "C")
            .process_group(0)
            .stdin(stream(&stdin)?)
            .stdout(stream(&out)?)
            .stderr(stream(&err)?)
            .spawn()
            .map_err(cannot)?;
        let status = await_end(&mut child, limit).map_err(cannot)?;
        let name = path.display();
        let status = status.ok_or_else(|| format!("{name} did not end within {} s", limit.as_secs()))?;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let (out, err) = (read(&mut out).map_err(cannot)?, read(&mut err).map_err(cannot)?);
        Ok(Said { code, out, err: String::from_utf8_lossy(&err).into_owned() })
    }
}

/// Waits for the end of a command; nothing when it was killed for taking too long.
fn await_end(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if since.elapsed() >= limit {
            let _ended_meanwhile = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
            child.wait()?;
            return Ok(None);
        }
        wait::pause(PAUSE);
    }
}

fn read(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > OUTPUT_BYTES_MAX {
        return Err(io::Error::other(format!("it says more than {OUTPUT_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Tools {
        Tools::of(&Ambient { root: "/".into(), ..Ambient::default() })
    }

    #[test]
    fn what_goes_in_and_comes_out_is_all_there() {
        let said = tools().run("sh", &["-c", "cat; echo \"$LC_ALL\" >&2; exit 3"], b"in\n");
        assert_eq!(said, Ok(Said { code: 3, out: b"in\n".to_vec(), err: "C\n".into() }));
        let killed = tools().run("sh", &["-c", "kill -9 $$"], b"").map(|said| said.code);
        assert_eq!(killed, Ok(128 + 9));
        assert_eq!(tools().run("no-such-thing", &[], b""), Err("there is no command no-such-thing".into()));
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_what_it_started() {
        let sh = tools().find("sh").expect("a shell");
        let since = Instant::now();
        let said = tools().run_within(&sh, &["-c", "sleep 1000 & wait"], b"", Duration::from_millis(100));
        assert!(said.as_ref().is_err_and(|why| why.contains("did not end")), "{said:?}");
        assert!(since.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn an_output_is_taken_whole_or_not_at_all() {
        let print = |bytes: u64| {
            let script = format!("head -c {bytes} /dev/zero");
            tools().run("sh", &["-c", &script], b"").map(|said| said.out.len() as u64)
        };
        assert_eq!(print(OUTPUT_BYTES_MAX), Ok(OUTPUT_BYTES_MAX));
        assert!(print(OUTPUT_BYTES_MAX + 1).is_err_and(|why| why.contains("more than")));
    }

    #[test]
    fn only_absolute_directories_are_searched_and_only_what_may_run_is_found() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir()?;
        std::fs::create_dir_all(dir.path().join("usr/bin"))?;
        let file = dir.path().join("usr/bin/crontab");
        std::fs::write(&file, "")?;
        let of = |path: &str| {
            let variables = vec![("PATH".into(), path.into())];
            Tools::of(&Ambient { root: dir.path().into(), variables, ..Ambient::default() })
        };
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        assert_eq!(of("").find("crontab"), None);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
        assert_eq!(of("").find("crontab"), Some(file));
        assert_eq!((of("src").find("sh"), of(".:/bin").find("sh")), (None, Some("/bin/sh".into())));
        Ok(())
    }

    #[test]
    fn words_are_short_and_in_one_line() {
        let said = |err: &str| Said { code: 7, out: Vec::new(), err: err.into() }.words();
        assert_eq!(said(" no\n\n crontab for me \n"), "no; crontab for me");
        assert_eq!(said(""), "exit code 7");
        assert_eq!(said(&"ö".repeat(WORDS_BYTES_MAX)).len(), WORDS_BYTES_MAX);
    }
}
