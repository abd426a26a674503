//! The bounded pool of journaled buffers, in memory that outlives this process.
//!
//! There are large slots for floods and small ones for lines, because many programs with a line each must not
//! wait for one another. They are handed out last in, first out: a quiet daemon touches one and the same.
//! Example: `Pool::create()?`, and its `fd()` goes to the keeper; after a crash `Pool::adopt(fd)?`.

use super::sink::StreamId;
use super::slot::{HEADER_BYTES, SLOT_BYTES, Slot};
use crate::sys::shm::{PAGE, Region, SharedMem};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Large slots in a pool: enough for the disk to be busy while pipes are read, few enough that a frozen disk
/// costs 1 MiB and no more.
pub const LARGE_SLOTS: usize = 16;

/// Small slots in a pool: as many streams as are read before the disk worker has its turn.
pub const SMALL_SLOTS: usize = 48;

/// Bytes of data in a small slot: one page.
pub const SMALL_BYTES: usize = PAGE;

/// All slots.
pub const SLOTS: usize = LARGE_SLOTS + SMALL_SLOTS;

/// Slots that one stream may have under way, so that a flood leaves room for others.
pub const SLOTS_PER_STREAM_MAX: usize = 6;

/// Says that a file is a pool, and of which layout.
const MAGIC: u64 = u64::from_be_bytes(*b"VISORLG2");

/// Bytes of the numbers at the start: the magic number and the one of the last read.
const HEAD_BYTES: usize = 16;
const SEQUENCE: usize = 8;

const LENGTH: usize = PAGE + SLOTS * HEADER_BYTES + LARGE_SLOTS * SLOT_BYTES + SMALL_SLOTS * SMALL_BYTES;

/// No stream uses the slot.
const NOBODY: u64 = u64::MAX;

/// The buffers; shared by the reactor and the disk worker.
#[derive(Debug)]
pub struct Pool {
    /// Stands for the whole memory where its descriptor is wanted.
    rest: Region,
    free: Mutex<Free>,
    left_over: Mutex<Vec<Slot>>,
    owners: [AtomicU64; SLOTS],
    /// Number of free slots at which somebody is to be told; 0 when nobody waits.
    wanted: AtomicUsize,
    /// How many slots the worker was done with.
    done: AtomicU64,
    adopted: bool,
}

/// The free slots of both sizes, and what is true of the pool as a whole.
#[derive(Debug)]
struct Free {
    head: Region,
    small: Vec<Slot>,
    large: Vec<Slot>,
}

impl Free {
    fn of(head: Region, slots: Vec<Slot>) -> Free {
        let (small, large) = slots.into_iter().partition(|slot| slot.capacity() <= SMALL_BYTES);
        Free { head, small, large }
    }

    /// Counts reads, across deaths of the process: a number names one read for ever.
    fn next_sequence(&mut self) -> u64 {
        let sequence = self.head.load(SEQUENCE) + 1;
        self.head.store(SEQUENCE, sequence);
        sequence
    }

    fn len(&self) -> usize {
        self.small.len() + self.large.len()
    }

    /// Returns the slots of one size.
    fn for_capacity(&mut self, bytes: usize) -> &mut Vec<Slot> {
        if bytes <= SMALL_BYTES { &mut self.small } else { &mut self.large }
    }

    /// Returns the slots from which one for `len` bytes is taken: the small ones while they fit and last.
    fn for_len(&mut self, len: usize) -> &mut Vec<Slot> {
        if len <= SMALL_BYTES && !self.small.is_empty() { &mut self.small } else { &mut self.large }
    }
}

impl Pool {
    /// Makes an empty pool.
    ///
    /// # Errors
    /// As [`SharedMem::create`].
    pub fn create() -> io::Result<Pool> {
        let memory = SharedMem::create(c"visor-logs", LENGTH)?;
        memory.store(0, MAGIC);
        let (head, rest, slots) = cut(memory);
        Ok(Pool::new(Free::of(head, reversed(slots)), rest, Vec::new(), false))
    }

