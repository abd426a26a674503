//! A machine on which every directory and user exists, around files that really do.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use visor::model::Host;
use visor::model::host::{Account, Ownership};

/// The number of every user that a plain Debian does not have.
const UID: u32 = 1000;

/// The machine.
pub(crate) struct Agreeable {
    /// Current directory.
    pub(crate) directory: PathBuf,
    /// A file that exists in memory only.
    pub(crate) extra: (PathBuf, String),
    /// The environment.
    pub(crate) variables: Vec<(String, String)>,
}

impl Host for Agreeable {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.extra.0 { Ok(self.extra.1.clone().into_bytes()) } else { std::fs::read(path) }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn ownership(&self, path: &Path) -> io::Result<Ownership> {
        let is_file = path.is_file() || path == self.extra.0;
        // What looks like a configuration and is not there is what an include does not find.
        let looks_like_one =
            path.extension().is_some_and(|extension| extension == "conf" || extension == "ini");
        if !is_file && looks_like_one {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Ownership { uid: UID, mode: 0o755, is_dir: !is_file })
    }

    fn account(&self, name: &str) -> Option<Account> {
        Some(Account { name: name.to_owned(), uid: UID, gid: UID, home: format!("/home/{name}").into() })
    }

    fn group(&self, _name: &str) -> Option<u32> {
        Some(UID)
    }

    fn uid(&self) -> u32 {
        UID
    }

    fn node_name(&self) -> String {
        "node1".to_owned()
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        Ok(self.directory.clone())
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }

    fn temp_dir(&self) -> PathBuf {
        "/tmp".into()
    }
}
