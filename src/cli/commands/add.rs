//! `visorctl add`: activates groups of the configuration that was read last.

use crate::api::v1::path;
use crate::cli::ask::{self, AskGroups};
use crate::cli::{Outcome, Session};

/// Activate groups that reread found
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: AskGroups,
}

/// Activates the groups.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    ask::change_groups(&args.ask, session, path::ADD, "add")
}
