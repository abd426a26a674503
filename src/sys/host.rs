//! The real machine, as the configuration asks about it.
//!
//! Safe calls only. `RealHost.uid()` is geteuid(2), and so on.

use crate::model::Host;
use crate::model::host::{Account, FILE_SIZE_MAX, Ownership};
use nix::unistd::{AccessFlags, Gid, Group, Uid, User};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The machine we run on.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealHost;

/// Where supervisord looks for a directory of temporary files when no variable names one.
const TEMP_DIRECTORIES: [&str; 3] = ["/tmp", "/var/tmp", "/usr/tmp"];

/// Variables that name such a directory, in order.
const TEMP_VARIABLES: [&str; 3] = ["TMPDIR", "TEMP", "TMP"];

/// The permission bits of a mode, the file type masked off.
const PERMISSION_BITS: u32 = 0o7777;

impl Host for RealHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        refuse_endless(path)?;
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_SIZE_MAX as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > FILE_SIZE_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("more than {FILE_SIZE_MAX} bytes"),
            ));
        }
        Ok(bytes)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn ownership(&self, path: &Path) -> io::Result<Ownership> {
        let metadata = fs::metadata(path)?;
        let mode = metadata.mode() & PERMISSION_BITS;
        Ok(Ownership { uid: metadata.uid(), mode, is_dir: metadata.is_dir() })
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn account(&self, name: &str) -> Option<Account> {
        let found = match number(name) {
            Some(uid) => User::from_uid(Uid::from_raw(uid)),
            None => User::from_name(name),
        };
        let user = found.ok().flatten()?;
        Some(Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir })
    }

    fn group(&self, name: &str) -> Option<u32> {
        let found = match number(name) {
            Some(gid) => Group::from_gid(Gid::from_raw(gid)),
            None => Group::from_name(name),
        };
        found.ok().flatten().map(|group| group.gid.as_raw())
    }

    fn uid(&self) -> u32 {
        Uid::effective().as_raw()
    }

    fn node_name(&self) -> String {
        nix::sys::utsname::uname()
            .map(|name| name.nodename().to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        std::env::current_dir()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let texts =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        std::env::vars_os().filter_map(texts).collect()
    }

    fn temp_dir(&self) -> PathBuf {
        let named = TEMP_VARIABLES.iter().filter_map(std::env::var_os).filter(|value| !value.is_empty());
        // Settings are stored as text, so a directory whose name is none is of no use.
        let here = self.current_dir().ok().filter(|place| place.to_str().is_some());
        let here = here.unwrap_or_else(|| PathBuf::from("/"));
        let places = named.map(|value| here.join(value)).chain(TEMP_DIRECTORIES.iter().map(PathBuf::from));
        places.into_iter().find(|place| place.to_str().is_some() && is_usable(place)).unwrap_or(here)
    }
}

/// Returns the number when `text` is all digits.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn is_usable(place: &Path) -> bool {
    place.is_dir() && nix::unistd::access(place, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Refuses what could be read for ever or block for ever: devices, sockets and named pipes. Pipes that we were
/// given (`/dev/stdin`, `/dev/fd/63`) are fine: somebody is at the other end.
fn refuse_endless(path: &Path) -> io::Result<()> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let given = path.starts_with("/dev/fd") || path.starts_with("/proc") || path == Path::new("/dev/stdin");
    if kind.is_file() || (kind.is_fifo() && given) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_the_limit() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("f");
        File::create(&path)?.set_len(FILE_SIZE_MAX as u64)?;
        assert_eq!(RealHost.read(&path)?.len(), FILE_SIZE_MAX);
        File::options().write(true).open(&path)?.set_len(FILE_SIZE_MAX as u64 + 1)?;
        assert_eq!(RealHost.read(&path).map_err(|e| e.kind()), Err(io::ErrorKind::FileTooLarge));
        Ok(())
    }

    #[test]
    fn what_could_block_or_never_end_is_refused() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR)?;
        for path in [pipe.as_path(), Path::new("/dev/zero"), directory.path()] {
            assert!(RealHost.read(path).is_err(), "{}", path.display());
        }
        assert_eq!(
            RealHost.read(&directory.path().join("no")).map_err(|e| e.kind()),
            Err(io::ErrorKind::NotFound)
        );
        Ok(())
    }

    #[test]
    fn accounts_are_found_by_name_and_number() {
        let root = RealHost.account("root").expect("every machine has root");
        assert_eq!(RealHost.account("0"), Some(root));
        assert_eq!(RealHost.account("no-such-user-here"), None);
        assert_eq!(RealHost.account(""), None);
        assert!(RealHost.group("0").is_some());
    }

    #[test]
    fn links_are_followed_for_owner_and_kind() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path(), &link)?;
        let ownership = RealHost.ownership(&link)?;
        assert!(ownership.is_dir && ownership.uid == RealHost.uid());
        assert_eq!(RealHost.canonical(&link)?, fs::canonicalize(directory.path())?);
        assert!(RealHost.temp_dir().is_dir());
        Ok(())
    }
}
