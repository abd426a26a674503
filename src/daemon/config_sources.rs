//! Which files and directories a configuration was read from, and where a change of them would show.
//!
//! Runs on the disk worker: it may wait for a file system. Must not know what the files say. Example:
//! `let recorder = Recorder::default(); load(&request, &recorder); recorder.into_sources().are_same()` is false when
//! something was written while it was read.

use super::places::id_of;
use crate::model::Host;
use crate::model::host::{Account, Ownership};
use crate::sys::host::RealHost;
use crate::sys::runtime_dir::FileId;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// Most symbolic links on the way to a file, as the kernel has it (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    id: FileId,
    size: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        std::fs::metadata(path).ok().map(|metadata| Stamp::from(&metadata))
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Stamp {
        let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Stamp {
            id: FileId { device: metadata.dev(), inode: metadata.ino() },
            size: metadata.len(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Files that were read and directories that were listed, each with its stamp from before that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    files: BTreeMap<PathBuf, Option<Stamp>>,
    lists: BTreeMap<PathBuf, Option<Stamp>>,
}

impl Sources {
    /// Whether everything is as it was when it was read.
    pub(super) fn are_same(&self) -> bool {
        self.files.iter().chain(&self.lists).all(|(path, stamp)| Stamp::of(path) == *stamp)
    }

    /// Looks at everything again.
    pub(super) fn again(&self) -> Sources {
        let again = |known: &BTreeMap<PathBuf, Option<Stamp>>| {
            known.keys().map(|path| (path.clone(), Stamp::of(path))).collect()
        };
        Sources { files: again(&self.files), lists: again(&self.lists) }
    }

    /// Returns the files that are there and not empty.
    pub(super) fn present(&self) -> BTreeSet<PathBuf> {
        let full = |stamp: &Option<Stamp>| stamp.is_some_and(|stamp| stamp.size > 0);
        self.files.iter().filter(|(_, stamp)| full(stamp)).map(|(path, _)| path.clone()).collect()
    }

    /// Returns where changes show, links followed as they lead now.
    pub(super) fn spots(&self) -> Spots {
        let mut spots = Spots::default();
        for list in self.lists.keys() {
            if let Some(directory) = spots.walk(list) {
                spots.lists.insert(directory.clone());
                spots.dirs.insert(directory.clone());
                spots.files.insert(directory);
            }
        }
        let mut walked: BTreeMap<PathBuf, Option<PathBuf>> = BTreeMap::new();
        for file in self.files.keys() {
            let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else { continue };
            let parent = walked.entry(parent.to_path_buf()).or_insert_with(|| spots.walk(parent)).clone();
            let Some(parent) = parent else { continue };
            let path = parent.join(name);
            spots.dirs.insert(parent);
            spots.files.insert(path.clone());
            if std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink())
                && let Some(target) = spots.walk(&path)
            {
                spots.dirs.extend(target.parent().map(Path::to_path_buf));
                spots.files.insert(target);
            }
        }
        spots
    }
}

/// Where changes of a configuration show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spots {
    /// Directories to watch, links resolved.
    pub(super) dirs: BTreeSet<PathBuf>,
    /// Files, links and directories whose change counts, and what would have to appear where one is missing.
    pub(super) files: BTreeSet<PathBuf>,
    /// Directories in which further files may appear.
    pub(super) lists: BTreeSet<PathBuf>,
}

impl Spots {
    /// Returns the directories with what they are now.
    pub(super) fn identified(&self) -> BTreeMap<PathBuf, FileId> {
        self.dirs.iter().filter_map(|path| id_of(path).map(|id| (path.clone(), id))).collect()
    }

