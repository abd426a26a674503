//! Who is at the other end of a unix socket: the kernel says, so nobody can pretend.
//!
//! Knows no rights. Example: a server takes a client whose `peer::uid` is its own, and a client such a server.

use crate::model::Uid;
use std::io;
use std::os::fd::AsFd;

/// Returns the effective user id that the peer had when it connected, or, seen from the client, when the server
/// began to listen (SO_PEERCRED).
///
/// # Errors
/// When it is not a connected unix socket.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn uid(socket: &impl AsFd) -> io::Result<Uid> {
    let credentials = nix::sys::socket::getsockopt(socket, nix::sys::socket::sockopt::PeerCredentials)?;
    Ok(Uid(credentials.uid()))
}

/// Returns the effective user id that the peer had when it connected, or, seen from the client, when the server
/// began to listen (getpeereid(3)).
///
/// # Errors
/// When it is not a connected unix socket.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn uid(socket: &impl AsFd) -> io::Result<Uid> {
    let (uid, _gid) = nix::unistd::getpeereid(socket.as_fd())?;
    Ok(Uid(uid.as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn both_ends_of_our_own_socket_are_ours() -> io::Result<()> {
        let (left, right) = UnixStream::pair()?;
        let own = Uid(crate::sys::identity::uid());
        assert_eq!((uid(&left)?, uid(&right)?), (own, own));
        Ok(())
    }

    #[test]
    fn what_is_no_socket_has_no_peer() -> io::Result<()> {
        assert!(uid(&std::fs::File::open("/dev/null")?).is_err());
        Ok(())
    }
}
