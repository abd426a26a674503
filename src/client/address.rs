//! Where a daemon is that is named by a URL: `unix:///path`, `http://host:port` (supervisor 4.3 xmlrpc.py
//! `SupervisorTransport`).
//!
//! Whoever writes the URL says whom to trust: unlike at the places that [`super::find`] guesses, nobody is asked who
//! listens there. Example: `Address::parse("unix:///tmp/s.sock")?.connect()`.

use crate::sys::listen;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// The longest wait for one address of a host, or for a daemon whose queue of new connections is full.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The port of a URL that names none.
const HTTP_PORT: u16 = 80;

/// What a URL leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A port.
    Tcp {
        /// A name or a number, without the brackets of IPv6.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// Reads a URL; what follows the port is not looked at.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Address, String> {
        if let Some(path) = url.strip_prefix("unix://") {
            return Ok(Address::Unix(path.into()));
        }
        let rest =
            url.strip_prefix("http://").ok_or_else(|| format!("Unknown protocol for serverurl {url}"))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match place.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
            None => place.split_once(':').unwrap_or((place, "")),
        };
        let port = if port.is_empty() { Ok(HTTP_PORT) } else { port.parse() };
        match port {
            _ if host.is_empty() => Err(format!("no host in serverurl {url}")),
            Ok(port) => Ok(Address::Tcp { host: host.to_owned(), port }),
            Err(_) => Err(format!("no port number in serverurl {url}")),
        }
    }

    /// Connects; of the addresses of a host the first that answers is taken.
    ///
    /// # Errors
    /// As connect(2) and getaddrinfo(3): of the address that was tried last.
    pub fn connect(&self) -> io::Result<Socket> {
        let (host, port) = match self {
            Address::Unix(path) => return listen::connect_path(path, CONNECT_TIMEOUT).map(Socket::Unix),
            Address::Tcp { host, port } => (host.as_str(), *port),
        };
        let mut failure = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => return Ok(Socket::Tcp(stream)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Returns what a request names as its host.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Address::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

/// A connected socket of either kind.
#[derive(Debug)]
pub enum Socket {
    /// Of this machine.
    Unix(UnixStream),
    /// Of any machine.
    Tcp(TcpStream),
}

impl Socket {
    /// Sets the longest wait for a daemon that does not read what we send.
    ///
    /// # Errors
    /// As setsockopt(2).
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Socket::Unix(stream) => stream.set_write_timeout(timeout),
            Socket::Tcp(stream) => stream.set_write_timeout(timeout),
        }
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Socket {
        Socket::Unix(stream)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Unix(stream) => stream.as_fd(),
            Socket::Tcp(stream) => stream.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(stream) => stream.read(buffer),
            Socket::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(stream) => stream.write(bytes),
            Socket::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn urls_lead_where_supervisorctl_goes() {
        for (url, address, host) in [
            ("unix:///tmp/s.sock", Address::Unix("/tmp/s.sock".into()), "localhost"),
            ("unix://s.sock", Address::Unix("s.sock".into()), "localhost"),
            ("http://localhost:9001", tcp("localhost", 9001), "localhost:9001"),
            ("http://10.0.0.1", tcp("10.0.0.1", 80), "10.0.0.1:80"),
            ("http://user:word@h:1/RPC2?x", tcp("h", 1), "h:1"),
            ("http://[::1]:9001/", tcp("::1", 9001), "[::1]:9001"),
        ] {
            let parsed = Address::parse(url);
            assert_eq!(parsed.as_ref().map(Address::host), Ok(host.to_owned()), "{url}");
            assert_eq!(parsed, Ok(address));
        }
    }

    #[test]
    fn urls_that_lead_nowhere_are_told() {
        for (url, why) in [
            ("https://h", "Unknown protocol for serverurl https://h"),
            ("/tmp/s.sock", "Unknown protocol for serverurl /tmp/s.sock"),
            ("http://", "no host in serverurl http://"),
            ("http://h:x", "no port number in serverurl http://h:x"),
            ("http://h:65536", "no port number in serverurl http://h:65536"),
        ] {
            assert_eq!(Address::parse(url), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_port_is_connected_to() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = tcp("127.0.0.1", listener.local_addr()?.port());
        address.connect()?.write_all(b"x")?;
        let mut byte = [0];
        listener.accept()?.0.read_exact(&mut byte)?;
        assert_eq!(byte, *b"x");
        drop(listener);
        assert_eq!(address.connect().map_err(|e| e.kind()).err(), Some(io::ErrorKind::ConnectionRefused));
        Ok(())
    }
}
