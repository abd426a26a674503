//! `visorctl signal`: sends a signal to the main process of programs.

use crate::api::v1::{SignalRequest, path};
use crate::cli::report::{self, Manner};
use crate::cli::{Outcome, Session};
use crate::client::Wait;
use crate::model::Signal;

/// Send a signal to programs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which: HUP, SIGHUP or a number
    #[arg(value_parser = known)]
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
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let body = SignalRequest { names: args.names.clone(), signal: args.signal.clone() };
    let reply = session.connect()?.submit(path::SIGNAL, &body, &mut Wait::default())?;
    let manner = Manner { done: "signalled", needs_running: true, json: args.json };
    report::processes(session, &reply, manner)
}

/// Refuses what is no signal here before the daemon is asked: it is a mistake on the command line.
fn known(text: &str) -> Result<String, String> {
    match Signal::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("no such signal: a name as TERM, or a number".to_owned()),
    }
}
