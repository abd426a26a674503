//! What only looks: `status`, `pid`, `avail`, `version`.

use crate::api::names::Namespec;
use crate::api::xmlrpc::Code;
use crate::cli::supervisorctl::codes;
use crate::cli::supervisorctl::replies::{Process, configured, processes};
use crate::cli::supervisorctl::session::Session;
use crate::cli::supervisorctl::trouble::Trouble;
use crate::model::State;

/// Least width of the column of names.
const NAME_WIDTH_MIN: usize = 30;
/// Blanks behind the longest name.
const NAME_GAP: usize = 3;

/// Shows the state of processes.
pub(in crate::cli::supervisorctl) fn status(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    if !session.is_up()? {
        session.exit_code = codes::STATUS_UNKNOWN;
        return Ok(());
    }
    let all = processes(&session.call("getAllProcessInfo", &[])?)?;
    let names: Vec<&str> = rest.split_whitespace().collect();
    let mut shown: Vec<&Process> = Vec::new();
    if names.is_empty() || names.contains(&"all") {
        shown.extend(&all);
    } else {
        for name in names {
            let wanted = Namespec::parse(name);
            let before = shown.len();
            shown.extend(all.iter().filter(|process| wanted.covers(&process.group, &process.name)));
            if shown.len() == before {
                let what = match wanted {
                    Namespec::Group(group) => format!("{group}: ERROR (no such group)"),
                    _ => format!("{name}: ERROR (no such process)"),
                };
                session.fail(codes::STATUS_UNKNOWN, &what);
            }
        }
    }
    lines(&shown).iter().for_each(|line| session.say(line));
    if shown.iter().any(|process| process.state().is_some_and(State::is_stopped)) {
        session.exit_code = codes::STATUS_NOT_RUNNING;
    }
    Ok(())
}

fn lines(processes: &[&Process]) -> Vec<String> {
    let names: Vec<String> = processes.iter().map(|process| process.namespec()).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let width = longest.max(NAME_WIDTH_MIN) + NAME_GAP;
    let line = |(process, name): (&&Process, &String)| {
        format!("{name:<width$}{:<10}{}", process.state_name, process.description)
    };
    processes.iter().zip(&names).map(line).collect()
}

/// Shows pids.
pub(in crate::cli::supervisorctl) fn pid(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    let names: Vec<&str> = rest.split_whitespace().collect();
    if names.is_empty() {
        let pid = session.call("getPID", &[])?;
        session.say(&pid.as_int().unwrap_or_default().to_string());
        return Ok(());
    }
    if names.contains(&"all") {
        let all = processes(&session.call("getAllProcessInfo", &[])?)?;
        all.iter().for_each(|process| session.say(&process.pid.to_string()));
        return Ok(());
    }
    for name in names {
        match session.call("getProcessInfo", &[name.into()]) {
            Ok(info) => {
                let pid = Process::of(&info).pid;
                session.say(&pid.to_string());
                if pid == 0 {
                    session.exit_code = codes::NOT_RUNNING;
                }
            }
            Err(trouble) if trouble.fault() == Some(Code::BadName) => {
                session.fail(codes::GENERIC, &format!("No such process {name}"));
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(())
}

/// Shows every process of the configuration.
pub(in crate::cli::supervisorctl) fn avail(session: &mut Session, _rest: &str) -> Result<(), Trouble> {
    let value = match session.call("getAllConfigInfo", &[]) {
        Ok(value) => value,
        Err(trouble) if trouble.fault() == Some(Code::ShutdownState) => {
            session.fail(codes::GENERIC, "ERROR: supervisor shutting down");
            return Ok(());
        }
        Err(trouble) => return Err(trouble),
    };
    for process in configured(&value)? {
        let in_use = if process.in_use { "in use" } else { "avail" };
        let autostart = if process.autostart { "auto" } else { "manual" };
        let (group, own) = process.priorities;
        session.say(&format!("{:<32} {in_use:<9} {autostart:<9} {group}:{own}", process.namespec));
    }
    Ok(())
}

/// Shows the daemon's version.
pub(in crate::cli::supervisorctl) fn version(session: &mut Session, _rest: &str) -> Result<(), Trouble> {
    let version = session.call("getSupervisorVersion", &[])?;
    session.say(version.as_str().unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_supervisorctls_columns() {
        let process = |name: &str, state_name: &str, description: &str| Process {
            group: name.to_owned(),
            name: name.to_owned(),
            state: 0,
            state_name: state_name.to_owned(),
            description: description.to_owned(),
            pid: 0,
        };
        let (short, long) = (process("cat", "RUNNING", "pid 1"), process(&"ö".repeat(31), "STARTING", ""));
        assert_eq!(lines(&[&short]), ["cat                              RUNNING   pid 1"]);
        assert_eq!(lines(&[&short, &long])[1], format!("{}   STARTING  ", "ö".repeat(31)));
    }
}
