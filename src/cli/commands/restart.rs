//! `visorctl restart`: stops and starts programs; one that does not run is just started.

use crate::api::v1::path;
use crate::cli::ask::{self, Ask, Verb};
use crate::cli::{Outcome, Session};

/// Stop programs, start them, and wait until they run
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
}

/// Restarts the programs.
///
/// # Errors
/// When there is no daemon, or it takes too long.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let verb = Verb { name: "restart", path: path::RESTART, done: "restarted" };
    ask::carry_out(&args.ask, session, session.connect()?, verb)
}
