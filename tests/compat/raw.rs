//! Bytes to a server, and what comes back.

use crate::common::wait::LONG;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection of either kind.
pub(super) trait Wire: Read + Write {}
impl Wire for UnixStream {}
impl Wire for TcpStream {}

/// Connects to a socket; a read from it fails when nothing comes for long.
pub(super) fn unix(path: &Path) -> Box<dyn Wire> {
    let stream =
        UnixStream::connect(path).unwrap_or_else(|error| panic!("connect {}: {error}", path.display()));
    stream.set_read_timeout(Some(LONG)).expect("a timeout of ours");
    Box::new(stream)
}

/// Connects to a port of this machine.
pub(super) fn tcp(port: u16) -> Box<dyn Wire> {
    let stream =
        TcpStream::connect(("127.0.0.1", port)).unwrap_or_else(|error| panic!("connect {port}: {error}"));
    stream.set_read_timeout(Some(LONG)).expect("a timeout of ours");
    Box::new(stream)
}

/// Sends bytes and returns everything that comes until the daemon closes.
pub(super) fn exchange(mut wire: Box<dyn Wire>, bytes: &[u8]) -> String {
    // The daemon may close before it has read everything: what it said still counts.
    let _ = wire.write_all(bytes);
    let mut reply = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match wire.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => reply.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {} bytes", reply.len()),
        }
    }
    String::from_utf8_lossy(&reply).into_owned()
}

/// Reads until what came holds a text, and returns all of it.
pub(super) fn read_until(wire: &mut dyn Wire, text: &str) -> String {
    let mut reply = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let so_far = String::from_utf8_lossy(&reply).into_owned();
        if so_far.contains(text) {
            return so_far;
        }
        match wire.read(&mut piece) {
            Ok(count) if count > 0 => reply.extend_from_slice(&piece[..count]),
            other => panic!("waited in vain for {text:?} ({other:?}): {so_far}"),
        }
    }
}

/// The status of a reply, as `431`.
pub(super) fn status(reply: &str) -> &str {
    let rest = reply.strip_prefix("HTTP/1.1 ").or(reply.strip_prefix("HTTP/1.0 "));
    rest.and_then(|rest| rest.get(..3)).unwrap_or("none")
}

/// A call without parameters, as a request; `headers` end in a line end each.
pub(super) fn call(method: &str, headers: &str) -> String {
    post(&format!("<?xml version='1.0'?><methodCall><methodName>{method}</methodName></methodCall>"), headers)
}

/// A body for `/RPC2`, as a request.
pub(super) fn post(body: &str, headers: &str) -> String {
    format!("POST /RPC2 HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}
