//! `visorctl new`: a program from a command: writes a file of the configuration, starts it, and tells what will
//! become of it.

use crate::api::v1::{
    GroupResults, Groups, Names, ResultStatus, Results, StatusReply, Until, WaitRequest, path,
};
use crate::cli::program_file::{self, Draft};
use crate::cli::waiting::{self, Question};
use crate::cli::whereabouts::short;
use crate::cli::{Outcome, Problem, Session, exit, merge, own_config, survival, table};
use crate::client::Connection;
use crate::client::http::parse;
use crate::config::group_place;
use crate::sys::ambient::Ambient;
use crate::sys::host::RealHost;
use crate::sys::login;
use crate::sys::statfs::{self, Locality};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest wait until the program runs.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How many lines of its output are shown.
const LINES: usize = 5;

/// How much of its output is looked at, in bytes.
const BYTES: usize = 4096;

/// What a shell would act on.
const SHELL_LETTERS: &str = "|&;<>()$`*?[]{}!~\"'\\";

/// Make a program from a command: new NAME -- COMMAND...
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to call it
    name: String,
    /// Where it runs; else here
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// A variable of its environment; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// The command is one argument with shell syntax in it
    #[arg(long)]
    shell: bool,
    /// Only write the file
    #[arg(long)]
    no_start: bool,
    /// Start the daemon even inside a batch job, which ends it
    #[arg(long)]
    here: bool,
    /// The command with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Makes the program.
///
/// # Errors
/// When the command makes no sense, the file cannot be written, or there can be no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    if session.is_particular() {
        return Err(Problem::usage("error: new is for your own daemon: leave -c and --socket out"));
    }
    let ambient = Ambient::real();
    let Written { file, host } = write_file(args, &ambient)?;
    session.screen.data(&format!("wrote {} (change it: visorctl edit {})", short(&file), args.name));
    if let Some(host) = host {
        let text =
            format!("it runs on {host} only: the home is on a network file system (condition_host={host})");
        session.screen.data(&text);
    }
    if args.no_start {
        return Ok(exit::OK);
    }
    let mut connection = session.connect_or_start(args.here)?;
    apply(session, &mut connection, &args.name)?;
    let code = await_run(session, &mut connection, &args.name)?;
    show(session, &mut connection, &args.name)?;
    if code == exit::OK {
        session.screen.data(&survival::words(&ambient));
    } else {
        session.screen.message(&format!("see why: visorctl why {}", args.name));
    }
    Ok(code)
}

fn write_file(args: &Args, ambient: &Ambient) -> Result<Written, Problem> {
    let usage = |text: String| Problem::usage(format!("error: {text}"));
    program_file::check_name(&args.name).map_err(usage)?;
    let directory = directory(args).map_err(usage)?;
    let caller = std::env::var("PATH").unwrap_or_else(|_| login::PATH.to_owned());
    let words = words(args, &directory, &caller).map_err(usage)?;
    let environment = environment(args, ambient, &caller).map_err(usage)?;
    let root = ambient.config_root();
    let root = root.ok_or_else(|| usage("there is no home directory: set HOME".to_owned()))?;
    let host = only_host(&root, ambient);
    let draft = Draft {
        name: &args.name,
        words: &words,
        directory: &directory,
        environment: &environment,
        host: host.as_deref(),
    };
    let text = program_file::text(&draft).map_err(usage)?;
    let folder = root.join("conf.d");
    let file = folder.join(format!("{}.conf", args.name));
    refuse_taken(&args.name, &file, ambient)?;
    create(&folder, &file, &text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Problem::new(
            exit::REFUSED,
            format!("error: {} is there already (change it: visorctl edit {})", short(&file), args.name),
        ),
        _ => Problem::new(exit::REFUSED, format!("error: cannot write {}: {error}", file.display())),
    })?;
    Ok(Written { file, host })
}

/// The file that was written, and the only host on which its program runs.
struct Written {
    file: PathBuf,
    host: Option<String>,
}

/// Returns this host's name where other hosts may read the configuration too.
fn only_host(root: &Path, ambient: &Ambient) -> Option<String> {
    let there = root.ancestors().find(|path| path.is_dir())?;
    let is_network = ambient.is_taken_for_network(root)
        || std::fs::File::open(there)
            .and_then(|directory| statfs::locality(&directory))
            .is_ok_and(|found| matches!(found, Locality::Network(_)));
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let name = ambient.node_name.as_str();
    (is_network && !name.is_empty() && name.chars().all(fits)).then(|| name.to_owned())
}

