//! `visorctl disable`: programs no longer start by themselves on this host. The user's files are not touched.

use crate::api::names::Namespec;
use crate::api::v1::{Names, path};
use crate::cli::ask::{self, Ask, Verb};
use crate::cli::report::{self, Manner};
use crate::cli::waiting::{self, Question};
use crate::cli::{Outcome, Problem, Session, exit, own_config};
use crate::client::Connection;
use crate::config::load;
use crate::model::Instance;
use crate::model::marks::{Mark, Marks};
use crate::sys::ambient::Ambient;
use crate::sys::host::RealHost;
use crate::sys::runtime_dir::Missing;
use crate::sys::{clock, marks, state_dir};

/// Keep programs from starting by themselves on this host
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) which: Which,
}

/// The arguments of both verbs.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Programs: NAME, GROUP:NAME, GROUP:* or all
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Stop or start them too
    #[arg(long)]
    pub(super) now: bool,
    /// Show the results as JSON
    #[arg(long, conflicts_with = "now")]
    pub(super) json: bool,
}

/// Disables programs.
///
/// # Errors
/// When that cannot be kept, or there is no such program.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let which = &args.which;
    let Some(mut connection) = daemon(session)? else { return without_daemon(which, session, true) };
    let code = mark(which, session, &mut connection, DISABLE)?;
    if !which.now {
        return Ok(code);
    }
    let stop = Verb { name: "stop", path: path::STOP, done: "stopped" };
    Ok(code.max(ask::carry_out(&which.ask(), session, connection, stop)?))
}

const DISABLE: Verb = Verb { name: "disable", path: path::DISABLE, done: "disabled" };

impl Which {
    /// Returns what is asked for at once.
    pub(super) fn ask(&self) -> Ask {
        Ask { names: self.names.clone(), no_wait: false, timeout: None, json: false }
    }
}

/// Returns a connection to the daemon; nothing where the user's own does not run.
pub(super) fn daemon(session: &Session) -> Result<Option<Connection>, Problem> {
    match session.connect() {
        Ok(connection) => Ok(Some(connection)),
        Err(problem) if session.is_particular() => Err(problem),
        Err(_) => Ok(None),
    }
}

/// Has the daemon change the marks, and shows how it went.
pub(super) fn mark(which: &Which, session: &Session, connection: &mut Connection, verb: Verb) -> Outcome {
    let body = Names { names: which.names.clone(), wait: true, timeout_ms: None };
    let what = ask::summary(verb.name, &which.names);
    let question = Question { path: verb.path, what: &what, timeout: None };
    let reply = waiting::submit(session, connection, &question, &body)?;
    report::processes(session, &reply, Manner { done: verb.done, needs_running: false, json: which.json })
}

/// Changes the marks that the daemon will read when it starts.
pub(super) fn without_daemon(which: &Which, session: &Session, disable: bool) -> Outcome {
    let refused = |text: String| Problem::new(exit::REFUSED, format!("error: {text}"));
    let ambient = Ambient::real();
    let request = own_config::request(&ambient);
    let request = request.ok_or_else(|| Problem::usage("error: there is no home directory: set HOME"))?;
    let groups = load(&request, &RealHost).defined;
    let known = |name: &str| {
        let spec = Namespec::parse(name);
        groups.iter().flat_map(|group| &group.processes).any(|one| spec.covers(&one.group, &one.name))
    };
    let state = state_dir::open(&ambient, Missing::Make).map_err(|refused_dirs| {
        let first = refused_dirs.first().map(|it| format!("cannot use {}: {}", it.path.display(), it.why));
        refused(first.unwrap_or_else(|| "there is no directory for that".to_owned()))
    })?;
    let now = clock::wall().secs().unsigned_abs();
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    let change = |marks: &mut Marks| {
        for name in &which.names {
            let wanted = match Namespec::parse(name) {
                Namespec::All => groups.iter().map(|group| mark_of(&group.name, None)).collect(),
                Namespec::Group(group) => vec![mark_of(&group, None)],
                Namespec::Process { group, name } => vec![mark_of(&group, Some(&name))],
            };
            let is_marked = wanted.iter().any(|mark| marks.has(mark));
            if !known(name) && (disable || !is_marked) {
                missing.push(name.clone());
                continue;
            }
            for mark in wanted {
                if disable {
                    marks.add(mark, now)?;
                } else {
                    marks.remove(&mark)?;
                }
            }
            done.push(name.clone());
        }
        Ok(())
    };
    marks::change(&state.path, Instance::Default, change)
        .map_err(|error| refused(format!("nothing is changed: {error}")))?;
    let word = if disable { "disabled" } else { "enabled" };
    done.iter().for_each(|name| session.screen.data(&format!("{name}: {word}")));
    missing.iter().for_each(|name| session.screen.message(&format!("{name}: ERROR (no such process)")));
    Ok(if missing.is_empty() { exit::OK } else { exit::ABSENT })
}

fn mark_of(group: &str, process: Option<&str>) -> Mark {
    Mark { group: group.to_owned(), process: process.map(str::to_owned) }
}
