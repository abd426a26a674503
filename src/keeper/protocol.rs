//! What keeper and reactor say to each other: headers of 64 bytes over a stream, descriptors beside them.
//!
//! Plain data without a name, a path or a policy. Example: the reactor sends [`Request::Spawn`], and the
//! keeper answers with [`Report::Spawned`] or [`Report::Failed`].

use crate::model::{ExitStatus, Signal};

/// Size of every message, in bytes.
pub const MESSAGE_SIZE_BYTES: usize = 64;
/// The protocol's version: another number means that the keeper must be replaced by exec.
pub const VERSION: u64 = 2;

/// A message on its way.
pub type Wire = [u8; MESSAGE_SIZE_BYTES];

/// Which of a child's streams are pipes of ours, as bits of a spawn request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams(pub u64);

impl Streams {
    /// Descriptor 0 is a pipe whose write end we keep.
    pub const STDIN: u64 = 1;
    /// Descriptor 1 is a pipe that we read.
    pub const STDOUT: u64 = 2;
    /// Descriptor 2 is a pipe that we read.
    pub const STDERR: u64 = 4;
    /// Descriptor 2 is what descriptor 1 is.
    pub const STDERR_TO_STDOUT: u64 = 8;

    /// Whether all of these bits are set.
    #[must_use]
    pub fn has(self, bits: u64) -> bool {
        self.0 & bits == bits
    }

    /// Returns how many descriptors the two sides keep for it.
    #[must_use]
    pub fn kept(self) -> usize {
        (self.0 & (Streams::STDIN | Streams::STDOUT | Streams::STDERR)).count_ones() as usize
    }
}

/// To whom of a run the keeper sends a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The child itself.
    Main,
    /// Its process group; the child itself where it has left that group.
    Group,
}

/// What the reactor asks of the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Make a child from the image that comes along; with `held`, that descriptor becomes its descriptor 0.
    Spawn {
        /// The run.
        run: u64,
        /// Its streams.
        streams: Streams,
        /// Key of a held descriptor for descriptor 0; 0 for none.
        held: u64,
    },
    /// Send a signal.
    Signal {
        /// The run.
        run: u64,
        /// What.
        signal: Signal,
        /// To whom.
        whom: Whom,
    },
    /// The run's exit was taken in and its streams are read to the end: forget it.
    Release {
        /// The run.
        run: u64,
    },
    /// Keep the descriptor that comes along, also over the reactor's death.
    Hold {
        /// Its name.
        key: u64,
    },
    /// Keep it no longer.
    Drop {
        /// Its name.
        key: u64,
    },
    /// Set a limit of the keeper itself, which its children inherit.
    Limit {
        /// 0 for open files, 1 for processes.
        resource: u64,
        /// Soft limit.
        soft: u64,
        /// Hard limit.
        hard: u64,
    },
    /// Set the file creation mask.
    Umask {
        /// The mask.
        mask: u64,
    },
    /// Change to the directory that comes along as a descriptor.
    Chdir,
    /// Become another user; the list of groups comes along as a file of 32-bit numbers.
    Become {
        /// User id.
        uid: u64,
        /// Group id.
        gid: u64,
    },
    /// The daemon is up: whoever launched it may go on.
    Ready,
    /// What a configuration brought about has settled: give memory back.
    Calm,
    /// The configuration wants a daemon and this one was launched in the foreground: launch one.
    Daemonize,
    /// Everything is done: end with this code as soon as the reactor has gone.
    Exit {
        /// Exit code.
        code: u64,
    },
    /// A window of the hand-over, or a signal, arrived.
    Taken,
    /// A replacement for a lost keeper: take over a run whose child is not the keeper's own.
    Adopt {
        /// The run.
        run: u64,
        /// Its process.
        pid: i32,
        /// Its streams, whose descriptors come along.
        streams: Streams,
        /// When it started, in the process table's clock ticks; 0 where that could not be read.
        started_ticks: u64,
    },
}

