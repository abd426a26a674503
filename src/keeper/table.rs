//! What the keeper knows, without a descriptor or a system call: runs, exits, and what is still to be told.
//!
//! Every run stays in the table until the reactor has released it, so a reactor may die after any message:
//! the next one is told everything that is not settled. The loop in [`super`] carries out the [`Effect`]s.
//! Example: `table.request(Request::Release { run })` forgets a run's end, and nothing else does.

use super::protocol::{Report, Request, Streams, VERSION, Whom};
use crate::model::{ExitStatus, Signal};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most descriptors in flight in a hand-over: the kernel refuses more than the limit of open files
/// (unix(7), `ETOOMANYREFS`), and 256 is a common limit.
pub const WINDOW_FDS_MAX: usize = 200;

/// What the loop must do for the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make a child; answer with [`Table::spawned`] or [`Table::spawn_failed`].
    Spawn {
        /// The run.
        run: u64,
        /// Its streams.
        streams: Streams,
        /// Key of the descriptor for descriptor 0; 0 for none.
        held: u64,
    },
    /// Send a signal to a child that is not reaped.
    Kill {
        /// The run, for [`Table::refused`].
        run: u64,
        /// Its process.
        pid: i32,
        /// What.
        signal: Signal,
        /// To whom.
        whom: Whom,
    },
    /// Close the descriptors of a run.
    Close {
        /// The run.
        run: u64,
    },
    /// Keep the descriptor that came along.
    Hold {
        /// Its name.
        key: u64,
    },
    /// Close a held descriptor.
    Drop {
        /// Its name.
        key: u64,
    },
    /// Keep the descriptors that came along, and watch a process that is not our child.
    Watch {
        /// The run.
        run: u64,
        /// Its process.
        pid: i32,
        /// When that started; the run has ended where another process has its number by now.
        started_ticks: u64,
    },
    /// Carry out a request about the keeper itself.
    Own(Request),
}

/// Which descriptors go with a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// None.
    Nothing,
    /// Those of a run's streams.
    Run(u64),
    /// A held one.
    Held(u64),
}

/// A run as the keeper sees it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    pid: i32,
    streams: Streams,
    started_ticks: u64,
    note: Option<(u32, i32)>,
    /// How, and when it was reaped.
    ended: Option<(ExitStatus, u64)>,
}

/// What the keeper knows.
#[derive(Debug, Default)]
pub struct Table {
    runs: BTreeMap<u64, Entry>,
    by_pid: BTreeMap<i32, u64>,
    holds: BTreeSet<u64>,
    outbox: VecDeque<(Report, With)>,
    orphans: Option<(u64, i32, ExitStatus)>,
    /// Signals that were sent and not answered yet, in order: as many as the connection takes.
    unheard: VecDeque<Signal>,
    /// Runs and holds still to be handed over; `None` when no hand-over is under way.
    handover: Option<VecDeque<(Report, With)>>,
}

impl Table {
    /// Takes in a request of the reactor and returns what is to be done.
    pub fn request(&mut self, request: Request) -> Option<Effect> {
        match request {
            Request::Spawn { run, streams, held } => self.spawn(run, streams, held),
            Request::Signal { run, signal, whom } => {
                let entry = self.runs.get(&run).filter(|entry| entry.ended.is_none())?;
                Some(Effect::Kill { run, pid: entry.pid, signal, whom })
            }
            Request::Release { run } => {
                // A child that still lives keeps its entry: its end must not look like an orphan's.
                self.runs.get(&run).filter(|entry| entry.ended.is_some())?;
                self.runs.remove(&run);
                Some(Effect::Close { run })
            }
            Request::Hold { key } => {
                self.holds.insert(key);
                Some(Effect::Hold { key })
            }
            Request::Drop { key } => self.holds.remove(&key).then_some(Effect::Drop { key }),
            Request::Taken => {
                // Signals wait for the end of a hand-over, so that until then it is a window that is answered.
                if self.handover.is_some() {
                    self.fill_window();
                } else {
                    self.unheard.pop_front();
                }
                None
            }
            Request::Adopt { run, pid, streams, started_ticks } => {
                if let Some(known) = self.runs.get_mut(&run) {
                    // Said again with the descriptors that were missing.
                    if known.ended.is_some() {
                        return None;
                    }
                    known.streams = streams;
                    return Some(Effect::Watch { run, pid, started_ticks });
                }
                self.insert(run, pid, streams, started_ticks);
                Some(Effect::Watch { run, pid, started_ticks })
            }
            own => Some(Effect::Own(own)),
        }
    }

    fn spawn(&mut self, run: u64, streams: Streams, held: u64) -> Option<Effect> {
        // Asked again by a reactor that did not hear the answer: one child is enough.
        if let Some(entry) = self.runs.get(&run) {
            let told = Report::Spawned {
                run,
                pid: entry.pid,
                streams: entry.streams,
                started_ticks: entry.started_ticks,
            };
            let (note, ended) = (entry.note, entry.ended);
            self.tell(told, With::Run(run));
            if let Some(end) = ended {
                self.tell_end(run, note, end);
            }
            return None;
        }
        Some(Effect::Spawn { run, streams, held })
    }

    fn insert(&mut self, run: u64, pid: i32, streams: Streams, started_ticks: u64) {
        let entry = Entry { pid, streams, started_ticks, note: None, ended: None };
        self.runs.insert(run, entry);
        self.by_pid.insert(pid, run);
    }

    /// Notes that the child of a run exists.
    pub fn spawned(&mut self, run: u64, pid: i32, streams: Streams, started_ticks: u64) {
        self.insert(run, pid, streams, started_ticks);
        self.tell(Report::Spawned { run, pid, streams, started_ticks }, With::Run(run));
    }

