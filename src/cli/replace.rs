//! A file with a new text: checked with all the others as if it were there already, then put in its place at once.
//!
//! Nobody ever reads half of it, and its mode and owner stay. Must not talk to the user. Example:
//! `Draft::of(file)?` remembers what the file holds, `check` tells what a new text would mean, `replace` writes it.

use super::whereabouts::is_same;
use crate::config::{Diagnostic, LoadRequest, load};
use crate::model::Host;
use crate::model::host::{Account, Ownership};
use crate::sys::host::RealHost;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The permission bits of a mode, the file type masked off.
const PERMISSION_BITS: u32 = 0o7777;

/// A file that is to get a new text.
#[derive(Debug)]
pub(super) struct Draft {
    /// The file itself, symbolic links followed: a link stays a link.
    pub file: PathBuf,
    /// What it holds.
    pub before: Vec<u8>,
}

impl Draft {
    /// Reads the file.
    ///
    /// # Errors
    /// As realpath(3) and read(2).
    pub(super) fn of(file: &Path) -> io::Result<Draft> {
        let file = fs::canonicalize(file)?;
        let before = RealHost.read(&file)?;
        Ok(Draft { file, before })
    }

    /// Returns everything that is to be said about a new text, and whether it may take the place of the old one: a
    /// mistake that was there before in another file forbids nothing.
    pub(super) fn check(&self, request: &LoadRequest, text: &[u8]) -> (Vec<Diagnostic>, bool) {
        let before = load(request, &RealHost).diagnostics;
        let loaded = load(request, &Changed { file: &self.file, text });
        let is_part = loaded.files.iter().any(|file| is_same(file, &self.file));
        let after = if is_part {
            loaded.diagnostics
        } else {
            // The daemon was told to read it in some other way: then it is looked at alone, as a part of something.
            let alone = load(&LoadRequest::of(&self.file), &Changed { file: &self.file, text });
            alone.diagnostics.into_iter().filter(|diagnostic| diagnostic.place.line > 0).collect()
        };
        let concerns = |diagnostic: &Diagnostic| {
            is_same(&diagnostic.place.file, &self.file) || !before.contains(diagnostic)
        };
        let told: Vec<Diagnostic> = after.into_iter().filter(concerns).collect();
        let is_good = !told.iter().any(Diagnostic::is_error);
        (told, is_good)
    }

    /// Puts the new text in the place of the old one, whole or not at all.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] where somebody else changed the file meanwhile; else as the system says.
    pub(super) fn replace(&self, text: &[u8]) -> io::Result<()> {
        let found = fs::metadata(&self.file)?;
        if RealHost.read(&self.file)? != self.before {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "somebody else has changed it in the meantime",
            ));
        }
        let (folder, name) = (self.file.parent().unwrap_or(Path::new("/")), self.file.file_name());
        // A name that no include takes, so that nobody reads it before it is whole.
        let new = folder.join(format!(
            ".{}.{}.new",
            name.unwrap_or_default().to_string_lossy(),
            std::process::id()
        ));
        let written = write_new(&new, text, &found).and_then(|()| fs::rename(&new, &self.file));
        if written.is_err() {
            drop(fs::remove_file(&new));
        }
        written?;
        File::open(folder)?.sync_all()
    }
}

fn write_new(new: &Path, text: &[u8], like: &fs::Metadata) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    let own = to.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        fchown(&to, Some(like.uid()), Some(like.gid()))?;
    }
    to.set_permissions(Permissions::from_mode(like.mode() & PERMISSION_BITS))?;
    to.write_all(text)?;
    to.sync_all()
}

/// The machine, with one file as it is to be.
struct Changed<'a> {
    file: &'a Path,
    text: &'a [u8],
}

impl Host for Changed<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if is_same(path, self.file) { Ok(self.text.to_vec()) } else { RealHost.read(path) }
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        RealHost.list(directory)
    }
    fn ownership(&self, path: &Path) -> io::Result<Ownership> {
        RealHost.ownership(path)
    }
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        RealHost.canonical(path)
    }
    fn account(&self, name: &str) -> Option<Account> {
        RealHost.account(name)
    }
    fn group(&self, name: &str) -> Option<u32> {
        RealHost.group(name)
    }
    fn uid(&self) -> u32 {
        RealHost.uid()
    }
    fn node_name(&self) -> String {
        RealHost.node_name()
    }
    fn current_dir(&self) -> io::Result<PathBuf> {
        RealHost.current_dir()
    }
    fn environment(&self) -> Vec<(String, String)> {
        RealHost.environment()
    }
    fn temp_dir(&self) -> PathBuf {
        RealHost.temp_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(text: &str) -> io::Result<(tempfile::TempDir, PathBuf)> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("web.conf");
        fs::write(&file, text)?;
        Ok((dir, file))
    }

    #[test]
    fn a_link_stays_a_link_and_the_mode_stays() -> io::Result<()> {
        let (dir, file) = folder("old")?;
        fs::set_permissions(&file, Permissions::from_mode(0o640))?;
        let link = dir.path().join("link.conf");
        std::os::unix::fs::symlink(&file, &link)?;
        Draft::of(&link)?.replace(b"new")?;
        assert_eq!(fs::read_to_string(&file)?, "new");
        assert_eq!(fs::metadata(&file)?.mode() & PERMISSION_BITS, 0o640);
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        assert_eq!(fs::read_dir(dir.path())?.count(), 2, "nothing is left behind");
        Ok(())
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_is_not_lost() -> io::Result<()> {
        let (_dir, file) = folder("old")?;
        let draft = Draft::of(&file)?;
        fs::write(&file, "theirs")?;
        let refused = draft.replace(b"ours").map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::ResourceBusy));
        assert_eq!(fs::read_to_string(&file)?, "theirs");
        Ok(())
    }

    #[test]
    fn only_new_mistakes_forbid() -> io::Result<()> {
        let (dir, file) = folder("[program:web]\ncommand=cat\n")?;
        let main = dir.path().join("main.conf");
        fs::write(&main, "[supervisord]\n[include]\nfiles=*.conf2 web.conf\n[program:bad]\n")?;
        let (draft, request) = (Draft::of(&file)?, LoadRequest::of(&main));
        let check = |text: &str| draft.check(&request, text.as_bytes());
        let (told, is_good) = check("[program:web]\ncommand=cat\nstartsecs=5\n");
        assert!(is_good && told.is_empty(), "{told:?}");
        let (told, is_good) = check("[program:web]\ncommand=cat\nstartsecs=soon\n");
        assert!(!is_good && told.len() == 1 && told[0].place.line == 3, "{told:?}");
        let (told, is_good) = check("[program:web]\ncommand=cat\ncolour=red\n");
        assert!(is_good && told.len() == 1, "a warning is told: {told:?}");
        Ok(())
    }
}
