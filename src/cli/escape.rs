//! Bytes of others on their way to a terminal: what could move the cursor, hide text or type for the user is
//! shown instead of obeyed. Colours may pass.
//!
//! Knows nothing of where the bytes come from. Example: `plain("a\u{1b}[2J")` is `a\x1b[2J`, spelled out.

use std::borrow::Cow;

/// Longest colour sequence in bytes that is taken for one; real ones have at most about 20.
const COLOUR_BYTES_MAX: usize = 40;

/// What turns all colours off.
const RESET: &[u8] = b"\x1b[0m";

/// Characters that reorder or hide what stands around them, and are no control characters.
const INVISIBLE: [(char, char); 6] = [
    ('\u{61c}', '\u{61c}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{2069}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
];

fn is_harmless(letter: char) -> bool {
    !letter.is_control() && !INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&letter))
}

/// Returns a text that can be shown in a line: line ends and tabs are spelled out as well.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            letter if is_harmless(letter) => shown.push(letter),
            letter => shown.push_str(&spelled(letter)),
        }
    }
    Cow::Owned(shown)
}

/// Returns JSON that can be shown: what is not harmless can only stand inside its texts, and has a spelling there.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let passes = |letter: char| is_harmless(letter) || matches!(letter, '\n' | '\t');
    if text.chars().all(passes) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if passes(letter) {
            shown.push(letter);
        } else {
            letter
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(shown)
}

fn spelled(letter: char) -> String {
    match letter {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        letter if (letter as u32) < 0x100 => format!("\\x{:02x}", letter as u32),
        letter => format!("\\u{{{:x}}}", letter as u32),
    }
}

/// Makes a stream of bytes fit for a terminal; they may be cut anywhere.
#[derive(Debug, Default)]
pub struct Filter {
    colour: bool,
    /// A sequence or a character whose rest has not come.
    pending: Vec<u8>,
    /// Whether a colour may be in force.
    coloured: bool,
}

/// What the next bytes are.
enum Piece {
    /// This many bytes can be shown as they are.
    Fine(usize),
    /// This many bytes are a colour.
    Colour(usize),
    /// A line end of this many bytes.
    Newline(usize),
    /// This many bytes are shown as something else.
    Spelled(usize, String),
    /// More bytes are needed to tell.
    Unfinished,
}

impl Filter {
    /// Returns a filter; `colour` says whether colours pass, else they are taken out.
    #[must_use]
    pub fn new(colour: bool) -> Filter {
        Filter { colour, ..Filter::default() }
    }

    /// Takes bytes and appends what can be shown of them.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut buffer = std::mem::take(&mut self.pending);
        buffer.extend_from_slice(bytes);
        let used = self.run(&buffer, out, false);
        self.pending = buffer.split_off(used);
    }

    /// Ends the stream: what is unfinished is spelled out, and colours end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let buffer = std::mem::take(&mut self.pending);
        self.run(&buffer, out, true);
        self.reset(out);
    }

    /// Ends colours, so that what we write next has our own.
    pub fn reset(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.coloured) {
            out.extend_from_slice(RESET);
        }
    }

    fn run(&mut self, bytes: &[u8], out: &mut Vec<u8>, at_end: bool) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match piece(rest, at_end) {
                Piece::Unfinished => return at,
                Piece::Fine(count) => {
                    out.extend_from_slice(&rest[..count]);
                    count
                }
                Piece::Colour(count) => {
                    if self.colour {
                        out.extend_from_slice(&rest[..count]);
                        self.coloured = true;
                    }
                    count
                }
                Piece::Newline(count) => {
                    out.push(b'\n');
                    count
                }
                Piece::Spelled(count, text) => {
                    out.extend_from_slice(text.as_bytes());
                    count
                }
            };
        }
        at
    }
}

fn piece(bytes: &[u8], at_end: bool) -> Piece {
    let is_simple = |byte: &&u8| matches!(**byte, b' '..=b'~' | b'\t');
    let simple = bytes.iter().take_while(is_simple).count();
    if simple > 0 {
        return Piece::Fine(simple);
    }
    match bytes {
        [b'\n', ..] => Piece::Newline(1),
        [b'\r', b'\n', ..] => Piece::Newline(2),
        [b'\r'] if !at_end => Piece::Unfinished,
        [0x1b, ..] => colour(bytes, at_end),
        [0..=0x7f, ..] => Piece::Spelled(1, spelled(char::from(bytes[0]))),
        _ => character(bytes, at_end),
    }
}

