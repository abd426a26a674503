//! `visorctl check`: reads configurations and shows every mistake, without a daemon and without any effect.
//!
//! Diagnostics go to standard error, one line each; what was asked for as data goes to standard output.

use crate::cli::output::Screen;
use crate::cli::{Outcome, Problem, Session, exit, own_config};
use crate::config::dump::dump;
use crate::config::{Diagnostic, LoadRequest, Loaded, load};
use crate::model::Host;
use crate::sys::ambient::Ambient;
use crate::sys::host::RealHost;
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// Check configuration files and show every mistake in them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files to check; without one, all that your own daemon would read
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

/// A configuration that was read, or one file of it.
struct Checked {
    /// What is checked, as it was named.
    name: PathBuf,
    loaded: Loaded,
    /// The file of it that was asked for: it stands for itself, whatever is wrong with the others.
    part: Option<PathBuf>,
}

/// Checks the files and returns an exit code.
///
/// # Errors
/// When there is no file to check.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let checked = read(args, session, &RealHost)?;
    if args.json || args.dump {
        let shown = checked
            .iter()
            .map(|each| if args.dump { dump(&each.loaded, &each.name) } else { report(each) })
            .collect();
        session.screen.json(&document(shown));
    } else {
        checked.iter().for_each(|each| tell(&session.screen, each));
    }
    Ok(if checked.iter().all(Checked::is_good) { exit::OK } else { exit::REFUSED })
}

/// Reads what was named, else what the daemon in question would read.
fn read(args: &Args, session: &Session, host: &dyn Host) -> Result<Vec<Checked>, Problem> {
    let strict = args.strict;
    let own = own_config::request(&Ambient::real()).map(|own| LoadRequest { strict, ..own });
    let files = if args.files.is_empty() { session.config.as_slice() } else { args.files.as_slice() };
    if files.is_empty() {
        let own =
            own.ok_or_else(|| Problem::usage("error: there is no home directory: set HOME, or name a file"))?;
        let name = own.xdg.as_ref().map(|roots| roots.config.clone()).unwrap_or_default();
        return Ok(vec![Checked { name, loaded: load(&own, host), part: None }]);
    }
    let whole = OnceCell::new();
    let whole = || whole.get_or_init(|| own.as_ref().map(|own| load(own, host)).unwrap_or_default());
    let of = |name: &PathBuf| match same_file(name, &whole().files, host) {
        Some(part) => Checked { name: name.clone(), part: Some(part), loaded: whole().clone() },
        None => {
            let loaded = load(&LoadRequest { strict, ..LoadRequest::of(name) }, host);
            Checked { name: name.clone(), loaded, part: None }
        }
    };
    Ok(files.iter().map(of).collect())
}

/// Finds the file that a name leads to among others.
fn same_file(name: &Path, others: &[PathBuf], host: &dyn Host) -> Option<PathBuf> {
    let real = host.canonical(name).ok()?;
    others.iter().find(|other| host.canonical(other).is_ok_and(|other| other == real)).cloned()
}

impl Checked {
    fn concerns(&self, file: &Path) -> bool {
        self.part.as_ref().is_none_or(|part| part == file)
    }

    fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.loaded.diagnostics.iter().filter(|diagnostic| self.concerns(&diagnostic.place.file))
    }

    fn is_good(&self) -> bool {
        !self.diagnostics().any(Diagnostic::is_error)
    }

    fn processes(&self) -> usize {
        let groups = match &self.loaded.settings {
            Some(settings) => &settings.fleet.groups,
            None => &self.loaded.defined,
        };
        let all = groups.iter().flat_map(|group| &group.processes);
        all.filter(|process| self.concerns(&process.place.file)).count()
    }
}

/// Returns one value as it is, and several as a list, indented as the oracle does.
fn document(mut values: Vec<Value>) -> String {
    let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
    format!("{value:#}")
}

fn report(checked: &Checked) -> Value {
    let files: Vec<&PathBuf> = checked.loaded.files.iter().filter(|file| checked.concerns(file)).collect();
    json!({
        "file": checked.name.to_string_lossy(),
        "ok": checked.is_good(),
        "files": files,
        "diagnostics": checked.diagnostics().collect::<Vec<_>>(),
    })
}

/// Writes the diagnostics, and a line that sums them up.
fn tell(screen: &Screen, checked: &Checked) {
    checked.diagnostics().for_each(|diagnostic| screen.message(&diagnostic.to_string()));
    let errors = checked.diagnostics().filter(|diagnostic| diagnostic.is_error()).count();
    let warnings = count(checked.diagnostics().count() - errors, "warning", "warnings");
    let shown = checked.name.display();
    if checked.is_good() {
        let programs = count(checked.processes(), "process", "processes");
        screen.data(&format!("{shown}: ok, {programs}, {warnings}"));
    } else {
        screen.message(&format!("{shown}: {}, {warnings}", count(errors, "error", "errors")));
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
