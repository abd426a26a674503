//! The pid file: written for others to read, never believed by us.

use crate::model::Pid;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Writes `PID` and a newline.
///
/// # Errors
/// As open(2); `ELOOP` for a symbolic link, `EINVAL` for what is no plain file, and `EMLINK` for a file that has
/// another name as well: it may be somebody's trap.
pub(super) fn write(path: &Path, pid: Pid) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut file = File::from(open(path, flags, Mode::from_bits_truncate(0o644))?);
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(Errno::EINVAL.into());
    }
    if found.nlink() > 1 {
        return Err(Errno::EMLINK.into());
    }
    file.set_len(0)?;
    writeln!(file, "{pid}")
}

/// Removes the file if it is still ours; one that another daemon wrote meanwhile stays.
pub(super) fn remove(path: &Path, pid: Pid) {
    if std::fs::read_to_string(path).is_ok_and(|text| text.trim() == pid.to_string()) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_and_removed_only_while_it_is_ours() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("pid");
        write(&path, Pid(4711))?;
        assert_eq!(std::fs::read_to_string(&path)?, "4711\n");
        write(&path, Pid(5))?;
        remove(&path, Pid(4711));
        assert_eq!(std::fs::read_to_string(&path)?, "5\n");
        remove(&path, Pid(5));
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn links_and_a_pipe_are_refused_without_waiting() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "precious")?;
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&victim, &link)?;
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::from_bits_truncate(0o600))?;
        let hard = directory.path().join("hard");
        std::fs::hard_link(&victim, &hard)?;
        for path in [link, hard, pipe] {
            assert!(write(&path, Pid(1)).is_err(), "{}", path.display());
        }
        assert_eq!(std::fs::read_to_string(victim)?, "precious");
        Ok(())
    }
}
