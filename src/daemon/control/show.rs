//! What there is to know about processes and the daemon, as the API shows it.

use super::ClientId;
use crate::api::describe::{Facts, describe};
use crate::api::http::Request;
use crate::api::names::{self, Namespec};
use crate::api::v1::{self, ErrorReply};
use crate::core::process::Desired;
use crate::core::{Actor, Phase, ProcState, Process, ProcessView, SpawnError, Stage};
use crate::daemon::reactor::Reactor;
use crate::daemon::sockets::Sockets;
use crate::model::spec::{LogTarget, MainLog, ProcessSpec};
use crate::model::{ExitStatus, ProcessId, State, WallTime};
use crate::sys::clock;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

impl Reactor {
    pub(super) fn answer_version(&mut self, client: ClientId, _request: &Request) -> Result<(), ErrorReply> {
        let version = v1::Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: v1::API,
            pid: self.keeper.0,
            reactor_pid: crate::sys::process::own_pid().0,
            instance: self.identity.instance.to_string(),
        };
        self.send(client, &version);
        Ok(())
    }

    pub(super) fn answer_status(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let (mut ids, mut asked, mut missing) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        // Only what is asked for is looked at. A name may come hundreds of times in one head.
        for spec in request.head.parameters("name").map(Namespec::parse) {
            if asked.contains(&spec) {
                continue;
            }
            let found = self.resolve(&spec);
            if found.is_empty() {
                missing.push(spec.to_string());
            }
            ids.extend(found);
            asked.insert(spec);
        }
        if asked.is_empty() {
            ids.extend(self.core.processes().map(|(id, _)| id));
        }
        let mut shown: Vec<ProcessView> = ids.into_iter().filter_map(|id| self.core.view(id)).collect();
        shown.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        if request.head.parameter("view") == Some("short") {
            self.send_list(client, &shown, missing);
            return Ok(());
        }
        let zone = TimeZone::system();
        let processes = shown.into_iter().filter_map(|view| self.process_of(view, &zone)).collect();
        let reply = v1::StatusReply { daemon: self.daemon_view(), processes, missing };
        self.send(client, &reply);
        Ok(())
    }

    /// Sends what a list shows of processes.
    fn send_list(&mut self, client: ClientId, shown: &[ProcessView], missing: Vec<String>) {
        let (now, wall, zone) = (clock::now(), clock::wall(), TimeZone::system());
        let mut texts = Vec::with_capacity(shown.len());
        for view in shown {
            texts.push((names::join(&view.group, &view.name), describe(&facts(view, wall), &zone)));
        }
        let mut processes = Vec::with_capacity(shown.len());
        for (view, (namespec, description)) in shown.iter().zip(&texts) {
            processes.push(v1::Row {
                namespec,
                state: view.state,
                description,
                wanted: view.desired == Desired::Up,
                expected: self.expected(view),
                left_overs: view.left,
                retry_in_ms: view.retry_at.map(|at| at.since(now).as_millis() as u64),
                disabled_since_unix: self.marks.since(&view.group, &view.name),
                start_refused: refusal(view),
                waiting: self.waits_for(view),
                flapping: self.flapping.is(view.id, now),
            });
        }
        let daemon = self.daemon_view();
        self.send(client, &v1::StatusList { daemon, processes, missing });
    }

    /// Whether the last exit code of a process was one of those that its configuration expects.
    fn expected(&self, view: &ProcessView) -> Option<bool> {
        let spec = self.core.process(view.id)?.spec();
        view.exit.map(|exit| is_expected(spec, exit.code()))
    }

    /// Returns what a process waits for; nothing where it does not.
    fn waits_for(&self, view: &ProcessView) -> &'static str {
        match self.core.process(view.id).map(Process::state) {
            Some(ProcState::Starting { stage: Stage::Queued, .. }) => "turn",
            Some(ProcState::Exited { again: Some(_), .. }) => "restart",
            Some(ProcState::Backoff { .. }) => {
                let shortages = [
                    (SpawnError::TooManyFiles(view.name.clone()), "descriptors"),
                    (SpawnError::TooManyProcesses(view.name.clone()), "processes"),
                ];
                let found = shortages.iter().find(|(error, _)| error.to_string() == view.spawnerr);
                found.map_or("attempt", |row| row.1)
            }
            _ => "",
        }
    }

    /// Returns a process as the API shows it.
    pub(super) fn process_view(&self, id: ProcessId) -> Option<v1::Process> {
        self.process_of(self.core.view(id)?, &TimeZone::system())
    }

    fn process_of(&self, view: ProcessView, zone: &TimeZone) -> Option<v1::Process> {
        let spec = self.core.process(view.id)?.spec().clone();
        let (now, wall) = (clock::now(), clock::wall());
        let running = view.state == State::Running;
        let uptime_ms = running.then(|| u64::try_from((wall.0 - view.start.0) / 1_000_000).unwrap_or(0));
        Some(v1::Process {
            namespec: names::join(&view.group, &view.name),
            description: describe(&facts(&view, wall), zone),
            state: view.state,
            statecode: view.state.code(),
            pid: view.pid,
            started_unix: unix(view.start),
            stopped_unix: unix(view.stop),
            uptime_ms,
            exit: view.exit.map(exit_of),
            previous_exit: view.previous.map(exit_of),
            restarts: view.restarts,
            start_refused: refusal(&view).to_owned(),
            expected: self.expected(&view),
            attempts: view.attempt,
            retry_in_ms: view.retry_at.map(|at| at.since(now).as_millis() as u64),
            waiting: self.waits_for(&view).to_owned(),
            flapping: self.flapping.is(view.id, now),
            left_overs: view.left,
            wanted: view.desired == Desired::Up,
            actor: actor_text(view.actor),
            autostart: spec.autostart,
            disabled_since_unix: self.marks.since(&view.group, &view.name),
            stdout_log: log_path(&spec.stdout.logfile),
            stderr_log: if spec.redirect_stderr { None } else { log_path(&spec.stderr.logfile) },
            command: spec.command.clone(),
            directory: spec.directory.as_deref().map(shown_path),
            config_file: shown_path(&spec.place.file),
            config_line: spec.place.line as usize,
            refused: spec.refused.clone(),
            failed_stage: self.notes.get(&view.id).cloned(),
            group: view.group,
            name: view.name,
            spawn_error: view.spawnerr,
            cause: view.cause,
        })
    }

    fn daemon_view(&self) -> v1::Daemon {
        let sockets = self.sockets.as_ref();
        let phase = match self.core.phase() {
            Phase::Running => "running",
            Phase::ShuttingDown => "shutting_down",
            Phase::Reloading => "reloading",
        };
        v1::Daemon {
            pid: self.keeper.0,
            reactor_pid: crate::sys::process::own_pid().0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: self.identity.instance.to_string(),
            phase: phase.to_owned(),
            started_unix: unix(self.started),
            config: self.config_state.clone(),
            sockets: sockets
                .map(|s| s.paths().iter().map(|path| shown_path(path)).collect())
                .unwrap_or_default(),
            servers: self.shown_servers(),
            lock: sockets.and_then(Sockets::lock_path).as_deref().map(shown_path).unwrap_or_default(),
            log: match &self.settings.daemon.logfile {
                MainLog::File(path) => shown_path(path),
                MainLog::Syslog => "syslog".to_owned(),
            },
        }
    }

    /// Finds the processes that a name stands for.
    pub(super) fn resolve(&self, name: &Namespec) -> Vec<ProcessId> {
        match name {
            Namespec::All => self.core.processes().map(|(id, _)| id).collect(),
            Namespec::Group(group) => {
                self.core.group(group).map(|group| group.processes().to_vec()).unwrap_or_default()
            }
            Namespec::Process { group, name } => self.core.find(group, name).into_iter().collect(),
        }
    }

    /// Finds the processes that names stand for, each once. The names may be many, and so may the processes.
    pub(super) fn resolve_all<'n>(&self, names: &'n [String]) -> Resolved<'n> {
        let specs = self.core.processes().map(|(id, process)| (id, process.spec()));
        let index: BTreeMap<(&str, &str), ProcessId> =
            specs.map(|(id, spec)| ((spec.group.as_str(), spec.name.as_str()), id)).collect();
        let (mut known, mut wide) = (BTreeSet::new(), BTreeSet::new());
        let mut resolved = Resolved::default();
        for text in names {
            let name = Namespec::parse(text);
            if wide.contains(&name) {
                continue;
            }
            let found: Vec<ProcessId> = match &name {
                Namespec::Process { group, name } => {
                    index.get(&(group.as_str(), name.as_str())).copied().into_iter().collect()
                }
                _ => self.resolve(&name),
            };
            let by_name = matches!(name, Namespec::Process { .. });
            if found.is_empty() && name != Namespec::All {
                resolved.strange.push((text, name));
                continue;
            }
            let new = found.into_iter().filter(|id| known.insert(*id));
            resolved.processes.extend(new.map(|id| (id, by_name)));
            if !by_name {
                wide.insert(name);
            }
        }
        resolved
    }
}