    /// Takes over the pool of an earlier process, which must be dead.
    ///
    /// # Errors
    /// `InvalidData` when it is no pool of this layout; else as mmap(2).
    pub fn adopt(fd: OwnedFd) -> io::Result<Pool> {
        let memory = SharedMem::from_fd(fd, LENGTH)?;
        if memory.load(0) != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "use log buffers of another layout"));
        }
        let (head, rest, slots) = cut(memory);
        let (free, mut left_over): (Vec<_>, Vec<_>) = slots.into_iter().partition(Slot::is_free_unseen);
        left_over.sort_by_key(Slot::sequence);
        Ok(Pool::new(Free::of(head, reversed(free)), rest, left_over, true))
    }

    fn new(free: Free, rest: Region, left_over: Vec<Slot>, adopted: bool) -> Pool {
        let owners = std::array::from_fn(|_| AtomicU64::new(NOBODY));
        for slot in &left_over {
            owners[slot.index].store(slot.stream().0, Ordering::Relaxed);
        }
        Pool {
            rest,
            free: Mutex::new(free),
            left_over: Mutex::new(left_over),
            owners,
            wanted: AtomicUsize::new(0),
            done: AtomicU64::new(0),
            adopted,
        }
    }

    /// Returns the descriptor that keeps the buffers alive; a duplicate belongs into the keeper.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.rest.fd()
    }

    /// Whether an earlier process used it.
    #[must_use]
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// Takes a free slot for `len` bytes of `stream`; None when there is none or the stream has its share.
    pub fn take(&self, stream: StreamId, len: usize) -> Option<Slot> {
        if self.used_by(stream) >= SLOTS_PER_STREAM_MAX {
            return None;
        }
        let mut free = self.lock();
        let mut slot = free.for_len(len).pop()?;
        slot.set_next_sequence(free.next_sequence());
        self.owners[slot.index].store(stream.0, Ordering::Relaxed);
        Some(slot)
    }

    /// Puts a slot back that the worker is done with; returns as [`Pool::give_back`].
    pub fn finish(&self, slot: Slot) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.give_back(slot)
    }

    /// Returns how many slots the worker was done with so far: one that stands still is done with none.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Puts a slot back, whatever was in it; returns whether somebody is to be told, who waits for slots.
    pub fn give_back(&self, mut slot: Slot) -> bool {
        slot.free();
        self.owners[slot.index].store(NOBODY, Ordering::Relaxed);
        let mut free = self.lock();
        free.for_capacity(slot.capacity()).push(slot);
        let wanted = self.wanted.load(Ordering::Relaxed);
        wanted > 0 && free.len() >= wanted && self.take_hunger()
    }

    /// Asks to be told when half of the slots that are under way have come back: one at a time is a costly way
    /// to work. Returns false when there is one for `len` bytes already.
    pub fn wait_for_slot(&self, stream: StreamId, len: usize) -> bool {
        let mut free = self.lock();
        if !free.for_len(len).is_empty() && self.used_by(stream) < SLOTS_PER_STREAM_MAX {
            return false;
        }
        let under_way = SLOTS - free.len();
        self.wanted.store(free.len() + under_way.div_ceil(2), Ordering::Relaxed);
        true
    }

    /// Returns whether somebody waits, and forgets it: the worker asks before it goes to sleep, when no more
    /// slots can come back.
    pub fn take_hunger(&self) -> bool {
        self.wanted.swap(0, Ordering::Relaxed) > 0
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many slots a stream has under way.
    #[must_use]
    pub fn used_by(&self, stream: StreamId) -> usize {
        self.owners.iter().filter(|owner| owner.load(Ordering::Relaxed) == stream.0).count()
    }

    /// Returns what an earlier process left unfinished, in the order of its reads.
    pub fn take_left_over(&self) -> Vec<Slot> {
        std::mem::take(&mut *self.left_over.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives the memory of unused slots back to the system; the next one to be used keeps its first pages.
    pub fn discard_unused(&self) {
        let mut free = self.lock();
        let next = free.small.pop();
        let Free { small, large, .. } = &mut *free;
        small.iter_mut().chain(large).for_each(|slot| slot.discard(false));
        free.small.extend(next.map(|mut slot| {
            slot.discard(true);
            slot
        }));
    }
}

/// The small slots come first.
fn capacity(index: usize) -> usize {
    if index < SMALL_SLOTS { SMALL_BYTES } else { SLOT_BYTES }
}

/// The lowest comes last, to be taken first.
fn reversed(mut slots: Vec<Slot>) -> Vec<Slot> {
    slots.reverse();
    slots
}

/// Cuts the memory into its numbers, the rest of its first page, and the slots in their order.
fn cut(memory: SharedMem) -> (Region, Region, Vec<Slot>) {
    let slots = (0..SLOTS).flat_map(|index| [HEADER_BYTES, capacity(index)]);
    let lengths: Vec<usize> = [HEAD_BYTES, PAGE - HEAD_BYTES].into_iter().chain(slots).collect();
    let mut regions = memory.into_regions(&lengths);
    let (head, rest) = (regions.remove(0), regions.remove(0));
    let mut regions = regions.into_iter();
    let mut slots = Vec::with_capacity(SLOTS);
    while let (Some(header), Some(data)) = (regions.next(), regions.next()) {
        slots.push(Slot::new(slots.len(), header, data));
    }
    (head, rest, slots)
}

#[cfg(test)]
mod tests {
    use super::super::sink::Route;
    use super::super::slot::{Outlet, Reading};
    use super::*;
    use std::sync::Arc;

    type Test = Result<(), Box<dyn std::error::Error>>;

    fn fill(slot: &mut Slot, bytes: &[u8]) {
        let outlet = Arc::new(Outlet::new(Route::default()));
        let reading = Reading { stream: StreamId(7), outlet: &outlet, len: bytes.len() };
        slot.begin(reading, &[0xff; 16]).copy_from_slice(bytes);
        slot.filled(bytes.len());
    }

    /// Bytes of memory that the pool costs.
    fn cost(pool: &Pool) -> Result<i64, nix::errno::Errno> {
        Ok(nix::sys::stat::fstat(pool.fd())?.st_blocks * 512)
    }

    #[test]
    fn what_was_under_way_is_found_again_in_order() -> Test {
        let pool = Pool::create()?;
        let [mut a, mut b, c] =
            [5000, 6, 6].map(|len| pool.take(StreamId(7), len)).map(|slot| slot.ok_or("no slot"));
        fill(b.as_mut().map_err(|e| *e)?, b"second");
        fill(a.as_mut().map_err(|e| *e)?, b"first");
        let fd = pool.fd().try_clone_to_owned()?;
        drop((a, b, c, pool));
        let pool = Pool::adopt(fd)?;
        assert_eq!(pool.used_by(StreamId(7)), 2);
        let found: Vec<Vec<u8>> = pool.take_left_over().iter().map(|slot| slot.bytes().to_vec()).collect();
        assert_eq!(found, [b"first".to_vec(), b"second".to_vec()]);
        Ok(())
    }

    #[test]
    fn another_layout_is_refused() -> Test {
        let memory = SharedMem::create(c"test", LENGTH)?;
        assert!(Pool::adopt(memory.fd().try_clone_to_owned()?).is_err());
        let short = SharedMem::create(c"test", LENGTH - PAGE)?;
        assert!(Pool::adopt(short.fd().try_clone_to_owned()?).is_err());
        Ok(())
    }

    #[test]
    fn a_stream_gets_its_share_and_no_more() -> Test {
        let pool = Pool::create()?;
        let mut taken = Vec::new();
        while let Some(slot) = pool.take(StreamId(1), 1) {
            taken.push(slot);
        }
        assert_eq!(taken.len(), SLOTS_PER_STREAM_MAX);
        for stream in 2.. {
            let Some(slot) = pool.take(StreamId(stream), 1) else { break };
            taken.push(slot);
        }
        assert_eq!(taken.len(), SLOTS, "small ones first, then large ones");
        assert!(pool.wait_for_slot(StreamId(99), 1));
        let told: Vec<bool> = taken.drain(..).map(|slot| pool.give_back(slot)).collect();
        let when = told.iter().position(|told| *told);
        assert_eq!((when, told.iter().filter(|told| **told).count()), (Some(SLOTS / 2 - 1), 1), "told once");
        assert!(!pool.wait_for_slot(StreamId(99), 1) && !pool.take_hunger());
        Ok(())
    }

    #[test]
    fn a_large_read_waits_for_a_large_slot() -> Test {
        let pool = Pool::create()?;
        let taken: Vec<Slot> =
            (0..).map_while(|stream| pool.take(StreamId(stream), SMALL_BYTES + 1)).collect();
        assert_eq!(taken.len(), LARGE_SLOTS);
        assert!(pool.wait_for_slot(StreamId(99), SMALL_BYTES + 1) && !pool.wait_for_slot(StreamId(99), 1));
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_quiet_pool_costs_three_pages() -> Test {
        let pool = Pool::create()?;
        for _ in 0..100 {
            let mut slot = pool.take(StreamId(1), 1).ok_or("no slot")?;
            fill(&mut slot, b"a line\n");
            pool.give_back(slot);
        }
        assert_eq!(cost(&pool)?, 3 * PAGE as i64, "its head, one header, one page of data");
        let mut slots: Vec<Slot> =
            (0..).map_while(|stream| pool.take(StreamId(stream), SLOT_BYTES)).collect();
        slots.iter_mut().for_each(|slot| fill(slot, &[b'x'; SLOT_BYTES]));
        assert!(cost(&pool)? > 1 << 20);
        for slot in slots {
            assert!(!pool.give_back(slot), "nobody waits");
        }
        pool.discard_unused();
        assert_eq!(cost(&pool)?, 3 * PAGE as i64, "after a flood as before it");
        let pool = Pool::adopt(pool.fd().try_clone_to_owned()?)?;
        assert_eq!(cost(&pool)?, 3 * PAGE as i64, "adopting it costs nothing");
        Ok(())
    }
}
