//! What only a Mac has: sessions with and without windows, and folders that the system guards.
//!
//! Untested on a Mac. Example: over ssh without a login at the screen, [`Mac::manager`] is `Background` or `System`.

use crate::sys::ambient::Ambient;
use std::path::PathBuf;

/// Folders of a home that a program reads only after the user has agreed to it (TCC).
#[cfg(any(test, target_vendor = "apple"))]
const GUARDED: [&str; 4] = ["Documents", "Desktop", "Downloads", "Library/Mobile Documents"];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mac {
    /// The kind of session, by `launchctl managername`: `Aqua` is one with windows.
    pub manager: String,
    /// Whether this session came over the network.
    pub is_remote: bool,
    /// Folders that the system guards.
    pub guarded: Vec<PathBuf>,
}

#[cfg(target_vendor = "apple")]
pub(super) fn gather(ambient: &Ambient) -> Option<Mac> {
    let asked = super::brief::ask(std::process::Command::new("/bin/launchctl").arg("managername"));
    let manager = asked.filter(|answer| answer.success).map(|answer| answer.text).unwrap_or_default();
    Some(of(ambient, manager.trim()))
}

#[cfg(not(target_vendor = "apple"))]
pub(super) fn gather(_ambient: &Ambient) -> Option<Mac> {
    None
}

#[cfg(any(test, target_vendor = "apple"))]
fn of(ambient: &Ambient, manager: &str) -> Mac {
    let home = ambient.home();
    Mac {
        manager: manager.to_owned(),
        is_remote: ambient.get("SSH_CONNECTION").is_some(),
        guarded: GUARDED.iter().filter_map(|name| Some(home.as_ref()?.join(name))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_over_ssh_is_known() {
        let variables = vec![("HOME".into(), "/Users/me".into()), ("SSH_CONNECTION".into(), "x".into())];
        let found = of(&Ambient { variables, ..Ambient::default() }, "Background");
        assert!(found.is_remote && found.manager == "Background");
        assert_eq!(found.guarded.first(), Some(&PathBuf::from("/Users/me/Documents")));
    }
}
