//! `visorctl help`: the daily verbs in groups, and the rest on demand.

use crate::cli::{Outcome, Problem, Session, exit};

/// Verbs in groups; the groups behind the first one are for `--all`.
pub const GROUPS: [(&str, &[(&str, &str)]); 5] = [
    (
        "daily",
        &[
            ("status", "show the state of programs"),
            ("start", "start programs and wait until they run"),
            ("stop", "stop programs"),
            ("restart", "stop and start programs"),
            ("logs", "show what programs wrote, and follow it (-f)"),
            ("why", "tell why a program is where it is, and what to do"),
            ("new", "make a program from a command"),
            ("edit", "change a program's file, checked before it counts"),
            ("enable", "let programs start by themselves again"),
            ("disable", "keep programs from starting by themselves on this host"),
        ],
    ),
    (
        "configuration",
        &[
            ("check", "show every mistake in configuration files"),
            ("apply", "apply what the files say, or show what it would change (--dry-run)"),
            ("reread", "show what update would change"),
            ("update", "apply what changed"),
            ("add", "activate groups that reread found"),
            ("remove", "take stopped groups out of force"),
            ("avail", "show every program of the configuration"),
            ("config", "show the keys, a program's settings, or where the files are"),
            ("delete", "take a program away that new made; --undo brings it back"),
            ("reload", "asks what is meant by it"),
        ],
    ),
    (
        "look",
        &[
            ("history", "show what happened to programs, and who did it"),
            ("tail", "show the end of one log"),
            ("env", "show the environment of a program, and its sources"),
            ("pid", "show the pid of the daemon, or of programs"),
            ("version", "show the version of the daemon"),
            ("help", "show this, and with --all everything"),
        ],
    ),
    (
        "control",
        &[
            ("wait", "wait until programs run, ended or are stopped"),
            ("signal", "send a signal to programs"),
            ("clear", "empty the logs of programs"),
            ("daemon", "start, stop or show the daemon itself"),
            ("shutdown", "stop all programs and end the daemon"),
        ],
    ),
    (
        "machine",
        &[
            ("boot", "have visord started at boot, without root"),
            ("doctor", "tell what survives logout and reboot here, and what is wrong"),
            ("completions", "show what makes a shell complete visorctl"),
        ],
    ),
];

/// Show the verbs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show every verb, and the exit codes
    #[arg(long)]
    all: bool,
    /// The verb to show
    verb: Option<String>,
}

/// Shows help.
///
/// # Errors
/// When there is no such verb.
pub fn run(args: &Args, session: &Session) -> Outcome {
    match &args.verb {
        None => session.screen.ready(text(args.all).as_bytes()),
        Some(verb) => session.screen.data(&line(verb)?),
    }
    Ok(exit::OK)
}

fn line(verb: &str) -> Result<String, Problem> {
    let all = GROUPS.iter().flat_map(|(_, verbs)| verbs.iter());
    let words = all.clone().find(|(name, _)| *name == verb).map(|(_, words)| words);
    let words = words
        .ok_or_else(|| Problem::usage(format!("error: there is no verb {verb} (visorctl help --all)")))?;
    Ok(format!("{verb}: {words} (visorctl {verb} --help shows its options)"))
}

fn text(all: bool) -> String {
    let mut text = String::from("visorctl VERB [options] [NAME...]   NAME, GROUP:NAME, GROUP:* or all\n");
    for (group, verbs) in GROUPS.iter().take(if all { GROUPS.len() } else { 1 }) {
        text.push_str(&format!("\n{group}\n"));
        verbs.iter().for_each(|(verb, words)| text.push_str(&format!("  {verb:<10} {words}\n")));
    }
    if all {
        text.push_str("\nexit codes\n");
        exit::TABLE.iter().for_each(|(code, meaning)| text.push_str(&format!("  {code:<10} {meaning}\n")));
    } else {
        text.push_str("\nvisorctl help --all shows the rest, visorctl VERB --help the options of one.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daily_verbs_come_first_and_the_rest_on_demand() {
        assert!(text(false).contains("\n  status ") && !text(false).contains("shutdown"));
        assert!(
            text(true).contains("\n  shutdown ")
                && text(true).contains("\n  7          a program failed to start")
        );
        assert!(line("why").is_ok_and(|line| line.starts_with("why: tell why")) && line("nope").is_err());
    }
}
