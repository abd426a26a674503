//! `status --watch`: the list as it is now, pushed by the daemon's events and not asked for again and again.
//!
//! On a terminal the list is drawn again when something happened; elsewhere each change is a line. A reactor that dies is
//! waited for. Only the end of the daemon, Ctrl-C or a reader that goes away end it. Example: `watch::run(&names, false,
//! session)`.

use super::commands::status;
use super::{Outcome, Problem, Session, exit, table};
use crate::api::names::Namespec;
use crate::api::v1::{Process, StatusReply, Version, path};
use crate::client::{Connection, Failure, Stream, Wait, wait};
use crate::model::State;
use crate::sys::terminal;
use jiff::Zoned;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The least time between two drawings: nobody reads faster, and a thousand changes at once are one drawing.
const REDRAW_PAUSE: Duration = Duration::from_millis(100);

/// The longest time in which a daemon that runs must begin to answer again: its next reactor takes milliseconds.
const RETURN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long until it is tried again.
const RETURN_PAUSE: Duration = Duration::from_millis(50);

/// Longest event in bytes that is waited for to be complete: far above all that a daemon sends.
const EVENT_MAX_BYTES: usize = 1 << 20;

/// Lines of a terminal that the list leaves free: the line above it, and that of the cursor.
const ROWS_FREE: usize = 2;

/// What puts a terminal's other screen in the place of the usual one, without a cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What is watched.
struct Watch<'s> {
    session: &'s Session,
    names: Vec<String>,
    json: bool,
    /// The daemon: one with another keeper is another daemon.
    keeper: i32,
    stream: Stream,
    events: Events,
    /// The states that were shown last.
    shown: BTreeMap<String, State>,
}

/// Shows the list until there is nothing more to show.
///
/// # Errors
/// When there is no daemon, or it has ended.
pub(super) fn run(names: &[String], json: bool, session: &Session) -> Outcome {
    let (keeper, stream) = listen(session.connect()?)?;
    let mut watch = Watch {
        session,
        names: names.to_vec(),
        json,
        keeper,
        stream,
        events: Events::default(),
        shown: BTreeMap::new(),
    };
    // Caught from now on: Ctrl-C must not leave the terminal's other screen behind.
    let _caught = session.interrupt();
    let on_terminal = session.screen.data_on_terminal && !json;
    if !on_terminal {
        return watch.tell_lines();
    }
    session.screen.ready(ENTER.as_bytes());
    let ended = watch.draw_on();
    session.screen.ready(LEAVE.as_bytes());
    ended
}

/// Begins to listen; returns which daemon it is too.
fn listen(mut connection: Connection) -> Result<(i32, Stream), Failure> {
    let version: Version = connection.get(path::VERSION)?;
    Ok((version.pid, connection.listen(path::EVENTS)?))
}

impl Watch<'_> {
    /// Draws the list whenever something happened, until Ctrl-C.
    fn draw_on(&mut self) -> Outcome {
        loop {
            let status = self.ask()?;
            if !self.session.screen.stream(self.drawing(&status).as_bytes()) {
                return Ok(exit::OK);
            }
            wait::pause(REDRAW_PAUSE);
            if self.happened()?.is_none() {
                return Ok(exit::OK);
            }
        }
    }

    fn drawing(&self, status: &StatusReply) -> String {
        let screen = &self.session.screen;
        let rows = terminal::rows(std::io::stdout()).unwrap_or(usize::MAX).saturating_sub(ROWS_FREE);
        let list = table::lines(&status.processes, screen);
        let count = status.processes.len();
        let hidden = count.saturating_sub(rows);
        let more = if hidden == 0 { String::new() } else { format!(", {hidden} more below") };
        let now = Zoned::now().strftime("%H:%M:%S");
        let mut text = format!("\x1b[Hvisord {}, {count} programs, as of {now}{more}\x1b[K\n", self.keeper);
        list.lines().take(rows).for_each(|line| text.extend([line, "\x1b[K\n"]));
        text.push_str("\x1b[J");
        text
    }

    /// Tells each change in a line, until Ctrl-C or until nobody reads any more.
    fn tell_lines(&mut self) -> Outcome {
        let mut changes = self.differences()?;
        loop {
            let is_read = match (self.json, changes.is_empty()) {
                (_, true) => true,
                (true, false) => changes.iter().all(|process| self.say(&json_line(process))),
                (false, false) => {
                    let lines = table::lines(&changes, &self.session.screen);
                    self.session.screen.stream(lines.as_bytes())
                }
            };
            if !is_read {
                return Ok(exit::OK);
            }
            let Some(happened) = self.happened()? else { return Ok(exit::OK) };
            changes = if happened.iter().any(Option::is_none) {
                self.differences()?
            } else {
                happened.into_iter().flatten().filter_map(|change| self.take(change)).collect()
            };
        }
    }

    fn say(&self, line: &str) -> bool {
        self.session.screen.stream(format!("{line}\n").as_bytes())
    }

    /// Returns the processes whose state is not what was told last.
    fn differences(&mut self) -> Result<Vec<Process>, Problem> {
        let mut processes = self.ask()?.processes;
        processes.retain(|process| {
            self.shown.insert(process.namespec.clone(), process.state) != Some(process.state)
        });
        Ok(processes)
    }

    /// Returns a process as a change of it says; nothing for one that is not watched.
    fn take(&mut self, change: Change) -> Option<Process> {
        let names = &self.names;
        let is_wanted = names.is_empty()
            || names.iter().any(|name| Namespec::parse(name).covers(&change.group, &change.name));
        let before = self.shown.insert(change.namespec.clone(), change.state());
        let description = match change.pid {
            0 => change.cause.clone(),
            pid if change.cause.is_empty() => format!("pid {pid}"),
            pid => format!("pid {pid}, {}", change.cause),
        };
        (is_wanted && before != Some(change.state())).then(|| Process {
            state: change.state(),
            statecode: change.state().code(),
            group: change.group,
            name: change.name,
            namespec: change.namespec,
            pid: change.pid,
            actor: change.actor,
            cause: change.cause,
            description,
            ..Process::default()
        })
    }

    /// Asks for the list.
    fn ask(&mut self) -> Result<StatusReply, Problem> {
        let target = status::target(&self.names, self.json);
        let since = Instant::now();
        loop {
            match self.session.connect()?.get(&target) {
                Err(Failure::Lost(_)) if since.elapsed() < RETURN_TIMEOUT => wait::pause(RETURN_PAUSE),
                reply => return Ok(reply?),
            }
        }
    }

    /// Waits until something happened: changes, or nothing in the place of what was missed. None after Ctrl-C.
    fn happened(&mut self) -> Result<Option<Vec<Option<Change>>>, Problem> {
        loop {
            let bytes = match self.stream.begun() {
                begun if !begun.is_empty() => Ok(begun),
                _ => self.wait(),
            };
            let happened = match bytes {
                Ok(bytes) => self.events.feed(&bytes),
                Err(Failure::Interrupted) => return Ok(None),
                Err(failure @ Failure::NotUnderstood(_)) => return Err(failure.into()),
                Err(_) => {
                    self.listen_again()?;
                    vec![None]
                }
            };
            if !happened.is_empty() {
                return Ok(Some(happened));
            }
        }
    }

    fn wait(&mut self) -> Result<Vec<u8>, Failure> {
        let interrupt = self.session.interrupt().map(AsFd::as_fd);
        let mut wait = Wait { timeout: None, interrupt, tick: None };
        wait.readable(&self.stream, Instant::now())?;
        let bytes = self.stream.read()?;
        if self.stream.has_ended() { Err(Failure::Lost("it ended".to_owned())) } else { Ok(bytes) }
    }

    /// Listens to the next reactor of the same daemon.
    fn listen_again(&mut self) -> Result<(), Problem> {
        let gone = || Problem::new(exit::ABSENT, "error: visord has ended");
        let since = Instant::now();
        loop {
            match listen(self.session.connect().map_err(|_| gone())?) {
                Ok((keeper, _)) if keeper != self.keeper => return Err(gone()),
                Ok((_, stream)) => {
                    (self.stream, self.events) = (stream, Events::default());
                    return Ok(());
                }
                Err(Failure::Lost(_)) if since.elapsed() < RETURN_TIMEOUT => wait::pause(RETURN_PAUSE),
                Err(Failure::Lost(_)) => return Err(gone()),
                Err(failure) => return Err(failure.into()),
            }
        }
    }
}

