//! `visorctl env`: the environment of a program, where each variable comes from, and what the next start changes.
//!
//! The lines are those of a file that `env_file=` takes; what is not a variable is a comment. Secrets are masked.

use crate::api::http::uri;
use crate::api::v1::{Environment, EnvironmentVariable, Next, Origin, path};
use crate::cli::{Outcome, Session, exit};
use crate::client::http::parse;

/// What stands for a secret.
const MASK: &str = "********";

/// The sources in the order in which they are shown: each beats those before.
const ORIGINS: [(Origin, &str); 7] = [
    (Origin::Daemon, "what visord was started with"),
    (Origin::Login, "a login (visorctl daemon refresh-env asks for it anew)"),
    (Origin::Supervisor, "visord, to every program"),
    (Origin::Shared, "environment= of [supervisord]"),
    (Origin::File, "env_file="),
    (Origin::Program, "environment= of the program"),
    (Origin::Unknown, "an earlier start"),
];

/// Show the environment of a program, and where it comes from
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Program: NAME or GROUP:NAME
    name: String,
    /// Show the values of secrets (PASSWORD, TOKEN, KEY and the like) too
    #[arg(long)]
    show_secrets: bool,
    /// Show the variables as JSON
    #[arg(long)]
    json: bool,
}

/// Shows it.
///
/// # Errors
/// When there is no daemon, or no such program.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let secrets = if args.show_secrets { "&secrets=1" } else { "" };
    let target = format!("{}?name={}{secrets}", path::ENV, uri::encode(&args.name));
    let reply = session.connect()?.fetch(&target)?;
    let environment: Environment = parse(&reply)?;
    if args.json {
        session.screen.json(&String::from_utf8_lossy(&reply.body));
        return Ok(exit::OK);
    }
    lines(&environment).iter().for_each(|line| session.screen.data(line));
    if !environment.problem.is_empty() {
        session.screen.message(&format!("the next start would fail: {}", environment.problem));
    }
    Ok(exit::OK)
}

fn lines(environment: &Environment) -> Vec<String> {
    let Environment { namespec, pid, variables, .. } = environment;
    let mut lines = vec![match pid {
        0 => format!("# {namespec} would get this at the next start"),
        pid => format!("# {namespec} runs with this (pid {pid})"),
    }];
    for (origin, words) in ORIGINS {
        let mut file = None;
        let mut group: Vec<&EnvironmentVariable> =
            variables.iter().filter(|one| one.origin == origin).collect();
        group.sort_by_key(|one| &one.file);
        for (index, one) in group.into_iter().enumerate() {
            if index == 0 || file != one.file {
                file.clone_from(&one.file);
                let of = file.as_deref().map(|file| format!(" {file}")).unwrap_or_default();
                lines.push(format!("# from {words}{of}"));
            }
            lines.push(line(one));
        }
    }
    lines
}

fn line(one: &EnvironmentVariable) -> String {
    let value = one.value.as_deref().map_or_else(|| MASK.to_owned(), quoted);
    let name = &one.name;
    match one.next {
        Next::Same => format!("{name}={value}"),
        Next::Changed => format!("{name}={value} # another value at the next start"),
        Next::Gone => format!("{name}={value} # gone at the next start"),
        Next::New => format!("# {name}={value} comes with the next start"),
    }
}

/// Writes a value by the grammar of `env_file=`, on one line.
fn quoted(value: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-./:,@%+=~".contains(letter);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for letter in value.chars() {
        match letter {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '"' | '\\' | '$' => text.extend(['\\', letter]),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env_file;
    use proptest::prelude::*;

    fn variable(name: &str, value: Option<&str>, origin: Origin, next: Next) -> EnvironmentVariable {
        let (secret, value) = (value.is_none(), value.map(str::to_owned));
        EnvironmentVariable { name: name.into(), value, secret, origin, file: None, next }
    }

    #[test]
    fn variables_stand_below_their_sources_and_what_changes_is_said() {
        let mut of_file = variable("TOKEN", None, Origin::File, Next::Same);
        of_file.file = Some("/x/.env".into());
        let variables = vec![
            variable("A", Some("b c"), Origin::Program, Next::Changed),
            variable("HOME", Some("/home/me"), Origin::Login, Next::Same),
            variable("NEW", Some("1"), Origin::Program, Next::New),
            variable("OLD", Some("a\nb"), Origin::Unknown, Next::Gone),
            of_file,
        ];
        let mut environment =
            Environment { namespec: "web".into(), pid: 7, variables, problem: String::new() };
        let expected = "# web runs with this (pid 7)
# from a login (visorctl daemon refresh-env asks for it anew)
HOME=/home/me
# from env_file= /x/.env
TOKEN=********
# from environment= of the program
A=\"b c\" # another value at the next start
# NEW=1 comes with the next start
# from an earlier start
OLD=\"a\\nb\" # gone at the next start";
        assert_eq!(lines(&environment).join("\n"), expected);
        environment.pid = 0;
        assert_eq!(lines(&environment)[0], "# web would get this at the next start");
        assert!(ORIGINS.iter().all(|(_, words)| !words.is_empty()));
    }

    proptest! {
        /// The lines are a file of variables with the same values.
        #[test]
        fn what_is_shown_can_be_read_back(value in "[^\0]*") {
            let one = variable("A", Some(&value), Origin::Program, Next::Same);
            let environment = Environment { variables: vec![one], ..Environment::default() };
            let read = env_file::parse(&lines(&environment).join("\n"));
            prop_assert_eq!(read, Ok(vec![("A".to_owned(), value)]));
        }
    }
}
