//! supervisord's INI dialect: bytes in, sections with keys, values and line numbers out.
//!
//! supervisord reads with Python's `RawConfigParser`, whose rules for comments, continuation lines and
//! headers no INI library has. So the lines are read here by those rules, and written in a canonical form
//! that `rust-ini` parses: a key is `<line> <key>`, a value is quoted and escaped. Merging of duplicate
//! sections and keys is left to [`super::document`]; meaning to [`super::keys`].
//!
//! `parse(b"[program:a]\ncommand=x ; why\n")` gives section `program:a`, line 1, with `command` = `x`, line 2.

use ini::{Ini, ParseOption};

/// Largest line in bytes: room for a command of the size that execve(2) takes, small enough to be quoted.
pub const LINE_SIZE_MAX: usize = 1024 * 1024;

/// A section as it stands in one file; the same name can come several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSection {
    /// What stands between the brackets.
    pub name: String,
    /// Line of the header, from 1.
    pub line: u32,
    /// Keys in file order, duplicates included.
    pub entries: Vec<RawEntry>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// Lower case.
    pub key: String,
    /// Lines joined with LF, comments removed, nothing expanded.
    pub value: String,
    /// Line of the key, from 1.
    pub line: u32,
}

/// A line that is not part of the dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line number from 1.
    pub line: u32,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// Reads a file. What can be understood is returned even when there are mistakes, so that all of them can
/// be reported at once.
#[must_use]
pub fn parse(bytes: &[u8]) -> (Vec<RawSection>, Vec<Mistake>) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return (Vec::new(), vec![not_utf8(bytes, error.valid_up_to())]),
    };
    let mut scanner = Scanner::default();
    for (index, line) in Lines(text).enumerate() {
        scanner.line(u32::try_from(index + 1).unwrap_or(u32::MAX), line);
    }
    scanner.close_key();
    match parse_canonical(&scanner.canonical) {
        Ok(sections) => (sections, scanner.mistakes),
        Err(what) => {
            let hint = "please report this file as a bug of visor";
            scanner.mistakes.push(Mistake { line: 0, what, hint });
            (Vec::new(), scanner.mistakes)
        }
    }
}

fn not_utf8(bytes: &[u8], offset: usize) -> Mistake {
    let line = Lines(&String::from_utf8_lossy(&bytes[..offset])).count().max(1);
    let after_newline = offset > 0 && matches!(bytes[offset - 1], b'\n' | b'\r');
    Mistake {
        line: u32::try_from(line + usize::from(after_newline)).unwrap_or(u32::MAX),
        what: format!("not valid UTF-8: byte 0x{:02x}", bytes[offset]),
        hint: "save the file as UTF-8",
    }
}

/// Lines as Python's universal newlines cut them: after LF, CRLF or CR, which are not part of the line.
struct Lines<'t>(&'t str);

impl<'t> Iterator for Lines<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.0.is_empty() {
            return None;
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', self.0.as_bytes()) else {
            return Some(std::mem::take(&mut self.0));
        };
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix("\r\n").unwrap_or_else(|| &rest[1..]);
        Some(line)
    }
}

/// Whether Python's `str.isspace` holds: Unicode white space and the four separators of ASCII.
#[must_use]
pub fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Returns `text` without white space at its ends, as Python's `str.strip` does.
#[must_use]
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// The key whose value is being collected.
struct OpenKey {
    line: u32,
    key: String,
    value: String,
}

/// Reads line by line as `RawConfigParser._read` does, and writes the canonical form.
#[derive(Default)]
struct Scanner {
    canonical: String,
    mistakes: Vec<Mistake>,
    in_section: bool,
    homeless_reported: bool,
    open: Option<OpenKey>,
    /// Indentation in characters of the last line that was not a continuation.
    indent: usize,
}

impl Scanner {
    fn line(&mut self, number: u32, line: &str) {
        if line.len() > LINE_SIZE_MAX {
            let what = format!("a line of {} bytes, and {LINE_SIZE_MAX} is the limit", line.len());
            self.mistake(number, what, "put long text into a file of its own");
            return;
        }
        let cut = comment_start(line);
        let text = strip(&line[..cut.unwrap_or(line.len())]);
        if text.is_empty() {
            // A blank line belongs to a value that goes on; a line with only a comment does not.
            if let (None, Some(open)) = (cut, &mut self.open) {
                open.value.push('\n');
            }
            return;
        }
        let indent = line.chars().take_while(|c| is_blank(*c)).count();
        if let (Some(open), true) = (&mut self.open, indent > self.indent) {
            open.value.push('\n');
            open.value.push_str(text);
            return;
        }
        self.indent = indent;
        match header(text) {
            Some(name) => self.section(number, name),
            None if self.in_section => self.option(number, text),
            None => self.homeless(number),
        }
    }

