//! All files of a configuration as one set of sections, by the merging rules of Python's `ConfigParser`.
//!
//! A section keeps the place of its first appearance, later keys replace earlier ones, and `[DEFAULT]` is the
//! fall-back of every section. Must not know what any section or key means.
//!
//! `document.get(section, "command")` finds a key, in the section itself or in `[DEFAULT]`.

use super::ini::RawSection;
use crate::model::spec::Place;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the section that all others fall back to.
const DEFAULT: &str = "DEFAULT";

/// What stands for the directory of the file it is written in.
const HERE: &str = "%(here)s";

/// A line of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    file: usize,
    line: u32,
}

/// A key with its value, nothing expanded.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Lower case.
    pub key: String,
    /// The text, continuation lines joined with LF.
    pub value: String,
    spot: Spot,
}

/// A section of the merged configuration.
#[derive(Clone, Debug)]
pub struct Section {
    /// What stands between the brackets.
    pub name: String,
    /// Keys in the order of their first appearance.
    entries: Vec<Entry>,
    /// Keys of another section that it does not have, see [`Document::inherit`].
    inherited: Vec<Entry>,
    spot: Spot,
}

impl Section {
    /// Returns the keys that the section itself has, without those of `[DEFAULT]`.
    #[must_use]
    pub fn own_entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// How far from a section something is said that counts for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// In the section itself.
    Own,
    /// In the section that it inherits from.
    Inherited,
    /// In `[DEFAULT]`.
    Default,
}

/// Something that is written a second time.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// The section.
    pub section: String,
    /// The key within one section; none, if the section itself comes again.
    pub key: Option<String>,
    first: Spot,
    again: Spot,
}

/// The sections of all files that have been added.
#[derive(Debug, Default)]
pub struct Document {
    files: Vec<PathBuf>,
    sections: Vec<Section>,
    index: BTreeMap<String, usize>,
    defaults: Vec<Entry>,
    repeats: Vec<Repeat>,
}

impl Document {
    /// Adds the sections of an included file, whose `%(here)s` is `here`, its own directory.
    pub fn include(&mut self, file: &Path, mut sections: Vec<RawSection>, here: &Path) {
        for entry in sections.iter_mut().flat_map(|section| &mut section.entries) {
            settle(&mut entry.value, here);
        }
        self.add(file, sections);
    }

    /// Adds the sections of one more file.
    pub fn add(&mut self, file: &Path, sections: Vec<RawSection>) {
        self.files.push(file.to_path_buf());
        let file = self.files.len() - 1;
        for raw in sections {
            let spot = Spot { file, line: raw.line };
            self.note_repeats(&raw, spot);
            let target = if raw.name == DEFAULT {
                &mut self.defaults
            } else {
                let at = *self.index.entry(raw.name.clone()).or_insert_with(|| {
                    self.sections.push(Section {
                        name: raw.name,
                        entries: Vec::new(),
                        inherited: Vec::new(),
                        spot,
                    });
                    self.sections.len() - 1
                });
                &mut self.sections[at].entries
            };
            for entry in raw.entries {
                let spot = Spot { file, line: entry.line };
                put(target, Entry { key: entry.key, value: entry.value, spot });
            }
        }
    }

    /// Notes what a section repeats: the one of its name before it, or a key of its own.
    fn note_repeats(&mut self, raw: &RawSection, again: Spot) {
        if let Some(at) = self.index.get(&raw.name) {
            let first = self.sections[*at].spot;
            self.repeats.push(Repeat { section: raw.name.clone(), key: None, first, again });
        }
        let mut seen: BTreeMap<&str, Spot> = BTreeMap::new();
        for entry in &raw.entries {
            let again = Spot { line: entry.line, ..again };
            if let Some(first) = seen.insert(&entry.key, again) {
                let key = Some(entry.key.clone());
                self.repeats.push(Repeat { section: raw.name.clone(), key, first, again });
            }
        }
    }

    /// Returns what is written more than once, in the order of the files.
    #[must_use]
    pub fn repeats(&self) -> &[Repeat] {
        &self.repeats
    }

