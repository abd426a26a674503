//! How long an answer is waited for, and what happens meanwhile.
//!
//! Example: `Wait::default()` gives up after [`ANSWER_TIMEOUT`]; a command that waits for programs has no end but
//! Ctrl-C, and shows that it is alive.

use super::Failure;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The longest wait for what a daemon can answer at once.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How to wait.
pub struct Wait<'a> {
    /// The longest wait; none is for ever.
    pub timeout: Option<Duration>,
    /// Becomes readable when the user wants to wait no longer.
    pub interrupt: Option<BorrowedFd<'a>>,
    /// Is called that often, with the time waited so far.
    pub tick: Option<(Duration, &'a mut dyn FnMut(Duration))>,
}

impl Default for Wait<'_> {
    fn default() -> Self {
        Wait { timeout: Some(ANSWER_TIMEOUT), interrupt: None, tick: None }
    }
}

impl Wait<'_> {
    /// Waits until `fd` can be read; `since` is when waiting began.
    ///
    /// # Errors
    /// When the time is over, or the user interrupts.
    pub fn readable(&mut self, fd: &impl AsFd, since: Instant) -> Result<(), Failure> {
        loop {
            let waited = since.elapsed();
            let left = self.timeout.map(|timeout| timeout.saturating_sub(waited));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Failure::TimedOut(self.timeout.unwrap_or_default()));
            }
            let pause = [left, self.tick.as_ref().map(|(every, _)| *every)].into_iter().flatten().min();
            let mut fds = vec![PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
            fds.extend(self.interrupt.map(|interrupt| PollFd::new(interrupt, PollFlags::POLLIN)));
            match poll(&mut fds, timeout(pause)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::Lost(errno.desc().to_owned())),
            }
            let is_ready = |index: usize| fds.get(index).is_some_and(|fd| fd.any().unwrap_or(true));
            if is_ready(1) {
                return Err(Failure::Interrupted);
            }
            if is_ready(0) {
                return Ok(());
            }
            if let Some((every, tick)) = &mut self.tick
                && since.elapsed() >= *every
            {
                tick(since.elapsed());
            }
        }
    }
}

/// Waits for nothing but time.
pub fn pause(time: Duration) {
    let _interrupted = poll(&mut [], timeout(Some(time)));
}

/// Returns a pause as poll takes it, rounded up so that it does not end early; none is for ever.
fn timeout(pause: Option<Duration>) -> PollTimeout {
    let Some(pause) = pause else { return PollTimeout::NONE };
    let milliseconds = i32::try_from(pause.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_comes_first_ends_the_wait() -> std::io::Result<()> {
        let ((near, mut far), (user, mut finger)) = (UnixStream::pair()?, UnixStream::pair()?);
        let mut ticks = 0;
        let mut tick = |_| ticks += 1;
        let timeout = Some(Duration::from_millis(30));
        let mut wait = Wait {
            timeout,
            interrupt: Some(user.as_fd()),
            tick: Some((Duration::from_millis(5), &mut tick)),
        };
        let waited = wait.readable(&near, Instant::now());
        assert_eq!(waited, Err(Failure::TimedOut(Duration::from_millis(30))));
        far.write_all(b"x")?;
        assert_eq!(wait.readable(&near, Instant::now()), Ok(()));
        finger.write_all(b"x")?;
        assert_eq!(wait.readable(&near, Instant::now()), Err(Failure::Interrupted));
        assert!(ticks >= 1);
        Ok(())
    }
}
