//! `visorctl remove`: takes groups out of force whose programs are stopped.

use crate::api::v1::path;
use crate::cli::ask::{self, AskGroups};
use crate::cli::{Outcome, Session};

/// Take stopped groups out of force
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: AskGroups,
}

/// Removes the groups.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    ask::change_groups(&args.ask, session, path::REMOVE, "remove")
}
