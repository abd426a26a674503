//! Which programs are disabled: not started by themselves, whatever the configuration says of `autostart`.
//!
//! The text that is kept has a line for each, `SINCE GROUP:NAME` or `SINCE GROUP:*`. Must not know where it is kept.
//! Example: `Marks::parse("1700000000 web:web\n").since("web", "web")` is `Some(1_700_000_000)`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most marks: as many as programs that one daemon is made for, and a file that is read at once.
pub const MARKS_MAX: usize = 10_000;

/// Stands for every process of a group.
const ALL: &str = "*";

/// A process, or all of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// The group.
    pub group: String,
    /// The process; nothing for every one of the group.
    pub process: Option<String>,
}

/// The disabled ones, with the time in seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks(Vec<(Mark, u64)>);

impl Marks {
    /// Reads the text that is kept; lines that nobody of us wrote are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Marks {
        let line = |line: &str| {
            let (since, name) = line.split_once(' ')?;
            let (group, process) = name.split_once(':')?;
            let process = (process != ALL).then(|| process.to_owned());
            Some((Mark { group: group.to_owned(), process }, since.parse().ok()?))
        };
        let marks: BTreeMap<Mark, u64> = text.lines().filter_map(line).take(MARKS_MAX).collect();
        Marks(marks.into_iter().collect())
    }

    /// Returns the text to keep.
    #[must_use]
    pub fn text(&self) -> String {
        let line = |(mark, since): &(Mark, u64)| {
            format!("{since} {}:{}\n", mark.group, mark.process.as_deref().unwrap_or(ALL))
        };
        self.0.iter().map(line).collect()
    }

    /// Returns since when a process is disabled, in seconds since the epoch.
    #[must_use]
    pub fn since(&self, group: &str, process: &str) -> Option<u64> {
        let own = |(mark, _): &&(Mark, u64)| {
            mark.group == group && mark.process.as_deref().is_none_or(|own| own == process)
        };
        self.0.iter().find(own).map(|(_, since)| *since)
    }

    /// Adds a mark; one that is there keeps its time.
    ///
    /// # Errors
    /// Words for the user, where there are too many or the name cannot be kept.
    pub fn add(&mut self, mark: Mark, now: u64) -> Result<(), String> {
        let parts = [Some(&mark.group), mark.process.as_ref()];
        if parts.into_iter().flatten().any(|part| part.chars().any(char::is_control)) {
            return Err("its name has control characters".to_owned());
        }
        match self.0.binary_search_by(|(known, _)| known.cmp(&mark)) {
            Ok(_) => Ok(()),
            Err(_) if self.0.len() >= MARKS_MAX => {
                Err(format!("more than {MARKS_MAX} programs cannot be disabled"))
            }
            Err(at) => {
                self.0.insert(at, (mark, now));
                Ok(())
            }
        }
    }

    /// Takes a mark away, with those of its processes where it is a group's; returns whether there was any.
    ///
    /// # Errors
    /// Words for the user, where the whole group of a process is disabled.
    pub fn remove(&mut self, mark: &Mark) -> Result<bool, String> {
        let whole = Mark { process: None, ..mark.clone() };
        if *mark != whole && self.0.iter().any(|(known, _)| *known == whole) {
            let group = &mark.group;
            return Err(format!("the whole group {group} is disabled (visorctl enable {group}:*)"));
        }
        let before = self.0.len();
        let goes = |known: &Mark| known.group == mark.group && mark.process.is_none() || known == mark;
        self.0.retain(|(known, _)| !goes(known));
        Ok(self.0.len() < before)
    }

    /// Whether there is a mark that [`Marks::remove`] would take away.
    #[must_use]
    pub fn has(&self, mark: &Mark) -> bool {
        self.0.iter().any(|(known, _)| known == mark || known.group == mark.group && mark.process.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(group: &str, process: Option<&str>) -> Mark {
        Mark { group: group.to_owned(), process: process.map(str::to_owned) }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut marks = Marks::default();
        for (group, process) in [("web", Some("web")), ("g", None), ("a b", Some("p:q"))] {
            assert_eq!(marks.add(mark(group, process), 7), Ok(()));
        }
        assert_eq!(marks.add(mark("web", Some("web")), 9), Ok(()), "the first time counts");
        assert_eq!(marks.text(), "7 a b:p:q\n7 g:*\n7 web:web\n");
        assert_eq!(Marks::parse(&(marks.text() + "rubbish\n\nx y:z\n")), marks);
        let since = |group, process| marks.since(group, process);
        assert_eq!(
            (since("web", "web"), since("g", "any"), since("a b", "p:q")),
            (Some(7), Some(7), Some(7))
        );
        assert_eq!((since("web", "other"), since("h", "any")), (None, None));
    }

    #[test]
    fn a_group_is_enabled_with_all_its_processes() {
        let mut marks = Marks::parse("1 g:a\n2 g:b\n3 h:*\n");
        assert!(marks.remove(&mark("h", Some("a"))).is_err_and(|why| why.contains("enable h:*")));
        assert!(marks.has(&mark("g", None)) && !marks.has(&mark("g", Some("c"))));
        assert_eq!(marks.remove(&mark("g", Some("c"))), Ok(false));
        assert_eq!((marks.remove(&mark("g", None)), marks.remove(&mark("h", None))), (Ok(true), Ok(true)));
        assert_eq!(marks, Marks::default());
    }

    #[test]
    fn there_is_an_end_to_them() {
        let text: String = (0..MARKS_MAX + 5).map(|number| format!("1 g:{number}\n")).collect();
        let mut marks = Marks::parse(&text);
        assert_eq!(marks.0.len(), MARKS_MAX);
        assert!(marks.add(mark("one", None), 1).is_err_and(|why| why.contains("10000")));
        assert_eq!(marks.remove(&mark("g", Some("0"))), Ok(true));
        assert_eq!(marks.add(mark("one", None), 1), Ok(()));
        assert!(marks.add(mark("a\nb", None), 1).is_err());
    }
}
