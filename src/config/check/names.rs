//! Names that nobody knows, and names that are known and not built: a warning each.

use super::reader::Reader;
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::document::{Entry, Section};
use crate::config::keys::{self, Built, SectionKind, SectionRow, visor};

/// Warns about every section and key that is unknown or not built.
pub(in crate::config) fn check(reader: &mut Reader<'_>) {
    let document = reader.document;
    for section in document.sections() {
        match keys::section_row(&section.name) {
            None => unknown_section(reader, section),
            Some(row) => check_section(reader, section, row),
        }
    }
}

fn unknown_section(reader: &mut Reader<'_>, section: &Section) {
    let place = reader.document.place(section);
    let what = "unknown section, it is ignored";
    let hint = keys::section_like(&section.name).map(|near| format!("did you mean [{near}]?"));
    let unknown = Diagnostic::new(unknown_severity(reader), place, what);
    reader.report(unknown.section(&section.name).maybe_hint(hint));
}

/// Unknown names are warnings, because supervisord ignores them, unless the user wants to be strict.
fn unknown_severity(reader: &Reader<'_>) -> Severity {
    if reader.strict { Severity::Error } else { Severity::Warning }
}

fn check_section(reader: &mut Reader<'_>, section: &Section, row: &SectionRow) {
    if !row.built {
        reader.section_warning(section, "sections of this kind are not built yet, it is ignored");
    }
    let inherited = if has_programs(row.kind) { reader.document.defaults() } else { &[] };
    for entry in section.own_entries().iter().chain(inherited) {
        match visor::find(row.kind, &entry.key) {
            Some(found) => unbuilt_key(reader, section, entry, found),
            None => unknown_key(reader, section, entry, row.kind),
        }
    }
}

/// Whether the section's keys make processes: there `[DEFAULT]` can hold Visor's keys.
fn has_programs(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::Program | SectionKind::Listener | SectionKind::Fcgi)
}

fn unbuilt_key(reader: &mut Reader<'_>, section: &Section, entry: &Entry, row: &visor::VisorRow) {
    if !row.matters(&entry.value) {
        return;
    }
    let what = match row.key.built {
        Built::NotYetAndNeeded => "not built yet: the program will not be started without it",
        _ => "not built yet, it has no effect",
    };
    let place = reader.document.entry_place(entry);
    let warning = Diagnostic::warning(place, what).section(&section.name).key(&entry.key);
    reader.report(warning.maybe_hint(row.fault(&entry.value)));
}

fn unknown_key(reader: &mut Reader<'_>, section: &Section, entry: &Entry, kind: SectionKind) {
    let inherited = !section.own_entries().iter().any(|own| own.key == entry.key);
    if inherited || keys::takes_any(kind) || keys::find(kind, &entry.key).is_some() {
        return;
    }
    let place = reader.document.entry_place(entry);
    let unknown = Diagnostic::new(unknown_severity(reader), place, "unknown key, it is ignored");
    reader.report(unknown.section(&section.name).key(&entry.key).maybe_hint(keys::hint(kind, &entry.key)));
}
