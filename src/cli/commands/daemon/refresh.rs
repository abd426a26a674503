//! `visorctl daemon refresh-env`: what a login of now gives beside what programs begin with, and taking it over.
//!
//! Only names are told; a value may be a secret. Running programs keep what they have until they are restarted.

use crate::api::v1::{LoginDrift, LoginRequest, path};
use crate::cli::waiting::{self, Question};
use crate::cli::{Outcome, Session, exit};
use crate::client::http::parse;

/// Asks the daemon for a login, and shows the names that differ.
pub(super) fn run(session: &Session, dry_run: bool, json: bool) -> Outcome {
    let question = Question { path: path::LOGIN_ENV, what: "the login shell", timeout: None };
    let reply = waiting::submit(session, &mut session.connect()?, &question, &LoginRequest { dry_run })?;
    let drift: LoginDrift = parse(&reply)?;
    if json {
        session.screen.json(&String::from_utf8_lossy(&reply.body));
    } else {
        lines(&drift).iter().for_each(|line| session.screen.data(line));
    }
    Ok(exit::OK)
}

fn lines(drift: &LoginDrift) -> Vec<String> {
    let LoginDrift { added, changed, removed, applied, users, running } = drift;
    if users.is_empty() {
        return vec!["no program begins with a login's variables (env_login=yes makes one do so)".to_owned()];
    }
    let all = [("new", added), ("changed", changed), ("gone", removed)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty());
    let mut lines: Vec<String> = all.map(|(what, names)| format!("{what}: {}", names.join(" "))).collect();
    if lines.is_empty() {
        return vec!["a login gives what programs begin with already".to_owned()];
    }
    lines.push(match (applied, running.as_slice()) {
        (false, _) => "nothing was changed; visorctl daemon refresh-env takes it over".to_owned(),
        (true, []) => "taken over: it counts from the next start of a program on".to_owned(),
        (true, running) => {
            format!("taken over; restart those that run to give it to them: {}", running.join(" "))
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_and_what_to_do() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut drift = LoginDrift::default();
        assert!(lines(&drift)[0].starts_with("no program"));
        drift.users = names(&["web"]);
        assert_eq!(lines(&drift), ["a login gives what programs begin with already"]);
        (drift.added, drift.removed) = (names(&["A", "B"]), names(&["C"]));
        let dry = "nothing was changed; visorctl daemon refresh-env takes it over";
        assert_eq!(lines(&drift), ["new: A B", "gone: C", dry]);
        drift.applied = true;
        assert_eq!(lines(&drift)[2], "taken over: it counts from the next start of a program on");
        drift.running = names(&["web", "g:p"]);
        assert_eq!(lines(&drift)[2], "taken over; restart those that run to give it to them: web g:p");
    }
}
