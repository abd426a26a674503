//! A unit of systemd's user manager, which starts at boot where the user lingers.
//!
//! Without lingering the manager comes with the first login and goes with the last logout, and visord with it: then it
//! is used only on demand. Example: `~/.config/systemd/user/visord.service`, enabled for `default.target`.

use super::machine::Machine;
use super::{Method, Standing, Starts, Way, files, template};
use std::path::PathBuf;

/// The unit file.
const TEMPLATE: &str = include_str!("../../../packaging/systemd/visord.service");

/// Its name.
const UNIT: &str = "visord.service";

/// A line of the unit by which `disable` knows that lingering began with us.
const OUR_LINGER: &str = "# Lingering was turned on for it: `visorctl boot disable` turns it off again.\n";

/// A unit of the user's service manager.
pub(super) struct Systemd;

impl Way for Systemd {
    fn method(&self) -> Method {
        Method::Systemd
    }

    fn title(&self, _machine: &Machine) -> String {
        "a systemd user unit".to_owned()
    }

    fn offers(&self, machine: &Machine) -> Result<Starts, String> {
        manager_answers(machine)?;
        // Its units would be looked for before they are there.
        let is_late = machine.network_home().is_some();
        let may_linger = lingers(machine) || machine.tools.find("loginctl").is_some();
        Ok(if may_linger && !is_late { Starts::Boot } else { Starts::Login })
    }

    fn enable(&self, machine: &Machine, insist: bool) -> Result<(), String> {
        manager_answers(machine)?;
        let known = files::is_own(&unit_path(machine))?;
        let had_linger = lingers(machine);
        let refused = if had_linger { None } else { linger(machine).err() };
        if let Some(why) = refused.filter(|_| !insist) {
            return Err(why);
        }
        let is_our_linger =
            known.is_some_and(|text| text.contains(OUR_LINGER)) || (!had_linger && lingers(machine));
        let enabled = install(machine, is_our_linger).and_then(|()| verify(machine));
        if enabled.is_err() {
            let _told_already = self.disable(machine);
        }
        enabled
    }

    fn disable(&self, machine: &Machine) -> Result<bool, String> {
        let path = unit_path(machine);
        let Some(text) = files::is_own(&path)? else { return Ok(false) };
        // By hand: the manager need not answer, and what it runs is not to be stopped.
        let link = link_path(machine);
        if link.is_symlink() {
            std::fs::remove_file(&link)
                .map_err(|error| format!("cannot remove {}: {error}", link.display()))?;
        }
        let _it_may_be_the_last = link.parent().map(std::fs::remove_dir);
        files::remove_own(&path)?;
        let _nothing_to_tell_then = machine.tools.run("systemctl", &["--user", "daemon-reload"], b"");
        if text.contains(OUR_LINGER) && !has_other_units(machine) {
            let said = machine.tools.run("loginctl", &["--no-ask-password", "disable-linger"], b"")?;
            if !said.is_ok() && lingers(machine) {
                return Err(format!("lingering stays on (loginctl disable-linger): {}", said.words()));
            }
        }
        Ok(true)
    }

    fn standing(&self, machine: &Machine) -> Standing {
        let path = unit_path(machine);
        let text = match files::is_own(&path) {
            Ok(Some(text)) => text,
            Ok(None) => return Standing::Off,
            Err(_) => return Standing::Off,
        };
        let shown = machine.short(&path);
        if text.replace(OUR_LINGER, "") != unit(machine, false) {
            let text = "is for another place of visorctl (visorctl boot enable renews it)";
            return Standing::Broken(format!("{shown} {text}"));
        }
        if !link_path(machine).exists() {
            return Standing::Broken(format!("{shown} is not enabled (visorctl boot enable does it)"));
        }
        Standing::InForce(if lingers(machine) { Starts::Boot } else { Starts::Login })
    }

    fn remark(&self, machine: &Machine) -> Option<String> {
        let late = machine.network_home().map(|name| {
            format!("your home is on a network file system ({name}): where it is mounted after systemd looked for units, visord is not started (visorctl boot enable --method cron waits for it)")
        });
        let ask = || {
            format!(
                "without lingering it also ends at your last logout: ask the administrator to run loginctl enable-linger {}",
                machine.user
            )
        };
        late.or_else(|| (!lingers(machine)).then(ask))
    }
}

