//! Who is at the other end of a socket of this machine, by the kernel's word: the groups beside the user.
//!
//! They are those that the process had when it connected; no user database is asked. Must not decide what follows
//! from them. Example: `groups(&stream)?.contains(&50)`.

use std::io;
use std::os::fd::AsFd;

/// Returns the group ids of the process that connected, its primary one first.
///
/// # Errors
/// As getsockopt(2); `ENOPROTOOPT` for kernels before Linux 4.13.
pub fn groups(stream: &impl AsFd) -> io::Result<Vec<u32>> {
    platform::groups(stream)
}

#[cfg(target_os = "linux")]
mod platform {
    use crate::sys::identity::GROUPS_MAX;
    use nix::errno::Errno;
    use nix::sys::socket::{getsockopt, sockopt};
    use std::io;
    use std::os::fd::{AsFd, AsRawFd};

    /// How many groups are asked for at first, which nearly everybody has fewer of.
    const GROUPS_USUAL: usize = 64;

    pub(super) fn groups(stream: &impl AsFd) -> io::Result<Vec<u32>> {
        let primary = getsockopt(stream, sockopt::PeerCredentials)?.gid();
        let more = match supplementary(stream, GROUPS_USUAL) {
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) => supplementary(stream, GROUPS_MAX)?,
            other => other?,
        };
        Ok(std::iter::once(primary).chain(more).collect())
    }

    fn supplementary(stream: &impl AsFd, most: usize) -> io::Result<Vec<u32>> {
        let mut groups = vec![0_u32; most];
        let mut size_bytes = (most * size_of::<u32>()) as libc::socklen_t;
        let fd = stream.as_fd().as_raw_fd();
        // SAFETY: pointer and size describe the vector, and the kernel says in the size how much of it was filled.
        let result = unsafe {
            libc::getsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut size_bytes,
            )
        };
        if result < 0 {
            return Err(Errno::last().into());
        }
        groups.truncate(size_bytes as usize / size_of::<u32>());
        Ok(groups)
    }
}

#[cfg(target_vendor = "apple")]
mod platform {
    use nix::sys::socket::{getsockopt, sockopt};
    use std::io;
    use std::os::fd::AsFd;

    pub(super) fn groups(stream: &impl AsFd) -> io::Result<Vec<u32>> {
        Ok(getsockopt(stream, sockopt::LocalPeerCred)?.groups().to_vec())
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
mod platform {
    use std::io;
    use std::os::fd::AsFd;

    pub(super) fn groups(stream: &impl AsFd) -> io::Result<Vec<u32>> {
        Ok(vec![nix::unistd::getpeereid(stream)?.1.as_raw()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn our_own_groups_are_told() -> io::Result<()> {
        let (near, _far) = UnixStream::pair()?;
        let mut told = groups(&near)?;
        let mut own: Vec<u32> = nix::unistd::getgroups()?.into_iter().map(nix::unistd::Gid::as_raw).collect();
        own.push(nix::unistd::getegid().as_raw());
        for list in [&mut told, &mut own] {
            list.sort_unstable();
            list.dedup();
        }
        assert_eq!(told, own);
        Ok(())
    }
}
