//! Paths as supervisord treats them: `~` expanded, made absolute, normalised without looking at links.
//!
//! `normalised("~/log/../x.log", host)` is `/home/me/x.log` (Python's `expanduser`, `abspath`, `normpath`).

use crate::model::Host;
use std::path::{Path, PathBuf};

/// Returns `path` with a leading `~` or `~user` replaced by that home directory; unchanged where there is none.
#[must_use]
pub fn expand_user(path: &str, host: &dyn Host) -> String {
    let Some(rest) = path.strip_prefix('~') else { return path.to_owned() };
    let (user, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = if user.is_empty() { own_home(host) } else { named_home(user, host) };
    let Some(home) = home else { return path.to_owned() };
    let joined = format!("{}{tail}", home.trim_end_matches('/'));
    if joined.is_empty() { "/".to_owned() } else { joined }
}

fn own_home(host: &dyn Host) -> Option<String> {
    let set = host.environment().into_iter().find(|(name, _)| name == "HOME").map(|(_, value)| value);
    set.or_else(|| host.account(&host.uid().to_string()).map(|me| me.home.to_string_lossy().into_owned()))
}

fn named_home(user: &str, host: &dyn Host) -> Option<String> {
    host.account(user).map(|account| account.home.to_string_lossy().into_owned())
}

/// Returns `path` absolute, and with `.`, `..` and double slashes resolved in the text.
#[must_use]
pub fn absolute(path: &Path, host: &dyn Host) -> PathBuf {
    if path.is_absolute() {
        return clean(path);
    }
    // Without a current directory a relative path means nothing anyway: it stays as it is.
    clean(&host.current_dir().unwrap_or_default().join(path))
}

/// Returns `path` with `~` expanded, absolute, and normalised.
#[must_use]
pub fn normalised(path: &str, host: &dyn Host) -> PathBuf {
    absolute(Path::new(&expand_user(path, host)), host)
}

/// Resolves `.`, `..` and double slashes in the text. Exactly two leading slashes stay two (POSIX leaves their
/// meaning open, and Python keeps them).
fn clean(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    let root = match text.len() - text.trim_start_matches('/').len() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(&"..")) => parts.push(".."),
            ("..", Some(_)) => drop(parts.pop()),
            ("..", None) if !root.is_empty() => {}
            _ => parts.push(part),
        }
    }
    let joined = format!("{root}{}", parts.join("/"));
    PathBuf::from(if joined.is_empty() { ".".to_owned() } else { joined })
}

/// Returns the directory part of `path` as Python's `dirname` cuts it: empty when there is no slash.
#[must_use]
pub fn directory_of(path: &str) -> &str {
    let Some(at) = path.rfind('/') else { return "" };
    let head = &path[..=at];
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { head } else { trimmed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;

    #[test]
    fn home_directories_are_expanded() {
        let host = Imagined::default().variable("HOME", "/home/me/").user("bob", 1001);
        for (path, expected) in [
            ("~", "/home/me"),
            ("~/x", "/home/me/x"),
            ("~bob/x", "/home/bob/x"),
            ("~nobody-here/x", "~nobody-here/x"),
            ("a~/x", "a~/x"),
        ] {
            assert_eq!(expand_user(path, &host), expected, "{path}");
        }
        assert_eq!(expand_user("~", &Imagined::default().variable("HOME", "/")), "/");
    }

    #[test]
    fn paths_are_cleaned_in_the_text() {
        let host = Imagined::default();
        for (path, expected) in [
            ("x", "/cwd/x"),
            ("", "/cwd"),
            ("/a/./b//c/../d/", "/a/b/d"),
            ("/../..", "/"),
            ("//a", "//a"),
            ("///a", "/a"),
            ("../x", "/x"),
        ] {
            assert_eq!(absolute(Path::new(path), &host), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn directory_parts_are_cut_as_python_does() {
        for (path, expected) in [("x", ""), ("/x", "/"), ("a//b", "a"), ("/a/b/", "/a/b"), ("//x", "//")] {
            assert_eq!(directory_of(path), expected, "{path}");
        }
    }
}
