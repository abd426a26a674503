//! The runs that the shell holds something for: a prepared command, descriptors, streams.

use super::command::Command;
use super::listeners::Outbox;
use crate::keeper::protocol::Streams;
use crate::logs::sink::{SinkId, StreamId};
pub(super) use crate::model::event::Channel;
use crate::model::{Pid, ProcessId, RunId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

/// Channels with the names that logs and events show.
pub(super) const CHANNELS: [(Channel, &str); 2] = [(Channel::Stdout, "stdout"), (Channel::Stderr, "stderr")];

impl Channel {
    /// Returns the number of a run's stream, the same before and after the death of a reactor.
    pub(super) fn stream(self, run: RunId) -> StreamId {
        StreamId(run.0 * 2 + u64::from(self == Channel::Stderr))
    }

    /// Returns the run and the channel of a stream.
    pub(super) fn of(stream: StreamId) -> (RunId, Channel) {
        let channel = if stream.0.is_multiple_of(2) { Channel::Stdout } else { Channel::Stderr };
        (RunId(stream.0 / 2), channel)
    }
}

/// What the shell holds for one run.
#[derive(Default)]
pub(super) struct LiveRun {
    /// Of which process; `None` for a run of a process that is no longer configured.
    pub(super) process: Option<ProcessId>,
    /// Its main process, once there is one.
    pub(super) main: Option<Pid>,
    /// When it started, in the process table's clock ticks; 0 where that could not be read.
    pub(super) started_ticks: u64,
    /// Which of its streams are pipes.
    pub(super) streams: Streams,
    /// Whether the main process lives.
    pub(super) alive: bool,
    /// Whether a child was asked for and the answer is awaited.
    pub(super) asked: bool,
    /// What it is to execute.
    pub(super) command: Option<Command>,
    /// The write end of its standard input.
    pub(super) stdin: Option<OwnedFd>,
    /// For an event listener: what it has not read of an event.
    pub(super) outbox: Option<Outbox>,
    /// Its open logs: of stdout, of stderr.
    pub(super) sinks: [Option<SinkId>; 2],
    /// How many of its streams are still read.
    pub(super) streams_open: u32,
    /// Whether the core has finished with it: only its output is still taken in.
    pub(super) forgotten: bool,
    /// Why a log could not be opened.
    pub(super) sink_failure: Option<std::io::Error>,
    /// How many processes of its tree are left, while somebody watches them.
    pub(super) left: Option<u32>,
}

/// Runs whose descriptors did not arrive.
#[derive(Default)]
pub(super) struct Fetches {
    /// Which, and what is missing of them.
    pub(super) runs: Vec<(RunId, Streams)>,
    /// Runs of which a new keeper did not get every pipe.
    pub(super) given: Vec<RunId>,
    /// Whether the keeper lacks something else that it is to hold.
    pub(super) holds: bool,
    /// When they are asked for, or given, again.
    pub(super) at: Option<Time>,
    /// Whether the shortage was told of.
    pub(super) told: bool,
}

/// All of them.
#[derive(Default)]
pub(super) struct Runs {
    /// By run.
    pub(super) table: BTreeMap<RunId, LiveRun>,
}

impl Runs {
    /// Returns the entry of a run, made where there is none.
    pub(super) fn entry(&mut self, run: RunId) -> &mut LiveRun {
        self.table.entry(run).or_default()
    }

    /// Returns the main processes that live.
    pub(super) fn alive(&self) -> BTreeSet<Pid> {
        self.table.values().filter(|run| run.alive).filter_map(|run| run.main).collect()
    }

    /// Returns the runs whose left-overs are watched.
    pub(super) fn watched(&self) -> Vec<RunId> {
        self.table.iter().filter(|(_, run)| run.left.is_some()).map(|(id, _)| *id).collect()
    }
}
