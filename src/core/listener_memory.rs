//! Listeners and their events as plain data, and back.
//!
//! After the death of a reactor the events that are not settled come from the shell's file, in the order of their
//! numbers; where each conversation stood, from the records of the processes. A listener that was in the middle of a
//! word, or of an event, is restarted: nobody knows what it did not read or had already said. Its event is sent
//! again. Must not know where the data is kept. Example: `core.kept_events()` is what the file has to hold.

use super::Core;
use super::fleet::GroupId;
use super::listener::{Breaks, Listener};
use super::pool::Pool;
use crate::model::dialogue::{Dialogue, Standing};
use crate::model::event::Delivery;
use crate::model::{ProcessId, RunId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The events that are not settled, and the numbers of those to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptEvents {
    /// The number of the next event.
    pub next_serial: u64,
    /// By serial number of the group: the number of its pool's next event.
    pub pools: Vec<(u32, u64)>,
    /// The events, those of one pool in the order in which they are to be sent.
    pub events: Vec<Arc<Delivery>>,
}

impl KeptEvents {
    /// Puts the events of each pool in the order of their numbers, which is the one in which they came.
    pub fn sort(&mut self) {
        self.events.sort_by_key(|event| (event.group, event.pool_serial));
    }
}

/// What only a core that is asked for it tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ListenerMemory {
    listeners: Vec<(ProcessId, Listener)>,
    breaks: Vec<(ProcessId, Breaks)>,
}

impl Core {
    /// Returns the events that are not settled.
    #[must_use]
    pub fn kept_events(&self) -> KeptEvents {
        let busy = self.events.listeners.values().filter_map(|listener| listener.event.clone());
        let pools = || self.events.pools.iter();
        KeptEvents {
            next_serial: self.events.next_serial,
            pools: pools().map(|(id, pool)| (id.0, pool.next_serial)).collect(),
            events: busy.chain(pools().flat_map(|(_, pool)| pool.queue().iter().cloned())).collect(),
        }
    }

    pub(super) fn listener_memory(&self) -> ListenerMemory {
        ListenerMemory {
            listeners: self.events.listeners.iter().map(|(id, one)| (*id, one.clone())).collect(),
            breaks: self.events.breaks.iter().map(|(id, breaks)| (*id, *breaks)).collect(),
        }
    }

    /// Puts the pools of the groups in force, with the events that wait in them.
    pub(super) fn restore_pools(&mut self, kept: KeptEvents, next_event: u64) {
        self.events.next_serial = kept.next_serial.max(next_event);
        if !self.booted {
            return;
        }
        let pools: Vec<(GroupId, Option<Pool>)> =
            self.groups.iter().map(|(id, group)| (*id, Pool::of(&group.spec.kind))).collect();
        pools.into_iter().for_each(|(id, pool)| self.events.insert(id, pool));
        for (group, next_serial) in kept.pools {
            if let Some(pool) = self.events.pools.get_mut(&GroupId(group)) {
                pool.next_serial = next_serial;
            }
        }
        for delivery in kept.events {
            self.events.next_serial = self.events.next_serial.max(delivery.serial + 1);
            if let Some(pool) = self.events.pools.get_mut(&GroupId(delivery.group)) {
                pool.restore(delivery);
            }
        }
    }

    /// Goes on with a conversation where it stood.
    pub(super) fn restore_listener(
        &mut self,
        id: ProcessId,
        group: GroupId,
        run: RunId,
        standing: Standing,
        awaited: u64,
    ) {
        let Some(pool) = self.events.pools.get_mut(&group) else { return };
        let event = if standing == Standing::Busy { pool.take(awaited) } else { None };
        // An event that is not there any more was settled: so was the conversation about it.
        let is_lost = standing == Standing::Unknown || (standing == Standing::Busy && event.is_none());
        let dialogue = Dialogue::at(if is_lost { Standing::Unknown } else { standing });
        let restart_at = is_lost.then_some(self.now);
        let listener = Listener { group, run, dialogue, event, is_sent: true, restart_at };
        self.events.listeners.insert(id, listener);
    }

    /// Takes over the listeners of a core that was asked for all it knows.
    pub(super) fn restore_listeners(&mut self, memory: ListenerMemory) {
        for (id, listener) in memory.listeners {
            if let (Some(event), Some(pool)) = (&listener.event, self.events.pools.get_mut(&listener.group)) {
                pool.take(event.pool_serial);
            }
            self.events.listeners.insert(id, listener);
        }
        self.events.breaks = memory.breaks.into_iter().collect();
    }
}
