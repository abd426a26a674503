//! `@reboot` in the user's crontab, through crontab(1).
//!
//! The line waits for the program itself, which may lie in a home that is mounted late. The rest of the crontab is
//! nobody's business: where it cannot be read for sure, nothing is written. Example: `@reboot ... visorctl boot run`.

use super::machine::Machine;
use super::{Method, Standing, Starts, Way, block, template};

/// The block of the crontab.
const TEMPLATE: &str = include_str!("../../../packaging/cron/crontab");

/// The command that reads and writes a crontab.
const CRONTAB: &str = "crontab";

/// Names of processes that carry out crontabs: Vixie's, cronie and others, dcron and busybox among them.
const DAEMONS: [&str; 4] = ["cron", "crond", "fcron", "bcron-sched"];

/// What crontab(1) says where the user has none yet: Vixie's and cronie; busybox; dcron.
const NONE_YET: [&str; 3] = ["no crontab for", "can't open", "No such file"];

/// What it says to those who may not.
const FORBIDDEN: [&str; 3] = ["not allowed", "not authorized", "permission denied"];

/// `@reboot` in the user's crontab.
pub(super) struct Cron;

impl Way for Cron {
    fn method(&self) -> Method {
        Method::Cron
    }

    fn title(&self, _machine: &Machine) -> String {
        "cron @reboot".to_owned()
    }

    fn offers(&self, machine: &Machine) -> Result<Starts, String> {
        read(machine)?;
        is_carried_out().map(|()| Starts::Boot)
    }

    fn enable(&self, machine: &Machine, _insist: bool) -> Result<(), String> {
        let old = read(machine)?;
        let new = block::with(&old, &text(machine)).map_err(|why| format!("your crontab: {why}"))?;
        if new == old { Ok(()) } else { write(machine, &old, &new) }
    }

    fn disable(&self, machine: &Machine) -> Result<bool, String> {
        if machine.tools.find(CRONTAB).is_none() {
            return Ok(false);
        }
        let old = match read(machine) {
            Ok(old) => old,
            // Who may not write a crontab any more has none that is carried out.
            Err(why) if why.contains("cron.allow") => return Ok(false),
            Err(why) => return Err(why),
        };
        let new = block::without(&old).map_err(|why| format!("your crontab: {why}"))?;
        if new == old {
            return Ok(false);
        }
        if new.is_empty() {
            let said = machine.tools.run(CRONTAB, &["-r"], b"")?;
            return if said.is_ok() { Ok(true) } else { Err(format!("crontab -r: {}", said.words())) };
        }
        write(machine, &old, &new).map(|()| true)
    }

    fn standing(&self, machine: &Machine) -> Standing {
        let Ok(crontab) = read(machine) else { return Standing::Off };
        let broken = |why: String| Standing::Broken(format!("your crontab: {why}"));
        let found = match block::find(&crontab) {
            Err(why) => return broken(why),
            Ok(None) => return Standing::Off,
            Ok(Some(place)) => &crontab[place],
        };
        if found != text(machine).as_bytes() {
            return broken(
                "its line is for another place of visorctl (visorctl boot enable renews it)".into(),
            );
        }
        match is_carried_out() {
            Ok(()) => Standing::InForce(Starts::Boot),
            Err(why) => Standing::Broken(why),
        }
    }
}

fn text(machine: &Machine) -> String {
    template::fill(TEMPLATE, Method::Cron.name(), &machine.entry, template::crontab)
}

/// Returns the user's crontab; empty where there is none.
fn read(machine: &Machine) -> Result<Vec<u8>, String> {
    let said = machine.tools.run(CRONTAB, &["-l"], b"")?;
    if said.is_ok() {
        return Ok(said.out);
    }
    let words = said.words();
    if FORBIDDEN.iter().any(|part| words.to_lowercase().contains(part)) {
        return Err(format!(
            "you may not use cron: ask the administrator to add {} to /etc/cron.allow, or to take it out of /etc/cron.deny",
            machine.user
        ));
    }
    if said.out.is_empty() && NONE_YET.iter().any(|part| words.contains(part)) {
        return Ok(Vec::new());
    }
    Err(format!("crontab -l: {words}"))
}

/// Writes the crontab, and reads it again: what is not what was meant is put back.
fn write(machine: &Machine, old: &[u8], new: &[u8]) -> Result<(), String> {
    let put = |text: &[u8]| machine.tools.run(CRONTAB, &["-"], text);
    let said = put(new)?;
    if !said.is_ok() {
        return Err(format!("crontab: {}", said.words()));
    }
    if read(machine)? == new {
        return Ok(());
    }
    put(old)?;
    Err("crontab(1) did not keep what was written; your crontab is as it was".to_owned())
}

/// Whether somebody carries crontabs out. launchd starts cron for whoever has one.
fn is_carried_out() -> Result<(), String> {
    if cfg!(target_vendor = "apple") {
        return Ok(());
    }
    let name_of = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    // Where others' processes are hidden, nothing can be said against it.
    if name_of("1").is_none() {
        return Ok(());
    }
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().into_string().ok());
    let is_daemon = |pid: String| name_of(&pid).is_some_and(|name| DAEMONS.contains(&name.trim_end()));
    if pids.any(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()) && is_daemon(pid)) {
        return Ok(());
    }
    Err("no cron daemon runs here: ask the administrator to start one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_packaged_one_with_our_command() {
        let mut machine = Machine::default();
        machine.entry.visorctl = "/home/me/50% of/visorctl".into();
        let text = text(&machine);
        let line = text.lines().find(|line| line.starts_with("@reboot")).unwrap_or_default();
        let own = r"'/home/me/50\% of/visorctl'";
        assert!(line.contains(&format!("until test -x {own} ||")), "{line}");
        assert!(line.ends_with(&format!("; exec {own} boot run --method cron --await")), "{line}");
        assert_eq!(block::find(text.as_bytes()), Ok(Some(0..text.len())), "the template is one whole block");
        assert_eq!(text.lines().count(), TEMPLATE.lines().count());
    }
}
