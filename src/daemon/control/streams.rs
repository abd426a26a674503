//! Answers without an end: logs that are followed, and events as they happen.
//!
//! A follower reads the file on the disk worker when the worker says that it grew, and only as fast as its client
//! reads; a subscriber of events that is too slow is told how many it missed.

use super::ClientId;
use super::connection::STREAM_UNREAD_MAX_BYTES;
use super::route::{number, required};
use super::show::{actor_text, unix};
use crate::api::http::{Request, reply};
use crate::api::names::{self, Namespec};
use crate::api::v1::{self, ErrorCode, ErrorReply, ProcessResult, ResultStatus};
use crate::core::Transition;
use crate::daemon::reactor::{Job, Reactor};
use crate::logs::follow::Follower;
use crate::logs::sink::Target;
use crate::model::ProcessId;
use crate::model::spec::MainLog;
use crate::sys::clock;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

/// What a log shows of its end when nothing else is asked for, as supervisorctl's tail.
const TAIL_DEFAULT_BYTES: u64 = 1600;
/// Most bytes of a log in one answer.
const TAIL_MAX_BYTES: u64 = 1024 * 1024;
/// Bytes read from a followed log at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Most answers without an end at once. The rest of the connections stays for short requests: whoever has many logs
/// open can still ask for the state, or for a stop.
pub(super) const STREAMS_MAX: usize = super::CONNECTIONS_MAX - 16;

/// A log that a client follows; the follower is away while the worker reads.
struct Following {
    target: Target,
    follower: Option<Follower>,
    has_more: bool,
}

/// A client that wants to hear of events.
#[derive(Default)]
struct Subscriber {
    dropped: u64,
}

/// Everybody who listens.
#[derive(Default)]
pub(in crate::daemon) struct Subscribers {
    followings: BTreeMap<ClientId, Following>,
    events: BTreeMap<ClientId, Subscriber>,
    serial: u64,
}

impl Reactor {
    pub(super) fn answer_log(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let process = self.one(required(request, "name")?)?;
        let channel = request.head.parameter("channel").unwrap_or("stdout");
        let view = self.process_view(process);
        let path = match channel {
            "stdout" => view.and_then(|view| view.stdout_log),
            "stderr" => view.and_then(|view| view.stderr_log),
            other => {
                let message = format!("there is no channel {other}");
                return Err(ErrorReply::new(ErrorCode::BadRequest, message, "stdout or stderr"));
            }
        };
        let Some(path) = path else {
            let message = format!("there is no log file of its {channel}");
            return Err(ErrorReply::new(ErrorCode::NotFound, message, format!("set {channel}_logfile")));
        };
        self.show_log(client, PathBuf::from(path), request)
    }

    pub(super) fn answer_main_log(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        match self.settings.daemon.logfile.clone() {
            MainLog::File(path) => self.show_log(client, path, request),
            MainLog::Syslog => {
                let message = "the activity log goes to the system log";
                Err(ErrorReply::new(ErrorCode::NotFound, message, "journalctl or /var/log/syslog has it"))
            }
        }
    }

    fn show_log(&mut self, client: ClientId, path: PathBuf, request: &Request) -> Result<(), ErrorReply> {
        let tail = number(request, "bytes", TAIL_DEFAULT_BYTES)?.min(TAIL_MAX_BYTES);
        let follow = request.head.parameter("follow").is_some_and(|value| value != "0");
        if follow {
            self.may_stream()?;
            let target = Target::of(&path);
            self.disk.watch(&target);
            if let Some(connection) = self.control.connection(client) {
                connection.begin_stream("application/octet-stream");
            }
            let following = Following { target, follower: None, has_more: false };
            self.subscribers.followings.insert(client, following);
        }
        self.disk.run(Box::new(move || {
            let mut follower = Follower::open(&path, tail);
            let bytes = follower.read(if follow { PIECE_BYTES } else { TAIL_MAX_BYTES as usize });
            Job::Read { client, follower: follow.then_some(follower), bytes }
        }));
        Ok(())
    }

    /// Takes in a piece of a log.
    pub(in crate::daemon) fn log_was_read(
        &mut self,
        client: ClientId,
        follower: Option<Follower>,
        bytes: std::io::Result<Vec<u8>>,
    ) {
        let Some(connection) = self.control.connection(client) else { return };
        match (follower, bytes) {
            (None, Ok(bytes)) => connection.reply_bytes(&bytes),
            (None, Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                let hint = "nothing was written to it yet, or it was removed";
                connection.error(&ErrorReply::new(ErrorCode::NotFound, "there is no log file", hint));
            }
            (None, Err(error)) => {
                let message = format!("cannot read the log: {error}");
                connection.error(&ErrorReply::new(ErrorCode::Internal, message, ""));
            }
            (Some(follower), Ok(bytes)) => {
                connection.stream(&bytes);
                if let Some(following) = self.subscribers.followings.get_mut(&client) {
                    following.has_more |= bytes.len() == PIECE_BYTES;
                    following.follower = Some(follower);
                }
            }
            (Some(_), Err(_)) => connection.end_stream(),
        }
        self.control.flush(client, clock::now());
        self.read_on(client);
    }

