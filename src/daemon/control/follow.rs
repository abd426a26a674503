//! Logs, and logs that are followed: one of a client's own, or those of many programs in one stream.
//!
//! A follower reads the file on the disk worker when the worker says that it grew, and only as fast as its client
//! reads: of the logs of one client one at a time, in turn. Example: `POST /v1/follow` with `{"names":["all"]}`.

use super::ClientId;
use super::commands::NAMES_MAX;
use super::logtail::{self, Logtail};
use super::route::{body, number, required};
use super::streams::NO_CACHE;
use crate::api::http::{Request, reply};
use crate::api::v1::{self, ErrorCode, ErrorReply, FollowRequest, Piece, ProcessResult};
use crate::daemon::reactor::{Job, Reactor};
use crate::logs::follow::{self, Follower, Position, Since, Start};
use crate::logs::sink::Target;
use crate::model::spec::MainLog;
use crate::model::{ProcessId, WallTime};
use crate::sys::clock;
use std::path::PathBuf;
use std::sync::Arc;

/// What a log shows of its end when nothing else is asked for, as supervisorctl's tail.
const TAIL_DEFAULT_BYTES: u64 = 1600;
/// Most bytes of a log in one answer.
const TAIL_MAX_BYTES: u64 = 1024 * 1024;
/// Bytes read from a followed log at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Room that a client must leave before more is read for it: a piece, and what frames it.
const ROOM_BYTES: usize = PIECE_BYTES * 2;
/// Most followed logs, of all clients together, whose files are held open between readings: descriptors are few.
const FILES_KEPT_MAX: usize = 48;

/// Processes, and names that stand for none with why.
type Views = (Vec<v1::Process>, Vec<(String, ErrorReply)>);

/// The logs that a client follows.
pub(super) struct Following {
    logs: Vec<FollowedLog>,
    /// Whether what is sent says whose it is.
    is_framed: bool,
    /// Whether a log is left when it was read to its end.
    is_once: bool,
    /// Whether a reading is under way.
    is_reading: bool,
    /// The log whose turn it is.
    turn: usize,
    /// For supervisord's streams: what is their own.
    logtail: Option<Logtail>,
}

/// A log that is followed; the follower is away while the worker reads.
struct FollowedLog {
    namespec: String,
    target: Target,
    follower: Option<Follower>,
    has_more: bool,
    keeps_file: bool,
}

impl Following {
    fn new(is_framed: bool) -> Following {
        Following { logs: Vec::new(), is_framed, is_once: false, is_reading: false, turn: 0, logtail: None }
    }

    /// Takes the follower that is next to read something.
    fn take_next(&mut self) -> Option<(usize, Follower)> {
        if self.is_reading {
            return None;
        }
        let count = self.logs.len();
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let index = turns.into_iter().find(|index| self.logs[*index].has_more)?;
        let log = &mut self.logs[index];
        let follower = log.follower.take()?;
        log.has_more = false;
        (self.is_reading, self.turn) = (true, index + 1);
        Some((index, follower))
    }
}

impl Reactor {
    pub(super) fn answer_log(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let process = self.one_for(client, required(request, "name")?)?;
        let channel = request.head.parameter("channel").unwrap_or("stdout");
        let view = self.process_view(process).unwrap_or_default();
        let path = log_of(&view, channel)?;
        self.show_log(client, path, request)
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
        let start = Start::End(tail);
        if request.head.parameter("follow").is_none_or(|value| value == "0") {
            self.disk.run(Box::new(move || {
                let mut follower = Follower::new(&path, start);
                let bytes = follower.read(TAIL_MAX_BYTES as usize);
                // One who follows waits for a log; here somebody waits for an answer.
                let bytes = if follower.has_found() { bytes } else { Err(follow::why_not(&path)) };
                Job::Read { client, follower: None, bytes }
            }));
            return Ok(());
        }
        self.may_stream(client)?;
        let mut following = Following::new(false);
        following.logs.push(self.follow(String::new(), path, start));
        self.begin_following(client, following);
        Ok(())
    }

