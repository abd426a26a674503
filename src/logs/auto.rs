//! AUTO logs: files of our own naming, made so that nobody can have been there first.
//!
//! The name is supervisord's, `PROCESS-CHANNEL---IDENTIFIER-RRRRRRRR.log`. Waits for the file system, so it
//! belongs on the disk worker. Example: `auto::create(dir, "web", "stdout", "supervisor")?`.

use crate::sys::open::{self, OpenError};
use nix::errno::Errno;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

/// Random characters in a name, as Python's mkstemp has.
const RANDOM_CHARS: usize = 8;

/// Names that are tried before it is given up: a second one is needed hardly ever.
const ATTEMPTS_MAX: usize = 100;

/// Longest part of a file name that a process or an identifier gives, in bytes: both, the channel and the
/// random part stay below the 255 of every file system.
const PART_MAX_BYTES: usize = 100;

const ALPHABET: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz0123456789_";

/// Makes an empty log for one stream of a process, private, and returns its path.
///
/// # Errors
/// As [`open::exclusive`]: a directory that is missing, full or not ours.
pub fn create(dir: &Path, process: &str, channel: &str, identifier: &str) -> Result<PathBuf, OpenError> {
    let mut last = OpenError::from(Errno::EEXIST);
    for _ in 0..ATTEMPTS_MAX {
        let path = dir.join(name(process, channel, identifier, &random()));
        match open::locate(&path).and_then(|spot| open::exclusive(&spot)) {
            Ok(_) => return Ok(path),
            Err(error) if error.errno == Errno::EEXIST => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn name(process: &str, channel: &str, identifier: &str, random: &str) -> String {
    format!("{}-{channel}---{}-{random}.log", part(process), part(identifier))
}

/// Returns a text as it can stand in a file name: no separators, nothing that is not seen, not too long.
fn part(text: &str) -> String {
    let mut part = String::with_capacity(text.len().min(PART_MAX_BYTES));
    for letter in text.chars() {
        let letter = if letter == '/' || letter.is_control() { '_' } else { letter };
        if part.len() + letter.len_utf8() > PART_MAX_BYTES {
            break;
        }
        part.push(letter);
    }
    part
}

fn random() -> String {
    // Each state is keyed anew; the hash is good enough for a name that O_EXCL protects.
    let mut bits = RandomState::new().hash_one(std::process::id());
    let mut next = || {
        let letter = ALPHABET[(bits % ALPHABET.len() as u64) as usize];
        bits /= ALPHABET.len() as u64;
        char::from(letter)
    };
    (0..RANDOM_CHARS).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_new_and_private() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let first = create(dir.path(), "web", "stdout", "supervisor")?;
        let second = create(dir.path(), "web", "stdout", "supervisor")?;
        assert_ne!(first, second);
        let name = first.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(name.starts_with("web-stdout---supervisor-") && name.ends_with(".log"), "{name}");
        assert_eq!(name.len(), "web-stdout---supervisor-12345678.log".len());
        assert_eq!(std::fs::metadata(&first)?.permissions().mode() & 0o777, 0o600);
        Ok(())
    }

    #[test]
    fn odd_names_stay_inside_the_directory() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        for odd in ["../../x", "a b\n\x1b", "ü/é", "*", ".", &"n".repeat(400)] {
            let path = create(dir.path(), odd, "stderr", odd)?;
            assert_eq!(path.parent(), Some(dir.path()), "{odd:?}");
            assert!(path.is_file());
        }
        assert_eq!(part(&"n".repeat(PART_MAX_BYTES + 1)).len(), PART_MAX_BYTES);
        Ok(())
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let error = create(Path::new("/nonexistent/dir"), "x", "stdout", "s").err().map(|error| error.errno);
        assert_eq!(error, Some(Errno::ENOENT));
    }
}
