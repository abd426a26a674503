//! The ends of processes that are not our children: those of a keeper that was lost.
//!
//! On Linux a pidfd becomes readable when its process ends, and newer kernels tell how it ended. Where there
//! are no pidfds the processes are asked for whenever the loop wakes.

use crate::model::{ExitStatus, Pid, Signal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A process that is watched.
struct Watched {
    key: u64,
    pid: Pid,
    pidfd: Option<OwnedFd>,
}

/// Processes that are watched.
#[derive(Default)]
pub struct Exits {
    watched: Vec<Watched>,
}

impl Exits {
    /// Watches a process under a name of the caller's.
    pub fn add(&mut self, key: u64, pid: Pid) {
        self.watched.push(Watched { key, pid, pidfd: platform::open(pid) });
    }

    /// Whether this process is watched.
    #[must_use]
    pub fn has(&self, pid: Pid) -> bool {
        self.watched.iter().any(|one| one.pid == pid)
    }

    /// Whether a watched process still lives.
    #[must_use]
    pub fn is_alive(&self, pid: Pid) -> bool {
        self.watched.iter().any(|one| one.pid == pid && one.end().is_none())
    }

    /// Returns what to poll for reading.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watched.iter().filter_map(|one| one.pidfd.as_ref().map(AsFd::as_fd))
    }

    /// Whether some process can only be asked for, not waited for.
    #[must_use]
    pub fn must_ask(&self) -> bool {
        self.watched.iter().any(|one| one.pidfd.is_none())
    }

    /// Returns those that have ended, once.
    pub fn ended(&mut self) -> Vec<(u64, Pid, ExitStatus)> {
        let mut ended = Vec::new();
        self.watched.retain(|one| match one.end() {
            Some(status) => {
                ended.push((one.key, one.pid, status));
                false
            }
            None => true,
        });
        ended
    }
}

/// Opens a descriptor that means this process and never another one, where the platform has that.
#[must_use]
pub fn pin(pid: Pid) -> Option<OwnedFd> {
    platform::open(pid)
}

impl Watched {
    fn end(&self) -> Option<ExitStatus> {
        match &self.pidfd {
            Some(pidfd) => platform::end(pidfd),
            None => super::process::kill(self.pid, Signal(0)).is_err().then_some(ExitStatus::Unknown),
        }
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use super::{ExitStatus, OwnedFd, Pid, Signal};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::{AsFd, AsRawFd, FromRawFd, RawFd};

    /// `PIDFD_GET_INFO` for the 64-byte struct (linux/pidfd.h): magic 0xff, number 11, read and write.
    const PIDFD_GET_INFO: libc::c_ulong = 0xC040_FF0B;
    /// `PIDFD_INFO_EXIT`: the exit status is wanted, and there.
    const INFO_EXIT: u64 = 1 << 3;
    /// Word and half-word of the struct in which the kernel leaves the wait status.
    const EXIT_CODE_AT: usize = 60;

    /// How long the process that inherited a program may take to reap it, in milliseconds.
    const REAPED_WITHIN_MS: u8 = 50;

    pub(super) fn open(pid: Pid) -> Option<OwnedFd> {
        if crate::sys::portable() {
            return None;
        }
        // SAFETY: takes a number and flags, and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.0, 0) };
        let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        // SAFETY: just made for us, close-on-exec by definition.
        Some(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub(super) fn end(pidfd: &OwnedFd) -> Option<ExitStatus> {
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::ZERO).unwrap_or(0) == 0 {
            return None;
        }
        // The status is there once its parent has reaped it, which POLLHUP tells.
        let mut hangup = [PollFd::new(pidfd.as_fd(), PollFlags::empty())];
        let reaped = poll(&mut hangup, REAPED_WITHIN_MS).unwrap_or(0) > 0;
        Some(if reaped { status(pidfd) } else { ExitStatus::Unknown })
    }

    fn status(pidfd: &OwnedFd) -> ExitStatus {
        let mut info = [0_u8; 64];
        info[..8].copy_from_slice(&INFO_EXIT.to_ne_bytes());
        // SAFETY: the request number carries the size of the array, which the kernel fills.
        let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, info.as_mut_ptr()) };
        let mask = u64::from_ne_bytes(std::array::from_fn(|i| info[i]));
        if result < 0 || mask & INFO_EXIT == 0 {
            return ExitStatus::Unknown;
        }
        let raw = i32::from_ne_bytes(std::array::from_fn(|i| info[EXIT_CODE_AT + i]));
        if libc::WIFSIGNALED(raw) {
            let signal = Signal(libc::WTERMSIG(raw));
            return ExitStatus::Signaled { signal, core: libc::WCOREDUMP(raw) };
        }
        ExitStatus::Code(libc::WEXITSTATUS(raw) as u8)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::{ExitStatus, OwnedFd, Pid};

    /// A kqueue that watches this one process: it becomes readable when the process ends.
    pub(super) fn open(pid: Pid) -> Option<OwnedFd> {
        use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
        let queue = Kqueue::new().ok()?;
        let watch = KEvent::new(
            usize::try_from(pid.0).ok()?,
            EventFilter::EVFILT_PROC,
            EvFlags::EV_ADD,
            FilterFlag::NOTE_EXIT,
            0,
            0,
        );
        queue.kevent(&[watch], &mut [], Some(libc::timespec { tv_sec: 0, tv_nsec: 0 })).ok()?;
        Some(queue.into())
    }

    pub(super) fn end(queue: &OwnedFd) -> Option<ExitStatus> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let mut fds = [PollFd::new(queue.as_fd(), PollFlags::POLLIN)];
        (poll(&mut fds, PollTimeout::ZERO).unwrap_or(0) > 0).then_some(ExitStatus::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    #[test]
    fn the_end_of_somebody_elses_child_is_seen() -> std::io::Result<()> {
        // The shell is the parent; its child is watched, and told of when the shell has reaped it.
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!; wait; read y"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let mut output = shell.stdout.take().ok_or(std::io::ErrorKind::NotFound)?;
        let mut byte = [0];
        while byte != *b"\n" && output.read(&mut byte)? == 1 {
            line.push(byte[0] as char);
        }
        let pid = Pid(line.trim().parse().unwrap_or(0));
        let mut exits = Exits::default();
        exits.add(9, pid);
        assert!(exits.is_alive(pid));
        super::super::process::kill(pid, Signal::KILL)?;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let ended = loop {
            let ended = exits.ended();
            if !ended.is_empty() || std::time::Instant::now() > deadline {
                break ended;
            }
            std::thread::yield_now();
        };
        assert_eq!(ended.first().map(|(key, pid, _)| (*key, *pid)), Some((9, pid)));
        assert!(!exits.has(pid));
        drop(shell.stdin.take());
        shell.wait()?;
        Ok(())
    }
}