fn unit(machine: &Machine, is_our_linger: bool) -> String {
    let text = template::fill(TEMPLATE, Method::Systemd.name(), &machine.entry, template::systemd);
    if is_our_linger { format!("{OUR_LINGER}{text}") } else { text }
}

fn units(machine: &Machine) -> PathBuf {
    machine.config_home.join("systemd/user")
}

fn unit_path(machine: &Machine) -> PathBuf {
    units(machine).join(UNIT)
}

/// What `systemctl enable` makes of `WantedBy=default.target`.
fn link_path(machine: &Machine) -> PathBuf {
    units(machine).join("default.target.wants").join(UNIT)
}

fn lingers(machine: &Machine) -> bool {
    machine.path("var/lib/systemd/linger").join(&machine.user).exists()
}

/// Asks for lingering, and looks whether it is on.
fn linger(machine: &Machine) -> Result<(), String> {
    let said = machine.tools.run("loginctl", &["--no-ask-password", "enable-linger"], b"");
    if lingers(machine) {
        return Ok(());
    }
    let why = said.map_or_else(|why| why, |said| said.words());
    let ask = format!("ask the administrator to run loginctl enable-linger {}", machine.user);
    Err(format!("you may not linger, so your units start at login and end with it ({why}): {ask}"))
}

fn manager_answers(machine: &Machine) -> Result<(), String> {
    let said = machine.tools.run("systemctl", &["--user", "show", "--property=Version", "--value"], b"")?;
    if said.is_ok() && !said.text().is_empty() {
        return Ok(());
    }
    Err(format!("your service manager does not answer ({})", said.words()))
}

fn install(machine: &Machine, is_our_linger: bool) -> Result<(), String> {
    files::own(&unit_path(machine), &unit(machine, is_our_linger), None)?;
    for words in [&["--user", "daemon-reload"][..], &["--user", "enable", UNIT]] {
        let said = machine.tools.run("systemctl", words, b"")?;
        if !said.is_ok() {
            return Err(format!("systemctl {}: {}", words.join(" "), said.words()));
        }
    }
    Ok(())
}

/// Asks the manager itself: it may look for units elsewhere than we do.
fn verify(machine: &Machine) -> Result<(), String> {
    let said = machine.tools.run("systemctl", &["--user", "is-enabled", UNIT], b"")?;
    if said.text() == "enabled" && link_path(machine).exists() {
        return Ok(());
    }
    Err(format!("systemd does not take {} for enabled: {}", machine.short(&unit_path(machine)), said.words()))
}

/// Whether the user enabled something else, which may count on lingering by now.
fn has_other_units(machine: &Machine) -> bool {
    let folders = std::fs::read_dir(units(machine)).into_iter().flatten().flatten();
    let wants = folders.filter(|entry| entry.file_name().to_string_lossy().ends_with(".wants"));
    wants
        .into_iter()
        .any(|entry| std::fs::read_dir(entry.path()).is_ok_and(|mut units| units.next().is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_packaged_one_with_our_commands() {
        let mut machine = Machine::default();
        machine.entry.visorctl = "/home/me/50% of/visorctl".into();
        let text = unit(&machine, true);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("Exec")).collect();
        let own = r#""/home/me/50%% of/visorctl""#;
        assert_eq!(
            lines,
            [
                format!("ExecStart={own} boot run --method systemd --await"),
                format!("ExecStop={own} shutdown")
            ]
        );
        assert_eq!(text.replace(OUR_LINGER, ""), unit(&machine, false));
    }

    #[test]
    fn lingering_is_a_file_of_logind() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let mut machine = Machine { user: "me".into(), ..Machine::default() };
        machine.ambient.root = dir.path().into();
        let folder = dir.path().join("var/lib/systemd/linger");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("you"), "")?;
        assert!(!lingers(&machine));
        std::fs::write(folder.join("me"), "")?;
        assert!(lingers(&machine));
        Ok(())
    }
}
