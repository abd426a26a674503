//! `[visor]` as settings: what is built of it.
//!
//! Must not know what a mode does. Example: `apply_mode(&mut reader, true)` is `auto` where nothing is said.

use super::reader::{Names, Reader};
use crate::config::diagnostic::quoted;
use crate::config::keys::Scope;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;
    use crate::config::{LoadRequest, load};
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
