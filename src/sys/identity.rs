//! Whom a process runs as, and what it may use.

use crate::model::spec::UserSpec;
use nix::unistd::{Gid, Uid};
use std::io;

/// Most supplementary groups that are passed on (the kernel's own limit, `NGROUPS_MAX`).
pub const GROUPS_MAX: usize = 65_536;

/// Whether this process has root's rights.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Returns the effective user id.
#[must_use]
pub fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Returns the group ids that a login of `user` would have, primary group first.
///
/// # Errors
/// As getpwuid(3) and getgrouplist(3).
pub fn groups_of(user: &UserSpec) -> io::Result<Vec<u32>> {
    let Some(account) = nix::unistd::User::from_uid(Uid::from_raw(user.uid))? else {
        return Ok(vec![user.gid]);
    };
    let name = std::ffi::CString::new(account.name)?;
    let mut groups = vec![user.gid];
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    for gid in nix::unistd::getgrouplist(&name, Gid::from_raw(user.gid))? {
        if !groups.contains(&gid.as_raw()) && groups.len() < GROUPS_MAX {
            groups.push(gid.as_raw());
        }
    }
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    let _ = (name, Gid::from_raw(user.gid));
    Ok(groups)
}

/// Becomes another user for good: groups, group id, user id. Async-signal-safe on Linux.
///
/// # Errors
/// `EPERM` without root's rights.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    set_groups(groups)?;
    nix::unistd::setgid(Gid::from_raw(gid))?;
    nix::unistd::setuid(Uid::from_raw(uid))?;
    Ok(())
}

fn set_groups(groups: &[u32]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let count = groups.len();
    #[cfg(not(target_os = "linux"))]
    let count = groups.len().min(16) as libc::c_int;
    // SAFETY: pointer and length describe the slice, and gid_t is u32 on every supported platform.
    let result = unsafe { libc::setgroups(count, groups.as_ptr()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
