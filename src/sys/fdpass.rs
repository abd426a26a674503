//! Bytes with descriptors over a stream socket pair (unix(7), `SCM_RIGHTS`).

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Most descriptors that travel with one piece of bytes: a program's three streams and one spare.
pub const FDS_MAX: usize = 4;

/// Makes a connected pair of stream sockets, close-on-exec.
///
/// # Errors
/// As socketpair(2).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(target_os = "linux")]
    let flags = SockFlag::SOCK_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = SockFlag::empty();
    let (a, b) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags)?;
    #[cfg(not(target_os = "linux"))]
    for end in [&a, &b] {
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok((a, b))
}

/// Sends bytes, with descriptors where there are some; returns how many bytes went.
///
/// # Errors
/// `WouldBlock` when the socket is full, and as sendmsg(2).
pub fn send(socket: &impl AsFd, bytes: &[u8], fds: &[RawFd]) -> io::Result<usize> {
    let iov = [IoSlice::new(bytes)];
    let rights = [ControlMessage::ScmRights(fds)];
    let control: &[ControlMessage<'_>] = if fds.is_empty() { &[] } else { &rights };
    #[cfg(target_os = "linux")]
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    #[cfg(not(target_os = "linux"))]
    let flags = MsgFlags::MSG_DONTWAIT;
    loop {
        match sendmsg::<()>(socket.as_fd().as_raw_fd(), &iov, control, flags, None) {
            Err(Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Receives bytes into `buffer` and descriptors into `fds`; returns how many bytes came, 0 at the end.
///
/// # Errors
/// `WouldBlock` when nothing is there, and as recvmsg(2).
pub fn receive(socket: &impl AsFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut control = nix::cmsg_space!([RawFd; FDS_MAX]);
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a C struct of numbers and pointers, for which all zeroes is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut iov, 1);
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.capacity() as _;
    #[cfg(target_os = "linux")]
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    #[cfg(not(target_os = "linux"))]
    let flags = libc::MSG_DONTWAIT;
    let count = loop {
        // SAFETY: the header points to two live buffers of this frame's, with their lengths.
        let count = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, flags) };
        match usize::try_from(count) {
            Ok(count) => break count,
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    };
    // What a full table kept out is missing (`MSG_CTRUNC`), and the bytes are taken all the same: whoever knows
    // the message sees that there are too few. `nix` would lose the bytes and leak what did arrive.
    take_rights(&message, fds);
    #[cfg(not(target_os = "linux"))]
    for fd in fds.iter() {
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok(count)
}

/// Takes the descriptors out of a received message.
fn take_rights(message: &libc::msghdr, fds: &mut Vec<OwnedFd>) {
    // SAFETY: the kernel has filled the header and its control buffer, which outlive this borrow.
    let mut part = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !part.is_null() {
        // SAFETY: the two macros return null or a whole, aligned header inside the control buffer.
        let header = unsafe { *part };
        // SAFETY: only computes where the header's content begins.
        let content = unsafe { libc::CMSG_DATA(part) }.cast::<RawFd>();
        let before = content as usize - part as usize;
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            for n in 0..(header.cmsg_len as usize).saturating_sub(before) / size_of::<RawFd>() {
                // SAFETY: the header's length says that so many numbers follow it.
                let at = unsafe { content.add(n) };
                // SAFETY: as above; the number may stand at any address.
                let number = unsafe { at.read_unaligned() };
                // SAFETY: the kernel has just made this number for us, and nobody else knows it.
                fds.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: a header of this message, as returned by the macros.
        part = unsafe { libc::CMSG_NXTHDR(message, part) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_descriptor_arrives_with_the_bytes_it_was_sent_with() -> io::Result<()> {
        let (a, b) = pair()?;
        let (read, write) = crate::sys::fd::pipe()?;
        send(&a, b"first", &[])?;
        send(&a, b"other", &[read.as_raw_fd()])?;
        let (mut buffer, mut fds) = ([0; 5], vec![]);
        assert_eq!((receive(&b, &mut buffer, &mut fds)?, fds.len()), (5, 0));
        assert_eq!((receive(&b, &mut buffer, &mut fds)?, &buffer, fds.len()), (5, b"other", 1));
        drop(read);
        std::fs::File::from(write).write_all(b"through")?;
        let mut text = String::new();
        std::fs::File::from(fds.remove(0)).read_to_string(&mut text)?;
        assert_eq!(text, "through");
        Ok(())
    }

    /// In a child of its own, because the limit counts for the whole process.
    #[test]
    fn bytes_arrive_also_where_there_is_no_room_for_their_descriptors() -> io::Result<()> {
        use crate::sys::process::{Forked, Limited, fork, wait_for};
        let (a, b) = pair()?;
        send(&a, b"first", &[a.as_raw_fd(), b.as_raw_fd()])?;
        send(&a, b"other", &[])?;
        let (mut buffer, mut fds) = ([0; 5], Vec::with_capacity(2));
        // SAFETY: the child makes system calls on what was allocated before, and ends at once.
        match unsafe { fork() }? {
            Forked::Child => {
                let limited = Limited::Files.set(0, 0);
                let first = receive(&b, &mut buffer, &mut fds);
                let is_whole =
                    limited.is_ok() && matches!(first, Ok(5)) && buffer == *b"first" && fds.is_empty();
                let next = receive(&b, &mut buffer, &mut fds);
                let goes_on = matches!(next, Ok(5)) && buffer == *b"other";
                // SAFETY: _exit ends the process and takes a number.
                unsafe { libc::_exit(i32::from(!(is_whole && goes_on))) }
            }
            Forked::Parent(pid) => {
                assert_eq!(wait_for(pid)?, crate::model::ExitStatus::Code(0));
                Ok(())
            }
        }
    }

    #[test]
    fn an_empty_socket_would_block_and_a_closed_one_ends() -> io::Result<()> {
        let (a, b) = pair()?;
        let (mut buffer, mut fds) = ([0; 5], vec![]);
        let error = receive(&b, &mut buffer, &mut fds).map_err(|e| e.kind());
        assert_eq!(error, Err(io::ErrorKind::WouldBlock));
        drop(a);
        assert_eq!(receive(&b, &mut buffer, &mut fds)?, 0);
        Ok(())
    }
}
