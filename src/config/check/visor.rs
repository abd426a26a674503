//! `[visor]` as settings: what is built of it.
//!
//! Must not know what a mode does. Example: `apply_mode(&mut reader, true)` is `auto` where nothing is said.

use super::reader::{Names, Reader};
use crate::config::diagnostic::quoted;
use crate::config::keys::Scope;
use crate::config::value::Converted;
use crate::model::spec::ApplyMode;

/// Returns when changed files take effect: at once for a user's own daemon, on demand for that of a file, where
/// reread and update are what everybody expects.
pub(in crate::config) fn apply_mode(reader: &mut Reader<'_>, is_xdg: bool) -> ApplyMode {
    let default = if is_xdg { ApplyMode::Auto } else { ApplyMode::Manual };
    let document = reader.document;
    let Some(section) = document.section("visor") else { return default };
    let Some(entry) = document.get(section, "apply") else { return default };
    let read = reader.expand(entry, Scope::Here, &Names::default());
    match read.as_deref().map(str::to_lowercase).as_deref() {
        Ok("auto") => ApplyMode::Auto,
        Ok("live") => ApplyMode::Live,
        Ok("manual") => ApplyMode::Manual,
        Ok(other) => {
            reader.entry_error(section, entry, format!("{} is not auto, live or manual", quoted(other)));
            default
        }
        Err(what) => {
            reader.entry_error(section, entry, (*what).clone());
            default
        }
    }
}

/// Most letters of a host's name: it is part of paths, and a socket's path is short.
const HOST_ID_MAX: usize = 64;

/// Returns the name that this host has in a shared home, where it has one.
pub(in crate::config) fn host_id(reader: &mut Reader<'_>) -> Option<String> {
    let document = reader.document;
    let section = document.section("visor")?;
    let entry = document.get(section, "host_id")?;
    let mut names = Names::default();
    names.set_text("host_node_name", &reader.node_name);
    match reader.expand(entry, Scope::Section, &names).and_then(|text| host_name(&text)) {
        Ok(name) => name,
        Err(what) => {
            reader.entry_error(section, entry, what);
            None
        }
    }
}

/// Checks that a text can be the name of a folder.
fn host_name(text: &str) -> Converted<Option<String>> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    match text {
        "" => Ok(None),
        _ if text.starts_with(['.', '-']) || !text.chars().all(is_letter) || text.len() > HOST_ID_MAX => {
            Err(format!(
                "{} is no name for a host (at most {HOST_ID_MAX} letters, digits and - _ . with a letter, digit or _ first)",
                quoted(text)
            ))
        }
        _ => Ok(Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;
    use crate::config::{LoadRequest, load};
    use crate::model::Host;
    use crate::model::spec::XdgRoots;

    fn mode(text: &str, is_xdg: bool) -> Result<ApplyMode, String> {
        let host = Imagined::default().file("/c/visor.conf", text);
        let roots = XdgRoots { config: "/c".into(), state: "/s".into(), runtime: "/r".into() };
        let request = if is_xdg { LoadRequest::xdg(roots) } else { LoadRequest::of("/c/visor.conf") };
        let loaded = load(&request, &host);
        let wrong = loaded.diagnostics.first().map(ToString::to_string);
        loaded.settings.map(|settings| settings.apply).ok_or(wrong.unwrap_or_default())
    }

    #[test]
    fn a_host_may_be_called_by_what_the_machine_says() {
        let read = |line: &str| {
            let host = Imagined::default().file("/c/visor.conf", &format!("[visor]\n{line}\n"));
            crate::config::load_host_id("/c".as_ref(), &host)
        };
        let node = Imagined::default().node_name();
        let longest = "x".repeat(HOST_ID_MAX);
        for (line, expected) in [
            ("", None),
            ("host_id=", None),
            ("host_id=login1.a_b-c", Some("login1.a_b-c")),
            ("host_id=n-%(host_node_name)s", Some(format!("n-{node}").as_str())),
            (&format!("host_id={longest}"), Some(longest.as_str())),
        ] {
            assert_eq!(read(line).as_deref(), expected, "{line}");
        }
        for line in [
            "host_id=../x",
            "host_id=.x",
            "host_id=a/b",
            "host_id=a b",
            &format!("host_id={longest}x"),
            "host_id=%(nope)s",
        ] {
            assert_eq!(read(line), None, "{line}");
            let wrong = mode(&format!("[visor]\n{line}\n"), true).expect_err(line);
            assert!(wrong.starts_with("/c/visor.conf:2: error: [visor] host_id: "), "{wrong}");
        }
        assert_eq!(crate::config::load_host_id("/none".as_ref(), &Imagined::default()), None);
    }

    #[test]
    fn a_users_own_daemon_applies_changes_by_itself_and_that_of_a_file_does_not() {
        use ApplyMode::{Auto, Live, Manual};
        for (line, xdg, classic) in [
            ("", Auto, Manual),
            ("apply = AUTO", Auto, Auto),
            ("apply=live", Live, Live),
            ("apply=manual", Manual, Manual),
        ] {
            let text = format!("[supervisord]\n[visor]\n{line}\n");
            assert_eq!((mode(&text, true), mode(&text, false)), (Ok(xdg), Ok(classic)), "{line}");
        }
        let wrong = mode("[visor]\napply=always\n", true).expect_err("no such mode");
        assert!(wrong.starts_with("/c/visor.conf:2: error: [visor] apply: "), "{wrong}");
    }
}
