//! Reads the values of a section: finds, expands, converts and reports, by the rows of the key table.
//!
//! Knows the names of `%` expansion and collects diagnostics; knows no key.
//!
//! `reader.apply(section, rows.iter(), &names, &mut draft)` sets everything that the section says.

use crate::config::diagnostic::{Diagnostic, nearest};
use crate::config::document::{Document, Entry, Level, Section};
use crate::config::expand::{self, Arg, Failure};
use crate::config::keys::{self, Row, Scope};
use crate::config::value::{Converted, Value};
use crate::model::Host;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Most errors, and most warnings, that are kept: beyond it nobody reads on, and a hostile file cannot eat the
/// memory. They are counted apart, so that no number of warnings hides an error.
pub(in crate::config) const DIAGNOSTICS_MAX: usize = 1000;

/// The names that a section's values can use beside `here` and the environment.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Names {
    own: Vec<(String, Arg<'static>)>,
}

impl Names {
    /// Adds a name, or gives it a new value.
    pub(in crate::config) fn set(&mut self, name: &str, arg: Arg<'static>) {
        match self.own.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = arg,
            None => self.own.push((name.to_owned(), arg)),
        }
    }

    /// Adds a name that stands for a text.
    pub(in crate::config) fn set_text(&mut self, name: &str, text: &str) {
        self.set(name, Arg::Text(Cow::Owned(text.to_owned())));
    }

    /// Removes what `gone` holds for.
    pub(in crate::config) fn remove(&mut self, gone: impl Fn(&str) -> bool) {
        self.own.retain(|(name, _)| !gone(name));
    }

    fn get(&self, name: &str) -> Option<Arg<'static>> {
        self.own.iter().find(|(known, _)| known == name).map(|(_, arg)| arg.clone())
    }
}

