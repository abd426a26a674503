//! Connections of tests, with a small buffer.

use super::*;
use std::os::unix::net::UnixStream;

type Test = Result<(), Box<dyn std::error::Error>>;

const NOW: Time = Time(1);

/// A connection with a small buffer on which a request is being answered, and its client.
fn asked() -> Result<(Connection, UnixStream), Box<dyn std::error::Error>> {
    let (near, mut far) = UnixStream::pair()?;
    nix::sys::socket::setsockopt(&near, nix::sys::socket::sockopt::SndBuf, &4096)?;
    near.set_nonblocking(true)?;
    let mut connection = Connection::new(Stream::Unix(near), Rc::new(Door::of_owner()));
    far.write_all(b"GET /v1/log HTTP/1.1\r\nHost: x\r\n\r\n")?;
    connection.read(NOW);
    assert!(connection.next_request().is_some());
    Ok((connection, far))
}

#[test]
fn an_answer_must_be_read_in_time_and_a_stream_need_not() -> Test {
    let (mut connection, _far) = asked()?;
    connection.reply_bytes(&vec![0; STREAM_UNREAD_MAX_BYTES]);
    connection.flush(NOW);
    assert_eq!(connection.deadline(), Some(NOW.after(UNREAD_TIME)));
    let (mut connection, _far) = asked()?;
    connection.begin_stream(JSON, &[]);
    while connection.stream(&[0; 1024]) {
        connection.flush(NOW);
    }
    assert_eq!(connection.deadline(), None);
    connection.end_stream();
    connection.flush(NOW);
    assert_eq!(connection.deadline(), Some(NOW.after(UNREAD_TIME)), "the last of it");
    Ok(())
}

#[test]
fn a_reader_who_never_catches_up_does_not_make_it_grow() -> Test {
    let (mut connection, mut far) = asked()?;
    connection.begin_stream(JSON, &[]);
    let mut piece = [0; 4096];
    for _ in 0..1000 {
        while connection.stream(&[0; 4096]) {}
        connection.flush(NOW);
        assert!(!connection.out.is_empty(), "it is behind");
        let held = connection.out.capacity();
        assert!(held <= 4 * STREAM_UNREAD_MAX_BYTES, "{held} bytes are held");
        far.read_exact(&mut piece)?;
    }
    Ok(())
}
