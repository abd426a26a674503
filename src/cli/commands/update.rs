//! `visorctl update`: reads the configuration and applies it; what did not change is not touched.

use crate::api::v1::{Groups, path};
use crate::cli::waiting::{self, Question};
use crate::cli::{Outcome, Session, report};

/// Read the configuration and apply what changed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Groups; none, or all, means every one
    groups: Vec<String>,
    /// Show the results as JSON
    #[arg(long)]
    json: bool,
}

/// Applies the configuration.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let every = args.groups.iter().any(|group| group == "all");
    let groups = if every { Vec::new() } else { args.groups.clone() };
    let question = Question { path: path::UPDATE, what: "update", timeout: None };
    let reply = waiting::submit(session, &mut session.connect()?, &question, &Groups { groups })?;
    report::groups(session, &reply, args.json)
}
