//! What the daemon of the tests knows: a program in each state, called after it, and supervisord's rules for what can
//! be asked in which state.

use serde_json::{Value, json};
use visor::api::http::Request;
use visor::api::names::Namespec;
use visor::api::v1::{
    self, ConfigState, Daemon, ErrorCode, ErrorReply, Exit, Piece, Process, ProcessResult, ResultStatus,
    Results,
};
use visor::model::State;
use visor::model::state::STATES;

/// How a request is answered.
pub(crate) enum Answer {
    /// With JSON.
    Json(u16, Value),
    /// With bytes.
    Bytes(Vec<u8>),
    /// With bytes that come one piece after the other, for ever.
    Stream(Vec<Vec<u8>>),
    /// Not at all.
    Never,
    /// With JSON, and then the daemon ends.
    End(Value),
    /// By closing the connection.
    Hangup,
}

/// The programs, and what is special about a test's daemon.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) processes: Vec<Process>,
    pub(crate) daemon: Daemon,
    pub(crate) log: Vec<u8>,
    /// The pieces of a log that is followed.
    pub(crate) pieces: Vec<Vec<u8>>,
    /// Answers to paths that are asked instead of the usual ones.
    pub(crate) replies: Vec<(&'static str, Value)>,
    /// Paths that get no answer.
    pub(crate) silent: Vec<&'static str>,
    /// Paths at which the connection is closed.
    pub(crate) broken: Vec<&'static str>,
    pub(crate) has_ended: bool,
}

impl World {
    /// One program in each state.
    pub(crate) fn of_states() -> World {
        let processes = STATES.iter().map(|(state, _)| process(*state)).collect();
        World { processes, daemon: daemon(), log: b"one\ntwo\n".to_vec(), ..World::default() }
    }

    pub(crate) fn answer(&mut self, request: &Request) -> Answer {
        let path = request.path.as_str();
        if self.silent.contains(&path) {
            return Answer::Never;
        }
        if self.broken.contains(&path) {
            return Answer::Hangup;
        }
        if let Some((_, reply)) = self.replies.iter().find(|(known, _)| *known == path) {
            return Answer::Json(200, reply.clone());
        }
        match path {
            v1::path::VERSION => Answer::Json(
                200,
                json!({"version": env!("CARGO_PKG_VERSION"), "api": 1, "pid": 100, "reactor_pid": 101, "instance": "default"}),
            ),
            v1::path::STATUS => self.status(request),
            v1::path::LOG => self.log(request),
            v1::path::FOLLOW => self.follow(&body(request)),
            v1::path::SHUTDOWN => Answer::End(json!({"ok": true})),
            v1::path::START | v1::path::STOP | v1::path::RESTART | v1::path::CLEAR => {
                let asked: v1::Names = body(request);
                self.results(path, &asked.names)
            }
            v1::path::SIGNAL => {
                let asked: v1::SignalRequest = body(request);
                if asked.signal != "HUP" {
                    return refused(ErrorCode::BadRequest, "there is no signal NOPE");
                }
                self.results(path, &asked.names)
            }
            v1::path::WAIT => {
                let asked: v1::WaitRequest = body(request);
                let path = match asked.until {
                    v1::Until::Running => "until running",
                    v1::Until::Exited => "until exited",
                    v1::Until::Stopped => "until stopped",
                };
                self.results(path, &asked.names)
            }
            _ => refused(ErrorCode::NotFound, "there is nothing here"),
        }
    }

    fn find(&self, name: &str) -> Vec<&Process> {
        let spec = Namespec::parse(name);
        self.processes.iter().filter(|process| spec.covers(&process.group, &process.name)).collect()
    }

    fn status(&self, request: &Request) -> Answer {
        let names: Vec<&str> = request.parameters("name").collect();
        let missing: Vec<&&str> = names.iter().filter(|name| self.find(name).is_empty()).collect();
        let shown: Vec<&Process> = match names.as_slice() {
            [] => self.processes.iter().collect(),
            names => names.iter().flat_map(|name| self.find(name)).collect(),
        };
        let rows: Vec<Value> = shown.iter().map(|process| row(process, request.parameter("view"))).collect();
        Answer::Json(200, json!({"daemon": self.daemon, "processes": rows, "missing": missing}))
    }

    fn log(&self, request: &Request) -> Answer {
        match self.find(request.parameter("name").unwrap_or_default()).first() {
            None => refused(ErrorCode::NoSuchProcess, "there is no such process"),
            Some(process) if process.stdout_log.is_none() => refused(ErrorCode::NotFound, "it has no log"),
            Some(_) => {
                let bytes = request.parameter("bytes").and_then(|text| text.parse().ok()).unwrap_or(0);
                Answer::Bytes(self.log[self.log.len().saturating_sub(bytes)..].to_vec())
            }
        }
    }

    fn follow(&self, asked: &v1::FollowRequest) -> Answer {
        let mut pieces = Vec::new();
        for name in &asked.names {
            let found = self.find(name);
            if found.is_empty() {
                pieces.push(refusal(name, ErrorCode::NoSuchProcess));
            }
            for process in found {
                let namespec = process.namespec.clone();
                if process.stdout_log.is_none() {
                    pieces.push(refusal(&namespec, ErrorCode::NotFound));
                    continue;
                }
                let framed =
                    |bytes: &Vec<u8>| Piece { namespec: namespec.clone(), ..Piece::default() }.framed(bytes);
                pieces.extend(self.pieces.iter().map(framed));
            }
        }
        Answer::Stream(pieces)
    }

