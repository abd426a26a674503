//! What removes old files below `/tmp`, where sockets of ours may be.
//!
//! Knows the settings of systemd-tmpfiles (tmpfiles.d(5)), tmpreaper and tmpwatch. Example: a Debian machine has none,
//! a Fedora one `Cleaner { rule: "/usr/lib/tmpfiles.d/tmp.conf:11", age: "10d", .. }`.

use crate::sys::ambient::{Ambient, Origin};
use std::path::{Path, PathBuf};

/// Directories of settings, the strongest first: of two files of one name the first counts.
const TMPFILES: [&str; 4] =
    ["etc/tmpfiles.d", "run/tmpfiles.d", "usr/local/lib/tmpfiles.d", "usr/lib/tmpfiles.d"];

/// Types of lines whose age removes what is old (tmpfiles.d(5)).
const AGING: [char; 7] = ['d', 'D', 'e', 'v', 'q', 'Q', 'C'];

/// Types of lines that keep what they name from being removed.
const KEEPING: [char; 2] = ['x', 'X'];

/// Other cleaners: what they are, and the file by which they are started.
const SCRIPTS: [(&str, &str); 3] = [
    ("tmpreaper", "etc/cron.daily/tmpreaper"),
    ("tmpwatch", "etc/cron.daily/tmpwatch"),
    ("tmpwatch", "etc/cron.hourly/tmpwatch"),
];

/// Something that removes what is old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaner {
    /// What it is called.
    pub name: String,
    /// Where it is told to, `file:line` or a file.
    pub rule: String,
    /// After what time, as written; empty where it is not known.
    pub age: String,
}

/// Finds what would clean the directory of sockets below `/tmp`.
pub(super) fn gather(ambient: &Ambient) -> Vec<Cleaner> {
    let temp = ambient.runtime_candidates().into_iter().find(|candidate| candidate.origin == Origin::Temp);
    let Some(ours) = temp.map(|candidate| candidate.path) else { return Vec::new() };
    // Rules name paths of the real machine.
    let ours = Path::new("/").join(ours.strip_prefix(&ambient.root).unwrap_or(&ours));
    let mut found: Vec<Cleaner> = tmpfiles(&ambient.root, &ours).into_iter().collect();
    for (name, file) in SCRIPTS {
        let script = ambient.root.join(file);
        if script.exists() {
            let rule = script.display().to_string();
            found.push(Cleaner { name: name.to_owned(), rule, age: String::new() });
        }
    }
    found
}

fn tmpfiles(root: &Path, ours: &Path) -> Option<Cleaner> {
    let mut strongest: Option<(usize, Cleaner)> = None;
    for file in files(root) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let Some(rule) = read(line) else { continue };
            if rule.keeps && matches(&rule.path, ours) {
                return None;
            }
            let Some(age) = rule.age.filter(|_| ours.starts_with(&rule.path)) else { continue };
            // The rule of the nearest directory above counts; of two for one directory the first.
            let depth = Path::new(&rule.path).components().count();
            if strongest.as_ref().is_none_or(|(known, _)| *known < depth) {
                let rule = format!("{}:{}", file.display(), number + 1);
                strongest = Some((depth, Cleaner { name: "systemd-tmpfiles".into(), rule, age }));
            }
        }
    }
    strongest.map(|(_, cleaner)| cleaner)
}

/// Returns the files in the order in which they are read: by name, whatever their directory.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for directory in TMPFILES.map(|directory| root.join(directory)) {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        for file in entries.filter(|file| file.extension().is_some_and(|end| end == "conf")) {
            if files.iter().all(|known| known.file_name() != file.file_name()) {
                files.push(file);
            }
        }
    }
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    files
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    path: String,
    age: Option<String>,
    keeps: bool,
}

/// Reads a line: type, path, mode, user, group, age. Lines without any effect on what is old are nothing.
fn read(line: &str) -> Option<Rule> {
    let mut words = line.split_ascii_whitespace();
    let kind = words.next()?.chars().next()?;
    let path = words.next()?.trim_matches('"').to_owned();
    let age = words.nth(3).map(|age| age.trim_start_matches('~'));
    let age = age.filter(|age| !matches!(*age, "-" | "")).map(str::to_owned);
    let keeps = KEEPING.contains(&kind);
    (keeps || (AGING.contains(&kind) && age.is_some())).then_some(Rule { path, age, keeps })
}

/// Whether a pattern of a shell names a path; only `*` is known, which is what such rules have.
fn matches(pattern: &str, path: &Path) -> bool {
    let text = path.to_string_lossy();
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last_is_open = !pattern.contains('*') && rest.is_empty();
    for piece in pieces {
        let Some(at) = rest.rfind(piece) else { return false };
        rest = &rest[at + piece.len()..];
        last_is_open = piece.is_empty() || rest.is_empty();
    }
    last_is_open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_an_age_or_keeps() {
        let rule = |path: &str, age: Option<&str>, keeps| {
            Some(Rule { path: path.into(), age: age.map(str::to_owned), keeps })
        };
        assert_eq!(read("q /tmp 1777 root root 10d"), rule("/tmp", Some("10d"), false));
        assert_eq!(read("e!  /tmp - - - ~2w"), rule("/tmp", Some("2w"), false));
        assert_eq!(read("D /tmp 1777 root root -"), None, "it is emptied at boot only");
        assert_eq!(read("d /tmp"), None);
        assert_eq!(read("x /tmp/visor-*"), rule("/tmp/visor-*", None, true));
        assert_eq!(read("# q /tmp 1777 root root 10d"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn patterns_are_those_of_a_shell() {
        let path = Path::new("/tmp/visor-1000");
        for (pattern, expected) in [
            ("/tmp/visor-*", true),
            ("/tmp/visor-1000", true),
            ("/tmp/*-1000", true),
            ("/tmp/*", true),
            ("/tmp/visor-10", false),
            ("/tmp/x*", false),
            ("/tmp/*-1001", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern}");
        }
    }

    #[test]
    fn the_nearest_rule_counts_and_an_exception_beats_it() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let ambient = Ambient { uid: 7, name_uid: 7, root: dir.path().into(), ..Ambient::default() };
        let write = |file: &str, text: &str| {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap_or(dir.path()))?;
            std::fs::write(&file, text)
        };
        write(
            "usr/lib/tmpfiles.d/tmp.conf",
            "# all\nq /tmp 1777 root root 10d\nq /var/tmp 1777 root root 30d\n",
        )?;
        let found = gather(&ambient);
        let rule = dir.path().join("usr/lib/tmpfiles.d/tmp.conf").display().to_string();
        let ten = Cleaner { name: "systemd-tmpfiles".into(), rule: format!("{rule}:2"), age: "10d".into() };
        assert_eq!(found, std::slice::from_ref(&ten));
        write("etc/cron.daily/tmpreaper", "")?;
        assert_eq!(gather(&ambient).len(), 2);
        write("etc/tmpfiles.d/visor.conf", "x /tmp/visor-*\n")?;
        assert_eq!(gather(&ambient).iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["tmpreaper"]);
        std::fs::remove_file(dir.path().join("etc/tmpfiles.d/visor.conf"))?;
        // A file of the same name switches the other one off.
        write("etc/tmpfiles.d/tmp.conf", "")?;
        assert_eq!(gather(&ambient).len(), 1);
        Ok(())
    }
}