    /// Returns where something stands first, and where again.
    #[must_use]
    pub fn repeat_places(&self, repeat: &Repeat) -> (Place, Place) {
        (self.spot_place(repeat.first), self.spot_place(repeat.again))
    }

    /// Puts the directory of the main file into all values, as supervisord does once a configuration includes
    /// others: from then on `%(here)s` means the directory of the file it is written in.
    pub fn settle_here(&mut self, here: &Path) {
        let own = self.sections.iter_mut().flat_map(|section| &mut section.entries);
        own.chain(&mut self.defaults).for_each(|entry| settle(&mut entry.value, here));
    }

    /// Returns the sections in the order of their first appearance, `[DEFAULT]` left out.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Returns the section called `name`.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.index.get(name).map(|at| &self.sections[*at])
    }

    /// Lets the sections that `takes` names have what the section `from` says and they do not.
    pub fn inherit(&mut self, from: &str, takes: impl Fn(&str) -> bool) {
        let Some(from) = self.section(from).map(|section| section.entries.clone()) else { return };
        for section in self.sections.iter_mut().filter(|section| takes(&section.name)) {
            let is_missing = |entry: &&Entry| section.entries.iter().all(|own| own.key != entry.key);
            section.inherited = from.iter().filter(is_missing).cloned().collect();
        }
    }

    /// Returns the entry of `key` that counts for `section`: its own, an inherited one, or that of `[DEFAULT]`.
    #[must_use]
    pub fn get<'d>(&'d self, section: &'d Section, key: &str) -> Option<&'d Entry> {
        self.get_with_level(section, key).map(|(entry, _)| entry)
    }

    /// Returns the entry that counts, and how far away it is.
    #[must_use]
    pub fn get_with_level<'d>(&'d self, section: &'d Section, key: &str) -> Option<(&'d Entry, Level)> {
        let places = [
            (&section.entries, Level::Own),
            (&section.inherited, Level::Inherited),
            (&self.defaults, Level::Default),
        ];
        places.into_iter().find_map(|(entries, level)| {
            entries.iter().find(|entry| entry.key == key).map(|entry| (entry, level))
        })
    }

    /// Returns all keys of `section`, inherited ones behind its own, those of `[DEFAULT]` that it lacks last.
    pub fn entries<'d>(&'d self, section: &'d Section) -> impl Iterator<Item = &'d Entry> {
        let near = || section.entries.iter().chain(&section.inherited);
        let fallen = self.defaults.iter().filter(move |d| near().all(|own| own.key != d.key));
        near().chain(fallen)
    }

    /// Returns the keys of `[DEFAULT]`.
    #[must_use]
    pub fn defaults(&self) -> &[Entry] {
        &self.defaults
    }

    /// Returns the files in the order in which they were added.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Returns where the header of `section` stands.
    #[must_use]
    pub fn place(&self, section: &Section) -> Place {
        self.spot_place(section.spot)
    }

    /// Returns where `entry` stands.
    #[must_use]
    pub fn entry_place(&self, entry: &Entry) -> Place {
        self.spot_place(entry.spot)
    }

    fn spot_place(&self, spot: Spot) -> Place {
        Place { file: self.files[spot.file].clone(), line: spot.line }
    }
}

fn put(entries: &mut Vec<Entry>, entry: Entry) {
    match entries.iter_mut().find(|known| known.key == entry.key) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
}

fn settle(value: &mut String, here: &Path) {
    if value.contains(HERE) {
        *value = replace_here(value, &here.to_string_lossy());
    }
}

