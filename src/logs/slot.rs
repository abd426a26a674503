//! One journaled buffer: what was read, where it goes, and how far it got.
//!
//! The order of the stores is the whole point: whoever maps the memory after a crash at any instruction can
//! tell what is true. Reading: `begin` (everything that identifies the bytes, a guard in their last bytes),
//! read(2), `filled`. Writing: `intend` (where the next piece goes), pwrite(2), `advance`. Then `free`.
//! Knows no files. Example: see `pump::read_journaled` and `writer::Writer::append`.

use super::sink::{Route, StreamId};
use super::strip::Strip;
use crate::sys::shm::Region;
use std::sync::Arc;

/// Bytes of data in a large slot: the usual capacity of a pipe.
pub const SLOT_BYTES: usize = 65_536;

/// Bytes of a slot's header: the numbers and an encoded route with its two names.
pub const HEADER_BYTES: usize = 8192;

/// Bytes of the guard: chance writes these with probability 2^-128.
pub const GUARD_BYTES: usize = 16;

/// Offsets of the numbers in a header.
mod at {
    pub(super) const STATE: usize = 0;
    pub(super) const SEQUENCE: usize = 8;
    pub(super) const STREAM: usize = 16;
    pub(super) const LEN: usize = 24;
    pub(super) const PROGRESS: usize = 32;
    pub(super) const STAGE: usize = 40;
    pub(super) const PIECE_START: usize = 48;
    pub(super) const PIECE_END: usize = 56;
    pub(super) const PIECE_DEVICE: usize = 64;
    pub(super) const PIECE_INODE: usize = 72;
    pub(super) const PIECE_OFFSET: usize = 80;
    pub(super) const GUARD: usize = 88;
    pub(super) const ROUTE: usize = GUARD + super::GUARD_BYTES;
}

/// Where no piece is under way: no position in the data.
const NO_PIECE: u64 = u64::MAX;

/// The part of the length's number that is the length; the other half names the slot that was absorbed last.
const LEN_MASK: u64 = 0xffff_ffff;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Nothing.
    Free = 0,
    /// A read may or may not have happened: the guard tells.
    Reading = 1,
    /// Bytes that are not all where they belong.
    Filled = 2,
}

/// How far the bytes of a slot got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are done with.
    pub done: usize,
    /// In which escape sequence they ended.
    pub strip: Strip,
}

/// A piece that is being put into a file: redoing it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How far the slot is done with once the piece is in the file.
    pub end: Progress,
    /// Device of the file.
    pub device: u64,
    /// Inode of the file.
    pub inode: u64,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
}

/// A buffer with its header; whoever has it is the only one.
#[derive(Debug)]
pub struct Slot {
    /// Its place in the pool.
    pub index: usize,
    header: Region,
    data: Region,
    /// The place of the next read in the order of all reads.
    next_sequence: u64,
    /// Where the bytes go, as long as the process lives that read them.
    route: Option<Arc<Outlet>>,
}

/// Where a stream goes, in both forms.
#[derive(Debug)]
pub struct Outlet {
    /// As it is.
    pub route: Route,
    /// As a journal takes it.
    pub encoded: Vec<u8>,
}

impl Outlet {
    /// Returns both forms of a route.
    #[must_use]
    pub fn new(route: Route) -> Outlet {
        let encoded = route.encode();
        Outlet { route, encoded }
    }
}

/// What identifies the bytes that are about to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Whose bytes.
    pub stream: StreamId,
    /// Where they go.
    pub outlet: &'a Arc<Outlet>,
    /// How many, at most the slot's capacity.
    pub len: usize,
}

impl Slot {
    pub(crate) fn new(index: usize, header: Region, data: Region) -> Slot {
        Slot { index, header, data, next_sequence: 0, route: None }
    }

