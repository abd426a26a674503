//! Reads a log and its backups again and looks for every number.

use std::fs;
use std::path::{Path, PathBuf};

/// Checks that the lines of `letter` in `log` and its backups are the numbers below `count`, in order, once
/// each, and that no file ends in the midst of a line.
pub(crate) fn numbers(log: &Path, letter: char, count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut want = 0;
    for path in oldest_first(log) {
        let text = fs::read_to_string(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(format!("{} ends in the midst of a line", path.display()).into());
        }
        for line in text.lines() {
            let number = line.trim_start_matches(|c: char| c.is_ascii_uppercase());
            if line.len() != number.len() + 1 {
                return Err(format!("{}: a torn line {line:?}", path.display()).into());
            }
            if !line.starts_with(letter) {
                continue;
            }
            let found: u64 = number.parse()?;
            if found != want {
                return Err(format!("{}: {letter}{found} where {want} was due", path.display()).into());
            }
            want += 1;
        }
    }
    if want == count {
        Ok(())
    } else {
        Err(format!("{want} of {count} numbers of {letter} are there").into())
    }
}

fn oldest_first(log: &Path) -> Vec<PathBuf> {
    let backup = |number: u32| PathBuf::from(format!("{}.{number}", log.display()));
    let count = (1..).take_while(|number| backup(*number).exists()).count() as u32;
    (1..=count).rev().map(backup).chain([log.to_path_buf()]).collect()
}
