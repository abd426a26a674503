//! `visorctl delete`: takes a program away that `new` or `import` wrote; `--undo` brings it back.

use crate::api::v1::{GroupAction, GroupResults, Groups, Names, ResultStatus, Results, path};
use crate::cli::replace::Draft;
use crate::cli::trash::{Deleted, Trash};
use crate::cli::waiting::{self, Question};
use crate::cli::whereabouts::{self, Found, short};
use crate::cli::{Outcome, Problem, Session, exit, program_file};
use crate::client::Connection;
use crate::client::http::parse;
use crate::config::{Diagnostic, ini};
use crate::sys::ambient::Ambient;
use std::path::Path;

/// Take a program away that new or import made; --undo brings it back
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The program; for --undo the last one that was deleted, where none is named
    #[arg(required_unless_present = "undo")]
    name: Option<String>,
    /// Bring back what was deleted
    #[arg(long)]
    undo: bool,
}

/// Deletes a program, or undoes that.
///
/// # Errors
/// When it was not made by us, does not stop, or the file cannot be moved.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let trash = Trash::open(&Ambient::real()).map_err(|why| refused(&why))?;
    match (&args.name, args.undo) {
        (Some(name), false) => delete(session, &trash, name),
        (name, _) => undo(session, &trash, name.as_deref()),
    }
}

fn refused(why: &str) -> Problem {
    Problem::new(exit::REFUSED, format!("error: {why}"))
}

fn delete(session: &Session, trash: &Trash, name: &str) -> Outcome {
    let found = whereabouts::find(session, name)?;
    let file = found.place.file.clone();
    let shown = short(&file);
    let draft = Draft::of(&file).map_err(|error| refused(&format!("cannot read {shown}: {error}")))?;
    may_go(name, &shown, &found, &draft)?;
    let mut connection = if found.has_daemon { Some(session.connect()?) } else { None };
    let mut words = String::new();
    if let Some(connection) = &mut connection
        && stop(session, connection, name)?
    {
        words = format!("stopped {name}; ");
    }
    // A link is what the configuration reads: it goes, and what it leads to stays.
    trash.put(name, &file).map_err(|error| refused(&format!("cannot delete {shown}: {error}")))?;
    if let Some(connection) = &mut connection {
        take_out(session, connection, name)?;
    }
    session.screen.data(&format!("{words}deleted {shown} (bring it back: visorctl delete --undo {name})"));
    Ok(exit::OK)
}

/// Checks that a file is ours to take away, and that nothing else goes with it.
fn may_go(name: &str, shown: &str, found: &Found, draft: &Draft) -> Result<(), Problem> {
    if !program_file::is_ours(&draft.before) {
        let text = format!("{shown} was not made by visorctl new or import: remove [program:{name}] by hand");
        return Err(refused(&text));
    }
    let (sections, _) = ini::parse(&draft.before);
    let is_other = |section: &str| section.split_once(':').is_none_or(|(_, own)| own.trim() != name);
    if let Some(other) = sections.iter().find(|section| is_other(&section.name)) {
        let text = format!("{shown} has [{}] too: remove [program:{name}] by hand", other.name);
        return Err(refused(&text));
    }
    let (told, is_good) = draft.check(&found.request, b"");
    if !is_good {
        let errors: Vec<String> =
            told.iter().filter(|told| told.is_error()).map(Diagnostic::to_string).collect();
        return Err(refused(&format!("something else needs {name}: {}", errors.join("\n"))));
    }
    Ok(())
}

/// Stops everything of a program; returns whether something ran.
fn stop(session: &Session, connection: &mut Connection, name: &str) -> Result<bool, Problem> {
    let body = Names { names: vec![format!("{name}:*")], wait: true, timeout_ms: None };
    let what = format!("stop {name}");
    let question = Question { path: path::STOP, what: &what, timeout: None };
    let results: Results = parse(&waiting::submit(session, connection, &question, &body)?)?;
    let fine = [ResultStatus::Done, ResultStatus::NotRunning, ResultStatus::NoSuchGroup];
    match results.results.iter().find(|result| !fine.contains(&result.status)) {
        Some(result) => Err(refused(&format!(
            "{} does not stop, so nothing is deleted: {}",
            result.namespec, result.text
        ))),
        None => Ok(results.results.iter().any(|result| result.status == ResultStatus::Done)),
    }
}

/// Takes a stopped program out of force, whatever else is wrong with the files.
fn take_out(session: &Session, connection: &mut Connection, name: &str) -> Result<(), Problem> {
    let question = Question { path: path::REMOVE, what: &format!("remove {name}"), timeout: None };
    let answer = ask(session, connection, &question, name)?;
    let left = answer.results.iter().find(|result| {
        !matches!(result.action, GroupAction::Removed | GroupAction::Stopped | GroupAction::NoSuchGroup)
    });
    match left {
        Some(result) => Err(refused(&format!(
            "the file is deleted, and {name} is still in force: {} (take it out: {})",
            if result.text.is_empty() { "it was started again" } else { &result.text },
            session.command("update")
        ))),
        None => Ok(()),
    }
}

fn undo(session: &Session, trash: &Trash, name: Option<&str>) -> Outcome {
    let found = trash.find(name).map_err(|error| refused(&format!("cannot look into the trash: {error}")))?;
    let Some(deleted) = found else {
        let what = name.map_or_else(|| "nothing".to_owned(), |name| format!("no program {name}"));
        return Err(Problem::new(exit::ABSENT, format!("error: {what} was deleted here")));
    };
    refuse_taken(session, &deleted)?;
    let shown = short(&deleted.origin);
    trash.put_back(&deleted).map_err(|error| refused(&format!("cannot bring back {shown}: {error}")))?;
    session.screen.data(&format!("{shown} is back"));
    let Ok(mut connection) = session.connect() else { return Ok(exit::OK) };
    let what = format!("update {}", deleted.name);
    let question = Question { path: path::UPDATE, what: &what, timeout: None };
    let answer = ask(session, &mut connection, &question, &deleted.name)?;
    answer.diagnostics.iter().for_each(|diagnostic| session.screen.message(&diagnostic.to_string()));
    if !answer.ok {
        return Err(refused(
            "the configuration has mistakes, so it is not in force (correct them, then: visorctl update)",
        ));
    }
    Ok(exit::OK)
}

/// Refuses to bring back what somebody has made anew.
fn refuse_taken(session: &Session, deleted: &Deleted) -> Result<(), Problem> {
    let is_there = |place: &Path| refused(&format!("{} is there again in {}", deleted.name, short(place)));
    if deleted.origin.exists() {
        return Err(is_there(&deleted.origin));
    }
    match whereabouts::find(session, &deleted.name) {
        Ok(found) => Err(is_there(&found.place.file)),
        Err(_) => Ok(()),
    }
}

fn ask(
    session: &Session,
    connection: &mut Connection,
    question: &Question<'_>,
    name: &str,
) -> Result<GroupResults, Problem> {
    let groups = Groups { groups: vec![name.to_owned()] };
    Ok(parse(&waiting::submit(session, connection, question, &groups)?)?)
}