    /// Returns how many bytes fit in.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.data.len()
    }

    /// Returns what the slot holds.
    #[must_use]
    pub fn state(&self) -> SlotState {
        match self.header.load(at::STATE) {
            1 => SlotState::Reading,
            2 => SlotState::Filled,
            _ => SlotState::Free,
        }
    }

    /// Gives the next read its place in the order of all reads.
    pub(crate) fn set_next_sequence(&mut self, sequence: u64) {
        self.next_sequence = sequence;
    }

    /// Whether it is free, found out without touching its memory.
    pub(crate) fn is_free_unseen(&self) -> bool {
        self.header.peek(at::STATE).is_ok_and(|state| state == SlotState::Free as u64)
    }

    /// Returns the place of its read in the order of all reads.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.header.load(at::SEQUENCE)
    }

    /// Returns whose bytes it holds.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        StreamId(self.header.load(at::STREAM))
    }

    /// Returns how many bytes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.header.load(at::LEN) & LEN_MASK).min(self.capacity() as u64) as usize
    }

    /// Whether it holds no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.data.bytes()[..self.len()]
    }

    /// Returns where the bytes go; None when a crash left no sense in it.
    #[must_use]
    pub fn outlet(&self) -> Option<Arc<Outlet>> {
        let decode = || Some(Arc::new(Outlet::new(Route::decode(&self.header.bytes()[at::ROUTE..])?)));
        self.route.clone().or_else(decode)
    }

    /// Gets ready for a read of `reading.len` bytes into the returned buffer. `guard` fills the end of the
    /// buffer; it must differ from the bytes that will come.
    pub fn begin(&mut self, reading: Reading<'_>, guard: &[u8]) -> &mut [u8] {
        let len = reading.len.min(self.capacity());
        let header = &mut self.header;
        header.store(at::SEQUENCE, self.next_sequence);
        header.store(at::STREAM, reading.stream.0);
        header.store(at::LEN, len as u64);
        header.store(at::PROGRESS, 0);
        header.store(at::STAGE, 0);
        header.store(at::PIECE_START, NO_PIECE);
        let guard = &guard[..guard_len(len).min(guard.len())];
        header.bytes_mut()[at::GUARD..][..guard.len()].copy_from_slice(guard);
        let encoded = &reading.outlet.encoded;
        header.bytes_mut()[at::ROUTE..][..encoded.len()].copy_from_slice(encoded);
        self.route = Some(Arc::clone(reading.outlet));
        let data = self.data.bytes_mut();
        // Every page is touched before the read, so that no page fault can cut it short half-way.
        data[..len].iter_mut().step_by(crate::sys::shm::PAGE).for_each(|byte| *byte = 0);
        data[..len][len - guard.len()..].copy_from_slice(guard);
        self.header.store(at::STATE, SlotState::Reading as u64);
        &mut self.data.bytes_mut()[..len]
    }

    /// The read brought `len` bytes, which the slot answers for from now on.
    pub fn filled(&mut self, len: usize) {
        if len != self.len() {
            self.header.store(at::LEN, len.min(self.capacity()) as u64);
        }
        self.header.store(at::STATE, SlotState::Filled as u64);
    }

    /// Whether a read that was begun before a crash has brought its bytes.
    #[must_use]
    pub fn read_happened(&self) -> bool {
        let bytes = self.bytes();
        let guard = &self.header.bytes()[at::GUARD..][..guard_len(bytes.len())];
        !bytes.ends_with(guard)
    }

    /// The slot holds nothing any more.
    pub fn free(&mut self) {
        self.route = None;
        self.header.store(at::STATE, SlotState::Free as u64);
    }

    /// Adds bytes behind those that it holds; returns false when they do not fit.
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let old = self.len();
        let new = old + bytes.len();
        if new > self.capacity() {
            return false;
        }
        self.data.bytes_mut()[old..new].copy_from_slice(bytes);
        // One store: the bytes are there before they count.
        self.header.store(at::LEN, new as u64);
        true
    }

    /// Puts other bytes, no more than fit in, in the place of those that were just read: a part of them was no output.
    pub fn rewrite(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(self.capacity());
        self.data.bytes_mut()[..len].copy_from_slice(&bytes[..len]);
        self.header.store(at::LEN, len as u64);
    }

    /// Takes the bytes of a later slot over, behind its own; returns false when they do not fit.
    pub fn absorb(&mut self, later: &Slot) -> bool {
        let (old, bytes) = (self.len(), later.bytes());
        let new = old + bytes.len();
        if new > self.capacity() {
            return false;
        }
        self.data.bytes_mut()[old..new].copy_from_slice(bytes);
        // One store: the bytes are here, and it is known whose they were.
        self.header.store(at::LEN, new as u64 | later.mark() << 32);
        true
    }

    /// Whether it took over the bytes of `later`, which a crash kept from being freed.
    #[must_use]
    pub fn has_absorbed(&self, later: &Slot) -> bool {
        self.header.load(at::LEN) >> 32 == later.mark()
    }

    /// Returns a number that tells the slots of one pool apart and is never zero.
    fn mark(&self) -> u64 {
        (self.sequence() & 0x7fff_ffff) | 0x8000_0000
    }

    /// Gives memory back to the system: all but the first page of header and data when `warm`, else all.
    pub(crate) fn discard(&mut self, warm: bool) {
        let keep = if warm { 1 } else { 0 };
        self.header.discard(keep);
        self.data.discard(keep);
    }

    /// Returns the bytes and, apart from them, the record of how far they got.
    pub fn parts(&mut self) -> (&[u8], SlotJournal<'_>) {
        let len = self.len();
        (&self.data.bytes()[..len], SlotJournal { header: &mut self.header })
    }

    /// Returns how far the bytes got on their way into the file.
    #[must_use]
    pub fn progress(&self) -> Progress {
        unpack(self.header.load(at::PROGRESS))
    }

    /// Begins in the escape sequence in which the stream's bytes before it ended.
    pub fn inherit(&mut self, strip: Strip) {
        if self.progress().done == 0 {
            self.header.store(at::PROGRESS, pack(Progress { done: 0, strip }));
        }
    }

    /// Whether the system log has all it gets.
    #[must_use]
    pub fn syslog_is_done(&self) -> bool {
        self.header.load(at::STAGE) != 0
    }

    /// Notes that the system log has all it gets.
    pub fn set_syslog_done(&mut self) {
        self.header.store(at::STAGE, 1);
    }
}

