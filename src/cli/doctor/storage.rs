//! Where files lie: a home on another machine, a state directory without room, sockets in a directory that is cleaned.

use super::verdict::{count, some_of};
use super::{Facts, Finding};
use crate::sys::facts::storage::{Host, State};

/// Free space below which logs and state stop within minutes, in bytes: a rotated log is 50 MB by default.
const SPACE_LOW_BYTES: u64 = 256 * MIB;

/// Free space below which nothing useful can be written any more, in bytes.
const SPACE_OUT_BYTES: u64 = 16 * MIB;

/// Free files below which the state directory cannot do its work: logs, rotated ones, and a few of our own.
const FILES_LOW: u64 = 1000;

const MIB: u64 = 1024 * 1024;

pub(super) fn home(facts: &Facts) -> Option<Finding> {
    let storage = &facts.machine.storage;
    let Some(home) = &storage.home else {
        return Some(
            Finding::problem("no home directory is known: there is no place for a configuration")
                .advice("set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME, to directories of yours"),
        );
    };
    let path = home.path.display();
    let Some(network) = &home.network else {
        return Some(Finding::ok(format!("{path} is on this machine")));
    };
    let hosts = match storage.hosts.as_slice() {
        [] => "no other host has used it with visord".to_owned(),
        hosts => {
            let names: Vec<String> = hosts.iter().map(used).collect();
            format!(
                "{} with visord too: {}",
                count(hosts.len(), "other host uses it", "other hosts use it"),
                some_of(&names)
            )
        }
    };
    let what = format!(
        "{path} is on another machine ({network}); {hosts}. Each host has a daemon, sockets and state of its own"
    );
    Some(Finding::note(what).advice("start visord on each host that is to run programs"))
}

fn used(host: &Host) -> String {
    match host.idle_days {
        0 => format!("{} (today)", host.key),
        days => format!("{} ({} ago)", host.key, count(usize::try_from(days).unwrap_or(0), "day", "days")),
    }
}

pub(super) fn state(facts: &Facts) -> Option<Finding> {
    let State { path, trouble, free_bytes, free_files } = &facts.machine.storage.state;
    let shown = path.display();
    if path.as_os_str().is_empty() {
        return Some(
            Finding::problem("there is no place for logs and state").advice("set HOME or VISOR_STATE_DIR"),
        );
    }
    if let Some(trouble) = trouble {
        return Some(
            Finding::problem(format!("the state directory {shown} cannot be used: {trouble}"))
                .advice("correct that, or name another one in VISOR_STATE_DIR"),
        );
    }
    let advice = "make room there, or name another place in VISOR_STATE_DIR";
    let mib = free_bytes.map(|bytes| bytes / MIB);
    Some(match (free_bytes, free_files) {
        (Some(bytes), _) if *bytes < SPACE_OUT_BYTES => {
            let what =
                format!("the disk of {shown} is full ({} MiB free): output of programs is lost", bytes / MIB);
            Finding::problem(what).advice(advice)
        }
        (_, Some(0)) => {
            Finding::problem(format!("no more files can be made in {shown} (no free inodes)")).advice(advice)
        }
        (Some(bytes), _) if *bytes < SPACE_LOW_BYTES => {
            Finding::warning(format!("the disk of {shown} is nearly full: {} MiB free", bytes / MIB))
                .advice(advice)
        }
        (_, Some(files)) if *files < FILES_LOW => {
            Finding::warning(format!("the disk of {shown} takes no more than {files} further files"))
                .advice(advice)
        }
        _ => match mib {
            Some(mib) => Finding::ok(format!("{shown} has room: {mib} MiB free")),
            None => Finding::ok(format!("{shown} can be written")),
        },
    })
}

pub(super) fn sockets(facts: &Facts) -> Option<Finding> {
    let storage = &facts.machine.storage;
    let bound: Vec<String> = match facts.shown() {
        Some(daemon) => daemon.sockets.clone(),
        None => storage.usable.iter().map(|path| path.display().to_string()).collect(),
    };
    let is_running = facts.shown().is_some();
    let where_ = match (bound.is_empty(), is_running) {
        (true, true) => {
            return Some(
                Finding::problem("visord has no control socket of its own: other sessions cannot find it")
                    .advice("set VISOR_RUNTIME_DIR to a directory of yours on this machine, with mode 0700"),
            );
        }
        (true, false) => "the directory for sockets is made when visord starts".to_owned(),
        (false, true) => format!("visord listens at {}", some_of(&bound)),
        (false, false) => format!("visord will listen in {}", some_of(&bound)),
    };
    match storage.refused.as_slice() {
        [] => Some(Finding::ok(where_)),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            let what = format!("{} is not used: {}{more}; {where_}", first.path.display(), first.why);
            let advice =
                format!("look at who made {}, and remove it or correct its mode", first.path.display());
            Some(Finding::warning(what).advice(advice))
        }
    }
}

pub(super) fn cleaners(facts: &Facts) -> Option<Finding> {
    let Some(cleaner) = facts.machine.cleaners.first() else {
        return Some(Finding::ok("nothing here removes old files below /tmp"));
    };
    let age = if cleaner.age.is_empty() { String::new() } else { format!(" older than {}", cleaner.age) };
    let what = format!("{} removes files{age} below /tmp ({})", cleaner.name, cleaner.rule);
    let elsewhere = facts
        .shown()
        .and_then(|daemon| daemon.sockets.iter().find(|socket| !socket.starts_with("/tmp/")).cloned());
    Some(match elsewhere {
        Some(socket) => Finding::ok(format!("{what}; visord also listens at {socket}")),
        None => Finding::note(format!(
            "{what}; a socket of visord that vanishes there is bound again within a second"
        ))
        .advice(
            "to keep it from happening, ask your administrator for a line in /etc/tmpfiles.d: x /tmp/visor-*",
        ),
    })
}
