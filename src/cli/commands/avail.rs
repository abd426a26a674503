//! `visorctl avail`: what the configuration has, active or not, in supervisorctl's columns.

use crate::api::v1::{Avail, Available, path};
use crate::cli::{Outcome, Session, exit};
use crate::client::http::parse;

/// Show every program of the configuration
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the list as JSON
    #[arg(long)]
    json: bool,
}

/// Shows the list.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let reply = session.connect()?.fetch(path::AVAIL)?;
    let avail: Avail = parse(&reply)?;
    if args.json {
        session.screen.json(&String::from_utf8_lossy(&reply.body));
    } else {
        let list: String = avail.processes.iter().map(|process| line(process) + "\n").collect();
        session.screen.ready(&session.screen.bytes(list.as_bytes()));
    }
    Ok(exit::OK)
}

fn line(process: &Available) -> String {
    let used = if process.in_use { "in use" } else { "avail" };
    let start = if process.autostart { "auto" } else { "manual" };
    format!("{:<32} {used:<9} {start:<9} {}:{}", process.namespec, process.group_priority, process.priority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_supervisorctls() {
        let process = Available {
            namespec: "g:p".into(),
            in_use: true,
            autostart: false,
            group_priority: 999,
            priority: 1,
            ..Available::default()
        };
        assert_eq!(line(&process), "g:p                              in use    manual    999:1");
    }
}