/// Where a writer notes what it is about to do and has done.
pub trait Journal {
    /// Returns how far the bytes got.
    fn progress(&self) -> Progress;
    /// Returns the piece that was under way when a crash came.
    fn piece(&self) -> Option<Piece>;
    /// Notes a piece before it is written.
    fn intend(&mut self, piece: Piece);
    /// Notes how far the bytes are done with; a piece under way is so no longer.
    fn advance(&mut self, to: Progress);
}

/// The journal of a slot.
#[derive(Debug)]
pub struct SlotJournal<'a> {
    header: &'a mut Region,
}

impl Journal for SlotJournal<'_> {
    fn progress(&self) -> Progress {
        unpack(self.header.load(at::PROGRESS))
    }

    fn piece(&self) -> Option<Piece> {
        (self.header.load(at::PIECE_START) == self.header.load(at::PROGRESS)).then(|| Piece {
            end: unpack(self.header.load(at::PIECE_END)),
            device: self.header.load(at::PIECE_DEVICE),
            inode: self.header.load(at::PIECE_INODE),
            offset: self.header.load(at::PIECE_OFFSET),
        })
    }

    fn intend(&mut self, piece: Piece) {
        self.header.store(at::PIECE_START, NO_PIECE);
        self.header.store(at::PIECE_END, pack(piece.end));
        self.header.store(at::PIECE_DEVICE, piece.device);
        self.header.store(at::PIECE_INODE, piece.inode);
        self.header.store(at::PIECE_OFFSET, piece.offset);
        // The piece counts while its start is where the slot stands; this store makes it count.
        self.header.store(at::PIECE_START, self.header.load(at::PROGRESS));
    }

    fn advance(&mut self, to: Progress) {
        // One store: it moves on and ends the piece at once.
        self.header.store(at::PROGRESS, pack(to));
    }
}

/// A journal for lines of our own, which die with the process.
#[derive(Debug, Default)]
pub struct NoJournal(Progress);

impl Journal for NoJournal {
    fn progress(&self) -> Progress {
        self.0
    }

    fn piece(&self) -> Option<Piece> {
        None
    }

    fn intend(&mut self, _piece: Piece) {}

    fn advance(&mut self, to: Progress) {
        self.0 = to;
    }
}

fn guard_len(len: usize) -> usize {
    len.min(GUARD_BYTES)
}

fn pack(progress: Progress) -> u64 {
    progress.done as u64 | u64::from(progress.strip.bits()) << 32
}

fn unpack(bits: u64) -> Progress {
    Progress { done: (bits & 0xffff_ffff) as usize, strip: Strip::from_bits((bits >> 32) as u32) }
}