    /// A followed log has grown.
    pub(in crate::daemon) fn log_has_grown(&mut self, target: &Target) {
        let followings = self.subscribers.followings.iter_mut();
        let mut clients = Vec::new();
        for (client, following) in followings.filter(|(_, following)| following.target == *target) {
            following.has_more = true;
            clients.push(*client);
        }
        clients.into_iter().for_each(|client| self.read_on(client));
    }

    /// Reads on in a followed log, when there is more and its reader has taken what it was given.
    fn read_on(&mut self, client: ClientId) {
        let has_room =
            self.control.connection(client).is_some_and(|connection| connection.has_room(PIECE_BYTES * 2));
        let Some(following) = self.subscribers.followings.get_mut(&client) else { return };
        if !has_room || !following.has_more {
            return;
        }
        let Some(mut follower) = following.follower.take() else { return };
        following.has_more = false;
        self.disk.run(Box::new(move || {
            let bytes = follower.read(PIECE_BYTES);
            Job::Read { client, follower: Some(follower), bytes }
        }));
    }

    /// Goes on with the streams of a client that has read, and forgets those who have gone.
    pub(in crate::daemon) fn tend_streams(&mut self) {
        let clients: Vec<ClientId> = self.subscribers.followings.keys().copied().collect();
        for client in clients {
            if self.control.has(client) {
                self.read_on(client);
            } else if let Some(following) = self.subscribers.followings.remove(&client) {
                self.disk.unwatch(&following.target);
            }
        }
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
    fn may_stream(&self) -> Result<(), ErrorReply> {
        if self.subscribers.followings.len() + self.subscribers.events.len() < STREAMS_MAX {
            return Ok(());
        }
        let message = format!("{STREAMS_MAX} logs and event streams are open already");
        Err(ErrorReply::new(ErrorCode::Busy, message, "end a visorctl logs -f or another reader first"))
    }

    pub(super) fn answer_events(&mut self, client: ClientId, _request: &Request) -> Result<(), ErrorReply> {
        self.may_stream()?;
        if let Some(connection) = self.control.connection(client) {
            connection.begin_stream("text/event-stream");
            self.subscribers.events.insert(client, Subscriber::default());
        }
        Ok(())
    }

    /// Tells everybody who listens of a change of state.
    pub(in crate::daemon) fn tell_transition(&mut self, transition: &Transition) {
        self.subscribers.serial += 1;
        if self.subscribers.events.is_empty() {
            return;
        }
        let Some(spec) = self.core.process(transition.process).map(|process| process.spec().clone()) else {
            return;
        };
        let data = serde_json::json!({
            "group": spec.group,
            "name": spec.name,
            "namespec": names::join(&spec.group, &spec.name),
            "from": transition.from.name(),
            "to": transition.to.name(),
            "pid": transition.pid,
            "tries": transition.tries,
            "expected": transition.expected,
            "actor": actor_text(transition.actor),
            "cause": transition.cause,
            "at_unix": unix(transition.at),
        });
        let mut event = Vec::new();
        reply::write_event(Some(self.subscribers.serial), "process_state", &data.to_string(), &mut event);
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
        let run = self.core.process(process).and_then(crate::core::Process::run);
        let live = run.and_then(|run| self.runs.table.get(&run)).filter(|live| live.alive);
        let (status, text) = match live.and_then(|live| live.stdin.as_ref()) {
            None => (ResultStatus::NotRunning, String::new()),
            Some(stdin) => match write_whole(stdin, &request.body) {
                Ok(()) => (ResultStatus::Done, String::new()),
                Err(why) => (ResultStatus::Failed, why),
            },
        };
        let view = self.process_view(process);
        let namespec = view.as_ref().map(|view| view.namespec.clone()).unwrap_or_default();
        let results = vec![ProcessResult { namespec, status, text, process: view }];
        self.send(client, &v1::Results { results });
        Ok(())
    }

    /// Finds the one process that a name stands for.
    fn one(&self, name: &str) -> Result<ProcessId, ErrorReply> {
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

/// Writes to a program's standard input without waiting for it: all of it, or nothing that counts.
fn write_whole(stdin: &std::os::fd::OwnedFd, bytes: &[u8]) -> Result<(), String> {
    let mut file = std::fs::File::from(stdin.try_clone().map_err(|e| e.to_string())?);
    crate::sys::fd::set_nonblocking(stdin, true).map_err(|e| e.to_string())?;
    match file.write(bytes) {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(count) => Err(format!("the program does not read: {count} of {} bytes were taken", bytes.len())),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err("the program does not read: nothing was taken".to_owned())
        }
        Err(error) => Err(format!("its standard input is closed: {error}")),
    }
}
