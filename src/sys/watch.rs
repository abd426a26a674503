//! The ends of processes that are not our children: those of a keeper that was lost.
//!
//! On Linux a pidfd becomes readable when its process ends, and newer kernels tell how it ended. Where there
//! are no pidfds the processes are asked for whenever the loop wakes.

use crate::model::{ExitStatus, Pid, Signal, Time};
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long the process that inherited a program may take to reap it before how it ended counts as unknown.
const REAPED_WITHIN: Duration = Duration::from_millis(50);

/// A process that is watched.
struct Watched {
    key: u64,
    pid: Pid,
    /// When it started; 0 where that is not known.
    started_ticks: u64,
    pidfd: Option<OwnedFd>,
    /// Whether the last poll had something to say of it.
    ready: bool,
    /// When its end was seen; how it ended is told once it is reaped.
    ended: Option<Time>,
}

/// Processes that are watched.
#[derive(Default)]
pub struct Exits {
    watched: Vec<Watched>,
}

impl Exits {
    /// Watches a process under a name of the caller's. Returns false when that process has gone, whoever may have
    /// its number now; `started_ticks` is 0 where it is not known.
    pub fn add(&mut self, key: u64, pid: Pid, started_ticks: u64) -> bool {
        // Pinned first: what is looked at then is what is pinned.
        let pidfd = platform::open(pid);
        let is_same = super::tree::is_same(pid, started_ticks);
        if is_same {
            self.watched.push(Watched { key, pid, started_ticks, pidfd, ready: false, ended: None });
        }
        is_same
    }

    fn get(&self, pid: Pid) -> Option<&Watched> {
        self.watched.iter().find(|one| one.pid == pid)
    }

    /// Whether this process is watched.
    #[must_use]
    pub fn has(&self, pid: Pid) -> bool {
        self.get(pid).is_some()
    }

    /// Whether a watched process still lives. Never waits.
    #[must_use]
    pub fn is_alive(&self, pid: Pid) -> bool {
        self.get(pid).is_some_and(|one| match &one.pidfd {
            Some(pidfd) => !platform::has_ended(pidfd),
            None => one.is_there(),
        })
    }

    /// Sends a signal to a watched process and to no other; `None` when it is not watched.
    ///
    /// # Errors
    /// As pidfd_send_signal(2) or kill(2).
    pub fn signal(&self, pid: Pid, signal: Signal) -> Option<io::Result<()>> {
        let one = self.get(pid)?;
        Some(match &one.pidfd {
            Some(pidfd) => platform::send(pidfd, pid, signal),
            None if !one.is_there() => Err(nix::errno::Errno::ESRCH.into()),
            None => super::process::kill(pid, signal),
        })
    }

