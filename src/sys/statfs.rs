//! Whether a directory lies on this machine: locks and sockets are worth nothing on a shared file system.
//!
//! Knows the numbers of file systems and nothing else. `locality(&dir)?` is `Network("nfs")` for an NFS home.

use std::io;
use std::os::fd::AsFd;

/// Where a file system keeps its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locality {
    /// On this machine: disk, memory, or a layer over one of them.
    Local,
    /// On another machine, or nobody knows; with the file system's name.
    Network(String),
}

impl Locality {
    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        *self == Locality::Local
    }
}

/// Returns where the file system behind a descriptor keeps its files.
///
/// # Errors
/// As fstatfs(2).
pub fn locality(fd: &impl AsFd) -> io::Result<Locality> {
    platform::locality(fd)
}

/// What a file system's number tells (linux/magic.h, statfs(2), and the sources of those that are not in the
/// kernel).
#[cfg(target_os = "linux")]
#[derive(Clone, Copy)]
enum Tells {
    Network(&'static str),
    /// The kind of file system behind it has to be looked up by its mount.
    AskMount,
}

#[cfg(target_os = "linux")]
const KINDS: [(u32, Tells); 22] = [
    (0x6969, Tells::Network("nfs")),
    (0x517B, Tells::Network("smb")),
    (0xFE53_4D42, Tells::Network("smb2")),
    (0xFF53_4D42, Tells::Network("cifs")),
    (0x7375_7245, Tells::Network("coda")),
    (0x5346_414F, Tells::Network("afs")),
    (0x6B41_4653, Tells::Network("kafs")),
    (0x564C, Tells::Network("ncp")),
    (0x0102_1997, Tells::Network("9p")),
    (0x0BD0_0BD0, Tells::Network("lustre")),
    (0x4750_4653, Tells::Network("gpfs")),
    (0x00C3_6400, Tells::Network("ceph")),
    (0x0116_1970, Tells::Network("gfs2")),
    (0x7461_636F, Tells::Network("ocfs2")),
    (0x1983_0326, Tells::Network("beegfs")),
    (0xAAD7_AAEA, Tells::Network("panfs")),
    (0x2003_0528, Tells::Network("orangefs")),
    (0xBACB_ACBC, Tells::Network("vmhgfs")),
    (0x786F_4256, Tells::Network("vboxsf")),
    (0x0187, Tells::Network("autofs")),
    (0x4765_676F, Tells::Network("quobyte")),
    (0x6573_5546, Tells::AskMount),
];

/// File systems in user space that are layers over local files; every other one may lead anywhere.
#[cfg(target_os = "linux")]
const LOCAL_FUSE: [&str; 5] =
    ["fuseblk", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.unionfs", "fuse.bindfs"];

#[cfg(target_os = "linux")]
mod platform {
    use super::{KINDS, LOCAL_FUSE, Locality, Tells};
    use nix::sys::stat::{fstat, major, minor};
    use std::io;
    use std::os::fd::AsFd;

    pub(super) fn locality(fd: &impl AsFd) -> io::Result<Locality> {
        let kind = nix::sys::statfs::fstatfs(fd)?.filesystem_type();
        // The type is a signed word on some machines; the numbers are 32 bits wide everywhere.
        match tells(kind.0 as u32) {
            None => Ok(Locality::Local),
            Some(Tells::Network(name)) => Ok(Locality::Network(name.to_owned())),
            Some(Tells::AskMount) => {
                let device = fstat(fd)?.st_dev;
                let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
                Ok(fuse(mounted(&table, major(device), minor(device)).unwrap_or("fuse")))
            }
        }
    }

    pub(super) fn tells(number: u32) -> Option<Tells> {
        KINDS.iter().find(|(known, _)| *known == number).map(|(_, tells)| *tells)
    }

    pub(super) fn fuse(kind: &str) -> Locality {
        if LOCAL_FUSE.contains(&kind) { Locality::Local } else { Locality::Network(kind.to_owned()) }
    }

    /// Returns the type of the file system that is mounted as a device, from the text of mountinfo (proc(5)).
    pub(super) fn mounted(table: &str, major: u64, minor: u64) -> Option<&str> {
        let device = format!("{major}:{minor}");
        let line = table.lines().find(|line| line.split(' ').nth(2) == Some(&device))?;
        line.split_once(" - ")?.1.split(' ').next()
    }
}

#[cfg(target_vendor = "apple")]
mod platform {
    use super::Locality;
    use std::io;
    use std::os::fd::{AsFd, AsRawFd};

    pub(super) fn locality(fd: &impl AsFd) -> io::Result<Locality> {
        // SAFETY: a C struct of numbers and arrays, for which all zeroes is a value.
        let mut info: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open by its borrow, and the call fills the struct.
        let result = unsafe { libc::fstatfs(fd.as_fd().as_raw_fd(), &raw mut info) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        if info.f_flags & libc::MNT_LOCAL as u32 != 0 {
            return Ok(Locality::Local);
        }
        let name = info.f_fstypename.iter().take_while(|letter| **letter != 0);
        Ok(Locality::Network(name.map(|letter| char::from(*letter as u8)).collect()))
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
mod platform {
    use super::Locality;
    use std::io;
    use std::os::fd::AsFd;

    /// Takes every file system for a local one where nobody has tried.
    pub(super) fn locality(_fd: &impl AsFd) -> io::Result<Locality> {
        Ok(Locality::Local)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::platform::{fuse, mounted, tells};
    use super::*;

    #[test]
    fn a_directory_of_temporary_files_is_local() -> io::Result<()> {
        assert!(locality(&std::fs::File::open("/tmp")?)?.is_local());
        assert!(locality(&std::fs::File::open("/proc")?)?.is_local());
        Ok(())
    }

    #[test]
    fn every_number_is_there_once_and_tells_something() {
        for (number, _) in KINDS {
            assert!(tells(number).is_some());
            assert_eq!(KINDS.iter().filter(|(other, _)| *other == number).count(), 1, "{number:#x}");
        }
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630, 0x2FC1_2FC1_u32] {
            assert!(tells(local).is_none(), "{local:#x}");
        }
    }

    #[test]
    fn what_is_mounted_is_found_by_its_device() {
        let table = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                     90 22 0:52 / /home/me rw,nosuid - fuse.sshfs host:/ rw\n\
                     91 22 0:53 / /mnt rw shared:5 master:1 - fuse.fuse-overlayfs x rw\n";
        assert_eq!(mounted(table, 0, 52), Some("fuse.sshfs"));
        assert_eq!(mounted(table, 8, 1), Some("ext4"));
        assert_eq!(mounted(table, 0, 5), None);
        assert_eq!(fuse("fuse.sshfs"), Locality::Network("fuse.sshfs".to_owned()));
        assert!(fuse("fuse.fuse-overlayfs").is_local() && !fuse("fuse").is_local());
    }
}
