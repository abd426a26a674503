//! Events that are not settled survive the reactor: one nameless file, held by the keeper.
//!
//! It is a journal of events that came and of those that are settled, in the order of the core's actions. An entry
//! counts once the number at the beginning of the file covers it, so a death in between leaves no half of one. When
//! more of it is settled than not, it is written anew. Beside the journal, one word a process says that something its
//! listener wrote has been read and not yet been told to the core. Must not know what an event means.
//!
//! Example: `store.keep(&delivery)?` before it is sent anywhere, `store.settle(&delivery)?` when it is dealt with.

use crate::core::KeptEvents;
use crate::model::RunId;
use crate::model::event::{Delivery, Event, EventKind};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// First word of the file: name and version of the layout.
const MAGIC: u64 = 0x0001_746e_6576_4556;
/// Where the number of processes stands.
const SLOTS_AT: u64 = 8;
/// Where the length of the journal stands, in bytes.
const LENGTH_AT: u64 = 16;
/// Where the words of the processes begin.
const DOUBTS_AT: u64 = 64;
/// Bytes before the body of an entry: its length and its kind.
const HEAD_BYTES: usize = 5;
/// Settled bytes from which the file may be written anew: seldom enough to cost nothing, and soon enough to stay small.
const STALE_BYTES: u64 = 1 << 20;

/// Kinds of entries.
mod tag {
    pub(super) const NUMBERS: u8 = 0;
    pub(super) const KEPT: u8 = 1;
    pub(super) const SETTLED: u8 = 2;
}

/// The file.
pub(super) struct EventStore {
    file: File,
    slots: u64,
    length: u64,
    settled: u64,
}

/// What a reactor that died left.
pub(super) struct Left {
    /// The file, to go on with.
    pub(super) store: EventStore,
    /// Events that are not settled.
    pub(super) kept: KeptEvents,
    /// Runs of listeners of which something was read and never told.
    pub(super) in_doubt: Vec<RunId>,
}

impl EventStore {
    /// Makes a file for `slots` processes that holds these events.
    ///
    /// # Errors
    /// As memfd_create(2) and write(2).
    pub(super) fn create(kept: &KeptEvents, slots: usize) -> io::Result<EventStore> {
        let file = crate::sys::memfile::create(c"events")?;
        let mut store = EventStore { file, slots: slots as u64, length: 0, settled: 0 };
        store.file.write_all_at(&store.slots.to_ne_bytes(), SLOTS_AT)?;
        store.append(tag::NUMBERS, &numbers(kept))?;
        for delivery in &kept.events {
            store.keep(delivery)?;
        }
        store.file.write_all_at(&MAGIC.to_ne_bytes(), 0)?;
        Ok(store)
    }

    /// Opens the file of a reactor that died.
    ///
    /// # Errors
    /// `InvalidData` for another layout, and as read(2).
    pub(super) fn open(fd: OwnedFd) -> io::Result<Left> {
        let file = File::from(fd);
        if word_at(&file, 0)? != MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (slots, length) = (word_at(&file, SLOTS_AT)?, word_at(&file, LENGTH_AT)?);
        let mut store = EventStore { file, slots, length, settled: 0 };
        let journal = read_at(&store.file, store.journal_at(), length)?;
        let doubts = read_at(&store.file, DOUBTS_AT, slots * 8)?;
        let words =
            doubts.chunks_exact(8).filter_map(|bytes| Some(u64::from_ne_bytes(bytes.try_into().ok()?)));
        let in_doubt = words.filter(|run| *run != 0).map(RunId).collect();
        let kept = replay(&journal);
        let live: u64 = kept.events.iter().map(|delivery| size_of(delivery)).sum();
        store.settled = length.saturating_sub(live);
        Ok(Left { store, kept, in_doubt })
    }