/// What the keeper tells the reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A child was made; the descriptors of its streams come along, stdin first.
    Spawned {
        /// The run.
        run: u64,
        /// Its process.
        pid: i32,
        /// Its streams.
        streams: Streams,
        /// When it started, in the process table's clock ticks; 0 where that could not be read.
        started_ticks: u64,
    },
    /// No child was made.
    Failed {
        /// The run.
        run: u64,
        /// Why.
        errno: i32,
        /// Whether a pipe failed, not the fork.
        pipe: bool,
    },
    /// A child failed after the fork; its exit follows.
    Noted {
        /// The run.
        run: u64,
        /// What it was doing.
        stage: u32,
        /// Why it failed.
        errno: i32,
    },
    /// A child ended; told again after a hand-over until the run is released.
    Exited {
        /// The run.
        run: u64,
        /// How.
        status: ExitStatus,
        /// When it was reaped, in nanoseconds of the monotonic clock.
        at_ns: u64,
    },
    /// A signal could not be sent, for another reason than that the process had gone.
    Refused {
        /// The run.
        run: u64,
        /// Why.
        errno: i32,
    },
    /// A signal was sent to the daemon.
    Signal {
        /// Which.
        signal: Signal,
    },
    /// Processes that no run knows ended: how many, and the last of them.
    Orphans {
        /// How many since the last such report.
        count: u64,
        /// The last one's number.
        pid: i32,
        /// How it ended.
        status: ExitStatus,
    },
    /// Hand-over: a held descriptor comes along.
    Held {
        /// Its name.
        key: u64,
    },
    /// A descriptor to hold did not arrive: send it again later.
    Unheld {
        /// Its name.
        key: u64,
    },
    /// Hand-over: the window is full, answer with `Taken`.
    Window,
    /// Hand-over: that was all.
    Begin {
        /// How many reactors there were before this one.
        deaths: u64,
        /// Whether this daemon was detached by its launcher.
        daemonized: bool,
        /// Whether the reactor is to end everything.
        ending: bool,
        /// The protocol's version.
        version: u64,
    },
}

/// Words of a message: kind, run, and six more.
type Words = [u64; 8];

fn pack(words: Words) -> Wire {
    let mut wire = [0; MESSAGE_SIZE_BYTES];
    for (place, word) in wire.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    wire
}

fn unpack(wire: &Wire) -> Words {
    std::array::from_fn(|w| u64::from_ne_bytes(std::array::from_fn(|b| wire[w * 8 + b])))
}

fn signed(word: u64) -> i32 {
    word as u32 as i32
}

fn unsigned(number: i32) -> u64 {
    u64::from(number as u32)
}

/// Exit statuses as two words: kind and number.
fn pack_status(status: ExitStatus) -> (u64, u64) {
    match status {
        ExitStatus::Code(code) => (0, u64::from(code)),
        ExitStatus::Signaled { signal, core } => (1 + u64::from(core), unsigned(signal.0)),
        ExitStatus::Unknown => (3, 0),
    }
}

fn unpack_status(kind: u64, number: u64) -> ExitStatus {
    match kind {
        0 => ExitStatus::Code(number as u8),
        1 | 2 => ExitStatus::Signaled { signal: Signal(signed(number)), core: kind == 2 },
        _ => ExitStatus::Unknown,
    }
}