/// Replaces `%(here)s`, but not in `%%(here)s`, which is an escaped percent sign and text. The directory's own
/// percent signs are escaped, because the result is expanded like any value.
fn replace_here(value: &str, here: &str) -> String {
    let here = here.replace('%', "%%");
    let mut out = String::with_capacity(value.len() + here.len());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (text, taken) = if rest.starts_with(HERE) {
            (here.as_str(), HERE.len())
        } else if rest.starts_with("%%") {
            ("%%", 2)
        } else {
            ("%", 1)
        };
        out.push_str(text);
        rest = &rest[taken..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ini;

    fn document(files: &[(&str, &str)]) -> Document {
        let mut document = Document::default();
        for (name, text) in files {
            document.add(Path::new(name), ini::parse(text.as_bytes()).0);
        }
        document
    }

    #[test]
    fn later_keys_win_and_sections_keep_their_first_place() {
        let merged = document(&[("m", "[a]\nx=1\ny=1\n[b]\n[a]\nx=2\n"), ("i", "[b]\nz=3\n[a]\ny=4\n")]);
        let names: Vec<_> = merged.sections().iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let a = merged.section("a").expect("section a");
        let got = ["x", "y"].map(|key| {
            let entry = merged.get(a, key).expect("key");
            (entry.value.clone(), merged.entry_place(entry).line)
        });
        assert_eq!(got, [("2".to_owned(), 6), ("4".to_owned(), 4)]);
        assert_eq!(merged.place(a), Place { file: "m".into(), line: 1 });
    }

    #[test]
    fn what_is_written_again_is_known_with_both_places() {
        let merged = document(&[("m", "[a]\nx=1\ny=1\nx=2\n[b]\n"), ("i", "[b]\nz=3\n[a]\ny=4\n")]);
        let shown = |repeat: &Repeat| {
            let (first, again) = merged.repeat_places(repeat);
            let key = repeat.key.as_deref().unwrap_or("-");
            let place = |place: &Place| format!("{}:{}", place.file.display(), place.line);
            format!("{} {key} {} {}", repeat.section, place(&first), place(&again))
        };
        let repeats: Vec<String> = merged.repeats().iter().map(shown).collect();
        assert_eq!(repeats, ["a x m:2 m:4", "b - m:5 i:1", "a - m:1 i:3"]);
    }

    #[test]
    fn default_is_the_fall_back_and_no_section() {
        let merged = document(&[("m", "[DEFAULT]\nx=1\ny=1\n[a]\ny=2\n")]);
        let a = merged.section("a").expect("section a");
        assert_eq!(merged.sections().len(), 1);
        let all: Vec<_> = merged.entries(a).map(|e| (e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(all, [("y", "2"), ("x", "1")]);
    }

    #[test]
    fn what_is_inherited_stands_between_own_and_default() {
        let mut merged = document(&[("m", "[DEFAULT]\nx=1\nz=1\n[base]\nx=2\ny=2\n[a]\ny=3\n[b]\n")]);
        merged.inherit("base", |name| name == "a");
        let (a, b) = (merged.section("a").expect("a"), merged.section("b").expect("b"));
        let got =
            |section, key| merged.get_with_level(section, key).map(|(e, level)| (e.value.as_str(), level));
        assert_eq!(got(a, "y"), Some(("3", Level::Own)));
        assert_eq!(got(a, "x"), Some(("2", Level::Inherited)));
        assert_eq!(got(a, "z"), Some(("1", Level::Default)));
        assert_eq!((got(b, "x"), got(b, "y")), (Some(("1", Level::Default)), None));
        let all: Vec<_> = merged.entries(a).map(|e| (e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(all, [("y", "3"), ("x", "2"), ("z", "1")]);
        assert_eq!(a.own_entries().len(), 1);
    }

    #[test]
    fn here_is_replaced_once_and_never_behind_an_escaped_percent_sign() {
        for (value, expected) in [
            ("%(here)s/a:%(here)s", "/h%%/a:/h%%"),
            ("%%(here)s", "%%(here)s"),
            ("%%%(here)s", "%%/h%%"),
            ("100%", "100%"),
            ("%(x)s", "%(x)s"),
        ] {
            assert_eq!(replace_here(value, "/h%"), expected, "{value}");
        }
    }

    #[test]
    fn here_is_the_directory_of_the_file_with_the_value() {
        let mut merged = document(&[("/m/f", "[a]\nx=%(here)s\n")]);
        merged.settle_here(Path::new("/m"));
        merged.include(Path::new("/i/f"), ini::parse(b"[a]\ny=%(here)s\n").0, Path::new("/i"));
        let a = merged.section("a").expect("section a");
        let values: Vec<_> = merged.entries(a).map(|e| e.value.as_str()).collect();
        assert_eq!(values, ["/m", "/i"]);
    }
}
