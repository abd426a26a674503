//! Unix sockets and TCP as one: listeners and the connections that they accept.

use crate::model::Uid;
use crate::sys::{listen, peer, tcp};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};

/// What clients connect to.
#[derive(Debug)]
pub(in crate::daemon) enum Listener {
    /// A socket in the file system.
    Unix(UnixListener),
    /// A TCP port.
    Tcp(TcpListener),
}

impl Listener {
    /// Takes the next connection; it does not block.
    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Unix(listener) => accept(listener),
            Listener::Tcp(listener) => {
                let stream = TcpStream::from(listen::accept(listener)?);
                // Answers are written as a whole; nothing is won by waiting for more.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }

    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Listener::Unix(listener) => listener.set_nonblocking(true),
            Listener::Tcp(listener) => listener.set_nonblocking(true),
        }
    }
}

/// Takes the next connection of a socket in the file system; it does not block.
pub(super) fn accept(listener: &UnixListener) -> io::Result<Stream> {
    Ok(Stream::Unix(UnixStream::from(listen::accept(listener)?)))
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Listener::Unix(listener) => listener.as_raw_fd(),
            Listener::Tcp(listener) => listener.as_raw_fd(),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Returns whose it is, where the system knows.
    pub(super) fn peer(&self) -> Option<Uid> {
        let uid = match self {
            Stream::Unix(stream) => listen::peer_uid(stream),
            Stream::Tcp(stream) => tcp::peer_uid(stream),
        };
        uid.ok().map(Uid)
    }

    /// Returns the groups of whose it is; none where the system does not know.
    pub(super) fn peer_groups(&self) -> Vec<u32> {
        match self {
            Stream::Unix(stream) => peer::groups(stream).unwrap_or_default(),
            Stream::Tcp(_) => Vec::new(),
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Stream::Unix(stream) => stream.as_raw_fd(),
            Stream::Tcp(stream) => stream.as_raw_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(buffer),
            Stream::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
