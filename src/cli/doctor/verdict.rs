//! What a check can find: a verdict, what it means in words, and what to do about it.
//!
//! Example: `Finding::ok("visord keeps running after you log out")`.

use crate::cli::output::Colour;
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to say.
    Ok,
    /// Good to know.
    Note,
    /// It may hurt some day.
    Warning,
    /// It will hurt.
    Problem,
}

impl Verdict {
    /// All of them, the mildest first.
    pub const ALL: [Verdict; 4] = [Verdict::Ok, Verdict::Note, Verdict::Warning, Verdict::Problem];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Warning => "warning",
            Verdict::Problem => "problem",
        }
    }

    /// Returns its colour.
    #[must_use]
    pub fn colour(self) -> Option<Colour> {
        match self {
            Verdict::Ok => Some(Colour::Green),
            Verdict::Note => None,
            Verdict::Warning => Some(Colour::Yellow),
            Verdict::Problem => Some(Colour::Red),
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// What it means.
    pub what: String,
    /// What to do, or whom to ask for what; empty where there is nothing to do.
    pub advice: String,
}

impl Finding {
    /// Returns a finding that is fine.
    #[must_use]
    pub fn ok(what: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Ok, what: what.into(), advice: String::new() }
    }

    /// Returns something that is good to know.
    #[must_use]
    pub fn note(what: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Note, ..Finding::ok(what) }
    }

    /// Returns something that may hurt.
    #[must_use]
    pub fn warning(what: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Warning, ..Finding::ok(what) }
    }

    /// Returns something that will hurt.
    #[must_use]
    pub fn problem(what: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Problem, ..Finding::ok(what) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn advice(self, advice: impl Into<String>) -> Finding {
        Finding { advice: advice.into(), ..self }
    }
}

/// Returns a number with its noun.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Names some of many: the first few, and how many more there are.
pub(super) fn some_of<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN_MAX).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Most names that stand in one sentence: more are not read.
pub(super) const SHOWN_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_ordered_and_named_as_in_json() {
        assert!(Verdict::ALL.is_sorted());
        for verdict in Verdict::ALL {
            let json = serde_json::to_string(&verdict).unwrap_or_default();
            assert_eq!(json, format!("\"{}\"", verdict.name()));
        }
    }

    #[test]
    fn of_many_names_a_few_are_shown() {
        assert_eq!(some_of(&["a", "b", "c"]), "a, b, c");
        assert_eq!(some_of(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
    }
}
