//! What brings a new configuration into force: `reread`, `update`, `add`, `remove`.

use crate::api::xmlrpc::Code;
use crate::cli::supervisorctl::codes;
use crate::cli::supervisorctl::replies::{Changes, changes, outcomes, processes};
use crate::cli::supervisorctl::session::Session;
use crate::cli::supervisorctl::trouble::Trouble;
use crate::client::RpcFailure;
use std::collections::BTreeMap;

/// Shows what a new configuration would change.
pub(in crate::cli::supervisorctl) fn reread(session: &mut Session, _rest: &str) -> Result<(), Trouble> {
    let value = match session.call("reloadConfig", &[]) {
        Ok(value) => value,
        Err(Trouble::Rpc(RpcFailure::Fault(fault))) => {
            let text = match Code::of(fault.code) {
                Some(Code::ShutdownState) => "ERROR: supervisor shutting down".to_owned(),
                Some(Code::CantReread) => format!("ERROR: {}", fault.text),
                _ => return Err(RpcFailure::Fault(fault).into()),
            };
            session.fail(codes::GENERIC, &text);
            return Ok(());
        }
        Err(trouble) => return Err(trouble),
    };
    let Changes { added, changed, removed } = changes(&value)?;
    let mut lines = BTreeMap::new();
    for (names, word) in [(added, "available"), (changed, "changed"), (removed, "disappeared")] {
        lines.extend(names.into_iter().map(|name| (name, word)));
    }
    if lines.is_empty() {
        session.say("No config updates to processes");
    }
    lines.iter().for_each(|(name, word)| session.say(&format!("{name}: {word}")));
    Ok(())
}

/// Brings a new configuration into force.
pub(in crate::cli::supervisorctl) fn update(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    let value = match session.call("reloadConfig", &[]) {
        Ok(value) => value,
        Err(trouble) if trouble.fault() == Some(Code::ShutdownState) => {
            session.fail(codes::GENERIC, "ERROR: already shutting down");
            return Ok(());
        }
        Err(trouble) => return Err(trouble),
    };
    let Changes { added, changed, removed } = changes(&value)?;
    let mut wanted: Vec<&str> = Vec::new();
    for name in rest.split_whitespace() {
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    if wanted.contains(&"all") {
        wanted.clear();
    }
    name_unknown_groups(session, &wanted, &added)?;
    let is_wanted = |name: &&String| wanted.is_empty() || wanted.contains(&name.as_str());
    for name in removed.iter().filter(is_wanted) {
        take_out(session, name)?;
    }
    for name in changed.iter().filter(is_wanted) {
        session.call("stopProcessGroup", &[name.as_str().into()])?;
        session.say(&format!("{name}: stopped"));
        session.call("removeProcessGroup", &[name.as_str().into()])?;
        session.call("addProcessGroup", &[name.as_str().into()])?;
        session.say(&format!("{name}: updated process group"));
    }
    for name in added.iter().filter(is_wanted) {
        session.call("addProcessGroup", &[name.as_str().into()])?;
        session.say(&format!("{name}: added process group"));
    }
    Ok(())
}

/// Says which of the groups that were asked for are neither there nor to come.
fn name_unknown_groups(session: &mut Session, wanted: &[&str], added: &[String]) -> Result<(), Trouble> {
    if wanted.is_empty() {
        return Ok(());
    }
    let all = processes(&session.call("getAllProcessInfo", &[])?)?;
    for name in wanted {
        let is_known =
            all.iter().any(|process| process.group == *name) || added.iter().any(|new| new == name);
        if !is_known {
            session.fail(codes::GENERIC, &format!("ERROR: no such group: {name}"));
        }
    }
    Ok(())
}

fn take_out(session: &mut Session, name: &str) -> Result<(), Trouble> {
    let results = session.call("stopProcessGroup", &[name.into()])?;
    session.say(&format!("{name}: stopped"));
    if outcomes(&results)?.iter().any(|outcome| Code::of(outcome.status) == Some(Code::Failed)) {
        session.fail(codes::GENERIC, &format!("{name}: has problems; not removing"));
        return Ok(());
    }
    session.call("removeProcessGroup", &[name.into()])?;
    session.say(&format!("{name}: removed process group"));
    Ok(())
}

/// Puts groups in force.
pub(in crate::cli::supervisorctl) fn add(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    for name in rest.split_whitespace() {
        match session.call("addProcessGroup", &[name.into()]) {
            Ok(_) => session.say(&format!("{name}: added process group")),
            Err(trouble) => match trouble.fault() {
                Some(Code::ShutdownState) => session.fail(codes::GENERIC, "ERROR: shutting down"),
                Some(Code::AlreadyAdded) => session.say("ERROR: process group already active"),
                Some(Code::BadName) => no_such(session, name),
                _ => return Err(trouble),
            },
        }
    }
    Ok(())
}

/// Takes groups out of force.
pub(in crate::cli::supervisorctl) fn remove(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    for name in rest.split_whitespace() {
        match session.call("removeProcessGroup", &[name.into()]) {
            Ok(_) => session.say(&format!("{name}: removed process group")),
            Err(trouble) => match trouble.fault() {
                Some(Code::StillRunning) => {
                    session.fail(codes::GENERIC, &format!("ERROR: process/group still running: {name}"));
                }
                Some(Code::BadName) => no_such(session, name),
                _ => return Err(trouble),
            },
        }
    }
    Ok(())
}

fn no_such(session: &mut Session, name: &str) {
    session.fail(codes::GENERIC, &format!("ERROR: no such process/group: {name}"));
}
