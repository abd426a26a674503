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

/// Returns the login name of a user, where the user database has it; that may take its time.
#[must_use]
pub fn name_of(uid: u32) -> Option<String> {
    nix::unistd::User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

/// Returns the user id of a login name, or of a number.
#[must_use]
pub fn uid_of(user: &str) -> Option<u32> {
    let found = nix::unistd::User::from_name(user).ok().flatten().map(|user| user.uid.as_raw());
    found.or_else(|| user.parse().ok())
}

/// Returns who a user is, for people: `bob (uid 1002)`.
#[must_use]
pub fn in_words(name: Option<&str>, uid: u32) -> String {
    match name {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("user {uid}"),
    }
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
    for gid in platform_groups(&name, user.gid)? {
        if !groups.contains(&gid) && groups.len() < GROUPS_MAX {
            groups.push(gid);
        }
    }
    Ok(groups)
}

#[cfg(not(target_vendor = "apple"))]
fn platform_groups(name: &std::ffi::CStr, gid: u32) -> io::Result<Vec<u32>> {
    let groups = nix::unistd::getgrouplist(name, Gid::from_raw(gid))?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

#[cfg(target_vendor = "apple")]
fn platform_groups(name: &std::ffi::CStr, gid: u32) -> io::Result<Vec<u32>> {
    let mut groups = vec![0 as libc::c_int; APPLE_GROUPS_MAX];
    let mut count = groups.len() as libc::c_int;
    // SAFETY: the count says how long the array is, and comes back as how much of it was filled.
    let result =
        unsafe { libc::getgrouplist(name.as_ptr(), gid as libc::c_int, groups.as_mut_ptr(), &raw mut count) };
    if result < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    groups.truncate(usize::try_from(count).unwrap_or(0));
    Ok(groups.into_iter().map(|group| group as u32).collect())
}

/// How many groups are asked for on macOS, whose setgroups takes 16.
#[cfg(target_vendor = "apple")]
const APPLE_GROUPS_MAX: usize = 256;

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
