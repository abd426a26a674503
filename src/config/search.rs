//! Where a configuration is looked for when nobody names one (supervisor 4.3 options.py `searchpaths`).
//!
//! Relative places are used only when the file passes the test of [`super::ownership`]: whoever starts us in a
//! directory of somebody else must not run that somebody's programs.

use super::ownership;
use crate::model::Host;
use std::path::{Path, PathBuf};

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The file to use.
    pub found: Option<PathBuf>,
    /// Files that exist and are not trusted, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
    /// All places, in the order in which they were tried.
    pub tried: Vec<PathBuf>,
}

/// Looks for a configuration; `program` is `argv[0]` as typed.
#[must_use]
pub fn search(program: &Path, host: &dyn Host) -> Search {
    let mut search = Search { tried: places(program), ..Search::default() };
    for place in &search.tried {
        if host.ownership(place).is_err() {
            continue;
        }
        let absolute = super::path::absolute(place, host);
        let doubts = ownership::examine(&absolute, host);
        match doubts.into_iter().find(|doubt| doubt.severity == super::Severity::Error) {
            // An absolute place is the administrator's: there the doubt is an error to be told, not a reason
            // to look elsewhere.
            Some(doubt) if place.is_relative() => search.skipped.push((place.clone(), doubt.what)),
            _ => {
                search.found = Some(place.clone());
                break;
            }
        }
    }
    search
}

/// Returns the places, beginning with those near the program itself.
fn places(program: &Path) -> Vec<PathBuf> {
    let near = program.parent().and_then(Path::parent).unwrap_or(Path::new(""));
    let fixed = [
        "supervisord.conf",
        "etc/supervisord.conf",
        "/etc/supervisord.conf",
        "/etc/supervisor/supervisord.conf",
    ];
    let mut places = vec![near.join("etc/supervisord.conf"), near.join("supervisord.conf")];
    places.extend(fixed.map(PathBuf::from));
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;

    fn found(program: &str, host: &Imagined) -> Option<String> {
        search(Path::new(program), host).found.map(|path| path.display().to_string())
    }

    #[test]
    fn the_order_is_supervisords() {
        let host = Imagined::default()
            .file("/etc/supervisor/supervisord.conf", "")
            .file("/opt/x/supervisord.conf", "")
            .file("/cwd/etc/supervisord.conf", "");
        assert_eq!(found("/opt/x/bin/supervisord", &host).as_deref(), Some("/opt/x/supervisord.conf"));
        assert_eq!(found("/usr/bin/supervisord", &host).as_deref(), Some("etc/supervisord.conf"));
        assert_eq!(search(Path::new("supervisord"), &host).tried.len(), 6);
        assert_eq!(found("supervisord", &Imagined::default()), None);
    }

    #[test]
    fn a_file_of_somebody_else_in_the_current_directory_is_passed_over() {
        let host = Imagined::default()
            .me(1000)
            .file("/cwd/supervisord.conf", "")
            .owner("/cwd/supervisord.conf", 1001, 0o644)
            .file("/etc/supervisord.conf", "");
        let search = search(Path::new("/usr/bin/supervisord"), &host);
        assert_eq!(search.found.as_deref(), Some(Path::new("/etc/supervisord.conf")));
        assert_eq!(search.skipped[0].0, Path::new("supervisord.conf"));
    }
}
