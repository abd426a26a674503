//! The shell: `status` first, then a line after the other.
//!
//! On a terminal lines are edited, completed and remembered; elsewhere they are read as they come, behind the same
//! prompt, which is what scripts see. Example: `supervisorctl -c FILE` without an action.

use super::commands::{Flow, obey};
use super::complete::{Known, Names};
use super::history;
use super::session::Session;
use super::trouble::Trouble;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor};
use std::io::{self, IsTerminal};

/// An editor of lines that knows our names.
type Lines = Editor<Names, MemHistory>;

/// Runs the shell to its end.
pub(super) fn run(session: &mut Session) {
    session.catch_keys();
    let mut lines = editor();
    if let (Some(lines), Some(file)) = (&mut lines, &session.settings.history_file) {
        history::load(file, lines.history_mut());
    }
    if let Err(_interrupted) = converse(session, lines.as_mut()) {
        session.say("");
    }
    if let (Some(lines), Some(file)) = (&lines, &session.settings.history_file) {
        history::save(file, lines.history());
    }
}

/// Obeys lines until one of them ends the shell; fails at Ctrl-C.
fn converse(session: &mut Session, mut lines: Option<&mut Lines>) -> Result<(), Trouble> {
    let mut line = "status".to_owned();
    while obey(session, &line)? == Flow::Stay {
        let prompt = format!("{}> ", session.settings.prompt);
        let typed = match &mut lines {
            Some(lines) => edit(session, lines, &prompt)?,
            None => session.ask(&prompt)?,
        };
        line = typed.unwrap_or_else(|| "EOF".to_owned());
    }
    Ok(())
}

/// Returns an editor, where somebody sits at a terminal.
fn editor() -> Option<Lines> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return None;
    }
    let config = Config::builder().completion_type(CompletionType::List).build();
    let mut editor = Editor::with_history(config, MemHistory::new()).ok()?;
    editor.set_helper(Some(Names::default()));
    Some(editor)
}

/// Reads a line that is edited; nothing at its end.
fn edit(session: &Session, lines: &mut Lines, prompt: &str) -> Result<Option<String>, Trouble> {
    if let Some(names) = lines.helper_mut() {
        names.renew(session.daemon().ok().map(Known::new));
    }
    match lines.readline(prompt) {
        Ok(line) => {
            // A line that cannot be remembered can still be obeyed.
            drop(lines.add_history_entry(line.as_str()));
            Ok(Some(line))
        }
        Err(ReadlineError::Eof) => Ok(None),
        Err(ReadlineError::Interrupted) => Err(Trouble::Interrupted),
        Err(error) => Err(Trouble::Other(error.to_string())),
    }
}
