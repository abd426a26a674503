//! The parts of the manual pages that come from tables: verbs with their options, keys, exit codes.
//!
//! A page has such a part between two lines, `.\" begin NAME` and `.\" end NAME`; the rest is written by hand. The
//! tests hold the pages in `man/` equal to the tables; with `UPDATE=1` they write them.

use super::{args, commands, exit};
use crate::config::keys::{self, Built, Key, Naming, Origin, Reload, SECTIONS};
use crate::model::event::EVENTS;
use clap::{Arg, ArgAction, Command};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A part: page, name, and what makes it.
type Part = (&'static str, &'static str, fn() -> String);

/// All of them.
const PARTS: [Part; 4] = [
    ("visorctl.1", "options", client_options),
    ("visorctl.1", "verbs", verbs),
    ("visorctl.1", "exit codes", exit_codes),
    ("visor.conf.5", "sections", sections),
];

#[test]
fn the_pages_say_what_the_tables_say() {
    for (page, name, make) in PARTS {
        let path = path_of(page);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
        let (begin, end) = (format!(".\\\" begin {name}\n"), format!(".\\\" end {name}\n"));
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page}: no {begin}"));
        let (part, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page}: no {end}"));
        let made = make();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, format!("{before}{begin}{made}{end}{after}"))
                .expect("the tree can be written");
        } else {
            assert!(part == made, "man/{page}, {name}: run the tests with UPDATE=1");
        }
    }
}

/// Their payloads are told by hand.
#[test]
fn every_event_has_its_entry() {
    let page = std::fs::read_to_string(path_of("visor-events.7")).expect("the page");
    let missing: Vec<&str> =
        EVENTS.iter().map(|row| row.0).filter(|name| !page.contains(&format!("\n.It {name}\n"))).collect();
    assert!(missing.is_empty(), "visor-events.7 lacks {missing:?}");
}

#[test]
fn a_sentence_is_safe_from_being_a_macro() {
    assert_eq!(sentence(".Dd \\ of it"), "\\&.Dd \\e of it.\n");
    assert_eq!(sentence("'x'"), "\\&'x'.\n");
    assert_eq!(sentence("one; two"), "One; two.\n");
}

fn path_of(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(page)
}

/// Returns a line of text that begins with a capital and ends with a full stop.
fn sentence(words: &str) -> String {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "\\e");
    let guard = if words.starts_with(['.', '\'']) { "\\&" } else { "" };
    // What begins with a name that is small stays so.
    let is_name = words.split([' ', ',']).next().is_some_and(|word| word.contains(['_', '/', '=']));
    let mut letters = words.chars();
    let capital = letters
        .next()
        .filter(|_| !is_name)
        .map(|letter| letter.to_uppercase().to_string() + letters.as_str());
    let words = capital.unwrap_or_else(|| words.clone());
    format!("{guard}{}.\n", words.trim_end_matches('.'))
}