    /// Returns a duplicate of the descriptor, for the keeper.
    ///
    /// # Errors
    /// As dup(2).
    pub(super) fn fd(&self) -> io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }

    /// Whether most of it is settled, and it is worth to write it anew.
    pub(super) fn is_stale(&self) -> bool {
        self.settled >= STALE_BYTES && self.settled > self.length / 2
    }

    /// Notes an event that came.
    ///
    /// # Errors
    /// As write(2).
    pub(super) fn keep(&mut self, delivery: &Delivery) -> io::Result<()> {
        let Delivery { group, pool, pool_serial, serial, event } = delivery;
        let mut body = Vec::with_capacity(pool.len() + event.payload.len() + 32);
        body.extend(group.to_ne_bytes());
        body.extend(pool_serial.to_ne_bytes());
        body.extend(serial.to_ne_bytes());
        body.push(event.kind as u8);
        body.extend((pool.len() as u32).to_ne_bytes());
        body.extend(pool.as_bytes());
        body.extend(event.payload.as_bytes());
        self.append(tag::KEPT, &body)
    }

    /// Notes that an event is settled.
    ///
    /// # Errors
    /// As write(2).
    pub(super) fn settle(&mut self, delivery: &Delivery) -> io::Result<()> {
        let before = self.length;
        let body = [&delivery.group.to_ne_bytes()[..], &delivery.pool_serial.to_ne_bytes()].concat();
        self.append(tag::SETTLED, &body)?;
        self.settled += size_of(delivery) + (self.length - before);
        Ok(())
    }

    /// Notes, before it is read, that something a listener wrote is about to be read; `None` takes it back.
    ///
    /// # Errors
    /// As write(2).
    pub(super) fn doubt(&self, slot: usize, run: Option<RunId>) -> io::Result<()> {
        if slot as u64 >= self.slots {
            return Ok(());
        }
        let word = run.map_or(0, |run| run.0);
        self.file.write_all_at(&word.to_ne_bytes(), DOUBTS_AT + slot as u64 * 8)
    }

    fn journal_at(&self) -> u64 {
        DOUBTS_AT + self.slots * 8
    }

    fn append(&mut self, tag: u8, body: &[u8]) -> io::Result<()> {
        let mut entry = Vec::with_capacity(HEAD_BYTES + body.len());
        entry.extend((body.len() as u32).to_ne_bytes());
        entry.push(tag);
        entry.extend_from_slice(body);
        self.file.write_all_at(&entry, self.journal_at() + self.length)?;
        self.length += entry.len() as u64;
        self.file.write_all_at(&self.length.to_ne_bytes(), LENGTH_AT)
    }
}

/// Returns how many bytes the entry of an event has.
fn size_of(delivery: &Delivery) -> u64 {
    (HEAD_BYTES + 25 + delivery.pool.len() + delivery.event.payload.len()) as u64
}

fn numbers(kept: &KeptEvents) -> Vec<u8> {
    let mut body = kept.next_serial.to_ne_bytes().to_vec();
    for (group, next_serial) in &kept.pools {
        body.extend(group.to_ne_bytes());
        body.extend(next_serial.to_ne_bytes());
    }
    body
}

