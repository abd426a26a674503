//! `[supervisord]` as settings, the command line applied on top.

use super::reader::{Names, Reader};
use crate::config::diagnostic::Diagnostic;
use crate::config::document::Section;
use crate::config::environment;
use crate::config::keys::Scope;
use crate::config::keys::daemon::{DaemonDraft, ROWS};
use crate::config::value::Value;
use crate::model::spec::{DaemonSpec, Place};

/// What stands in the place of a file for values of the command line.
const COMMAND_LINE: &str = "command line";

/// Reads `[supervisord]` over the defaults of `draft`, lets the command line override it, and makes its environment known to the reader.
pub(in crate::config) fn read(
    reader: &mut Reader<'_>,
    section: &Section,
    overrides: &[(&'static str, String)],
    mut draft: DaemonDraft,
) -> DaemonSpec {
    reader.apply(section, ROWS.iter(), &Names::default(), &mut draft);
    draft.spec.environment = own_environment(reader, section, &draft.environment);
    for (name, value) in &draft.spec.environment {
        reader.environment.insert(name.clone(), value.clone());
    }
    for (key, text) in overrides {
        override_key(reader, &mut draft, key, text);
    }
    check_user(reader, section, &mut draft, overrides.iter().any(|(key, _)| *key == "user"));
    draft.settle_paths(reader.host);
    draft.spec
}

/// Expands the environment a second time, now with the name of the machine, as upstream does.
fn own_environment(reader: &mut Reader<'_>, section: &Section, once: &str) -> Vec<(String, String)> {
    let mut names = Names::default();
    names.set_text("host_node_name", &reader.node_name);
    let twice = reader.expand_text(once, Scope::Here, &names).and_then(|text| environment::pairs(&text));
    match (twice, reader.document.get(section, "environment")) {
        (Ok(pairs), _) => pairs,
        (Err(what), Some(entry)) => {
            reader.entry_error(section, entry, what);
            Vec::new()
        }
        (Err(_), None) => Vec::new(),
    }
}

fn override_key(reader: &mut Reader<'_>, draft: &mut DaemonDraft, key: &'static str, text: &str) {
    let Some(row) = ROWS.iter().find(|row| row.key.name == key) else { return };
    if let Err(what) = (row.set)(draft, Value { text, host: reader.host }) {
        reader.report(command_line_error(key, what));
    }
}

fn command_line_error(key: &str, what: String) -> Diagnostic {
    Diagnostic::error(Place { file: COMMAND_LINE.into(), line: 0 }, format!("--{key}: {what}")).key(key)
}

/// Looks the user up last: a user of the file that the command line overrides need not exist.
fn check_user(reader: &mut Reader<'_>, section: &Section, draft: &mut DaemonDraft, from_command_line: bool) {
    let Some(text) = &draft.user else { return };
    match (Value { text, host: reader.host }).user() {
        Ok(user) => draft.spec.user = Some(user),
        Err(what) if from_command_line => reader.report(command_line_error("user", what)),
        Err(what) => {
            if let Some(entry) = reader.document.get(section, "user") {
                reader.entry_error(section, entry, what);
            }
        }
    }
}
