//! What is wrong with a configuration, where, and what to do about it.
//!
//! Must not know what any key means. `Diagnostic::error(place, what).hint("say so")` makes one, its `Display`
//! is `file:line: error: what, hint`, and its serialized form is what `visorctl check --json` prints.

use crate::model::spec::Place;
use serde::Serialize;
use std::fmt;

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably does not mean what was meant.
    Warning,
}

impl Severity {
    /// Returns the word that a diagnostic line carries.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing to say about a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Where it stands; line 0 means the file as a whole.
    #[serde(flatten)]
    pub place: Place,
    /// The section it is about, without brackets.
    pub section: Option<String>,
    /// The key it is about.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether supervisord says the same in its log: such a text is in [`super::Loaded::warnings`] too.
    pub upstream: bool,
}

impl Diagnostic {
    /// Returns a diagnostic without section, key and hint.
    #[must_use]
    pub fn new(severity: Severity, place: Place, what: impl Into<String>) -> Diagnostic {
        let what = what.into();
        Diagnostic { severity, place, section: None, key: None, what, hint: None, upstream: false }
    }

    /// Returns an error.
    #[must_use]
    pub fn error(place: Place, what: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, place, what)
    }

    /// Returns a warning.
    #[must_use]
    pub fn warning(place: Place, what: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, place, what)
    }

    /// Names the section it is about.
    #[must_use]
    pub fn section(mut self, name: &str) -> Diagnostic {
        self.section = Some(name.to_owned());
        self
    }

    /// Names the key it is about.
    #[must_use]
    pub fn key(mut self, name: &str) -> Diagnostic {
        self.key = Some(name.to_owned());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do about it, where that is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Diagnostic {
        self.hint = hint.or(self.hint);
        self
    }

    /// Makes it an error.
    #[must_use]
    pub fn into_error(self) -> Diagnostic {
        Diagnostic { severity: Severity::Error, ..self }
    }

    /// Makes it a warning.
    #[must_use]
    pub fn into_warning(self) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..self }
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Returns section, key, what and hint in one line, without place and severity.
    #[must_use]
    pub fn text(&self) -> String {
        let section = self.section.as_ref().map(|name| format!("[{name}] ")).unwrap_or_default();
        let key = self.key.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let hint = self.hint.as_ref().map(|hint| format!(", {hint}")).unwrap_or_default();
        printable(&format!("{section}{key}{}{hint}", self.what))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.place.file.display().to_string()))?;
        if self.place.line > 0 {
            write!(f, ":{}", self.place.line)?;
        }
        write!(f, ": {}: {}", self.severity.word(), self.text())
    }
}

/// Most characters of a value that a diagnostic quotes: enough to recognise it, and one line stays one line.
pub const QUOTED_CHARS_MAX: usize = 80;

/// Returns `text` between backticks, shortened to [`QUOTED_CHARS_MAX`] characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}...`", &text[..end]),
    }
}

/// Returns `text` with control characters written out: a file must not be able to drive a terminal.
fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Returns the name of `known` that is most like `name`, where one is so alike that it was probably meant.
#[must_use]
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let allowed = (name.chars().count() / 3).clamp(1, 4);
    let scored = known.into_iter().map(|candidate| (distance(name, candidate), candidate));
    scored.filter(|(score, _)| *score <= allowed).min_by_key(|(score, _)| *score).map(|(_, found)| found)
}

/// Longest name that is compared, in characters: longer ones are no typing mistakes.
const COMPARED_CHARS_MAX: usize = 64;

/// Returns how many characters must be added, removed, changed or swapped with their neighbour to make one
/// name of the other (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > COMPARED_CHARS_MAX {
        return usize::MAX;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { file: "/etc/v.conf".into(), line: 7 }
    }

    #[test]
    fn display_is_file_line_severity_text() {
        let error = Diagnostic::error(place(), "not a boolean: `yep`")
            .section("program:web")
            .key("autostart")
            .hint("say yes or no");
        assert_eq!(
            error.to_string(),
            "/etc/v.conf:7: error: [program:web] autostart: not a boolean: `yep`, say yes or no"
        );
        let whole = Diagnostic::warning(Place { line: 0, ..place() }, "odd");
        assert_eq!(whole.to_string(), "/etc/v.conf: warning: odd");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let text = Diagnostic::error(place(), "bad \x1b[31m\n value").to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }

    #[test]
    fn nearest_finds_typing_mistakes_and_nothing_else() {
        let known = ["autostart", "autorestart", "command", "stopwaitsecs"];
        for (typed, meant) in [
            ("autostrat", Some("autostart")),
            ("comand", Some("command")),
            ("stopwaitsec", Some("stopwaitsecs")),
            ("autorestart", Some("autorestart")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(COMPARED_CHARS_MAX + 1), known), None);
    }

    #[test]
    fn quotes_are_shortened_at_the_limit() {
        let at_limit = "ö".repeat(QUOTED_CHARS_MAX);
        assert_eq!(quoted(&at_limit), format!("`{at_limit}`"));
        assert_eq!(quoted(&format!("{at_limit}x")), format!("`{at_limit}...`"));
    }
}
