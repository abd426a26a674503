//! The daemon, its configuration, who may ask it, and its kin.

use super::facts::{Reached, Server};
use super::verdict::{count, some_of};
use super::{Facts, Finding};
use crate::api::v1::{self, ConfigState};
use crate::config::Severity;
use crate::model::spec::ServerAddress;
use jiff::Timestamp;

/// Permission bits of others than the owner.
const OTHERS: u32 = 0o077;

/// Permission bits of everybody.
const EVERYBODY: u32 = 0o006;

pub(super) fn daemon(facts: &Facts) -> Option<Finding> {
    let Facts { start, restart, .. } = facts;
    Some(match &facts.daemon {
        Reached::Absent => Finding::note("visord does not run").advice(start.clone()),
        Reached::Silent { pid, why } => {
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            Finding::problem(format!("visord runs with pid {pid}, but does not answer{why}"))
                .advice(format!("wait a moment and try again; if it stays so: kill {pid}, then {start}"))
        }
        Reached::Strange(why) => {
            Finding::problem(format!("visord cannot be asked: {why}")).advice(restart.clone())
        }
        Reached::Here { daemon, .. } if daemon.version != facts.version => {
            let (theirs, ours) = (&daemon.version, &facts.version);
            Finding::note(format!("visord is {theirs} and visorctl {ours}"))
                .advice(format!("{restart} (brings it up to date)"))
        }
        Reached::Here { .. } if facts.machine.kin.is_outdated => {
            Finding::note("the program of visord was replaced since it was started")
                .advice(format!("{restart} (takes the new one)"))
        }
        Reached::Here { daemon, processes } => {
            let programs = count(*processes, "process", "processes");
            Finding::ok(format!("visord {} runs with pid {}, {programs}", daemon.version, daemon.pid))
        }
    })
}

/// Judges the configuration: what the daemon says of it, and what the files say from here.
#[must_use]
pub fn configuration(facts: &Facts) -> Finding {
    let shown = facts.shown().map(|daemon| &daemon.config);
    in_force(shown, facts).unwrap_or_else(|| as_read(shown.is_some(), facts))
}

/// Returns what is wrong with what the daemon has read last.
fn in_force(shown: Option<&v1::Config>, facts: &Facts) -> Option<Finding> {
    let shown = shown?;
    let problems = match shown.problems.as_slice() {
        [] => String::new(),
        [one] => format!(": {one}"),
        [first, rest @ ..] => format!(": {first} (and {} more)", rest.len()),
    };
    let since = since(shown, facts);
    match shown.state {
        ConfigState::Ok => None,
        ConfigState::Bad => Some(
            Finding::problem(format!(
                "the configuration has mistakes{since}, the last good one stays in force{problems}"
            ))
            .advice(format!("correct it, then: {}", facts.command("update"))),
        ),
        ConfigState::Pending if !shown.waits_for_apply.is_empty() => Some(
            Finding::warning(format!(
                "a change of the configuration waits{since}: {}",
                some_of(&shown.waits_for_apply)
            ))
            .advice(format!(
                "{} (shows it; without --dry-run it is applied)",
                facts.command("apply --dry-run")
            )),
        ),
        ConfigState::Pending if shown.waits_for_update || shown.waits_for_restart.is_empty() => Some(
            Finding::warning(format!("a change of the configuration waits{since}{problems}"))
                .advice(facts.command("update")),
        ),
        ConfigState::Pending => {
            let keys = shown.waits_for_restart.join(" ");
            Some(
                Finding::warning(format!("a change of [supervisord] {keys} waits{since}"))
                    .advice(facts.restart.clone()),
            )
        }
    }
}

fn since(shown: &v1::Config, facts: &Facts) -> String {
    let at = Timestamp::from_second(shown.since_unix as i64).ok().filter(|_| shown.since_unix > 0.0);
    at.map(|at| format!(" since {}", moment(at, facts))).unwrap_or_default()
}