/// Refuses a name that another file defines: supervisord's rules would make one program of both.
fn refuse_taken(name: &str, file: &Path, ambient: &Ambient) -> Result<(), Problem> {
    let place = own_config::request(ambient).and_then(|own| group_place(&own, name, &RealHost));
    // Our own file is told of as a file that is there, whatever it defines.
    let Some(place) = place.filter(|_| !file.exists()) else { return Ok(()) };
    let text = format!(
        "error: {name} is defined in {}:{} already (change it there, or choose another name)",
        short(&place.file),
        place.line
    );
    Err(Problem::new(exit::REFUSED, text))
}

/// Writes a file that is not there yet.
fn create(folder: &Path, file: &Path, text: &str) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut to = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let written = to.write_all(text.as_bytes()).and_then(|()| to.sync_all());
    if written.is_err() {
        // On a full disk: half a program is worse than none.
        drop(std::fs::remove_file(file));
    }
    written
}

fn directory(args: &Args) -> Result<PathBuf, String> {
    let here =
        std::env::current_dir().map_err(|error| format!("the current directory is not there: {error}"))?;
    let Some(asked) = &args.directory else { return Ok(here) };
    here.join(asked).canonicalize().map_err(|error| format!("cannot use {}: {error}", asked.display()))
}

/// Returns the words of the command, the first an absolute path.
fn words(args: &Args, directory: &Path, search: &str) -> Result<Vec<String>, String> {
    let first = args.command.first().cloned().unwrap_or_default();
    if args.shell {
        return match args.command.as_slice() {
            [line] => Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()]),
            _ => Err("--shell takes the command as one argument: put it in quotation marks".to_owned()),
        };
    }
    let looks_like_shell =
        first.contains(char::is_whitespace) || first.chars().any(|letter| SHELL_LETTERS.contains(letter));
    if args.command.len() == 1 && looks_like_shell && !directory.join(&first).exists() {
        return Err(
            "that looks like a line for a shell: say --shell, or leave the quotation marks out".to_owned()
        );
    }
    let mut words = args.command.clone();
    words[0] = absolute(&first, directory, search)?;
    Ok(words)
}

/// Finds the command where the caller's shell would.
fn absolute(command: &str, directory: &Path, search: &str) -> Result<String, String> {
    let places: Vec<PathBuf> = if command.contains('/') {
        vec![directory.join(command.strip_prefix("./").unwrap_or(command))]
    } else {
        std::env::split_paths(search).map(|place| directory.join(place).join(command)).collect()
    };
    let can_run = |path: &&PathBuf| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let found = places.iter().find(can_run).ok_or_else(|| match places.as_slice() {
        [only] if only.exists() => format!("{} cannot be executed (chmod +x it)", only.display()),
        [only] if command.contains('/') => format!("there is no {}", only.display()),
        _ => format!("there is no command {command} in your PATH"),
    })?;
    found.to_str().map(str::to_owned).ok_or_else(|| "the command's path is not UTF-8".to_owned())
}

/// Returns the variables to write: those that were asked for, and the caller's PATH where a login's differs.
fn environment(args: &Args, ambient: &Ambient, caller: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("--env takes NAME=VALUE, not `{text}`")),
    };
    let mut pairs: Vec<(String, String)> = args.env.iter().map(pair).collect::<Result<_, _>>()?;
    if caller.is_empty() || pairs.iter().any(|(name, _)| name == "PATH") {
        return Ok(pairs);
    }
    let of_login = login::environment(ambient, login::DEADLINE);
    let is_same = |(name, value): &(OsString, OsString)| name == "PATH" && value == caller;
    if of_login.trouble.is_some() || !of_login.variables.iter().any(is_same) {
        pairs.push(("PATH".to_owned(), caller.to_owned()));
    }
    Ok(pairs)
}

fn apply(session: &Session, connection: &mut Connection, name: &str) -> Result<(), Problem> {
    // The one of this name before it may have been disabled. A daemon that knows nothing of that refuses, rightly.
    let again = Names { names: vec![name.to_owned()], wait: true, timeout_ms: None };
    let enable = Question { path: path::ENABLE, what: "update", timeout: None };
    drop(waiting::submit(session, connection, &enable, &again));
    let question = Question { path: path::UPDATE, what: "update", timeout: None };
    let groups = Groups { groups: vec![name.to_owned()] };
    let answer: GroupResults = parse(&waiting::submit(session, connection, &question, &groups)?)?;
    answer.diagnostics.iter().for_each(|diagnostic| session.screen.message(&diagnostic.to_string()));
    if answer.ok {
        return Ok(());
    }
    let text = "error: the configuration has mistakes, so the program is not started (correct them, then: visorctl update)";
    Err(Problem::new(exit::REFUSED, text))
}

