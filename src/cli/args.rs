//! The command line of `visorctl`: verbs and where each is carried out.

use super::{commands, exit, output};
use clap::{Parser, Subcommand};

/// Controls visord, the per-user service manager.
#[derive(Debug, Parser)]
#[command(name = "visorctl", version, disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(commands::check::Args),
}

/// Runs the client and returns its exit code, one of [`exit`].
#[must_use]
pub fn main() -> i32 {
    match Args::try_parse() {
        Ok(args) => run(&args.verb),
        Err(error) => {
            let text = error.render().to_string();
            if error.use_stderr() {
                output::message(text.trim_end());
                return exit::USAGE;
            }
            output::data(text.trim_end());
            exit::OK
        }
    }
}

fn run(verb: &Verb) -> i32 {
    match verb {
        Verb::Check(args) => commands::check::run(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_arguments_is_consistent() {
        Args::command().debug_assert();
    }
}
