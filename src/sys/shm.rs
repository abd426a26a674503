//! Memory that outlives a process: a nameless file mapped here, its descriptor kept elsewhere as well.
//!
//! Knows nothing of what is stored. [`SharedMem`] is for cells that are copied in and out; a large area is
//! cut into owned [`Region`]s with [`SharedMem::into_regions`], so that two holders can never alias.
//! Example: `SharedMem::create(c"records", 4096)?.store(0, 7)`, then the descriptor goes to the keeper.

use super::memfile;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::CStr;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a page as this module counts them: no platform has smaller ones, and larger ones only make
/// [`Region::discard`] release less.
pub const PAGE: usize = 4096;

/// A whole nameless file in memory.
#[derive(Debug)]
pub struct SharedMem {
    map: Arc<Mapping>,
}

#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
    fd: OwnedFd,
}

// SAFETY: a mapping is plain memory of the process, valid from every thread until it is dropped.
unsafe impl Send for Mapping {}
// SAFETY: shared access goes through raw copies, atomics, or regions that do not overlap.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and length are those that mmap returned, and no region outlives its Arc.
        let _ = unsafe { munmap(self.start.cast(), self.len) };
    }
}

impl SharedMem {
    /// Makes `len` bytes of zeros that a duplicate of [`SharedMem::fd`] keeps alive.
    ///
    /// # Errors
    /// As memfd_create(2) or open(2), ftruncate(2), and mmap(2).
    pub fn create(name: &CStr, len: usize) -> io::Result<SharedMem> {
        let file = memfile::create(name)?;
        file.set_len(len as u64)?;
        SharedMem::map(file.into(), len)
    }

    /// Maps the file that an earlier process made.
    ///
    /// # Errors
    /// `InvalidData` when it is shorter than `len`; else as fstat(2) and mmap(2).
    pub fn from_fd(fd: OwnedFd, len: usize) -> io::Result<SharedMem> {
        let size = nix::sys::stat::fstat(&fd)?.st_size;
        if usize::try_from(size).is_ok_and(|size| size >= len) {
            return SharedMem::map(fd, len);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("use {size} bytes where {len} are needed")))
    }

    fn map(fd: OwnedFd, len: usize) -> io::Result<SharedMem> {
        let size = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
        let start = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, &fd, 0) }?.cast();
        Ok(SharedMem { map: Arc::new(Mapping { start, len, fd }) })
    }

    /// Returns the descriptor whose duplicates keep the contents alive.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.map.fd.as_fd()
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len
    }

    /// Whether it has no bytes; never true, for an empty file cannot be mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.len == 0
    }

    /// Copies bytes out, from offset `at`.
    ///
    /// # Panics
    /// When the range is not inside, which is a mistake of the caller's.
    pub fn read(&self, at: usize, into: &mut [u8]) {
        let from = self.map.at(at, into.len());
        // SAFETY: the source is inside the mapping as just checked, and the target is memory of its own.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), into.len()) };
    }

    /// Copies bytes in, at offset `at`.
    ///
    /// # Panics
    /// When the range is not inside, which is a mistake of the caller's.
    pub fn write(&self, at: usize, from: &[u8]) {
        let into = self.map.at(at, from.len());
        // SAFETY: the target is inside the mapping as just checked, and the source is memory of its own.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_ptr(), from.len()) };
    }

    /// Reads the number at offset `at`, a multiple of 8, with acquire ordering.
    #[must_use]
    pub fn load(&self, at: usize) -> u64 {
        self.map.atomic(at).load(Ordering::Acquire)
    }

    /// Stores a number at offset `at`, a multiple of 8, with release ordering: a process that finds it after
    /// a crash finds everything that was written before it.
    pub fn store(&self, at: usize, value: u64) {
        self.map.atomic(at).store(value, Ordering::Release);
    }

    /// Cuts the area, from its start, into pieces that are owned one by one; the rest is left unused.
    ///
    /// # Panics
    /// When the pieces are longer than the whole, which is a mistake of the caller's.
    #[must_use]
    pub fn into_regions(self, lengths: &[usize]) -> Vec<Region> {
        assert!(lengths.iter().sum::<usize>() <= self.map.len, "the regions fit into the area");
        let mut at = 0;
        let cut = |len: &usize| {
            let region = Region { map: Arc::clone(&self.map), at, len: *len };
            at += len;
            region
        };
        lengths.iter().map(cut).collect()
    }
}

impl Mapping {
    fn at(&self, at: usize, len: usize) -> NonNull<u8> {
        assert!(at <= self.len && len <= self.len - at, "the range is inside the shared area");
        // SAFETY: at is at most the length of the mapping, as just checked.
        unsafe { self.start.add(at) }
    }

