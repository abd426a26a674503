//! What an owner grants to other users of the machine: the `[delegate:x]` sections.
//!
//! Plain data; who is granted what by it is judged by the daemon. Example: `Action::parse("restart")`.

use super::spec::Place;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// To see the state of a program, and to wait for it.
    Status,
    /// To read its logs.
    Logs,
    /// To start it.
    Start,
    /// To stop it.
    Stop,
    /// To restart it, which starts one that is stopped.
    Restart,
    /// To send it any signal.
    Signal,
    /// To send it HUP, at which most programs read their configuration again.
    Reload,
}

/// Every action by the name that configurations have for it.
pub const ACTIONS: [(Action, &str); 7] = [
    (Action::Status, "status"),
    (Action::Logs, "logs"),
    (Action::Start, "start"),
    (Action::Stop, "stop"),
    (Action::Restart, "restart"),
    (Action::Signal, "signal"),
    (Action::Reload, "reload"),
];

impl Action {
    /// Returns the action of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Action> {
        ACTIONS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        ACTIONS.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// A user that is granted something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grantee {
    /// As written: a name or a number.
    pub text: String,
    /// The user id.
    pub uid: u32,
}

/// A `[delegate:x]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegate {
    /// The `x`.
    pub name: String,
    /// Who is granted.
    pub users: Vec<Grantee>,
    /// Whose members are granted, by group id.
    pub groups: Vec<u32>,
    /// For which programs, as patterns.
    pub programs: Vec<String>,
    /// What.
    pub actions: BTreeSet<Action>,
    /// Where the section stands.
    pub place: Place,
}

impl Delegate {
    /// Whether it is for a user of these groups.
    #[must_use]
    pub fn is_for(&self, uid: u32, groups: &[u32]) -> bool {
        self.users.iter().any(|user| user.uid == uid) || self.groups.iter().any(|gid| groups.contains(gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_one_name() {
        for (action, name) in ACTIONS {
            assert_eq!((Action::parse(name), action.name()), (Some(action), name));
            assert_eq!(serde_json::to_value(action).expect("plain data"), name);
        }
        assert_eq!(Action::parse("shutdown"), None);
    }

    #[test]
    fn a_section_is_for_its_users_and_the_members_of_its_groups() {
        let delegate = Delegate {
            name: "ops".into(),
            users: vec![Grantee { text: "bob".into(), uid: 7 }],
            groups: vec![50],
            programs: vec!["*".into()],
            actions: BTreeSet::new(),
            place: Place::default(),
        };
        for (uid, groups, granted) in
            [(7, &[][..], true), (8, &[50], true), (8, &[7], false), (50, &[8], false), (8, &[], false)]
        {
            assert_eq!(delegate.is_for(uid, groups), granted, "{uid} {groups:?}");
        }
    }
}
