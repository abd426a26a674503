//! Capture mode: what a program says between two tags is an event, and not a line of its log.
//!
//! The tags are supervisord's (supervisor 4.3 `ProcessCommunicationEvent`), and the reads may cut them anywhere. Unlike
//! there, only what can be the beginning of a tag is held back, the end of the output gives it free, and the bound is
//! strict. Knows no slots and no listeners. Example: `Capture::new(1024).feed(b"a<!--XSUPERVISOR:BEGIN-->b...")`.

use memchr::memmem;
use std::collections::VecDeque;

/// What begins a passage.
pub const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";

/// What ends it.
pub const END: &[u8] = b"<!--XSUPERVISOR:END-->";

/// A piece of output, once it is known what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Output as any other.
    Plain(Vec<u8>),
    /// A whole passage: its last bytes, where it was longer than the bound.
    Captured(Vec<u8>),
}

/// Where in the output of one stream the input stands.
#[derive(Clone, Debug)]
pub struct Capture {
    max_bytes: usize,
    /// What was captured of the passage that is under way.
    passage: Option<VecDeque<u8>>,
    /// How many bytes of the next tag the input ended with: they are known, and need not be stored.
    held: usize,
}

impl Capture {
    /// Returns a filter that keeps at most the last `max_bytes` of a passage.
    #[must_use]
    pub fn new(max_bytes: usize) -> Capture {
        Capture { max_bytes, passage: None, held: 0 }
    }

    fn tag(&self) -> &'static [u8] {
        if self.passage.is_some() { END } else { BEGIN }
    }

    /// Takes in what was read; returns what it turned out to be, in order.
    pub fn feed(&mut self, input: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let data = [&self.tag()[..self.held], input].concat();
        self.held = 0;
        let mut rest = data.as_slice();
        while let Some(at) = memmem::find(rest, self.tag()) {
            let tag = self.tag();
            self.put(&rest[..at], &mut pieces);
            match self.passage.take() {
                None => self.passage = Some(VecDeque::new()),
                Some(passage) => pieces.push(Piece::Captured(passage.into())),
            }
            rest = &rest[at + tag.len()..];
        }
        self.held = begun(rest, self.tag());
        self.put(&rest[..rest.len() - self.held], &mut pieces);
        pieces
    }

    /// Ends the input. A passage without an end is none: what is left of it is output as any other.
    pub fn finish(&mut self) -> Vec<u8> {
        let tail = &self.tag()[..std::mem::take(&mut self.held)];
        let mut rest: Vec<u8> = self.passage.take().map(Vec::from).unwrap_or_default();
        rest.extend_from_slice(tail);
        rest
    }

    fn put(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) {
        match &mut self.passage {
            _ if bytes.is_empty() => {}
            None => pieces.push(Piece::Plain(bytes.to_vec())),
            Some(passage) => {
                passage.extend(&bytes[bytes.len().saturating_sub(self.max_bytes)..]);
                let over = passage.len().saturating_sub(self.max_bytes);
                passage.drain(..over);
            }
        }
    }
}

/// Returns how many bytes at the end of `data` may be the beginning of `tag`.
fn begun(data: &[u8], tag: &[u8]) -> usize {
    let most = data.len().min(tag.len() - 1);
    (1..=most).rev().find(|len| data.ends_with(&tag[..*len])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds pieces cut at `cuts`; returns what is plain in one, and the passages.
    fn run(input: &[u8], cuts: &[usize], max_bytes: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut capture = Capture::new(max_bytes);
        let (mut plain, mut passages, mut from) = (Vec::new(), Vec::new(), 0);
        for to in cuts.iter().map(|cut| *cut.min(&input.len())).chain([input.len()]) {
            for piece in capture.feed(&input[from.min(to)..to]) {
                match piece {
                    Piece::Plain(bytes) => plain.extend(bytes),
                    Piece::Captured(bytes) => passages.push(bytes),
                }
            }
            from = from.max(to);
        }
        plain.extend(capture.finish());
        (plain, passages)
    }

    fn tagged(text: &str) -> Vec<u8> {
        let text = text.replace('[', "<!--XSUPERVISOR:BEGIN-->").replace(']', "<!--XSUPERVISOR:END-->");
        text.into_bytes()
    }

    #[test]
    fn passages_leave_the_output() {
        let (plain, passages) = run(&tagged("a[one]b[]c[two]"), &[], 100);
        assert_eq!(
            (plain.as_slice(), passages),
            (&b"abc"[..], vec![b"one".to_vec(), vec![], b"two".to_vec()])
        );
    }

    #[test]
    fn what_is_no_tag_is_output() {
        for text in ["<", "<!--", "<!--XSUPERVISOR:BEGIN--", "a<<!--XSUP", "]", "<!--XSUPERVISOR:BEGIN-- >"] {
            let input = tagged(text);
            assert_eq!(run(&input, &[1, 2, 3], 100), (input.clone(), vec![]), "{text}");
        }
        let mut capture = Capture::new(10);
        assert_eq!(capture.feed(b"short"), [Piece::Plain(b"short".to_vec())], "not held back");
    }

    #[test]
    fn an_end_inside_a_begin_is_found() {
        let (plain, passages) = run(&tagged("<!--XSUPERVISOR:B[x<!--XSUPERVISOR:E]"), &[20, 45], 100);
        assert_eq!(plain, b"<!--XSUPERVISOR:B");
        assert_eq!(passages, [b"x<!--XSUPERVISOR:E".to_vec()]);
    }

    #[test]
    fn a_passage_is_bounded_to_its_last_bytes() {
        for cuts in [&[][..], &[25, 26, 27, 28]] {
            let (_, passages) = run(&tagged("[abcdef]"), cuts, 6);
            assert_eq!(passages, [b"abcdef".to_vec()]);
            let (_, passages) = run(&tagged("[abcdefg]"), cuts, 6);
            assert_eq!(passages, [b"bcdefg".to_vec()]);
        }
    }

    #[test]
    fn a_passage_without_an_end_is_output() {
        assert_eq!(run(&tagged("a[bc<!--"), &[], 100), (b"abc<!--".to_vec(), vec![]));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_reads_cut(
            words in proptest::collection::vec(0..7usize, 0..14),
            mut cuts in proptest::collection::vec(0..300usize, 0..14),
            max_bytes in 1..40usize,
        ) {
            const WORDS: [&str; 7] = ["[", "]", "<!--XSUPERVISOR:", "BEGIN-->", "END-->", "<", "some text\n"];
            let text: String = words.iter().map(|word| WORDS[*word]).collect();
            let input = tagged(&text);
            cuts.sort_unstable();
            let whole = run(&input, &[], max_bytes);
            prop_assert_eq!(&run(&input, &cuts, max_bytes), &whole);
            let bytes: Vec<usize> = (0..input.len()).collect();
            prop_assert_eq!(&run(&input, &bytes, max_bytes), &whole);
        }
    }
}