/// Reads sections and remembers what is wrong with them.
pub(in crate::config) struct Reader<'a> {
    /// All sections.
    pub(in crate::config) document: &'a Document,
    /// The machine.
    pub(in crate::config) host: &'a dyn Host,
    /// Values of `ENV_*`, by the name without that prefix.
    pub(in crate::config) environment: BTreeMap<String, String>,
    /// Directory of the main file.
    pub(in crate::config) here: String,
    /// Name of this machine.
    pub(in crate::config) node_name: String,
    /// Whether what nobody knows is an error.
    pub(in crate::config) strict: bool,
    /// Lines that supervisord logs at WARN.
    pub(in crate::config) warnings: Vec<String>,
    is_lenient: bool,
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    warned: usize,
    seen: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// Returns a reader of `document`; `here` is the directory of the main file.
    pub(in crate::config) fn new(
        document: &'a Document,
        host: &'a dyn Host,
        here: String,
        strict: bool,
    ) -> Reader<'a> {
        Reader {
            document,
            host,
            environment: host.environment().into_iter().collect(),
            here,
            node_name: host.node_name(),
            strict,
            warnings: Vec::new(),
            is_lenient: false,
            diagnostics: Vec::new(),
            errors: 0,
            warned: 0,
            seen: BTreeSet::new(),
        }
    }

    /// Keeps a diagnostic, unless it is known already.
    pub(in crate::config) fn report(&mut self, diagnostic: Diagnostic) {
        let diagnostic = if self.is_lenient { diagnostic.into_warning() } else { diagnostic };
        let alike = if diagnostic.is_error() { &mut self.errors } else { &mut self.warned };
        if *alike < DIAGNOSTICS_MAX && self.seen.insert(diagnostic.to_string()) {
            *alike += 1;
            self.diagnostics.push(diagnostic);
        }
    }

    /// Reads what supervisord does not look at: whatever is wrong there is a warning.
    pub(in crate::config) fn leniently<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.is_lenient, true);
        let found = read(self);
        self.is_lenient = before;
        found
    }

    /// Keeps an error about a section.
    pub(in crate::config) fn section_error(&mut self, section: &Section, what: impl Into<String>) {
        let place = self.document.place(section);
        self.report(Diagnostic::error(place, what).section(&section.name));
    }

    /// Keeps a warning about a section.
    pub(in crate::config) fn section_warning(&mut self, section: &Section, what: impl Into<String>) {
        let place = self.document.place(section);
        self.report(Diagnostic::warning(place, what).section(&section.name));
    }

    /// Keeps an error about a key.
    pub(in crate::config) fn entry_error(
        &mut self,
        section: &Section,
        entry: &Entry,
        what: impl Into<String>,
    ) {
        let place = self.document.entry_place(entry);
        let level = self.document.get_with_level(section, &entry.key).map(|(_, level)| level);
        // Told once, where it stands, and not for each program that has it from there.
        let section = if level == Some(Level::Inherited) { keys::PROGRAM_DEFAULT } else { &section.name };
        self.report(Diagnostic::error(place, what).section(section).key(&entry.key));
    }

    /// Keeps a warning that supervisord logs in its own words.
    pub(in crate::config) fn upstream_warning(
        &mut self,
        section: &Section,
        key: &str,
        what: &str,
        text: String,
    ) {
        self.warnings.push(text);
        let entry = self.document.get(section, key);
        let place =
            entry.map_or_else(|| self.document.place(section), |entry| self.document.entry_place(entry));
        let diagnostic = Diagnostic::warning(place, what).section(&section.name).key(key);
        self.report(Diagnostic { upstream: true, ..diagnostic });
    }

    /// Returns how many errors there are.
    pub(in crate::config) fn errors(&self) -> usize {
        self.errors
    }

    /// Returns all diagnostics.
    pub(in crate::config) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    /// Sets what `section` says, row by row, and returns whether all of it was right.
    pub(in crate::config) fn apply<T: 'static>(
        &mut self,
        section: &Section,
        rows: impl Iterator<Item = &'static Row<T>>,
        names: &Names,
        draft: &mut T,
    ) -> bool {
        let document = self.document;
        let mut good = true;
        for row in rows {
            let Some(entry) = document.get(section, row.key.name) else { continue };
            let converted = self
                .expand(entry, row.scope, names)
                .and_then(|text| (row.set)(draft, Value { text: &text, host: self.host }));
            if let Err(what) = converted {
                self.entry_error(section, entry, what);
                good = false;
            }
        }
        good
    }

    /// Expands the value of `entry` as often as its scope asks for.
    pub(in crate::config) fn expand(&self, entry: &Entry, scope: Scope, names: &Names) -> Converted<String> {
        if entry.value.contains('\0') {
            return Err("holds a NUL byte, which no program can be given".to_owned());
        }
        if scope == Scope::Raw {
            return Ok(entry.value.clone());
        }
        let once = self.expand_text(&entry.value, scope, names)?;
        if scope == Scope::InstanceTwice { self.expand_text(&once, scope, names) } else { Ok(once) }
    }

    /// Expands a text once.
    pub(in crate::config) fn expand_text(
        &self,
        text: &str,
        scope: Scope,
        names: &Names,
    ) -> Converted<String> {
        let lookup = |name: &str| self.lookup(name, scope, names);
        match expand::expand(text, &lookup) {
            Ok(text) => Ok(text.into_owned()),
            Err(Failure::Unknown(name)) => Err(self.unknown_name(&name, scope, names)),
            Err(Failure::Malformed(what)) => {
                Err(format!("cannot expand: {what} (a percent sign itself is written %%)"))
            }
        }
    }

    fn lookup(&self, name: &str, scope: Scope, names: &Names) -> Option<Arg<'static>> {
        let own = (scope != Scope::Environment).then(|| names.get(name)).flatten();
        let text = || match name.strip_prefix("ENV_") {
            Some(variable) => self.environment.get(variable).cloned(),
            None if name == "here" && scope != Scope::Environment => Some(self.here.clone()),
            None => None,
        };
        own.or_else(|| text().map(|text| Arg::Text(Cow::Owned(text))))
    }

    fn unknown_name(&self, name: &str, scope: Scope, names: &Names) -> String {
        let mut known: Vec<String> = self.environment.keys().map(|name| format!("ENV_{name}")).collect();
        if scope != Scope::Environment {
            known.extend(names.own.iter().map(|(name, _)| name.clone()));
            known.push("here".to_owned());
        }
        if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
            return format!("cannot expand %({name})s: no such name here (did you mean %({near})s?)");
        }
        if let Some(variable) = name.strip_prefix("ENV_") {
            return format!("cannot expand %({name})s: the variable {variable} is not set");
        }
        known.retain(|name| !name.starts_with("ENV_"));
        known.sort();
        known.push("ENV_* for the environment".to_owned());
        format!("cannot expand %({name})s: no such name here (there are: {})", known.join(", "))
    }
}
