//! TCP on this machine: a port to listen at, and whose process is at the other end of a connection.
//!
//! Example: `peer_uid(&stream)` of a connection from 127.0.0.1 is the user who made it, as the kernel's table says.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, ToSocketAddrs};

/// Finds the address of a host as supervisord does: IPv4 alone, and every interface for an empty name.
///
/// Waits for the resolver where the host is neither an address nor `localhost`.
///
/// # Errors
/// As getaddrinfo(3), and when the host has no IPv4 address.
pub fn resolve(host: &str, port: u16) -> io::Result<SocketAddrV4> {
    let known = match host {
        "" => Some(Ipv4Addr::UNSPECIFIED),
        "localhost" => Some(Ipv4Addr::LOCALHOST),
        address => address.parse().ok(),
    };
    if let Some(address) = known {
        return Ok(SocketAddrV4::new(address, port));
    }
    let found = (host, port).to_socket_addrs()?.find_map(|address| match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    });
    found.ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no IPv4 address"))
}

/// Listens at a port; what ended there a moment ago does not stand in the way.
///
/// # Errors
/// As socket(2), bind(2) and listen(2).
pub fn listen(address: SocketAddrV4) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// Returns the user id of the process at the other end of a connection within this machine.
///
/// # Errors
/// When the other end is not of this machine, has been closed already, or the system does not tell.
pub fn peer_uid(stream: &TcpStream) -> io::Result<u32> {
    match (stream.peer_addr()?, stream.local_addr()?) {
        (SocketAddr::V4(peer), SocketAddr::V4(own)) => platform::owner_of(peer, own),
        _ => Err(unknown()),
    }
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "nothing is known of the process at the other end")
}

#[cfg(target_os = "linux")]
mod platform {
    use super::{SocketAddrV4, io, unknown};
    use std::io::{BufRead, BufReader};

    /// `TCP_ESTABLISHED` of the kernel's tcp_states.h.
    const ESTABLISHED: &str = "01";
    /// How often the table is read: while others come and go in it, a row can be passed over.
    const READS_MAX: usize = 3;

    pub(super) fn owner_of(socket: SocketAddrV4, peer: SocketAddrV4) -> io::Result<u32> {
        for _ in 0..READS_MAX {
            let table = BufReader::new(std::fs::File::open("/proc/net/tcp")?);
            for line in table.lines().skip(1) {
                if let Some(owner) = owner_in(&line?, socket, peer) {
                    return Ok(owner);
                }
            }
        }
        Err(unknown())
    }

    /// Reads a row: number, local and remote address, state, queues, timer, retransmits, uid, timeout, inode (proc(5)).
    /// A socket that nobody holds any more has no inode, and says that it is root's.
    pub(super) fn owner_in(row: &str, local: SocketAddrV4, remote: SocketAddrV4) -> Option<u32> {
        let mut fields = row.split_ascii_whitespace().skip(1);
        if fields.next()? != shown(local) || fields.next()? != shown(remote) || fields.next()? != ESTABLISHED
        {
            return None;
        }
        let mut rest = fields.skip(3);
        let (uid, inode) = (rest.next()?, rest.nth(1)?);
        if inode == "0" { None } else { uid.parse().ok() }
    }

    /// An address as the table has it: the bytes of the address read as a number of this machine.
    pub(super) fn shown(address: SocketAddrV4) -> String {
        format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::{SocketAddrV4, io, unknown};

    /// There is no table of sockets with their users that everybody may read.
    pub(super) fn owner_of(_socket: SocketAddrV4, _peer: SocketAddrV4) -> io::Result<u32> {
        Err(unknown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_resolver() {
        for (host, expected) in
            [("", "0.0.0.0:9001"), ("localhost", "127.0.0.1:9001"), ("10.1.2.3", "10.1.2.3:9001")]
        {
            assert_eq!(
                resolve(host, 9001).map(|address| address.to_string()).ok().as_deref(),
                Some(expected)
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peer_of_a_connection_is_known_until_it_is_closed() -> io::Result<()> {
        let listener = listen(resolve("localhost", 0)?)?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        assert_eq!(peer_uid(&server)?, nix::unistd::getuid().as_raw());
        drop(client);
        assert!(peer_uid(&server).is_err(), "a socket that is closed must not count as root's");
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_row_without_an_inode_is_nobodys() {
        let (local, remote) =
            ("127.0.0.1:4660".parse().expect("one"), "127.0.0.1:22136".parse().expect("one"));
        let (a, b) = (platform::shown(local), platform::shown(remote));
        let row = |state: &str, inode: &str| {
            format!(
                "   3: {a} {b} {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0 20 4 0 10 -1"
            )
        };
        for (row, expected) in [
            (row("01", "4711"), Some(1000)),
            (row("01", "0"), None),
            (row("06", "4711"), None),
            ("  sl  local_address rem_address   st".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(platform::owner_in(&row, local, remote), expected, "{row}");
        }
        assert_eq!(platform::owner_in(&row("01", "4711"), remote, local), None);
    }
}
