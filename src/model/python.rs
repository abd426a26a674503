//! Texts as Python's `repr` writes them, because supervisord's users grep for those.
//!
//! Example: `bytes_repr(b"\x88\n")` is `b'\x88\n'`, backslashes and all.

use std::fmt::Write;

/// Returns how Python 3 shows a bytes object.
#[must_use]
pub fn bytes_repr(bytes: &[u8]) -> String {
    let quote = quote_for(bytes.contains(&b'\''), bytes.contains(&b'"'));
    let mut text = String::with_capacity(bytes.len() + 3);
    text.push('b');
    text.push(quote);
    for byte in bytes {
        match (short_escape(char::from(*byte), quote), byte) {
            (Some(letter), _) => text.extend(['\\', letter]),
            (None, 0x20..=0x7e) => text.push(char::from(*byte)),
            (None, _) => hex(&mut text, 'x', u32::from(*byte)),
        }
    }
    text.push(quote);
    text
}

/// Returns how Python 3 shows a string; what Python counts as printable beyond ASCII is taken to be what is
/// no control character.
#[must_use]
pub fn str_repr(string: &str) -> String {
    let quote = quote_for(string.contains('\''), string.contains('"'));
    let mut text = String::with_capacity(string.len() + 2);
    text.push(quote);
    for letter in string.chars() {
        match short_escape(letter, quote) {
            Some(short) => text.extend(['\\', short]),
            None if letter.is_control() => hex(&mut text, 'x', u32::from(letter)),
            None => text.push(letter),
        }
    }
    text.push(quote);
    text
}

fn quote_for(has_single: bool, has_double: bool) -> char {
    if has_single && !has_double { '"' } else { '\'' }
}

fn short_escape(letter: char, quote: char) -> Option<char> {
    match letter {
        '\\' => Some('\\'),
        '\t' => Some('t'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        letter if letter == quote => Some(quote),
        _ => None,
    }
}

fn hex(text: &mut String, kind: char, value: u32) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\\{kind}{value:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_look_as_in_python() {
        let table: &[(&[u8], &str)] = &[
            (b"", "b''"),
            (b"\x88\n", r"b'\x88\n'"),
            (b"READY\n", r"b'READY\n'"),
            (b"it's", r#"b"it's""#),
            (b"say \"it's\"", r#"b'say "it\'s"'"#),
            (b"\"", r#"b'"'"#),
            (b"a\\b\t\r\0\x7f~", r"b'a\\b\t\r\x00\x7f~'"),
            ("é".as_bytes(), r"b'\xc3\xa9'"),
        ];
        for (bytes, repr) in table {
            assert_eq!(bytes_repr(bytes), *repr, "{bytes:?}");
        }
    }

    #[test]
    fn strings_look_as_in_python() {
        let table = [
            ("web", "'web'"),
            ("it's", r#""it's""#),
            ("é", "'é'"),
            ("a\nb\x1b", r"'a\nb\x1b'"),
            ("\\", r"'\\'"),
        ];
        for (string, repr) in table {
            assert_eq!(str_repr(string), repr);
        }
    }
}
