//! `visorctl apply`: shows what changed in the configuration, and puts it in force.

use crate::api::v1::{ApplyRequest, GroupResults, path};
use crate::cli::waiting::{self, Question};
use crate::cli::{Outcome, Session, exit, report};
use crate::client::http::parse;

/// Show what changed in the configuration, and apply it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Groups; none, or all, means every one
    groups: Vec<String>,
    /// Only show what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Show the plan and the results as JSON
    #[arg(long)]
    json: bool,
}

/// Shows the plan, and carries it out.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let every = args.groups.iter().any(|group| group == "all");
    let groups = if every { Vec::new() } else { args.groups.clone() };
    let request = ApplyRequest { groups, dry_run: args.dry_run };
    let question = Question { path: path::APPLY, what: "apply", timeout: None };
    let reply = waiting::submit(session, &mut session.connect()?, &question, &request)?;
    let answer: GroupResults = parse(&reply)?;
    if args.json || !answer.ok {
        return report::groups(session, &reply, args.json);
    }
    answer.diagnostics.iter().for_each(|diagnostic| session.screen.message(&diagnostic.to_string()));
    answer.plan.iter().for_each(|step| session.screen.data(&step.to_string()));
    let done = if args.dry_run { "changed, without a restart" } else { "changed without a restart" };
    report::daemon_keys(session, &answer.daemon, done);
    let failed: Vec<_> = answer.results.iter().filter(|result| report::is_failure(result.action)).collect();
    let worst = failed.iter().map(|result| report::tell_group(&session.screen, result)).max();
    if answer.plan.is_empty() && answer.daemon.is_empty() && failed.is_empty() {
        session.screen.data("everything is in force");
    } else if args.dry_run && !answer.plan.is_empty() {
        session.screen.message("nothing was changed (without --dry-run it is)");
    }
    Ok(worst.unwrap_or(exit::OK))
}