    fn section(&mut self, line: u32, name: &str) {
        self.close_key();
        self.in_section = true;
        // The full stop keeps blanks at the end of the name from being trimmed.
        self.canonical.push_str(&format!("[{line} "));
        escape_into(&mut self.canonical, name);
        self.canonical.push_str(".]\n");
    }

    fn option(&mut self, line: u32, text: &str) {
        let Some(at) = text.find(['=', ':']) else {
            let what = format!("neither a section nor a key: {}", super::diagnostic::quoted(text));
            return self.mistake(line, what, "write KEY=VALUE, or indent it to continue the value above");
        };
        let key = text[..at].trim_end_matches(is_blank).to_lowercase();
        if key.is_empty() {
            return self.mistake(line, "no key before the delimiter".to_owned(), "write KEY=VALUE");
        }
        self.close_key();
        self.open = Some(OpenKey { line, key, value: strip(&text[at + 1..]).to_owned() });
    }

    /// A line before the first section. Only the first of them is reported: they have one cause.
    fn homeless(&mut self, line: u32) {
        if !self.homeless_reported {
            self.homeless_reported = true;
            let what = "a line before the first section header".to_owned();
            self.mistake(line, what, "begin with a header such as [supervisord]");
        }
    }

    fn close_key(&mut self) {
        let Some(OpenKey { line, key, value }) = self.open.take() else { return };
        self.canonical.push_str(&format!("{line} "));
        escape_into(&mut self.canonical, &key);
        self.canonical.push_str("=\"");
        escape_into(&mut self.canonical, value.trim_end_matches(is_blank));
        self.canonical.push_str("\"\n");
    }

    fn mistake(&mut self, line: u32, what: String, hint: &'static str) {
        self.mistakes.push(Mistake { line, what, hint });
    }
}

/// Returns where the comment of a line begins: at column 0 of a whole-line comment, else at the leftmost
/// `;` or `#` that stands at the beginning or after white space.
///
/// CPython up to 3.12 compares the n-th `;` with the n-th `#` instead; newer ones do as we do.
fn comment_start(line: &str) -> Option<usize> {
    if strip(line).starts_with(['#', ';']) {
        return Some(0);
    }
    let after_blank = |at: &usize| line[..*at].chars().next_back().is_none_or(is_blank);
    memchr::memchr2_iter(b';', b'#', line.as_bytes()).find(after_blank)
}

/// Returns the name of a section header: from the first `[` to the last `]`; what follows is ignored.
fn header(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.rfind(']')?;
    (end > 0).then(|| &inner[..end])
}

/// Appends `text` with everything escaped that `rust-ini` gives a meaning.
fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            ']' => out.push_str("\\x005d"),
            c => out.push(c),
        }
    }
}

fn parse_canonical(text: &str) -> Result<Vec<RawSection>, String> {
    let options = ParseOption { enabled_quote: true, enabled_escape: true, ..ParseOption::default() };
    let parsed = Ini::load_from_str_opt(text, options).map_err(|error| error.to_string())?;
    let mut sections = Vec::new();
    for (header, properties) in parsed.iter() {
        let Some((line, name)) = header.and_then(numbered) else { continue };
        let name = name.strip_suffix('.').unwrap_or(name).to_owned();
        let entries = properties.iter().filter_map(|(key, value)| {
            let (line, key) = numbered(key)?;
            Some(RawEntry { key: key.to_owned(), value: value.to_owned(), line })
        });
        sections.push(RawSection { name, line, entries: entries.collect() });
    }
    Ok(sections)
}

/// Splits the line number from what it numbers.
fn numbered(text: &str) -> Option<(u32, &str)> {
    let (line, rest) = text.split_once(' ')?;
    Some((line.parse().ok()?, rest))
}

#[cfg(test)]
mod tests;
