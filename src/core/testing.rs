//! A bench for the tests of the core: a clock that they turn, and a world in which everything works unless they
//! say otherwise.
//!
//! Example: `Bench::one(|spec| spec.startsecs = 0)` is a core with one program `web`; `bench.up()` starts it.

use super::input::{Actor, Input, Request, RequestId, SpawnError};
use super::{Action, Core, Reply, Scope};
use crate::model::spec::{FleetSpec, GroupKind, GroupSpec, LogTarget, Place, ProcessSpec, StreamSpec};
use crate::model::{ExitStatus, Pid, ProcessId, RunId, State, Time, Uid, WallTime};
use std::sync::Arc;

/// The process of [`Bench::one`].
pub(super) const WEB: ProcessId = ProcessId(0);

/// A client in the tests.
pub(super) const BOB: Actor = Actor::Client(Uid(1000));

const SECOND: u64 = 1_000_000_000;

/// A core with a clock.
pub(super) struct Bench {
    pub(super) core: Core,
    pub(super) now: Time,
    /// What the core did at the last input.
    pub(super) actions: Vec<Action>,
    requests: u64,
}

/// Returns a program with supervisord's defaults and `kill_mode=mixed`.
pub(super) fn program(name: &str) -> ProcessSpec {
    let silent = StreamSpec { logfile: LogTarget::None, maxbytes: 0, backups: 0, ..StreamSpec::default() };
    ProcessSpec {
        stdout: silent.clone(),
        stderr: silent,
        ..ProcessSpec::new(name, name, "/bin/true", Place::default())
    }
}

/// Returns a group of its own for programs.
pub(super) fn group(name: &str, priority: i64, programs: Vec<ProcessSpec>) -> GroupSpec {
    let of_group = |spec: ProcessSpec| Arc::new(ProcessSpec { group: name.to_owned(), ..spec });
    let processes = programs.into_iter().map(of_group).collect();
    GroupSpec { name: name.to_owned(), priority, kind: GroupKind::Program, processes }
}

impl Bench {
    /// Makes a booted core with one program, changed as the test needs it.
    pub(super) fn one(change: impl FnOnce(&mut ProcessSpec)) -> Bench {
        let mut spec = program("web");
        change(&mut spec);
        Bench::fleet(vec![group("web", 999, vec![spec])])
    }

    /// Makes a booted core.
    pub(super) fn fleet(groups: Vec<GroupSpec>) -> Bench {
        let core = Core::new(FleetSpec { groups });
        let mut bench = Bench { core, now: Time(100 * SECOND), actions: Vec::new(), requests: 0 };
        bench.give(Input::Boot);
        bench
    }

    /// Gives an input now.
    pub(super) fn give(&mut self, input: Input) -> &[Action] {
        let wall = WallTime(i64::try_from(self.now.0).unwrap_or(0));
        self.core.handle(self.now, wall, input);
        self.actions = std::iter::from_fn(|| self.core.poll_action()).collect();
        &self.actions
    }