fn json_line(process: &Process) -> String {
    serde_json::to_string(process).unwrap_or_default()
}

/// A change of state, as an event tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Change {
    group: String,
    name: String,
    namespec: String,
    to: String,
    pid: i32,
    actor: String,
    cause: String,
}

impl Change {
    fn state(&self) -> State {
        let row = crate::model::state::STATES.iter().find(|row| row.1 == self.to);
        row.map_or(State::Unknown, |row| row.0)
    }
}

/// Takes events out of bytes as they come.
#[derive(Debug, Default)]
struct Events {
    buffer: Vec<u8>,
}

impl Events {
    /// Takes bytes; returns the changes that they complete, and nothing in the place of events that were missed.
    fn feed(&mut self, bytes: &[u8]) -> Vec<Option<Change>> {
        self.buffer.extend_from_slice(bytes);
        let mut changes = Vec::new();
        while let Some(end) = memchr::memmem::find(&self.buffer, b"\n\n") {
            let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
            changes.extend(read(&event));
        }
        if self.buffer.len() > EVENT_MAX_BYTES {
            self.buffer.clear();
            changes.push(None);
        }
        changes
    }
}

/// Reads an event; nothing of one that says nothing of states.
fn read(event: &[u8]) -> Option<Option<Change>> {
    let field = |name: &[u8]| {
        let lines = event.split(|&byte| byte == b'\n');
        lines.filter_map(|line| line.strip_prefix(name)).next().map(|value| value.trim_ascii())
    };
    match field(b"event:")? {
        b"process_state" => Some(serde_json::from_slice(field(b"data:")?).ok()),
        b"dropped" => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_however_they_are_cut_and_what_was_missed_is_known() {
        let bytes = b"id: 1\nevent: process_state\ndata: {\"namespec\":\"web\",\"to\":\"RUNNING\",\"pid\":7,\"new\":1}\n\n\
            id: 2\nevent: remote_communication\ndata: {}\n\nevent: dropped\ndata: {\"count\":2}\n\n";
        for size in 1..bytes.len() {
            let mut events = Events::default();
            let changes: Vec<_> = bytes.chunks(size).flat_map(|piece| events.feed(piece)).collect();
            assert_eq!(changes.len(), 2, "{size}");
            let change = changes[0].clone().unwrap_or_default();
            assert_eq!((change.namespec.as_str(), change.state(), change.pid), ("web", State::Running, 7));
            assert_eq!(changes[1], None);
        }
    }

    #[test]
    fn an_event_without_an_end_is_given_up_at_the_limit() {
        let mut events = Events::default();
        assert!(events.feed(&vec![b'x'; EVENT_MAX_BYTES]).is_empty());
        assert_eq!(events.feed(b"x"), [None]);
        assert!(events.buffer.is_empty());
    }
}
