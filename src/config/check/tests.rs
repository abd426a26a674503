//! An imagined machine, on which the tests of the configuration read their files.

use crate::config::{LoadRequest, load};
use crate::model::Host;
use crate::model::host::{Account, Ownership};
use crate::model::spec::FleetSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The fleet of some sections, on a machine where every user and directory exists.
pub(crate) fn fleet(sections: &str) -> FleetSpec {
    let text = format!("[supervisord]\n{sections}");
    let host = Imagined::default().file("/etc/v.conf", &text).agreeable();
    let loaded = load(&LoadRequest::of("/etc/v.conf"), &host);
    loaded.settings.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics)).fleet
}

/// A machine that exists in memory only: current directory `/cwd`, user 0 unless said otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Imagined {
    files: BTreeMap<PathBuf, Vec<u8>>,
    directories: BTreeSet<PathBuf>,
    links: BTreeMap<PathBuf, PathBuf>,
    owners: BTreeMap<PathBuf, (u32, u32)>,
    users: Vec<(String, u32)>,
    groups: Vec<(String, u32)>,
    variables: Vec<(String, String)>,
    me: u32,
    agreeable: bool,
}

impl Imagined {
    /// Adds a file, and the directories above it.
    pub(crate) fn file(self, path: &str, text: &str) -> Imagined {
        self.bytes(path, text.as_bytes())
    }

    pub(crate) fn bytes(self, path: impl AsRef<Path>, bytes: &[u8]) -> Imagined {
        let path = path.as_ref();
        let mut host = self;
        host.files.insert(path.into(), bytes.to_vec());
        host.directories.extend(path.ancestors().skip(1).map(Path::to_path_buf));
        host
    }

    pub(crate) fn directory(mut self, path: &str) -> Imagined {
        self.directories.extend(Path::new(path).ancestors().map(Path::to_path_buf));
        self
    }

    pub(crate) fn link(mut self, path: &str, target: &str) -> Imagined {
        self.links.insert(path.into(), target.into());
        self
    }

    pub(crate) fn owner(mut self, path: &str, uid: u32, mode: u32) -> Imagined {
        self.owners.insert(path.into(), (uid, mode));
        self
    }

    pub(crate) fn user(mut self, name: &str, uid: u32) -> Imagined {
        self.users.push((name.to_owned(), uid));
        self
    }

    pub(crate) fn group(mut self, name: &str, gid: u32) -> Imagined {
        self.groups.push((name.to_owned(), gid));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Imagined {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says who we are.
    pub(crate) fn me(mut self, uid: u32) -> Imagined {
        self.me = uid;
        self
    }

    /// Makes every directory exist, and gives every user the number 1000.
    pub(crate) fn agreeable(mut self) -> Imagined {
        self.agreeable = true;
        self
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.links.get(path).cloned().unwrap_or_else(|| path.to_path_buf())
    }
}

impl Host for Imagined {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = self.real(path);
        if self.directories.contains(&path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.files.get(&path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let all = self.files.keys().chain(&self.directories).chain(self.links.keys());
        let inside = all.filter(|path| path.parent() == Some(directory));
        let mut names: Vec<OsString> =
            inside.filter_map(|path| path.file_name()).map(OsString::from).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn ownership(&self, path: &Path) -> io::Result<Ownership> {
        let path = super::super::path::absolute(&self.real(path), self);
        let is_dir = self.directories.contains(&path) || (self.agreeable && !self.files.contains_key(&path));
        if !is_dir && !self.files.contains_key(&path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (uid, mode) = self.owners.get(&path).copied().unwrap_or((self.me, 0o755));
        Ok(Ownership { uid, mode, is_dir })
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(self.real(path))
    }

    fn account(&self, name: &str) -> Option<Account> {
        let named = self.users.iter().find(|(known, uid)| known == name || uid.to_string() == name);
        let (name, uid) = match named {
            Some((name, uid)) => (name.clone(), *uid),
            None if self.agreeable && !name.is_empty() => (name.to_owned(), name.parse().unwrap_or(1000)),
            None => return None,
        };
        let home = PathBuf::from(format!("/home/{name}"));
        Some(Account { name, uid, gid: uid, home })
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|(known, gid)| known == name || gid.to_string() == name).map(|(_, gid)| *gid)
    }

    fn uid(&self) -> u32 {
        self.me
    }

    fn node_name(&self) -> String {
        "node1".to_owned()
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        Ok("/cwd".into())
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }

    fn temp_dir(&self) -> PathBuf {
        "/tmp".into()
    }
}
