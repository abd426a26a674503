//! `visorctl remove`: takes groups out of force whose programs are stopped.

use crate::api::v1::{Groups, path};
use crate::cli::waiting::{self, Question};
use crate::cli::{Outcome, Session, report};

/// Take stopped groups out of force
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Show the results as JSON
    #[arg(long)]
    json: bool,
}

/// Removes the groups.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let question = Question { path: path::REMOVE, what: "remove", timeout: None };
    let groups = Groups { groups: args.groups.clone() };
    let reply = waiting::submit(session, &mut session.connect()?, &question, &groups)?;
    report::groups(session, &reply, args.json)
}