    /// Lets milliseconds pass, as the shell would: waking at each deadline.
    pub(super) fn pass_ms(&mut self, ms: u64) {
        let end = Time(self.now.0 + ms * 1_000_000);
        let mut actions = Vec::new();
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            actions.extend(self.give(Input::Tick).to_vec());
        }
        self.now = end;
        actions.extend(self.give(Input::Tick).to_vec());
        self.actions = actions;
    }

    /// Returns the run of a process.
    pub(super) fn run(&self, id: ProcessId) -> RunId {
        self.core.process(id).and_then(|process| process.run()).unwrap_or(RunId(0))
    }

    /// Returns the state of `web`.
    pub(super) fn state(&self) -> State {
        self.state_of(WEB)
    }

    /// Returns the state of a process.
    pub(super) fn state_of(&self, id: ProcessId) -> State {
        self.core.process(id).map_or(State::Unknown, |process| process.state().shown())
    }

    /// Answers the preparation and the spawn of `web`.
    pub(super) fn spawned(&mut self) {
        self.spawned_of(WEB);
    }

    /// Answers the preparation and the spawn of a process.
    pub(super) fn spawned_of(&mut self, id: ProcessId) {
        let run = self.run(id);
        self.give(Input::Prepared { run, result: Ok(()) });
        self.give(Input::Spawned { run, pid: Pid(4000 + i32::try_from(run.0).unwrap_or(0)) });
    }

    /// Brings `web` to RUNNING.
    pub(super) fn up(&mut self) {
        self.spawned();
        self.pass_ms(1000);
        assert_eq!(self.state(), State::Running);
    }

    /// Lets the main process of `web` end.
    pub(super) fn exit(&mut self, code: u8) {
        self.exit_of(WEB, code);
    }

    /// Lets the main process of a process end.
    pub(super) fn exit_of(&mut self, id: ProcessId, code: u8) {
        self.give(Input::Exited { run: self.run(id), status: ExitStatus::Code(code), at: self.now });
    }

    /// Counts what `web` left behind.
    pub(super) fn swept(&mut self, left: u32) {
        self.give(Input::Swept { run: self.run(WEB), left });
    }

    /// Refuses the spawn of `web` after its preparation.
    pub(super) fn spawn_failed(&mut self, error: SpawnError) {
        let run = self.run(WEB);
        self.give(Input::Prepared { run, result: Ok(()) });
        self.give(Input::SpawnFailed { run, error });
    }

    /// Asks for something; returns the answer if it came at once.
    pub(super) fn ask(&mut self, request: Request) -> Option<Reply> {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.give(Input::Request { id, actor: BOB, request });
        self.replies().into_iter().find(|(answered, _)| *answered == id.0).map(|(_, reply)| reply)
    }

    /// Asks `web` to start.
    pub(super) fn ask_start(&mut self, wait: bool) -> Option<Reply> {
        self.ask(Request::Start { process: WEB, wait })
    }

    /// Asks `web` to stop.
    pub(super) fn ask_stop(&mut self, wait: bool) -> Option<Reply> {
        self.ask(Request::Stop { process: WEB, wait })
    }

    /// Returns the replies of the last input.
    pub(super) fn replies(&self) -> Vec<(u64, Reply)> {
        let reply = |action: &Action| match action {
            Action::Reply { id, reply } => Some((id.0, reply.clone())),
            _ => None,
        };
        self.actions.iter().filter_map(reply).collect()
    }

    /// Returns the lines of the last input.
    pub(super) fn lines(&self) -> Vec<&str> {
        self.actions.iter().filter_map(line).collect()
    }

    /// Returns the changes of state at the last input.
    pub(super) fn changes(&self) -> Vec<(State, State)> {
        let change = |action: &Action| match action {
            Action::Publish(change) => Some((change.from, change.to)),
            _ => None,
        };
        self.actions.iter().filter_map(change).collect()
    }

    /// Returns the signals and sweeps of the last input, and what was prepared, spawned and forgotten.
    pub(super) fn effects(&self) -> Vec<String> {
        self.actions.iter().filter_map(effect).collect()
    }

    /// Returns in how many milliseconds the core wants to be woken.
    pub(super) fn deadline_ms(&self) -> Option<u64> {
        self.core.next_deadline().map(|at| at.0.saturating_sub(self.now.0) / 1_000_000)
    }
}

fn line(action: &Action) -> Option<&str> {
    match action {
        Action::Log { text, .. } => Some(text),
        _ => None,
    }
}

fn effect(action: &Action) -> Option<String> {
    Some(match action {
        Action::Prepare { .. } => "prepare".to_owned(),
        Action::Spawn { .. } => "spawn".to_owned(),
        Action::Signal { signal, scope, .. } => match scope {
            Scope::Main => format!("{signal}"),
            Scope::Group => format!("{signal} group"),
            Scope::Tree => format!("{signal} tree"),
        },
        Action::Sweep { signal: Some(signal), .. } => format!("sweep {signal}"),
        Action::Sweep { signal: None, .. } => "sweep".to_owned(),
        Action::Forget { .. } => "forget".to_owned(),
        Action::Finish(finish) => format!("{finish:?}"),
        _ => return None,
    })
}
