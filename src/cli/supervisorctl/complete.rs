//! What the Tab key offers: actions, processes, groups (supervisor 4.3 supervisorctl.py `complete`).
//!
//! The daemon is asked once a line at most, and says nothing where it does not answer. Example: `start g:<Tab>`.

use super::commands::{COMMANDS, Offers, find};
use super::replies::processes;
use crate::cli::escape;
use crate::client::{Rpc, Wait};
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use std::cell::RefCell;

/// What ends the word that is completed; not `:`, `*` and `-`, which names have.
const BREAKS: &str = " \t\n`~!@#$%^&()=+[{]}\\|;'\",<>/?";

/// A process's group and name.
type Name = (String, String);

/// The names of a daemon, asked for when they are needed.
pub(super) struct Known {
    daemon: Rpc,
    names: Option<Vec<Name>>,
}

impl Known {
    /// Returns the names of a daemon that was not asked yet.
    pub(super) fn new(daemon: Rpc) -> Known {
        Known { daemon, names: None }
    }

    fn names(&mut self) -> &[Name] {
        let Known { daemon, names } = self;
        names.get_or_insert_with(|| {
            let answer = daemon.call("supervisor.getAllProcessInfo", &[], &mut Wait::default());
            let all = answer.ok().and_then(|value| processes(&value).ok()).unwrap_or_default();
            all.into_iter().map(|process| (process.group, process.name)).collect()
        })
    }
}

/// Completes lines.
#[derive(Default)]
pub(super) struct Names(RefCell<Option<Known>>);

impl Names {
    /// Forgets what was known: a command may have changed it.
    pub(super) fn renew(&mut self, known: Option<Known>) {
        *self.0.get_mut() = known;
    }
}

impl Helper for Names {}

impl Highlighter for Names {}

impl Validator for Names {}

impl Hinter for Names {
    type Hint = String;
}

impl Completer for Names {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let line = &line[..pos];
        let start = line.rfind(|letter| BREAKS.contains(letter)).map_or(0, |at| at + 1);
        let found = match self.0.try_borrow_mut() {
            Ok(mut known) => {
                candidates(line, &line[start..], || known.as_mut().map(|known| known.names().to_vec()))
            }
            Err(_) => Vec::new(),
        };
        let pair = |name: String| Pair { replacement: format!("{name} "), display: name };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

/// Returns what may stand at the end of a line instead of the word that begins there.
fn candidates(line: &str, word: &str, names: impl FnOnce() -> Option<Vec<Name>>) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let offers = match words[..] {
        [] => Offers::Actions,
        [_] if !line.ends_with(' ') => Offers::Actions,
        ["help", ..] => Offers::Actions,
        [action, ..] => find(action).map_or(Offers::Nothing, |command| command.offers),
    };
    let mut found = match offers {
        Offers::Nothing => Vec::new(),
        Offers::Actions => std::iter::once("help")
            .chain(COMMANDS.iter().map(|command| command.name))
            .map(str::to_owned)
            .collect(),
        Offers::Groups => groups(&names().unwrap_or_default()),
        Offers::Processes => specs(&names().unwrap_or_default(), word.contains(':')),
    };
    // A name that could do something to the terminal is not offered.
    found.retain(|name| name.starts_with(word) && escape::plain(name) == name.as_str());
    found
}

fn groups(names: &[Name]) -> Vec<String> {
    let mut groups: Vec<String> = names.iter().map(|(group, _)| group.clone()).collect();
    groups.dedup();
    groups
}

/// Returns the names of processes, in full where they have to be or a colon was typed, and those of whole groups.
fn specs(names: &[Name], in_full: bool) -> Vec<String> {
    let mut specs = Vec::new();
    for (group, name) in names {
        if !in_full && group == name {
            specs.push(name.clone());
            continue;
        }
        specs.push(format!("{group}:{name}"));
        let whole = format!("{group}:*");
        if !specs.contains(&whole) {
            specs.push(whole);
        }
    }
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(line: &str) -> String {
        let names = [("cat", "cat"), ("pair", "a"), ("pair", "b"), ("x", "\u{1b}[2J")];
        let names = names.map(|(group, name)| (group.to_owned(), name.to_owned())).to_vec();
        let start = line.rfind(|letter| BREAKS.contains(letter)).map_or(0, |at| at + 1);
        candidates(line, &line[start..], || Some(names)).join(" ")
    }

    #[test]
    fn tab_offers_what_fits() {
        for (line, expected) in [
            ("re", "reload remove reread restart"),
            ("help st", "start status stop"),
            ("start ", "cat pair:a pair:* pair:b x:*"),
            ("start cat p", "pair:a pair:* pair:b"),
            ("stop cat:", "cat:cat cat:*"),
            ("tail -f pair:b", "pair:b"),
            ("update ", "cat pair x"),
            ("remove c", "cat"),
            ("shutdown ", ""),
            ("nonsense ", ""),
            ("signal HUP c", "cat"),
        ] {
            assert_eq!(offered(line), expected, "{line:?}");
        }
        assert_eq!(offered("").split(' ').count(), COMMANDS.len() + 1);
    }
}
