//! Reading a journal with its older generation, by whoever wants to: its daemon, or a client where none runs.
//!
//! A link in its place is not followed and a pipe not waited for: only plain files of ours or root's are read. Knows no
//! records. Example: `generations(Path::new("/home/me/.local/state/visor/history-default.jsonl"))`.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Most bytes that are read of one generation: above all that a daemon lets one grow to.
pub const GENERATION_MAX_BYTES: u64 = 16 << 20;

/// Returns what the generations hold, the older one first; one that is not there, or not ours, holds nothing.
#[must_use]
pub fn generations(path: &Path) -> Vec<Vec<u8>> {
    [older(path), path.to_owned()].iter().map(|path| read(path).unwrap_or_default()).collect()
}

/// Returns the name of the older generation.
fn older(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(".1");
    name.into()
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    let mut bytes = Vec::new();
    if found.is_file() && [0, nix::unistd::geteuid().as_raw()].contains(&found.uid()) {
        file.take(GENERATION_MAX_BYTES).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_older_generation_comes_first_and_no_trap_is_followed() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("history");
        assert_eq!(generations(&path), [b"".to_vec(), b"".to_vec()]);
        std::fs::write(&path, "new")?;
        std::fs::write(older(&path), "old")?;
        assert_eq!(generations(&path), [b"old".to_vec(), b"new".to_vec()]);
        std::fs::rename(&path, directory.path().join("secret"))?;
        symlink("secret", &path)?;
        nix::unistd::unlink(&older(&path))?;
        nix::unistd::mkfifo(&older(&path), nix::sys::stat::Mode::S_IRWXU)?;
        assert_eq!(generations(&path), [b"".to_vec(), b"".to_vec()]);
        Ok(())
    }

    #[test]
    fn no_more_than_the_limit_is_read() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("history");
        File::create(&path)?.set_len(GENERATION_MAX_BYTES + 1)?;
        assert_eq!(generations(&path)[1].len() as u64, GENERATION_MAX_BYTES);
        Ok(())
    }
}
