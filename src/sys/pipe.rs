//! What a pipe can be asked: how much is in it, whether it has ended, how large it is.
//!
//! Knows no streams and no policy. Example: `pipe::available(&fd)?` before a read of exactly that many bytes.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Returns how many bytes can be read at once (FIONREAD).
///
/// # Errors
/// As ioctl(2).
pub fn available(fd: &impl AsFd) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, to a live one.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(usize::try_from(count).unwrap_or(0)) }
}

/// Whether nobody can write any more: with nothing available, that is the end.
///
/// # Errors
/// As poll(2).
pub fn is_hung_up(fd: &impl AsFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO)?;
    let ended = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    Ok(fds[0].revents().is_some_and(|events| events.intersects(ended)))
}

/// Waits at most `timeout_ms` until at least `PIPE_BUF` bytes can be written; returns whether they can.
///
/// # Errors
/// As poll(2); a reader that went away counts as writable, the write tells it.
pub fn wait_writable(fd: &impl AsFd, timeout_ms: u16) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::from(timeout_ms))?;
    Ok(fds[0].revents().is_some_and(|events| !events.is_empty()))
}

/// Returns how many bytes a pipe can hold; the usual 64 KiB where the platform does not tell.
#[must_use]
pub fn capacity(fd: &impl AsFd) -> usize {
    #[cfg(target_os = "linux")]
    if let Ok(size) = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETPIPE_SZ) {
        return usize::try_from(size).unwrap_or(DEFAULT_CAPACITY);
    }
    let _ = fd;
    DEFAULT_CAPACITY
}

/// Bytes that a pipe holds unless it was changed (pipe(7); macOS grows to the same).
pub const DEFAULT_CAPACITY: usize = 65_536;

/// Changes how many bytes a pipe can hold; does nothing where the platform cannot.
///
/// # Errors
/// `EPERM` when the user's share of pipe pages is used up, which is normal; `EBUSY` when shrinking below what
/// is in it.
pub fn set_capacity(fd: &impl AsFd, bytes: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETPIPE_SZ(bytes))?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (fd, bytes);
    Ok(())
}

/// A small pipe of our own, to look at the first bytes of another without taking them.
#[derive(Debug)]
pub struct Peeper {
    #[cfg(target_os = "linux")]
    ends: (std::os::fd::OwnedFd, std::os::fd::OwnedFd),
}

impl Peeper {
    /// Makes one, where the platform can look into pipes at all.
    ///
    /// # Errors
    /// As pipe2(2); `Unsupported` on the portable back end.
    pub fn new() -> io::Result<Peeper> {
        #[cfg(target_os = "linux")]
        if !super::portable() {
            let ends = super::fd::pipe()?;
            super::fd::set_nonblocking(&ends.0, true)?;
            let _ = set_capacity(&ends.0, super::shm::PAGE);
            return Ok(Peeper { ends });
        }
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Copies the first bytes of `pipe` into the whole of `into`, leaving them in the pipe (tee(2)).
    ///
    /// # Errors
    /// `UnexpectedEof` when there were fewer; else as tee(2).
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
    pub fn peek(&self, pipe: &impl AsFd, into: &mut [u8]) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let (from, to) = (pipe.as_fd().as_raw_fd(), self.ends.1.as_raw_fd());
            // SAFETY: tee takes two descriptors, both borrowed for the call, and no memory.
            let copied = unsafe { libc::tee(from, to, into.len(), libc::SPLICE_F_NONBLOCK) };
            if copied < 0 {
                return Err(io::Error::last_os_error());
            }
            let got = nix::unistd::read(&self.ends.0, into)?;
            if got == into.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        }
        #[cfg(not(target_os = "linux"))]
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fd;
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn what_is_in_a_pipe_and_whether_it_ended() -> io::Result<()> {
        let (read, write) = fd::pipe()?;
        assert_eq!((available(&read)?, is_hung_up(&read)?), (0, false));
        let mut write = std::fs::File::from(write);
        write.write_all(b"hello")?;
        assert_eq!((available(&read)?, is_hung_up(&read)?), (5, false));
        drop(write);
        assert_eq!((available(&read)?, is_hung_up(&read)?), (5, true));
        std::fs::File::from(read.try_clone()?).read_exact(&mut [0; 5])?;
        assert_eq!((available(&read)?, is_hung_up(&read)?), (0, true));
        Ok(())
    }

    #[test]
    fn a_full_pipe_is_not_writable() -> io::Result<()> {
        let (_read, write) = fd::pipe()?;
        assert!(wait_writable(&write, 0)?);
        fd::set_nonblocking(&write, true)?;
        let mut file = std::fs::File::from(write);
        while file.write(&[0; 4096]).is_ok() {}
        assert!(!wait_writable(&file, 0)?);
        Ok(())
    }

    #[test]
    fn a_peek_leaves_the_bytes_in_the_pipe() -> io::Result<()> {
        let Ok(peeper) = Peeper::new() else {
            assert!(super::super::portable(), "only the portable back end has none");
            return Ok(());
        };
        let (read, write) = fd::pipe()?;
        std::fs::File::from(write).write_all(b"abcdef")?;
        let mut seen = [0; 3];
        for _ in 0..2 {
            peeper.peek(&read, &mut seen)?;
            assert_eq!((&seen, available(&read)?), (b"abc", 6));
        }
        let short = peeper.peek(&read, &mut [0; 7]).err().map(|e| e.kind());
        assert_eq!(short, Some(io::ErrorKind::UnexpectedEof));
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn capacity_can_be_changed() -> io::Result<()> {
        let (read, _write) = fd::pipe()?;
        set_capacity(&read, 8192)?;
        assert_eq!(capacity(&read), 8192);
        Ok(())
    }
}
