//! What others than the owner may do, by the `[delegate:x]` sections: judged for every request anew.
//!
//! Pure: knows who asks by the kernel's word, and no connection. Every path that is not in the table is refused.
//! Example: `rights.allow(&visitor, &[Action::Stop], "web", "web")`.

use crate::api::v1::path;
use crate::config;
use crate::model::Delegate;
use crate::model::delegate::Action;

/// Somebody who is neither the owner nor root, as the kernel knows them since they connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Visitor {
    /// The user id.
    pub(in crate::daemon) uid: u32,
    /// The group ids.
    pub(in crate::daemon) groups: Vec<u32>,
}

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing but to be granted anything at all.
    Standing,
    /// Any of these actions.
    Any(&'static [Action]),
    /// The right to signals, which that to reload includes for one of them.
    Signal,
}

/// Every path that may be delegated; what is not here is the owner's alone.
pub(super) const NEEDS: [(&str, Need); 9] = [
    (path::VERSION, Need::Standing),
    (path::STATUS, Need::Any(&[Action::Status])),
    (path::WAIT, Need::Any(&[Action::Status])),
    (path::LOG, Need::Any(&[Action::Logs])),
    (path::FOLLOW, Need::Any(&[Action::Logs])),
    (path::START, Need::Any(&[Action::Start])),
    (path::STOP, Need::Any(&[Action::Stop])),
    (path::RESTART, Need::Any(&[Action::Restart])),
    (path::SIGNAL, Need::Signal),
];

/// Returns what a path asks for; nothing where it cannot be granted.
pub(super) fn need(path: &str) -> Option<Need> {
    NEEDS.iter().find(|row| row.0 == path).map(|row| row.1)
}

/// All that is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) struct Rights(Vec<Delegate>);

impl Rights {
    /// Takes what the configuration says.
    pub(in crate::daemon) fn new(delegates: &[Delegate]) -> Rights {
        Rights(delegates.to_vec())
    }

    /// Whether anything is granted to somebody.
    pub(super) fn know(&self, visitor: &Visitor) -> bool {
        self.of(visitor).any(|delegate| !delegate.actions.is_empty())
    }

    /// Whether any of these actions is granted to somebody, for whatever programs.
    pub(super) fn grant(&self, visitor: &Visitor, actions: &[Action]) -> bool {
        self.of(visitor).any(|delegate| has_any(delegate, actions))
    }

    /// Whether any of these actions is granted to somebody for a process.
    pub(super) fn allow(&self, visitor: &Visitor, actions: &[Action], group: &str, name: &str) -> bool {
        self.of(visitor).any(|delegate| has_any(delegate, actions) && covers(delegate, group, name))
    }

    /// Whether somebody may know that there is such a process: they may do something with it.
    pub(super) fn show(&self, visitor: &Visitor, group: &str, name: &str) -> bool {
        self.of(visitor).any(|delegate| !delegate.actions.is_empty() && covers(delegate, group, name))
    }

    fn of(&self, visitor: &Visitor) -> impl Iterator<Item = &Delegate> {
        self.0.iter().filter(|delegate| delegate.is_for(visitor.uid, &visitor.groups))
    }
}

fn has_any(delegate: &Delegate, actions: &[Action]) -> bool {
    actions.iter().any(|action| delegate.actions.contains(action))
}

fn covers(delegate: &Delegate, group: &str, name: &str) -> bool {
    delegate.programs.iter().any(|pattern| config::covers(pattern, group, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::delegate::Grantee;
    use crate::model::spec::Place;

    fn delegate(uid: u32, group: u32, programs: &[&str], actions: &[Action]) -> Delegate {
        Delegate {
            name: "x".into(),
            users: vec![Grantee { text: "u".into(), uid }],
            groups: vec![group],
            programs: programs.iter().map(|text| (*text).to_owned()).collect(),
            actions: actions.iter().copied().collect(),
            place: Place::default(),
        }
    }

    #[test]
    fn rights_add_up_and_are_about_a_program_and_an_action_together() {
        let rights = Rights::new(&[
            delegate(7, 50, &["web"], &[Action::Status, Action::Stop]),
            delegate(7, 51, &["db"], &[Action::Status]),
            delegate(9, 52, &["idle"], &[]),
        ]);
        let bob = Visitor { uid: 7, groups: vec![] };
        let member = Visitor { uid: 8, groups: vec![1, 51] };
        let idle = Visitor { uid: 9, groups: vec![] };
        for (visitor, action, program, allowed, shown) in [
            (&bob, Action::Stop, "web", true, true),
            (&bob, Action::Stop, "db", false, true),
            (&bob, Action::Status, "db", true, true),
            (&bob, Action::Start, "web", false, true),
            (&bob, Action::Status, "secret", false, false),
            (&member, Action::Status, "db", true, true),
            (&member, Action::Status, "web", false, false),
            (&idle, Action::Status, "idle", false, false),
        ] {
            assert_eq!(
                rights.allow(visitor, &[action], program, program),
                allowed,
                "{visitor:?} {action:?} {program}"
            );
            assert_eq!(rights.show(visitor, program, program), shown, "{visitor:?} {program}");
        }
        assert!(
            rights.grant(&bob, &[Action::Reload, Action::Stop]) && !rights.grant(&member, &[Action::Stop])
        );
        assert!(rights.know(&bob) && rights.know(&member) && !rights.know(&idle));
        assert!(!rights.know(&Visitor { uid: 50, groups: vec![7] }) && !Rights::default().know(&bob));
    }

    #[test]
    fn what_is_not_in_the_table_cannot_be_granted() {
        for owners in [
            "/RPC2",
            "/v1/shutdown",
            "/v1/update",
            "/v1/events",
            "/v1/stdin",
            "/v1/clear",
            "/v1/mainlog",
            "/logtail/web",
            "/v1/start/",
            "/v1/avail",
            "",
        ] {
            assert_eq!(need(owners), None, "{owners}");
        }
    }
}
