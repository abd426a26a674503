//! Rotation by renames, each of which leaves a state that the next attempt goes on from.
//!
//! The names are supervisord's: `F.1` is the newest, `F.N` the oldest. Whether a file is due depends on
//! nothing but the file, so that a crash between any two steps repeats or completes it, and never does it
//! twice. Example: `if is_due(size, at_line_start, max_bytes) { shift(&spot, backups)? }`.

use super::crash;
use crate::sys::open::Spot;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, renameat};
use nix::sys::stat::fstatat;
use std::ffi::{OsStr, OsString};

/// Bytes beyond its size limit at which a file is cut in the midst of a line: a line that long is none.
pub const LINE_MAX_BYTES: u64 = 1 << 20;

/// Whether a file of `size` bytes is to be rotated before the next byte is written.
#[must_use]
pub fn is_due(size: u64, at_line_start: bool, max_bytes: u64) -> bool {
    max_bytes > 0 && size >= max_bytes && (at_line_start || size >= max_bytes.saturating_add(LINE_MAX_BYTES))
}

/// Moves `F` to `F.1` and, before that, as many backups up by one as stand in its way. The oldest is replaced.
///
/// # Errors
/// As renameat(2); nothing is lost, and a later attempt goes on.
pub fn shift(spot: &Spot, backups: u32) -> Result<(), Errno> {
    let name = spot.name.as_os_str();
    let gap = first_gap(spot, backups)?;
    for number in (1..gap).rev() {
        rename(spot, &numbered(name, number), &numbered(name, number + 1))?;
        crash::point("a backup was moved");
    }
    rename(spot, name, &numbered(name, 1))?;
    crash::point("the file was moved");
    Ok(())
}

/// Moves `F.1` back to `F`, because no new file could be made.
///
/// # Errors
/// As renameat(2).
pub fn undo(spot: &Spot) -> Result<(), Errno> {
    rename(spot, &numbered(&spot.name, 1), &spot.name)
}

/// Returns the lowest number that no backup has, or the highest that is allowed.
fn first_gap(spot: &Spot, backups: u32) -> Result<u32, Errno> {
    for number in 1..backups {
        let name = numbered(&spot.name, number);
        match fstatat(&spot.dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(number),
            Err(errno) => return Err(errno),
            Ok(_) => {}
        }
    }
    Ok(backups.max(1))
}

fn numbered(name: &OsStr, number: u32) -> OsString {
    let mut name = name.to_os_string();
    name.push(format!(".{number}"));
    name
}

fn rename(spot: &Spot, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match renameat(&spot.dir, from, &spot.dir, to) {
        // Somebody took it away meanwhile: then nothing is in the way.
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::open::locate;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    /// File names and their contents.
    type Named = &'static [(&'static str, &'static str)];

    fn files(dir: &Path) -> BTreeMap<String, String> {
        let read = |entry: fs::DirEntry| {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            (entry.file_name().to_string_lossy().into_owned(), text)
        };
        fs::read_dir(dir).map(|all| all.flatten().map(read).collect()).unwrap_or_default()
    }

    fn rotated(
        before: &[(&str, &str)],
        backups: u32,
    ) -> Result<Vec<(String, String)>, Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        for (name, text) in before {
            fs::write(dir.path().join(name), text)?;
        }
        shift(&locate(&dir.path().join("F"))?, backups)?;
        Ok(files(dir.path()).into_iter().collect())
    }

    #[test]
    fn backups_move_up_to_the_first_gap() -> Result<(), Box<dyn std::error::Error>> {
        let table: &[(Named, u32, Named)] = &[
            (&[("F", "new")], 3, &[("F.1", "new")]),
            (&[("F", "c"), ("F.1", "b"), ("F.2", "a")], 3, &[("F.1", "c"), ("F.2", "b"), ("F.3", "a")]),
            (
                &[("F", "d"), ("F.1", "c"), ("F.2", "b"), ("F.3", "a")],
                3,
                &[("F.1", "d"), ("F.2", "c"), ("F.3", "b")],
            ),
            (&[("F", "d"), ("F.1", "c"), ("F.3", "a")], 3, &[("F.1", "d"), ("F.2", "c"), ("F.3", "a")]),
            (&[("F", "b"), ("F.1", "a")], 1, &[("F.1", "b")]),
            (&[("F.1", "a")], 2, &[("F.2", "a")]),
        ];
        for (before, backups, after) in table {
            let after: Vec<(String, String)> =
                after.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect();
            assert_eq!(rotated(before, *backups)?, after, "{before:?} with {backups}");
        }
        Ok(())
    }

    #[test]
    fn a_death_between_renames_costs_no_backup() -> Result<(), Box<dyn std::error::Error>> {
        for points in 0..4 {
            let dir = tempfile::tempdir()?;
            for (name, text) in [("F", "d"), ("F.1", "c"), ("F.2", "b"), ("F.3", "a")] {
                fs::write(dir.path().join(name), text)?;
            }
            let spot = locate(&dir.path().join("F"))?;
            let death = crash::arm(points, || {
                let _ = shift(&spot, 3);
            });
            assert_eq!(death.is_some(), points < 3, "three renames");
            if dir.path().join("F").exists() {
                shift(&spot, 3)?;
            }
            let after: Vec<String> = files(dir.path()).into_values().collect();
            assert_eq!(after, ["d", "c", "b"], "after a death at point {points}");
        }
        Ok(())
    }

    #[test]
    fn due_at_a_line_end_or_when_the_line_never_ends() {
        assert!(!is_due(u64::MAX, true, 0), "zero never rotates");
        assert!(!is_due(99, true, 100));
        assert!(is_due(100, true, 100));
        assert!(!is_due(100 + LINE_MAX_BYTES - 1, false, 100));
        assert!(is_due(100 + LINE_MAX_BYTES, false, 100));
    }
}