    fn results(&self, path: &str, names: &[String]) -> Answer {
        let mut results = Vec::new();
        for name in names {
            let found = self.find(name);
            if found.is_empty() {
                let group = name.ends_with(":*");
                let status = if group { ResultStatus::NoSuchGroup } else { ResultStatus::NoSuchProcess };
                results.push(ProcessResult { namespec: name.clone(), status, ..ProcessResult::default() });
            }
            results.extend(found.iter().map(|process| result(path, process)));
        }
        Answer::Json(200, json!(Results { results }))
    }
}

/// What comes of a request in a state (supervisor 4.3; the fatal program's command is not there).
fn result(path: &str, process: &Process) -> ProcessResult {
    use ResultStatus::{AbnormalTermination, AlreadyStarted, Done, Failed, NotRunning, SpawnError, TimedOut};
    let status = match (path, process.state) {
        (v1::path::CLEAR, _) => Done,
        (v1::path::START | v1::path::RESTART, State::Fatal) => SpawnError,
        (v1::path::START | v1::path::RESTART, State::Unknown) => Failed,
        (v1::path::START, state) if state.is_running() => AlreadyStarted,
        (v1::path::START, State::Stopping) => AbnormalTermination,
        (v1::path::START | v1::path::RESTART, _) => Done,
        (v1::path::STOP, state) if state.is_running() => Done,
        (v1::path::SIGNAL, state) if state.is_signallable() => Done,
        ("until running", State::Running | State::Starting) => Done,
        ("until running", State::Backoff) => TimedOut,
        ("until running", State::Fatal) => AbnormalTermination,
        ("until stopped" | "until exited", state) if state.is_stopped() => Done,
        ("until stopped" | "until exited", _) => TimedOut,
        _ => NotRunning,
    };
    let text = if status == SpawnError { process.spawn_error.clone() } else { String::new() };
    ProcessResult { namespec: process.namespec.clone(), status, text, process: Some(process.clone()) }
}

/// A log that is not followed.
fn refusal(name: &str, code: ErrorCode) -> Vec<u8> {
    let error = Some(v1::Error { code, ..v1::Error::default() });
    Piece { namespec: name.into(), error, ..Piece::default() }.framed(&[])
}

fn row(process: &Process, view: Option<&str>) -> Value {
    let full = json!(process);
    if view != Some("short") {
        return full;
    }
    let kept = [
        "namespec",
        "state",
        "description",
        "wanted",
        "expected",
        "left_overs",
        "retry_in_ms",
        "waiting",
        "flapping",
    ];
    Value::Object(kept.iter().map(|key| ((*key).to_owned(), full[*key].clone())).collect())
}

fn body<T: serde::de::DeserializeOwned>(request: &Request) -> T {
    serde_json::from_slice(&request.body).expect("our own client")
}

pub(crate) fn refused(code: ErrorCode, message: &str) -> Answer {
    Answer::Json(code.status(), json!(ErrorReply::new(code, message, "")))
}

/// A program in a state, called after it.
pub(crate) fn process(state: State) -> Process {
    let name = state.name().to_lowercase();
    let description = match state {
        State::Running => "pid 42, uptime 0:00:02",
        State::Stopped | State::Exited => "Nov 20 07:33 AM",
        State::Backoff | State::Fatal => "can't find command '/opt/serve'",
        _ => "",
    };
    let has_pid = matches!(state, State::Starting | State::Running | State::Stopping);
    let is_failed = matches!(state, State::Backoff | State::Fatal);
    Process {
        group: name.clone(),
        namespec: name.clone(),
        name,
        state,
        statecode: state.code(),
        pid: if has_pid { 42 } else { 0 },
        description: description.into(),
        stopped_unix: if state.is_stopped() { 1_700_465_580.0 } else { 0.0 },
        exit: (state == State::Exited).then(|| Exit { text: "exit status 3".into(), code: 3 }),
        expected: (state == State::Exited).then_some(false),
        spawn_error: if is_failed { description.into() } else { String::new() },
        attempts: if state == State::Backoff { 2 } else { 0 },
        retry_in_ms: (state == State::Backoff).then_some(2000),
        wanted: !matches!(state, State::Stopped | State::Stopping),
        actor: "policy".into(),
        autostart: true,
        command: "/opt/serve --port 80".into(),
        config_file: "/c/web.conf".into(),
        config_line: 3,
        stdout_log: Some("/log/web.log".into()),
        ..Process::default()
    }
}

pub(crate) fn daemon() -> Daemon {
    let mut daemon = Daemon {
        pid: 100,
        reactor_pid: 101,
        version: env!("CARGO_PKG_VERSION").into(),
        instance: "default".into(),
        phase: "running".into(),
        sockets: vec!["/run/default.sock".into()],
        lock: "/state/default.lock".into(),
        log: "/state/log/visord.log".into(),
        ..Daemon::default()
    };
    daemon.config.file = "/c/visor.conf".into();
    daemon.config.files = 2;
    daemon.config.state = ConfigState::Ok;
    daemon
}
