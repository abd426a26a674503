//! The user and the machine, as the ways to start at boot need to know them.
//!
//! Must not know any way. Example: `Machine::of(Ambient::real())?.entry` is what is to be run at boot.

use super::template::Entry;
use super::tool::Tools;
use crate::sys::ambient::Ambient;
use crate::sys::statfs::{Locality, locality};
use nix::unistd::{Uid, User};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Name of the client's program.
const PROGRAM: &str = "visorctl";

/// Variables besides our own that lead to the configuration and the state.
const LEADING: [&str; 2] = ["XDG_CONFIG_HOME", "XDG_STATE_HOME"];

/// How our own variables begin, and those of them that are about a single process.
const OWN: &str = "VISOR_";
const NOT_KEPT: [&str; 3] = ["VISOR_NO_SPAWN", "VISOR_LOGIN", "VISOR_STARTED_BY_CLIENT"];

/// Who is to be served, where.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Environment, user and root directory.
    pub ambient: Ambient,
    /// The user's name.
    pub user: String,
    /// The home directory.
    pub home: PathBuf,
    /// Where programs keep their settings: `$XDG_CONFIG_HOME`, else `~/.config`.
    pub config_home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
    /// What is to be run.
    pub entry: Entry,
    /// The machine's commands.
    pub tools: Tools,
}

impl Machine {
    /// Returns the machine around this process.
    ///
    /// # Errors
    /// In words: there is no home, or a path cannot be written into a file of lines.
    pub fn of(ambient: Ambient) -> Result<Machine, String> {
        let home = ambient.home().ok_or("there is no home directory: set HOME")?;
        let account = User::from_uid(Uid::from_raw(ambient.uid)).ok().flatten();
        let config_home = ambient.absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let shell = account.as_ref().map(|account| account.shell.clone()).unwrap_or_default();
        // The user database knows the login shell best; the machine of a test has none.
        let is_test = ambient.root != Path::new("/");
        let named = ambient.absolute("SHELL").filter(|_| is_test || !shell.is_absolute());
        let tools = Tools::of(&ambient);
        let entry = Entry { visorctl: own_path(&tools)?, variables: variables(&ambient, account.as_ref()) };
        let texts = entry.variables.iter().cloned().chain([entry.visorctl.display().to_string()]);
        if let Some(odd) = texts
            .into_iter()
            .find(|text| text.chars().any(|letter| letter.is_control() || letter == '\u{fffd}'))
        {
            return Err(format!("{odd:?} cannot be written into a file of lines: use another place"));
        }
        Ok(Machine {
            user: account.map(|account| account.name).unwrap_or_else(|| ambient.uid.to_string()),
            shell: named.unwrap_or(shell),
            home,
            config_home,
            entry,
            tools,
            ambient,
        })
    }

    /// Returns a path of the machine, which tests have elsewhere.
    #[must_use]
    pub fn path(&self, below_root: &str) -> PathBuf {
        self.ambient.root.join(below_root)
    }

    /// Returns the name of the network file system that the home lies on.
    #[must_use]
    pub fn network_home(&self) -> Option<String> {
        if self.ambient.is_taken_for_network(&self.home) {
            return Some("test".to_owned());
        }
        match File::open(&self.home).and_then(|home| locality(&home)) {
            Ok(Locality::Network(name)) => Some(name),
            _ => None,
        }
    }

    /// Returns a path as people write it, with `~` for the home.
    #[must_use]
    pub fn short(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.home).ok();
        below.map_or_else(|| path.display().to_string(), |rest| format!("~/{}", rest.display()))
    }
}

/// Returns our own path: the one in PATH where it leads to us, because what it leads to may move with an upgrade.
fn own_path(tools: &Tools) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot tell where {PROGRAM} is: {error}"))?;
    let is_own = |path: &PathBuf| path.canonicalize().ok() == own.canonicalize().ok();
    Ok(tools.find(PROGRAM).filter(is_own).unwrap_or(own))
}

/// Returns the variables without which another configuration would be found at boot.
fn variables(ambient: &Ambient, account: Option<&User>) -> Vec<String> {
    let is_kept =
        |name: &str| LEADING.contains(&name) || (name.starts_with(OWN) && !NOT_KEPT.contains(&name));
    let named = |(name, value): &(std::ffi::OsString, std::ffi::OsString)| {
        let name = name.to_str().filter(|name| is_kept(name))?;
        (!value.is_empty()).then(|| format!("{name}={}", value.to_string_lossy()))
    };
    let mut variables: Vec<String> = ambient.variables.iter().filter_map(named).collect();
    variables.sort();
    // A login sets the home that the user database knows.
    let home = ambient.home().filter(|home| account.is_none_or(|account| account.dir != *home));
    variables.extend(home.map(|home| format!("HOME={}", home.display())));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambient(variables: &[(&str, &str)]) -> Ambient {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Ambient { uid: crate::sys::identity::uid(), variables, root: "/".into(), ..Ambient::default() }
    }

    #[test]
    fn only_what_leads_to_the_configuration_is_carried_along() {
        let account = User::from_uid(Uid::from_raw(crate::sys::identity::uid())).ok().flatten();
        let home = account.as_ref().map(|account| account.dir.display().to_string()).unwrap_or_default();
        let login = ambient(&[("HOME", &home), ("SECRET", "x"), ("VISOR_NO_SPAWN", "1"), ("VISOR_A", "")]);
        if account.is_some() {
            assert_eq!(variables(&login, account.as_ref()), [""; 0]);
        }
        let other = ambient(&[("HOME", "/other"), ("XDG_CONFIG_HOME", "/c d"), ("VISOR_STATE_DIR", "/s")]);
        assert_eq!(
            variables(&other, account.as_ref()),
            ["VISOR_STATE_DIR=/s", "XDG_CONFIG_HOME=/c d", "HOME=/other"]
        );
    }

    #[test]
    fn what_no_line_can_hold_is_refused() {
        let odd = Machine::of(ambient(&[("HOME", "/h"), ("VISOR_STATE_DIR", "/a\nb")]));
        assert!(odd.is_err_and(|why| why.contains("file of lines")));
        assert!(Machine::of(ambient(&[])).is_err_and(|why| why.contains("HOME")));
    }

    #[test]
    fn a_home_on_another_machine_is_known() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let mut machine = Machine { home: dir.path().join("me"), ..Machine::default() };
        assert_eq!(machine.network_home(), None);
        machine.ambient.network = vec![dir.path().to_path_buf()];
        assert_eq!(machine.network_home().as_deref(), Some("test"));
        assert_eq!(machine.short(&machine.home.join(".profile")), "~/.profile");
        assert_eq!(machine.short(Path::new("/etc")), "/etc");
        Ok(())
    }
}
