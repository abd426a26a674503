//! What the Tab key offers in a shell: verbs and options from the table of arguments, names from the daemon.
//!
//! The shell's stub, one of [`SHELLS`], calls this program with `COMPLETE=SHELL`; `clap_complete` does the rest. What
//! a word may be is found by the name its argument has in the help ([`SOURCES`]), so that a verb needs nothing for it.
//! Says nothing where the daemon is away or slow. Example: `COMPLETE=fish visorctl -- visorctl stop w`.

use super::Session;
use crate::api::v1::{Avail, path};
use crate::client::Wait;
use crate::client::http::parse;
use crate::model::Signal;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The variable by which a stub asks.
const VARIABLE: &str = "COMPLETE";

/// How long the daemon has to answer: a Tab that seems dead is worse than one without names.
const PATIENCE: Duration = Duration::from_millis(500);

/// The stubs, by the name of the shell.
pub(super) const SHELLS: [(&str, &str); 5] = [
    ("bash", include_str!("../../completions/visorctl.bash")),
    ("zsh", include_str!("../../completions/_visorctl")),
    ("fish", include_str!("../../completions/visorctl.fish")),
    ("elvish", include_str!("../../completions/visorctl.elv")),
    ("powershell", include_str!("../../completions/visorctl.ps1")),
];

/// Says what a word may be.
type Source = fn() -> Vec<CompletionCandidate>;

/// What an argument's word may be, by the argument's name in the help.
const SOURCES: [(&str, Source); 6] = [
    ("NAME", programs),
    ("NAMES", programs),
    ("GROUPS", groups),
    ("SIGNAL", signals),
    ("VERB", verbs),
    ("SHELL", shells),
];

/// Arguments that are files.
const FILES: [&str; 4] = ["FILE", "FILES", "PATH", "DIRECTORY"];

/// Answers a stub that asked; returns whether one did.
pub(super) fn answer(command: fn() -> Command) -> bool {
    let shells: [&dyn EnvCompleter; 5] = [&OwnBash, &Elvish, &Fish, &Powershell, &Zsh];
    let asked = clap_complete::CompleteEnv::with_factory(move || with_sources(command()))
        .var(VARIABLE)
        .completer("visorctl")
        .shells(Shells(&shells))
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    // What goes wrong at a Tab has no place on the line that somebody types.
    asked.unwrap_or(true)
}

fn with_sources(command: Command) -> Command {
    let command = command.mut_args(with_source);
    command.mut_subcommands(with_sources)
}

fn with_source(arg: Arg) -> Arg {
    let name = arg.get_value_names().and_then(|names| names.first().map(ToString::to_string));
    let name = name.unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
    if let Some((_, source)) = SOURCES.iter().find(|(known, _)| *known == name) {
        return arg.add(ArgValueCandidates::new(*source));
    }
    match FILES.contains(&name.as_str()) {
        true => arg.add(ArgValueCompleter::new(PathCompleter::any())),
        false => arg,
    }
}

fn candidates(words: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    words.into_iter().map(CompletionCandidate::new).collect()
}

fn programs() -> Vec<CompletionCandidate> {
    let all = available();
    let groups: BTreeSet<&str> = all
        .processes
        .iter()
        .filter(|process| process.group != process.name)
        .map(|process| process.group.as_str())
        .collect();
    let groups = groups.into_iter().map(|group| format!("{group}:*"));
    candidates(all.processes.iter().map(|process| process.namespec.clone()).chain(groups))
}

fn groups() -> Vec<CompletionCandidate> {
    let groups: BTreeSet<String> = available().processes.into_iter().map(|process| process.group).collect();
    candidates(groups)
}

/// Returns what the configuration of the daemon has; nothing where that cannot be had at once.
fn available() -> Avail {
    let (config, socket) = named_daemon(std::env::args_os());
    let ask = || -> Option<Avail> {
        let mut connection = Session::new(config, socket).places().ok()?.connect_to_bound().ok()?;
        let mut wait = Wait { timeout: Some(PATIENCE), ..Wait::default() };
        parse(&connection.fetch_within(path::AVAIL, &mut wait).ok()?).ok()
    };
    ask().unwrap_or_default()
}