/// A word of a macro's line.
fn word(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

fn client_options() -> String {
    let command = built();
    let options = command.get_arguments().filter(|arg| !arg.is_hide_set());
    options.map(option).collect()
}

fn built() -> Command {
    let mut command = args::command();
    command.build();
    command
}

fn verbs() -> String {
    let command = built();
    let mut text = String::new();
    for (group, verbs) in commands::help::GROUPS {
        let _ = writeln!(text, ".Ss {}\n.Bl -tag -width Ds", capital(group));
        for (name, _) in verbs {
            let verb = command.find_subcommand(name).unwrap_or_else(|| panic!("{name} is a verb"));
            text += &entry(verb, name);
        }
        text += ".El\n";
    }
    text
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|letter| letter.to_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// Returns the entry of a verb; one that has verbs of its own has one for each of those behind it.
fn entry(verb: &Command, name: &str) -> String {
    let own: Vec<&Arg> =
        verb.get_arguments().filter(|arg| !arg.is_global_set() && !arg.is_hide_set()).collect();
    let (positional, options): (Vec<&Arg>, Vec<&Arg>) = own.into_iter().partition(|arg| arg.is_positional());
    let options: Vec<&Arg> = options.into_iter().filter(|arg| arg.get_id() != "help").collect();
    let mut text = format!(".It Xo\n.Ic {}\n", word(name));
    options.iter().for_each(|arg| text += &format!(".Op {}\n", flag(arg)));
    for arg in &positional {
        let dots = if arg.get_num_args().is_some_and(|range| range.max_values() > 1) { " ..." } else { "" };
        let shown = word(&value_of(arg));
        text += &match arg.is_required_set() {
            true => format!(".Ar {shown}{dots}\n"),
            false => format!(".Op Ar {shown}{dots}\n"),
        };
    }
    text += ".Xc\n";
    text += &sentence(
        &verb.get_long_about().or_else(|| verb.get_about()).map(ToString::to_string).unwrap_or_default(),
    );
    let explained: Vec<&&Arg> = positional.iter().filter(|arg| arg.get_help().is_some()).collect();
    if !explained.is_empty() || !options.is_empty() {
        text += ".Bl -tag -width Ds -compact\n";
        for arg in explained {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            text += &format!(".It Ar {}\n{}", word(&value_of(arg)), sentence(&help));
        }
        options.iter().for_each(|arg| text += &option(arg));
        text += ".El\n";
    }
    for inner in verb.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        text += &entry(inner, &format!("{name} {}", inner.get_name()));
    }
    text
}

fn option(arg: &Arg) -> String {
    if arg.is_positional() {
        return String::new();
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let short = arg.get_short().map(|letter| format!("Fl {letter} , ")).unwrap_or_default();
    format!(".It {short}{}\n{}", long_flag(arg), sentence(&help))
}

fn flag(arg: &Arg) -> String {
    match arg.get_short() {
        Some(letter) if arg.get_long().is_none() => format!("Fl {letter}{}", value_part(arg)),
        _ => long_flag(arg),
    }
}

fn long_flag(arg: &Arg) -> String {
    match arg.get_long() {
        Some(long) => format!("Fl \\-{}{}", word(long), value_part(arg)),
        None => format!("Fl {}{}", arg.get_short().unwrap_or('?'), value_part(arg)),
    }
}

fn value_part(arg: &Arg) -> String {
    match arg.get_action() {
        ArgAction::Set | ArgAction::Append => format!(" Ar {}", word(&value_of(arg))),
        _ => String::new(),
    }
}

fn value_of(arg: &Arg) -> String {
    let named = arg.get_value_names().and_then(|names| names.first().map(ToString::to_string));
    named.unwrap_or_else(|| arg.get_id().as_str().to_uppercase())
}

fn exit_codes() -> String {
    let mut text = String::from(".Bl -tag -width Ds -compact\n");
    exit::TABLE.iter().for_each(|(code, meaning)| text += &format!(".It {code}\n{}", sentence(meaning)));
    text + ".El\n"
}

/// Returns a part for each section with its keys.
fn sections() -> String {
    let mut text = String::new();
    for row in SECTIONS {
        let name = if row.naming == Naming::Begins && row.name.ends_with(':') { "x" } else { "" };
        let _ = writeln!(text, ".Ss [{}{name}]", word(row.name));
        if !row.built {
            text += "Read and kept; it does nothing yet, which a warning says.\n";
        }
        let mut keys = keys::of(row.kind).peekable();
        if keys.peek().is_none() {
            continue;
        }
        text += ".Bl -tag -width Ds\n";
        keys.for_each(|key| text += &key_entry(key));
        text += ".El\n";
    }
    text
}

fn key_entry(key: &Key) -> String {
    let cost = match (key.built, key.reload) {
        (Built::NotYet, _) => "Read and kept; it does nothing yet, which a warning says.\n",
        (Built::NotYetAndNeeded, _) => "Not built yet; a program that has it is not started.\n",
        (Built::Yes, Reload::Live) => "A change is applied to what runs.\n",
        (Built::Yes, Reload::Restart) => "A change restarts the program.\n",
        (Built::Yes, Reload::Daemon) => "A change needs a restart of the daemon.\n",
    };
    let whose = if key.origin == Origin::Visor { "Of Visor's own.\n" } else { "" };
    format!(".It Cm {}\n{}{whose}{cost}", word(key.name), sentence(key.doc))
}
