//! The grammar of the files that `env_file=` names: lines of `NAME=VALUE`, as dotenv files have them, and no more.
//!
//! - Blank lines and lines whose first letter is `#` say nothing. `export` before a name is passed over.
//! - A name is letters, digits and `_`, and begins with no digit. Blanks around the name and the `=` do not count.
//! - A value without quotes ends at the end of the line, or at a blank followed by `#`; blanks at its end do not
//!   count. A backslash, a `$` and quotes inside are themselves.
//! - A value in `'...'` is itself, over several lines too. In `"..."`, which may span lines too, `\n \r \t \" \\ \$`
//!   and a backslash before a line end are escapes, and another backslash is itself. Behind the closing quote only
//!   blanks and a comment may come.
//! - Nothing is expanded, and nothing is run. Of a name that comes twice the last counts.
//!
//! Must not open files. `parse("A=1")` is `[("A", "1")]`; an error never quotes a value, which may be a secret.

/// Most bytes of such a file: more than an environment may hold (execve(2): 128 KiB a variable), far from a mistake
/// such as a log or a disk image.
pub const FILE_SIZE_MAX: usize = 1 << 20;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line number from 1.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// Reads names and values, in the order of the file.
///
/// # Errors
/// The first line that is none of what the grammar allows.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1 };
    let mut variables: Vec<(String, String)> = Vec::new();
    while !reader.rest.is_empty() {
        if let Some((name, value)) = reader.assignment()? {
            variables.retain(|(known, _)| *known != name);
            variables.push((name, value));
        }
    }
    Ok(variables)
}

