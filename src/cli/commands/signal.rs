//! `visorctl signal`: sends a signal to the main process of programs.

use crate::api::v1::{SignalRequest, path};
use crate::cli::report::{self, Manner};
use crate::cli::{Outcome, Session, exit};
use crate::client::Wait;

/// Send a signal to programs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which: HUP, SIGHUP or a number
    signal: String,
    /// Programs: NAME, GROUP:NAME, GROUP:* or all
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Show the results as JSON
    #[arg(long)]
    json: bool,
}

/// Sends the signal.
///
/// # Errors
/// When there is no daemon, or no such signal.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let body = SignalRequest { names: args.names.clone(), signal: args.signal.clone() };
    let reply = session.connect()?.submit(path::SIGNAL, &body, &mut Wait::default())?;
    let manner = Manner { done: "signalled", not_running: exit::NOT_RUNNING, json: args.json };
    report::processes(session, &reply, manner)
}
