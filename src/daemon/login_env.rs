//! The environment of programs in a daemon that a client started: the login's, not that of whoever was first.
//!
//! Which variables lead programs back to this very daemon is decided here; the shell runs in [`crate::sys::login`].
//! Example: `for_programs(&Ambient::real())` once at the start, before the first program.

use crate::sys::ambient::Ambient;
use crate::sys::login;
use std::ffi::OsString;

/// Set by a client in the environment of the daemon that it starts.
pub const STARTED_BY_CLIENT: &str = "VISOR_STARTED_BY_CLIENT";

/// Variables that say where a daemon is, beside our own: what a program starts must find the one it belongs to.
const LEADING_BACK: [&str; 2] = ["XDG_CONFIG_HOME", "XDG_STATE_HOME"];

/// How our own variables begin.
const OWN: &str = "VISOR_";

/// An environment, and what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForPrograms {
    /// Names and values.
    pub variables: Vec<(OsString, OsString)>,
    /// Whether they are those of a login, not our own.
    pub is_login: bool,
    /// A line for the log.
    pub words: Option<String>,
}

/// Whether a client started this daemon, and whoever ran the client is only by chance the first.
#[must_use]
pub fn is_started_by_client(ambient: &Ambient) -> bool {
    ambient.get(STARTED_BY_CLIENT).is_some()
}

/// Returns what programs get: our own environment where a person or a service manager started us, that of a login
/// where a client did. Waits for the login shell, at most [`login::DEADLINE`].
#[must_use]
pub fn for_programs(ambient: &Ambient) -> ForPrograms {
    if !is_started_by_client(ambient) {
        return ForPrograms { variables: ambient.variables.clone(), ..ForPrograms::default() };
    }
    let login = login::environment(ambient, login::DEADLINE);
    let words = login.trouble.map(|trouble| format!("{trouble}; programs get a plain environment"));
    ForPrograms { variables: with_way_back(login.variables, ambient), is_login: true, words }
}

/// Returns what a login gives now. Waits for the login shell, at most [`login::DEADLINE`].
///
/// # Errors
/// Why the login shell gave nothing.
pub fn capture(ambient: &Ambient) -> Result<Vec<(OsString, OsString)>, String> {
    let login = login::environment(ambient, login::DEADLINE);
    match login.trouble {
        None => Ok(with_way_back(login.variables, ambient)),
        Some(trouble) => Err(trouble),
    }
}

/// Returns our own environment, without what a client said to us alone.
#[must_use]
pub fn own() -> Vec<(OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name != STARTED_BY_CLIENT).collect()
}

fn with_way_back(mut variables: Vec<(OsString, OsString)>, ambient: &Ambient) -> Vec<(OsString, OsString)> {
    let is_ours = |name: &str| name.starts_with(OWN) && name != STARTED_BY_CLIENT;
    let leads_back =
        |name: &OsString| name.to_str().is_some_and(|name| LEADING_BACK.contains(&name) || is_ours(name));
    for (name, value) in ambient.variables.iter().filter(|(name, _)| leads_back(name)) {
        variables.retain(|(known, _)| known != name);
        variables.push((name.clone(), value.clone()));
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
        let expected = ForPrograms { variables: own.variables.clone(), ..ForPrograms::default() };
        assert_eq!(for_programs(&own), expected);
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
