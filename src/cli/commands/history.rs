//! `visorctl history`: what happened to programs, also while no daemon runs to be asked.

use crate::api::http::uri;
use crate::api::names::Namespec;
use crate::api::v1::history::{self, ENTRIES_MAX, Entry, Filter, History};
use crate::api::v1::path;
use crate::cli::{Outcome, Problem, Session, exit, happened, since};
use crate::client::{Connection, Failure};
use crate::config::{LoadRequest, load};
use crate::model::Instance;
use crate::sys::ambient::Ambient;
use crate::sys::host::RealHost;
use crate::sys::runtime_dir::Missing;
use crate::sys::{identity, journal, state_dir};
use jiff::tz::TimeZone;
use std::path::PathBuf;

/// Records that are shown when nothing else is asked for.
const LINES: usize = 50;

/// Show what happened to programs: starts, ends, who stopped them, changes
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs: NAME, GROUP:NAME, GROUP:* or all; none means all, and visord itself
    names: Vec<String>,
    /// Show only what happened since then (10m, 2h, 17:30, 2026-11-20)
    #[arg(long, value_name = "TIME", value_parser = since::argument)]
    since: Option<f64>,
    /// Show this many of the latest records; with --since all of them
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<usize>,
    /// Show the records as JSON
    #[arg(long)]
    json: bool,
}

/// Shows the history.
///
/// # Errors
/// When none is kept.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let all = if args.since.is_some() { ENTRIES_MAX } else { LINES };
    let filter = Filter {
        names: args.names.iter().map(|name| Namespec::parse(name)).collect(),
        since_unix: args.since.unwrap_or(0.0),
        count: args.lines.unwrap_or(all),
    };
    let history = match session.connect() {
        Ok(mut connection) => ask(&mut connection, &filter)?,
        Err(absent) => read(session, &filter).ok_or(absent)?,
    };
    if args.json {
        session.screen.json(&serde_json::to_string(&history).unwrap_or_default());
    } else {
        lines(&history.entries).iter().for_each(|line| session.screen.data(line));
        if history.entries.is_empty() {
            session.screen.message(&format!("nothing is recorded of it ({})", history.file));
        }
    }
    Ok(exit::OK)
}

/// Asks the daemon.
///
/// # Errors
/// When it keeps no history.
pub(super) fn ask(connection: &mut Connection, filter: &Filter) -> Result<History, Failure> {
    let mut target = format!("{}?n={}&since={}", path::HISTORY, filter.count, filter.since_unix);
    for name in &filter.names {
        target.push_str(&format!("&name={}", uri::encode(&name.to_string())));
    }
    connection.get(&target)
}

/// Returns records as lines.
pub(super) fn lines(entries: &[Entry]) -> Vec<String> {
    let (uid, zone) = (identity::uid(), TimeZone::system());
    entries.iter().map(|entry| happened::line(entry, uid, &zone)).collect()
}

/// Reads the journal of a daemon that does not run.
fn read(session: &Session, filter: &Filter) -> Option<History> {
    let file = file(session).ok().flatten()?;
    let journals = journal::generations(&file);
    if journals.iter().all(Vec::is_empty) {
        return None;
    }
    session.screen.message("visord does not run; this is from its journal");
    Some(History { entries: history::read(&journals, filter), file: file.display().to_string() })
}

/// Returns where the journal is; nothing for a daemon that is named by its socket, or keeps none.
fn file(session: &Session) -> Result<Option<PathBuf>, Problem> {
    let (instance, directory) = match (&session.socket, &session.config) {
        (Some(_), _) => return Ok(None),
        (None, None) => {
            let state = state_dir::open(&Ambient::real(), Missing::Leave).ok();
            (Instance::Default, state.map(|state| state.path))
        }
        (None, Some(file)) => {
            let unreadable =
                |error| Problem::usage(format!("error: cannot read {}: {error}", file.display()));
            let instance = Instance::classic(&file.canonicalize().map_err(unreadable)?);
            let settings = load(&LoadRequest::of(file), &RealHost).settings;
            (instance, settings.map(|settings| settings.daemon.childlogdir))
        }
    };
    Ok(directory.map(|directory| directory.join(history::file_name(&instance.to_string()))))
}
