//! One program in an imagined world, moved by hand from state to state.

use super::program::plain;
use std::sync::Arc;
use visor::core::{
    Action, Actor, Core, Input, ProcState, Request, RequestId, Rest, Scope, SpawnError, Stage, Step,
};
use visor::model::spec::{AutoRestart, FleetSpec, GroupKind, GroupSpec, ProcessSpec};
use visor::model::{ExitStatus, Pid, ProcessId, RunId, State, Time, Uid, WallTime};

/// The program.
pub(crate) const WEB: ProcessId = ProcessId(0);

const OTHER: ProcessId = ProcessId(1);

/// A core with a clock, and what the last input led to.
pub(crate) struct Bench {
    core: Core,
    now: Time,
    pub(crate) done: Vec<String>,
}

/// Returns the program's `autorestart`.
pub(crate) fn policy() -> AutoRestart {
    AutoRestart::True
}

/// Returns a request of a client.
pub(crate) fn request(request: Request) -> Input {
    Input::Request { id: RequestId(1), actor: Actor::Client(Uid(1000)), request }
}

fn group(spec: ProcessSpec) -> GroupSpec {
    let name = spec.group.clone();
    GroupSpec { name, priority: 999, kind: GroupKind::Program, processes: vec![Arc::new(spec)] }
}

impl Bench {
    fn new(change: impl FnOnce(&mut ProcessSpec), others: Vec<GroupSpec>) -> Bench {
        let mut spec = plain("web", "web");
        spec.autorestart = policy();
        change(&mut spec);
        let mut groups = vec![group(spec)];
        groups.extend(others);
        let core = Core::new(FleetSpec { groups });
        Bench { core, now: Time(100_000_000_000), done: Vec::new() }.then(|| Input::Boot)
    }

    /// The program is starting.
    pub(crate) fn booted() -> Bench {
        Bench::new(|_| {}, Vec::new())
    }

    /// The program is not started by itself.
    pub(crate) fn idle() -> Bench {
        Bench::new(|spec| spec.autostart = false, Vec::new())
    }

    /// The program is not restarted when it ends as expected.
    pub(crate) fn once() -> Bench {
        Bench::new(|spec| spec.autorestart = AutoRestart::Unexpected, Vec::new())
    }

    /// The program is starting on a machine that will have no room for another.
    pub(crate) fn short() -> Bench {
        Bench::new(|_| {}, vec![group(plain("other", "other"))])
    }

    /// The program has used up its attempts.
    pub(crate) fn hopeless() -> Bench {
        let mut bench = Bench::new(|spec| spec.startretries = 0, Vec::new());
        let error = SpawnError::NotFound("web".to_owned());
        bench.give(Input::Prepared { run: bench.run(WEB), result: Err(error) });
        bench
    }

    /// The program has been restarted as often as is allowed at a time.
    pub(crate) fn hot() -> Bench {
        let change = |spec: &mut ProcessSpec| (spec.startsecs, spec.stopasgroup) = (0, Some(true));
        let mut bench = Bench::new(change, Vec::new());
        while bench.shown() != State::Exited {
            let run = bench.run(WEB);
            bench.give(Input::Prepared { run, result: Ok(()) });
            bench.give(Input::Spawned { run, pid: Pid(42) });
            bench.give(Input::Exited { run, status: ExitStatus::Code(1), at: bench.now });
        }
        bench
    }

    /// Brings the program to RUNNING; another one meets a machine without room just before.
    pub(crate) fn running(mut self) -> Bench {
        let run = self.run(WEB);
        self.give(Input::Prepared { run, result: Ok(()) });
        self.give(Input::Spawned { run, pid: Pid(42) });
        let other = self.run(OTHER);
        self.now = self.now.after_secs(1);
        if other != RunId(0) {
            self.give(Input::Prepared { run: other, result: Ok(()) });
            let error = SpawnError::TooManyProcesses("other".to_owned());
            self.give(Input::SpawnFailed { run: other, error });
        }
        self.give(Input::Tick);
        self
    }

    /// Gives an input.
    pub(crate) fn then(mut self, input: impl FnOnce() -> Input) -> Bench {
        self.give(input());
        self
    }

    /// Gives an input about the run of the program.
    pub(crate) fn told(mut self, input: impl FnOnce(RunId) -> Input) -> Bench {
        let run = self.run(WEB);
        self.give(input(run));
        self
    }

    /// Lets the time of the next step come.
    pub(crate) fn at_deadline(mut self) -> Bench {
        self.now = self.core.next_deadline().unwrap_or(self.now);
        self.give(Input::Tick);
        self
    }

