//! What survives the reactor: one nameless file, held by the keeper, with the configuration in force, a fixed
//! slot per process, and the core's header.
//!
//! A slot is rewritten in place by one write that stays inside a page, so a death in between leaves the old or
//! the new one. The header is longer: it is written to the area that is not in use, and then one small write
//! makes it valid. The configuration is the *activated* one: a new reactor does not pick up an edited file.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// First word of the file: name and version of the layout.
const MAGIC: u64 = 0x0002_6574_6174_5356;
/// Size of the first page, in bytes.
const FIRST_SIZE_BYTES: u64 = 4096;
/// Where the first page says which header is valid: offset and length.
const VALID_AT: u64 = 64;
/// Longest header, in bytes: names and numbers of 100,000 processes. The file is sparse.
const HEADER_SIZE_MAX: usize = 8 << 20;

/// The file.
pub(super) struct Store {
    file: File,
    slots: u64,
    slot_size: u64,
    configuration_size: u64,
    /// Which of the two areas holds the valid header.
    area: Cell<u64>,
}

impl Store {
    /// Makes a file for `slots` processes around a configuration.
    ///
    /// # Errors
    /// As memfd_create(2) and write(2).
    pub(super) fn create(configuration: &[u8], slots: usize, slot_size: usize) -> io::Result<Store> {
        let store = Store {
            file: crate::sys::memfile::create(c"state")?,
            slots: slots as u64,
            slot_size: slot_size as u64,
            configuration_size: configuration.len() as u64,
            area: Cell::new(0),
        };
        let words = [MAGIC, store.slots, store.slot_size, store.configuration_size];
        let head: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        store.file.write_all_at(&head, 0)?;
        store.file.write_all_at(&[0; 16], VALID_AT)?;
        store.file.write_all_at(configuration, store.configuration_at())?;
        Ok(store)
    }

    /// Opens the file of a reactor that died; returns it with the configuration and the core's header.
    ///
    /// # Errors
    /// `InvalidData` for another layout, and as read(2).
    pub(super) fn open(fd: OwnedFd) -> io::Result<(Store, Vec<u8>, Vec<u8>)> {
        let file = File::from(fd);
        let word = |at: u64| -> io::Result<u64> {
            let mut bytes = [0; 8];
            file.read_exact_at(&mut bytes, at)?;
            Ok(u64::from_ne_bytes(bytes))
        };
        if word(0)? != MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (slots, slot_size, configuration_size) = (word(8)?, word(16)?, word(24)?);
        let (header_at, header_size) = (word(VALID_AT)?, word(VALID_AT + 8)?);
        let store = Store { file, slots, slot_size, configuration_size, area: Cell::new(0) };
        store.area.set(u64::from(header_at != store.header_at(0)));
        let configuration = store.read_at(store.configuration_at(), configuration_size)?;
        let header = store.read_at(header_at, header_size.min(HEADER_SIZE_MAX as u64))?;
        Ok((store, configuration, header))
    }

    fn read_at(&self, at: u64, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    fn configuration_at(&self) -> u64 {
        FIRST_SIZE_BYTES + self.slots * self.slot_size
    }

    fn header_at(&self, area: u64) -> u64 {
        self.configuration_at() + self.configuration_size + area * HEADER_SIZE_MAX as u64
    }

    /// Returns a duplicate of the descriptor, for the keeper.
    ///
    /// # Errors
    /// As dup(2).
    pub(super) fn fd(&self) -> io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }

    /// Writes the core's header.
    ///
    /// # Errors
    /// `InvalidInput` beyond [`HEADER_SIZE_MAX`], and as write(2).
    pub(super) fn write_header(&self, header: &[u8]) -> io::Result<()> {
        if header.len() > HEADER_SIZE_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let area = 1 - self.area.get();
        let at = self.header_at(area);
        self.file.write_all_at(header, at)?;
        let valid: Vec<u8> = [at, header.len() as u64].iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.file.write_all_at(&valid, VALID_AT)?;
        self.area.set(area);
        Ok(())
    }

    /// Writes the record in slot `index`; one beyond the last slot is ignored.
    ///
    /// # Errors
    /// As write(2).
    pub(super) fn write(&self, index: usize, record: &[u8]) -> io::Result<()> {
        if index as u64 >= self.slots || record.len() as u64 > self.slot_size {
            return Ok(());
        }
        self.file.write_all_at(record, FIRST_SIZE_BYTES + index as u64 * self.slot_size)
    }

    /// Reads all records, in the order of their slots; one never written is all zeroes.
    pub(super) fn records(&self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.slots)
            .map_while(|slot| self.read_at(FIRST_SIZE_BYTES + slot * self.slot_size, self.slot_size).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_by_the_next_reactor() -> io::Result<()> {
        let store = Store::create(b"{the configuration}", 3, 512)?;
        store.write_header(b"first and longer")?;
        store.write_header(b"second")?;
        store.write(2, &[7; 512])?;
        store.write(3, &[9; 512])?;
        let (next, configuration, header) = Store::open(store.fd()?)?;
        assert_eq!(
            (configuration.as_slice(), header.as_slice()),
            (&b"{the configuration}"[..], &b"second"[..])
        );
        assert_eq!(next.records().collect::<Vec<_>>(), [vec![0; 512], vec![0; 512], vec![7; 512]]);
        next.write_header(b"third")?;
        assert_eq!(Store::open(store.fd()?)?.2, b"third");
        Ok(())
    }

    #[test]
    fn a_header_at_the_limit_fits_and_one_beyond_is_refused() -> io::Result<()> {
        let store = Store::create(b"", 0, 512)?;
        assert!(store.write_header(&vec![1; HEADER_SIZE_MAX]).is_ok());
        assert!(store.write_header(&vec![1; HEADER_SIZE_MAX + 1]).is_err());
        Ok(())
    }
}
