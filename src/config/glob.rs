//! File names by pattern, as Python's `glob.glob` finds them: `*`, `?`, `[...]`, no braces, no recursion.
//!
//! `[include] files=` is written for these rules: `*` and `?` skip names that begin with a dot, `**` is `*`,
//! and a pattern without magic matches what exists. Directories are read through [`Host::list`].
//!
//! `glob(Path::new("/etc"), "conf.d/*.conf", host)` returns the matches, unsorted.

use crate::model::Host;
use std::path::{Path, PathBuf};

/// Returns what matches `pattern`, which is relative to `base` unless it begins with a slash. Magic characters
/// in `base` mean themselves.
#[must_use]
pub fn glob(base: &Path, pattern: &str, host: &dyn Host) -> Vec<PathBuf> {
    if pattern.starts_with('/') { search(pattern, Path::new("/"), host) } else { search(pattern, base, host) }
}

/// Returns the matches of a pattern whose directories may have magic too.
fn search(pattern: &str, base: &Path, host: &dyn Host) -> Vec<PathBuf> {
    let (directory, name) = match pattern.rfind('/') {
        Some(at) => (&pattern[..at], &pattern[at + 1..]),
        None => ("", pattern),
    };
    if !has_magic(pattern) {
        let path = base.join(pattern);
        return if exists(&path, host) { vec![path] } else { Vec::new() };
    }
    let directory = directory.trim_end_matches('/');
    let directories = if has_magic(directory) {
        let found = search(directory, base, host);
        found.into_iter().filter(|path| is_directory(path, host)).collect()
    } else if directory.is_empty() {
        vec![base.to_path_buf()]
    } else {
        vec![base.join(directory)]
    };
    let mut found = Vec::new();
    for directory in directories {
        found.extend(in_directory(&directory, name, host));
    }
    found
}

fn in_directory(directory: &Path, name: &str, host: &dyn Host) -> Vec<PathBuf> {
    if !has_magic(name) {
        let path = directory.join(name);
        return if exists(&path, host) { vec![path] } else { Vec::new() };
    }
    let Ok(names) = host.list(directory) else { return Vec::new() };
    let pattern: Vec<char> = name.chars().collect();
    let hidden_too = name.starts_with('.');
    let matching = names.into_iter().filter(|name| {
        let name = name.to_string_lossy();
        (hidden_too || !name.starts_with('.')) && matches(&pattern, &name.chars().collect::<Vec<_>>())
    });
    matching.map(|name| directory.join(name)).collect()
}

/// Whether a file name is one that a pattern of one component takes.
#[must_use]
pub fn takes(pattern: &str, name: &str) -> bool {
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    (pattern.starts_with('.') || !name.starts_with('.')) && matches(&chars(pattern), &chars(name))
}

fn has_magic(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn is_directory(path: &Path, host: &dyn Host) -> bool {
    host.ownership(path).is_ok_and(|ownership| ownership.is_dir)
}

/// Whether there is something, be it a link that leads nowhere.
fn exists(path: &Path, host: &dyn Host) -> bool {
    if host.ownership(path).is_ok() {
        return true;
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return false };
    host.list(parent).is_ok_and(|names| names.iter().any(|known| known == name))
}

/// Whether a whole name that is no file's matches `pattern`; a dot at its beginning is a letter like any other.
#[must_use]
pub fn is_match(pattern: &str, name: &str) -> bool {
    let letters = |text: &str| text.chars().collect::<Vec<_>>();
    if has_magic(pattern) { matches(&letters(pattern), &letters(name)) } else { pattern == name }
}

/// Whether `name` matches `pattern` (Python's `fnmatch`): the last star is tried longer and longer.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            star = Some((at + 1, read));
            at += 1;
            continue;
        }
        if at == pattern.len() && read == name.len() {
            return true;
        }
        let step = name.get(read).and_then(|c| one(&pattern[at..], *c));
        match (step, star) {
            (Some(width), _) => (at, read) = (at + width, read + 1),
            (None, Some((after, from))) if from < name.len() => {
                star = Some((after, from + 1));
                (at, read) = (after, from + 1);
            }
            (None, _) => return false,
        }
    }
}

/// Returns how many characters of the pattern match `c`, where they do.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class_end(pattern) {
            Some(end) => in_class(&pattern[1..end], c).then_some(end + 1),
            None => (c == '[').then_some(1),
        },
        literal => (*literal == c).then_some(1),
    }
}

/// Returns where the `]` of a class stands; the first place inside cannot close it.
fn class_end(pattern: &[char]) -> Option<usize> {
    let first = if pattern.get(1) == Some(&'!') { 2 } else { 1 };
    (first + 1..pattern.len()).find(|at| pattern[*at] == ']')
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, mut rest) = match class.split_first() {
        Some(('!', rest)) if !rest.is_empty() => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let Some(low) = rest.first() {
        if let (Some('-'), Some(high)) = (rest.get(1), rest.get(2)) {
            found |= (*low..=*high).contains(&c);
            rest = &rest[3..];
        } else {
            found |= *low == c;
            rest = &rest[1..];
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;

    fn matched(pattern: &str, name: &str) -> bool {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        matches(&chars(pattern), &chars(name))
    }

    #[test]
    fn names_match_as_fnmatch_says() {
        for (pattern, yes, no) in [
            ("*.conf", &["a.conf", ".conf"][..], &["a.con", "conf"][..]),
            ("a*b*c", &["abc", "aXbYbZc"], &["ab", "acb"]),
            ("?", &["ä", "["], &["", "ab"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[!a-c]", &["d", "!"], &["a"]),
            ("[a-c-e]", &["b", "-", "e"], &["d"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[!]a]", &["b"], &["]", "a"]),
            ("[z-a]", &[], &["z", "a", "-"]),
            ("[a", &["[a"], &["a"]),
            ("[-a]", &["-", "a"], &["b"]),
            ("**", &["", "abc"], &[]),
            ("*[*", &["a[b"], &["ab"]),
        ] {
            for name in yes {
                assert!(matched(pattern, name), "{pattern} should match {name}");
            }
            for name in no {
                assert!(!matched(pattern, name), "{pattern} should not match {name}");
            }
        }
    }

    #[test]
    fn files_are_found_relative_to_the_base_whatever_it_is_called() {
        let host = Imagined::default()
            .file("/e[t]c/d/a.conf", "")
            .file("/e[t]c/d/.hidden.conf", "")
            .file("/e[t]c/d2/b.conf", "")
            .file("/e[t]c/x.ini", "");
        let found = |pattern: &str| {
            let mut found = glob(Path::new("/e[t]c"), pattern, &host);
            found.sort();
            found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("d*/*.conf"), ["/e[t]c/d/a.conf", "/e[t]c/d2/b.conf"]);
        assert_eq!(found("d/.*"), ["/e[t]c/d/.hidden.conf"]);
        assert_eq!(found("x.ini"), ["/e[t]c/x.ini"]);
        assert_eq!(found("./x.ini"), ["/e[t]c/./x.ini"]);
        assert_eq!(found("**/*.conf"), found("*/*.conf"));
        assert_eq!(found("/*/d2/b.conf"), ["/e[t]c/d2/b.conf"]);
        assert_eq!(found("no*").len() + found("nothing").len() + found("d/*/x").len(), 0);
    }
}