impl Request {
    /// Returns the message.
    #[must_use]
    pub fn encode(self) -> Wire {
        pack(match self {
            Request::Spawn { run, streams, held } => [1, run, streams.0, held, 0, 0, 0, 0],
            Request::Signal { run, signal, whom } => {
                [2, run, unsigned(signal.0), u64::from(whom == Whom::Group), 0, 0, 0, 0]
            }
            Request::Release { run } => [4, run, 0, 0, 0, 0, 0, 0],
            Request::Hold { key } => [5, key, 0, 0, 0, 0, 0, 0],
            Request::Drop { key } => [6, key, 0, 0, 0, 0, 0, 0],
            Request::Limit { resource, soft, hard } => [7, resource, soft, hard, 0, 0, 0, 0],
            Request::Umask { mask } => [8, mask, 0, 0, 0, 0, 0, 0],
            Request::Chdir => [9, 0, 0, 0, 0, 0, 0, 0],
            Request::Become { uid, gid } => [10, uid, gid, 0, 0, 0, 0, 0],
            Request::Ready => [11, 0, 0, 0, 0, 0, 0, 0],
            Request::Daemonize => [12, 0, 0, 0, 0, 0, 0, 0],
            Request::Exit { code } => [13, code, 0, 0, 0, 0, 0, 0],
            Request::Taken => [14, 0, 0, 0, 0, 0, 0, 0],
            Request::Calm => [16, 0, 0, 0, 0, 0, 0, 0],
            Request::Adopt { run, pid, streams, started_ticks } => {
                [15, run, unsigned(pid), streams.0, started_ticks, 0, 0, 0]
            }
        })
    }

    /// Returns the request, unless the kind is unknown.
    #[must_use]
    pub fn decode(wire: &Wire) -> Option<Request> {
        let [kind, run, a, b, c, ..] = unpack(wire);
        Some(match kind {
            1 => Request::Spawn { run, streams: Streams(a), held: b },
            2 => Request::Signal {
                run,
                signal: Signal(signed(a)),
                whom: if b == 1 { Whom::Group } else { Whom::Main },
            },
            4 => Request::Release { run },
            5 => Request::Hold { key: run },
            6 => Request::Drop { key: run },
            7 => Request::Limit { resource: run, soft: a, hard: b },
            8 => Request::Umask { mask: run },
            9 => Request::Chdir,
            10 => Request::Become { uid: run, gid: a },
            11 => Request::Ready,
            12 => Request::Daemonize,
            13 => Request::Exit { code: run },
            14 => Request::Taken,
            15 => Request::Adopt { run, pid: signed(a), streams: Streams(b), started_ticks: c },
            16 => Request::Calm,
            _ => return None,
        })
    }

    /// Whether descriptors come along with it.
    #[must_use]
    pub fn fds(self) -> usize {
        match self {
            Request::Spawn { .. } | Request::Hold { .. } | Request::Chdir | Request::Become { .. } => 1,
            Request::Adopt { streams, .. } => streams.kept(),
            _ => 0,
        }
    }
}

impl Report {
    /// Returns the message.
    #[must_use]
    pub fn encode(self) -> Wire {
        pack(match self {
            Report::Spawned { run, pid, streams, started_ticks } => {
                [1, run, unsigned(pid), streams.0, started_ticks, 0, 0, 0]
            }
            Report::Failed { run, errno, pipe } => [2, run, unsigned(errno), u64::from(pipe), 0, 0, 0, 0],
            Report::Noted { run, stage, errno } => [3, run, u64::from(stage), unsigned(errno), 0, 0, 0, 0],
            Report::Exited { run, status, at_ns } => {
                let (kind, number) = pack_status(status);
                [4, run, kind, number, at_ns, 0, 0, 0]
            }
            Report::Refused { run, errno } => [5, run, unsigned(errno), 0, 0, 0, 0, 0],
            Report::Signal { signal } => [6, unsigned(signal.0), 0, 0, 0, 0, 0, 0],
            Report::Orphans { count, pid, status } => {
                let (kind, number) = pack_status(status);
                [7, count, unsigned(pid), kind, number, 0, 0, 0]
            }
            Report::Held { key } => [8, key, 0, 0, 0, 0, 0, 0],
            Report::Unheld { key } => [11, key, 0, 0, 0, 0, 0, 0],
            Report::Window => [9, 0, 0, 0, 0, 0, 0, 0],
            Report::Begin { deaths, daemonized, ending, version } => {
                [10, deaths, u64::from(daemonized), u64::from(ending), version, 0, 0, 0]
            }
        })
    }

