//! Names as people type them: `web`, `group:web`, `group:*`, `all` (supervisor 4.3 options.py `split_namespec`).
//!
//! Example: `Namespec::parse("web:*")` is the whole group `web`.

use std::fmt;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Namespec {
    /// `all`: every process.
    All,
    /// `group:*` or `group:`: every process of a group.
    Group(String),
    /// One process; `name` alone is the process of that name in the group of that name.
    Process {
        /// Its group.
        group: String,
        /// Its name within the group.
        name: String,
    },
}

impl Namespec {
    /// Reads a name; the first colon splits it.
    #[must_use]
    pub fn parse(text: &str) -> Namespec {
        match text.split_once(':') {
            Some((group, "" | "*")) => Namespec::Group(group.to_owned()),
            Some((group, name)) => Namespec::Process { group: group.to_owned(), name: name.to_owned() },
            None if text == "all" => Namespec::All,
            None => Namespec::Process { group: text.to_owned(), name: text.to_owned() },
        }
    }

    /// Whether it stands for this process.
    #[must_use]
    pub fn covers(&self, group: &str, name: &str) -> bool {
        match self {
            Namespec::All => true,
            Namespec::Group(own) => own == group,
            Namespec::Process { group: own, name: process } => own == group && process == name,
        }
    }
}

impl fmt::Display for Namespec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Namespec::All => f.write_str("all"),
            Namespec::Group(group) => write!(f, "{group}:*"),
            Namespec::Process { group, name } => f.write_str(&join(group, name)),
        }
    }
}

/// Returns the name that is shown for a process: short where group and process are called the same.
#[must_use]
pub fn join(group: &str, name: &str) -> String {
    if group == name { name.to_owned() } else { format!("{group}:{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(group: &str, name: &str) -> Namespec {
        Namespec::Process { group: group.into(), name: name.into() }
    }

    #[test]
    fn names_are_split_as_supervisord_does() {
        for (text, expected, shown) in [
            ("all", Namespec::All, "all"),
            ("web", process("web", "web"), "web"),
            ("g:p", process("g", "p"), "g:p"),
            ("g:*", Namespec::Group("g".into()), "g:*"),
            ("g:", Namespec::Group("g".into()), "g:*"),
            ("g:p:q", process("g", "p:q"), "g:p:q"),
            ("all:*", Namespec::Group("all".into()), "all:*"),
            ("web:web", process("web", "web"), "web"),
        ] {
            assert_eq!(Namespec::parse(text), expected, "{text}");
            assert_eq!(expected.to_string(), shown);
        }
    }

    #[test]
    fn a_name_covers_what_it_stands_for() {
        for (text, group, name, covered) in [
            ("all", "g", "p", true),
            ("g:*", "g", "p", true),
            ("g:*", "h", "p", false),
            ("g:p", "g", "p", true),
            ("g:p", "g", "q", false),
            ("p", "g", "p", false),
            ("p", "p", "p", true),
        ] {
            assert_eq!(Namespec::parse(text).covers(group, name), covered, "{text} {group}:{name}");
        }
    }
}