/// What has not been read, and the number of the line where it begins.
struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Reader<'t> {
    /// Reads one line, or as many as a value spans.
    fn assignment(&mut self) -> Result<Option<(String, String)>, Fault> {
        self.skip_blanks();
        if self.rest.starts_with('#') || self.at_line_end() {
            self.end_line();
            return Ok(None);
        }
        let name = self.name()?;
        let value = match self.rest.chars().next() {
            Some('\'') => self.literal()?,
            Some('"') => self.escaped()?,
            _ => self.bare()?,
        };
        if value.contains('\0') {
            return Err(self.fault("a value holds a NUL byte, which no program can be given"));
        }
        self.end_line();
        Ok(Some((name, value)))
    }

    /// Reads the name and its `=`, and the blanks behind.
    fn name(&mut self) -> Result<String, Fault> {
        let line = &self.rest[..self.rest.find('\n').unwrap_or(self.rest.len())];
        let Some(at) = line.find('=') else {
            return Err(self.fault("there is no `=` (say NAME=VALUE, or # before a comment)"));
        };
        let words = line[..at].trim();
        let name =
            words.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).unwrap_or(words).trim();
        if !is_name(name) {
            return Err(self.fault("the name before `=` is not made of letters, digits and `_`"));
        }
        self.rest = &self.rest[at + 1..];
        self.skip_blanks();
        Ok(name.to_owned())
    }

    fn bare(&mut self) -> Result<String, Fault> {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        let line = &self.rest[..end];
        let comment = [" #", "\t#"].iter().filter_map(|mark| line.find(mark)).min();
        // A value that is all comment is empty; blanks before it are passed over already.
        let value = if line.starts_with('#') { "" } else { &line[..comment.unwrap_or(end)] };
        self.rest = &self.rest[end..];
        Ok(value.trim().to_owned())
    }

    fn literal(&mut self) -> Result<String, Fault> {
        let inside = &self.rest[1..];
        let Some(end) = inside.find('\'') else { return Err(self.fault("a single quote is not closed")) };
        let value = &inside[..end];
        self.step_behind(&inside[end + 1..], value)?;
        Ok(value.to_owned())
    }

    fn escaped(&mut self) -> Result<String, Fault> {
        let inside = &self.rest[1..];
        let mut value = String::new();
        let mut letters = inside.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.step_behind(&inside[at + 1..], &inside[..at])?;
                    return Ok(value);
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, '\n')) => {}
                    Some((_, itself @ ('"' | '\\' | '$'))) => value.push(itself),
                    Some((_, other)) => value.extend(['\\', other]),
                    None => break,
                },
                other => value.push(other),
            }
        }
        Err(self.fault("a double quote is not closed"))
    }

    /// Goes on behind a closing quote; `passed` is what stood inside.
    fn step_behind(&mut self, rest: &'t str, passed: &str) -> Result<(), Fault> {
        self.line += passed.matches('\n').count();
        self.rest = rest;
        self.skip_blanks();
        if self.at_line_end() || self.rest.starts_with('#') {
            return Ok(());
        }
        Err(self.fault("something stands behind the closing quote (only a comment may)"))
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn at_line_end(&self) -> bool {
        self.rest.is_empty()
            || self.rest.starts_with('\n')
            || self.rest.starts_with("\r\n")
            || self.rest == "\r"
    }

    /// Passes over what is left of the line.
    fn end_line(&mut self) {
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        self.rest = &self.rest[end..];
        self.line += 1;
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault { line: self.line, what }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(all) => {
                all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("|")
            }
            Err(fault) => format!("line {}: {}", fault.line, fault.what),
        }
    }

    #[test]
    fn every_rule_of_the_grammar() {
        for (text, expected) in [
            ("", ""),
            ("A=1", "A=1"),
            ("\u{feff}A=1\r\nB=2\r\n", "A=1|B=2"),
            ("# c\n\n  \t\n  # d\nA=1", "A=1"),
            ("export A=1\nexport\tB=2\nexportC=3", "A=1|B=2|exportC=3"),
            ("  A = 1  ", "A=1"),
            ("A=\nB=   \nC= # c\nD=#c", "A=|B=|C=|D="),
            ("A=a b c # comment", "A=a b c"),
            ("A=a#b", "A=a#b"),
            ("A=http://u:p@h/?x=1&y=$HOME`id`$(id)", "A=http://u:p@h/?x=1&y=$HOME`id`$(id)"),
            (r"A=a\nb", r"A=a\nb"),
            ("A=it's \"so\"", "A=it's \"so\""),
            (r"A='a # \n $X'", r"A=a # \n $X"),
            ("A='a\nb' # c\nB=2", "A=a\nb|B=2"),
            (r#"A="a\n\t\"\\\$\x #" # c"#, "A=a\n\t\"\\$\\x #"),
            ("A=\"a\\\nb\"\nB=\"c\nd\"", "A=ab|B=c\nd"),
            ("A=\"\"\nB=''", "A=|B="),
            ("A=1\nB=2\nA=3", "B=2|A=3"),
            ("A=%H;%(x)s", "A=%H;%(x)s"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_told_with_its_line() {
        for (text, line, part) in [
            ("A=1\nnonsense\n", 2, "no `=`"),
            ("1A=2", 1, "name"),
            ("A-B=2", 1, "name"),
            ("=2", 1, "name"),
            ("export 1=2", 1, "name"),
            ("A='x\n\n", 1, "single quote"),
            ("\nA=\"x\\", 2, "double quote"),
            ("A='x'y", 1, "behind the closing quote"),
            ("A=\"x\n\"y", 2, "behind the closing quote"),
            ("A=x\0y", 1, "NUL"),
        ] {
            let fault = parse(text).expect_err(text);
            assert!(fault.line == line && fault.what.contains(part), "{text:?}: {fault:?}");
        }
    }

    proptest! {
        /// Any value can be written in double quotes and comes back.
        #[test]
        fn values_come_back(value in "[^\0]*") {
            let mut written = String::new();
            for letter in value.chars() {
                if matches!(letter, '"' | '\\' | '$') {
                    written.push('\\');
                }
                written.push(letter);
            }
            let read = parse(&format!("A=\"{written}\"\nB=2\n")).expect("a value");
            prop_assert_eq!(&read, &[("A".to_owned(), value), ("B".to_owned(), "2".to_owned())]);
        }

        #[test]
        fn nothing_panics(text in "(?s).*") {
            let _ = parse(&text);
        }
    }
}
