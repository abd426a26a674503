//! What others than the owner are called in the activity log: `bob (uid 1002)`.
//!
//! Those of `users=` are known by that; for members of a group the user database is asked once, by the disk worker,
//! because it may be far away; lines about them wait for the answer. Example:
//! `reactor.say_of(1002, Level::Info, "stop of web by ", "")`.

use super::reactor::{Job, Reactor};
use crate::model::{Delegate, Level};
use crate::sys::identity;
use std::collections::BTreeMap;

/// Most names that are remembered; with more of them it is begun anew.
const NAMES_MAX: usize = 256;
/// Most lines that wait for one name: further ones have the number only.
const LINES_MAX: usize = 16;

/// A line that lacks the name: what comes before and after it.
type Line = (Level, String, String);

/// Names of users.
#[derive(Default)]
pub(super) struct Visitors {
    known: BTreeMap<u32, Option<String>>,
    waiting: BTreeMap<u32, Vec<Line>>,
}

impl Visitors {
    /// Takes the names that the configuration has; others are asked for again.
    pub(super) fn learn(&mut self, delegates: &[Delegate]) {
        let users = delegates.iter().flat_map(|delegate| &delegate.users);
        let named = users.filter(|user| user.text.parse::<u32>().is_err());
        self.known = named.map(|user| (user.uid, Some(user.text.clone()))).collect();
    }
}

impl Reactor {
    /// Writes a line to the activity log with the name of a user in it.
    pub(super) fn say_of(&mut self, uid: u32, level: Level, before: String, after: String) {
        if let Some(name) = self.share.visitors.known.get(&uid) {
            let who = identity::in_words(name.as_deref(), uid);
            return self.log(level, &format!("{before}{who}{after}"));
        }
        let is_first = !self.share.visitors.waiting.contains_key(&uid);
        let lines = self.share.visitors.waiting.entry(uid).or_default();
        if lines.len() >= LINES_MAX {
            let who = identity::in_words(None, uid);
            return self.log(level, &format!("{before}{who}{after}"));
        }
        lines.push((level, before, after));
        if is_first {
            self.disk.run(Box::new(move || Job::Named(uid, identity::name_of(uid))));
        }
    }

    /// Takes in what a user is called, and writes the lines that waited for it.
    pub(super) fn learned(&mut self, uid: u32, name: Option<String>) {
        if self.share.visitors.known.len() >= NAMES_MAX {
            self.share.visitors.known.clear();
        }
        self.share.visitors.known.insert(uid, name);
        for (level, before, after) in self.share.visitors.waiting.remove(&uid).unwrap_or_default() {
            self.say_of(uid, level, before, after);
        }
    }
}
