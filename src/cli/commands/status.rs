//! `visorctl status`: the list of programs, and whether all that should run does.

use crate::api::describe;
use crate::api::http::uri;
use crate::api::v1::{self, ConfigState, StatusReply};
use crate::cli::{Outcome, Problem, Session, exit, report, table, watch};
use crate::client::Connection;
use crate::client::http::parse;
use jiff::tz::TimeZone;

/// Most programs that the line about a waiting change names.
const PENDING_NAMED_MAX: usize = 5;

/// Show the state of programs
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Programs: NAME, GROUP:NAME, GROUP:* or all
    names: Vec<String>,
    /// Show everything that is known, as JSON
    #[arg(long)]
    json: bool,
    /// Go on with what changes, until Ctrl-C or the end of visord
    #[arg(short, long)]
    watch: bool,
}

/// Shows the list.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    if args.watch {
        return watch::run(&args.names, args.json, session);
    }
    let mut connection = session.connect()?;
    let reply = connection.fetch(&target(&args.names, args.json))?;
    let status: StatusReply = parse(&reply)?;
    tell_missing(session, &status);
    if args.json {
        session.screen.json(&String::from_utf8_lossy(&reply.body));
    } else {
        show(session, &status);
    }
    Ok(code(&status))
}

/// Shows the list to somebody who typed nothing but `visorctl`.
///
/// # Errors
/// When there is no daemon.
pub fn bare(session: &Session) -> Outcome {
    let code = run(&Args::default(), session)?;
    if session.screen.messages_on_terminal {
        session.screen.message("(visorctl help shows what else there is)");
    }
    Ok(code)
}

/// Returns what to ask for; a list for people needs little of each process.
pub(in crate::cli) fn target(names: &[String], full: bool) -> String {
    let mut target = v1::path::STATUS.to_owned();
    let mut separator = '?';
    let mut add = |name: &str, value: &str| {
        target.push(separator);
        target.extend([name, "=", &uri::encode(value)]);
        separator = '&';
    };
    if !full {
        add("view", "short");
    }
    if !names.iter().any(|name| name == "all") {
        names.iter().for_each(|name| add("name", name));
    }
    target
}

/// Asks for processes by name, and tells which names stand for nothing.
pub(super) fn ask(
    session: &Session,
    connection: &mut Connection,
    names: &[String],
    full: bool,
) -> Result<StatusReply, Problem> {
    let status: StatusReply = connection.get(&target(names, full))?;
    tell_missing(session, &status);
    Ok(status)
}

fn tell_missing(session: &Session, status: &StatusReply) {
    status.missing.iter().for_each(|name| session.screen.message(&missing(name)));
}

/// Returns what is said of a name that stands for nothing.
fn missing(name: &str) -> String {
    let what = if name.ends_with(":*") || name.ends_with(':') { "group" } else { "process" };
    format!("{name}: ERROR (no such {what})")
}

fn show(session: &Session, status: &StatusReply) {
    session.screen.ready(table::lines(&status.processes, &session.screen).as_bytes());
    if status.processes.is_empty() && status.missing.is_empty() {
        session.screen.message(match &session.owner {
            Some(_) => "none of the programs is there that you may see",
            None => "no programs yet (visorctl new NAME -- COMMAND makes one)",
        });
    }
    tell_config(session, &status.daemon.config);
}

fn tell_config(session: &Session, config: &v1::Config) {
    let problems = match config.problems.as_slice() {
        [] => String::new(),
        [one] => format!(": {one}"),
        [first, rest @ ..] => format!(": {first} (and {} more)", rest.len()),
    };
    match config.state {
        ConfigState::Ok => {}
        ConfigState::Bad => {
            let since = since(config);
            let text =
                format!("the configuration has mistakes{since}, the last good one stays in force{problems}");
            session.screen.message(&text);
            if session.screen.messages_on_terminal {
                session.screen.message(&format!("({} tells what to do)", session.command("doctor")));
            }
        }
        ConfigState::Pending => {
            let waiting = &config.waits_for_apply;
            waiting.iter().for_each(|line| {
                session.screen.message(&format!("a change waits for visorctl apply: {line}"));
            });
            if waiting.is_empty() && (config.waits_for_update || config.waits_for_restart.is_empty()) {
                let who = pending(&config.pending);
                let text = format!("a change of the configuration{who} waits for visorctl update{problems}");
                session.screen.message(&text);
            }
            if !config.waits_for_restart.is_empty() {
                let keys = config.waits_for_restart.join(" ");
                let command = report::restart_of_daemon(session);
                session.screen.message(&format!("a change of [supervisord] {keys} waits for {command}"));
            }
        }
    }
}

/// Returns since when the configuration has been as it is, where that is known.
pub(super) fn since(config: &v1::Config) -> String {
    if config.since_unix <= 0.0 {
        return String::new();
    }
    format!(" since {}", describe::stop_time(config.since_unix as i64, &TimeZone::system()))
}

/// Returns the words for the programs whose change waits, the first few by name.
fn pending(names: &[String]) -> String {
    match names {
        [] => String::new(),
        few if few.len() <= PENDING_NAMED_MAX => format!(" ({})", few.join(" ")),
        many => {
            let named = many[..PENDING_NAMED_MAX].join(" ");
            format!(" ({named} and {} more)", many.len() - PENDING_NAMED_MAX)
        }
    }
}

fn code(status: &StatusReply) -> i32 {
    if !status.missing.is_empty() {
        return exit::ABSENT;
    }
    let well = status.processes.iter().all(table::is_as_meant);
    if well { exit::OK } else { exit::NOT_RUNNING }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_change_names_a_few() {
        let names: Vec<String> = (0..=PENDING_NAMED_MAX).map(|number| number.to_string()).collect();
        assert_eq!(pending(&[]), "");
        assert_eq!(pending(&names[..PENDING_NAMED_MAX]), " (0 1 2 3 4)");
        assert_eq!(pending(&names), " (0 1 2 3 4 and 1 more)");
    }

    #[test]
    fn names_are_asked_for_as_they_are() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (asked, full, expected) in [
            (names(&[]), true, "/v1/status"),
            (names(&[]), false, "/v1/status?view=short"),
            (names(&["all", "web"]), true, "/v1/status"),
            (names(&["g:*", "a b"]), true, "/v1/status?name=g%3A%2A&name=a%20b"),
        ] {
            assert_eq!(target(&asked, full), expected);
        }
    }
}
