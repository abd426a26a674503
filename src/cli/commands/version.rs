//! `visorctl version`: the version of the daemon, and whether ours goes with it.

use crate::api::v1::{API, Version, path};
use crate::cli::{Outcome, Problem, Session, exit};
use crate::client::http::parse;

/// Our own version.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// Show the version of the daemon
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show Visor's version, as always (called supervisorctl it would be another)
    #[arg(long, hide = true)]
    visor: bool,
    /// Show versions and pids as JSON
    #[arg(long)]
    json: bool,
}

/// Shows the version.
///
/// # Errors
/// When there is no daemon, or it speaks another version of the API.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let reply = session.connect()?.fetch(path::VERSION)?;
    let version: Version = parse(&reply)?;
    if args.json {
        session.screen.json(&String::from_utf8_lossy(&reply.body));
    } else {
        session.screen.data(&version.version);
    }
    if version.api != API {
        let text = format!("error: visord speaks version {} of the API and visorctl {API}", version.api);
        return Err(Problem::new(exit::VERSION, text));
    }
    if version.version != OWN && !args.json {
        session
            .screen
            .message(&format!("visorctl is {OWN} (visorctl daemon restart brings visord up to date)"));
    }
    Ok(exit::OK)
}