    /// Returns when time moves the program on.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.core.next_deadline()
    }

    fn run(&self, id: ProcessId) -> RunId {
        self.core.process(id).and_then(|process| process.run()).unwrap_or(RunId(0))
    }

    /// Returns the state that clients see.
    pub(crate) fn shown(&self) -> State {
        self.core.process(WEB).map_or(State::Unknown, |process| process.state().shown())
    }

    fn give(&mut self, input: Input) {
        self.core.handle(self.now, WallTime(0), input);
        self.done =
            std::iter::from_fn(|| self.core.poll_action()).filter_map(|action| line(&action)).collect();
    }

    /// Returns the state with its inner steps, times relative to now.
    pub(crate) fn state(&self) -> String {
        let Some(process) = self.core.process(WEB) else { return "gone".to_owned() };
        let wish = format!("{:?}", process.desired()).to_lowercase();
        format!("{}, wish {wish}", self.words(process.state()))
    }

    fn words(&self, state: &ProcState) -> String {
        let secs = |at: Time| format!("{:.1} s", at.since(self.now).as_secs_f64());
        let rest = |rest: &Rest| match rest {
            Rest::Clean => String::new(),
            Rest::Left { left, .. } => format!(", {left} left"),
            Rest::Busy(sweep) if sweep.killed => {
                format!(", sweep killed, given up in {}", secs(sweep.deadline))
            }
            Rest::Busy(sweep) => format!(", sweeping, killed in {}", secs(sweep.deadline)),
        };
        match state {
            ProcState::Stopped => "STOPPED".to_owned(),
            ProcState::Checking { shown, .. } => format!("{}, checking", shown.name()),
            ProcState::Starting { stage, .. } => match stage {
                Stage::Queued => "STARTING, queued".to_owned(),
                Stage::Preparing => "STARTING, preparing".to_owned(),
                Stage::Spawning => "STARTING, spawning".to_owned(),
                Stage::Up => "STARTING, up".to_owned(),
            },
            ProcState::Running { .. } => "RUNNING".to_owned(),
            ProcState::Backoff { until, rest: r } => format!("BACKOFF, next in {}{}", secs(*until), rest(r)),
            ProcState::Stopping { step, .. } => match step {
                Step::Unspawned => "STOPPING, not spawned yet".to_owned(),
                Step::Asked { kill_at } => format!("STOPPING, killed in {}", secs(*kill_at)),
                Step::Killed { again_at } => format!("STOPPING, killed again in {}", secs(*again_at)),
            },
            ProcState::Sweeping { sweep } => format!("STOPPING{}", rest(&Rest::Busy(*sweep))),
            ProcState::Exited { again: Some(at), rest: r } => {
                format!("EXITED, restart in {}{}", secs(*at), rest(r))
            }
            ProcState::Exited { again: None, rest: r } => format!("EXITED{}", rest(r)),
            ProcState::Fatal { rest: r } => format!("FATAL{}", rest(r)),
            ProcState::Unknown { .. } => "UNKNOWN".to_owned(),
        }
    }
}

fn line(action: &Action) -> Option<String> {
    Some(match action {
        Action::Persist(_) => return None,
        Action::Prepare { .. } => "prepare".to_owned(),
        Action::Spawn { .. } => "spawn".to_owned(),
        Action::Signal { signal, scope, .. } => {
            let whom = match scope {
                Scope::Main => "the main process",
                Scope::Group => "its group",
                Scope::Tree => "its tree",
            };
            format!("{signal} to {whom}")
        }
        Action::Sweep { signal: Some(signal), .. } => format!("sweep with {signal}"),
        Action::Sweep { signal: None, .. } => "count what is left".to_owned(),
        Action::Forget { .. } => "forget the run".to_owned(),
        Action::OpenSocket(socket) => format!("open {}", socket.url),
        Action::CloseSocket(url) => format!("close {url}"),
        Action::Publish(change) => {
            let (from, to) = (change.from.name(), change.to.name());
            format!("{from} to {to} by {:?}: {} (tries {})", change.actor, change.cause, change.tries)
        }
        Action::Log { level, text } => format!("{} {text}", level.tag()),
        Action::GroupAdded(name) => format!("group {name} added"),
        Action::GroupChanged(name) => format!("group {name} changed"),
        Action::GroupRemoved(name) => format!("group {name} removed"),
        Action::Reply { reply, .. } => format!("reply {reply:?}"),
        Action::KeepEvent(event) => format!("keep event {}", event.serial),
        Action::SettleEvent { delivery, fate } => format!("event {} is settled: {fate:?}", delivery.serial),
        Action::SendEvent { delivery, .. } => format!("send event {}", delivery.serial),
        Action::ShowResult(_) => "show the result".to_owned(),
        Action::Finish(finish) => format!("finish: {finish:?}"),
    })
}
