//! The lines that the core writes into the activity log, word for word supervisord's where it has them.
//!
//! Other tools match on these texts (supervisor 4.3 process.py and supervisord.py); each line stands here once.
//! Example: `self.log(lines::spawned("web", 4711))`.

use crate::model::dialogue::Standing;
use crate::model::event::Channel;
use crate::model::python::bytes_repr;
use crate::model::{ExitStatus, Level, Signal};

/// Level and text of a line.
pub(super) type Line = (Level, String);

pub(super) fn spawned(name: &str, pid: i32) -> Line {
    (Level::Info, format!("spawned: '{name}' with pid {pid}"))
}

pub(super) fn success(name: &str, startsecs: i64) -> Line {
    let text = format!(
        "success: {name} entered RUNNING state, process has stayed up for > than {startsecs} seconds (startsecs)"
    );
    (Level::Info, text)
}

pub(super) fn exited(name: &str, status: ExitStatus, expected: bool) -> Line {
    match expected {
        true => (Level::Info, format!("exited: {name} ({status}; expected)")),
        false => (Level::Warn, format!("exited: {name} ({status}; not expected)")),
    }
}

pub(super) fn stopped(name: &str, status: ExitStatus, expected: bool) -> Line {
    (if expected { Level::Info } else { Level::Warn }, format!("stopped: {name} ({status})"))
}

pub(super) fn gave_up(name: &str) -> Line {
    let text = format!("gave up: {name} entered FATAL state, too many start retries too quickly");
    (Level::Info, text)
}

pub(super) fn refused(name: &str, why: &str) -> Line {
    (Level::Error, format!("gave up: {name} entered FATAL state, it must not be started: {why}"))
}

pub(super) fn not_here(name: &str, why: &str) -> Line {
    (Level::Info, format!("not started: {name} ({why})"))
}

pub(super) fn spawn_error(text: &str) -> Line {
    (Level::Info, format!("spawnerr: {text}"))
}

pub(super) fn sending(name: &str, pid: i32, signal: Signal) -> Line {
    (Level::Debug, format!("sending {name} (pid {pid}) sig {signal}"))
}

pub(super) fn killing(name: &str, pid: i32, group: bool, signal: Signal) -> Line {
    let whom = if group { "process group " } else { "" };
    (Level::Debug, format!("killing {name} (pid {pid}) {whom}with signal {signal}"))
}

pub(super) fn killing_hard(name: &str, pid: i32) -> Line {
    (Level::Warn, format!("killing '{name}' ({pid}) with SIGKILL"))
}

pub(super) fn killing_rest(name: &str, left: u32) -> Line {
    (Level::Warn, format!("killing {} of '{name}' with SIGKILL", left_overs(left)))
}

pub(super) fn survived(name: &str, left: u32) -> Line {
    (Level::Warn, format!("{} of '{name}' did not end after SIGKILL, going on without", left_overs(left)))
}

pub(super) fn unsignallable(name: &str, pid: i32, errno: &str) -> Line {
    (Level::Critical, unsignallable_text(name, pid, errno))
}

/// Returns the words of [`unsignallable`], which a waiting client gets as well.
pub(super) fn unsignallable_text(name: &str, pid: i32, errno: &str) -> String {
    format!("unknown problem killing {name} ({pid}): {errno}")
}

pub(super) fn creating_socket(url: &str) -> Line {
    (Level::Info, format!("Creating socket {url}"))
}

pub(super) fn closing_socket(url: &str) -> Line {
    (Level::Info, format!("Closing socket {url}"))
}

pub(super) fn waiting_to_stop(name: &str) -> Line {
    (Level::Info, format!("waiting for {name} to stop"))
}

pub(super) fn waiting_to_die(names: &[&str]) -> Line {
    (Level::Info, format!("waiting for {} to die", names.join(", ")))
}

pub(super) fn daemon_ends(name: &str, code: u8) -> Line {
    (Level::Warn, format!("the essential program {name} ended: the daemon ends with exit code {code}"))
}

pub(super) fn group_ends(name: &str) -> Line {
    (Level::Warn, format!("the essential program {name} ended: the rest of its group is stopped"))
}

pub(super) fn exit_requested(signal: Signal) -> Line {
    (Level::Warn, format!("received {signal} indicating exit request"))
}

pub(super) fn restart_requested(signal: Signal) -> Line {
    (Level::Warn, format!("received {signal} indicating restart request"))
}

pub(super) fn restart_ignored(signal: Signal) -> Line {
    (Level::Warn, format!("ignored {signal} indicating restart request (shutdown in progress)"))
}

pub(super) fn standing(name: &str, from: Standing, to: Standing) -> Line {
    (Level::Debug, format!("{name}: {} -> {}", from.name(), to.name()))
}

pub(super) fn event_sent(serial: u64, name: &str) -> Line {
    (Level::Debug, format!("event {serial} sent to listener {name}"))
}

pub(super) fn processed(name: &str) -> Line {
    (Level::Debug, format!("{name}: event was processed"))
}

pub(super) fn rejected(name: &str) -> Line {
    (Level::Warn, format!("{name}: event was rejected"))
}

pub(super) fn rebuffering(pool: &str, serial: u64, waiting: usize, most: usize) -> Line {
    let text = format!("rebuffering event {serial} for pool {pool} (buf size={waiting}, max={most})");
    (Level::Debug, text)
}

pub(super) fn overflowed(pool: &str, serial: u64) -> Line {
    (Level::Error, format!("pool {pool} event buffer overflowed, discarding event {serial}"))
}

pub(super) fn undelivered(pool: &str, count: usize) -> Line {
    let events = if count == 1 { "event" } else { "events" };
    (Level::Info, format!("pool {pool} ends, discarding {count} {events} that no listener took"))
}

pub(super) fn bad_result(name: &str, line: &[u8]) -> Line {
    let shown = match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("Undecodable: {}", bytes_repr(line)),
    };
    (Level::Warn, format!("{name}: bad result line: '{shown}'"))
}

pub(super) fn broke_protocol(name: &str) -> Line {
    let text = format!(
        "{name}: has entered the UNKNOWN state and will no longer receive events, this usually indicates the \
         process violated the eventlistener protocol"
    );
    (Level::Warn, text)
}

pub(super) fn unheard(name: &str) -> Line {
    (
        Level::Warn,
        format!("{name}: what it said was lost with a reactor, and so is the thread of its protocol"),
    )
}

pub(super) fn deaf(name: &str) -> Line {
    (Level::Debug, format!("epipe occurred while sending an event to listener {name}"))
}

pub(super) fn restarting(name: &str) -> Line {
    (Level::Warn, format!("{name}: restarting it, so that it receives events again"))
}

pub(super) fn comm_event(name: &str, channel: Channel) -> Line {
    let text = format!("'{name}' {} emitted a comm event", channel.name());
    (Level::Debug, text)
}

fn left_overs(left: u32) -> String {
    format!("{left} left-over process{}", if left == 1 { "" } else { "es" })
}