    fn atomic(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8), "a number stands at a multiple of eight");
        let cell = self.at(at, 8).as_ptr();
        // SAFETY: inside the mapping and aligned (mappings start at pages); it lives as long as `self`.
        unsafe { AtomicU64::from_ptr(cell.cast()) }
    }
}

/// A piece of shared memory with one owner: nobody else in this process can reach it, and other processes
/// only keep the descriptor, by the contract of whoever passes it on.
#[derive(Debug)]
pub struct Region {
    map: Arc<Mapping>,
    at: usize,
    len: usize,
}

impl Region {
    /// Returns the descriptor whose duplicates keep the contents of the whole area alive.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.map.fd.as_fd()
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let start = self.map.at(self.at, self.len);
        // SAFETY: inside the mapping and initialized (zeros at first); regions do not overlap, this one is
        // borrowed, and no other process maps the file.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len) }
    }

    /// Returns the bytes for writing.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let start = self.map.at(self.at, self.len);
        // SAFETY: as in `bytes`, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), self.len) }
    }

    /// Reads the number at offset `at`, a multiple of 8, with acquire ordering.
    #[must_use]
    pub fn load(&self, at: usize) -> u64 {
        self.cell(at).load(Ordering::Acquire)
    }

    /// Reads the number at offset `at` through the file: a page that was never written stays without memory.
    ///
    /// # Errors
    /// As pread(2).
    pub fn peek(&self, at: usize) -> io::Result<u64> {
        let mut bytes = [0; 8];
        let offset = i64::try_from(self.at + at).map_err(|_| io::ErrorKind::InvalidInput)?;
        let got = nix::sys::uio::pread(&self.map.fd, &mut bytes, offset)?;
        if got == 8 { Ok(u64::from_ne_bytes(bytes)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Stores a number at offset `at`, a multiple of 8, with release ordering.
    pub fn store(&mut self, at: usize, value: u64) {
        self.cell(at).store(value, Ordering::Release);
    }

    fn cell(&self, at: usize) -> &AtomicU64 {
        assert!(at + 8 <= self.len, "the number is inside the region");
        self.map.atomic(self.at + at)
    }

    /// Gives the pages after the first `keep` bytes back to the system; they read as zeros afterwards.
    /// Does nothing where the platform cannot.
    pub fn discard(&mut self, keep: usize) {
        let keep = keep.next_multiple_of(PAGE);
        #[cfg(target_os = "linux")]
        if keep < self.len {
            use nix::fcntl::{FallocateFlags, fallocate};
            let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let _ = fallocate(&self.map.fd, hole, (self.at + keep) as i64, (self.len - keep) as i64);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = keep;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_outlive_the_first_mapping() -> io::Result<()> {
        let first = SharedMem::create(c"test", 8192)?;
        first.write(100, b"kept");
        first.store(8, 77);
        let fd = first.fd().try_clone_to_owned()?;
        drop(first);
        let second = SharedMem::from_fd(fd, 8192)?;
        let mut back = [0; 4];
        second.read(100, &mut back);
        assert_eq!((&back, second.load(8)), (b"kept", 77));
        Ok(())
    }

    #[test]
    fn a_file_that_is_too_short_is_refused() -> io::Result<()> {
        let small = SharedMem::create(c"test", 4096)?;
        let fd = small.fd().try_clone_to_owned()?;
        let error = SharedMem::from_fd(fd, 4097).err().map(|e| e.kind());
        assert_eq!(error, Some(io::ErrorKind::InvalidData));
        Ok(())
    }

    #[test]
    fn regions_are_apart_and_can_be_discarded() -> io::Result<()> {
        let whole = SharedMem::create(c"test", 4 * PAGE)?;
        let mut regions = whole.into_regions(&[PAGE, 3 * PAGE]);
        regions[0].bytes_mut().fill(1);
        regions[1].bytes_mut().fill(2);
        regions[1].store(0, 9);
        assert_eq!((regions[0].bytes()[PAGE - 1], regions[1].load(0)), (1, 9));
        assert_eq!((regions[1].peek(0)?, regions[1].peek(8)?), (9, u64::from_ne_bytes([2; 8])));
        regions[1].discard(1);
        assert_eq!(regions[1].bytes()[PAGE - 1], 2, "the kept page is whole");
        if cfg!(target_os = "linux") {
            assert_eq!(regions[1].bytes()[PAGE], 0, "the others are gone");
        }
        Ok(())
    }

    #[test]
    #[should_panic(expected = "inside the shared area")]
    fn a_range_outside_is_a_mistake() {
        if let Ok(memory) = SharedMem::create(c"test", PAGE) {
            memory.write(PAGE - 1, b"ab");
        }
    }
}
