//! `visorctl wait`: waits for what others did to have its effect.

use crate::api::v1::{Until, WaitRequest, path};
use crate::cli::report::{self, Manner};
use crate::cli::waiting::{self, Question};
use crate::cli::{Outcome, Session, ask};
use std::time::Duration;

/// Wait until programs run, ended or are stopped
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs: NAME, GROUP:NAME, GROUP:* or all
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Until they run (this is what is done without an option)
    #[arg(long, group = "until")]
    ready: bool,
    /// Until they ended, by themselves or not
    #[arg(long, group = "until")]
    exit: bool,
    /// Until they are down and stay so
    #[arg(long, group = "until")]
    stopped: bool,
    /// Wait no longer than this (30s, 5m)
    #[arg(long, value_name = "TIME", value_parser = waiting::duration)]
    timeout: Option<Duration>,
    /// Show the results as JSON
    #[arg(long)]
    json: bool,
}

/// Waits.
///
/// # Errors
/// When there is no daemon, or it takes too long.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let (until, done) = match args {
        Args { exit: true, .. } => (Until::Exited, "exited"),
        Args { stopped: true, .. } => (Until::Stopped, "stopped"),
        _ => (Until::Running, "running"),
    };
    let body =
        WaitRequest { names: args.names.clone(), until, timeout_ms: waiting::milliseconds(args.timeout) };
    let what = ask::summary("wait for", &args.names);
    let question = Question { path: path::WAIT, what: &what, timeout: args.timeout };
    let reply = waiting::submit(session, &mut session.connect()?, &question, &body)?;
    report::processes(session, &reply, Manner { done, needs_running: true, json: args.json })
}
