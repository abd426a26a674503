//! Answers without an end: how many there may be, and events as they happen.
//!
//! A subscriber of events that is too slow is told how many it missed. The other streams are logs ([`super::follow`]).

use super::ClientId;
use super::connection::STREAM_UNREAD_MAX_BYTES;
use super::follow::Following;
use super::route::required;
use super::show::{actor_text, unix};
use crate::api::http::{Request, reply};
use crate::api::names::{self, Namespec};
use crate::api::v1::{self, ErrorCode, ErrorReply, ProcessResult, ResultStatus};
use crate::core::{Input, Transition};
use crate::daemon::listeners::Outbox;
use crate::daemon::reactor::Reactor;
use crate::model::{ProcessId, State};
use crate::sys::clock;
use std::collections::BTreeMap;
use std::io::Write as _;

/// What goes with a stream: nobody between keeps a part of it.
pub(super) const NO_CACHE: [(&str, &str); 1] = [("Cache-Control", "no-cache")];

/// Most answers without an end at once. The rest of the connections stays for short requests: whoever has many logs
/// open can still ask for the state, or for a stop.
pub(super) const STREAMS_MAX: usize = super::CONNECTIONS_MAX - 16;

/// Most of them that others than the owner have, all together.
const VISITOR_STREAMS_MAX: usize = super::VISITORS_MAX / 2;

/// A client that wants to hear of events.
#[derive(Default)]
struct Subscriber {
    dropped: u64,
}

/// Everybody who listens.
#[derive(Default)]
pub(in crate::daemon) struct Subscribers {
    pub(super) followings: BTreeMap<ClientId, Following>,
    /// Followed logs whose files are held open.
    pub(super) files_kept: usize,
    events: BTreeMap<ClientId, Subscriber>,
    serial: u64,
}

impl Reactor {
    /// Goes on with the streams of clients that have read, and forgets those who have gone.
    pub(in crate::daemon) fn tend_streams(&mut self) {
        self.tend_followings();
        self.subscribers.events.retain(|client, _| self.control.has(*client));
        let missed: Vec<ClientId> = self
            .subscribers
            .events
            .iter()
            .filter(|(_, s)| s.dropped > 0)
            .map(|(client, _)| *client)
            .collect();
        missed.into_iter().for_each(|client| self.tell_dropped(client));
    }

    /// Whether there is room for one more answer without an end.
    pub(super) fn may_stream(&self, client: ClientId) -> Result<(), ErrorReply> {
        let of_visitor = self.control.is_visit(client);
        let all = self.subscribers.followings.keys().chain(self.subscribers.events.keys());
        // Those of others take none of the owner's.
        let count = all.filter(|other| self.control.is_visit(**other) == of_visitor).count();
        let most = if of_visitor { VISITOR_STREAMS_MAX } else { STREAMS_MAX };
        if count < most {
            return Ok(());
        }
        let message = format!("{most} logs and event streams are open already");
        Err(ErrorReply::new(ErrorCode::Busy, message, "end a visorctl logs -f or another reader first"))
    }

    pub(super) fn answer_events(&mut self, client: ClientId, _request: &Request) -> Result<(), ErrorReply> {
        self.may_stream(client)?;
        if let Some(connection) = self.control.connection(client) {
            connection.begin_stream(reply::EVENTS, &NO_CACHE);
            self.subscribers.events.insert(client, Subscriber::default());
        }
        Ok(())
    }

    /// Tells everybody who listens of a change of state.
    pub(in crate::daemon) fn tell_transition(&mut self, transition: &Transition) {
        if self.subscribers.events.is_empty() {
            // It counts all the same: whoever comes back sees what was missed.
            self.subscribers.serial += 1;
            return;
        }
        let Transition { group, name, .. } = transition;
        let data = serde_json::json!({
            "group": group,
            "name": name,
            "namespec": names::join(group, name),
            "from": transition.from.name(),
            "to": transition.to.name(),
            "pid": transition.pid,
            "tries": transition.tries,
            "expected": transition.expected,
            "actor": actor_text(transition.actor),
            "cause": transition.cause,
            "at_unix": unix(transition.at),
        });
        self.tell("process_state", &data);
    }

    /// Sends an event to everybody who listens.
    fn tell(&mut self, name: &str, data: &serde_json::Value) {
        self.subscribers.serial += 1;
        let mut event = Vec::new();
        reply::write_event(Some(self.subscribers.serial), name, &data.to_string(), &mut event);
        let clients: Vec<ClientId> = self.subscribers.events.keys().copied().collect();
        for client in clients {
            self.tell_dropped(client);
            let Some(subscriber) = self.subscribers.events.get_mut(&client) else { continue };
            let taken = subscriber.dropped == 0
                && self.control.connection(client).is_some_and(|connection| connection.stream(&event));
            if !taken && let Some(subscriber) = self.subscribers.events.get_mut(&client) {
                subscriber.dropped += 1;
            }
            self.control.flush(client, clock::now());
        }
    }

