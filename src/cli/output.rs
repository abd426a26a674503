//! Writing to the user: data on standard output, everything else on standard error.
//!
//! A reader that went away (`| head`) is no error of ours, so what cannot be written is dropped. On a terminal
//! texts of others are made harmless (see [`super::escape`]); elsewhere they pass as they are. Example:
//! `Screen::real().data("3 processes")`.

use super::escape;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

/// Writes data, and a newline.
pub fn data(text: &str) {
    write(&mut io::stdout().lock(), text.as_bytes(), true);
}

/// Writes a message, and a newline.
pub fn message(text: &str) {
    write(&mut io::stderr().lock(), text.as_bytes(), true);
}

/// Writes everything at once, so that lines of two processes do not mix.
fn write(to: &mut dyn Write, bytes: &[u8], newline: bool) {
    let mut whole = Cow::Borrowed(bytes);
    if newline {
        whole.to_mut().push(b'\n');
    }
    drop(to.write_all(&whole).and_then(|()| to.flush()));
}

/// A colour of the few that every terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// All is well.
    Green,
    /// On its way.
    Yellow,
    /// Something is wrong.
    Red,
    /// Less important.
    Dim,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Red => "31",
            Colour::Dim => "2",
        }
    }
}

/// Where the user looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Standard output is a terminal.
    pub data_on_terminal: bool,
    /// Standard error is a terminal.
    pub messages_on_terminal: bool,
    /// Colours are wanted where there is a terminal.
    pub colour: bool,
}

impl Screen {
    /// Returns what this process writes to. `NO_COLOR` and `TERM=dumb` are obeyed.
    #[must_use]
    pub fn real() -> Screen {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Screen {
            data_on_terminal: io::stdout().is_terminal(),
            messages_on_terminal: io::stderr().is_terminal(),
            colour: !unwanted && !dumb,
        }
    }

    /// Writes one line of data.
    pub fn data(&self, line: &str) {
        data(&self.line(line));
    }

    /// Writes data that was made ready for this screen before.
    pub fn ready(&self, bytes: &[u8]) {
        write(&mut io::stdout().lock(), bytes, false);
    }

    /// Writes a piece of a stream that was made ready for this screen, and returns whether anybody still reads.
    #[must_use]
    pub fn stream(&self, bytes: &[u8]) -> bool {
        let mut to = io::stdout().lock();
        to.write_all(bytes).and_then(|()| to.flush()).is_ok()
    }

    /// Writes a message, whose lines stay lines.
    pub fn message(&self, text: &str) {
        if self.messages_on_terminal {
            let lines: Vec<_> = text.lines().map(escape::plain).collect();
            message(&lines.join("\n"));
        } else {
            message(text);
        }
    }

    /// Writes JSON.
    pub fn json(&self, text: &str) {
        if self.data_on_terminal { data(&escape::json(text)) } else { data(text) }
    }

    /// Returns a text of others as it may stand in a line of data.
    #[must_use]
    pub fn line<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.data_on_terminal { escape::plain(text) } else { Cow::Borrowed(text) }
    }

    /// Whether data is coloured.
    #[must_use]
    pub fn has_colour(&self) -> bool {
        self.data_on_terminal && self.colour
    }

    /// Appends a text, in a colour where data is coloured.
    pub fn paint(&self, colour: Option<Colour>, text: &str, out: &mut String) {
        match colour.filter(|_| self.has_colour()) {
            Some(colour) => out.extend(["\x1b[", colour.code(), "m", text, "\x1b[0m"]),
            None => out.push_str(text),
        }
    }

    /// Returns bytes of others as they may be shown as data.
    #[must_use]
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.data_on_terminal {
            return Cow::Borrowed(bytes);
        }
        let (mut filter, mut shown) = (escape::Filter::new(self.colour), Vec::new());
        filter.feed(bytes, &mut shown);
        filter.finish(&mut shown);
        Cow::Owned(shown)
    }

    /// Shows that a command is alive, in a line that is written over.
    pub fn progress(&self, text: &str) {
        if self.messages_on_terminal {
            let line = format!("\r\x1b[K{}", escape::plain(text));
            write(&mut io::stderr().lock(), line.as_bytes(), false);
        }
    }

    /// Takes that line away.
    pub fn end_progress(&self) {
        self.progress("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Screen = Screen { data_on_terminal: true, messages_on_terminal: true, colour: true };

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let painted = |screen: Screen| {
            let mut out = String::new();
            screen.paint(Some(Colour::Red), "FATAL", &mut out);
            screen.paint(None, "x", &mut out);
            out
        };
        assert_eq!(painted(TERMINAL), "\x1b[31mFATAL\x1b[0mx");
        assert_eq!(painted(Screen { colour: false, ..TERMINAL }), "FATALx");
        assert_eq!(painted(Screen { data_on_terminal: false, ..TERMINAL }), "FATALx");
    }

    #[test]
    fn texts_of_others_pass_raw_only_where_no_terminal_is() {
        let file = Screen::default();
        assert_eq!((file.line("a\x1bb"), TERMINAL.line("a\x1bb")), ("a\x1bb".into(), r"a\x1bb".into()));
        assert_eq!(file.bytes(b"\x1b[2J"), &b"\x1b[2J"[..]);
        assert_eq!(TERMINAL.bytes(b"\x1b[2J"), &br"\x1b[2J"[..]);
    }
}
