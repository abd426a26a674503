//! What clients ask for, and that every request is answered exactly once.
//!
//! A request that is not answered at once becomes a [`Waiter`] of its process, and `settle` looks at the waiters
//! whenever the state that clients see has changed. Who may ask is the shell's business.

use super::Core;
use super::action::{Action, Finish, Reply, Scope};
use super::input::{Actor, Request, RequestId, SpawnError};
use super::lines;
use super::process::{Desired, Process};
use super::state::{ProcState, Rest, Stage};
use crate::model::{ProcessId, Signal, State};
use serde::{Deserialize, Serialize};

/// What an unanswered request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Awaited {
    /// A start: the child exists.
    Spawned,
    /// A start: it is running.
    Running,
    /// A stop: it is down.
    Down,
}

/// A request that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) id: RequestId,
    pub(super) actor: Actor,
    pub(super) awaited: Awaited,
}

impl Core {
    pub(super) fn on_request(&mut self, id: RequestId, actor: Actor, request: Request) {
        if self.closing.is_some() {
            return self.reply(id, Reply::ShuttingDown);
        }
        let process = match request {
            Request::Shutdown | Request::Reload => {
                let finish = if request == Request::Reload { Finish::Reload } else { Finish::Exit };
                self.reply(id, Reply::Done);
                return self.close(finish, actor);
            }
            Request::Start { process, .. }
            | Request::Stop { process, .. }
            | Request::Restart { process, .. }
            | Request::Signal { process, .. } => process,
        };
        let known = self.table.get(&process).filter(|_| !self.departing.contains(&process));
        if known.is_none_or(|process| self.groups.get(&process.group).is_none_or(|group| group.leaving)) {
            return self.reply(id, Reply::Failed("its group is being removed".to_owned()));
        }
        match request {
            Request::Start { wait, .. } => {
                let awaited = if wait { Awaited::Running } else { Awaited::Spawned };
                self.start_requested(process, Waiter { id, actor, awaited });
            }
            Request::Stop { wait, .. } => self.stop_requested(process, id, actor, wait),
            Request::Restart { wait, .. } => self.restart_requested(process, id, actor, wait),
            Request::Signal { signal, .. } => self.signal_requested(process, id, signal),
            Request::Shutdown | Request::Reload => {}
        }
    }

    fn start_requested(&mut self, id: ProcessId, waiter: Waiter) {
        let Some(process) = self.table.get_mut(&id) else { return };
        let state = *process.state();
        let reply = match state {
            ProcState::Checking { .. } | ProcState::Exited { again: Some(_), .. } => {
                return process.waiters.push(waiter);
            }
            ProcState::Stopped | ProcState::Exited { .. } | ProcState::Fatal { .. } => {
                if let Some(why) = process.spec.refused.clone() {
                    self.refuse(id, waiter.actor);
                    Reply::Refused(SpawnError::Refused(why))
                } else {
                    process.waiters.push(waiter);
                    return self.check(id, state.shown(), waiter.actor);
                }
            }
            ProcState::Starting { .. } | ProcState::Running { .. } | ProcState::Backoff { .. } => {
                Reply::AlreadyStarted
            }
            ProcState::Stopping { .. } | ProcState::Sweeping { .. } => match waiter.awaited {
                Awaited::Running => Reply::AbnormalTermination,
                // supervisord says that it started, and does nothing.
                Awaited::Spawned | Awaited::Down => Reply::Done,
            },
            ProcState::Unknown { .. } => {
                Reply::Failed(format!("{} is in an unknown process state", process.spec.name))
            }
        };
        self.reply(waiter.id, reply);
    }

    fn stop_requested(&mut self, id: ProcessId, request: RequestId, actor: Actor, wait: bool) {
        let Some(process) = self.table.get_mut(&id) else { return };
        let has_left_overs = matches!(process.state().rest(), Rest::Left { left: 1.., .. });
        if !process.is_stoppable() && !has_left_overs {
            return self.reply(request, Reply::NotRunning);
        }
        if has_left_overs {
            self.stop_left_overs(id, actor, "stop requested");
        } else {
            self.stop(id, actor, "stop requested");
        }
        if !wait {
            return self.reply(request, Reply::Done);
        }
        let Some(process) = self.table.get_mut(&id) else { return };
        process.waiters.push(Waiter { id: request, actor, awaited: Awaited::Down });
        if !process.state().shown().is_stopped() {
            let line = lines::waiting_to_stop(&process.spec.name);
            self.log(line);
        }
        self.settle(id);
    }