    pub(super) fn answer_follow(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let asked: FollowRequest = body(request)?;
        if asked.names.is_empty() || asked.names.len() > NAMES_MAX {
            let message = format!("names must hold 1 to {NAMES_MAX} names");
            return Err(ErrorReply::new(ErrorCode::BadRequest, message, "all means every process"));
        }
        let channel = if asked.channel.is_empty() { "stdout" } else { asked.channel.as_str() };
        check_channel(channel)?;
        self.may_stream(client)?;
        let tail = asked.bytes.unwrap_or(TAIL_DEFAULT_BYTES).min(TAIL_MAX_BYTES);
        let (views, mut refusals) = self.views_of(client, &asked.names)?;
        let since = asked.since_unix.map(|at| Arc::new(self.since(at)));
        let begin = || since.clone().map_or(Start::End(tail), Start::Since);
        let mut following = Following { is_once: asked.once, ..Following::new(true) };
        for view in views {
            let position = asked.positions.get(&view.namespec).and_then(|text| Position::parse(text));
            match log_of(&view, channel) {
                Ok(path) => {
                    let start = position.map_or_else(begin, Start::At);
                    following.logs.push(self.follow(view.namespec, path, start));
                }
                Err(refusal) => refusals.push((view.namespec, refusal)),
            }
        }
        self.begin_following(client, following);
        for (namespec, ErrorReply { error }) in refusals {
            self.send_piece(client, Piece { namespec, error: Some(error), ..Piece::default() }, &[]);
        }
        self.end_if_over(client);
        Ok(())
    }

    /// Returns a point in time as logs are read from it.
    fn since(&self, at_unix: f64) -> Since {
        // Out of range it is the first or the last there is.
        let at = WallTime((at_unix * 1e9) as i64);
        Since::new(at, self.journal.times_path())
    }

    /// Returns the processes that names stand for, each once, and what is wrong with the other names.
    fn views_of(&mut self, client: ClientId, names: &[String]) -> Result<Views, ErrorReply> {
        let found = self.resolve_for(client, names)?;
        let refused = |name: &String| {
            let message = format!("there is no process {name}");
            ErrorReply::new(ErrorCode::NoSuchProcess, message, "GET /v1/status lists them")
        };
        let mut refusals: Vec<_> =
            found.strange.iter().map(|(name, _)| ((*name).clone(), refused(name))).collect();
        for name in &found.forbidden {
            let ProcessResult { text, .. } = self.forbidden_result(client, name);
            refusals.push((name.clone(), ErrorReply::new(ErrorCode::Forbidden, text, "")));
        }
        let mut ids: Vec<ProcessId> = found.processes.into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        Ok((ids.into_iter().filter_map(|id| self.process_view(id)).collect(), refusals))
    }

    /// Has a log watched for a client that follows it.
    fn follow(&mut self, namespec: String, path: PathBuf, start: Start) -> FollowedLog {
        let target = Target::of(&path);
        self.disk.watch(&target);
        let keeps_file = self.subscribers.files_kept < FILES_KEPT_MAX;
        self.subscribers.files_kept += usize::from(keeps_file);
        let follower = Follower::new(&path, start);
        let follower = if keeps_file { follower } else { follower.without_file() };
        FollowedLog { namespec, target, follower: Some(follower), has_more: true, keeps_file }
    }

    /// Follows one log in supervisord's way; the stream begins once it was found.
    pub(super) fn follow_in_their_way(
        &mut self,
        client: ClientId,
        path: PathBuf,
        bytes: u64,
        logtail: Logtail,
    ) {
        let mut following = Following::new(false);
        following.logtail = Some(logtail);
        following.logs.push(self.follow(String::new(), path, Start::End(bytes)));
        self.begin_following(client, following);
    }

    fn begin_following(&mut self, client: ClientId, following: Following) {
        if following.logtail.is_none()
            && let Some(connection) = self.control.connection(client)
        {
            connection.begin_stream(reply::BYTES, &NO_CACHE);
        }
        self.subscribers.followings.insert(client, following);
        self.read_on(client);
    }

    /// Takes in a piece of a log.
    pub(in crate::daemon) fn log_was_read(
        &mut self,
        client: ClientId,
        follower: Option<(usize, Follower)>,
        bytes: std::io::Result<Vec<u8>>,
    ) {
        match follower {
            None => self.answer_with_log(client, bytes),
            Some((index, follower)) => self.followed_log_was_read(client, index, follower, bytes),
        }
        self.control.flush(client, clock::now());
        self.read_on(client);
    }

    fn answer_with_log(&mut self, client: ClientId, bytes: std::io::Result<Vec<u8>>) {
        let Some(connection) = self.control.connection(client) else { return };
        match bytes {
            Ok(bytes) => connection.reply_bytes(&bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let hint = "nothing was written to it yet, or it was removed";
                connection.error(&ErrorReply::new(ErrorCode::NotFound, "there is no log file", hint));
            }
            Err(error) => {
                let message = format!("cannot read the log: {error}");
                connection.error(&ErrorReply::new(ErrorCode::Internal, message, ""));
            }
        }
    }

