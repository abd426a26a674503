//! After the death of a reactor: the next one goes on where it stopped, and the programs do not notice.

use super::activate::Activated;
use super::boot::{HELD_BUFFERS, HELD_EVENTS, Parts, Refusal, assemble, take_held};
use super::event_store::EventStore;
use super::hot_reload::FIRST_READ_AFTER;
use super::image::Environment;
use super::keeper_loss::HandOver;
use super::link::Link;
use super::options::Options;
use super::outcome;
use super::reactor::Reactor;
use super::store::Store;
use crate::core::{Core, Input, KeptEvents, Plan, Snapshot};
use crate::keeper::protocol::{Report, Request};
use crate::logs::pool::Pool;
use crate::model::spec::{FleetSpec, Settings};
use crate::model::{Level, Pid, ProcessId, ProcessRecord, RunId, Signal};
use crate::sys::clock;
use crate::sys::process::Limited;
use std::os::fd::OwnedFd;

/// Restores everything from what the keeper held.
pub(super) fn resume(
    link: Link,
    keeper: Pid,
    state: OwnedFd,
    mut handed: HandOver,
) -> Result<Box<Reactor>, Refusal> {
    let (store, text, header) = Store::open(state).map_err(|_| Refusal::Exit(outcome::SYSTEM))?;
    let activated: Activated<Settings, FleetSpec, Environment> =
        serde_json::from_slice(&text).map_err(|_| Refusal::Exit(outcome::SYSTEM))?;
    let pool = match take_held(&mut handed, HELD_BUFFERS) {
        Some(fd) => Pool::adopt(fd),
        None => Pool::create(),
    };
    let limit = |(kind, soft, hard): &(u8, u64, u64)| {
        (if *kind == 0 { Limited::Files } else { Limited::Processes }, *soft, *hard)
    };
    let parts = Parts {
        settings: activated.settings,
        options: options_again(),
        limits: activated.limits.iter().map(limit).collect(),
        pool: pool.map_err(|_| Refusal::Exit(outcome::SYSTEM))?,
        echo: activated.echo,
        login: activated.login,
        is_login: activated.is_login,
    };
    let mut reactor = assemble(link, keeper, parts)?;
    reactor.common.token = activated.token;
    reactor.identity = activated.identity;
    reactor.open_history();
    reactor.marks = activated.marks;
    reactor.inputs.push_back(Input::Disabled(reactor.marks.clone()));
    let left = take_held(&mut handed, HELD_EVENTS).map(EventStore::open);
    let (events, kept, in_doubt) = match left {
        Some(Ok(left)) => (Some(left.store), left.kept, left.in_doubt),
        Some(Err(_)) | None => (None, KeptEvents::default(), Vec::new()),
    };
    reactor.core = restore_core(activated.fleet, &store, &header, (kept, activated.plan));
    reactor.store = Some(store);
    reactor.listeners.store = events;
    let fleet = reactor.core.fleet();
    reactor.divide_descriptors(&fleet);
    reactor.rebind_sockets(&mut handed);
    reactor.take_shared_sockets(&mut handed);
    let held = super::servers::take_held(&mut handed.held);
    reactor.open_servers_or_say(held);
    let held = super::share::take_held(&mut handed.held);
    reactor.open_share(held);
    take_over(&mut reactor, handed);
    reactor.resume_listeners(in_doubt);
    reactor.watch_config(FIRST_READ_AFTER);
    reactor.trim_later();
    Ok(reactor)
}

/// The command line was good once; it is the same.
fn options_again() -> Options {
    let words = super::user_words();
    super::options::parse(words.get(1..).unwrap_or_default()).unwrap_or_default()
}

fn restore_core(
    fleet: FleetSpec,
    store: &Store,
    header: &[u8],
    (mut kept, plan): (KeptEvents, Plan),
) -> Core {
    let Ok(header) = serde_json::from_slice(header) else { return Core::new(fleet) };
    // The slot of a process is its id.
    let decoded = |(slot, bytes): (usize, Vec<u8>)| {
        ProcessRecord::decode(&bytes).map(|record| (ProcessId(slot as u32), record))
    };
    let records = store.records().enumerate().filter_map(decoded).collect();
    kept.sort();
    Core::restore(fleet, Snapshot::from_records(header, records, kept).with_plan(plan), clock::now())
}

/// Takes over runs and their ends from the hand-over.
fn take_over(reactor: &mut Reactor, handed: HandOver) {
    let deaths = match handed.begin {
        Some(Report::Begin { deaths, .. }) => deaths,
        _ => 0,
    };
    let text =
        format!("the reactor died and was replaced (death number {deaths}); the programs did not notice");
    reactor.log(Level::Warn, &text);
    reactor.record_note("", "reactor_replaced", &text);
    for (report, fds) in handed.reports {
        if let Report::Spawned { run, .. } = report {
            let run = RunId(run);
            reactor.runs.entry(run).process = reactor.core.owner(run);
            reactor.reopen_logs(run);
        }
        reactor.take_report(report, fds);
    }
    reactor.disk.all_open(reactor.pump.streams());
    reactor.inputs.push_back(Input::HandedOver);
    if matches!(handed.begin, Some(Report::Begin { ending: true, .. })) {
        reactor.inputs.push_back(Input::Signal(Signal::TERM));
    }
    reactor.link.send(Request::Ready, Vec::new());
    reactor.release_strangers();
}

impl Reactor {
    fn reopen_logs(&mut self, run: RunId) {
        let process = self.runs.entry(run).process;
        let Some(spec) = process.and_then(|id| self.core.process(id)).map(|p| p.spec().clone()) else {
            return;
        };
        self.runs.entry(run).sinks = self.open_logs(&spec);
    }

    /// Lets go of ended runs that the core has finished with: only the keeper's note of that was lost.
    fn release_strangers(&mut self) {
        let ended: Vec<RunId> = self
            .runs
            .table
            .iter()
            .filter(|(run, live)| !live.alive && self.core.owner(**run).is_none())
            .map(|(run, _)| *run)
            .collect();
        ended.into_iter().for_each(|run| self.forget(run));
    }
}