fn moment(at: Timestamp, facts: &Facts) -> String {
    at.to_zoned(facts.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Returns what is wrong with the files as they are read from here.
fn as_read(is_running: bool, facts: &Facts) -> Finding {
    let config = &facts.config;
    let check = facts.command("check");
    match (config.errors.as_slice(), config.warnings.as_slice()) {
        _ if config.name.is_empty() => Finding::ok("visord has no complaint"),
        ([first, rest @ ..], _) => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            let then = if is_running {
                "the configuration has mistakes, and visord would refuse it"
            } else {
                "the configuration has mistakes, and visord would not start with it"
            };
            Finding::problem(format!("{then}: {first}{more}"))
                .advice(format!("correct it; {check} shows every mistake"))
        }
        ([], [first, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            Finding::note(format!("{first}{more}")).advice(format!("{check} shows every warning"))
        }
        ([], []) => {
            let processes = count(config.processes, "process", "processes");
            Finding::ok(format!("{}: {processes}, no mistakes", config.name))
        }
    }
}

pub(super) fn permissions(facts: &Facts) -> Option<Finding> {
    let config = &facts.config;
    if let Some(doubt) = config.doubts.iter().min_by_key(|doubt| doubt.severity) {
        let more = match config.doubts.len() {
            1 => String::new(),
            many => format!(" (and {} more)", many - 1),
        };
        let what = format!("{}{more}", doubt.what);
        let finding =
            if doubt.severity == Severity::Error { Finding::problem(what) } else { Finding::warning(what) };
        return Some(finding.advice(doubt.hint.clone()));
    }
    Some(match config.readable_secrets.first() {
        Some(file) => {
            let file = file.display();
            Finding::warning(format!("{file} holds a password, and others on this machine may read it"))
                .advice(format!("chmod go-r {file}"))
        }
        None => Finding::ok("nobody but you and root can change the configuration"),
    })
}

pub(super) fn access(facts: &Facts) -> Option<Finding> {
    let closed = facts.shown().and_then(|daemon| daemon.servers.iter().find(|server| !server.open));
    if let Some(v1::Server { section, address, text, .. }) = closed {
        return Some(
            Finding::problem(format!("the server {address} [{section}] is closed: {text}"))
                .advice(format!("correct the section, then: {}", facts.restart)),
        );
    }
    let mut found: Vec<Finding> =
        facts.config.servers.iter().filter_map(|server| opened(server, facts)).collect();
    found.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let nobody = || match facts.config.delegates.as_slice() {
        [] => Finding::ok("only you and root can ask visord"),
        some => Finding::ok(format!("you and root can ask visord, and others what {} grants", some_of(some))),
    };
    Some(found.into_iter().next().unwrap_or_else(nobody))
}

/// Returns who else is let in by a server, and by what.
fn opened(server: &Server, facts: &Facts) -> Option<Finding> {
    let Server { section, address, has_login, place } = server;
    let login = if *has_login { " with the password" } else { "" };
    let powers = "can start, stop and write to programs";
    let close = format!("leave chmod, chown and username out of [{section}], unless you mean it");
    match address {
        ServerAddress::Unix { chmod, chown, .. } => {
            let given = chown.and_then(|(uid, _)| (uid != facts.machine.uid && uid != 0).then_some(uid));
            let who = match given {
                Some(uid) => format!("user {uid} (chown)"),
                None if chmod & EVERYBODY != 0 => format!("everybody on this machine (chmod={chmod:04o})"),
                None if chmod & OTHERS != 0 => format!("the group of its socket (chmod={chmod:04o})"),
                None if *has_login => {
                    return Some(Finding::note(format!(
                        "[{section}] asks for a password, but its mode lets only you and root in anyway ({place})"
                    )));
                }
                None => return None,
            };
            Some(Finding::warning(format!("{who} {powers}{login}: [{section}] ({place})")).advice(close))
        }
        ServerAddress::Inet { host, port } => {
            let is_near = matches!(host.as_str(), "127.0.0.1" | "localhost" | "::1");
            let host = if host.is_empty() { "*" } else { host };
            match (is_near, has_login) {
                (true, false) => None,
                (true, true) => Some(Finding::note(format!(
                    "everybody on this machine {powers} with the password: [{section}] {host}:{port} ({place})"
                ))),
                (false, true) => Some(
                    Finding::warning(format!(
                        "everybody who reaches {host}:{port} {powers} with the password, which crosses the network \
                         readable: [{section}] ({place})"
                    ))
                    .advice("say port=127.0.0.1:PORT, and go there through ssh -L"),
                ),
                (false, false) => Some(
                    Finding::problem(format!("[{section}] {host}:{port} stays closed without a password ({place})"))
                        .advice("give it username= and password=, or say port=127.0.0.1:PORT"),
                ),
            }
        }
    }
}

pub(super) fn environment(facts: &Facts) -> Option<Finding> {
    let drift = match &facts.login {
        None => {
            return Some(Finding::ok(
                "programs get the environment of a login, taken when visord is started",
            ));
        }
        Some(Err(why)) => {
            return Some(Finding::note(format!(
                "it is not known what a login would give to programs now: {why}"
            )));
        }
        Some(Ok(drift)) => drift,
    };
    let named =
        |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", some_of(names)));
    let all = [("new", &drift.added), ("changed", &drift.changed), ("gone", &drift.removed)];
    let differing: Vec<String> = all.into_iter().filter_map(|(what, names)| named(what, names)).collect();
    Some(if drift.users.is_empty() {
        Finding::ok("no program begins with the variables of a login")
    } else if differing.is_empty() {
        Finding::ok("programs begin with the variables that a login gives now")
    } else {
        let what = format!(
            "a login gives other variables now than {} with: {}",
            count(drift.users.len(), "program begins", "programs begin"),
            differing.join("; ")
        );
        let refresh = facts.command("daemon refresh-env");
        Finding::note(what).advice(format!("{refresh} (takes them over for the next start of each)"))
    })
}

pub(super) fn others(facts: &Facts) -> Option<Finding> {
    let daemons = &facts.machine.kin.daemons;
    if daemons.is_empty() {
        return Some(Finding::ok("you have no other visord"));
    }
    if let Some(gone) = daemons.iter().find(|daemon| daemon.is_config_gone) {
        let (pid, config) = (gone.pid, gone.config.display());
        return Some(
            Finding::warning(format!("a visord of yours with pid {pid} runs {config}, which is gone"))
                .advice(format!("kill {pid} (ends it and its programs), unless you mean it")),
        );
    }
    let shown: Vec<String> =
        daemons.iter().map(|daemon| format!("pid {} for {}", daemon.pid, daemon.config.display())).collect();
    let number = count(daemons.len(), "other visord", "other visords");
    Some(
        Finding::note(format!("you have {number}: {}", some_of(&shown)))
            .advice("visorctl -c FILE asks that one"),
    )
}

pub(super) fn orphans(facts: &Facts) -> Option<Finding> {
    let strays = &facts.machine.kin.strays;
    if strays.is_empty() {
        return Some(Finding::ok("no program is left of a visord that is gone"));
    }
    let shown: Vec<String> = strays.iter().map(|stray| format!("{} ({})", stray.pid, stray.name)).collect();
    let pids: Vec<String> = strays.iter().map(|stray| stray.pid.to_string()).collect();
    let number = count(strays.len(), "process is", "processes are");
    Some(
        Finding::warning(format!("{number} left of a visord that is gone: {}", some_of(&shown)))
            .advice(format!("nobody looks after them; to end them: kill {}", pids.join(" "))),
    )
}
