//! Messages as they come in, whole or in pieces: the same on both sides.

use super::protocol::{MESSAGE_SIZE_BYTES, Wire};
use crate::sys::fdpass;
use std::io;
use std::os::fd::OwnedFd;

/// Puts the bytes of a stream together to messages, each with the descriptors that came along.
#[derive(Debug)]
pub struct Inbox {
    wire: Wire,
    have: usize,
    fds: Vec<OwnedFd>,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox { wire: [0; MESSAGE_SIZE_BYTES], have: 0, fds: Vec::new() }
    }
}

impl Inbox {
    /// Returns the next message; `None` at the end of the connection.
    ///
    /// # Errors
    /// `WouldBlock` when no whole message is there yet, and as recvmsg(2).
    pub fn receive(&mut self, socket: &OwnedFd) -> io::Result<Option<(Wire, Vec<OwnedFd>)>> {
        loop {
            match fdpass::receive(socket, &mut self.wire[self.have..], &mut self.fds)? {
                0 => return Ok(None),
                count => self.have += count,
            }
            if self.have == MESSAGE_SIZE_BYTES {
                self.have = 0;
                return Ok(Some((self.wire, std::mem::take(&mut self.fds))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_pieces_is_put_together() -> io::Result<()> {
        let (a, b) = fdpass::pair()?;
        let mut inbox = Inbox::default();
        fdpass::send(&a, &[1; 10], &[])?;
        assert!(inbox.receive(&b).is_err(), "not whole yet");
        fdpass::send(&a, &[2; 54 + 64], &[])?;
        let first = inbox.receive(&b)?.map(|(wire, _)| (wire[9], wire[10]));
        assert_eq!(first, Some((1, 2)));
        assert_eq!(inbox.receive(&b)?.map(|(wire, _)| wire), Some([2; 64]));
        drop(a);
        assert!(inbox.receive(&b)?.is_none());
        Ok(())
    }
}
