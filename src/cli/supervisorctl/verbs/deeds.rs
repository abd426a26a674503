//! What is done with processes, one, a group or all: `start`, `stop`, `restart`, `signal`, `clear`.
//!
//! They differ in words and methods only, which [`Deed`] holds.

use super::help;
use crate::api::names::{Namespec, join};
use crate::api::xmlrpc::{Code, Value};
use crate::cli::supervisorctl::codes;
use crate::cli::supervisorctl::commands::{find, perform};
use crate::cli::supervisorctl::replies::{Outcome, outcomes, processes};
use crate::cli::supervisorctl::session::Session;
use crate::cli::supervisorctl::trouble::Trouble;
use crate::client::RpcFailure;

/// One of the things that can be done.
struct Deed {
    name: &'static str,
    /// The participle.
    done: &'static str,
    /// The methods for all, for a group (where there is one) and for one process.
    all: &'static str,
    group: Option<&'static str>,
    one: &'static str,
    /// The words for each status that has some.
    reasons: &'static [(Code, &'static str)],
    /// The status whose text is shown as it is.
    spoken: Option<Code>,
    /// The status that is no failure.
    ignored: Option<Code>,
    /// The exit code for a group that is not there.
    no_group: i32,
}

const START: Deed = Deed {
    name: "start",
    done: "started",
    all: "startAllProcesses",
    group: Some("startProcessGroup"),
    one: "startProcess",
    reasons: &[
        (Code::BadName, "no such process"),
        (Code::NoFile, "no such file"),
        (Code::NotExecutable, "file is not executable"),
        (Code::AlreadyStarted, "already started"),
        (Code::SpawnError, "spawn error"),
        (Code::AbnormalTermination, "abnormal termination"),
    ],
    spoken: None,
    ignored: Some(Code::AlreadyStarted),
    no_group: codes::INVALID,
};

/// What can go wrong with a signal, that of `stop` included.
const SIGNAL_REASONS: &[(Code, &str)] = &[
    (Code::BadName, "no such process"),
    (Code::BadSignal, "bad signal name"),
    (Code::NotRunning, "not running"),
];

const STOP: Deed = Deed {
    name: "stop",
    done: "stopped",
    all: "stopAllProcesses",
    group: Some("stopProcessGroup"),
    one: "stopProcess",
    reasons: SIGNAL_REASONS,
    spoken: Some(Code::Failed),
    ignored: Some(Code::NotRunning),
    no_group: codes::GENERIC,
};

const SIGNAL: Deed = Deed {
    name: "signal",
    done: "signalled",
    all: "signalAllProcesses",
    group: Some("signalProcessGroup"),
    one: "signalProcess",
    reasons: SIGNAL_REASONS,
    spoken: Some(Code::Failed),
    ignored: None,
    no_group: codes::GENERIC,
};

const CLEAR: Deed = Deed {
    name: "clear",
    done: "cleared",
    all: "clearAllProcessLogs",
    // supervisord has no such method: each process is asked for.
    group: None,
    one: "clearProcessLogs",
    reasons: &[(Code::BadName, "no such process"), (Code::Failed, "failed")],
    spoken: None,
    ignored: None,
    no_group: codes::GENERIC,
};

/// Starts processes.
pub(in crate::cli::supervisorctl) fn start(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    carry_out_named(session, &START, rest, codes::INVALID)
}

/// Stops processes.
pub(in crate::cli::supervisorctl) fn stop(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    carry_out_named(session, &STOP, rest, codes::GENERIC)
}

/// Empties the logs of processes.
pub(in crate::cli::supervisorctl) fn clear(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    carry_out_named(session, &CLEAR, rest, codes::GENERIC)
}

/// Stops and starts processes.
pub(in crate::cli::supervisorctl) fn restart(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    if rest.is_empty() {
        nobody_named(session, "restart", codes::GENERIC);
        return Ok(());
    }
    for half in ["stop", "start"].into_iter().filter_map(find) {
        perform(session, half, rest)?;
    }
    Ok(())
}

/// Sends a signal to processes.
pub(in crate::cli::supervisorctl) fn signal(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    match words.split_first() {
        Some((signal, names)) if !names.is_empty() => carry_out(session, &SIGNAL, names, &[(*signal).into()]),
        _ => {
            session.fail(codes::GENERIC, "Error: signal requires a signal name and a process name");
            usage(session, "signal");
            Ok(())
        }
    }
}

fn carry_out_named(session: &mut Session, deed: &Deed, rest: &str, nobody: i32) -> Result<(), Trouble> {
    let names: Vec<&str> = rest.split_whitespace().collect();
    if names.is_empty() {
        nobody_named(session, deed.name, nobody);
        return Ok(());
    }
    carry_out(session, deed, &names, &[])
}

