//! Programs whose end is the end of more: of their group, or of the daemon (`essential=`).
//!
//! An end is one that nobody asked for and that no restart follows: EXITED for good, or FATAL after the last attempt. One
//! that must not run at all has not begun, and ends nothing: a mistake in a file must not stop a daemon. Must not know what an
//! exit code means. Example: the one program of a container has `essential=daemon` and ends with 3; everything else is
//! stopped in order, and the daemon ends with 3.

use super::action::Finish;
use super::input::Actor;
use super::{Core, lines};
use crate::model::spec::Essential;
use crate::model::{ExitStatus, ProcessId, State};

/// What the daemon ends with when its essential program failed and left no better code.
const FAILED: u8 = 1;

/// What shells add to the number of a signal.
const BY_SIGNAL: u8 = 128;

impl Core {
    /// Returns the code with which the daemon ends, once it does.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// Notes that a process ended for good by itself. What follows comes last in the turn: more may end in it.
    pub(super) fn note_end(&mut self, id: ProcessId) {
        let is_essential = self.table.get(&id).is_some_and(|process| process.spec.essential.is_some());
        if is_essential && self.closing.is_none() {
            self.ended.push(id);
        }
    }

    /// Ends what the noted processes were essential for.
    pub(super) fn end_with_essential(&mut self) {
        for id in std::mem::take(&mut self.ended) {
            let Some(process) = self.table.get(&id).filter(|_| self.closing.is_none()) else { return };
            let (group, code) = (process.group, code_of(process.exit, process.state().shown()));
            match process.spec.essential {
                None => {}
                Some(Essential::Group) => {
                    self.log(lines::group_ends(self.name(id)));
                    for other in self.stop_order(group).into_iter().filter(|other| *other != id) {
                        self.stop(other, Actor::Program, "the essential program of its group ended");
                    }
                }
                Some(Essential::Daemon) => {
                    self.exit_code = code;
                    self.log(lines::daemon_ends(self.name(id), code));
                    self.close(Finish::Exit, Actor::Program);
                }
            }
        }
    }
}

fn code_of(exit: Option<ExitStatus>, state: State) -> u8 {
    match exit {
        Some(ExitStatus::Code(0)) | None if state == State::Fatal => FAILED,
        Some(ExitStatus::Code(code)) => code,
        Some(ExitStatus::Signaled { signal, .. }) => {
            u8::try_from(signal.0).map_or(FAILED, |number| BY_SIGNAL.saturating_add(number))
        }
        Some(ExitStatus::Unknown) | None => FAILED,
    }
}
