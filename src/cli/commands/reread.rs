//! `visorctl reread`: reads the configuration and tells what `update` would change.

use crate::api::v1::{ChangedGroup, Cost, Reread, path};
use crate::cli::{Outcome, Session, exit, report};
use crate::client::Wait;
use crate::client::http::parse;

/// Read the configuration and show what update would change
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the result as JSON
    #[arg(long)]
    json: bool,
}

/// Shows what would change.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let reply = session.connect()?.submit(path::REREAD, &serde_json::json!({}), &mut Wait::default())?;
    let reread: Reread = parse(&reply)?;
    if args.json {
        session.screen.json(&String::from_utf8_lossy(&reply.body));
    } else {
        show(session, &reread);
    }
    Ok(if reread.ok { exit::OK } else { exit::REFUSED })
}

fn show(session: &Session, reread: &Reread) {
    reread.diagnostics.iter().for_each(|diagnostic| session.screen.message(&diagnostic.to_string()));
    if !reread.ok {
        session.screen.message("error: the configuration has mistakes, so nothing would change");
        return;
    }
    report::daemon_keys(session, &reread.daemon, "changed, without a restart");
    let mut lines: Vec<(&str, String)> = Vec::new();
    lines.extend(reread.added.iter().map(|group| (group.as_str(), "available".to_owned())));
    lines.extend(reread.removed.iter().map(|group| (group.as_str(), "disappeared".to_owned())));
    let remark =
        |group: &ChangedGroup| if session.screen.data_on_terminal { detail(group) } else { String::new() };
    lines.extend(
        reread.changed.iter().map(|group| (group.group.as_str(), format!("changed{}", remark(group)))),
    );
    lines.sort();
    for (group, what) in &lines {
        session.screen.data(&format!("{group}: {what}"));
    }
    if lines.is_empty() {
        session.screen.data("No config updates to processes");
    }
}

/// Names the keys, and what applying them costs.
fn detail(group: &ChangedGroup) -> String {
    let of = |cost: Cost| match cost {
        Cost::Live => "without a restart",
        Cost::Restart => "restarts it",
        Cost::Daemon => "needs a restart of visord",
    };
    let parts: Vec<String> = group
        .processes
        .iter()
        .map(|process| format!("{}: {}, {}", process.name, process.keys.join(" "), of(process.cost)))
        .collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::ChangedProcess;

    #[test]
    fn a_change_is_told_with_its_keys_and_its_cost() {
        let process =
            |cost| ChangedProcess { name: "p".into(), keys: vec!["command".into(), "umask".into()], cost };
        let group = |cost| ChangedGroup { group: "g".into(), processes: vec![process(cost)] };
        assert_eq!(detail(&group(Cost::Live)), " (p: command umask, without a restart)");
        assert_eq!(detail(&group(Cost::Restart)), " (p: command umask, restarts it)");
        assert_eq!(detail(&group(Cost::Daemon)), " (p: command umask, needs a restart of visord)");
        assert_eq!(detail(&ChangedGroup::default()), "");
    }
}