    /// Restarts a process: it is wanted up while it stops, and `enter_stopped` sees to the rest.
    fn restart_requested(&mut self, id: ProcessId, request: RequestId, actor: Actor, wait: bool) {
        let Some(process) = self.table.get(&id) else { return };
        let is_down = match process.state() {
            ProcState::Checking { .. } => true,
            state => state.shown() != State::Stopping && !process.is_stoppable(),
        };
        let waiter =
            Waiter { id: request, actor, awaited: if wait { Awaited::Running } else { Awaited::Spawned } };
        if is_down {
            return self.start_requested(id, waiter);
        }
        self.stop(id, actor, "restart requested");
        self.want(id, Desired::Up);
        let Some(process) = self.table.get_mut(&id) else { return };
        let is_down = process.state().shown().is_stopped();
        process.actor = actor;
        if wait || is_down {
            process.waiters.push(waiter);
        } else {
            self.reply(request, Reply::Done);
        }
        if is_down {
            self.start(id, actor, "restart requested");
        }
    }

    fn signal_requested(&mut self, id: ProcessId, request: RequestId, signal: Signal) {
        let Some(process) = self.table.get(&id) else { return };
        let run = process.state().run().filter(|run| run.pid != 0);
        let Some(run) = run.filter(|_| process.state().shown().is_signallable()) else {
            return self.reply(request, Reply::NotRunning);
        };
        let line = lines::sending(&process.spec.name, run.pid, signal);
        self.log(line);
        self.actions.push_back(Action::Signal { run: run.id, signal, scope: Scope::Main });
        self.reply(request, Reply::Done);
    }

    /// Answers the requests whose wait is over, now that the process is where it is.
    pub(super) fn settle(&mut self, id: ProcessId) {
        let Some(process) = self.table.get_mut(&id) else { return };
        if process.waiters.is_empty() {
            return;
        }
        let waiters = std::mem::take(&mut process.waiters);
        let (answered, waiting) =
            waiters.into_iter().partition::<Vec<_>, _>(|waiter| answer(process, waiter.awaited).is_some());
        process.waiters = waiting;
        let replies: Vec<_> = answered
            .iter()
            .filter_map(|waiter| Some((waiter.id, answer(process, waiter.awaited)?)))
            .collect();
        for (id, reply) in replies {
            self.reply(id, reply);
        }
    }

    /// Answers the starts of a process whose command cannot be run.
    pub(super) fn answer_refused(&mut self, id: ProcessId, error: &SpawnError) {
        self.answer_all(id, &Reply::Refused(error.clone()));
    }

    /// Answers everybody who waits for a process to start, which it will not.
    pub(super) fn answer_starts(&mut self, id: ProcessId, reply: &Reply) {
        let Some(process) = self.table.get_mut(&id) else { return };
        let (stops, starts) =
            process.waiters.drain(..).partition::<Vec<_>, _>(|waiter| waiter.awaited == Awaited::Down);
        process.waiters = stops;
        for waiter in starts {
            self.reply(waiter.id, reply.clone());
        }
    }

    /// Answers everybody who waits for a process.
    pub(super) fn answer_all(&mut self, id: ProcessId, reply: &Reply) {
        let Some(process) = self.table.get_mut(&id) else { return };
        for waiter in std::mem::take(&mut process.waiters) {
            self.reply(waiter.id, reply.clone());
        }
    }

    /// Returns who asked for the start that is being looked at.
    pub(super) fn asker(&self, id: ProcessId) -> Actor {
        let waiter = self.table.get(&id).and_then(|process| process.waiters.first());
        waiter.map_or(Actor::Policy, |waiter| waiter.actor)
    }

    fn reply(&mut self, id: RequestId, reply: Reply) {
        self.actions.push_back(Action::Reply { id, reply });
    }
}

/// Returns the answer to a request, once the state of its process gives one (supervisor 4.3 rpcinterface.py).
fn answer(process: &Process, awaited: Awaited) -> Option<Reply> {
    let state = process.state();
    match (awaited, state.shown()) {
        (Awaited::Down, State::Unknown) => Some(Reply::Failed(process.cause.clone())),
        (Awaited::Down, shown) => shown.is_stopped().then_some(Reply::Done),
        _ if matches!(state, ProcState::Checking { .. }) || process.is_restarting() => None,
        (_, State::Running) => Some(Reply::Done),
        (Awaited::Spawned, State::Starting) => {
            matches!(state, ProcState::Starting { stage: Stage::Up, .. }).then_some(Reply::Done)
        }
        (_, State::Starting) => None,
        (_, State::Backoff | State::Fatal) => Some(Reply::SpawnError(process.failure.clone())),
        (_, State::Stopped | State::Stopping | State::Exited | State::Unknown) => {
            Some(Reply::AbnormalTermination)
        }
    }
}
