//! What an event listener says, and output with passages to capture, cut anywhere: nothing panics, how the bytes are cut
//! changes nothing, and no more is kept than the limits allow. The first byte says how long the pieces are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visor::logs::capture::{Capture, Piece};
use visor::model::dialogue::{Dialogue, RESULT_MAX_BYTES, Said};

/// The bound of a passage: small, so that it is met.
const PASSAGE_MAX_BYTES: usize = 16;

/// What is said, where each READY gets an event at once. Of what is wrong only that it was said: how much of it had
/// come by then depends on the pieces.
fn conversation(data: &[u8], piece: usize) -> Vec<Result<Vec<u8>, &'static str>> {
    let (mut dialogue, mut all) = (Dialogue::default(), Vec::new());
    for piece in data.chunks(piece) {
        dialogue.feed(piece);
        while let Some(said) = dialogue.next_said() {
            all.push(match said {
                Said::Ready => {
                    dialogue.ask();
                    Err("ready")
                }
                Said::Result(result) => {
                    assert!(result.len() <= RESULT_MAX_BYTES);
                    Ok(result)
                }
                Said::BadResult(_) => Err("bad result"),
                Said::Noise => Err("noise"),
            });
        }
    }
    all
}

/// The plain output in one, and the passages.
fn captured(data: &[u8], piece: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut capture = Capture::new(PASSAGE_MAX_BYTES);
    let (mut plain, mut passages) = (Vec::new(), Vec::new());
    for piece in data.chunks(piece).flat_map(|piece| capture.feed(piece)) {
        match piece {
            Piece::Plain(bytes) => plain.extend(bytes),
            Piece::Captured(bytes) => passages.push(bytes),
        }
    }
    plain.extend(capture.finish());
    assert!(passages.iter().all(|passage| passage.len() <= PASSAGE_MAX_BYTES));
    (plain, passages)
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let (whole, piece) = (data.len().max(1), usize::from(*first).max(1));
    assert_eq!(conversation(data, whole), conversation(data, piece));
    assert_eq!(captured(data, whole), captured(data, piece));
});
