//! What the kernel can do for programs: hold limits of whole trees, keep them from paths, tell the time.
//!
//! Example: `gather(&Ambient::real(), "/user.slice").landlock` is the version of Landlock, or nothing.

use crate::sys::ambient::Ambient;
use crate::sys::clock;
use nix::unistd::{AccessFlags, access};
use std::path::Path;

/// Where control groups are.
const CGROUPS: &str = "sys/fs/cgroup";

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// The version of Landlock; nothing where there is none.
    pub landlock: Option<u32>,
    /// What limits of whole trees can be had.
    pub cgroup: Cgroup,
    /// What is known of the clock.
    pub clock: Clock,
}

/// The control group, as far as limits are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// Whether there are control groups of version 2.
    pub unified: bool,
    /// Whether ours is ours to divide.
    pub writable: bool,
    /// What can be limited in it.
    pub controllers: Vec<String>,
}

/// The wall clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Whether somebody keeps it right; nothing where that cannot be asked.
    pub synchronized: Option<bool>,
    /// Seconds that the machine was asleep since it was booted.
    pub asleep_s: u64,
}

pub(super) fn gather(ambient: &Ambient, group: &str) -> Kernel {
    Kernel { landlock: platform::landlock(), cgroup: cgroup(&ambient.root, group), clock: clock_facts() }
}

fn cgroup(root: &Path, group: &str) -> Cgroup {
    let top = root.join(CGROUPS);
    if !top.join("cgroup.controllers").exists() {
        return Cgroup::default();
    }
    let own = top.join(group.trim_start_matches('/'));
    let controllers = std::fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
    let may_write = |file: &str| access(&own.join(file), AccessFlags::W_OK).is_ok();
    Cgroup {
        unified: true,
        writable: may_write("cgroup.procs") && may_write("cgroup.subtree_control"),
        controllers: controllers.split_ascii_whitespace().map(str::to_owned).collect(),
    }
}

fn clock_facts() -> Clock {
    let asleep = clock::since_boot_ns().saturating_sub(clock::now().0);
    // Where the two clocks are not of one kind, nothing is known.
    let asleep_s = if cfg!(target_os = "linux") { asleep / SECOND_NS } else { 0 };
    Clock { synchronized: platform::synchronized(), asleep_s }
}

#[cfg(target_os = "linux")]
mod platform {
    /// Asks for the version and makes nothing (landlock_create_ruleset(2)).
    const VERSION: libc::c_uint = 1;

    /// The call's number, the same on every architecture; not every C library's headers have it.
    const CREATE_RULESET: libc::c_long = 444;

    pub(super) fn landlock() -> Option<u32> {
        let (none, size) = (std::ptr::null::<u8>(), 0_usize);
        // SAFETY: with this flag the pointer must be null and the size 0, and no descriptor is made.
        let answer = unsafe { libc::syscall(CREATE_RULESET, none, size, VERSION) };
        u32::try_from(answer).ok().filter(|version| *version > 0)
    }

    pub(super) fn synchronized() -> Option<bool> {
        // SAFETY: a C struct of numbers, for which all zeroes is a value: it asks and changes nothing.
        let mut state: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: reads and writes a live struct of this frame.
        let answer = unsafe { libc::adjtimex(&raw mut state) };
        let is_right = answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0;
        (answer >= 0).then_some(is_right)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    pub(super) fn landlock() -> Option<u32> {
        None
    }

    pub(super) fn synchronized() -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_ours_is_known_by_its_files() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        assert_eq!(cgroup(dir.path(), "/a"), Cgroup::default());
        let own = dir.path().join(CGROUPS).join("a");
        std::fs::create_dir_all(&own)?;
        std::fs::write(dir.path().join(CGROUPS).join("cgroup.controllers"), "cpu memory pids\n")?;
        std::fs::write(own.join("cgroup.controllers"), "memory pids\n")?;
        let found = cgroup(dir.path(), "/a");
        assert_eq!((found.unified, found.writable), (true, false));
        assert_eq!(found.controllers, ["memory", "pids"]);
        for file in ["cgroup.procs", "cgroup.subtree_control"] {
            std::fs::write(own.join(file), "")?;
        }
        assert!(cgroup(dir.path(), "/a").writable);
        Ok(())
    }

    #[test]
    fn the_real_kernel_answers() {
        let found = gather(&Ambient { root: "/".into(), ..Ambient::default() }, "/");
        assert!(found.landlock.is_none_or(|version| version < 1000), "{found:?}");
        assert!(found.clock.asleep_s < 10 * 365 * 24 * 3600, "{found:?}");
    }
}