fn nobody_named(session: &mut Session, name: &str, code: i32) {
    session.fail(code, &format!("Error: {name} requires a process name"));
    usage(session, name);
}

fn usage(session: &Session, name: &str) {
    if let Some(command) = find(name) {
        help::show(session, command);
    }
}

fn carry_out(session: &mut Session, deed: &Deed, names: &[&str], extra: &[Value]) -> Result<(), Trouble> {
    if names.contains(&"all") {
        let results = session.call(deed.all, extra)?;
        return show(session, deed, &outcomes(&results)?);
    }
    for name in names {
        match Namespec::parse(name) {
            Namespec::Group(group) => group_done(session, deed, &group, extra)?,
            spec => one_done(session, deed, &spec, name, extra)?,
        }
    }
    Ok(())
}

fn group_done(session: &mut Session, deed: &Deed, group: &str, extra: &[Value]) -> Result<(), Trouble> {
    let results = match deed.group {
        Some(method) => session.call(method, &with(group, extra)),
        None => return each_of_group(session, deed, group, extra),
    };
    match results {
        Ok(results) => show(session, deed, &outcomes(&results)?),
        Err(trouble) if trouble.fault() == Some(Code::BadName) => {
            no_group(session, deed, group);
            Ok(())
        }
        Err(trouble) => Err(trouble),
    }
}

fn each_of_group(session: &mut Session, deed: &Deed, group: &str, extra: &[Value]) -> Result<(), Trouble> {
    let mut members = processes(&session.call("getAllProcessInfo", &[])?)?;
    members.retain(|process| process.group == group);
    if members.is_empty() {
        no_group(session, deed, group);
    }
    for member in members {
        let spec = Namespec::Process { group: member.group, name: member.name };
        let name = spec.to_string();
        one_done(session, deed, &spec, &name, extra)?;
    }
    Ok(())
}

fn no_group(session: &mut Session, deed: &Deed, group: &str) {
    session.fail(deed.no_group, &format!("{group}: ERROR (no such group)"));
}

fn one_done(
    session: &mut Session,
    deed: &Deed,
    spec: &Namespec,
    name: &str,
    extra: &[Value],
) -> Result<(), Trouble> {
    let namespec = match spec {
        Namespec::Process { group, name } => join(group, name),
        other => other.to_string(),
    };
    let outcome = match session.call(deed.one, &with(name, extra)) {
        Ok(_) => Outcome { namespec, status: Code::Success.number(), text: String::new() },
        Err(Trouble::Rpc(RpcFailure::Fault(fault))) => {
            Outcome { namespec, status: fault.code, text: fault.text }
        }
        Err(trouble) => return Err(trouble),
    };
    show(session, deed, &[outcome])
}

fn with(name: &str, extra: &[Value]) -> Vec<Value> {
    std::iter::once(name.into()).chain(extra.iter().cloned()).collect()
}

fn show(session: &mut Session, deed: &Deed, outcomes: &[Outcome]) -> Result<(), Trouble> {
    for outcome in outcomes {
        session.say(&line(deed, outcome)?);
        session.note_fault(outcome.status, deed.ignored);
    }
    Ok(())
}

fn line(deed: &Deed, outcome: &Outcome) -> Result<String, Trouble> {
    let Outcome { namespec, status, text } = outcome;
    let code = Code::of(*status);
    let reason = deed.reasons.iter().find(|(known, _)| Some(*known) == code);
    match (code, reason) {
        (Some(Code::Success), _) => Ok(format!("{namespec}: {}", deed.done)),
        (_, Some((_, words))) => Ok(format!("{namespec}: ERROR ({words})")),
        (Some(code), None) if deed.spoken == Some(code) => Ok(text.clone()),
        _ => Err(Trouble::Other(format!("Unknown result code {status} for {namespec}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(deed: &Deed, code: Code) -> String {
        let outcome =
            Outcome { namespec: "g:p".to_owned(), status: code.number(), text: "FAILED: why".to_owned() };
        line(deed, &outcome).unwrap_or_else(|trouble| trouble.to_string())
    }

    #[test]
    fn every_status_has_supervisorctls_words() {
        for (deed, code, words) in [
            (&START, Code::Success, "g:p: started"),
            (&START, Code::NoFile, "g:p: ERROR (no such file)"),
            (&START, Code::AbnormalTermination, "g:p: ERROR (abnormal termination)"),
            (&START, Code::Failed, "Unknown result code 30 for g:p"),
            (&STOP, Code::Success, "g:p: stopped"),
            (&STOP, Code::NotRunning, "g:p: ERROR (not running)"),
            (&STOP, Code::Failed, "FAILED: why"),
            (&SIGNAL, Code::BadSignal, "g:p: ERROR (bad signal name)"),
            (&CLEAR, Code::Failed, "g:p: ERROR (failed)"),
        ] {
            assert_eq!(shown(deed, code), words);
        }
    }
}
