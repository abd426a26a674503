//! `visorctl why`: why a program is where it is, with the end of its log and the next step.

use super::{history, status, tail};
use crate::api::names::Namespec;
use crate::api::v1::Process;
use crate::api::v1::history::{Entry, Filter};
use crate::cli::explain::{Circumstances, Explanation, explain, who};
use crate::cli::merge::last_lines;
use crate::cli::{Outcome, Session, exit, table};
use crate::client::Connection;
use crate::sys::identity;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// How many of the latest lines of each log are shown.
const LINES: usize = 10;

/// How many of the latest records of its history are shown.
const EVENTS: usize = 5;

/// How much of each log is looked at, in bytes.
const BYTES: usize = 16 * 1024;

/// Tell why a program is where it is, and what to do
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs: NAME, GROUP:NAME, GROUP:*; none means all that are not as they should be
    names: Vec<String>,
    /// Show the explanation as JSON
    #[arg(long)]
    json: bool,
}

/// The ends of a process's logs.
struct Logs {
    stdout: String,
    stderr: String,
}

/// Explains the programs.
///
/// # Errors
/// When there is no daemon.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let mut connection = session.connect()?;
    let status = status::ask(session, &mut connection, &args.names, true)?;
    let asked = |process: &&Process| !args.names.is_empty() || !table::is_as_meant(process);
    let mut values = Vec::new();
    for process in status.processes.iter().filter(asked) {
        let logs = logs(&mut connection, process);
        let mut explanation = explain(process, &circumstances(&logs));
        // Texts are for the user's own daemon.
        explanation.finding.next = match &session.owner {
            // What is to be done is up to whoever has the configuration.
            Some(owner) => format!("ask {owner}"),
            None => explanation.finding.next.replace("visorctl ", &session.command("")),
        };
        let events = events(&mut connection, process);
        if args.json {
            values.push(value(process, &logs, &explanation, &events));
        } else {
            let mut lines = text(process, &logs, &explanation);
            if !events.is_empty() {
                lines.push("what happened last:".to_owned());
                lines.extend(history::lines(&events).iter().map(|line| format!("  {line}")));
            }
            lines.iter().for_each(|line| session.screen.data(line));
        }
    }
    match values.len() {
        _ if !args.json => {
            if args.names.is_empty() && status.processes.iter().all(table::is_as_meant) {
                session.screen.data("all programs are as they should be");
            }
        }
        1 => session.screen.json(&values.remove(0).to_string()),
        _ => session.screen.json(&Value::Array(values).to_string()),
    }
    Ok(if status.missing.is_empty() { exit::OK } else { exit::ABSENT })
}

/// Reads the ends of the logs; one that cannot be read has no lines.
fn logs(connection: &mut Connection, process: &Process) -> Logs {
    let mut end = |channel: &str, file: &Option<String>| match file {
        None => String::new(),
        Some(_) => {
            let reply = connection.fetch(&tail::target(&process.namespec, channel, BYTES as u64));
            let body = reply.map(|reply| reply.body).unwrap_or_default();
            String::from_utf8_lossy(last_lines(&body, LINES, body.len() >= BYTES)).into_owned()
        }
    };
    Logs { stdout: end("stdout", &process.stdout_log), stderr: end("stderr", &process.stderr_log) }
}

/// Asks for the latest records; a daemon that keeps none has none.
fn events(connection: &mut Connection, process: &Process) -> Vec<Entry> {
    let names = vec![Namespec::parse(&process.namespec)];
    let filter = Filter { names, count: EVENTS, ..Filter::default() };
    history::ask(connection, &filter).map(|history| history.entries).unwrap_or_default()
}

fn circumstances(logs: &Logs) -> Circumstances<'_> {
    Circumstances {
        stdout: &logs.stdout,
        stderr: &logs.stderr,
        uid: identity::uid(),
        zone: TimeZone::system(),
    }
}

fn text(process: &Process, logs: &Logs, explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![explanation.headline.clone()];
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("  {name:<11}{value}"));
        }
    };
    fact("because", &explanation.finding.what);
    fact("command", &process.command);
    fact("directory", process.directory.as_deref().unwrap_or_default());
    fact("set in", &place(process));
    if !process.cause.is_empty() {
        fact("change", &format!("{} (by {})", process.cause, who(process, identity::uid())));
    }
    fact("next", &explanation.finding.next);
    for (name, file, end) in
        [("error output", &process.stderr_log, &logs.stderr), ("output", &process.stdout_log, &logs.stdout)]
    {
        if let (Some(file), false) = (file, end.is_empty()) {
            lines.push(format!("last lines of its {name} ({file}):"));
            lines.extend(end.lines().map(|line| format!("  | {line}")));
        }
    }
    lines
}

fn place(process: &Process) -> String {
    match process.config_line {
        0 => process.config_file.clone(),
        line => format!("{}:{line}", process.config_file),
    }
}

fn value(process: &Process, logs: &Logs, explanation: &Explanation, events: &[Entry]) -> Value {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    json!({
        "namespec": process.namespec,
        "kind": explanation.finding.kind,
        "headline": explanation.headline,
        "because": explanation.finding.what,
        "next": explanation.finding.next,
        "stdout": lines(&logs.stdout),
        "stderr": lines(&logs.stderr),
        "events": events,
        "process": process,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;

    #[test]
    fn the_answer_has_the_cause_the_next_step_and_the_end_of_the_log() {
        let process = Process {
            namespec: "web".into(),
            state: State::Fatal,
            spawn_error: "can't find command '/opt/serve'".into(),
            command: "/opt/serve".into(),
            config_file: "/c/web.conf".into(),
            config_line: 3,
            cause: "too many start retries".into(),
            actor: "policy".into(),
            stderr_log: Some("/log/web.err".into()),
            ..Process::default()
        };
        let logs = Logs { stdout: String::new(), stderr: "a\nb\n".into() };
        let explanation = explain(&process, &circumstances(&logs));
        let expected = "web does not run: it was given up (FATAL)
  because    there is no file /opt/serve
  command    /opt/serve
  set in     /c/web.conf:3
  change     too many start retries (by visord, as its configuration asks)
  next       correct command= in /c/web.conf:3, then: visorctl update
last lines of its error output (/log/web.err):
  | a
  | b";
        assert_eq!(text(&process, &logs, &explanation).join("\n"), expected);
        assert_eq!(value(&process, &logs, &explanation, &[])["kind"], "command_not_found");
    }
}
