//! A connection against a server that is a thread with a script.

use super::*;
use crate::api::http::{Limits, RequestParser};
use crate::client::wait::ANSWER_TIMEOUT;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

/// Answers each request with the next text of the script, then closes; returns what was asked.
fn server(script: &'static [&'static str]) -> (Connection, JoinHandle<Vec<String>>) {
    let (near, mut far) = UnixStream::pair().expect("a pair of sockets");
    let thread = thread::spawn(move || {
        let (mut parser, mut asked) = (RequestParser::new(Limits::default()), Vec::new());
        let mut buffer = [0; 4096];
        for answer in script {
            let request = loop {
                match parser.next() {
                    Some(request) => break request,
                    None => match far.read(&mut buffer) {
                        Ok(count @ 1..) => parser.feed(&buffer[..count]),
                        _ => return asked,
                    },
                }
            };
            let request = request.expect("our own request");
            asked.push(format!("{request:?} {}", String::from_utf8_lossy(&request.body)));
            far.write_all(answer.as_bytes()).expect("the client reads");
        }
        asked
    });
    (Connection::new(near, "/test.sock".into()), thread)
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

#[test]
fn questions_follow_each_other_on_one_connection() {
    let (mut connection, thread) = server(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"api\":1}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]);
    assert_eq!(connection.get::<v1::Version>(v1::path::VERSION).map(|version| version.api), Ok(1));
    let names = v1::Names { names: vec!["web".into()], ..v1::Names::default() };
    let results = connection.post::<v1::Results>(v1::path::START, &names, &mut Wait::default());
    assert_eq!(results, Ok(v1::Results::default()));
    let asked = thread.join().unwrap_or_default();
    let body = r#"{"names":["web"],"wait":true,"timeout_ms":null}"#;
    assert_eq!(
        asked,
        ["Get /v1/version (0 bytes) ".to_owned(), format!("Post /v1/start ({} bytes) {body}", body.len())]
    );
}

#[test]
fn each_way_to_fail_is_told() {
    for (answer, expected) in [
        (
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n{\"error\":{\"code\":\"forbidden\",\"message\":\"no\",\"hint\":\"ask\"}}",
            "no (ask)",
        ),
        ("HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}", "different versions"),
        ("HTTP/1.1 404 X\r\n\r\n{\"error\":{\"code\":\"not_found\",\"message\":\"no path\"}}", "no path"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "different versions"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "different versions"),
        ("", "closed without an answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", "in the middle of an answer"),
    ] {
        let script: &'static [&'static str] = Box::leak(Box::new([answer]));
        let (mut connection, _thread) = server(script);
        let error = connection.get::<v1::Version>("/v1/version").err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{answer:?}: {error:?}");
    }
}

#[test]
fn a_daemon_that_does_not_answer_is_not_waited_for_for_ever() {
    let (near, _far) = UnixStream::pair().expect("a pair of sockets");
    let mut connection = Connection::new(near, "/test.sock".into());
    let mut wait = Wait { timeout: Some(Duration::from_millis(20)), ..Wait::default() };
    let answer = connection.post::<v1::Done>("/v1/shutdown", &v1::Done::default(), &mut wait);
    assert!(matches!(answer, Err(Failure::TimedOut(_))), "{answer:?}");
    assert!(ANSWER_TIMEOUT > Duration::from_secs(1));
}

#[test]
fn a_stream_gives_what_came_with_its_head_and_what_comes_later() {
    let (connection, thread) =
        server(&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"]);
    let mut stream = connection.stream("/v1/follow", &()).expect("a stream");
    let mut all = stream.begun();
    while !stream.has_ended() {
        all.extend(stream.read().expect("more"));
    }
    assert_eq!((all.as_slice(), thread.join().unwrap_or_default().len()), (&b"abcde"[..], 1));
}

#[test]
fn a_stream_that_is_refused_is_a_failure() {
    let (connection, _thread) =
        server(&["HTTP/1.1 404 X\r\n\r\n{\"error\":{\"code\":\"no_such_process\",\"message\":\"no web\"}}"]);
    let failure = connection.stream("/v1/follow", &()).err();
    assert!(matches!(failure, Some(Failure::Refused { status: 404, .. })), "{failure:?}");
}

#[test]
fn the_end_of_the_connection_can_be_waited_for() {
    let (mut connection, _thread) = server(&[EMPTY]);
    assert!(connection.fetch("/v1/version").is_ok());
    assert_eq!(connection.closed(&mut Wait::default()), Ok(()));
}
