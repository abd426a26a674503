//! Lines of several programs in one stream, each with its program's name in front.
//!
//! The name is outside what the program wrote, and on a terminal its colours end with each of its lines: what
//! stands in front of `|` is ours. Example: `web | listening`.

use super::escape::Filter;
use super::output::Screen;
use regex_lite::Regex;

/// Longest line in bytes that is waited for to be complete.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;

/// One program's part in the stream.
#[derive(Debug)]
pub(super) struct Voice {
    prefix: String,
    screen: Screen,
    /// Only lines in which it is found are shown.
    grep: Option<Regex>,
    /// The beginning of a line.
    partial: Vec<u8>,
}

impl Voice {
    /// Returns the voice of `name`, padded to `width`; without a prefix it is the only one.
    pub(super) fn new(name: &str, width: Option<usize>, screen: Screen) -> Voice {
        let name = screen.line(name);
        let prefix = width.map_or(String::new(), |width| format!("{name:<width$} | "));
        Voice { prefix, screen, grep: None, partial: Vec::new() }
    }

    /// Returns the same that says only lines in which `grep` is found.
    pub(super) fn only(self, grep: Option<Regex>) -> Voice {
        Voice { grep, ..self }
    }

    /// Takes bytes and appends the lines that they complete.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() >= LINE_BYTES_MAX {
                self.flush(out);
            }
        }
    }

    /// Appends an unfinished line.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.partial);
        if line.is_empty() {
            return;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let is_found = |grep: &Regex| grep.is_match(&String::from_utf8_lossy(line));
        if !self.grep.as_ref().is_none_or(is_found) {
            return;
        }
        out.extend_from_slice(self.prefix.as_bytes());
        if self.screen.data_on_terminal {
            let mut filter = Filter::new(self.screen.colour);
            filter.feed(line.strip_suffix(b"\r").unwrap_or(line), out);
            filter.finish(out);
        } else {
            out.extend_from_slice(line);
        }
        out.push(b'\n');
    }
}

/// Returns the last `count` lines; what is in front of the first line end is dropped where `cut` says that the
/// text may begin inside a line.
pub(super) fn last_lines(text: &[u8], count: usize, cut: bool) -> &[u8] {
    let whole = match memchr::memchr(b'\n', text) {
        Some(end) if cut => &text[end + 1..],
        _ => text,
    };
    let body = whole.strip_suffix(b"\n").unwrap_or(whole);
    let start = memchr::memrchr_iter(b'\n', body).nth(count.saturating_sub(1)).map_or(0, |end| end + 1);
    if count == 0 { &[] } else { &whole[start..] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Screen = Screen { data_on_terminal: true, messages_on_terminal: true, colour: true };

    fn said(screen: Screen, width: Option<usize>, pieces: &[&str]) -> String {
        let (mut voice, mut out) = (Voice::new("web", width, screen), Vec::new());
        pieces.iter().for_each(|piece| voice.feed(piece.as_bytes(), &mut out));
        voice.flush(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn every_line_has_its_name_in_front() {
        assert_eq!(
            said(Screen::default(), Some(5), &["a\nb", "c\n", "\nd"]),
            "web   | a\nweb   | bc\nweb   | \nweb   | d\n"
        );
        assert_eq!(said(Screen::default(), None, &["a\n"]), "a\n");
    }

    #[test]
    fn a_program_cannot_forge_the_name_of_another_on_a_terminal() {
        let shown = said(TERMINAL, Some(3), &["\x1b[31mred\r\n\rdb | I am db\x1b[1A\n"]);
        assert_eq!(shown, "web | \x1b[31mred\x1b[0m\nweb | \\rdb | I am db\\x1b[1A\n");
    }

    #[test]
    fn only_lines_that_match_are_said() -> Result<(), regex_lite::Error> {
        let mut voice = Voice::new("web", Some(3), Screen::default()).only(Some(Regex::new("^err|ö$")?));
        let mut out = Vec::new();
        let pieces = [&b"error 1\nno err"[..], b"\nm\xc3\nerr\n", b"\xff m\xc3\xb6\nerr"];
        pieces.into_iter().for_each(|piece| voice.feed(piece, &mut out));
        voice.flush(&mut out);
        assert_eq!(out, b"web | error 1\nweb | err\nweb | \xff m\xc3\xb6\nweb | err\n");
        Ok(())
    }

    #[test]
    fn an_endless_line_is_cut() {
        let endless = "x".repeat(LINE_BYTES_MAX + 1);
        assert_eq!(
            said(Screen::default(), None, &[&endless]).lines().map(str::len).collect::<Vec<_>>(),
            [LINE_BYTES_MAX + 1]
        );
        let pieces = [&endless[..LINE_BYTES_MAX], "y"];
        assert_eq!(said(Screen::default(), None, &pieces).lines().count(), 2);
    }

    #[test]
    fn the_last_lines_are_whole_lines() {
        for (text, count, cut, expected) in [
            ("a\nb\nc\n", 2, false, "b\nc\n"),
            ("a\nb\nc", 2, false, "b\nc"),
            ("a\nb\n", 9, false, "a\nb\n"),
            ("alf\nb\n", 9, true, "b\n"),
            ("no end", 9, true, "no end"),
            ("a\n", 0, false, ""),
            ("", 3, true, ""),
        ] {
            assert_eq!(last_lines(text.as_bytes(), count, cut), expected.as_bytes(), "{text:?} {count}");
        }
    }
}
