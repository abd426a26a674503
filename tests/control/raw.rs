//! The control socket without `visorctl`: bytes to it, and what comes back.

use crate::common::wait::LONG;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Connects to a socket; a read from it fails when nothing comes for long.
pub(super) fn connect(socket: &Path) -> UnixStream {
    let stream =
        UnixStream::connect(socket).unwrap_or_else(|error| panic!("connect {}: {error}", socket.display()));
    stream.set_read_timeout(Some(LONG)).expect("a timeout of ours");
    stream
}

/// Sends bytes and returns everything that comes until the daemon closes.
pub(super) fn exchange(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = connect(socket);
    // The daemon may close before it has read everything: what it said still counts.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => reply.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{}: {error} after {} bytes", socket.display(), reply.len()),
        }
    }
    String::from_utf8_lossy(&reply).into_owned()
}

/// Asks and returns the body of the reply, which must be a good one.
pub(super) fn get(socket: &Path, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let reply = exchange(socket, request.as_bytes());
    assert!(reply.starts_with("HTTP/1.1 200 "), "{target}: {reply}");
    reply.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// Begins a stream, and waits for its head.
pub(super) fn stream(socket: &Path, target: &str) -> UnixStream {
    let mut stream = connect(socket);
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the daemon reads");
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
    stream
}

/// The status of a reply, as `431`.
pub(super) fn status(reply: &str) -> &str {
    reply.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or("none")
}
