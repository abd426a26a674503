//! An entry of the desktop (XDG autostart): visord is started by the first graphical login.
//!
//! Example: `~/.config/autostart/visord.desktop`.

use super::machine::Machine;
use super::{Method, Standing, Starts, Way, files, template};
use std::path::PathBuf;

/// The entry.
const TEMPLATE: &str = include_str!("../../../packaging/autostart/visord.desktop");

/// Where desktops put the sessions that a login offers.
const SESSIONS: [&str; 2] = ["usr/share/xsessions", "usr/share/wayland-sessions"];

/// An entry of the desktop.
pub(super) struct Autostart;

impl Way for Autostart {
    fn method(&self) -> Method {
        Method::Autostart
    }

    fn title(&self, _machine: &Machine) -> String {
        "desktop autostart".to_owned()
    }

    fn offers(&self, machine: &Machine) -> Result<Starts, String> {
        let has_one = |folder: &str| {
            std::fs::read_dir(machine.path(folder)).is_ok_and(|mut sessions| sessions.next().is_some())
        };
        let is_in_one = machine.ambient.get("XDG_CURRENT_DESKTOP").is_some();
        if is_in_one || SESSIONS.iter().any(|folder| has_one(folder)) {
            return Ok(Starts::Login);
        }
        Err("there is no desktop here".to_owned())
    }

    fn enable(&self, machine: &Machine, _insist: bool) -> Result<(), String> {
        files::own(&path(machine), &text(machine), None)
    }

    fn disable(&self, machine: &Machine) -> Result<bool, String> {
        files::remove_own(&path(machine))
    }

    fn standing(&self, machine: &Machine) -> Standing {
        let path = path(machine);
        let Ok(Some(found)) = files::is_own(&path) else { return Standing::Off };
        if found == text(machine) {
            return Standing::InForce(Starts::Login);
        }
        // Desktops switch an entry off by a line in it.
        let shown = machine.short(&path);
        Standing::Broken(format!(
            "{shown} was changed or is for another visorctl (visorctl boot enable renews it)"
        ))
    }

    fn remark(&self, _machine: &Machine) -> Option<String> {
        Some("only a graphical login starts it; one by ssh does not".to_owned())
    }
}

fn path(machine: &Machine) -> PathBuf {
    machine.config_home.join("autostart/visord.desktop")
}

fn text(machine: &Machine) -> String {
    template::fill(TEMPLATE, Method::Autostart.name(), &machine.entry, template::desktop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_is_the_packaged_one_with_our_command() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let mut machine = Machine { config_home: dir.path().into(), ..Machine::default() };
        machine.entry.visorctl = "/home/me/50% of/visorctl".into();
        machine.ambient.root = dir.path().into();
        assert!(Autostart.offers(&machine).is_err());
        std::fs::create_dir_all(dir.path().join("usr/share/xsessions/x.desktop"))?;
        assert_eq!(Autostart.offers(&machine), Ok(Starts::Login));
        assert_eq!((Autostart.enable(&machine, false), Autostart.enable(&machine, false)), (Ok(()), Ok(())));
        assert_eq!(Autostart.standing(&machine), Standing::InForce(Starts::Login));
        let text = std::fs::read_to_string(path(&machine))?;
        assert!(
            text.contains("\nExec=\"/home/me/50%% of/visorctl\" boot run --method autostart --await\n"),
            "{text}"
        );
        std::fs::write(path(&machine), format!("{text}Hidden=true\n"))?;
        assert!(matches!(Autostart.standing(&machine), Standing::Broken(_)));
        assert_eq!((Autostart.disable(&machine), Autostart.standing(&machine)), (Ok(true), Standing::Off));
        Ok(())
    }
}
