//! Event listeners of the imagined machine, and what must hold of every event from outside: it waits, a listener has
//! it, or it is settled for a reason that was told.

use super::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use visor::core::{Action, Core, Fate, Input, KeptEvents, ProcState};
use visor::model::RunId;
use visor::model::event::{Channel, Delivery};
use visor::model::spec::{GroupKind, STOCK_RESULT_HANDLER};

/// Longest time in nanoseconds after which a listener that broke the protocol must have been restarted: the longest
/// delay there is, and the time until anybody looks.
const WEDGED_AFTER: u64 = 62_000_000_000;

/// What the record of a listener says that has an event.
const BUSY: u8 = 3;

/// An event by pool and number.
pub(crate) type Key = (u32, u64);

/// Returns the name of an event.
pub(crate) fn key(delivery: &Delivery) -> Key {
    (delivery.group, delivery.pool_serial)
}

/// Whether the core believes that a listener has this event of its pool.
fn has_event(core: &Core, run: RunId, pool_serial: u64) -> bool {
    let record = core.owner(run).and_then(|id| core.record(id));
    record.is_some_and(|record| record.dialogue == BUSY && record.awaited == pool_serial)
}

/// What a listener does about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok,
    Fail,
    Rubbish,
    Silence,
    Death,
}

/// Returns what a listener does.
pub(crate) fn answer(rng: &mut Rng) -> Answer {
    match rng.below(20) {
        0..=13 => Answer::Ok,
        14..=15 => Answer::Fail,
        16 => Answer::Rubbish,
        17 => Answer::Silence,
        _ => Answer::Death,
    }
}

/// Cuts what is said into the pieces in which it is read.
pub(crate) fn pieces(text: &[u8], rng: &mut Rng) -> Vec<Vec<u8>> {
    match rng.below(4) {
        0 => text.iter().map(|byte| vec![*byte]).collect(),
        1 => {
            let (head, tail) = text.split_at(rng.below(text.len() as u64 + 1) as usize);
            [head, tail].into_iter().filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
        }
        _ => vec![text.to_vec()],
    }
}

/// What the outside knows of events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    /// What is kept across the death of a reactor.
    pub(crate) kept: BTreeMap<Key, Arc<Delivery>>,
    next_serial: u64,
    pools: BTreeMap<u32, u64>,
    /// Who has which event, since when.
    busy: BTreeMap<RunId, Key>,
    /// Events that a listener said `OK` about.
    approved: BTreeSet<Key>,
    /// Listeners that said what they must not, and when that was told.
    broken: BTreeMap<RunId, u64>,
    last_line: String,
}

impl Mail {
    /// Returns what is stored.
    pub(crate) fn stored(&self) -> KeptEvents {
        let mut kept = KeptEvents {
            next_serial: self.next_serial,
            pools: self.pools.iter().map(|(group, next)| (*group, *next)).collect(),
            events: self.kept.values().cloned().collect(),
        };
        kept.sort();
        kept
    }

    /// A listener said something about its event.
    pub(crate) fn said(&mut self, run: RunId, answer: Answer, core: &Core) {
        let process = core.owner(run).and_then(|id| core.process(id));
        let kind = process.and_then(|p| core.group(&p.spec().group)).map(|group| &group.spec().kind);
        let is_strict = matches!(
            kind,
            Some(GroupKind::Listener { result_handler, .. }) if result_handler == STOCK_RESULT_HANDLER
        );
        match answer {
            Answer::Fail if is_strict => self.gave_back(run),
            Answer::Ok | Answer::Fail => self.approved.extend(self.busy.get(&run)),
            _ => {}
        }
    }

    /// Notes what the core is about to be told; returns the listener of which something was read, which the shell
    /// notes before it reads.
    pub(crate) fn told(&mut self, input: &Input, now: u64) -> Option<RunId> {
        match input {
            Input::Heard { run, bytes } => {
                // Letters of what no listener should say.
                if bytes.contains(&b'?') || bytes.contains(&b'w') {
                    self.broken.entry(*run).or_insert(now);
                }
                return Some(*run);
            }
            Input::EventSent { run, is_sent: false } | Input::Unheard { run } => self.gave_back(*run),
            _ => {}
        }
        None
    }

