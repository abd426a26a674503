//! `visorctl clear`: empties the logs of programs.

use crate::api::v1::{Names, path};
use crate::cli::report::{self, Manner};
use crate::cli::{Outcome, Session};
use crate::client::Wait;

/// Empty the logs of programs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs: NAME, GROUP:NAME, GROUP:* or all
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Show the results as JSON
    #[arg(long)]
    json: bool,
}

/// Empties the logs.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let body = Names { names: args.names.clone(), ..Names::default() };
    let reply = session.connect()?.submit(path::CLEAR, &body, &mut Wait::default())?;
    report::processes(session, &reply, Manner { done: "cleared", needs_running: false, json: args.json })
}
