//! `visorctl start`: starts programs, and the daemon before them where there is none.

use crate::api::v1::path;
use crate::cli::ask::{self, Ask, Verb};
use crate::cli::{Outcome, Session};

/// Start programs and wait until they run
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
    /// Start the daemon even inside a batch job, which ends it
    #[arg(long)]
    here: bool,
}

/// Starts the programs.
///
/// # Errors
/// When there is no daemon and none may be started, or it takes too long.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let connection = session.connect_or_start(args.here)?;
    ask::carry_out(&args.ask, session, connection, Verb { name: "start", path: path::START, done: "started" })
}
