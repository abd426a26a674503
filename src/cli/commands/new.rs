//! x
use crate::cli::{Outcome, Session};
/// Make a program from a command
#[derive(Debug, clap::Args)]
pub struct Args {}
/// x
pub fn run(_args: &Args, _session: &Session) -> Outcome {
    Ok(0)
}
