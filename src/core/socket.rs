//! Listening sockets that processes share as descriptor 0 (`[fcgi-program:x]`): opened before the first child that
//! gets one is made, closed when the last has gone (supervisor 4.3 `socket_manager.py`).
//!
//! Processes share a socket when their configurations name the same one, whatever group they are in. A preparation
//! that is done waits here for the socket; a socket that cannot be opened is a failed start of all who wait. Must not
//! know what a socket is. Example: `self.ask_for_child(id, run)` yields [`Action::OpenSocket`] for the first process
//! of a group, and [`Action::Spawn`] at once for the second.

use super::action::Action;
use super::input::{Actor, SpawnError};
use super::state::{ProcState, Run, Stage};
use super::{Core, lines};
use crate::model::{ProcessId, RunId};
use serde::{Deserialize, Serialize};

/// How far a socket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    #[default]
    Closed,
    /// [`Action::OpenSocket`] is not answered yet.
    Opening,
    Open,
}

/// A socket that somebody has, or waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Shared {
    phase: Phase,
    /// Runs that are spawned when it is open, in the order in which they were prepared.
    waiting: Vec<(ProcessId, RunId)>,
    /// Processes that have it; counted anew when a core is restored.
    #[serde(skip)]
    holders: usize,
}

impl Core {
    /// Asks for the child of a process whose preparation is done, or for its socket first.
    pub(super) fn ask_for_child(&mut self, id: ProcessId, run: Run) {
        let Some(process) = self.table.get(&id) else { return };
        let Some(socket) = process.spec.socket.clone() else { return self.spawn(id, run) };
        let shared = self.sockets.entry(socket.url.clone()).or_default();
        if shared.phase == Phase::Open {
            return self.spawn(id, run);
        }
        shared.waiting.push((id, run.id));
        if std::mem::replace(&mut shared.phase, Phase::Opening) == Phase::Closed {
            self.log(lines::creating_socket(&socket.url));
            self.actions.push_back(Action::OpenSocket(socket));
        }
    }

    fn spawn(&mut self, id: ProcessId, run: Run) {
        self.set_state(id, ProcState::Starting { run, stage: Stage::Spawning }, Actor::Policy, "");
        self.actions.push_back(Action::Spawn { run: run.id, process: id });
    }

    /// Takes in what became of a socket. One that a reactor before this one had opened comes unasked.
    pub(super) fn on_socket_opened(&mut self, url: &str, result: Result<(), SpawnError>) {
        let shared = self.sockets.entry(url.to_owned()).or_default();
        shared.phase = if result.is_ok() { Phase::Open } else { Phase::Closed };
        for (id, waiting) in std::mem::take(&mut shared.waiting) {
            let state = self.table.get(&id).map(|process| *process.state());
            // Others were stopped while they waited.
            let Some(ProcState::Starting { run, stage: Stage::Preparing }) = state else { continue };
            match &result {
                _ if run.id != waiting => {}
                Ok(()) => self.spawn(id, run),
                Err(error) => self.start_failed(id, error),
            }
        }
        self.close_unused(url);
    }

    /// Counts one holder more or less of the socket of a process, where it has one.
    pub(super) fn count_holder(&mut self, id: ProcessId, change: isize) {
        let Some(socket) = self.table.get(&id).and_then(|process| process.spec.socket.as_ref()) else {
            return;
        };
        let shared = match self.sockets.get_mut(&socket.url) {
            Some(shared) => shared,
            None => self.sockets.entry(socket.url.clone()).or_default(),
        };
        shared.holders = shared.holders.saturating_add_signed(change);
    }

    /// Closes the socket of a process, where it has one that nobody has any more.
    pub(super) fn release_socket(&mut self, id: ProcessId) {
        let socket = self.table.get(&id).and_then(|process| process.spec.socket.as_ref());
        if let Some(url) = socket.map(|socket| socket.url.clone()) {
            self.close_unused(&url);
        }
    }

    fn close_unused(&mut self, url: &str) {
        let Some(shared) = self.sockets.get(url) else { return };
        if shared.holders > 0 || shared.phase == Phase::Opening {
            return;
        }
        if shared.phase == Phase::Open {
            self.log(lines::closing_socket(url));
            self.actions.push_back(Action::CloseSocket(url.to_owned()));
        }
        self.sockets.remove(url);
    }

    /// Returns the sockets as data, and takes them back; who holds them is seen by their states.
    pub(super) fn sockets_asked_for(&self) -> Vec<(String, Shared)> {
        self.sockets
            .iter()
            .map(|(url, shared)| (url.clone(), Shared { holders: 0, ..shared.clone() }))
            .collect()
    }

    pub(super) fn restore_sockets(&mut self, sockets: Vec<(String, Shared)>) {
        for (url, told) in sockets {
            let shared = self.sockets.entry(url).or_default();
            (shared.phase, shared.waiting) = (told.phase, told.waiting);
        }
    }
}