fn word_at(file: &File, at: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn read_at(file: &File, at: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// Goes through the journal; ends at the first entry that makes no sense.
fn replay(journal: &[u8]) -> KeptEvents {
    let mut kept = KeptEvents::default();
    let mut events: BTreeMap<(u32, u64), Arc<Delivery>> = BTreeMap::new();
    let mut rest = Entries(journal);
    while let Some((tag, mut body)) = rest.next_entry() {
        let done = match tag {
            tag::NUMBERS => body.numbers().map(|numbers| kept = numbers),
            tag::KEPT => body.delivery().map(|delivery| {
                let key = (delivery.group, delivery.pool_serial);
                kept.next_serial = kept.next_serial.max(delivery.serial + 1);
                match kept.pools.iter_mut().find(|(group, _)| *group == key.0) {
                    Some((_, next)) => *next = (*next).max(key.1 + 1),
                    None => kept.pools.push((key.0, key.1 + 1)),
                }
                events.insert(key, Arc::new(delivery));
            }),
            tag::SETTLED => body.u32().zip(body.u64()).map(|key| drop(events.remove(&key))),
            _ => None,
        };
        if done.is_none() {
            break;
        }
    }
    kept.events = events.into_values().collect();
    kept
}

/// Bytes that are read from the front.
struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    fn next_entry(&mut self) -> Option<(u8, Entries<'a>)> {
        let len = self.u32()? as usize;
        let tag = self.bytes(1)?.first().copied()?;
        Some((tag, Entries(self.bytes(len)?)))
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.bytes(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_ne_bytes(self.bytes(8)?.try_into().ok()?))
    }

    fn text(&mut self, len: usize) -> Option<String> {
        String::from_utf8(self.bytes(len)?.to_vec()).ok()
    }

    fn numbers(&mut self) -> Option<KeptEvents> {
        let next_serial = self.u64()?;
        let pools = std::iter::from_fn(|| Some((self.u32()?, self.u64()?))).collect();
        Some(KeptEvents { next_serial, pools, events: Vec::new() })
    }

    fn delivery(&mut self) -> Option<Delivery> {
        let (group, pool_serial, serial) = (self.u32()?, self.u64()?, self.u64()?);
        let kind = EventKind::by_number(*self.bytes(1)?.first()?)?;
        let len = self.u32()? as usize;
        let pool = self.text(len)?;
        let payload = self.text(self.0.len())?;
        Some(Delivery { group, pool, pool_serial, serial, event: Event { kind, payload } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(group: u32, pool_serial: u64, serial: u64, data: &str) -> Arc<Delivery> {
        let event = Event::remote("t", data);
        Arc::new(Delivery { group, pool: format!("pool-{group}"), pool_serial, serial, event })
    }

    fn reopened(store: &EventStore) -> io::Result<Left> {
        EventStore::open(store.fd()?)
    }

    #[test]
    fn what_is_not_settled_is_found_by_the_next_reactor() -> io::Result<()> {
        let first = event(1, 7, 20, "ö\n");
        let kept =
            KeptEvents { next_serial: 21, pools: vec![(1, 8), (2, 5)], events: vec![Arc::clone(&first)] };
        let mut store = EventStore::create(&kept, 3)?;
        assert_eq!(reopened(&store)?.kept, kept);
        let (second, third) = (event(2, 5, 21, ""), event(1, 8, 22, "x"));
        store.keep(&second)?;
        store.keep(&third)?;
        store.settle(&first)?;
        let left = reopened(&store)?;
        let wanted = KeptEvents { next_serial: 23, pools: vec![(1, 9), (2, 6)], events: vec![third, second] };
        assert_eq!((left.kept, left.in_doubt), (wanted, vec![]));
        Ok(())
    }

    #[test]
    fn an_entry_counts_when_it_is_whole() -> io::Result<()> {
        let mut store = EventStore::create(&KeptEvents::default(), 0)?;
        store.keep(&event(1, 0, 0, "first"))?;
        let (length, before) = (store.length, reopened(&store)?.kept);
        store.keep(&event(1, 1, 1, "second"))?;
        store.file.write_all_at(&length.to_ne_bytes(), LENGTH_AT)?;
        assert_eq!(reopened(&store)?.kept, before, "as a death before the last write leaves it");
        Ok(())
    }

    #[test]
    fn doubts_name_the_run() -> io::Result<()> {
        let store = EventStore::create(&KeptEvents::default(), 2)?;
        store.doubt(0, Some(RunId(4)))?;
        store.doubt(1, Some(RunId(9)))?;
        store.doubt(2, Some(RunId(11)))?;
        store.doubt(0, None)?;
        assert_eq!(reopened(&store)?.in_doubt, [RunId(9)]);
        Ok(())
    }

    #[test]
    fn it_is_stale_when_a_mebibyte_and_most_of_it_is_settled() -> io::Result<()> {
        let mut store = EventStore::create(&KeptEvents::default(), 0)?;
        let data = "x".repeat(STALE_BYTES as usize / 2);
        for serial in 0..3 {
            store.keep(&event(1, serial, serial, &data))?;
        }
        for serial in 0..2 {
            assert!(!store.is_stale());
            store.settle(&event(1, serial, serial, &data))?;
        }
        assert!(store.is_stale());
        assert!(reopened(&store)?.store.is_stale(), "the next reactor knows as much");
        Ok(())
    }

    #[test]
    fn rubbish_is_no_journal() {
        assert_eq!(replay(b"\xff\xff\xff\xff\x01rubbish"), KeptEvents::default());
        assert_eq!(replay(b"\x01\0\0\0\x01x"), KeptEvents::default());
    }
}
