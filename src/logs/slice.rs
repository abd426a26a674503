//! A piece of a log file, by supervisord's rules of offset and length (supervisor 4.3 options.py `readFile`,
//! `tailFile`).
//!
//! To be called where a file system may be waited for. Example: `read(path, -1600, 0)` are the last 1600 bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Most bytes of a log in one answer: it is held as a whole, more than once. Whoever wants more asks again with the
/// next offset.
pub const SLICE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why there is no such piece.
#[derive(Debug)]
pub enum SliceError {
    /// There is no such file, or it is no plain one.
    NoFile,
    /// Offset and length make no sense together.
    BadArguments,
    /// The system said no.
    Failed(io::Error),
}

/// The end of a file, for whoever comes back for more.
#[derive(Debug, PartialEq, Eq)]
pub struct Tail {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Size of the file in bytes: the offset to come back with.
    pub size: u64,
    /// Whether there was more between the offset and the bytes.
    pub overflow: bool,
}

/// Reads `length` bytes from `offset`, all with a length of 0; or, with an offset below zero and no length, that
/// many of the end.
///
/// # Errors
/// As [`SliceError`].
pub fn read(path: &Path, offset: i64, length: i64) -> Result<Vec<u8>, SliceError> {
    let (file, size) = open(path)?;
    let (from, most) = match (offset, length) {
        (0.., 0..) => (offset.unsigned_abs(), length.unsigned_abs()),
        (_, 0) => (size.saturating_sub(offset.unsigned_abs()), offset.unsigned_abs()),
        _ => return Err(SliceError::BadArguments),
    };
    let most = if most == 0 { u64::MAX } else { most };
    read_at(&file, from, most.min(size.saturating_sub(from)))
}

/// Reads the last `length` bytes, or none when nothing came since `offset`.
///
/// # Errors
/// As [`SliceError`].
pub fn tail(path: &Path, offset: i64, length: i64) -> Result<Tail, SliceError> {
    let (file, size) = open(path)?;
    let end = offset.saturating_add(length);
    let overflow = i128::from(size) > i128::from(end);
    let nothing_new = !overflow && i128::from(offset) >= i128::from(size);
    let want =
        if nothing_new { 0 } else { u64::try_from(length).unwrap_or(0).min(size).min(SLICE_MAX_BYTES) };
    Ok(Tail { bytes: read_at(&file, size - want, want)?, size, overflow })
}

fn read_at(file: &File, from: u64, count: u64) -> Result<Vec<u8>, SliceError> {
    let count = usize::try_from(count.min(SLICE_MAX_BYTES)).unwrap_or(0);
    let mut bytes = vec![0; count];
    let mut have = 0;
    while have < count {
        match file.read_at(&mut bytes[have..], from + have as u64) {
            // It was cut off meanwhile.
            Ok(0) => break,
            Ok(more) => have += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(SliceError::Failed(error)),
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// Opens a plain file, without waiting for anybody's pipe; returns its size in bytes.
fn open(path: &Path) -> Result<(File, u64), SliceError> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SliceError::NoFile,
        _ => SliceError::Failed(error),
    })?;
    let metadata = file.metadata().map_err(SliceError::Failed)?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(SliceError::NoFile) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> io::Result<tempfile::NamedTempFile> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        Ok(file)
    }

    #[test]
    fn reading_follows_supervisords_rules() -> io::Result<()> {
        let file = file("x\nhéllo\n".as_bytes())?;
        for (offset, length, expected) in [
            (0, 0, Some("x\nhéllo\n".as_bytes())),
            (-9_999_999, 0, Some("x\nhéllo\n".as_bytes())),
            (2, 4, Some("hél".as_bytes())),
            (-4, 0, Some(b"llo\n")),
            (0, 4, Some(b"x\nh\xc3")),
            (9_999_999, 5, Some(b"")),
            (i64::MAX, 0, Some(b"")),
            (i64::MIN, 0, Some("x\nhéllo\n".as_bytes())),
            (0, i64::MAX, Some("x\nhéllo\n".as_bytes())),
            (0, -1, None),
            (-1, 1, None),
        ] {
            let found = read(file.path(), offset, length).ok();
            assert_eq!(found.as_deref(), expected, "{offset} {length}");
        }
        assert!(matches!(read(Path::new("/no/such/file"), 0, 0), Err(SliceError::NoFile)));
        assert!(matches!(read(Path::new("/dev/null"), 0, 0), Err(SliceError::NoFile)));
        Ok(())
    }

    #[test]
    fn tailing_follows_supervisords_rules() -> io::Result<()> {
        let file = file("x\nhéllo\n".as_bytes())?;
        let all = "x\nhéllo\n";
        for (offset, length, bytes, overflow) in [
            (0, 10, all, false),
            (0, 100_000, all, false),
            (0, 9, all, false),
            (5, 3, "lo\n", true),
            (-1, 3, "lo\n", true),
            (99_999, 3, "", false),
            (9, 5, "", false),
            (8, 4, "llo\n", false),
            (0, 0, "", true),
            (0, -5, "", true),
            (0, 1, "\n", true),
        ] {
            let found = tail(file.path(), offset, length).expect("a file that is there");
            assert_eq!(found, Tail { bytes: bytes.into(), size: 9, overflow }, "{offset} {length}");
        }
        Ok(())
    }

    #[test]
    fn a_piece_ends_at_its_limit() -> io::Result<()> {
        let file = file(b"")?;
        file.as_file().set_len(SLICE_MAX_BYTES + 1)?;
        for (offset, length) in [(0, 0), (0, i64::MAX), (i64::MIN, 0)] {
            let found = read(file.path(), offset, length).expect("a file that is there");
            assert_eq!(found.len() as u64, SLICE_MAX_BYTES);
        }
        assert_eq!(tail(file.path(), 0, i64::MAX).expect("a file").bytes.len() as u64, SLICE_MAX_BYTES);
        Ok(())
    }
}