/// What names stand for.
#[derive(Default)]
pub(super) struct Resolved<'n> {
    /// Processes, and whether one was named itself.
    pub(super) processes: Vec<(ProcessId, bool)>,
    /// Names that stand for no process.
    pub(super) strange: Vec<(&'n String, Namespec)>,
    /// Names that the asker knows, and may not do with what was asked for.
    pub(super) forbidden: Vec<String>,
}

/// What supervisord's description of a process is made from.
pub(super) fn facts(view: &ProcessView, now: WallTime) -> Facts<'_> {
    Facts {
        name: &view.name,
        state: view.state,
        pid: view.pid,
        started: view.start.secs(),
        stopped: view.stop.secs(),
        now: now.secs(),
        spawn_error: &view.spawnerr,
    }
}

/// Returns why a process was not started. Of a condition its record tells after the death of a reactor, too.
fn refusal(view: &ProcessView) -> &str {
    let is_condition = view.state == State::Stopped && view.cause.starts_with(CONDITION);
    if view.start_refused.is_empty() && is_condition { &view.cause } else { &view.start_refused }
}

/// How the words about a condition that does not hold begin: with its key.
const CONDITION: &str = "condition_";

fn exit_of(status: ExitStatus) -> v1::Exit {
    v1::Exit { text: status.to_string(), code: status.code() }
}

fn is_expected(spec: &ProcessSpec, code: i32) -> bool {
    u8::try_from(code).is_ok_and(|code| spec.exitcodes.contains(&code))
}

/// Returns whoever caused something, in the API's words.
pub(in crate::daemon) fn actor_text(actor: Actor) -> String {
    match actor {
        Actor::Policy => "policy".to_owned(),
        Actor::Client(uid) => format!("client:{uid}"),
        Actor::Signal(signal) => format!("signal:{}", signal.to_string().trim_start_matches("SIG")),
        Actor::Program => "program".to_owned(),
    }
}

/// Returns a point in time as the API writes it.
pub(in crate::daemon) fn unix(at: WallTime) -> f64 {
    (at.0 / 1_000_000) as f64 / 1000.0
}

fn log_path(target: &LogTarget) -> Option<String> {
    target.path().map(shown_path)
}

fn shown_path(path: &Path) -> String {
    path.display().to_string()
}
