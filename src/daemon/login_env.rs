//! The environment of programs in a daemon that a client started: the login's, not that of whoever was first.
//!
//! Which variables lead programs back to this very daemon is decided here; the shell runs in [`crate::sys::login`].
//! Example: `for_programs(&Ambient::real())` once at the start, before the first program.

use crate::sys::ambient::Ambient;
use crate::sys::login;
use std::ffi::OsString;

/// Set by a client in the environment of the daemon that it starts.
pub const STARTED_BY_CLIENT: &str = "VISOR_STARTED_BY_CLIENT";

/// Variables that say where a daemon is: what a program starts must find the one it belongs to.
const LEADING_BACK: [&str; 4] = ["VISOR_RUNTIME_DIR", "VISOR_STATE_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"];

/// An environment, and what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForPrograms {
    /// Names and values.
    pub variables: Vec<(OsString, OsString)>,
    /// A line for the log.
    pub words: Option<String>,
}

/// Returns what programs get: our own environment where a person or a service manager started us, that of a login
/// where a client did. Waits for the login shell, at most [`login::DEADLINE`].
#[must_use]
pub fn for_programs(ambient: &Ambient) -> ForPrograms {
    if ambient.get(STARTED_BY_CLIENT).is_none() {
        return ForPrograms { variables: ambient.variables.clone(), words: None };
    }
    let login = login::environment(ambient, login::DEADLINE);
    let words = login.trouble.map(|trouble| format!("{trouble}; programs get a plain environment"));
    ForPrograms { variables: with_way_back(login.variables, ambient), words }
}

fn with_way_back(mut variables: Vec<(OsString, OsString)>, ambient: &Ambient) -> Vec<(OsString, OsString)> {
    for name in LEADING_BACK {
        if let Some(value) = ambient.get(name) {
            variables.retain(|(known, _)| known != name);
            variables.push((name.into(), value.to_owned()));
        }
    }
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
    fn who_starts_the_daemon_by_hand_gives_programs_that_environment() {
        let own = ambient(&[("A", "1"), ("PATH", "/x")]);
        assert_eq!(for_programs(&own), ForPrograms { variables: own.variables, words: None });
    }

    #[test]
    fn who_happened_to_be_first_does_not_decide() {
        let home = tempfile::tempdir().expect("a directory");
        let home = home.path().to_str().expect("text");
        let first =
            ambient(&[(STARTED_BY_CLIENT, "1"), ("SECRET", "x"), ("HOME", home), ("VISOR_STATE_DIR", "/s")]);
        let given = for_programs(&first);
        let get =
            |wanted: &str| given.variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        assert_eq!(get("SECRET"), None);
        assert_eq!(get(STARTED_BY_CLIENT), None);
        assert!(get("PATH").is_some(), "{given:?}");
        assert_eq!(get("VISOR_STATE_DIR"), Some(&OsString::from("/s")));
    }

    #[test]
    fn the_way_back_beats_what_the_login_says() {
        let given = with_way_back(
            vec![("XDG_STATE_HOME".into(), "/login".into())],
            &ambient(&[("XDG_STATE_HOME", "/own")]),
        );
        assert_eq!(given, [("XDG_STATE_HOME".into(), "/own".into())]);
    }
}
