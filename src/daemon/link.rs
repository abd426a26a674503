//! The reactor's end of the connection to the keeper.
//!
//! Requests wait here while the keeper is slow (stopped by a terminal, say). Their number is bounded: by the runs that
//! the core allows, by [`SIGNALS_WAITING_MAX`], and what is said again takes the place of what waits. Example: `link.send(Request::Ready, None)`.

use crate::keeper::protocol::{Report, Request, Wire};
use crate::keeper::wire::Inbox;
use crate::sys::fdpass;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Most signals that wait for a keeper that stands still. What comes on top is dropped: the core sends those that
/// matter again, and a process that got as many would have been told enough.
const SIGNALS_WAITING_MAX: usize = 1024;

/// A message that waits, with its descriptors and how much of it has gone.
struct Waiting {
    wire: Wire,
    fds: Vec<OwnedFd>,
    done: usize,
}

/// The connection to the keeper.
pub(super) struct Link {
    socket: OwnedFd,
    inbox: Inbox,
    outbox: VecDeque<Waiting>,
}

impl Link {
    /// Takes over the socket that the keeper gave.
    pub(super) fn new(socket: OwnedFd) -> Link {
        Link { socket, inbox: Inbox::default(), outbox: VecDeque::new() }
    }

    /// Sends a request, now or as soon as the keeper takes it.
    pub(super) fn send(&mut self, request: Request, fds: Vec<OwnedFd>) {
        let wire = request.encode();
        match request {
            // As with a process that is stopped, several of a kind come as one.
            Request::Signal { .. } if self.waits(&wire) || self.signals() >= SIGNALS_WAITING_MAX => return,
            Request::Limit { .. } if self.waits(&wire) => return,
            // Its descriptor is outdated, and costs one of ours.
            Request::Hold { .. } => self.outbox.retain(|old| old.wire != wire || old.done > 0),
            _ => {}
        }
        self.outbox.push_back(Waiting { wire, fds, done: 0 });
        self.flush();
    }

    fn waits(&self, wire: &Wire) -> bool {
        self.outbox.iter().any(|waiting| waiting.wire == *wire)
    }

    fn signals(&self) -> usize {
        let is_signal =
            |waiting: &&Waiting| matches!(Request::decode(&waiting.wire), Some(Request::Signal { .. }));
        self.outbox.iter().filter(is_signal).count()
    }

    /// Sends what the socket has room for; a lost keeper is noticed when reading.
    pub(super) fn flush(&mut self) {
        while let Some(waiting) = self.outbox.front_mut() {
            let fds: Vec<RawFd> = waiting.fds.iter().map(AsRawFd::as_raw_fd).collect();
            match fdpass::send(&self.socket, &waiting.wire[waiting.done..], &fds) {
                Ok(count) => {
                    waiting.done += count;
                    waiting.fds.clear();
                    if waiting.done == waiting.wire.len() {
                        self.outbox.pop_front();
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Returns whether messages wait for room.
    pub(super) fn is_full(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Returns the next report; `Ok(None)` when the keeper is lost.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub(super) fn receive(&mut self) -> io::Result<Option<(Report, Vec<OwnedFd>)>> {
        loop {
            let Some((wire, fds)) = self.inbox.receive(&self.socket)? else { return Ok(None) };
            if let Some(report) = Report::decode(&wire) {
                return Ok(Some((report, fds)));
            }
        }
    }

    /// Waits until a report is there and returns it; `None` when the keeper is lost. For the hand-over only.
    pub(super) fn wait(&mut self) -> Option<(Report, Vec<OwnedFd>)> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        loop {
            match self.receive() {
                Ok(report) => return report,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let _ =
                        poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
                }
                Err(_) => return None,
            }
        }
    }

    /// Waits until everything has gone out, or the keeper is lost. For the last words only.
    pub(super) fn drain(&mut self) {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        self.flush();
        while !self.outbox.is_empty() {
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT)];
            let _ = poll(&mut fds, PollTimeout::NONE);
            if fds[0].revents().is_some_and(|r| r.contains(PollFlags::POLLHUP)) {
                return;
            }
            self.flush();
        }
    }

    /// Replaces the connection by one to a new keeper; what waited for the old one is lost with it.
    pub(super) fn replace(&mut self, socket: OwnedFd) {
        *self = Link::new(socket);
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::protocol::Whom;
    use crate::model::Signal;
    use crate::sys::fd;

    /// A link whose other side reads nothing, and that is full.
    fn full() -> io::Result<(Link, OwnedFd)> {
        let (ours, theirs) = fdpass::pair()?;
        let mut link = Link::new(ours);
        while !link.is_full() {
            link.send(Request::Taken, Vec::new());
        }
        Ok((link, theirs))
    }

    #[test]
    fn signals_for_a_keeper_that_stands_still_are_as_many_as_the_limit() -> io::Result<()> {
        let (mut link, _theirs) = full()?;
        let before = link.outbox.len();
        let signal = |run| Request::Signal { run, signal: Signal::KILL, whom: Whom::Main };
        (0..10).for_each(|_| link.send(signal(1), Vec::new()));
        assert_eq!(link.outbox.len(), before + 1, "several of a kind come as one");
        (0..2 * SIGNALS_WAITING_MAX as u64).for_each(|run| link.send(signal(run), Vec::new()));
        assert_eq!(link.outbox.len(), before + SIGNALS_WAITING_MAX);
        Ok(())
    }

    #[test]
    fn only_the_latest_descriptor_to_hold_waits() -> io::Result<()> {
        let (mut link, _theirs) = full()?;
        let before = link.outbox.len();
        for _ in 0..10 {
            link.send(Request::Hold { key: 1 }, vec![fd::pipe()?.0]);
            link.send(Request::Hold { key: 2 }, vec![fd::pipe()?.0]);
        }
        assert_eq!(link.outbox.len(), before + 2);
        Ok(())
    }
}
