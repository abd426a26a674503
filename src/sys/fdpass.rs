//! Bytes with descriptors over a stream socket pair (unix(7), `SCM_RIGHTS`).

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
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
    let mut iov = [IoSliceMut::new(buffer)];
    #[cfg(target_os = "linux")]
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    #[cfg(not(target_os = "linux"))]
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = loop {
        match recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut iov, Some(&mut control), flags) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            // SAFETY: the kernel has just made these numbers for us, and nobody else knows them.
            fds.extend(numbers.into_iter().map(|n| unsafe { OwnedFd::from_raw_fd(n) }));
        }
    }
    #[cfg(not(target_os = "linux"))]
    for fd in fds.iter() {
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok(message.bytes)
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
