//! `visorctl edit`: a program's file in an editor, which counts only when the checker finds no mistake in it.

use crate::cli::replace::Draft;
use crate::cli::whereabouts::{self, Found, short};
use crate::cli::{Outcome, Problem, Session, exit};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that name the user's editor, in order.
const VARIABLES: [&str; 2] = ["VISUAL", "EDITOR"];

/// Editors that are tried when no variable names one.
const EDITORS: &str =
    "for e in editor vi nano; do command -v $e >/dev/null && exec $e \"$@\"; done; exit 127";

/// Editors that go to a line by `+LINE`.
const TAKE_LINES: [&str; 11] =
    ["vi", "vim", "nvim", "view", "nano", "pico", "emacs", "emacsclient", "micro", "kak", "joe"];

/// Names that are tried for a private directory; a second one is needed only after a pid came again.
const ATTEMPTS_MAX: u32 = 100;

/// Change a program's file in your editor; it counts only when it has no mistake
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The program or group
    name: String,
}

/// Edits the file.
///
/// # Errors
/// When there is no such program or no editor, or the file cannot be replaced.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let found = whereabouts::find(session, &args.name)?;
    let shown = short(&found.place.file);
    let cannot = |what: &str, error: &io::Error| {
        Problem::new(exit::REFUSED, format!("error: cannot {what} {shown}: {error}"))
    };
    let draft = Draft::of(&found.place.file).map_err(|error| cannot("read", &error))?;
    let copy = Copy::of(&draft).map_err(|error| cannot("copy", &error))?;
    loop {
        let text = copy.edit(session, found.place.line)?;
        if text == draft.before {
            session.screen.data(&format!("{shown} is as it was"));
            return Ok(exit::OK);
        }
        let (told, is_good) = draft.check(&found.request, &text);
        told.iter().for_each(|diagnostic| {
            let line = diagnostic.to_string();
            session.screen.message(&line.replace(&draft.file.display().to_string(), &shown));
        });
        if !is_good {
            if ask_again(session) {
                continue;
            }
            return Err(Problem::new(exit::REFUSED, format!("{shown} stays as it was; {}", copy.keep())));
        }
        return match draft.replace(&text) {
            Ok(()) => {
                session.screen.data(&format!("wrote {shown}{}", next_step(session, &found)));
                Ok(exit::OK)
            }
            Err(error) => {
                let problem = cannot("write", &error);
                Err(Problem::new(problem.code, format!("{}; {}", problem.text, copy.keep())))
            }
        };
    }
}

fn next_step(session: &Session, found: &Found) -> String {
    match found.has_daemon {
        true => format!(" (it counts after: {})", session.command("update")),
        false => String::new(),
    }
}

/// Asks whether the editor is wanted once more; nobody but a person at a terminal can be asked.
fn ask_again(session: &Session) -> bool {
    if !session.screen.messages_on_terminal || !io::stdin().is_terminal() {
        return false;
    }
    let mut error = io::stderr().lock();
    drop(error.write_all(b"edit again? [Y/n] ").and_then(|()| error.flush()));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).unwrap_or(0);
    read > 0 && !answer.trim_start().to_lowercase().starts_with('n')
}

/// The copy that the editor gets, in a directory of its own: what editors leave beside it goes with it.
struct Copy {
    folder: PathBuf,
    file: PathBuf,
    kept: std::cell::Cell<bool>,
}

impl Copy {
    fn of(draft: &Draft) -> io::Result<Copy> {
        let folder = private_folder()?;
        let file = folder.join(draft.file.file_name().unwrap_or(OsStr::new("program.conf")));
        let copy = Copy { folder, file, kept: false.into() };
        let mut to = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy.file)?;
        to.write_all(&draft.before)?;
        Ok(copy)
    }

    /// Runs the editor to its end and returns what it left.
    fn edit(&self, session: &Session, line: u32) -> Result<Vec<u8>, Problem> {
        // Ctrl-C is for the editor.
        let _ = session.interrupt();
        let refused = |text: String| Problem::new(exit::REFUSED, format!("error: {text}"));
        let (script, arguments) = editor(line);
        let status = Command::new("/bin/sh")
            .args(["-c", script.as_str(), "edit"])
            .args(arguments)
            .arg(&self.file)
            .status()
            .map_err(|error| refused(format!("cannot run an editor: {error}")))?;
        if status.code() == Some(127) {
            return Err(refused("there is no editor: set EDITOR to the one you like".to_owned()));
        }
        if !status.success() {
            return Err(refused(format!(
                "the editor ended with {status}, so nothing is changed; {}",
                self.keep()
            )));
        }
        fs::read(&self.file).map_err(|error| refused(format!("the editor left nothing: {error}")))
    }

    /// Leaves the copy where it is, and says where.
    fn keep(&self) -> String {
        self.kept.set(true);
        format!("your text is kept in {}", self.file.display())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.kept.get() {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// Returns a script for the shell that runs the editor, and the arguments that come before the file.
fn editor(line: u32) -> (String, Vec<OsString>) {
    let named = VARIABLES.iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    let Some(named) = named.and_then(|value| value.into_string().ok()) else {
        return (EDITORS.to_owned(), Vec::new());
    };
    let program = named.split_whitespace().next().map(Path::new).and_then(Path::file_name);
    let takes_line = line > 1 && program.is_some_and(|name| TAKE_LINES.iter().any(|known| name == *known));
    let arguments = if takes_line { vec![format!("+{line}").into()] } else { Vec::new() };
    // As git does it: the variable may hold options, and what a shell understands.
    (format!("{named} \"$@\""), arguments)
}

fn private_folder() -> io::Result<PathBuf> {
    let base = std::env::temp_dir();
    for attempt in 0..ATTEMPTS_MAX {
        let folder = base.join(format!("visorctl-edit-{}-{attempt}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
