//! What is written twice: supervisord takes it without a word, and one of the two does not count.

use super::reader::Reader;
use crate::config::diagnostic::Diagnostic;
use crate::config::xdg;
use crate::model::spec::Place;
use std::path::Path;

/// Warns about every section and key that is written again.
pub(in crate::config) fn check(reader: &mut Reader<'_>) {
    let document = reader.document;
    for repeat in document.repeats() {
        let (first, again) = document.repeat_places(repeat);
        // What nobody wrote is there to be said otherwise.
        if first.file == Path::new(xdg::IMPLICIT_PLACE) {
            continue;
        }
        let known = shown(&first);
        let warning = match &repeat.key {
            None => Diagnostic::warning(
                again,
                format!(
                    "is there already ({known}), both are taken as one, and of a key in both the last counts"
                ),
            )
            .hint("rename one of them, or merge them"),
            Some(key) => {
                Diagnostic::warning(again, format!("is set already ({known}), only the last one counts"))
                    .key(key)
                    .hint("remove one of them")
            }
        };
        reader.report(warning.section(&repeat.section));
    }
}

fn shown(place: &Place) -> String {
    format!("{}:{}", place.file.display(), place.line)
}
