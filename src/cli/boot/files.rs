//! Writing files of the user's so that nobody ever sees half of one: ours whole, or a block of ours in theirs.
//!
//! Knows no method. Example: `own(&path, text)?` writes a unit file, and refuses where somebody else wrote one.

use super::block;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What every file of ours says about itself.
const OURS: &str = "ritten by `visorctl boot enable`";

/// Permissions of a new file: service managers read it, and nobody else may change it.
const MODE: u32 = 0o644;

/// Writes a file that is wholly ours.
///
/// # Errors
/// In words, when somebody else's file is there, and as the system says.
pub(super) fn own(path: &Path, text: &str, mode: Option<u32>) -> Result<(), String> {
    if read(path)?.is_some() {
        is_own(path)?;
    }
    write(path, text.as_bytes(), mode.unwrap_or(MODE))
}

/// Returns the text of a file that is wholly ours; nothing where there is none.
///
/// # Errors
/// In words, when it is not ours.
pub(super) fn is_own(path: &Path) -> Result<Option<String>, String> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if text.contains(OURS) {
        return Ok(Some(text));
    }
    Err(format!("{} is there and not ours: remove or rename it first", path.display()))
}

/// Removes a file that is wholly ours.
///
/// # Errors
/// As [`is_own`], and as unlink(2).
pub(super) fn remove_own(path: &Path) -> Result<bool, String> {
    if is_own(path)?.is_none() {
        return Ok(false);
    }
    fs::remove_file(path).map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
    Ok(true)
}

/// Puts a block into a file of the user's, which is made where it is missing.
///
/// # Errors
/// In words.
pub(super) fn put_block(path: &Path, text: &str) -> Result<(), String> {
    let old = read(path)?.unwrap_or_default();
    let new = block::with(&old, text).map_err(|why| format!("{}: {why}", path.display()))?;
    if new == old { Ok(()) } else { write(path, &new, MODE) }
}

/// Returns the block in a file of the user's.
///
/// # Errors
/// In words.
pub(super) fn block_in(path: &Path) -> Result<Option<String>, String> {
    let Some(text) = read(path)? else { return Ok(None) };
    let place = block::find(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(place.map(|place| String::from_utf8_lossy(&text[place]).into_owned()))
}

/// Takes the block out of a file of the user's. A file that holds nothing else then goes with it.
///
/// # Errors
/// In words.
pub(super) fn take_block(path: &Path) -> Result<bool, String> {
    let Some(old) = read(path)? else { return Ok(false) };
    let new = block::without(&old).map_err(|why| format!("{}: {why}", path.display()))?;
    if new == old {
        return Ok(false);
    }
    // An empty file behind a link belongs to whoever made the link.
    if new.is_empty() && !path.is_symlink() {
        fs::remove_file(path).map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
    } else {
        write(path, &new, MODE)?;
    }
    Ok(true)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Replaces a file at once. A link stays a link, and a file that was there keeps its mode.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    let cannot = |error: io::Error| format!("cannot write {}: {error}", path.display());
    let target = if path.is_symlink() { path.canonicalize().map_err(cannot)? } else { path.to_path_buf() };
    let mode = fs::metadata(&target).map_or(mode, |found| found.permissions().mode() & 0o7777);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    let fresh = beside(&target);
    let _left_by_a_killed_one = fs::remove_file(&fresh);
    let written = make(&fresh, bytes, mode).and_then(|()| fs::rename(&fresh, &target));
    if written.is_err() {
        let _never_made = fs::remove_file(&fresh);
    }
    written.map_err(cannot)
}

fn make(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    // The umask may have taken bits away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Returns a name in the same directory that nothing reads: neither shells nor service managers take it for theirs.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{}.visor-{}", name.trim_start_matches('.'), std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "# >>> visor >>>\nx\n# <<< visor <<<\n";
    const UNIT: &str = "# Written by `visorctl boot enable`.\n";

    fn mode(path: &Path) -> io::Result<u32> {
        Ok(fs::metadata(path)?.permissions().mode() & 0o777)
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a/b/visord.service");
        assert_eq!((own(&path, UNIT, None), own(&path, UNIT, None)), (Ok(()), Ok(())));
        assert_eq!((fs::read_to_string(&path)?, mode(&path)?), (UNIT.to_owned(), 0o644));
        assert_eq!((remove_own(&path), remove_own(&path)), (Ok(true), Ok(false)));
        fs::write(&path, "mine")?;
        let refused = [own(&path, UNIT, None), remove_own(&path).map(|_| ())];
        assert!(refused.iter().all(|result| result.as_ref().is_err_and(|why| why.contains("not ours"))));
        assert_eq!(fs::read_to_string(&path)?, "mine");
        Ok(())
    }

    #[test]
    fn a_block_leaves_mode_link_and_every_other_byte() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (real, link) = (dir.path().join("dotfiles"), dir.path().join(".profile"));
        fs::write(&real, b"a\xff\nno newline")?;
        fs::set_permissions(&real, Permissions::from_mode(0o600))?;
        std::os::unix::fs::symlink(&real, &link)?;
        assert_eq!((put_block(&link, BLOCK), put_block(&link, BLOCK)), (Ok(()), Ok(())));
        assert!(link.is_symlink() && fs::read(&real)?.starts_with(BLOCK.as_bytes()));
        assert_eq!((block_in(&link), mode(&real)?), (Ok(Some(BLOCK.to_owned())), 0o600));
        assert_eq!((take_block(&link), take_block(&link)), (Ok(true), Ok(false)));
        assert_eq!(
            (fs::read(&real)?, mode(&real)?, link.is_symlink()),
            (b"a\xff\nno newline".to_vec(), 0o600, true)
        );
        assert_eq!(fs::read_dir(dir.path())?.count(), 2, "nothing else is left");
        Ok(())
    }

    #[test]
    fn a_file_that_was_made_for_the_block_goes_with_it() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join(".profile");
        assert_eq!((put_block(&path, BLOCK), path.is_file()), (Ok(()), true));
        assert_eq!((take_block(&path), path.exists()), (Ok(true), false));
        std::os::unix::fs::symlink("/no/such/file", &path)?;
        assert!(put_block(&path, BLOCK).is_err_and(|why| why.contains("cannot read")));
        Ok(())
    }
}
