//! `visorctl pid`: the pid to signal: the daemon's, or those of programs.

use super::status;
use crate::api::v1::{Process, Version, path};
use crate::cli::{Outcome, Problem, Session, exit, table};
use serde_json::json;

/// Show the pid of the daemon, or of programs (0: not running)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs: NAME, GROUP:NAME, GROUP:* or all; none means the daemon
    names: Vec<String>,
    /// Show the pids as JSON
    #[arg(long)]
    json: bool,
}

/// Shows the pids.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    if let (Some(owner), true) = (&session.owner, args.names.is_empty()) {
        let what = format!("error: say of which programs: visorctl --owner {owner} pid NAME");
        return Err(Problem::usage(what));
    }
    let mut connection = session.connect()?;
    if args.names.is_empty() {
        let version: Version = connection.get(path::VERSION)?;
        if args.json {
            session.screen.json(&json!({"pid": version.pid, "reactor_pid": version.reactor_pid}).to_string());
        } else {
            session.screen.data(&version.pid.to_string());
        }
        return Ok(exit::OK);
    }
    let status = status::ask(session, &mut connection, &args.names, true)?;
    if args.json {
        let pids = status.processes.iter().map(|process| (process.namespec.clone(), json!(process.pid)));
        session.screen.json(&serde_json::Value::Object(pids.collect()).to_string());
    } else {
        status.processes.iter().for_each(|process| session.screen.data(&process.pid.to_string()));
    }
    Ok(match () {
        () if !status.missing.is_empty() => exit::ABSENT,
        () if status.processes.iter().any(is_missed) => exit::NOT_RUNNING,
        () => exit::OK,
    })
}

/// Whether it has no pid and should have one.
fn is_missed(process: &Process) -> bool {
    process.pid == 0 && table::should_run(process)
}
