//! What an event listener says on its standard output, byte by byte: READY, RESULT, or something that it must not say.
//!
//! The bytes may come in any pieces; each is judged as soon as it can be (supervisor 4.3 `PEventListenerDispatcher`).
//! What cannot become the right word any more is wrong at once: waiting for the rest of it could last for ever. Knows
//! no events and no processes.
//!
//! Example: a new `Dialogue` that is fed `READY\n` yields [`Said::Ready`]; after [`Dialogue::ask`], the bytes
//! `RESULT 2\nOK` yield `Said::Result(b"OK")`.

use serde::{Deserialize, Serialize};

/// What a listener says when it wants an event.
const READY: &[u8] = b"READY\n";

/// Bytes before the length in the line of a result, `RESULT `; which ones they are does not matter (as upstream).
const RESULT_WORD_BYTES: usize = 7;

/// Longest line of a result, in bytes: its word, blanks, and more digits than any length has.
pub const RESULT_LINE_MAX_BYTES: usize = 128;

/// Longest result in bytes: that of `supervisor_stdout` is the event itself, which a read of output bounds.
pub const RESULT_MAX_BYTES: usize = 1 << 20;

/// Where a conversation stands (supervisor 4.3 `EventListenerStates`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It was started, or has answered, and has not asked for an event yet.
    #[default]
    Acknowledged,
    /// It asked for an event.
    Ready,
    /// It has one, and has not answered.
    Busy,
    /// It said what it must not: nothing that it says counts any more.
    Unknown,
}

impl Standing {
    /// Returns supervisord's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Standing::Acknowledged => "ACKNOWLEDGED",
            Standing::Ready => "READY",
            Standing::Busy => "BUSY",
            Standing::Unknown => "UNKNOWN",
        }
    }
}

/// Something that was said to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It asks for an event.
    Ready,
    /// Its answer to the event.
    Result(Vec<u8>),
    /// A line that is no beginning of a result; holds it.
    BadResult(Vec<u8>),
    /// Something that was not its turn to say.
    Noise,
}

/// One listener's side of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialogue {
    standing: Standing,
    /// What has come and cannot be judged yet.
    heard: Vec<u8>,
    /// Length of the result that is under way.
    expected: Option<usize>,
}

impl Dialogue {
    /// Returns a conversation of which nothing is half said.
    #[must_use]
    pub fn at(standing: Standing) -> Dialogue {
        Dialogue { standing, ..Dialogue::default() }
    }

    /// Returns where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether something was said in part.
    #[must_use]
    pub fn is_within(&self) -> bool {
        !self.heard.is_empty() || self.expected.is_some()
    }

    /// The listener gets an event, and is to answer.
    pub fn ask(&mut self) {
        self.standing = Standing::Busy;
    }

    /// Ends the conversation.
    pub fn end(&mut self) {
        *self = Dialogue::at(Standing::Unknown);
    }

    /// Takes in bytes that can be judged with what came before: call [`Dialogue::next_said`] until it has no more.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.standing != Standing::Unknown {
            self.heard.extend_from_slice(bytes);
        }
    }

    /// Returns what was said next; `None` when more has to come first.
    pub fn next_said(&mut self) -> Option<Said> {
        match self.standing {
            _ if self.heard.is_empty() && self.expected != Some(0) => None,
            Standing::Unknown => None,
            Standing::Ready => Some(self.break_off(Said::Noise)),
            Standing::Acknowledged => {
                let len = READY.len().min(self.heard.len());
                if self.heard[..len] != READY[..len] {
                    return Some(self.break_off(Said::Noise));
                }
                if len < READY.len() {
                    return None;
                }
                self.heard.drain(..len);
                self.standing = Standing::Ready;
                Some(Said::Ready)
            }
            Standing::Busy => self.next_result(),
        }
    }

    fn next_result(&mut self) -> Option<Said> {
        let len = match self.expected {
            Some(len) => len,
            None => {
                let end = self.heard.iter().take(RESULT_LINE_MAX_BYTES).position(|byte| *byte == b'\n');
                let Some(end) = end else {
                    if self.heard.len() < RESULT_LINE_MAX_BYTES {
                        return None;
                    }
                    let line = self.heard[..RESULT_LINE_MAX_BYTES].to_vec();
                    return Some(self.break_off(Said::BadResult(line)));
                };
                let line: Vec<u8> = self.heard.drain(..=end).take(end).collect();
                let Some(len) = length_of(&line) else {
                    return Some(self.break_off(Said::BadResult(line)));
                };
                *self.expected.insert(len)
            }
        };
        if self.heard.len() < len {
            return None;
        }
        self.expected = None;
        self.standing = Standing::Acknowledged;
        Some(Said::Result(self.heard.drain(..len).collect()))
    }

    fn break_off(&mut self, said: Said) -> Said {
        self.end();
        said
    }
}

