//! The reactor's end of the connection to the keeper.
//!
//! Requests wait here while the keeper is slow (stopped by a terminal, say); their number is bounded by the
//! runs that the core allows. Example: `link.send(Request::Ready, None)`.

use crate::keeper::protocol::{Report, Request, Wire};
use crate::keeper::wire::Inbox;
use crate::sys::fdpass;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

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
        self.outbox.push_back(Waiting { wire: request.encode(), fds, done: 0 });
        self.flush();
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