/// Tells whether the bytes begin with `ESC [ digits m`.
fn colour(bytes: &[u8], at_end: bool) -> Piece {
    let spelled_out = || Piece::Spelled(1, spelled('\u{1b}'));
    let parameters = |byte: &&u8| matches!(**byte, b'0'..=b'9' | b';' | b':');
    match bytes {
        [_] if !at_end => Piece::Unfinished,
        [_, b'[', rest @ ..] => {
            let length = rest.iter().take_while(parameters).count();
            match rest.get(length) {
                _ if length + 3 > COLOUR_BYTES_MAX => spelled_out(),
                Some(b'm') => Piece::Colour(length + 3),
                None if !at_end => Piece::Unfinished,
                _ => spelled_out(),
            }
        }
        _ => spelled_out(),
    }
}

/// Looks at a character of several bytes, or at what is none.
fn character(bytes: &[u8], at_end: bool) -> Piece {
    let start = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(error) if error.error_len().is_none() && !at_end => return Piece::Unfinished,
        Err(_) => "",
    };
    match valid.chars().next() {
        Some(letter) if is_harmless(letter) => Piece::Fine(letter.len_utf8()),
        Some(letter) => Piece::Spelled(letter.len_utf8(), spelled(letter)),
        None => Piece::Spelled(1, format!("\\x{:02x}", bytes[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filtered(colour: bool, pieces: &[&[u8]]) -> String {
        let (mut filter, mut out) = (Filter::new(colour), Vec::new());
        pieces.iter().for_each(|piece| filter.feed(piece, &mut out));
        filter.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn what_could_do_harm_is_spelled_out() {
        for (bytes, shown) in [
            (&b"\x1b]52;c;cm0gLXJm\x07"[..], r"\x1b]52;c;cm0gLXJm\x07"),
            (b"\x1b[2J\x1b[1;1H", r"\x1b[2J\x1b[1;1H"),
            (b"good\rbad\n", "good\\rbad\n"),
            ("a\u{202e}b".as_bytes(), r"a\u{202e}b"),
            ("a\u{9b}31mb".as_bytes(), r"a\x9b31mb"),
            (b"\xff\xc3(\x08\x7f\0", r"\xff\xc3(\x08\x7f\x00"),
            (b"\x1b", r"\x1b"),
            (b"\x1b[31", r"\x1b[31"),
            (
                "ends in half \u{e4}".as_bytes().split_last().map_or(&b""[..], |(_, rest)| rest),
                r"ends in half \xc3",
            ),
        ] {
            assert_eq!(filtered(true, &[bytes]), shown);
        }
    }

    #[test]
    fn text_lines_and_colours_pass() {
        assert_eq!(filtered(true, &["tab\tö€😀\r\nnext\n".as_bytes()]), "tab\tö€😀\nnext\n");
        let red = b"\x1b[1;38;5;196mred\x1b[m";
        assert_eq!(filtered(true, &[red]), "\x1b[1;38;5;196mred\x1b[m\x1b[0m");
        assert_eq!(filtered(false, &[red]), "red");
    }

    #[test]
    fn a_colour_has_a_longest_form() {
        let sequence = |digits: usize| format!("\x1b[{}m", "1".repeat(digits));
        assert_eq!(filtered(false, &[sequence(COLOUR_BYTES_MAX - 3).as_bytes()]), "");
        let long = sequence(COLOUR_BYTES_MAX - 2);
        assert_eq!(filtered(false, &[long.as_bytes()]), long.replace('\x1b', "\\x1b"));
    }

    #[test]
    fn a_text_in_a_line_stays_in_its_line() {
        assert_eq!(plain("can't find command 'x'"), "can't find command 'x'");
        assert_eq!(plain("a\nb\t\u{1b}[31m\u{200b}"), r"a\nb\t\x1b[31m\u{200b}");
    }

    #[test]
    fn json_stays_json() {
        let text = serde_json::json!({"a": "\u{9b}\u{202e}\u{1b}ä", "b": [1]}).to_string();
        let shown = json(&text);
        assert!(shown.chars().all(is_harmless), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).ok(), serde_json::from_str(&text).ok());
    }

    proptest! {
        #[test]
        fn nothing_but_text_lines_tabs_and_colours_comes_out(bytes: Vec<u8>) {
            let shown = filtered(false, &[&bytes]);
            prop_assert!(shown.chars().all(|letter| is_harmless(letter) || matches!(letter, '\n' | '\t')));
        }

        #[test]
        fn any_cut_gives_the_same(
            text in "([a-zä€😀\\x1b\\[0-9;m\r\n\t\u{202e}\u{9b}]|\\x1b\\[[0-9]{1,3}m){0,30}",
            cut in any::<prop::sample::Index>(),
        ) {
            let (first, rest) = text.as_bytes().split_at(cut.index(text.len() + 1));
            prop_assert_eq!(filtered(true, &[first, rest]), filtered(true, &[text.as_bytes()]));
        }
    }
}