/// Returns the length that the line of a result names.
fn length_of(line: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(line.get(RESULT_WORD_BYTES..)?).ok()?.trim_ascii();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|len| is_number && *len <= RESULT_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(dialogue: &mut Dialogue, bytes: &[u8]) -> Vec<Said> {
        dialogue.feed(bytes);
        std::iter::from_fn(|| dialogue.next_said()).collect()
    }

    fn busy() -> Dialogue {
        Dialogue::at(Standing::Busy)
    }

    #[test]
    fn a_listener_asks_and_answers() {
        let mut dialogue = Dialogue::default();
        assert_eq!(feed(&mut dialogue, b"REA"), []);
        assert!(dialogue.is_within());
        assert_eq!(feed(&mut dialogue, b"DY\n"), [Said::Ready]);
        dialogue.ask();
        assert_eq!(feed(&mut dialogue, b"RESULT 2\nOKREADY\n"), [Said::Result(b"OK".to_vec()), Said::Ready]);
        assert_eq!((dialogue.standing(), dialogue.is_within()), (Standing::Ready, false));
        dialogue.ask();
        assert_eq!(feed(&mut dialogue, b"RESULT 0\n"), [Said::Result(Vec::new())]);
    }

    #[test]
    fn what_is_not_its_turn_to_say_ends_the_conversation() {
        assert_eq!(feed(&mut Dialogue::at(Standing::Ready), b"\n"), [Said::Noise]);
        assert_eq!(feed(&mut Dialogue::default(), b"READYX"), [Said::Noise]);
        assert_eq!(
            feed(&mut Dialogue::default(), b"hello"),
            [Said::Noise],
            "known before six bytes are there"
        );
        // A line end behind the result, as `print` would write it.
        let said = feed(&mut busy(), b"RESULT 2\nOK\nREADY\n");
        assert_eq!(said, [Said::Result(b"OK".to_vec()), Said::Noise]);
        let mut over = Dialogue::at(Standing::Unknown);
        assert_eq!((feed(&mut over, b"READY\n"), over.is_within()), (vec![], false));
    }

    #[test]
    fn a_result_names_its_length() {
        for (line, bad) in [
            (&b"RESULT x\n"[..], &b"RESULT x"[..]),
            (b"OK\n", b"OK"),
            (b"RESULT \n", b"RESULT "),
            (b"RESULT -1\n", b"RESULT -1"),
            (b"RESULT +1\n", b"RESULT +1"),
            (b"RESULT \xff\n", b"RESULT \xff"),
            (b"RESULT 99999999999999999999999\n", b"RESULT 99999999999999999999999"),
        ] {
            let mut dialogue = busy();
            assert_eq!(feed(&mut dialogue, line), [Said::BadResult(bad.to_vec())]);
            assert_eq!(dialogue.standing(), Standing::Unknown);
        }
        let other = feed(&mut busy(), b"ANSWER 2\nOK");
        assert_eq!(other, [Said::Result(b"OK".to_vec())], "the word is not looked at, as upstream");
        assert_eq!(feed(&mut busy(), b"RESULT  2 \nOK"), [Said::Result(b"OK".to_vec())]);
    }

    #[test]
    fn results_and_their_lines_are_bounded() {
        let line = |len: usize| format!("RESULT {len}\n").into_bytes();
        let whole = [line(RESULT_MAX_BYTES), vec![b'x'; RESULT_MAX_BYTES]].concat();
        assert_eq!(feed(&mut busy(), &whole), [Said::Result(vec![b'x'; RESULT_MAX_BYTES])]);
        assert!(matches!(feed(&mut busy(), &line(RESULT_MAX_BYTES + 1))[..], [Said::BadResult(_)]));
        let blanks = |count: usize| [&b"RESULT 2"[..], &vec![b' '; count - 9], b"\nOK"].concat();
        assert_eq!(feed(&mut busy(), &blanks(RESULT_LINE_MAX_BYTES)), [Said::Result(b"OK".to_vec())]);
        assert!(matches!(feed(&mut busy(), &blanks(RESULT_LINE_MAX_BYTES + 1))[..], [Said::BadResult(_)]));
    }

    /// Lets a listener say `text`, cut at `cuts`, with an event whenever it asks for one.
    fn converse(text: &[u8], cuts: &[usize]) -> Vec<Said> {
        let mut dialogue = Dialogue::default();
        let mut said = Vec::new();
        let mut from = 0;
        for to in cuts.iter().copied().chain([text.len()]).map(|cut| cut.min(text.len())) {
            if to < from {
                continue;
            }
            dialogue.feed(&text[from..to]);
            from = to;
            while let Some(one) = dialogue.next_said() {
                // The answer is looked at before the event is sent, so that nothing depends on how fast that is.
                if one == Said::Ready {
                    dialogue.ask();
                }
                said.push(one);
            }
        }
        said
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            words in proptest::collection::vec(0..6usize, 1..12),
            mut cuts in proptest::collection::vec(0..200usize, 0..12),
        ) {
            const WORDS: [&str; 6] = ["READY\n", "RESULT 2\nOK", "RESULT 4\nFAIL", "RESULT 0\n", "noise", "\n"];
            let text: String = words.iter().map(|word| WORDS[*word]).collect();
            cuts.sort_unstable();
            let whole = converse(text.as_bytes(), &[]);
            prop_assert_eq!(&converse(text.as_bytes(), &cuts), &whole);
            let bytes: Vec<usize> = (0..text.len()).collect();
            prop_assert_eq!(&converse(text.as_bytes(), &bytes), &whole);
        }

        #[test]
        fn no_bytes_upset_it(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let said = converse(&text, &[]);
            prop_assert!(said.len() <= text.len() + 1);
        }
    }
}
