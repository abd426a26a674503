//! `visorctl shutdown`: ends every program and the daemon.

use crate::api::v1::{Done, Version, path};
use crate::cli::waiting::{self, Question};
use crate::cli::{Outcome, Problem, Session, exit};
use crate::client::{Connection, Places, Wait, wait};
use std::time::{Duration, Instant};

/// How long until it is looked again whether the daemon has gone.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// Stop all programs and end the daemon
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Return at once; it goes on
    #[arg(long)]
    no_wait: bool,
    /// Wait no longer than this (30s, 5m); it goes on
    #[arg(long, value_name = "TIME", value_parser = waiting::duration)]
    timeout: Option<Duration>,
}

/// Ends the daemon.
///
/// # Errors
/// When there is none, or it takes too long.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let connection = session.connect()?;
    end(session, connection, args.no_wait, args.timeout)?;
    session.screen.data("Shut down");
    Ok(exit::OK)
}

/// Ends the daemon at the other end and waits until it has gone.
pub(super) fn end(
    session: &Session,
    mut connection: Connection,
    no_wait: bool,
    timeout: Option<Duration>,
) -> Result<(), Problem> {
    let version: Version = connection.get(path::VERSION)?;
    let _: Done = connection.post(path::SHUTDOWN, &serde_json::json!({}), &mut Wait::default())?;
    if no_wait {
        return Ok(());
    }
    await_end(session, connection, version.pid, timeout)
}

/// Waits until the daemon at the other end, whose keeper has this pid, has gone.
pub(super) fn await_end(
    session: &Session,
    mut connection: Connection,
    pid: i32,
    timeout: Option<Duration>,
) -> Result<(), Problem> {
    let question = Question { path: path::SHUTDOWN, what: "shutdown", timeout };
    let socket = Places::Socket(connection.path().to_path_buf());
    waiting::patiently(session, &question, |wait| connection.closed(wait))?;
    // Its end of the connection goes before the last of its programs, and the keeper, which has the locks, goes last.
    let places = session.places()?;
    let since = Instant::now();
    while answers(&socket, pid) || places.has_process(pid) {
        if timeout.is_some_and(|timeout| since.elapsed() > timeout) {
            return Err(Problem::new(exit::TIMED_OUT, "error: visord still runs, and goes on to shut down"));
        }
        wait::pause(LOOK_PERIOD);
    }
    Ok(())
}

/// Whether it is still that daemon, and not the next, that takes connections.
fn answers(socket: &Places, pid: i32) -> bool {
    let version =
        socket.connect().ok().and_then(|mut connection| connection.get::<Version>(path::VERSION).ok());
    version.is_some_and(|version| version.pid == pid)
}