    /// Notes and checks what the core does.
    pub(crate) fn done(&mut self, action: &Action, core: &Core) -> Result<(), String> {
        match action {
            Action::Log { text, .. } => self.last_line.clone_from(text),
            Action::KeepEvent(delivery) => return self.keep(delivery),
            Action::SettleEvent { delivery, fate } => return self.settle(delivery, *fate),
            Action::SendEvent { run, delivery } => return self.send(*run, delivery, core),
            Action::Forget { run } => {
                self.busy.remove(run);
                self.broken.remove(run);
            }
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, delivery: &Arc<Delivery>) -> Result<(), String> {
        let next = self.pools.entry(delivery.group).or_default();
        if delivery.pool_serial != *next {
            return Err(format!("{:?} is numbered {}, not {next}", delivery.event, delivery.pool_serial));
        }
        *next += 1;
        self.next_serial = self.next_serial.max(delivery.serial + 1);
        self.kept.insert(key(delivery), Arc::clone(delivery));
        Ok(())
    }

    fn settle(&mut self, delivery: &Delivery, fate: Fate) -> Result<(), String> {
        let key = key(delivery);
        if self.kept.remove(&key).is_none() {
            return Err(format!("{key:?} is settled twice, or was never kept"));
        }
        let is_told = match fate {
            Fate::Acknowledged => self.approved.remove(&key),
            Fate::Discarded => self.last_line.ends_with(&format!("discarding event {}", delivery.serial)),
            Fate::Ended => self.last_line.starts_with(&format!("pool {} ends", delivery.pool)),
        };
        self.busy.retain(|_, busy| *busy != key);
        if is_told { Ok(()) } else { Err(format!("{key:?} is {fate:?} after: {}", self.last_line)) }
    }

    fn send(&mut self, run: RunId, delivery: &Delivery, core: &Core) -> Result<(), String> {
        let key = key(delivery);
        if !self.kept.contains_key(&key) {
            return Err(format!("{key:?} is sent and not kept"));
        }
        let process = core.owner(run).and_then(|id| core.process(id));
        if !process.is_some_and(|process| matches!(process.state(), ProcState::Running { .. })) {
            return Err(format!("{key:?} is sent to {run}, which is not RUNNING"));
        }
        let is_another = |(other, busy): &(&RunId, &Key)| **busy == key && **other != run;
        let mut others = self.busy.iter().filter(is_another);
        if let Some((other, _)) = others.find(|(other, _)| has_event(core, **other, key.1)) {
            return Err(format!("{key:?} is sent to {run} while {other} has it"));
        }
        self.busy.insert(run, key);
        Ok(())
    }

    /// A listener does not have its event any more, or it is not known whether it has.
    fn gave_back(&mut self, run: RunId) {
        self.busy.remove(&run);
    }

    /// Everything begins anew, or a new core took over: conversations are as the core says.
    pub(crate) fn restored(&mut self, core: &Core) {
        // The record says whether a listener is to answer; else its event is for others now.
        self.busy.retain(|run, (_, serial)| has_event(core, *run, *serial));
        self.broken.clear();
        let groups: BTreeSet<u32> = core.header().groups.iter().map(|slots| slots.serial).collect();
        self.kept.retain(|(group, _), _| groups.contains(group));
    }

    /// Checks what must hold at any time.
    pub(crate) fn check(&self, core: &Core, now: u64) -> Result<(), String> {
        let known: BTreeSet<Key> = core.kept_events().events.iter().map(|event| key(event)).collect();
        let stored: BTreeSet<Key> = self.kept.keys().copied().collect();
        if known != stored {
            return Err(format!("the core knows of events {known:?}\nand kept are {stored:?}"));
        }
        for pool in core.pools() {
            // What listeners had when a reactor died comes on top.
            let listeners = core.group(pool.name).map_or(0, |group| group.processes().len());
            if pool.waiting > pool.waiting_max + listeners {
                return Err(format!("{} events wait in {}", pool.waiting, pool.name));
            }
        }
        for (run, since) in &self.broken {
            let process = core.owner(*run).and_then(|id| core.process(id));
            let is_up = process.is_some_and(|process| matches!(process.state(), ProcState::Running { .. }));
            if is_up && now > since + WEDGED_AFTER {
                return Err(format!("{run} broke the protocol long ago and is not restarted"));
            }
        }
        Ok(())
    }

    /// Returns an input that makes an event, where somebody wants it.
    pub(crate) fn some_input(core: &Core, rng: &mut Rng) -> Input {
        let processes: Vec<_> = core.processes().map(|(id, process)| (id, process.pid())).collect();
        if rng.chance(30) || processes.is_empty() {
            return Input::RemoteEvent { kind: "t".to_owned(), data: "d".to_owned() };
        }
        let (process, pid) = *rng.pick(&processes);
        let channel = *rng.pick(&[Channel::Stdout, Channel::Stderr]);
        let (pid, bytes) = (pid.unwrap_or(0), b"words\n".to_vec());
        match rng.chance(50) {
            true => Input::Output { process, pid, channel, bytes },
            false => Input::Captured { process, pid, channel, bytes },
        }
    }
}