fn await_run(session: &Session, connection: &mut Connection, name: &str) -> Outcome {
    let body = WaitRequest {
        names: vec![name.to_owned()],
        until: Until::Running,
        timeout_ms: waiting::milliseconds(Some(START_TIMEOUT)),
    };
    let what = format!("start {name}");
    let question = Question { path: path::WAIT, what: &what, timeout: Some(START_TIMEOUT) };
    let results: Results = parse(&waiting::submit(session, connection, &question, &body)?)?;
    Ok(match results.results.first().map(|result| result.status) {
        Some(ResultStatus::Done | ResultStatus::AlreadyStarted) => exit::OK,
        Some(ResultStatus::TimedOut) => exit::TIMED_OUT,
        Some(ResultStatus::NoSuchProcess | ResultStatus::NoSuchGroup) | None => exit::ABSENT,
        Some(_) => exit::START_FAILED,
    })
}

/// Shows the state, and what it has written so far.
fn show(session: &Session, connection: &mut Connection, name: &str) -> Result<(), Problem> {
    let status: StatusReply = connection.get(&super::status::target(&[name.to_owned()], false))?;
    session.screen.ready(table::lines(&status.processes, &session.screen).as_bytes());
    let target = super::tail::target(name, "stdout", BYTES as u64);
    let Ok(reply) = connection.fetch(&target) else { return Ok(()) };
    let (mut voice, mut out) = (merge::Voice::new(&format!("  {name}"), Some(0), session.screen), Vec::new());
    voice.feed(merge::last_lines(&reply.body, LINES, reply.body.len() >= BYTES), &mut out);
    voice.flush(&mut out);
    session.screen.ready(&out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(shell: bool, command: &[&str]) -> Args {
        Args {
            name: "web".into(),
            directory: None,
            env: Vec::new(),
            shell,
            no_start: true,
            here: false,
            command: command.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn commands_are_found_where_the_caller_would_find_them() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let script = dir.path().join("serve");
        std::fs::write(&script, "")?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700))?;
        std::fs::write(dir.path().join("plain"), "")?;
        let search = format!("/nowhere:{}", dir.path().display());
        let found = |command: &str| absolute(command, dir.path(), &search);
        let full = Ok(script.display().to_string());
        assert_eq!(
            (found("serve"), found("./serve"), found(&script.display().to_string())),
            (full.clone(), full.clone(), full)
        );
        assert_eq!(found("nope"), Err("there is no command nope in your PATH".into()));
        assert_eq!(
            found("./plain"),
            Err(format!("{}/plain cannot be executed (chmod +x it)", dir.path().display()))
        );
        assert_eq!(found("./nope"), Err(format!("there is no {}/nope", dir.path().display())));
        Ok(())
    }

    #[test]
    fn a_line_for_a_shell_must_be_called_one() {
        let words = |args: &Args| words(args, Path::new("/"), "/bin:/usr/bin");
        assert!(words(&args(false, &["sleep 1 | cat"])).is_err_and(|why| why.contains("--shell")));
        assert_eq!(
            words(&args(true, &["sleep 1 | cat"])).map(|words| words[2].clone()),
            Ok("sleep 1 | cat".to_owned())
        );
        assert!(words(&args(true, &["sleep", "1"])).is_err());
        assert!(words(&args(false, &["sh", "-c", "a | b"])).is_ok_and(|words| words[0].starts_with('/')));
    }

    #[test]
    fn a_file_that_is_there_is_not_replaced() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (folder, file) = (dir.path().join("conf.d"), dir.path().join("conf.d/web.conf"));
        create(&folder, &file, "first")?;
        let second = create(&folder, &file, "second").map_err(|error| error.kind());
        assert_eq!(
            (second, std::fs::read_to_string(&file)?),
            (Err(io::ErrorKind::AlreadyExists), "first".to_owned())
        );
        assert_eq!(std::fs::read_dir(&folder)?.count(), 1);
        assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
        Ok(())
    }
}