    /// Tells a subscriber that was too slow how many events it missed, once it reads again.
    fn tell_dropped(&mut self, client: ClientId) {
        let Some(subscriber) = self.subscribers.events.get_mut(&client) else { return };
        let Some(connection) = self.control.connection(client) else { return };
        if subscriber.dropped == 0 || !connection.has_room(STREAM_UNREAD_MAX_BYTES / 2) {
            return;
        }
        let mut event = Vec::new();
        let data = format!("{{\"count\":{}}}", subscriber.dropped);
        reply::write_event(None, "dropped", &data, &mut event);
        if connection.stream(&event) {
            subscriber.dropped = 0;
        }
        self.control.flush(client, clock::now());
    }

    pub(super) fn answer_stdin(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let process = self.one(required(request, "name")?)?;
        let (status, text) = match self.write_stdin(process, &request.body) {
            Ok(()) => (ResultStatus::Done, String::new()),
            Err(StdinError::NotRunning) => (ResultStatus::NotRunning, String::new()),
            Err(StdinError::Closed(why) | StdinError::Full(why)) => (ResultStatus::Failed, why),
        };
        let view = self.process_view(process);
        let namespec = view.as_ref().map(|view| view.namespec.clone()).unwrap_or_default();
        let results = vec![ProcessResult { namespec, status, text, process: view }];
        self.send(client, &v1::Results { results });
        Ok(())
    }

    /// Writes to the standard input of a process, without waiting for it to read: what does not fit into the pipe
    /// follows when there is room.
    pub(super) fn write_stdin(&mut self, process: ProcessId, bytes: &[u8]) -> Result<(), StdinError> {
        let known = self.core.process(process).filter(|process| process.state().shown() != State::Stopping);
        let run = known.and_then(crate::core::Process::run).ok_or(StdinError::NotRunning)?;
        let live = self.runs.table.get(&run).filter(|live| live.alive).ok_or(StdinError::NotRunning)?;
        let closed = || StdinError::Closed("it has no standard input".to_owned());
        let stdin = live.stdin.as_ref().ok_or_else(closed)?;
        let waiting = live.outbox.as_ref().map_or(0, Outbox::len);
        if waiting + bytes.len() > STDIN_WAITING_MAX_BYTES {
            let why = format!("the program does not read: {waiting} bytes wait for it already");
            return Err(StdinError::Full(why));
        }
        // Behind what waits; a listener's events are not cut by it.
        let taken = if waiting == 0 { write_some(stdin, bytes)? } else { 0 };
        if taken < bytes.len() {
            self.send_later(run, &bytes[taken..]);
        }
        Ok(())
    }

    /// Tells everybody who listens what a client wants told.
    pub(super) fn tell_remote_communication(&mut self, kind: &str, data: &str) {
        let event = serde_json::json!({ "type": kind, "data": data });
        self.tell("remote_communication", &event);
        self.inputs.push_back(Input::RemoteEvent { kind: kind.to_owned(), data: data.to_owned() });
    }

    /// Finds the one process that a name stands for.
    pub(super) fn one(&self, name: &str) -> Result<ProcessId, ErrorReply> {
        let spec = Namespec::parse(name);
        match (&spec, self.resolve(&spec).first()) {
            (Namespec::Process { .. }, Some(process)) => Ok(*process),
            _ => {
                let message = format!("there is no process {name}");
                Err(ErrorReply::new(ErrorCode::NoSuchProcess, message, "GET /v1/status lists them"))
            }
        }
    }
}

/// Why a program's standard input did not take what was written.
pub(super) enum StdinError {
    /// It does not run, or is being stopped.
    NotRunning,
    /// Its standard input is closed; holds the words.
    Closed(String),
    /// It does not read as fast; holds the words.
    Full(String),
}

/// Most bytes that wait for a program to read its standard input: as many as one request can bring.
pub(super) const STDIN_WAITING_MAX_BYTES: usize = crate::api::http::BODY_BYTES_MAX;

/// Writes to a program's standard input what there is room for; returns how much.
fn write_some(stdin: &std::os::fd::OwnedFd, bytes: &[u8]) -> Result<usize, StdinError> {
    let closed = |error: std::io::Error| StdinError::Closed(format!("its standard input is closed: {error}"));
    let mut file = std::fs::File::from(stdin.try_clone().map_err(closed)?);
    crate::sys::fd::set_nonblocking(stdin, true).map_err(closed)?;
    match file.write(bytes) {
        Ok(count) => Ok(count),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(closed(error)),
    }
}
