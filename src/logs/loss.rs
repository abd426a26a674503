//! Output that could not be kept: counted, told of once, and marked where it is missing.
//!
//! Knows no files. Example: `loss.add(512, "no space left on device", true)` gives the note for the activity
//! log, and `loss.line(true)` the line for the log itself.

/// What the user is to be told about a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Bytes are being dropped from now on; holds how many so far, and why.
    Dropped(u64, String),
    /// The log takes bytes again; holds how many were dropped in all.
    Resumed(u64),
    /// Something else does not work as it should.
    Warning(String),
}

/// What is missing in a log since its last line.
#[derive(Debug, Default)]
pub struct Loss {
    bytes: u64,
    why: String,
    in_line: bool,
}

impl Loss {
    /// Counts lost bytes; `in_line` says whether they ended within a line, whose rest is then of no use.
    /// Returns what to tell the user: something only for the first ones, whose reason stays.
    pub fn add(&mut self, bytes: u64, why: &str, in_line: bool) -> Option<Note> {
        let first = self.is_none() && bytes > 0;
        self.bytes += bytes;
        self.in_line = in_line;
        if first {
            self.why = why.to_lowercase();
        }
        first.then(|| Note::Dropped(bytes, self.why.clone()))
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.bytes == 0
    }

    /// Returns how many bytes are missing.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the last of the missing bytes were the beginning of a line.
    #[must_use]
    pub fn in_line(&self) -> bool {
        self.in_line
    }

    /// Returns the line that marks the gap, after the end of a torn one where there is one.
    #[must_use]
    pub fn line(&self, at_line_start: bool) -> String {
        let end = if at_line_start { "" } else { "\n" };
        format!("{end}visord: {} bytes of output dropped: {}\n", self.bytes, self.why)
    }

    /// The gap is marked; returns what to tell the user.
    pub fn clear(&mut self) -> Option<Note> {
        let bytes = std::mem::take(self).bytes;
        (bytes > 0).then_some(Note::Resumed(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_is_told_and_all_bytes_are_counted() {
        let mut loss = Loss::default();
        assert_eq!(loss.add(0, "nothing", false), None);
        assert_eq!(loss.add(5, "No space", true), Some(Note::Dropped(5, "no space".into())));
        assert_eq!((loss.add(7, "later", false), loss.in_line()), (None, false));
        assert_eq!(loss.line(false), "\nvisord: 12 bytes of output dropped: no space\n");
        assert_eq!((loss.clear(), loss.is_none()), (Some(Note::Resumed(12)), true));
        assert_eq!(loss.clear(), None);
    }
}