    /// Follows an absolute path to where it leads, and notes each link on the way, or what is missing of it.
    fn walk(&mut self, path: &Path) -> Option<PathBuf> {
        let mut rest: VecDeque<PathBuf> = parts(path);
        let (mut at, mut links) = (PathBuf::from("/"), 0);
        while let Some(part) = rest.pop_front() {
            if part == Path::new("..") {
                at.pop();
                continue;
            }
            let next = at.join(&part);
            match std::fs::symlink_metadata(&next) {
                Ok(metadata) if metadata.is_symlink() => {
                    links += 1;
                    let target = std::fs::read_link(&next).ok().filter(|_| links <= LINKS_MAX)?;
                    self.dirs.insert(at.clone());
                    self.files.insert(next);
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    parts(&target).into_iter().rev().for_each(|part| rest.push_front(part));
                }
                Ok(_) => at = next,
                Err(_) => {
                    self.dirs.insert(at);
                    self.files.insert(rest.iter().fold(next, |path, part| path.join(part)));
                    return None;
                }
            }
        }
        Some(at)
    }
}

/// Returns the names of a path, without what stands for the root and for the same directory.
fn parts(path: &Path) -> VecDeque<PathBuf> {
    let named = |component: &Component<'_>| !matches!(component, Component::RootDir | Component::CurDir);
    path.components().filter(named).map(|component| PathBuf::from(component.as_os_str())).collect()
}

/// The real machine, which notes what was read of it.
#[derive(Default)]
pub(super) struct Recorder {
    seen: RefCell<Sources>,
}

impl Recorder {
    /// Returns what was read.
    pub(super) fn into_sources(self) -> Sources {
        self.seen.into_inner()
    }
}

impl Host for Recorder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.seen.borrow_mut().files.entry(path.to_path_buf()).or_insert_with(|| Stamp::of(path));
        RealHost.read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.seen.borrow_mut().lists.entry(directory.to_path_buf()).or_insert_with(|| Stamp::of(directory));
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
    use std::fs;
    use std::os::unix::fs::symlink;

    fn read(paths: &[&Path], lists: &[&Path]) -> Sources {
        let recorder = Recorder::default();
        paths.iter().for_each(|path| drop(recorder.read(path)));
        lists.iter().for_each(|path| drop(recorder.list(path)));
        recorder.into_sources()
    }

    #[test]
    fn what_changes_while_it_is_read_is_noticed() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("a.conf");
        fs::write(&file, "[program:a]")?;
        let sources = read(&[&file], &[directory.path()]);
        assert!(sources.are_same() && sources.present().contains(&file));
        fs::write(&file, "")?;
        assert!(!sources.are_same());
        assert!(sources.again().present().is_empty(), "an empty file says nothing");
        let sources = read(&[&file], &[directory.path()]);
        fs::write(directory.path().join("b.conf"), "")?;
        assert!(!sources.are_same(), "a file came");
        Ok(())
    }

    #[test]
    fn every_link_on_the_way_and_what_is_missing_is_watched() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let root = directory.path().canonicalize()?;
        fs::create_dir_all(root.join("dot/conf.d"))?;
        fs::create_dir_all(root.join("store"))?;
        fs::write(root.join("store/real.conf"), "x")?;
        symlink("../../store/real.conf", root.join("dot/conf.d/a.conf"))?;
        symlink("dot/conf.d", root.join("conf.d"))?;
        let sources =
            read(&[&root.join("conf.d/a.conf"), &root.join("none/there.conf")], &[&root.join("conf.d")]);
        let spots = sources.spots();
        for directory in ["", "dot/conf.d", "store"] {
            let directory = root.join(directory).components().collect::<PathBuf>();
            assert!(spots.dirs.contains(&directory), "{directory:?}: {:?}", spots.dirs);
        }
        for file in ["conf.d", "dot/conf.d/a.conf", "store/real.conf", "none"] {
            assert!(spots.files.contains(&root.join(file)), "{file}: {:?}", spots.files);
        }
        assert!(spots.lists.contains(&root.join("dot/conf.d")));
        symlink("self", root.join("self"))?;
        assert!(Spots::default().walk(&root.join("self/x")).is_none(), "a loop ends");
        Ok(())
    }
}
