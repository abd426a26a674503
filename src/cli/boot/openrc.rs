//! A user service of OpenRC (0.60 and later).
//!
//! Whether a user's services start at boot or at login is the administrator's choice: at boot where `user.NAME` is in a
//! runlevel of the system, else with pam_openrc. Example: `~/.config/rc/init.d/visord`, in the runlevel `default`.

use super::machine::Machine;
use super::{Method, Standing, Starts, Way, files, template};
use std::fs;
use std::path::PathBuf;

/// The service script.
const TEMPLATE: &str = include_str!("../../../packaging/openrc/visord");

/// Its name.
const SERVICE: &str = "visord";

/// The runlevel that OpenRC enters for a user.
const RUNLEVEL: &str = "default";

/// A script is executed.
const MODE: u32 = 0o755;

/// A user service of OpenRC.
pub(super) struct Openrc;

impl Way for Openrc {
    fn method(&self) -> Method {
        Method::Openrc
    }

    fn title(&self, _machine: &Machine) -> String {
        "an OpenRC user service".to_owned()
    }

    fn offers(&self, machine: &Machine) -> Result<Starts, String> {
        if !machine.path("run/openrc/softlevel").exists() {
            return Err("this machine was not started by OpenRC".to_owned());
        }
        let said = machine.tools.run("rc-update", &["--user", "show"], b"")?;
        if !said.is_ok() {
            return Err(format!("OpenRC has no user services here (0.60 and later have): {}", said.words()));
        }
        starts(machine).ok_or_else(|| {
            format!(
                "nobody starts your OpenRC services: ask the administrator for rc-update add user.{} default, or for pam_openrc",
                machine.user
            )
        })
    }

    fn enable(&self, machine: &Machine, _insist: bool) -> Result<(), String> {
        self.offers(machine)?;
        files::own(&script(machine), &text(machine), Some(MODE))?;
        // Nobody makes the runlevel of a user, and rc-update wants one.
        let level = link(machine).with_file_name("");
        fs::create_dir_all(&level).map_err(|error| format!("cannot make {}: {error}", level.display()))?;
        let said = machine.tools.run("rc-update", &["--user", "add", SERVICE, RUNLEVEL], b"");
        match said {
            // What is in the runlevel already is no reason to complain.
            _ if link(machine).is_symlink() => Ok(()),
            Ok(said) => self.undo(machine, said.words()),
            Err(why) => self.undo(machine, why),
        }
    }

    fn disable(&self, machine: &Machine) -> Result<bool, String> {
        let link = link(machine);
        if files::is_own(&script(machine))?.is_none() {
            return Ok(false);
        }
        if link.is_symlink() {
            fs::remove_file(&link).map_err(|error| format!("cannot remove {}: {error}", link.display()))?;
        }
        files::remove_own(&script(machine))
    }

    fn standing(&self, machine: &Machine) -> Standing {
        let Ok(Some(found)) = files::is_own(&script(machine)) else { return Standing::Off };
        let shown = machine.short(&script(machine));
        if found != text(machine) {
            let text = "is for another place of visorctl (visorctl boot enable renews it)";
            return Standing::Broken(format!("{shown} {text}"));
        }
        if !link(machine).exists() {
            return Standing::Broken(format!("{SERVICE} is not in your runlevel {RUNLEVEL}"));
        }
        match starts(machine) {
            Some(starts) => Standing::InForce(starts),
            None => Standing::Broken("nobody starts your OpenRC services".to_owned()),
        }
    }
}

impl Openrc {
    fn undo(&self, machine: &Machine, why: String) -> Result<(), String> {
        let _told_already = self.disable(machine);
        Err(format!("rc-update --user add {SERVICE} {RUNLEVEL}: {why}"))
    }
}

fn rc(machine: &Machine) -> PathBuf {
    machine.config_home.join("rc")
}

fn script(machine: &Machine) -> PathBuf {
    rc(machine).join("init.d").join(SERVICE)
}

fn link(machine: &Machine) -> PathBuf {
    rc(machine).join("runlevels").join(RUNLEVEL).join(SERVICE)
}

fn text(machine: &Machine) -> String {
    template::fill(TEMPLATE, Method::Openrc.name(), &machine.entry, template::sh)
}

/// When the administrator lets this user's services start.
fn starts(machine: &Machine) -> Option<Starts> {
    let service = format!("user.{}", machine.user);
    let levels = fs::read_dir(machine.path("etc/runlevels")).into_iter().flatten().flatten();
    if levels.into_iter().any(|level| level.path().join(&service).is_symlink()) {
        return Some(Starts::Boot);
    }
    let modules = fs::read_dir(machine.path("etc/pam.d")).into_iter().flatten().flatten();
    let mut texts = modules.filter_map(|file| fs::read_to_string(file.path()).ok());
    let names = |line: &str| !line.trim_start().starts_with('#') && line.contains("pam_openrc.so");
    texts.any(|text| text.lines().any(names)).then_some(Starts::Login)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_administrator_says_when_services_start() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let mut machine = Machine { user: "me".into(), ..Machine::default() };
        machine.ambient.root = dir.path().into();
        for folder in ["etc/runlevels/default", "etc/pam.d"] {
            fs::create_dir_all(dir.path().join(folder))?;
        }
        assert_eq!(starts(&machine), None);
        fs::write(dir.path().join("etc/pam.d/sshd"), "# session optional pam_openrc.so\n")?;
        assert_eq!(starts(&machine), None);
        fs::write(dir.path().join("etc/pam.d/login"), "session optional pam_openrc.so\n")?;
        assert_eq!(starts(&machine), Some(Starts::Login));
        symlink("/etc/init.d/user.me", dir.path().join("etc/runlevels/default/user.me"))?;
        assert_eq!(starts(&machine), Some(Starts::Boot));
        assert!(Openrc.offers(&machine).is_err_and(|why| why.contains("not started by OpenRC")));
        Ok(())
    }

    #[test]
    fn the_script_is_executable_and_the_packaged_one_with_our_command() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let mut machine = Machine { config_home: dir.path().into(), ..Machine::default() };
        machine.entry.visorctl = "/b c/visorctl".into();
        files::own(&script(&machine), &text(&machine), Some(MODE)).map_err(std::io::Error::other)?;
        assert_eq!(fs::metadata(script(&machine))?.permissions().mode() & 0o777, MODE);
        let text = fs::read_to_string(script(&machine))?;
        assert!(text.contains("\n\t'/b c/visorctl' boot run --method openrc --await\n"), "{text}");
        assert!(matches!(Openrc.standing(&machine), Standing::Broken(why) if why.contains("runlevel")));
        assert_eq!(Openrc.disable(&machine), Ok(true));
        Ok(())
    }
}
