//! Processes: fork, wait, kill, sessions, limits.

use crate::model::{ExitStatus, Pid, Signal};
use nix::errno::Errno;
use nix::unistd::ForkResult;
use std::io;

/// Which side of a fork this is.
pub enum Forked {
    /// The new process.
    Child,
    /// The old process, with the number of the new one.
    Parent(Pid),
}

/// The right to fork: held by a process that has one thread, and keeps to one as long as it holds this.
///
/// Not `Send`: it cannot be taken to a thread that should not exist.
#[derive(Debug)]
pub struct Alone(std::marker::PhantomData<*const ()>);

impl Alone {
    /// Takes the right, at the start of a process.
    ///
    /// # Errors
    /// `ResourceBusy` when there is a second thread already.
    pub fn claim() -> io::Result<Alone> {
        let threads =
            if cfg!(target_os = "linux") { std::fs::read_dir("/proc/self/task")?.count() } else { 1 };
        if threads == 1 {
            Ok(Alone(std::marker::PhantomData))
        } else {
            Err(io::ErrorKind::ResourceBusy.into())
        }
    }

    /// Makes a copy of this process.
    ///
    /// # Errors
    /// `EAGAIN` and `ENOMEM` when the machine has no room for another process.
    pub fn fork(&self) -> io::Result<Forked> {
        // SAFETY: the holder has one thread, as was seen when the right was taken.
        unsafe { fork() }
    }
}

/// Makes a copy of this process.
///
/// # Errors
/// As [`Alone::fork`].
///
/// # Safety
/// The process must be single-threaded: a copy of a multi-threaded process may find any lock held for ever.
pub unsafe fn fork() -> io::Result<Forked> {
    // SAFETY: single-threaded by this function's own contract.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => Ok(Forked::Child),
        ForkResult::Parent { child } => Ok(Forked::Parent(Pid(child.as_raw()))),
    }
}

/// Reaps one child that has ended, where there is one.
#[must_use]
pub fn reap() -> Option<(Pid, ExitStatus)> {
    wait(-1, libc::WNOHANG).ok().flatten()
}

/// Waits until a child ends, and tells how.
///
/// # Errors
/// `ECHILD` when it is not ours.
pub fn wait_for(pid: Pid) -> io::Result<ExitStatus> {
    Ok(wait(pid.0, 0)?.map_or(ExitStatus::Unknown, |(_, status)| status))
}

/// waitpid(2) with the raw status: a death by a real-time signal, which `nix` cannot name, is told as well.
fn wait(pid: i32, flags: i32) -> io::Result<Option<(Pid, ExitStatus)>> {
    loop {
        let mut raw = 0;
        // SAFETY: the status is written to a live integer of this frame.
        match unsafe { libc::waitpid(pid, &raw mut raw, flags) } {
            0 => return Ok(None),
            -1 if Errno::last() == Errno::EINTR => {}
            -1 => return Err(io::Error::last_os_error()),
            ended if libc::WIFEXITED(raw) => {
                return Ok(Some((Pid(ended), ExitStatus::Code(libc::WEXITSTATUS(raw) as u8))));
            }
            ended if libc::WIFSIGNALED(raw) => {
                let signal = Signal(libc::WTERMSIG(raw));
                return Ok(Some((Pid(ended), ExitStatus::Signaled { signal, core: libc::WCOREDUMP(raw) })));
            }
            _ => {}
        }
    }
}

/// Sends a signal to one process; number 0 only asks whether it is there.
///
/// # Errors
/// `ESRCH` when it has gone, `EPERM` when it is somebody else's.
pub fn kill(pid: Pid, signal: Signal) -> io::Result<()> {
    debug_assert!(pid.0 > 1, "0, 1 and negative numbers mean other things than a program");
    raw_kill(pid.0, signal)
}

/// Sends a signal to every process of a process group.
///
/// # Errors
/// `ESRCH` when the group is empty, `EPERM` when none of it is ours.
pub fn kill_group(leader: Pid, signal: Signal) -> io::Result<()> {
    debug_assert!(leader.0 > 1, "0 and 1 mean other things than a group");
    raw_kill(-leader.0, signal)
}

fn raw_kill(target: i32, signal: Signal) -> io::Result<()> {
    // SAFETY: takes two numbers. The callers pass children that are not reaped yet, or checked identities.
    let result = unsafe { libc::kill(target, signal.0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns this process's number.
#[must_use]
pub fn own_pid() -> Pid {
    Pid(nix::unistd::getpid().as_raw())
}

/// Starts a session of our own, without a controlling terminal; nothing happens to a leader of one.
pub fn new_session() {
    let _ = nix::unistd::setsid();
}

/// Makes this process the parent of its descendants' orphans, where the platform can.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    if !super::portable() {
        let _ = nix::sys::prctl::set_child_subreaper(true);
    }
}

/// Gives this process a name of its own in `ps -o comm`, where the platform can.
pub fn set_name(name: &std::ffi::CStr) {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_name(name);
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}

/// A resource whose limit visord manages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Open descriptors, `RLIMIT_NOFILE`.
    Files,
    /// Processes of the user, `RLIMIT_NPROC`.
    Processes,
}

impl Limited {
    /// Returns the soft and the hard limit.
    ///
    /// # Errors
    /// None in practice.
    pub fn get(self) -> io::Result<(u64, u64)> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // `nix` lacks the limit of processes on macOS.
        let resource = match self {
            Limited::Files => libc::RLIMIT_NOFILE,
            Limited::Processes => libc::RLIMIT_NPROC,
        };
        // SAFETY: writes to a live struct of this frame.
        let result = unsafe { libc::getrlimit(resource, &raw mut limit) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok((limit.rlim_cur, limit.rlim_max)) }
    }

    /// Sets the soft and the hard limit. Async-signal-safe.
    ///
    /// # Errors
    /// `EPERM` when the hard limit would be raised without root's rights.
    pub fn set(self, soft: u64, hard: u64) -> io::Result<()> {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        let resource = match self {
            Limited::Files => libc::RLIMIT_NOFILE,
            Limited::Processes => libc::RLIMIT_NPROC,
        };
        // SAFETY: reads a live struct of this frame.
        let result = unsafe { libc::setrlimit(resource, &raw const limit) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Sends a signal to a process that is not our child, and to no other: it is pinned, looked at again, and signalled
/// only when it is still the one that `seen` was read of (pidfd_send_signal(2)). What has gone is not an error.
pub fn kill_checked(seen: &super::tree::Entry, signal: Signal) {
    #[cfg(target_os = "linux")]
    if !super::portable()
        && let Some(pidfd) = super::watch::pin(seen.pid)
    {
        if super::tree::is_same(seen.pid, seen.started_ticks) {
            let _ = super::watch::send(&pidfd, signal);
        }
        return;
    }
    if super::tree::is_same(seen.pid, seen.started_ticks) {
        let _ = kill(seen.pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::tree;
    use std::process::Command;

    #[test]
    fn a_process_that_took_over_a_number_is_not_signalled() -> io::Result<()> {
        let mut child = Command::new("sleep").arg("1000").spawn()?;
        let pid = Pid(child.id() as i32);
        let entry = tree::entry(pid).ok_or(io::ErrorKind::NotFound)?;
        // As if another process had been looked at, which ended and left its number to this one.
        kill_checked(&tree::Entry { started_ticks: entry.started_ticks + 1, ..entry }, Signal::KILL);
        kill_checked(&entry, Signal::TERM);
        let status = wait_for(pid)?;
        assert_eq!(status, ExitStatus::Signaled { signal: Signal::TERM, core: false });
        let _ = child.try_wait();
        Ok(())
    }
}
