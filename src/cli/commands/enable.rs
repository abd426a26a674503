//! `visorctl enable`: what was disabled starts by itself again.

use super::disable::{self, Which};
use crate::api::v1::path;
use crate::cli::ask::{self, Verb};
use crate::cli::{Outcome, Session};

/// Let programs that were disabled start by themselves again
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// With --now: start the daemon even inside a batch job, which ends it
    #[arg(long, requires = "now")]
    here: bool,
}

/// Enables programs.
///
/// # Errors
/// When that cannot be kept, or there is no such program.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let which = &args.which;
    let code = match disable::daemon(session)? {
        Some(mut connection) => disable::mark(which, session, &mut connection, ENABLE)?,
        None => disable::without_daemon(which, session, false)?,
    };
    if !which.now {
        return Ok(code);
    }
    let connection = session.connect_or_start(args.here)?;
    let start = Verb { name: "start", path: path::START, done: "started" };
    Ok(code.max(ask::carry_out(&which.ask(), session, connection, start)?))
}

const ENABLE: Verb = Verb { name: "enable", path: path::ENABLE, done: "enabled" };
