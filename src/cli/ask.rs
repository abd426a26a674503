//! What the verbs share that ask for something to be done with programs or groups and wait for it.

use super::report::{self, Manner};
use super::waiting::{self, Question};
use super::{Outcome, Session};
use crate::api::v1::{Groups, Names};
use crate::client::Connection;
use std::time::Duration;

/// The arguments of such verbs.
#[derive(Debug, clap::Args)]
pub(super) struct Ask {
    /// Programs: NAME, GROUP:NAME, GROUP:* or all
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Return at once; what was asked for goes on
    #[arg(long)]
    pub no_wait: bool,
    /// Wait no longer than this (30s, 5m); what was asked for goes on
    #[arg(long, value_name = "TIME", value_parser = waiting::duration)]
    pub timeout: Option<Duration>,
    /// Show the results as JSON
    #[arg(long)]
    pub json: bool,
}

/// Asks, waits and shows how it went; `verb` is what is asked, `done` its participle.
pub(super) fn carry_out(ask: &Ask, session: &Session, mut connection: Connection, verb: Verb) -> Outcome {
    let body = Names {
        names: ask.names.clone(),
        wait: !ask.no_wait,
        timeout_ms: waiting::milliseconds(ask.timeout),
    };
    let what = summary(verb.name, &ask.names);
    let question = Question { path: verb.path, what: &what, timeout: ask.timeout };
    let reply = waiting::submit(session, &mut connection, &question, &body)?;
    let manner = Manner { done: verb.done, needs_running: false, json: ask.json };
    report::processes(session, &reply, manner)
}

/// What such a verb is called, where it is asked, and what is said when it is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) done: &'static str,
}

/// The arguments of verbs that ask for something to be done with groups.
#[derive(Debug, clap::Args)]
pub(super) struct AskGroups {
    /// Groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Show the results as JSON
    #[arg(long)]
    json: bool,
}

/// Asks for it, waits and shows how it went.
pub(super) fn change_groups(ask: &AskGroups, session: &Session, path: &str, what: &str) -> Outcome {
    let question = Question { path, what, timeout: None };
    let groups = Groups { groups: ask.groups.clone() };
    let reply = waiting::submit(session, &mut session.connect()?, &question, &groups)?;
    report::groups(session, &reply, ask.json)
}

/// Names what is being done, in a few words.
pub(super) fn summary(verb: &str, names: &[String]) -> String {
    match names {
        [name] => format!("{verb} {name}"),
        names => format!("{verb} {} names", names.len()),
    }
}
