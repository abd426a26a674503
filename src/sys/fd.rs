//! Descriptors: sane at the start, never inherited by accident, moved where they are wanted.

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// Opens `/dev/null` on those of the descriptors 0, 1 and 2 that are closed, so that no file of ours ever
/// becomes somebody's standard stream.
///
/// # Errors
/// As open(2).
pub fn fill_standard_streams() -> io::Result<()> {
    loop {
        let fd = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        if fd.as_raw_fd() > 2 {
            return Ok(());
        }
        // A standard stream is not closed again, and programs may inherit it.
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let _ = fd.into_raw_fd();
    }
}

/// Marks every descriptor above 2 close-on-exec: what visord was started with is not the programs' business.
pub fn close_inherited_on_exec() {
    let directory = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let open: Vec<RawFd> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: the number was just listed as open; if it is the listing's own and closed by now, F_SETFD
        // fails with EBADF and nothing else happens.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let _ = fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    }
}

/// Puts `/dev/null` in the place of the standard streams, as a daemon does.
///
/// # Errors
/// As open(2) and dup2(2).
pub fn detach_standard_streams() -> io::Result<()> {
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    for target in 0..=2 {
        replace(&null, target)?;
    }
    Ok(())
}

/// Makes descriptor number `target` a duplicate of `source`, inherited across exec.
///
/// # Errors
/// As dup2(2).
pub fn replace(source: &impl AsFd, target: RawFd) -> io::Result<()> {
    // SAFETY: dup2 takes numbers only; `source` is open for the length of the call by its borrow, and
    // whatever `target` was is closed by the kernel: callers pass 0 to 2 or a number that they own.
    let result = unsafe { libc::dup2(source.as_fd().as_raw_fd(), target) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes a pipe whose two ends are close-on-exec; returns the read end first.
///
/// # Errors
/// As pipe2(2): `EMFILE`, `ENFILE`.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(target_os = "linux")]
    return Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?);
    #[cfg(not(target_os = "linux"))]
    {
        // The keeper is single-threaded, so no fork can come between.
        let (read, write) = nix::unistd::pipe()?;
        fcntl(&read, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        fcntl(&write, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        Ok((read, write))
    }
}

/// Sets or clears non-blocking mode on the open file behind a descriptor.
///
/// # Errors
/// As fcntl(2).
pub fn set_nonblocking(fd: &impl AsFd, on: bool) -> io::Result<()> {
    let old = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let new = if on { old | OFlag::O_NONBLOCK } else { old & !OFlag::O_NONBLOCK };
    if new != old {
        fcntl(fd, FcntlArg::F_SETFL(new))?;
    }
    Ok(())
}

/// Takes over a descriptor number that was handed to this process on its command line.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only borrowed to ask for its flags; a closed number gives EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: open, as just seen, and handed to this process for good by whoever started it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes a descriptor survive exec; the caller execs next.
///
/// # Errors
/// As fcntl(2).
pub fn keep_across_exec(fd: &impl AsFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_pipe_carries_bytes_and_is_close_on_exec() -> io::Result<()> {
        let (read, write) = pipe()?;
        let flags = FdFlag::from_bits_retain(fcntl(&read, FcntlArg::F_GETFD)?);
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
        std::fs::File::from(write).write_all(b"x")?;
        let mut text = String::new();
        std::fs::File::from(read).read_to_string(&mut text)?;
        assert_eq!(text, "x");
        Ok(())
    }

    #[test]
    fn nonblocking_is_set_and_cleared() -> io::Result<()> {
        let (read, _write) = pipe()?;
        set_nonblocking(&read, true)?;
        assert_ne!(fcntl(&read, FcntlArg::F_GETFL)? & OFlag::O_NONBLOCK.bits(), 0);
        set_nonblocking(&read, false)?;
        assert_eq!(fcntl(&read, FcntlArg::F_GETFL)? & OFlag::O_NONBLOCK.bits(), 0);
        Ok(())
    }
}
