//! `visorctl check`: reads configurations and shows every mistake, without a daemon and without any effect.
//!
//! Diagnostics go to standard error, one line each; what was asked for as data goes to standard output.

use crate::cli::{Outcome, Problem, Session, exit, output};
use crate::config::dump::dump;
use crate::config::search::search;
use crate::config::{LoadRequest, Loaded, load};
use crate::model::Host;
use crate::sys::host::RealHost;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Check configuration files and show every mistake in them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files to check; without one, the file that the daemon would find by itself
    files: Vec<PathBuf>,
    /// Unknown sections and keys are errors
    #[arg(long)]
    strict: bool,
    /// Show the result as JSON
    #[arg(long, conflicts_with = "dump")]
    json: bool,
    /// Show the effective settings as JSON
    #[arg(long)]
    dump: bool,
}

/// Checks the files and returns an exit code.
///
/// # Errors
/// When there is no file to check.
pub fn run(args: &Args, _session: &Session) -> Outcome {
    let host = RealHost;
    let files = files(args, &host)?;
    let request = |file: &PathBuf| LoadRequest { strict: args.strict, ..LoadRequest::of(file) };
    let checked: Vec<(&PathBuf, Loaded)> =
        files.iter().map(|file| (file, load(&request(file), &host))).collect();
    if args.json || args.dump {
        let shown = checked
            .iter()
            .map(|(file, loaded)| if args.dump { dump(loaded, file) } else { report(loaded, file) });
        output::data(&document(shown.collect()));
    } else {
        checked.iter().for_each(|(file, loaded)| tell(loaded, file));
    }
    let good = checked.iter().all(|(_, loaded)| loaded.settings.is_some());
    Ok(if good { exit::OK } else { exit::REFUSED })
}

/// Returns the files to check: those that were named, else the one that supervisord would find.
fn files(args: &Args, host: &dyn Host) -> Result<Vec<PathBuf>, Problem> {
    if !args.files.is_empty() {
        return Ok(args.files.clone());
    }
    let program = std::env::args_os().next().unwrap_or_default();
    let search = search(Path::new(&program), host);
    for (file, why) in &search.skipped {
        output::message(&format!("{} is passed over: {why}", file.display()));
    }
    let places: Vec<String> = search.tried.iter().map(|place| place.display().to_string()).collect();
    let found = search.found.ok_or_else(|| {
        Problem::usage(format!("no configuration found ({}), name a file", places.join(", ")))
    })?;
    Ok(vec![found])
}

/// Returns one value as it is, and several as a list, indented as the oracle does.
fn document(mut values: Vec<Value>) -> String {
    let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
    format!("{value:#}")
}

fn report(loaded: &Loaded, file: &Path) -> Value {
    json!({
        "file": file.to_string_lossy(),
        "ok": loaded.settings.is_some(),
        "files": loaded.files,
        "diagnostics": loaded.diagnostics,
    })
}

/// Writes the diagnostics, and a line that sums them up.
fn tell(loaded: &Loaded, file: &Path) {
    for diagnostic in &loaded.diagnostics {
        output::message(&diagnostic.to_string());
    }
    let errors = loaded.errors().count();
    let warnings = loaded.diagnostics.len() - errors;
    let shown = file.display();
    match &loaded.settings {
        Some(settings) => {
            let processes: usize = settings.fleet.groups.iter().map(|group| group.processes.len()).sum();
            let programs = count(processes, "process", "processes");
            output::data(&format!("{shown}: ok, {programs}, {}", count(warnings, "warning", "warnings")));
        }
        None => {
            let (errors, warnings) =
                (count(errors, "error", "errors"), count(warnings, "warning", "warnings"));
            output::message(&format!("{shown}: {errors}, {warnings}"));
        }
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