    fn followed_log_was_read(
        &mut self,
        client: ClientId,
        index: usize,
        mut follower: Follower,
        bytes: std::io::Result<Vec<u8>>,
    ) {
        let Some(following) = self.subscribers.followings.get_mut(&client) else { return };
        following.is_reading = false;
        if let (Some(logtail), Some(connection)) = (&mut following.logtail, self.control.connection(client))
            && !logtail.go_on(connection, &mut follower)
        {
            return self.refuse_logtail(client);
        }
        let (is_framed, is_once) = (following.is_framed, following.is_once);
        let Some(log) = following.logs.get_mut(index) else { return };
        let mut piece = Piece { namespec: log.namespec.clone(), ..Piece::default() };
        match bytes {
            Ok(bytes) => {
                log.has_more |= bytes.len() == PIECE_BYTES;
                piece.position = follower.position().to_string();
                log.follower = Some(follower);
                let is_over = is_once && bytes.len() < PIECE_BYTES;
                if is_framed {
                    // The first one may be empty: it tells where to go on.
                    self.send_piece(client, piece, &bytes);
                } else if let Some(connection) = self.control.connection(client) {
                    connection.stream(&bytes);
                }
                if is_over {
                    self.forget_log(client, index);
                    self.end_if_over(client);
                }
            }
            Err(error) => {
                // Its follower is gone with it, so it is never read again.
                let message = format!("cannot read the log: {error}");
                piece.error = Some(ErrorReply::new(ErrorCode::Internal, message, "").error);
                if is_framed {
                    self.send_piece(client, piece, &[]);
                }
                self.forget_log(client, index);
                self.end_if_over(client);
            }
        }
    }

    fn send_piece(&mut self, client: ClientId, piece: Piece, bytes: &[u8]) {
        if let Some(connection) = self.control.connection(client) {
            connection.stream(&piece.framed(bytes));
        }
    }

    fn forget_log(&mut self, client: ClientId, index: usize) {
        let Some(following) = self.subscribers.followings.get_mut(&client) else { return };
        let log = following.logs.remove(index);
        self.leave_log(&log);
    }

    fn leave_log(&mut self, log: &FollowedLog) {
        self.disk.unwatch(&log.target);
        self.subscribers.files_kept -= usize::from(log.keeps_file);
    }

    /// Answers that there is no log to follow.
    fn refuse_logtail(&mut self, client: ClientId) {
        if let Some(following) = self.subscribers.followings.remove(&client) {
            following.logs.iter().for_each(|log| self.leave_log(log));
        }
        if let Some(connection) = self.control.connection(client) {
            connection.error(&logtail::no_log());
        }
    }

    /// Ends a stream to which nothing can come any more.
    fn end_if_over(&mut self, client: ClientId) {
        let is_over =
            self.subscribers.followings.get(&client).is_some_and(|following| following.logs.is_empty());
        if is_over && let Some(connection) = self.control.connection(client) {
            connection.end_stream();
        }
    }

    /// A followed log has grown.
    pub(in crate::daemon) fn log_has_grown(&mut self, target: &Target) {
        let mut clients = Vec::new();
        for (client, following) in &mut self.subscribers.followings {
            for log in following.logs.iter_mut().filter(|log| log.target == *target) {
                log.has_more = true;
                clients.push(*client);
            }
        }
        clients.into_iter().for_each(|client| self.read_on(client));
    }

    /// Reads on in a followed log, when there is more and its reader has taken what it was given.
    fn read_on(&mut self, client: ClientId) {
        let has_room =
            self.control.connection(client).is_some_and(|connection| connection.has_room(ROOM_BYTES));
        let Some(following) = self.subscribers.followings.get_mut(&client).filter(|_| has_room) else {
            return;
        };
        let Some((index, mut follower)) = following.take_next() else { return };
        self.disk.run(Box::new(move || {
            let bytes = follower.read(PIECE_BYTES);
            Job::Read { client, follower: Some((index, follower)), bytes }
        }));
    }

    /// Goes on with the logs of clients that have read, and forgets those who have gone.
    pub(super) fn tend_followings(&mut self) {
        let clients: Vec<ClientId> = self.subscribers.followings.keys().copied().collect();
        for client in clients {
            if self.control.has(client) {
                self.read_on(client);
            } else if let Some(following) = self.subscribers.followings.remove(&client) {
                following.logs.iter().for_each(|log| self.leave_log(log));
            }
        }
    }
}

fn check_channel(channel: &str) -> Result<(), ErrorReply> {
    if ["stdout", "stderr"].contains(&channel) {
        return Ok(());
    }
    let message = format!("there is no channel {channel}");
    Err(ErrorReply::new(ErrorCode::BadRequest, message, "stdout or stderr"))
}

/// Returns the file of a log.
fn log_of(process: &v1::Process, channel: &str) -> Result<PathBuf, ErrorReply> {
    check_channel(channel)?;
    let path = if channel == "stderr" { &process.stderr_log } else { &process.stdout_log };
    path.as_ref().map(PathBuf::from).ok_or_else(|| {
        let message = format!("there is no log file of its {channel}");
        ErrorReply::new(ErrorCode::NotFound, message, format!("set {channel}_logfile"))
    })
}
