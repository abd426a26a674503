//! `visorctl completions`: the lines that a shell reads to complete `visorctl`.

use crate::cli::completion::SHELLS;
use crate::cli::{Outcome, Session, exit};

/// Show what makes a shell complete visorctl
#[derive(Debug, clap::Args)]
pub struct Args {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_parser = SHELLS.map(|(name, _)| name))]
    shell: String,
}

/// Shows it.
///
/// # Errors
/// None: the command line takes only shells that are known.
pub fn run(args: &Args, session: &Session) -> Outcome {
    for (_, text) in SHELLS.iter().filter(|(name, _)| *name == args.shell) {
        session.screen.ready(text.as_bytes());
    }
    Ok(exit::OK)
}
