//! The command line of supervisorctl: `getopt` rules, one table (supervisor 4.3 options.py `ClientOptions`).
//!
//! Example: `-c FILE tail -100 web` is a configuration and three words, which are joined and read as one line.

use crate::model::getopt::{Given, Row, base_name, cut, row};
use std::path::PathBuf;

/// What an option sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Help,
    Configuration,
    Interactive,
    ServerUrl,
    Username,
    Password,
    History,
}

/// All options; `-?`, which has no long name, is an empty one.
const ROWS: [Row<Effect>; 8] = [
    row(
        Some('c'),
        "configuration",
        Some("FILENAME"),
        Effect::Configuration,
        "read FILENAME instead of searching for one",
    ),
    row(Some('h'), "help", None, Effect::Help, "print this text and exit"),
    row(Some('?'), "", None, Effect::Help, "print this text and exit"),
    row(
        Some('i'),
        "interactive",
        None,
        Effect::Interactive,
        "start an interactive shell; with an action: ask before it ends the daemon",
    ),
    row(
        Some('s'),
        "serverurl",
        Some("URL"),
        Effect::ServerUrl,
        "where supervisord is reached: unix:///PATH or http://HOST:PORT",
    ),
    row(Some('u'), "username", Some("NAME"), Effect::Username, "name to give to supervisord"),
    row(
        Some('p'),
        "password",
        Some("WORD"),
        Effect::Password,
        "password to give to supervisord; other users can see it here",
    ),
    row(
        Some('r'),
        "history_file",
        Some("FILENAME"),
        Effect::History,
        "remember the lines of the shell in FILENAME",
    ),
];

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `-c`.
    pub(super) configuration: Option<PathBuf>,
    /// `-i`.
    pub(super) interactive: bool,
    /// `-s`.
    pub(super) serverurl: Option<String>,
    /// `-u`.
    pub(super) username: Option<String>,
    /// `-p`.
    pub(super) password: Option<String>,
    /// `-r`.
    pub(super) history_file: Option<PathBuf>,
    /// Print [`help`] and exit.
    pub(super) help: bool,
    /// The action and its arguments.
    pub(super) words: Vec<String>,
}

/// Reads the words after the program's name. Help ends the reading where it stands, as upstream acts on it at once.
///
/// # Errors
/// The text for the user, without `Error: `.
pub(super) fn parse(words: &[String]) -> Result<Options, String> {
    let shapes = ROWS.each_ref().map(Row::shape);
    let (given, rest) = cut(words, &shapes)?;
    let mut options = Options { words: rest.to_vec(), ..Options::default() };
    let mut seen = Vec::new();
    for Given { index, typed, value } in given {
        let effect = ROWS[index].effect;
        if seen.contains(&effect) {
            return Err(format!("conflicting command line option '{typed}'"));
        }
        seen.push(effect);
        match effect {
            Effect::Help => return Ok(Options { help: true, ..options }),
            Effect::Configuration => options.configuration = Some(value.into()),
            Effect::Interactive => options.interactive = true,
            Effect::ServerUrl if is_url(&value) => options.serverurl = Some(value),
            Effect::ServerUrl => {
                return Err(format!("invalid value for {typed} '{value}': value '{value}' is not a URL"));
            }
            Effect::Username => options.username = Some(value),
            Effect::Password => options.password = Some(value),
            Effect::History => options.history_file = Some(value.into()),
        }
    }
    Ok(options)
}

/// Whether there is a scheme and something behind it (supervisor 4.3 datatypes.py `url`).
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let place = rest.strip_prefix("//").unwrap_or(rest);
    is_scheme && !place.is_empty() && !place.starts_with(['?', '#'])
}

/// Returns the help text for the program as it was called.
pub(super) fn help(program: &str) -> String {
    let name = base_name(program);
    let mut text = format!(
        "{name} -- control applications that supervisord runs.\n\n\
         Usage: {name} [options] [action [arguments]]\n\nOptions:\n"
    );
    text.extend(ROWS.iter().map(Row::line));
    text.push_str("\nWithout an action a shell is started; the action \"help\" lists all of them.\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn options_end_at_the_action() {
        let options = parsed("-c f -i --serv=unix:///s -u me -pword tail -f web").expect("options");
        assert_eq!(options.words, ["tail", "-f", "web"]);
        assert_eq!(options.configuration, Some("f".into()));
        assert_eq!(options.serverurl.as_deref(), Some("unix:///s"));
        assert_eq!((options.username.as_deref(), options.password.as_deref()), (Some("me"), Some("word")));
        assert!(options.interactive && !options.help);
        assert_eq!(parsed("-r h").map(|options| options.history_file), Ok(Some("h".into())));
    }

    #[test]
    fn mistakes_are_told_in_supervisorctls_words() {
        for (line, error) in [
            ("-x", "option -x not recognized"),
            ("-c a -c b", "conflicting command line option '-c'"),
            ("-i --interactive", "conflicting command line option '--interactive'"),
            ("-s nonsense", "invalid value for -s 'nonsense': value 'nonsense' is not a URL"),
            ("-s unix://", "invalid value for -s 'unix://': value 'unix://' is not a URL"),
            ("--history-file x", "option --history-file not recognized"),
        ] {
            assert_eq!(parsed(line), Err(error.to_owned()), "{line}");
        }
        for url in ["http://localhost:9001", "localhost:9001", "unix:///s", "ftp://x"] {
            assert!(is_url(url), "{url}");
        }
    }

    #[test]
    fn help_acts_where_it_stands_and_says_what_users_look_for() {
        for line in ["-h", "-?", "--help", "-i -h -i -x"] {
            match parsed(line) {
                Ok(options) => assert!(options.help, "{line}"),
                Err(error) => assert_eq!(error, "option -x not recognized"),
            }
        }
        let help = help("/usr/bin/supervisorctl");
        assert!(help.starts_with("supervisorctl -- control applications"));
        assert!(help.contains("-i/--interactive -- start an interactive"));
    }
}
