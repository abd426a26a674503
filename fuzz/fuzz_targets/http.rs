//! A connection that sends anything, cut anywhere: nothing panics, how the bytes are cut changes nothing, and no more
//! is kept than the limits allow. The first byte says how long the pieces are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visor::api::http::{HttpError, Limits, Request, RequestParser, ResponseParser};

/// Small, so that the bounds are met.
const LIMITS: Limits = Limits { head_bytes: 512, body_bytes: 256 };

fn requests(data: &[u8], piece: usize) -> Vec<Result<Request, HttpError>> {
    let mut parser = RequestParser::new(LIMITS);
    let mut requests = Vec::new();
    let mut rest = data;
    loop {
        let fed = rest.len().min(piece).min(parser.room());
        parser.feed(&rest[..fed]);
        rest = &rest[fed..];
        let before = requests.len();
        requests.extend(&mut parser);
        if rest.is_empty() || matches!(requests.last(), Some(Err(_))) {
            return requests;
        }
        assert!(fed > 0 || requests.len() > before, "a parser that takes nothing and gives nothing");
    }
}

fn response(data: &[u8], piece: usize) -> Result<(bool, Vec<u8>), HttpError> {
    let mut parser = ResponseParser::new(false);
    for piece in data.chunks(piece) {
        parser.feed(piece)?;
    }
    parser.close()?;
    Ok((parser.is_done(), parser.take_body()))
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let piece = usize::from(*first).max(1);
    assert_eq!(requests(data, data.len().max(1)), requests(data, piece));
    let (whole, cut) = (response(data, data.len().max(1)), response(data, piece));
    assert_eq!(whole.is_ok(), cut.is_ok());
    if let (Ok(whole), Ok(cut)) = (whole, cut) {
        assert_eq!(whole, cut);
    }
});
