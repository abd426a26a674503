//! How much of everything there may be: descriptors, processes, pipes, watches.
//!
//! Example: `gather(&ambient, None, "/").files` is the soft and the hard limit of this process.

use crate::model::Pid;
use crate::sys::ambient::Ambient;
use crate::sys::process::Limited;
use crate::sys::tree;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A limit that is none.
pub const UNLIMITED: u64 = u64::MAX;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Soft and hard limit of open descriptors.
    pub files: (u64, u64),
    /// Soft and hard limit of the user's processes and threads.
    pub processes: (u64, u64),
    /// How many of these there are now.
    pub tasks: Option<u64>,
    /// The tightest control group that limits tasks.
    pub group: Option<TaskGroup>,
    /// Pages that all pipes of an ordinary user may hold before new ones get small; 0 is no limit.
    pub pipe_pages: Option<u64>,
    /// Whether changes of files can be watched.
    pub watches: Watches,
}

/// A control group with a limit of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskGroup {
    /// Its path.
    pub path: String,
    /// Tasks in it now.
    pub now: u64,
    /// How many there may be.
    pub max: u64,
}

/// Whether changes of files can be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watches {
    /// Why not, after "cannot".
    pub trouble: Option<String>,
    /// Files that this user's processes may watch together.
    pub files_max: Option<u64>,
    /// Processes of this user that may watch.
    pub watchers_max: Option<u64>,
}

pub(super) fn gather(ambient: &Ambient, daemon: Option<Pid>, group: &str) -> Limits {
    let of_daemon = daemon.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/limits")).ok());
    let own = |limited: Limited| limited.get().unwrap_or((0, UNLIMITED));
    let of = |row: &str, limited: Limited| {
        of_daemon.as_deref().and_then(|text| row_of(text, row)).unwrap_or_else(|| own(limited))
    };
    Limits {
        files: of("Max open files", Limited::Files),
        processes: of("Max processes", Limited::Processes),
        tasks: cfg!(target_os = "linux").then(|| tasks_of(ambient.uid)),
        group: tightest(&ambient.root, group),
        pipe_pages: setting("fs/pipe-user-pages-soft"),
        watches: Watches {
            trouble: platform::try_watch().err().map(|why| why.to_owned()),
            files_max: setting("fs/inotify/max_user_watches"),
            watchers_max: setting("fs/inotify/max_user_instances"),
        },
    }
}

fn setting(name: &str) -> Option<u64> {
    number(&std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?)
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Returns the soft and the hard limit of a row of /proc/PID/limits (proc(5)).
fn row_of(text: &str, row: &str) -> Option<(u64, u64)> {
    let mut words = text.lines().find_map(|line| line.strip_prefix(row))?.split_ascii_whitespace();
    let mut limit =
        || words.next().and_then(|word| if word == "unlimited" { Some(UNLIMITED) } else { number(word) });
    Some((limit()?, limit()?))
}

/// Counts the threads of a user, which is what the limit of processes counts.
fn tasks_of(uid: u32) -> u64 {
    let threads = |pid: Pid| {
        let process = format!("/proc/{pid}");
        let is_theirs = std::fs::metadata(&process).is_ok_and(|found| found.uid() == uid);
        let status = is_theirs.then(|| std::fs::read_to_string(process + "/status").ok()).flatten()?;
        number(status.lines().find_map(|line| line.strip_prefix("Threads:"))?)
    };
    tree::all().into_iter().filter_map(threads).sum()
}

/// Finds the group with the least room, from ours upwards.
fn tightest(root: &Path, group: &str) -> Option<TaskGroup> {
    let top = root.join("sys/fs/cgroup");
    let read = |path: &Path, file: &str| {
        number(&std::fs::read_to_string(top.join(path.strip_prefix("/").ok()?).join(file)).ok()?)
    };
    let limited = Path::new(group).ancestors().filter_map(|path| {
        let (now, max) = (read(path, "pids.current")?, read(path, "pids.max")?);
        Some(TaskGroup { path: path.display().to_string(), now, max })
    });
    limited.min_by_key(|group| group.max.saturating_sub(group.now))
}

#[cfg(target_os = "linux")]
mod platform {
    use nix::errno::Errno;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    /// Watches a directory for a moment: the only way to know whether that can be had.
    pub(super) fn try_watch() -> Result<(), &'static str> {
        // SAFETY: takes flags and returns a new descriptor or -1.
        let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        if fd < 0 {
            return Err(words(Errno::last()));
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let watcher = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the descriptor is open by its owner, and the path is a constant that ends with a zero byte.
        let watch =
            unsafe { libc::inotify_add_watch(watcher.as_raw_fd(), c"/".as_ptr(), libc::IN_DELETE_SELF) };
        if watch < 0 { Err(words(Errno::last())) } else { Ok(()) }
    }

    /// What the kernel means (inotify_init1(2), inotify_add_watch(2)).
    fn words(errno: Errno) -> &'static str {
        match errno {
            Errno::EMFILE => "watch: fs.inotify.max_user_instances is used up",
            Errno::ENOSPC => "watch: fs.inotify.max_user_watches is used up",
            Errno::ENOSYS => "watch: this kernel has no inotify",
            errno => errno.desc(),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    pub(super) fn try_watch() -> Result<(), &'static str> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_kernels_table_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max processes             5000                 unlimited            processes\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(row_of(text, "Max open files"), Some((1024, 524_288)));
        assert_eq!(row_of(text, "Max processes"), Some((5000, UNLIMITED)));
        assert_eq!(row_of(text, "Max cpu time"), None);
    }

    #[test]
    fn the_group_with_the_least_room_counts() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        assert_eq!(tightest(dir.path(), "/a/b"), None);
        for (group, now, max) in [("a", "90", "100"), ("a/b", "5", "50"), ("", "1", "max")] {
            let folder = dir.path().join("sys/fs/cgroup").join(group);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("pids.current"), format!("{now}\n"))?;
            std::fs::write(folder.join("pids.max"), format!("{max}\n"))?;
        }
        let expected = TaskGroup { path: "/a".into(), now: 90, max: 100 };
        assert_eq!(tightest(dir.path(), "/a/b"), Some(expected));
        Ok(())
    }

    #[test]
    fn this_process_has_limits() {
        let uid = crate::sys::identity::uid();
        let found = gather(&Ambient { uid, root: "/".into(), ..Ambient::default() }, None, "/");
        assert_eq!(found.files, Limited::Files.get().unwrap_or_default());
        assert!(found.tasks.is_none_or(|tasks| tasks > 0));
        let of_own =
            gather(&Ambient { uid, ..Ambient::default() }, Some(crate::sys::process::own_pid()), "/");
        assert_eq!(of_own.files, found.files);
    }
}
