//! `visorctl stop`: stops programs.

use crate::api::v1::path;
use crate::cli::ask::{self, Ask, Verb};
use crate::cli::{Outcome, Session};

/// Stop programs and wait until they are down
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
}

/// Stops the programs.
///
/// # Errors
/// When there is no daemon, or it takes too long.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let verb = Verb { name: "stop", path: path::STOP, done: "stopped" };
    ask::carry_out(&args.ask, session, session.connect()?, verb)
}
