//! `visorctl config`: which keys there are, what a program's settings come to, and where the configuration is.

use crate::api::names::Namespec;
use crate::cli::whereabouts::{self, short};
use crate::cli::{Outcome, Problem, Session, exit};
use crate::config::effective::{self, Effective, Origin, Setting};
use crate::config::keys::{self, Built, Key, Naming, Reload, SECTIONS, SectionRow};
use crate::config::load;
use crate::sys::host::RealHost;
use serde_json::json;

/// Widest column of keys.
const KEY_WIDTH: usize = 24;

/// Widest column of values, behind which places stand.
const VALUE_WIDTH: usize = 36;

/// Show the keys of the configuration, a program's settings, or where it is
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Every key with what it means; or those of a section, or of a name
    Keys {
        /// A section as `program`, or a key or a part of one
        word: Option<String>,
        /// Show the keys as JSON
        #[arg(long)]
        json: bool,
    },
    /// What the settings of a program come to, and where each was said
    Show {
        /// NAME, GROUP:NAME or GROUP:*
        name: String,
        /// Show the settings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Where the configuration is, or the section of a program
    Path {
        /// A program or group
        name: Option<String>,
        /// Every file that is read
        #[arg(long, conflicts_with = "name")]
        files: bool,
    },
}

/// Shows what was asked for.
///
/// # Errors
/// When there is no such key or program, or no configuration.
pub fn run(args: &Args, session: &Session) -> Outcome {
    match &args.what {
        What::Keys { word, json } => show_keys(session, word.as_deref(), *json),
        What::Show { name, json } => show(session, name, *json),
        What::Path { name: Some(name), .. } => {
            let place = whereabouts::find(session, name)?.place;
            session.screen.data(&format!("{}:{}", place.file.display(), place.line));
            Ok(exit::OK)
        }
        What::Path { files, .. } => path(session, *files),
    }
}

/// Returns the keys that a word is about: all of a section, else those whose name it is, else those with it inside.
fn chosen(word: Option<&str>) -> Vec<(&'static SectionRow, &'static Key)> {
    let all = || SECTIONS.iter().flat_map(|row| keys::of(row.kind).map(move |key| (row, key)));
    let Some(word) = word.map(str::to_lowercase) else {
        // [program-default] has those of [program:x] again.
        return all().filter(|(row, _)| row.kind != keys::SectionKind::ProgramDefault).collect();
    };
    let word = word.trim_start_matches('[').trim_end_matches(']');
    let stem = word.split_once(':').map_or(word, |(stem, _)| stem);
    let of_section: Vec<_> = all().filter(|(row, _)| row.name.trim_end_matches(':') == stem).collect();
    if !of_section.is_empty() {
        return of_section;
    }
    let named: Vec<_> = all().filter(|(_, key)| key.covers(word)).collect();
    if named.is_empty() { all().filter(|(_, key)| key.name.contains(word)).collect() } else { named }
}

fn show_keys(session: &Session, word: Option<&str>, as_json: bool) -> Outcome {
    let found = chosen(word);
    if found.is_empty() {
        let word = word.unwrap_or_default();
        return Err(Problem::new(
            exit::ABSENT,
            format!("error: there is no key with {word} (visorctl config keys)"),
        ));
    }
    if as_json {
        let rows: Vec<_> = found.iter().map(|(section, key)| key_json(section, key)).collect();
        session.screen.json(&format!("{:#}", json!(rows)));
        return Ok(exit::OK);
    }
    let mut last = "";
    let mut text = String::new();
    for (section, key) in found {
        if section.name != last {
            text.push_str(&format!("{}[{}]\n", if last.is_empty() { "" } else { "\n" }, header(section)));
            last = section.name;
        }
        let (cost, built) = (cost(key.reload), if key.built == Built::Yes { "" } else { "; not built yet" });
        text.push_str(&format!("  {:<KEY_WIDTH$} {} ({cost}{built})\n", key.name, key.doc));
    }
    session.screen.ready(text.as_bytes());
    Ok(exit::OK)
}

fn header(section: &SectionRow) -> String {
    if section.naming == Naming::Begins && section.name.ends_with(':') {
        format!("{}x", section.name)
    } else {
        section.name.to_owned()
    }
}

/// Returns what a change of a key costs, in a word.
fn cost(reload: Reload) -> &'static str {
    match reload {
        Reload::Live => "live",
        Reload::Restart => "restart",
        Reload::Daemon => "daemon",
    }
}

fn key_json(section: &SectionRow, key: &Key) -> serde_json::Value {
    json!({
        "section": header(section),
        "key": key.name,
        "doc": key.doc,
        "cost": cost(key.reload),
        "supervisord": key.origin == keys::Origin::Supervisor,
        "built": key.built == Built::Yes,
    })
}

fn show(session: &Session, name: &str, as_json: bool) -> Outcome {
    let request = whereabouts::request(session)?;
    let spec = Namespec::parse(name);
    let found = effective::show(&request, &|group, process| spec.covers(group, process), &RealHost);
    if found.is_empty() {
        let text = format!("error: there is no program {name} in the files (visorctl config path --files)");
        return Err(Problem::new(exit::ABSENT, text));
    }
    if as_json {
        session.screen.json(&format!("{:#}", json!({ "processes": found })));
        return Ok(exit::OK);
    }
    for (index, process) in found.iter().enumerate() {
        if index > 0 {
            session.screen.data("");
        }
        tell(session, process);
    }
    Ok(exit::OK)
}

fn tell(session: &Session, process: &Effective) {
    session.screen.data(&format!(
        "{}  {}:{}",
        process.namespec,
        short(&process.place.file),
        process.place.line
    ));
    for setting in &process.settings {
        let (key, value) = (&setting.key, setting.value.replace('\n', "\\n"));
        session.screen.data(&format!("  {key:<KEY_WIDTH$} = {value:<VALUE_WIDTH$}  {}", origin(setting)));
    }
}

fn origin(setting: &Setting) -> String {
    let place = setting.place.as_ref().map(|place| format!("{}:{}", short(&place.file), place.line));
    let place = place.unwrap_or_default();
    let from = match setting.from {
        Origin::Section => place,
        Origin::ProgramDefault => format!("{place} [program-default]"),
        Origin::Default => format!("{place} [DEFAULT]"),
        Origin::BuiltIn => "default".to_owned(),
    };
    if setting.built { from } else { format!("{from} (not built yet)") }
}

fn path(session: &Session, files: bool) -> Outcome {
    let request = whereabouts::request(session)?;
    if !files {
        let place = request.xdg.as_ref().map_or(&request.file, |roots| &roots.config);
        session.screen.data(&place.display().to_string());
        return Ok(exit::OK);
    }
    let read = load(&request, &RealHost).files;
    if read.is_empty() {
        session.screen.message("there are no files yet (visorctl new NAME -- COMMAND makes one)");
    }
    read.iter().for_each(|file| session.screen.data(&file.display().to_string()));
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_section_a_key_or_a_part_of_one() {
        let names = |word| chosen(Some(word)).iter().map(|(_, key)| key.name).collect::<Vec<_>>();
        assert_eq!(
            names("[group:x]"),
            chosen(Some("group")).iter().map(|(_, key)| key.name).collect::<Vec<_>>()
        );
        assert!(names("group").contains(&"programs") && !names("group").contains(&"command"));
        assert!(names("startsecs").iter().all(|name| *name == "startsecs"));
        assert!(names("limit_nofile").contains(&"limit_*"));
        assert!(names("retries").contains(&"startretries") && names("no such").is_empty());
        assert!(chosen(None).len() > 100);
    }
}
