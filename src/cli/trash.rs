//! Files of programs that were deleted: kept in the state directory, each with the place that it came from.
//!
//! Must not know what a file means. Example: `Trash::open(&ambient)?.put("web", file)?`, and later
//! `trash.find(Some("web"))` has it again.

use crate::sys::ambient::Ambient;
use crate::sys::runtime_dir::{Missing, Refused};
use crate::sys::state_dir;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the folder in the state directory.
const FOLDER: &str = "trash";

/// Most files that are kept; behind that the oldest go. More than anybody deletes before they miss one.
const FILES_MAX: usize = 100;

/// How the name of the file ends that tells where another came from.
const ORIGIN: &str = "from";

/// The permission bits of a mode, the file type masked off.
const PERMISSION_BITS: u32 = 0o7777;

/// The trash of this user on this host.
#[derive(Debug)]
pub(super) struct Trash {
    folder: PathBuf,
}

/// A file that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deleted {
    /// How many were deleted before it.
    number: u64,
    /// The program.
    pub name: String,
    /// Where the file was.
    pub origin: PathBuf,
    kept: PathBuf,
}

impl Trash {
    /// Opens the trash, and makes it where there is none.
    ///
    /// # Errors
    /// Words for the user.
    pub(super) fn open(ambient: &Ambient) -> Result<Trash, String> {
        let words = |refused: &Refused| format!("cannot use {}: {}", refused.path.display(), refused.why);
        let state = state_dir::open(ambient, Missing::Make).map_err(|refused| {
            refused.first().map_or_else(|| "there is no home directory: set HOME".to_owned(), words)
        })?;
        let folder = state.path.join(FOLDER);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Trash { folder })
    }

    /// Moves a file into the trash: it is kept safely before it is removed.
    ///
    /// # Errors
    /// As open(2), write(2) and unlink(2); then the file is where it was.
    pub(super) fn put(&self, name: &str, file: &Path) -> io::Result<()> {
        let number = self.all()?.last().map_or(1, |last| last.number + 1);
        let kept = self.folder.join(format!("{number:06}-{name}.conf"));
        copy(file, &kept)?;
        let noted = write_new(&origin_of(&kept), file.as_os_str().as_bytes(), 0o600);
        if let Err(error) = noted.and_then(|()| fs::remove_file(file)) {
            drop(fs::remove_file(origin_of(&kept)));
            drop(fs::remove_file(&kept));
            return Err(error);
        }
        self.forget_oldest();
        Ok(())
    }

    /// Finds what was deleted last, or last under a name.
    ///
    /// # Errors
    /// As opendir(3).
    pub(super) fn find(&self, name: Option<&str>) -> io::Result<Option<Deleted>> {
        Ok(self.all()?.into_iter().rev().find(|deleted| name.is_none_or(|name| deleted.name == name)))
    }

    /// Puts a file back where it came from.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where there is another by now; else as the system says.
    pub(super) fn put_back(&self, deleted: &Deleted) -> io::Result<()> {
        if let Some(folder) = deleted.origin.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        copy(&deleted.kept, &deleted.origin)?;
        drop(fs::remove_file(origin_of(&deleted.kept)));
        fs::remove_file(&deleted.kept)
    }

    /// Returns what is there, the oldest first.
    fn all(&self) -> io::Result<Vec<Deleted>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let kept = entry?.path();
            all.extend(deleted(&kept));
        }
        all.sort_by_key(|deleted| deleted.number);
        Ok(all)
    }

    fn forget_oldest(&self) {
        let all = self.all().unwrap_or_default();
        for old in all.iter().take(all.len().saturating_sub(FILES_MAX)) {
            drop(fs::remove_file(origin_of(&old.kept)));
            drop(fs::remove_file(&old.kept));
        }
    }
}

/// Reads what a file of the trash is; nothing for what this module did not write.
fn deleted(kept: &Path) -> Option<Deleted> {
    let (number, name) = kept.file_name()?.to_str()?.strip_suffix(".conf")?.split_once('-')?;
    let origin = PathBuf::from(std::ffi::OsString::from_vec(fs::read(origin_of(kept)).ok()?));
    let number = number.parse().ok()?;
    origin.is_absolute().then(|| Deleted { number, name: name.to_owned(), origin, kept: kept.to_path_buf() })
}

fn origin_of(kept: &Path) -> PathBuf {
    kept.with_extension(ORIGIN)
}

/// Copies a file to where none is, its mode too.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mode = fs::metadata(from)?.permissions().mode() & PERMISSION_BITS;
    write_new(to, &fs::read(from)?, mode)
}

fn write_new(to: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let mut write = || {
        file.write_all(text)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        File::open(to.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    let written = write();
    if written.is_err() {
        // On a full disk: half a file is worse than none.
        drop(fs::remove_file(to));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trash(dir: &Path) -> io::Result<Trash> {
        let folder = dir.join(FOLDER);
        fs::create_dir(&folder)?;
        Ok(Trash { folder })
    }

    #[test]
    fn the_last_one_comes_back_first_with_its_mode() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let trash = trash(dir.path())?;
        let file = dir.path().join("web-1.conf");
        for text in ["first", "second"] {
            fs::write(&file, text)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
            trash.put("web-1", &file)?;
            assert!(!file.exists());
        }
        assert_eq!(trash.find(Some("other"))?, None);
        let last = trash.find(Some("web-1"))?.ok_or(io::ErrorKind::NotFound)?;
        trash.put_back(&last)?;
        assert_eq!(fs::read_to_string(&file)?, "second");
        assert_eq!(fs::metadata(&file)?.permissions().mode() & PERMISSION_BITS, 0o640);
        let first = trash.find(None)?.ok_or(io::ErrorKind::NotFound)?;
        let refused = trash.put_back(&first).map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::AlreadyExists), "what is there is not replaced");
        assert_eq!(trash.find(None)?, Some(first), "and what was deleted is not lost");
        Ok(())
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let trash = trash(dir.path())?;
        let file = dir.path().join("web.conf");
        for number in 0..=FILES_MAX {
            fs::write(&file, number.to_string())?;
            trash.put("web", &file)?;
        }
        let all = trash.all()?;
        assert_eq!((all.len(), fs::read(&all[0].kept)?), (FILES_MAX, b"1".to_vec()));
        assert_eq!(fs::read_dir(&trash.folder)?.count(), 2 * FILES_MAX);
        Ok(())
    }

    #[test]
    fn what_cannot_be_kept_is_not_removed() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let trash = trash(dir.path())?;
        let file = dir.path().join("web.conf");
        fs::write(&file, "text")?;
        fs::remove_dir(&trash.folder)?;
        assert!(trash.put("web", &file).is_err() && file.exists());
        Ok(())
    }
}
