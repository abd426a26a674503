//! `visorctl add`: activates groups of the configuration that was read last.

use crate::api::v1::{Groups, path};
use crate::cli::waiting::{self, Question};
use crate::cli::{Outcome, Session, report};

/// Activate groups that reread found
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Show the results as JSON
    #[arg(long)]
    json: bool,
}

/// Activates the groups.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let question = Question { path: path::ADD, what: "add", timeout: None };
    let groups = Groups { groups: args.groups.clone() };
    let reply = waiting::submit(session, &mut session.connect()?, &question, &groups)?;
    report::groups(session, &reply, args.json)
}