    /// Returns the report, unless the kind is unknown.
    #[must_use]
    pub fn decode(wire: &Wire) -> Option<Report> {
        let [kind, run, a, b, c, ..] = unpack(wire);
        Some(match kind {
            1 => Report::Spawned { run, pid: signed(a), streams: Streams(b), started_ticks: c },
            2 => Report::Failed { run, errno: signed(a), pipe: b == 1 },
            3 => Report::Noted { run, stage: a as u32, errno: signed(b) },
            4 => Report::Exited { run, status: unpack_status(a, b), at_ns: c },
            5 => Report::Refused { run, errno: signed(a) },
            6 => Report::Signal { signal: Signal(signed(run)) },
            7 => Report::Orphans { count: run, pid: signed(a), status: unpack_status(b, c) },
            8 => Report::Held { key: run },
            9 => Report::Window,
            11 => Report::Unheld { key: run },
            10 => Report::Begin { deaths: run, daemonized: a == 1, ending: b == 1, version: c },
            _ => return None,
        })
    }

    /// Whether descriptors come along with it.
    #[must_use]
    pub fn fds(self) -> usize {
        match self {
            Report::Spawned { streams, .. } => streams.kept(),
            Report::Held { .. } => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_comes_back_as_it_was_sent() {
        let streams = Streams(Streams::STDIN | Streams::STDERR_TO_STDOUT);
        let all = [
            Request::Spawn { run: 1 << 40, streams, held: 9 },
            Request::Signal { run: 3, signal: Signal::TERM, whom: Whom::Group },
            Request::Signal { run: 3, signal: Signal(64), whom: Whom::Main },
            Request::Release { run: u64::MAX },
            Request::Hold { key: 5 },
            Request::Drop { key: 5 },
            Request::Limit { resource: 1, soft: 2, hard: u64::MAX },
            Request::Umask { mask: 0o22 },
            Request::Chdir,
            Request::Become { uid: 1000, gid: 1000 },
            Request::Ready,
            Request::Calm,
            Request::Daemonize,
            Request::Exit { code: 2 },
            Request::Taken,
            Request::Adopt { run: 1, pid: -1, streams, started_ticks: 77 },
        ];
        all.iter().for_each(|one| assert_eq!(Request::decode(&one.encode()), Some(*one)));
        assert_eq!(Request::decode(&[0xff; MESSAGE_SIZE_BYTES]), None);
    }

    #[test]
    fn every_report_comes_back_as_it_was_sent() {
        let killed = ExitStatus::Signaled { signal: Signal::KILL, core: true };
        let all = [
            Report::Spawned { run: 1, pid: 4711, streams: Streams(7), started_ticks: 5 },
            Report::Failed { run: 1, errno: 11, pipe: true },
            Report::Noted { run: 1, stage: 5, errno: 2 },
            Report::Exited { run: 1, status: ExitStatus::Code(255), at_ns: u64::MAX },
            Report::Exited { run: 1, status: killed, at_ns: 1 },
            Report::Exited {
                run: 1,
                status: ExitStatus::Signaled { signal: Signal::TERM, core: false },
                at_ns: 2,
            },
            Report::Exited { run: 1, status: ExitStatus::Unknown, at_ns: 3 },
            Report::Refused { run: 1, errno: 1 },
            Report::Signal { signal: Signal::HUP },
            Report::Orphans { count: 3, pid: 9, status: killed },
            Report::Held { key: 1 },
            Report::Unheld { key: 1 },
            Report::Window,
            Report::Begin { deaths: 2, daemonized: true, ending: false, version: VERSION },
        ];
        all.iter().for_each(|one| assert_eq!(Report::decode(&one.encode()), Some(*one)));
        assert_eq!(Report::decode(&[0xff; MESSAGE_SIZE_BYTES]), None);
    }

    #[test]
    fn only_pipes_of_ours_are_kept() {
        assert_eq!(Streams(Streams::STDIN | Streams::STDOUT | Streams::STDERR_TO_STDOUT).kept(), 2);
        assert_eq!(Streams(7).kept(), 3);
    }
}
