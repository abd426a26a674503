//! Rows of `[delegate:x]`: what others are granted.

use super::{Reload, Row, Scope, own_row};
use crate::config::diagnostic::{nearest, quoted};
use crate::config::value::{Converted, words};
use crate::model::delegate::{ACTIONS, Action, Grantee};
use std::collections::BTreeSet;

/// A `[delegate:x]` while it is being read.
pub struct DelegateDraft {
    /// Users that there are.
    pub users: Vec<Grantee>,
    /// Groups that there are.
    pub groups: Vec<u32>,
    /// Patterns of programs.
    pub programs: Vec<String>,
    /// What is granted.
    pub actions: BTreeSet<Action>,
    /// Keys with users and groups that there are not: accounts go, and no daemon should fail to start for that.
    pub strangers: Vec<(&'static str, String)>,
}

impl Default for DelegateDraft {
    fn default() -> DelegateDraft {
        DelegateDraft {
            users: Vec::new(),
            groups: Vec::new(),
            programs: Vec::new(),
            actions: BTreeSet::from([Action::Status, Action::Logs]),
            strangers: Vec::new(),
        }
    }
}

const LIVE: Reload = Reload::Live;

/// The keys of `[delegate:x]`.
pub static ROWS: [Row<DelegateDraft>; 4] = [
    own_row("users", Scope::Environment, LIVE, "who is granted something, names or numbers", |d, v| {
        for text in some(v.text) {
            match v.host.account(text).map(|account| account.uid).or_else(|| number(text)) {
                Some(uid) => d.users.push(Grantee { text: text.to_owned(), uid }),
                None => d.strangers.push(("users", format!("no such user: {}", quoted(text)))),
            }
        }
        Ok(())
    }),
    own_row("groups", Scope::Environment, LIVE, "whose members are granted it, names or numbers", |d, v| {
        for text in some(v.text) {
            match v.host.group(text).or_else(|| number(text)) {
                Some(gid) => d.groups.push(gid),
                None => d.strangers.push(("groups", format!("no such group: {}", quoted(text)))),
            }
        }
        Ok(())
    }),
    own_row(
        "programs",
        Scope::Environment,
        LIVE,
        "for which programs: NAME, GROUP:NAME, with * ? []",
        |d, v| {
            d.programs = some(v.text).map(str::to_owned).collect();
            Ok(())
        },
    ),
    own_row(
        "actions",
        Scope::Environment,
        LIVE,
        "what: status, logs, start, stop, restart, signal, reload; the first two where not set",
        |d, v| {
            d.actions = some(v.text).map(action).collect::<Converted<_>>()?;
            Ok(())
        },
    ),
];

/// Returns the words of a list, without what is empty.
fn some(text: &str) -> impl Iterator<Item = &str> {
    words(text).into_iter().filter(|word| !word.is_empty())
}

/// A number stands for itself, whether there is such an account or not.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn action(text: &str) -> Converted<Action> {
    Action::parse(text).ok_or_else(|| {
        let names = ACTIONS.map(|row| row.1);
        match nearest(text, names) {
            Some(near) => format!("no such action: {} (did you mean {near}?)", quoted(text)),
            None => format!("no such action: {} (there are: {})", quoted(text), names.join(", ")),
        }
    })
}
