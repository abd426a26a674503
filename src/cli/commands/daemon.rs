//! `visorctl daemon`: the daemon itself: start, stop, status, restart, and the login that programs begin with.

mod refresh;

use super::shutdown;
use crate::api::v1::{ConfigState, Daemon, Server, StatusReply, path};
use crate::cli::{Outcome, Problem, Session, exit};
use crate::client::Connection;

/// The phase of a daemon that stops its programs and goes.
const ENDING: &str = "shutting_down";

/// What to do with the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Act {
    /// Start it, unless it runs.
    Start,
    /// Stop all programs and end it.
    Stop,
    /// Show pids, sockets and configuration.
    Status,
    /// Stop all programs, end it, and start it anew.
    Restart,
    /// Ask for the variables of a login anew, with which programs begin.
    RefreshEnv,
}

/// Start, stop or show the daemon itself
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    act: Act,
    /// With status and refresh-env: show it as JSON
    #[arg(long)]
    json: bool,
    /// With start: even inside a batch job, which ends it
    #[arg(long)]
    here: bool,
    /// With refresh-env: only show which variables would change
    #[arg(long)]
    dry_run: bool,
}

/// Does it.
///
/// # Errors
/// When there is no daemon, or none can be started.
pub fn run(args: &Args, session: &Session) -> Outcome {
    match args.act {
        Act::Start => start(session, args.here),
        Act::Status => status(session, args.json),
        Act::RefreshEnv => refresh::run(session, args.dry_run, args.json),
        Act::Stop => {
            shutdown::end(session, session.connect()?, false, None)?;
            session.screen.data("visord: stopped");
            Ok(exit::OK)
        }
        Act::Restart => {
            if let Ok(connection) = session.places()?.connect() {
                refuse_particular(session)?;
                shutdown::end(session, connection, false, None)?;
            }
            start(session, args.here)
        }
    }
}

fn refuse_particular(session: &Session) -> Result<(), Problem> {
    match &session.config {
        _ if !session.is_particular() => Ok(()),
        Some(file) => Err(Problem::usage(format!("error: start it yourself: visord -c {}", file.display()))),
        None => {
            Err(Problem::usage("error: it is not known which daemon belongs to a socket: leave --socket out"))
        }
    }
}

fn start(session: &Session, here: bool) -> Outcome {
    let places = session.places()?;
    if let Ok(mut connection) = places.connect() {
        let daemon = of(&mut connection)?;
        if daemon.phase != ENDING {
            session.screen.message("visord: already started");
            return Ok(exit::OK);
        }
        refuse_particular(session)?;
        shutdown::await_end(session, connection, daemon.pid, None)?;
    }
    refuse_particular(session)?;
    session.start(&places, here)?;
    session.screen.data("visord: started");
    Ok(exit::OK)
}

fn status(session: &Session, json: bool) -> Outcome {
    let daemon = of(&mut session.connect()?)?;
    if json {
        session.screen.json(&serde_json::to_string(&daemon).unwrap_or_default());
    } else {
        lines(&daemon).iter().for_each(|line| session.screen.data(line));
    }
    Ok(if daemon.config.state == ConfigState::Bad { exit::REFUSED } else { exit::OK })
}

/// Asks the daemon about itself.
fn of(connection: &mut Connection) -> Result<Daemon, Problem> {
    let status: StatusReply = connection.get(&format!("{}?view=short", path::STATUS))?;
    Ok(status.daemon)
}

fn lines(daemon: &Daemon) -> Vec<String> {
    let line = |name: &str, value: &str| format!("{name:<14} {value}");
    let state = match daemon.config.state {
        ConfigState::Ok => "in force",
        ConfigState::Bad => "has mistakes, the last good one stays in force",
        ConfigState::Pending if !daemon.config.waits_for_apply.is_empty() => {
            "changed, waits for visorctl apply"
        }
        ConfigState::Pending if daemon.config.waits_for_restart.is_empty() => {
            "changed, waits for visorctl update"
        }
        ConfigState::Pending if daemon.config.waits_for_update => {
            "changed, waits for visorctl update and for a restart of visord"
        }
        ConfigState::Pending => "changed, waits for a restart of visord",
    };
    let is_bad = daemon.config.state == ConfigState::Bad;
    let since = if is_bad { super::status::since(&daemon.config) } else { String::new() };
    let mut lines = vec![
        line("visord", &format!("{}, {}", daemon.version, daemon.phase.replace('_', " "))),
        line("pid", &format!("{} (reactor {})", daemon.pid, daemon.reactor_pid)),
        line("instance", &daemon.instance),
        line("configuration", &format!("{}: {state}{since}", files(daemon))),
    ];
    lines.extend(daemon.config.problems.iter().map(|problem| line("", problem)));
    lines.extend(daemon.config.waits_for_apply.iter().map(|waiting| line("", waiting)));
    if !daemon.config.waits_for_restart.is_empty() {
        let keys = daemon.config.waits_for_restart.join(" ");
        lines.push(line("", &format!("changed in [supervisord]: {keys}")));
    }
    lines.extend(daemon.sockets.iter().map(|socket| line("socket", socket)));
    lines.extend(daemon.servers.iter().map(|server| line("server", &server_text(server))));
    lines.push(line("lock", &daemon.lock));
    lines.push(line("log", &daemon.log));
    lines
}

fn server_text(server: &Server) -> String {
    let Server { section, address, open, text } = server;
    if *open { format!("{address} [{section}]") } else { format!("{address} [{section}], closed: {text}") }
}

/// Names the main file, which a user's own daemon need not have, and how many files were read.
fn files(daemon: &Daemon) -> String {
    let count = match daemon.config.files {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    if daemon.config.file.is_empty() { count } else { format!("{} ({count})", daemon.config.file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_known_has_a_line() {
        let mut daemon = Daemon {
            pid: 1,
            reactor_pid: 2,
            version: "0.1.0".into(),
            instance: "default".into(),
            phase: "shutting_down".into(),
            sockets: vec!["/s".into(), "/t".into()],
            servers: vec![
                Server {
                    section: "inet_http_server".into(),
                    address: "*:9001".into(),
                    text: "why".into(),
                    open: false,
                },
                Server {
                    section: "unix_http_server".into(),
                    address: "/u".into(),
                    open: true,
                    ..Server::default()
                },
            ],
            lock: "/l".into(),
            log: "/v.log".into(),
            ..Daemon::default()
        };
        daemon.config.file = "/c".into();
        daemon.config.files = 3;
        daemon.config.state = ConfigState::Bad;
        daemon.config.problems = vec!["/c:1: error: x".into()];
        let expected = "visord         0.1.0, shutting down
pid            1 (reactor 2)
instance       default
configuration  /c (3 files): has mistakes, the last good one stays in force
               /c:1: error: x
socket         /s
socket         /t
server         *:9001 [inet_http_server], closed: why
server         /u [unix_http_server]
lock           /l
log            /v.log";
        assert_eq!(lines(&daemon).join("\n"), expected);
    }
}
