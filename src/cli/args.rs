//! The command line of `visorctl`: verbs and where each is carried out.

use super::{Outcome, Problem, Session, commands, completion, exit, output, pidproxy, supervisorctl};
use crate::config::sample;
use crate::model::getopt::base_name;
use clap::{CommandFactory, Parser, Subcommand};
use std::path::PathBuf;

/// Controls visord, the per-user service manager.
#[derive(Debug, Parser)]
#[command(name = "visorctl", version, disable_help_subcommand = true)]
pub(super) struct Args {
    /// Talk to the daemon that runs this configuration (visord -c FILE)
    #[arg(short, long = "configuration", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Talk to the daemon at this socket
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// Talk to the daemon of this user, who granted something to you
    #[arg(long, value_name = "USER", global = true, conflicts_with_all = ["config", "socket"])]
    owner: Option<String>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Verbs that a user can grant to others, for `--owner`.
const DELEGATED: [&str; 12] =
    ["status", "start", "stop", "restart", "signal", "logs", "tail", "why", "pid", "wait", "version", "help"];

macro_rules! verbs {
    ($($name:ident $module:ident),+ $(,)?) => {
        #[derive(Debug, Subcommand)]
        enum Verb {
            $($name(commands::$module::Args),)+
        }

        /// Returns the module of a verb, which is called as it is.
        fn name(verb: &Verb) -> &'static str {
            match verb {
                $(Verb::$name(_) => stringify!($module),)+
            }
        }

        fn run(verb: &Verb, session: &Session) -> Outcome {
            match verb {
                $(Verb::$name(args) => commands::$module::run(args, session),)+
            }
        }
    };
}

verbs! {
    Status status,
    Start start,
    Stop stop,
    Restart restart,
    Logs logs,
    Why why,
    History history,
    New new,
    Edit edit,
    Enable enable,
    Disable disable,
    Check check,
    Reread reread,
    Apply apply,
    Update update,
    Add add,
    Remove remove,
    Avail avail,
    Config config,
    Delete delete,
    Reload reload,
    Tail tail,
    Env env,
    Pid pid,
    Version version,
    Wait wait,
    Signal signal,
    Clear clear,
    Daemon daemon,
    Boot boot,
    Doctor doctor,
    Shutdown shutdown,
    Completions completions,
    Help help,
}

/// The name under which a configuration to begin with is printed; `visord` prints the same.
const SAMPLE_NAME: &str = "echo_supervisord_conf";

/// Runs the client and returns its exit code, one of [`exit`].
#[must_use]
pub fn main() -> i32 {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    match words.first().map(|program| base_name(program)) {
        Some(supervisorctl::NAME) => return supervisorctl::main(&words),
        Some(pidproxy::NAME) => return pidproxy::main(&words),
        Some(SAMPLE_NAME) => {
            output::data(sample::TEXT.trim_end_matches('\n'));
            return exit::OK;
        }
        Some(name @ ("supervisord" | "visord")) => {
            output::message(&format!("Error: this is visorctl; link {name} to visord"));
            return exit::USAGE;
        }
        _ => {}
    }
    if completion::answer(command) {
        return exit::OK;
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error),
    };
    let mut session = Session::new(args.config, args.socket);
    session.owner = args.owner;
    if let Some(problem) = args.verb.as_ref().and_then(|verb| for_others(verb, &session)) {
        session.screen.message(&problem.text);
        return problem.code;
    }
    let outcome = match &args.verb {
        Some(verb) => run(verb, &session),
        None => commands::status::bare(&session),
    };
    outcome.unwrap_or_else(|problem| {
        session.screen.message(&problem.text);
        problem.code
    })
}

/// Returns the table of arguments.
pub(super) fn command() -> clap::Command {
    Args::command()
}

/// Returns why a verb cannot be used with `--owner`, where it cannot.
fn for_others(verb: &Verb, session: &Session) -> Option<Problem> {
    let (owner, verb) = (session.owner.as_ref()?, name(verb));
    let words = || {
        let verbs = DELEGATED.join(" ");
        Problem::usage(format!(
            "error: {verb} is for {owner} alone, it cannot be granted; with --owner there are: {verbs}"
        ))
    };
    (!DELEGATED.contains(&verb)).then(words)
}

/// Shows help where it was asked for, and what is wrong with the command line where that is.
fn refuse(error: &clap::Error) -> i32 {
    let text = error.render().to_string();
    if error.use_stderr() {
        output::message(text.trim_end());
        return exit::USAGE;
    }
    output::data(text.trim_end());
    exit::OK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_arguments_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_can_be_granted_are_verbs() {
        let names: Vec<String> =
            Args::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        assert!(DELEGATED.iter().all(|verb| names.iter().any(|name| name == verb)));
    }

    #[test]
    fn help_names_every_verb_once() {
        let names: Vec<String> =
            Args::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        for name in &names {
            let groups = commands::help::GROUPS.iter().flat_map(|(_, verbs)| verbs.iter());
            assert_eq!(groups.filter(|(verb, _)| verb == name).count(), 1, "{name}");
        }
        let listed: usize = commands::help::GROUPS.iter().map(|(_, verbs)| verbs.len()).sum();
        assert_eq!(listed, names.len());
    }
}
