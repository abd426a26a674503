//! Requests from bytes: the leniencies, the limits, and that no cut and no garbage matters.

use super::*;
use crate::api::http::{BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX};
use proptest::prelude::*;

fn all(bytes: &[u8]) -> Vec<Result<Request, HttpError>> {
    let mut parser = RequestParser::new(Limits::default());
    parser.feed(bytes);
    parser.collect()
}

fn one(text: &str) -> Request {
    let mut requests = all(text.as_bytes());
    assert_eq!(requests.len(), 1, "{text:?}: {requests:?}");
    requests.remove(0).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn refused(text: &str) -> HttpError {
    match all(text.as_bytes()).as_slice() {
        [Err(error)] => *error,
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn a_request_is_read_with_its_parts() {
    let request =
        one("POST /v1/start?a=1&a=2 HTTP/1.1\r\nHost: x\r\nCONTENT-LENGTH:  3 \r\nX-A:\tb \r\n\r\nabc");
    assert_eq!(
        (request.method, request.path.as_str(), request.body.as_slice()),
        (Method::Post, "/v1/start", &b"abc"[..])
    );
    assert_eq!(request.parameters("a").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(request.headers.get("x-a"), Some("b"));
    assert!(request.exchange.keep_alive);
    assert_eq!(format!("{request:?}"), "Post /v1/start (3 bytes)");
}

#[test]
fn what_supervisords_clients_send_is_taken() {
    assert_eq!(one("\r\n\r\nGET /a HTTP/1.1\r\n\r\n").path, "/a");
    assert_eq!(one("GET /logtail/öäü/stdout HTTP/1.1\r\nHost: \r\n\r\n").path, "/logtail/öäü/stdout");
    assert_eq!(one("GET /a HTTP/1.1\nHost:localhost\n\n").headers.get("host"), Some("localhost"));
    let twice = all(b"GET /a HTTP/1.1\r\n\r\n\r\nGET /b HTTP/1.1\r\n\r\n\r\n");
    let paths: Vec<_> = twice.iter().flatten().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/a", "/b"]);
    // `curl -X POST` states no length: there is no body.
    assert_eq!(one("POST /v1/reread HTTP/1.1\r\n\r\n").content_length, None);
}

#[test]
fn what_two_readers_could_cut_differently_is_refused() {
    for (text, status) in [
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 411),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        ("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n folded: b\r\n\r\n", 400),
        ("GET /%zz HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("GET /\r\n\r\n", 400),
        ("\0\0\0\r\n\r\n", 400),
    ] {
        assert_eq!(refused(text).status(), status, "{text:?}");
    }
}

#[test]
fn nothing_is_read_behind_an_error() {
    let mut parser = RequestParser::new(Limits::default());
    parser.feed(b"junk\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    assert!(parser.next().is_some_and(|first| first.is_err()));
    parser.feed(b"GET / HTTP/1.1\r\n\r\n");
    assert!(parser.next().is_none() && !parser.is_in_request());
}

#[test]
fn a_head_may_be_as_large_as_the_limit_and_no_larger() {
    let head = |size: usize| {
        let frame = "GET / HTTP/1.1\r\nA: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(size - frame))
    };
    assert_eq!(one(&head(HEAD_BYTES_MAX)).headers.get("a").map(str::len), Some(HEAD_BYTES_MAX - 23));
    assert_eq!(refused(&head(HEAD_BYTES_MAX + 1)), HttpError::HeadTooLarge(HEAD_BYTES_MAX));
    // One that never ends is refused as soon as it cannot end in time any more.
    assert_eq!(refused(&"x".repeat(HEAD_BYTES_MAX)), HttpError::HeadTooLarge(HEAD_BYTES_MAX));
    assert!(all("x".repeat(HEAD_BYTES_MAX - 1).as_bytes()).is_empty());
}

#[test]
fn there_may_be_as_many_headers_as_the_limit_and_no_more() {
    let head = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert_eq!(one(&head(HEADERS_MAX)).headers.all("a").count(), HEADERS_MAX);
    assert_eq!(refused(&head(HEADERS_MAX + 1)), HttpError::TooManyHeaders);
}

#[test]
fn a_body_may_be_as_large_as_the_limit_and_a_larger_one_is_refused_before_it_comes() {
    let head = |size: usize| format!("POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n");
    let text = head(BODY_BYTES_MAX) + &"x".repeat(BODY_BYTES_MAX);
    assert_eq!(one(&text).body.len(), BODY_BYTES_MAX);
    assert_eq!(refused(&head(BODY_BYTES_MAX + 1)), HttpError::BodyTooLarge(BODY_BYTES_MAX));
    assert_eq!(refused(&head(300 << 20)).status(), 413);
}

#[test]
fn room_is_for_one_largest_request() {
    let mut parser = RequestParser::new(Limits { head_bytes: 100, body_bytes: 50 });
    assert_eq!(parser.room(), 150);
    parser.feed(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    assert!(parser.is_in_request() && parser.next().is_none());
    assert_eq!((parser.room(), parser.awaited().map(|head| head.content_length)), (148, Some(Some(4))));
    parser.feed(b"cd");
    assert!(parser.next().is_some_and(|request| request.is_ok()));
    assert_eq!((parser.room(), parser.is_in_request()), (150, false));
}

#[test]
fn a_large_buffer_is_given_back_once_it_is_empty() {
    let mut parser = RequestParser::new(Limits::default());
    parser
        .feed(format!("POST / HTTP/1.1\r\nContent-Length: 500000\r\n\r\n{}", "x".repeat(500_000)).as_bytes());
    assert!(parser.next().is_some_and(|request| request.is_ok()));
    assert!(parser.buffer.capacity() <= BUFFER_KEPT_BYTES);
}

fn request_text() -> impl Strategy<Value = String> {
    let body = "[a-z\r\n]{0,40}";
    ("[\r\n]{0,4}", "(/[a-zö%2a]{0,8}){1,3}", "(A: b\r?\n){0,3}", body).prop_map(
        |(lead, path, headers, body)| {
            format!(
                "{lead}POST {} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}",
                path.replace('%', "%4"),
                body.len()
            )
        },
    )
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_requests(
        texts in proptest::collection::vec(request_text(), 1..4),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let text = texts.concat();
        let whole = all(text.as_bytes());
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        let mut parser = RequestParser::new(Limits::default());
        let mut pieces = Vec::new();
        for pair in places.windows(2) {
            parser.feed(&text.as_bytes()[pair[0]..pair[1]]);
            pieces.extend(parser.by_ref());
        }
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn garbage_never_panics(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..5)) {
        let mut parser = RequestParser::new(Limits { head_bytes: 64, body_bytes: 16 });
        for piece in pieces {
            parser.feed(&piece);
            parser.by_ref().for_each(drop);
        }
    }

    #[test]
    fn a_damaged_request_never_panics(text in request_text(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(all(&bytes));
    }
}
