//! `visorctl reload`: means three things elsewhere, so it asks which.

use crate::cli::{Outcome, Problem, Session};

/// Tell a program to read its own configuration again
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs
    names: Vec<String>,
}

/// Says what to say instead.
///
/// # Errors
/// Always, for now.
pub fn run(args: &Args, _session: &Session) -> Outcome {
    Err(Problem::usage(match args.names.as_slice() {
        [] => "error: say what to reload: `visorctl update` applies the configuration, \
               `visorctl signal HUP NAME` asks a program to, `visorctl daemon restart` restarts visord"
            .to_owned(),
        [name, ..] => format!(
            "error: reload of a program is not built yet: `visorctl signal HUP {name}` does it for most programs, \
             `visorctl restart {name}` for all"
        ),
    }))
}
