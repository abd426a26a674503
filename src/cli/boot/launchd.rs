//! An agent of launchd (macOS): in the graphical session where there is one, else in that of the user (ssh).
//!
//! launchctl's words are no interface and its error 5 means many things, so nothing is read from either: what counts is
//! whether `print` finds the agent. Removing one takes a moment, during which it cannot be put in again. Example:
//! `~/Library/LaunchAgents/io.github.visor-project.visord.plist`.

use super::machine::Machine;
use super::{Method, Standing, Starts, Way, files, template};
use crate::client::wait;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The agent.
const TEMPLATE: &str = include_str!("../../../packaging/launchd/io.github.visor-project.visord.plist");

/// Its name.
const LABEL: &str = "io.github.visor-project.visord";

/// The program in it as `packaging/` has it.
const PROGRAM: [&str; 5] = ["/usr/bin/visorctl", "boot", "run", "--method", "launchd"];

/// How long launchd may take to forget an agent: it gives a job 5 s to end (launchd.plist(5), ExitTimeOut).
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(20);

/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// An agent of launchd.
pub(super) struct Launchd;

impl Way for Launchd {
    fn method(&self) -> Method {
        Method::Launchd
    }

    fn title(&self, _machine: &Machine) -> String {
        "a launchd agent".to_owned()
    }

    fn offers(&self, machine: &Machine) -> Result<Starts, String> {
        if machine.tools.find("launchctl").is_none() {
            return Err("there is no launchd here".to_owned());
        }
        domain(machine).map(|_| Starts::Login)
    }

    fn enable(&self, machine: &Machine, _insist: bool) -> Result<(), String> {
        let domain = domain(machine)?;
        let known = files::is_own(&path(machine))?;
        if known.as_deref() == Some(&text(machine)) && is_loaded(machine, &domain) {
            return Ok(());
        }
        files::own(&path(machine), &text(machine), None)?;
        let loaded = unload(machine, &domain).and_then(|()| load(machine, &domain));
        if loaded.is_err() {
            let _told_already = files::remove_own(&path(machine));
        }
        loaded
    }

    fn disable(&self, machine: &Machine) -> Result<bool, String> {
        if !files::remove_own(&path(machine))? {
            return Ok(false);
        }
        for domain in domains(machine).iter().filter(|domain| is_loaded(machine, domain)) {
            unload(machine, domain)?;
        }
        Ok(true)
    }

    fn standing(&self, machine: &Machine) -> Standing {
        let Ok(Some(found)) = files::is_own(&path(machine)) else { return Standing::Off };
        if found != text(machine) {
            let shown = machine.short(&path(machine));
            let text = "is for another place of visorctl (visorctl boot enable renews it)";
            return Standing::Broken(format!("{shown} {text}"));
        }
        if domains(machine).iter().any(|domain| is_loaded(machine, domain)) {
            return Standing::InForce(Starts::Login);
        }
        Standing::Broken("launchd does not know the agent (visorctl boot enable loads it)".to_owned())
    }

    fn remark(&self, _machine: &Machine) -> Option<String> {
        Some("macOS starts agents at login; visorctl boot enable --method cron starts at boot".to_owned())
    }
}

fn path(machine: &Machine) -> PathBuf {
    machine.home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"))
}

fn text(machine: &Machine) -> String {
    let lines = |words: &[String]| {
        words.iter().map(|word| format!("\t\t<string>{}</string>\n", template::xml(word))).collect::<String>()
    };
    let known: Vec<String> = PROGRAM.iter().map(|word| (*word).to_owned()).collect();
    TEMPLATE.replace(&lines(&known), &lines(&machine.entry.start(Method::Launchd.name())))
}

/// The domains of this user: `gui/` exists while somebody is logged in at the screen, `user/` for every login.
fn domains(machine: &Machine) -> [String; 2] {
    ["gui", "user"].map(|kind| format!("{kind}/{}", machine.ambient.uid))
}

/// Returns the first domain that there is.
fn domain(machine: &Machine) -> Result<String, String> {
    let is_there = |domain: &String| launchctl(machine, &["print", domain]).is_ok();
    domains(machine)
        .into_iter()
        .find(is_there)
        .ok_or_else(|| "launchd has no domain for this user".to_owned())
}

fn is_loaded(machine: &Machine, domain: &str) -> bool {
    launchctl(machine, &["print", &format!("{domain}/{LABEL}")]).is_ok()
}

fn launchctl(machine: &Machine, words: &[&str]) -> Result<(), String> {
    let said = machine.tools.run("launchctl", words, b"")?;
    if said.is_ok() { Ok(()) } else { Err(format!("launchctl {}: {}", words.join(" "), said.words())) }
}

/// Takes the agent out, and waits until it is gone.
fn unload(machine: &Machine, domain: &str) -> Result<(), String> {
    let since = Instant::now();
    let mut said = Ok(());
    let target = format!("{domain}/{LABEL}");
    if is_loaded(machine, domain) {
        said = launchctl(machine, &["bootout", &target]);
    }
    while is_loaded(machine, domain) {
        if since.elapsed() >= REMOVAL_TIMEOUT {
            return said.and_then(|()| Err(format!("launchd does not let go of {target}")));
        }
        wait::pause(PAUSE);
    }
    Ok(())
}

/// Puts the agent in. It may still be on its way out, whatever `print` says, so it is tried more than once.
fn load(machine: &Machine, domain: &str) -> Result<(), String> {
    let since = Instant::now();
    let file = path(machine).display().to_string();
    // Somebody may have disabled it; then nothing but that helps.
    let _unknown_to_older_ones = launchctl(machine, &["enable", &format!("{domain}/{LABEL}")]);
    loop {
        let said = launchctl(machine, &["bootstrap", domain, &file]);
        if is_loaded(machine, domain) {
            return Ok(());
        }
        if since.elapsed() >= REMOVAL_TIMEOUT {
            return said.and_then(|()| Err(format!("launchd did not take {file}")));
        }
        wait::pause(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_the_packaged_one_with_our_command() {
        let mut machine = Machine::default();
        machine.entry.visorctl = "/Users/me/a&b/visorctl".into();
        machine.entry.variables = vec!["XDG_CONFIG_HOME=/c d".into()];
        let text = text(&machine);
        for word in ["/usr/bin/env", "XDG_CONFIG_HOME=/c d", "/Users/me/a&amp;b/visorctl", "--await"] {
            assert!(text.contains(&format!("\t\t<string>{word}</string>\n")), "{word}: {text}");
        }
        assert!(!text.contains("/usr/bin/visorctl") && text.contains(LABEL), "{text}");
    }
}
