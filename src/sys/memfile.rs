//! Files without a name: they live as long as somebody holds a descriptor, across the death of a process.

use std::fs::File;
use std::io;

/// Makes an empty nameless file: a memfd, or an unlinked temporary file where there are none.
///
/// # Errors
/// As memfd_create(2), or as open(2) in the temporary directory.
pub fn create(name: &std::ffi::CStr) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    if !super::portable() {
        let fd = nix::sys::memfd::memfd_create(name, nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
        return Ok(File::from(fd));
    }
    unlinked(name)
}

fn unlinked(name: &std::ffi::CStr) -> io::Result<File> {
    let mut template = std::env::temp_dir().into_os_string();
    template.push(format!("/visor-{}-XXXXXX", name.to_string_lossy()));
    let (fd, path) = nix::unistd::mkstemp(template.as_os_str())?;
    nix::unistd::unlink(&path)?;
    nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    Ok(File::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, MetadataExt};

    #[test]
    fn both_kinds_have_no_name_and_keep_what_is_written() -> io::Result<()> {
        for file in [create(c"test")?, unlinked(c"test")?] {
            file.write_all_at(b"kept", 4)?;
            let mut back = [0; 4];
            file.read_exact_at(&mut back, 4)?;
            assert_eq!((&back, file.metadata()?.nlink()), (b"kept", 0));
        }
        Ok(())
    }
}
