//! What a program's settings come to, and where each of them was said.
//!
//! Reads the same rows as [`super::check`] and the same values as [`super::dump`]; must not decide anything. Example:
//! `show(&request, &wanted, host)` has a setting `startsecs = 5`, from line 4 of `web.conf`.

use super::document::{Document, Level};
use super::dump;
use super::keys::{self, Built};
use super::load::{LoadRequest, load};
use crate::model::Host;
use crate::model::spec::{Place, ProcessSpec};
use serde::Serialize;
use serde_json::Value;

/// Where a setting was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// In the program's own section.
    Section,
    /// In `[program-default]`.
    ProgramDefault,
    /// In `[DEFAULT]`.
    Default,
    /// Nowhere: it is what holds when nothing is said.
    BuiltIn,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// What it came to; for a list of variables only their names.
    pub value: String,
    /// Where it was said.
    pub from: Origin,
    /// The line that says it.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// Whether it does something.
    pub built: bool,
}

/// The settings of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Its name as shown.
    pub namespec: String,
    /// Where its section begins.
    #[serde(flatten)]
    pub place: Place,
    /// Its settings, in the order of the key table.
    pub settings: Vec<Setting>,
}

/// Returns the settings of the processes that are `wanted`, by group and name.
#[must_use]
pub fn show(request: &LoadRequest, wanted: &dyn Fn(&str, &str) -> bool, host: &dyn Host) -> Vec<Effective> {
    let loaded = load(request, host);
    let document = request.document(host);
    let processes = loaded.defined.iter().flat_map(|group| &group.processes);
    let chosen = processes.filter(|process| wanted(&process.group, &process.name));
    chosen.filter_map(|process| effective(process, &document)).collect()
}

fn effective(process: &ProcessSpec, document: &Document) -> Option<Effective> {
    let section = document.sections().iter().find(|section| document.place(section) == process.place)?;
    let kind = keys::section_row(&section.name)?.kind;
    let values = values_of(process);
    let mut settings: Vec<Setting> = Vec::new();
    for key in keys::of(kind).filter(|key| !key.name.ends_with('*')) {
        let said = document.get_with_level(section, key.name);
        let value = match (values.get(key.name), said) {
            _ if key.name == "environment" => names_of(process),
            (Some(value), _) => shown(value),
            (None, Some((entry, _))) => entry.value.clone(),
            (None, None) => continue,
        };
        let from = said.map_or(Origin::BuiltIn, |(_, level)| Origin::of(level));
        let place = said.map(|(entry, _)| document.entry_place(entry));
        settings.push(Setting {
            key: key.name.to_owned(),
            value,
            from,
            place,
            built: key.built == Built::Yes,
        });
    }
    Some(Effective { namespec: process.namespec(), place: process.place.clone(), settings })
}

impl Origin {
    fn of(level: Level) -> Origin {
        match level {
            Level::Own => Origin::Section,
            Level::Inherited => Origin::ProgramDefault,
            Level::Default => Origin::Default,
        }
    }
}

/// Returns what is known of a process by its keys.
fn values_of(process: &ProcessSpec) -> Value {
    let mut values = dump::process(process, "");
    values["stopsignal"] = process.stopsignal.to_string().trim_start_matches("SIG").into();
    values["user"] = process.user.as_ref().map(|user| user.text.clone()).into();
    for (key, set) in [("stopasgroup", process.stopasgroup), ("killasgroup", process.killasgroup)] {
        values[key] = set.into();
    }
    values
}

/// Returns the names of a process's variables: their values may be secrets, and stand in the file.
fn names_of(process: &ProcessSpec) -> String {
    process.environment.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        Value::Object(pairs) => pairs.keys().cloned().collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;

    fn settings(text: &str, name: &str) -> Vec<Setting> {
        let host = Imagined::default().file("/c/main.conf", text);
        let wanted = |_: &str, process: &str| process == name;
        show(&LoadRequest::of("/c/main.conf"), &wanted, &host).remove(0).settings
    }

    fn one(settings: &[Setting], key: &str) -> (String, Origin, Option<u32>) {
        let found = settings.iter().find(|setting| setting.key == key).expect(key);
        (found.value.clone(), found.from, found.place.as_ref().map(|place| place.line))
    }

    const TEXT: &str = "[supervisord]\n[DEFAULT]\nstartsecs=7\n[program-default]\nstopsignal=INT\nstartretries=9\n\
                        [program:web]\ncommand=serve %(program_name)s\nstartretries=4\nenvironment=PASSWORD=\"x\"\nnice=5\n";

    #[test]
    fn each_setting_comes_with_the_place_that_said_it() {
        let web = settings(TEXT, "web");
        assert_eq!(one(&web, "command"), ("serve web".to_owned(), Origin::Section, Some(8)));
        assert_eq!(one(&web, "startretries"), ("4".to_owned(), Origin::Section, Some(9)));
        assert_eq!(one(&web, "stopsignal"), ("INT".to_owned(), Origin::ProgramDefault, Some(5)));
        assert_eq!(one(&web, "startsecs"), ("7".to_owned(), Origin::Default, Some(3)));
        assert_eq!(one(&web, "stopwaitsecs"), ("10".to_owned(), Origin::BuiltIn, None));
        assert_eq!(one(&web, "environment"), ("PASSWORD".to_owned(), Origin::Section, Some(10)));
        assert!(web.iter().any(|setting| setting.key == "nice" && !setting.built));
        assert!(web.iter().all(|setting| !setting.value.contains("\"x\"")), "values may be secrets");
    }
}
