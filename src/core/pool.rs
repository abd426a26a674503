//! The queue of events of one pool of listeners: its order, its bounds, and what it is subscribed to.
//!
//! Must not know who listens. Example: `pool.push(delivery)` puts an event behind the others and returns those that
//! had to make room for it, the oldest first.

use crate::model::event::{Delivery, EventSet};
use crate::model::spec::{GroupKind, STDOUT_RESULT_HANDLER, STOCK_RESULT_HANDLER};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most bytes of payloads that wait in one pool: `buffer_size` bounds only their number, and one piece of output may
/// have 64 KiB. Beyond it the oldest make room, as beyond `buffer_size`.
pub const POOL_PAYLOAD_MAX_BYTES: usize = 32 << 20;

/// Who judges the result of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judge {
    /// supervisord's: only `OK` acknowledges.
    Stock,
    /// One written in Python, which is not here: every result acknowledges.
    Absent,
    /// `supervisor_stdout`'s: every result acknowledges, and is shown.
    Show,
}

impl Judge {
    fn named(handler: &str) -> Judge {
        match handler {
            STOCK_RESULT_HANDLER => Judge::Stock,
            _ if handler.ends_with(STDOUT_RESULT_HANDLER) => Judge::Show,
            _ => Judge::Absent,
        }
    }
}

/// A pool.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) events: EventSet,
    pub(super) judge: Judge,
    size_max: usize,
    queue: VecDeque<Arc<Delivery>>,
    payload_bytes: usize,
    /// The number of the next event.
    pub(super) next_serial: u64,
}

impl Pool {
    /// Returns the pool of a group, where that is one of listeners.
    pub(super) fn of(kind: &GroupKind) -> Option<Pool> {
        let GroupKind::Listener { buffer_size, events, result_handler } = kind else { return None };
        Some(Pool {
            events: EventSet::of(events.iter().map(String::as_str)),
            judge: Judge::named(result_handler),
            size_max: usize::try_from(*buffer_size).unwrap_or(1).max(1),
            queue: VecDeque::new(),
            payload_bytes: 0,
            next_serial: 0,
        })
    }

    /// Returns what waits, the next one first.
    pub(super) fn queue(&self) -> &VecDeque<Arc<Delivery>> {
        &self.queue
    }

    /// Returns how many events may wait.
    pub(super) fn size_max(&self) -> usize {
        self.size_max
    }

    /// Puts an event behind the others; returns those that were discarded for it.
    pub(super) fn push(&mut self, delivery: Arc<Delivery>) -> Vec<Arc<Delivery>> {
        let discarded = self.make_room(&delivery);
        self.payload_bytes += delivery.event.payload.len();
        self.queue.push_back(delivery);
        discarded
    }

    /// Puts an event that was sent in vain before the others; returns those that were discarded for it: the one that
    /// was the oldest, as with a new event (supervisor 4.3 `_acceptEvent`).
    pub(super) fn push_again(&mut self, delivery: Arc<Delivery>) -> Vec<Arc<Delivery>> {
        let discarded = self.make_room(&delivery);
        self.payload_bytes += delivery.event.payload.len();
        self.queue.push_front(delivery);
        discarded
    }

    fn make_room(&mut self, new: &Delivery) -> Vec<Arc<Delivery>> {
        let mut discarded = Vec::new();
        let len = new.event.payload.len();
        while self.queue.len() >= self.size_max || self.payload_bytes + len > POOL_PAYLOAD_MAX_BYTES {
            let Some(oldest) = self.pop() else { break };
            discarded.push(oldest);
        }
        discarded
    }

    /// Takes the next event.
    pub(super) fn pop(&mut self) -> Option<Arc<Delivery>> {
        let next = self.queue.pop_front()?;
        self.payload_bytes -= next.event.payload.len();
        Some(next)
    }

    /// Takes the event with this number out of the queue.
    pub(super) fn take(&mut self, pool_serial: u64) -> Option<Arc<Delivery>> {
        let at = self.queue.iter().position(|waiting| waiting.pool_serial == pool_serial)?;
        let taken = self.queue.remove(at)?;
        self.payload_bytes -= taken.event.payload.len();
        Some(taken)
    }

    /// Puts an event back that was kept, behind the others and beyond any bound: it was within them before.
    pub(super) fn restore(&mut self, delivery: Arc<Delivery>) {
        self.next_serial = self.next_serial.max(delivery.pool_serial + 1);
        self.payload_bytes += delivery.event.payload.len();
        self.queue.push_back(delivery);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Event;

    const NONE: [u64; 0] = [];

    fn pool(buffer_size: i64) -> Pool {
        let kind = GroupKind::Listener {
            buffer_size,
            events: vec!["TICK_5".to_owned()],
            result_handler: STOCK_RESULT_HANDLER.to_owned(),
        };
        Pool::of(&kind).unwrap()
    }

    fn event(pool_serial: u64, bytes: usize) -> Arc<Delivery> {
        let event = Event::remote("", &"x".repeat(bytes - 6));
        Arc::new(Delivery { group: 0, pool: "p".into(), pool_serial, serial: pool_serial, event })
    }

    fn serials<'a>(events: impl IntoIterator<Item = &'a Arc<Delivery>>) -> Vec<u64> {
        events.into_iter().map(|event| event.pool_serial).collect()
    }

    #[test]
    fn a_full_pool_discards_its_oldest_event() {
        let mut pool = pool(3);
        for serial in 0..3 {
            assert_eq!(serials(&pool.push(event(serial, 10))), NONE);
        }
        assert_eq!(serials(&pool.push(event(3, 10))), [0]);
        assert_eq!(serials(&pool.push_again(event(0, 10))), [1], "the one that was the oldest makes room");
        assert_eq!(serials(pool.queue()), [0, 2, 3]);
        assert_eq!((pool.take(2).map(|e| e.serial), pool.pop().map(|e| e.serial)), (Some(2), Some(0)));
        assert_eq!(serials(pool.queue()), [3]);
    }

    #[test]
    fn payloads_are_bounded_too() {
        let mut pool = pool(i64::MAX);
        let half = POOL_PAYLOAD_MAX_BYTES / 2;
        for serial in 0..2 {
            assert_eq!(serials(&pool.push(event(serial, half))), NONE);
        }
        assert_eq!(serials(&pool.push(event(2, 6))), [0], "full to the byte before it");
        assert_eq!(serials(&pool.push(event(3, POOL_PAYLOAD_MAX_BYTES + 1))), [1, 2], "never refused itself");
        assert_eq!(serials(&pool.push(event(4, 6))), [3]);
        pool.pop();
        assert_eq!(pool.payload_bytes, 0);
    }

    #[test]
    fn handlers_are_judged_by_their_names() {
        for (name, judge) in [
            (STOCK_RESULT_HANDLER, Judge::Stock),
            ("supervisor_stdout:event_handler", Judge::Show),
            ("my.supervisor_stdout:event_handler", Judge::Show),
            ("my:handler", Judge::Absent),
        ] {
            assert_eq!(Judge::named(name), judge);
        }
    }
}