/// Finds the options that name a daemon in the line that is being typed.
fn named_daemon(words: impl Iterator<Item = OsString>) -> (Option<PathBuf>, Option<PathBuf>) {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let value = |options: &[&str]| {
        let at = words.iter().position(|word| options.contains(&word.as_str()));
        let joined = words
            .iter()
            .find_map(|word| options.iter().find_map(|option| word.strip_prefix(option)?.strip_prefix('=')));
        joined.map(PathBuf::from).or_else(|| words.get(at? + 1).map(PathBuf::from))
    };
    (value(&["-c", "--configuration"]), value(&["--socket"]))
}

fn signals() -> Vec<CompletionCandidate> {
    candidates(Signal::table().map(|(name, _)| name.trim_start_matches("SIG").to_owned()))
}

fn verbs() -> Vec<CompletionCandidate> {
    let all = super::commands::help::GROUPS.iter().flat_map(|(_, verbs)| verbs.iter());
    all.map(|(verb, words)| CompletionCandidate::new(*verb).help(Some((*words).into()))).collect()
}

fn shells() -> Vec<CompletionCandidate> {
    candidates(SHELLS.iter().map(|(name, _)| (*name).to_owned()))
}

/// bash with a stub of our own: it splits words at every `:`, which names of programs have.
struct OwnBash;

impl EnvCompleter for OwnBash {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    fn write_registration(
        &self,
        _: &str,
        _: &str,
        _: &str,
        _: &str,
        out: &mut dyn io::Write,
    ) -> Result<(), io::Error> {
        out.write_all(SHELLS[0].1.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        directory: Option<&std::path::Path>,
        out: &mut dyn io::Write,
    ) -> Result<(), io::Error> {
        Bash.write_complete(command, words, directory, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What zsh needs to complete at the first Tab after it has loaded the stub from its `fpath`.
    const AUTOLOADED: &str =
        "[[ ${funcstack[1]} == _visorctl ]] && _clap_dynamic_completer_visorctl \"$@\"\n";

    /// `UPDATE=1` writes them anew.
    #[test]
    fn the_stubs_in_the_tree_are_those_of_the_library() {
        let all: [(&dyn EnvCompleter, &str); 4] = [
            (&Zsh, "_visorctl"),
            (&Fish, "visorctl.fish"),
            (&Elvish, "visorctl.elv"),
            (&Powershell, "visorctl.ps1"),
        ];
        for (shell, file) in all {
            let mut text = Vec::new();
            let written = shell.write_registration(VARIABLE, "visorctl", "visorctl", "visorctl", &mut text);
            written.expect("memory has room");
            let text = String::from_utf8(text).expect("scripts are text");
            let end = if file.starts_with('_') { AUTOLOADED } else { "" };
            let text = format!("{}\n{end}", text.trim());
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(file);
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &text).expect("the tree can be written");
            }
            assert_eq!(
                std::fs::read_to_string(&path).ok(),
                Some(text),
                "{file}: run the tests with UPDATE=1"
            );
        }
    }

    #[test]
    fn the_daemon_of_the_line_is_found() {
        let named = |line: &str| named_daemon(line.split(' ').map(OsString::from));
        let file = |name: &str| Some(PathBuf::from(name));
        assert_eq!(named("visorctl -- visorctl stop w"), (None, None));
        assert_eq!(named("visorctl -- visorctl -c /a.conf stop"), (file("/a.conf"), None));
        assert_eq!(named("visorctl -- visorctl stop --socket=/s w"), (None, file("/s")));
        assert_eq!(named("visorctl -- visorctl -c"), (None, None));
    }

    #[test]
    fn every_source_and_every_kind_of_file_is_an_argument_of_some_verb_or_of_the_client() {
        fn names(command: &Command, found: &mut BTreeSet<String>) {
            for arg in command.get_arguments() {
                let shown = arg.get_value_names().and_then(|names| names.first().map(ToString::to_string));
                found.insert(shown.unwrap_or_else(|| arg.get_id().as_str().to_uppercase()));
            }
            command.get_subcommands().for_each(|verb| names(verb, found));
        }
        let mut found = BTreeSet::new();
        names(&super::super::args::command(), &mut found);
        for name in SOURCES.iter().map(|(name, _)| *name).chain(FILES) {
            assert!(found.contains(name), "{name} completes nothing: {found:?}");
        }
    }
}