    /// Returns what to poll, for [`Exits::note`].
    pub fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.watched.iter().filter_map(|one| {
            // One that has ended is readable for ever; what is still awaited is its being reaped.
            let wanted = if one.ended.is_some() { PollFlags::empty() } else { PollFlags::POLLIN };
            one.pidfd.as_ref().map(|pidfd| PollFd::new(pidfd.as_fd(), wanted))
        })
    }

    /// Takes in which of [`Exits::poll_fds`] the poll had something to say of, in their order.
    pub fn note(&mut self, ready: &[bool]) {
        let polled = self.watched.iter_mut().filter(|one| one.pidfd.is_some());
        polled.zip(ready).for_each(|(one, ready)| one.ready = *ready);
    }

    /// Returns when [`Exits::ended`] no longer waits for somebody to reap.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.watched.iter().filter_map(|one| one.ended).min().map(|ended| ended.after(REAPED_WITHIN))
    }

    /// Whether some process can only be asked for, not waited for.
    #[must_use]
    pub fn must_ask(&self) -> bool {
        self.watched.iter().any(|one| one.pidfd.is_none())
    }

    /// Returns those that have ended, once. Looks only at those that were noted as ready, and never waits.
    pub fn ended(&mut self, now: Time) -> Vec<(u64, Pid, ExitStatus)> {
        let mut ended = Vec::new();
        self.watched.retain_mut(|one| match one.end(now) {
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

#[cfg(target_os = "linux")]
pub(super) use platform::send_to as send;

impl Watched {
    /// Whether the process is there, asked without a descriptor of it.
    fn is_there(&self) -> bool {
        super::tree::is_same(self.pid, self.started_ticks)
    }

    fn end(&mut self, now: Time) -> Option<ExitStatus> {
        let Some(pidfd) = &self.pidfd else {
            return (!self.is_there()).then_some(ExitStatus::Unknown);
        };
        let late = self.ended.is_some_and(|ended| ended.after(REAPED_WITHIN) <= now);
        if !std::mem::take(&mut self.ready) && !late {
            return None;
        }
        let status = platform::status(pidfd);
        self.ended.get_or_insert(now);
        status.or_else(|| late.then_some(ExitStatus::Unknown))
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use super::{ExitStatus, OwnedFd, Pid, Signal};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, FromRawFd, RawFd};

    /// `PIDFD_GET_INFO` for the 64-byte struct (linux/pidfd.h): magic 0xff, number 11, read and write.
    const PIDFD_GET_INFO: libc::c_ulong = 0xC040_FF0B;
    /// `PIDFD_INFO_EXIT`: the exit status is wanted, and there.
    const INFO_EXIT: u64 = 1 << 3;
    /// Word and half-word of the struct in which the kernel leaves the wait status.
    const EXIT_CODE_AT: usize = 60;

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

    pub(super) fn has_ended(pidfd: &OwnedFd) -> bool {
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap_or(0) > 0
    }

    pub(super) fn send(pidfd: &OwnedFd, _pid: Pid, signal: Signal) -> io::Result<()> {
        send_to(pidfd, signal)
    }

    /// Sends a signal to the process that a descriptor means.
    pub(in crate::sys) fn send_to(pidfd: &OwnedFd, signal: Signal) -> io::Result<()> {
        let (fd, no_info) = (pidfd.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: takes an open descriptor, a number, a null pointer that means "as kill", and no flags.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal.0, no_info, 0) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Returns how a process ended, once its parent has reaped it, which POLLHUP tells.
    pub(super) fn status(pidfd: &OwnedFd) -> Option<ExitStatus> {
        let mut hangup = [PollFd::new(pidfd.as_fd(), PollFlags::empty())];
        (poll(&mut hangup, PollTimeout::ZERO).unwrap_or(0) > 0).then(|| read_status(pidfd))
    }

    fn read_status(pidfd: &OwnedFd) -> ExitStatus {
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
    use super::{ExitStatus, OwnedFd, Pid, Signal};
    use std::io;

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

    pub(super) fn has_ended(queue: &OwnedFd) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let mut fds = [PollFd::new(queue.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap_or(0) > 0
    }

    /// The queue tells of its end only: until that is there, the number is the process's own.
    pub(super) fn send(queue: &OwnedFd, pid: Pid, signal: Signal) -> io::Result<()> {
        if has_ended(queue) {
            return Err(nix::errno::Errno::ESRCH.into());
        }
        crate::sys::process::kill(pid, signal)
    }

    /// How another process's child ended is not told here.
    pub(super) fn status(queue: &OwnedFd) -> Option<ExitStatus> {
        has_ended(queue).then_some(ExitStatus::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{clock, process, tree};
    use nix::poll::{PollTimeout, poll};
    use std::io::Read;
    use std::process::{Command, Stdio};

    /// Polls as a loop does, until something has ended; every pass waits for news or for the next deadline.
    fn wait_for_end(exits: &mut Exits) -> std::io::Result<Vec<(u64, Pid, ExitStatus)>> {
        loop {
            let due = exits.next_deadline().map(|due| due.since(clock::now()) + Duration::from_millis(1));
            let limit = due.unwrap_or(Duration::from_secs(20));
            let mut fds: Vec<PollFd<'_>> = exits.poll_fds().collect();
            let count = poll(&mut fds, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX))?;
            assert!(count > 0 || due.is_some(), "nothing ended");
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
            exits.note(&ready);
            let ended = exits.ended(clock::now());
            if !ended.is_empty() {
                return Ok(ended);
            }
        }
    }

    /// A program that nobody reaps: its end is told after a moment, and nobody was waited for meanwhile.
    #[test]
    fn ends_that_nobody_reaps_are_waited_for_together() -> std::io::Result<()> {
        let mut children = Vec::new();
        let mut exits = Exits::default();
        for key in 0..20 {
            let child = Command::new("sleep").arg("1000").spawn()?;
            assert!(exits.add(key, Pid(child.id() as i32), 0));
            children.push(child);
        }
        for child in &children {
            process::kill(Pid(child.id() as i32), Signal::KILL)?;
        }
        let mut told = Vec::new();
        let since = std::time::Instant::now();
        while told.len() < children.len() {
            told.extend(wait_for_end(&mut exits)?);
        }
        let one_after_the_other = REAPED_WITHIN * children.len() as u32;
        assert!(since.elapsed() < one_after_the_other, "{:?}", since.elapsed());
        assert!(exits.next_deadline().is_none());
        for mut child in children {
            child.wait()?;
        }
        Ok(())
    }

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
        let started = tree::entry(pid).map_or(0, |entry| entry.started_ticks);
        assert!(!exits.add(9, pid, started + 1), "as if another process had got its number");
        assert!(exits.add(9, pid, started));
        assert!(exits.is_alive(pid) && exits.ended(clock::now()).is_empty());
        assert!(exits.signal(Pid(pid.0 + 1), Signal::KILL).is_none(), "not one of those that are watched");
        exits.signal(pid, Signal::KILL).ok_or(std::io::ErrorKind::NotFound)??;
        let ended = wait_for_end(&mut exits)?;
        assert_eq!(ended.first().map(|(key, pid, _)| (*key, *pid)), Some((9, pid)));
        assert!(!exits.has(pid));
        drop(shell.stdin.take());
        shell.wait()?;
        Ok(())
    }
}
