//! Does a daemon survive a logout and a reboot, and what could bring it back.

use super::facts::Reached;
use super::verdict::some_of;
use super::{Facts, Finding};
use crate::cli::boot::survey::{self, Row, State};
use crate::cli::boot::{Method, Starts};
use crate::model::detach::{self, Survival};
use crate::sys::facts::lasting::Lasting;

/// What to ask for where a login ends what it started.
fn linger(facts: &Facts) -> String {
    let user = &facts.machine.user;
    format!(
        "loginctl enable-linger (if that is refused, ask your administrator: loginctl enable-linger {user})"
    )
}

pub(super) fn logout(facts: &Facts) -> Option<Finding> {
    let Lasting { session, kill_place, daemon_cgroup, .. } = &facts.machine.lasting;
    let anew = detach::decide(session).survival;
    let now = daemon_cgroup.as_ref().map(|group| detach::survival_in(group, session));
    let because = match kill_place {
        Some(place) => format!("logind kills what a session leaves behind ({place}: KillUserProcesses)"),
        None => "logind kills what a session leaves behind".to_owned(),
    };
    let lingers = if session.linger { "" } else { ", and lingering is off for you" };
    let finding = match now.unwrap_or(anew) {
        Survival::Logout => return Some(Finding::ok("visord keeps running after you log out")),
        Survival::UntilLastLogout => Finding::problem(
            "visord will be killed when you log out for the last time, because it belongs to your systemd user \
             manager, which ends then: lingering is off for you",
        )
        .advice(linger(facts)),
        Survival::EndsWithSession => {
            let user = &facts.machine.user;
            let advice = format!(
                "ask your administrator for loginctl enable-linger {user} and a systemd user manager, or for \
                 KillExcludeUsers=root {user} in logind.conf(5)"
            );
            Finding::problem(format!("visord will be killed when you log out, because {because}{lingers}"))
                .advice(if session.user_manager { linger(facts) } else { advice })
        }
    };
    let is_cured_by_restart = now.is_some_and(|now| now != anew) && anew == Survival::Logout;
    let restart = &facts.restart;
    Some(if is_cured_by_restart {
        finding.advice(format!("{restart} (started anew it survives)"))
    } else {
        finding
    })
}

pub(super) fn reboot(facts: &Facts) -> Option<Finding> {
    let Some(rows) = &facts.boot else {
        return Some(Finding::note("nothing is known of what starts this visord at boot").advice(format!(
            "have whatever starts it do so at boot: {} (visorctl boot is for your own visord, without -c)",
            facts.start
        )));
    };
    let enable = facts.command("boot enable");
    let better = survey::choices(rows).into_iter().find(|row| row.starts == Some(Starts::Boot));
    let choice = better.or_else(|| survey::choices(rows).into_iter().next());
    let would = |row: &Row| {
        let when = row.starts.map(Starts::words).unwrap_or_default();
        format!("{enable} (by {}, {when})", row.title)
    };
    let closed = || format!("{} shows why, and whom to ask", facts.command("boot status"));
    if let Some(row) = rows.iter().find(|row| row.state == State::InForce) {
        let title = &row.title;
        return Some(match row.starts {
            Some(Starts::Login) if row.method != Method::Launchd => {
                let what =
                    format!("visord comes back at your next login, not when the machine starts ({title})");
                Finding::note(what).advice(better.map(would).unwrap_or_default())
            }
            starts => {
                let when = starts.map(Starts::words).unwrap_or_default();
                Finding::ok(format!("visord is started {when} ({title})"))
            }
        });
    }
    if let Some(row) = rows.iter().find(|row| row.state == State::NotInForce) {
        let what = format!("visord is to be started by {}, but will not be: {}", row.title, row.text);
        return Some(Finding::problem(what).advice(choice.map_or_else(closed, would)));
    }
    if let Some(kind) = &facts.machine.lasting.container {
        return Some(
            Finding::note(format!("in a container ({kind}) nothing is started at boot but its own command"))
                .advice(format!("let the container's entry point run {}", facts.start)),
        );
    }
    Some(
        Finding::warning("visord does not come back after a reboot by itself")
            .advice(choice.map_or_else(closed, would)),
    )
}

pub(super) fn cron(facts: &Facts) -> Option<Finding> {
    let row = facts.boot.as_ref()?.iter().find(|row| row.method == Method::Cron)?;
    Some(if row.possible {
        Finding::ok("cron carries out lines of yours, @reboot among them")
    } else {
        Finding::note(format!("cron cannot start anything for you: {}", row.text))
    })
}

pub(super) fn batch(facts: &Facts) -> Option<Finding> {
    let Lasting { batch_variable, daemon_batch, .. } = &facts.machine.lasting;
    let elsewhere = "start it on a machine where programs may stay";
    Some(match (daemon_batch, batch_variable, &facts.daemon) {
        (Some(system), ..) => {
            Finding::problem(format!("visord runs inside a batch job ({system}) and will be killed with it"))
                .advice(format!("{}, then {elsewhere}", facts.command("shutdown")))
        }
        (None, Some(name), Reached::Absent) => {
            Finding::warning(format!("this is a batch job ({name}): a visord started here ends with it"))
                .advice(elsewhere)
        }
        (None, Some(name), _) => {
            Finding::note(format!("this is a batch job ({name}); visord runs outside of it"))
        }
        (None, None, _) => {
            Finding::ok(format!("this is no batch job ({} are not set)", some_of(&super::BATCH)))
        }
    })
}