    /// Notes that no child could be made.
    pub fn spawn_failed(&mut self, run: u64, errno: i32, pipe: bool) {
        self.tell(Report::Failed { run, errno, pipe }, With::Nothing);
    }

    /// Notes what a failed child said of itself.
    pub fn noted(&mut self, run: u64, stage: u32, errno: i32) {
        if let Some(entry) = self.runs.get_mut(&run) {
            entry.note = Some((stage, errno));
        }
    }

    /// Notes that a signal could not be sent.
    pub fn refused(&mut self, run: u64, errno: i32) {
        self.tell(Report::Refused { run, errno }, With::Nothing);
    }

    /// Notes that a process was reaped, at `at_ns` on the monotonic clock: a run's, or an orphan that nobody knows.
    pub fn ended(&mut self, pid: i32, status: ExitStatus, at_ns: u64) {
        let Some(run) = self.by_pid.remove(&pid) else {
            return self.orphan(pid, status);
        };
        if let Some(entry) = self.runs.get_mut(&run) {
            entry.ended = Some((status, at_ns));
            let note = entry.note;
            self.tell_end(run, note, (status, at_ns));
        }
    }

    fn tell_end(&mut self, run: u64, note: Option<(u32, i32)>, (status, at_ns): (ExitStatus, u64)) {
        if let Some((stage, errno)) = note {
            self.tell(Report::Noted { run, stage, errno }, With::Nothing);
        }
        self.tell(Report::Exited { run, status, at_ns }, With::Nothing);
    }

    fn orphan(&mut self, pid: i32, status: ExitStatus) {
        let count = self.orphans.map_or(0, |orphans| orphans.0) + 1;
        self.orphans = Some((count, pid, status));
    }

    /// Notes that a descriptor to hold did not arrive; an older one of that name stays where there is one.
    pub fn not_held(&mut self, key: u64, has_older: bool) {
        if !has_older {
            self.holds.remove(&key);
        }
        self.tell(Report::Unheld { key }, With::Nothing);
    }

    /// Passes on a signal that was sent to the daemon; one of each kind waits at the most.
    pub fn signal(&mut self, signal: Signal) {
        let report = Report::Signal { signal };
        let mut waiting = self.outbox.iter().chain(self.handover.iter().flatten());
        if !waiting.any(|(waiting, _)| *waiting == report) {
            self.tell(report, With::Nothing);
        }
    }

    /// During a hand-over news wait for its end: a run's exit must not come before the run itself.
    fn tell(&mut self, report: Report, with: With) {
        self.handover.as_mut().unwrap_or(&mut self.outbox).push_back((report, with));
    }

    /// Returns the next report to send, and the descriptors that go with it. Removed only by [`Self::sent`].
    #[must_use]
    pub fn next_report(&mut self) -> Option<(Report, With)> {
        if self.outbox.is_empty() && self.handover.is_none() {
            let (count, pid, status) = self.orphans.take()?;
            self.tell(Report::Orphans { count, pid, status }, With::Nothing);
        }
        self.outbox.front().copied()
    }

    /// Whether something waits to be sent.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        !self.outbox.is_empty() || (self.orphans.is_some() && self.handover.is_none())
    }

    /// Notes that the report of [`Self::next_report`] went out whole.
    pub fn sent(&mut self) {
        if let Some((Report::Signal { signal }, _)) = self.outbox.pop_front() {
            self.unheard.push_back(signal);
        }
    }

    /// Begins the hand-over to a new reactor: everything that is not settled is told again.
    pub fn hand_over(&mut self, deaths: u64, daemonized: bool, ending: bool) {
        let untold = self.outbox.drain(..).chain(self.handover.take().into_iter().flatten());
        let untold = untold.filter(|(report, _)| matches!(report, Report::Signal { .. }));
        let unheard = self.unheard.drain(..).map(|signal| (Report::Signal { signal }, With::Nothing));
        let mut signals: Vec<(Report, With)> = Vec::new();
        for signal in unheard.chain(untold) {
            if !signals.contains(&signal) {
                signals.push(signal);
            }
        }
        let mut all: VecDeque<_> =
            self.holds.iter().map(|key| (Report::Held { key: *key }, With::Held(*key))).collect();
        for (run, entry) in &self.runs {
            let (run, Entry { pid, streams, started_ticks, .. }) = (*run, *entry);
            all.push_back((Report::Spawned { run, pid, streams, started_ticks }, With::Run(run)));
        }
        for (run, entry) in &self.runs {
            let Some((status, at_ns)) = entry.ended else { continue };
            if let Some((stage, errno)) = entry.note {
                all.push_back((Report::Noted { run: *run, stage, errno }, With::Nothing));
            }
            all.push_back((Report::Exited { run: *run, status, at_ns }, With::Nothing));
        }
        let begin = Report::Begin { deaths, daemonized, ending, version: VERSION };
        all.push_back((begin, With::Nothing));
        all.extend(signals);
        self.handover = Some(all);
        self.fill_window();
    }

    fn fill_window(&mut self) {
        let Some(mut rest) = self.handover.take() else { return };
        let mut fds = 0;
        while let Some((report, with)) = rest.pop_front() {
            fds += report.fds();
            if fds > WINDOW_FDS_MAX {
                rest.push_front((report, with));
                self.outbox.push_back((Report::Window, With::Nothing));
                self.handover = Some(rest);
                return;
            }
            self.outbox.push_back((report, with));
        }
    }

    /// Whether any child of a run lives.
    #[must_use]
    pub fn any_alive(&self) -> bool {
        self.runs.values().any(|entry| entry.ended.is_none())
    }

    /// Returns how many runs are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether no run is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
