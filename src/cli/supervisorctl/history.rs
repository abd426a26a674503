//! The lines of the shell from one session to the next: a file of plain lines, as GNU readline writes for upstream.
//!
//! What goes wrong with it is no reason to say anything. Example: `history_file=~/.supervisorctl_history`.

use rustyline::history::{History, SearchDirection};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Most lines that are kept: weeks of work, and a file that stays small.
pub(super) const LINES_MAX: usize = 10_000;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The permission bits of a new file: lines may hold what is nobody else's business.
const MODE: u32 = 0o600;

/// Takes the lines of a file.
pub(super) fn load(file: &Path, into: &mut impl History) {
    // Fails for no number of ours.
    drop(into.set_max_len(LINES_MAX));
    let Ok(text) = read(file) else { return };
    for line in String::from_utf8_lossy(&text).lines() {
        drop(into.add(line));
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if fs::metadata(file)?.is_file() {
        File::open(file)?.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    }
    Ok(text)
}

/// Writes the lines to the file, in the place of those that it had.
pub(super) fn save(file: &Path, from: &impl History) {
    let mut text = String::new();
    for index in 0..from.len() {
        if let Ok(Some(found)) = from.get(index, SearchDirection::Forward) {
            text.push_str(&found.entry);
            text.push('\n');
        }
    }
    let write = || -> io::Result<()> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(MODE).custom_flags(nix::libc::O_NONBLOCK);
        options.open(file)?.write_all(text.as_bytes())
    };
    // Where it cannot be written nothing is remembered, as upstream.
    drop(write());
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustyline::history::MemHistory;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn lines_are_remembered_as_plain_lines_for_us_alone() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("history");
        let mut history = MemHistory::new();
        load(&file, &mut history);
        drop(history.add("status"));
        drop(history.add("tail -f wéb"));
        save(&file, &history);
        assert_eq!(fs::read_to_string(&file)?, "status\ntail -f wéb\n");
        assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, MODE);
        let mut again = MemHistory::new();
        load(&file, &mut again);
        assert_eq!(again.len(), 2);
        Ok(())
    }

    #[test]
    fn no_more_lines_are_kept_than_the_limit() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("history");
        let lines: Vec<String> = (0..=LINES_MAX).map(|number| format!("tail -{number} web\n")).collect();
        fs::write(&file, lines.concat())?;
        let mut history = MemHistory::new();
        load(&file, &mut history);
        save(&file, &history);
        let kept = fs::read_to_string(&file)?;
        assert_eq!(kept.lines().count(), LINES_MAX);
        assert!(kept.starts_with("tail -1 web\n"));
        Ok(())
    }
}
