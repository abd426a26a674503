//! How a daemon gets away from the session that starts it, and what ends it nevertheless.
//!
//! Decides from facts that others gather; must not look at the system. Example: `decide(&facts).survival.words()`
//! is what `visorctl new` tells about the next logout.

/// What the machine does with the processes of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFacts {
    /// The control group of this process, `/user.slice/user-1000.slice/session-3.scope`; empty where there is none.
    pub cgroup: String,
    /// Whether the user's services go on after the last logout (`loginctl enable-linger`).
    pub linger: bool,
    /// Whether logind kills what a session leaves behind, for this user.
    pub kill_user_processes: bool,
    /// Whether the user's own service manager answers, and can be asked for a scope.
    pub user_manager: bool,
}

/// How to start the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detachment {
    /// In a session of its own (`setsid`), which is enough or all that can be had.
    Session,
    /// In a scope of its own under the user's service manager as well.
    Scope,
}

/// What the daemon survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Every logout.
    Logout,
    /// The end of this session, not that of the user's last one.
    UntilLastLogout,
    /// Nothing: it ends with this session.
    EndsWithSession,
}

impl Survival {
    /// Returns a sentence for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Survival::Logout => "it keeps running after you log out",
            Survival::UntilLastLogout => {
                "it ends when you log out for the last time (loginctl enable-linger would keep it)"
            }
            Survival::EndsWithSession => {
                "it ends when you log out: this machine kills what a session leaves behind \
                 (loginctl enable-linger would keep it, and may need your administrator)"
            }
        }
    }
}

/// What to do, and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How to start the daemon.
    pub detachment: Detachment,
    /// What it survives then.
    pub survival: Survival,
}

/// Where a process stands among the control groups of systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// In a session that logind made for a login.
    LoginSession,
    /// Under the user's service manager.
    UserManager,
    /// Elsewhere: a service of the system, a container, a machine without systemd.
    Elsewhere,
}

fn standing(cgroup: &str) -> Standing {
    let mut parts = cgroup.split('/');
    if parts.clone().any(|part| part.starts_with("user@") && part.ends_with(".service")) {
        return Standing::UserManager;
    }
    let is_session = |part: &str| part.starts_with("session-") && part.ends_with(".scope");
    if parts.any(is_session) { Standing::LoginSession } else { Standing::Elsewhere }
}

/// Decides how the daemon is started: a scope of its own only where that makes a difference.
#[must_use]
pub fn decide(facts: &SessionFacts) -> Decision {
    use Detachment::{Scope, Session};
    use Survival::{EndsWithSession, Logout, UntilLastLogout};
    let SessionFacts { linger, kill_user_processes: kill, user_manager: manager, .. } = *facts;
    let (detachment, survival) = match standing(&facts.cgroup) {
        Standing::Elsewhere => (Session, Logout),
        Standing::LoginSession if linger && manager => (Scope, Logout),
        Standing::LoginSession if !kill => (Session, Logout),
        Standing::LoginSession if manager => (Scope, UntilLastLogout),
        Standing::LoginSession => (Session, EndsWithSession),
        Standing::UserManager if linger && manager => (Scope, Logout),
        Standing::UserManager if linger => (Session, Logout),
        // Nothing under the user's service manager outlives it.
        Standing::UserManager => (Session, UntilLastLogout),
    };
    Decision { detachment, survival }
}

/// Tells what a daemon survives that runs in this control group already.
#[must_use]
pub fn survival_in(cgroup: &str, facts: &SessionFacts) -> Survival {
    match standing(cgroup) {
        Standing::Elsewhere => Survival::Logout,
        Standing::LoginSession if !facts.kill_user_processes => Survival::Logout,
        Standing::LoginSession => Survival::EndsWithSession,
        Standing::UserManager if facts.linger => Survival::Logout,
        Standing::UserManager => Survival::UntilLastLogout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "/user.slice/user-1000.slice/session-3.scope";
    const TERMINAL: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope";
    const CRON: &str = "/system.slice/cron.service";

    #[test]
    fn a_scope_is_used_only_where_it_helps() {
        use Detachment::{Scope, Session};
        use Survival::{EndsWithSession, Logout, UntilLastLogout};
        for (cgroup, linger, kill, manager, detachment, survival) in [
            (SESSION, false, false, true, Session, Logout),
            (SESSION, false, false, false, Session, Logout),
            (SESSION, false, true, true, Scope, UntilLastLogout),
            (SESSION, false, true, false, Session, EndsWithSession),
            (SESSION, true, false, true, Scope, Logout),
            (SESSION, true, false, false, Session, Logout),
            (SESSION, true, true, true, Scope, Logout),
            (SESSION, true, true, false, Session, EndsWithSession),
            (TERMINAL, false, false, true, Session, UntilLastLogout),
            (TERMINAL, false, true, true, Session, UntilLastLogout),
            (TERMINAL, true, false, true, Scope, Logout),
            (TERMINAL, true, true, false, Session, Logout),
            (CRON, false, true, true, Session, Logout),
            ("/", true, true, false, Session, Logout),
            ("", false, false, false, Session, Logout),
        ] {
            let facts = SessionFacts {
                cgroup: cgroup.to_owned(),
                linger,
                kill_user_processes: kill,
                user_manager: manager,
            };
            assert_eq!(decide(&facts), Decision { detachment, survival }, "{facts:?}");
        }
    }

    #[test]
    fn where_a_daemon_runs_decides_what_it_survives() {
        use Survival::{EndsWithSession, Logout, UntilLastLogout};
        for (cgroup, linger, kill, expected) in [
            (SESSION, false, false, Logout),
            (SESSION, false, true, EndsWithSession),
            (SESSION, true, true, EndsWithSession),
            (TERMINAL, false, false, UntilLastLogout),
            (TERMINAL, true, true, Logout),
            (CRON, false, true, Logout),
            ("", false, true, Logout),
        ] {
            let facts = SessionFacts { linger, kill_user_processes: kill, ..SessionFacts::default() };
            assert_eq!(survival_in(cgroup, &facts), expected, "{cgroup} {linger} {kill}");
        }
    }

    #[test]
    fn every_outcome_has_words_of_its_own() {
        let all = [Survival::Logout, Survival::UntilLastLogout, Survival::EndsWithSession];
        assert!(all.iter().all(|one| all.iter().filter(|other| one.words() == other.words()).count() == 1));
    }
}
