//! Where the user's files lie: home, state directory, and the directories of sockets.
//!
//! Nothing is made. Example: `gather(&Ambient::real()).home` is the home, and `nfs` where it lies on another machine.

use crate::sys::ambient::Ambient;
use crate::sys::runtime_dir::{self, Missing, Refused};
use crate::sys::state_dir;
use crate::sys::statfs::{Locality, locality};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folder of the state directory with one folder for each host.
const HOSTS: &str = "hosts";

/// Most other hosts that are looked at: a cluster may have thousands.
const HOSTS_MAX: usize = 1000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// The home directory; nothing where none is known.
    pub home: Option<Place>,
    /// Other hosts that keep their state in the same home.
    pub hosts: Vec<Host>,
    /// The state directory, or why there is none.
    pub state: State,
    /// Directories of sockets that are there and can be used.
    pub usable: Vec<PathBuf>,
    /// Directories of sockets that something is wrong with.
    pub refused: Vec<Refused>,
}

/// A directory, and the machine it is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub path: PathBuf,
    /// The name of the network file system that it lies on.
    pub network: Option<String>,
}

/// A host that shares the home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its key, see [`Ambient::host_key`].
    pub key: String,
    /// Days since a daemon there made or removed a file.
    pub idle_days: u64,
}

/// The directory for what outlives a daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Where it is or would be made; empty where there is no home at all.
    pub path: PathBuf,
    /// What is wrong with it.
    pub trouble: Option<String>,
    /// Bytes that may still be written.
    pub free_bytes: Option<u64>,
    /// Files that may still be made; nothing on file systems that do not count them.
    pub free_files: Option<u64>,
}

/// Looks at the directories.
pub(super) fn gather(ambient: &Ambient) -> Storage {
    let state = state_dir::open(ambient, Missing::Leave);
    let candidates = state_dir::candidates(state.as_ref().ok(), ambient);
    let survey = runtime_dir::survey(&candidates, ambient, Missing::Leave);
    let shared = ambient.state_roots().first().map(|root| root.join(HOSTS)).unwrap_or_default();
    let of_state = match &state {
        Ok(dir) => look_at(&dir.path),
        Err(refused) => without_state(refused),
    };
    Storage {
        home: ambient.home().map(|path| place(path, ambient)),
        hosts: hosts(&shared, &ambient.host_key(), SystemTime::now()),
        state: of_state,
        usable: survey.usable.into_iter().map(|dir| dir.path).collect(),
        refused: survey.refused.into_iter().filter(|refused| !refused.absent).collect(),
    }
}

fn place(path: PathBuf, ambient: &Ambient) -> Place {
    let found = File::open(nearest(&path)).and_then(|dir| locality(&dir));
    let network = match found {
        Ok(Locality::Network(name)) => Some(name),
        _ => ambient.is_taken_for_network(&path).then(|| "test".to_owned()),
    };
    Place { path, network }
}

/// Returns the path itself, or the nearest directory above it that is there.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|place| place.exists()).unwrap_or(path)
}

/// Judges from the directory in which it would be made: there need not be one before the first start.
fn without_state(refused: &[Refused]) -> State {
    match refused.iter().find(|refused| !refused.absent) {
        Some(refused) => {
            State { path: refused.path.clone(), trouble: Some(refused.why.clone()), ..look_at(&refused.path) }
        }
        None => refused.first().map(|refused| look_at(&refused.path)).unwrap_or_default(),
    }
}

fn look_at(path: &Path) -> State {
    let there = nearest(path);
    let writable = access(there, AccessFlags::W_OK | AccessFlags::X_OK);
    let trouble =
        writable.err().map(|errno| format!("cannot write in {}: {}", there.display(), errno.desc()));
    let space = statvfs(there).ok();
    State {
        path: path.to_path_buf(),
        trouble,
        free_bytes: space.as_ref().map(free_bytes),
        free_files: space.as_ref().and_then(free_files),
    }
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the numbers are narrower on macOS")]
fn free_bytes(space: &nix::sys::statvfs::Statvfs) -> u64 {
    (space.blocks_available() as u64).saturating_mul(space.fragment_size() as u64)
}

#[allow(clippy::unnecessary_cast, reason = "the numbers are narrower on macOS")]
fn free_files(space: &nix::sys::statvfs::Statvfs) -> Option<u64> {
    (space.files() > 0).then(|| space.files_available() as u64)
}

/// Lists the folders of other hosts, the latest first.
fn hosts(folder: &Path, own: &str, now: SystemTime) -> Vec<Host> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(HOSTS_MAX);
    let mut hosts: Vec<Host> = entries
        .filter_map(|entry| {
            let changed = entry.metadata().ok()?.modified().ok()?;
            let idle = now.duration_since(changed).unwrap_or_default();
            let key = entry.file_name().to_string_lossy().into_owned();
            Some(Host { key, idle_days: idle.as_secs() / (24 * 3600) })
        })
        .filter(|host| host.key != own)
        .collect();
    hosts.sort_by(|a, b| (a.idle_days, &a.key).cmp(&(b.idle_days, &b.key)));
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambient(root: &Path) -> Ambient {
        let uid = crate::sys::identity::uid();
        let home = root.join("home");
        let variables = vec![("HOME".into(), home.clone().into_os_string())];
        Ambient {
            uid,
            name_uid: uid,
            root: root.into(),
            variables,
            node_name: "here".into(),
            ..Ambient::default()
        }
    }

    #[test]
    fn nothing_is_made_and_all_is_found() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let mut ambient = ambient(dir.path());
        std::fs::create_dir_all(dir.path().join("home"))?;
        std::fs::create_dir_all(dir.path().join("tmp"))?;
        let found = gather(&ambient);
        assert!(!dir.path().join("home/.local").exists());
        assert_eq!(found.state.path, dir.path().join("home/.local/state/visor"));
        assert!(found.state.trouble.is_none() && found.state.free_bytes.is_some_and(|bytes| bytes > 0));
        assert_eq!(found.home.map(|home| home.network), Some(None));
        ambient.network = vec![dir.path().join("home")];
        let state = dir.path().join("home/.local/state/visor/hosts");
        for host in ["other-1", ambient.host_key().as_str()] {
            std::fs::create_dir_all(state.join(host))?;
        }
        let squatted = dir.path().join(format!("tmp/visor-{}", ambient.uid));
        std::os::unix::fs::symlink("/", &squatted)?;
        let found = gather(&ambient);
        assert_eq!(found.home.and_then(|home| home.network).as_deref(), Some("test"));
        assert_eq!(found.hosts, [Host { key: "other-1".into(), idle_days: 0 }]);
        assert_eq!(found.refused.iter().map(|refused| &refused.path).collect::<Vec<_>>(), [&squatted]);
        Ok(())
    }

    #[test]
    fn a_state_directory_that_is_refused_is_told() -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir()?;
        let ambient = ambient(dir.path());
        let state = dir.path().join("home/.local/state/visor");
        std::fs::create_dir_all(&state)?;
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777))?;
        let trouble = gather(&ambient).state.trouble;
        assert!(trouble.as_deref().is_some_and(|text| text.contains("others can write")), "{trouble:?}");
        Ok(())
    }
}
