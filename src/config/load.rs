//! The way from a path to settings: files, sections, values, and everything that is wrong on the way.
//!
//! `load` is what the daemon and `visorctl check` call; `load_ctl` is for a client that only wants to know where
//! the daemon is. Neither touches the system but through the [`Host`].

use super::check::reader::Reader;
use super::check::{daemon, delegates, groups, names, servers, twice, visor};
use super::diagnostic::Diagnostic;
use super::document::{Document, Section};
use super::include::Collected;
use super::keys::daemon::DaemonDraft;
use super::keys::{self, SectionKind};
use super::{path, xdg};
use crate::model::Host;
use crate::model::spec::{CtlSpec, GroupSpec, Place, Settings, XdgRoots};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct LoadRequest {
    /// The main file; not looked at where `xdg` is set.
    pub file: PathBuf,
    /// The directories of a user's own daemon, where its configuration is to be loaded.
    pub xdg: Option<XdgRoots>,
    /// Keys of `[supervisord]` with their text from the command line, which beat the file.
    pub overrides: Vec<(&'static str, String)>,
    /// Whether sections and keys that nobody knows are errors instead of warnings.
    pub strict: bool,
    /// What `%(ENV_X)s` stands for, where that is not the environment of this process.
    pub environment: Option<Vec<(String, String)>>,
}

impl LoadRequest {
    /// Returns a request for one file, without overrides.
    #[must_use]
    pub fn of(file: impl Into<PathBuf>) -> LoadRequest {
        LoadRequest { file: file.into(), ..LoadRequest::default() }
    }

    /// Returns a request for the configuration of a user's own daemon, without overrides.
    #[must_use]
    pub fn xdg(roots: XdgRoots) -> LoadRequest {
        LoadRequest { xdg: Some(roots), ..LoadRequest::default() }
    }

    /// Reads the files that are asked for.
    fn collect(&self, host: &dyn Host) -> (PathBuf, Collected) {
        if let Some(roots) = &self.xdg {
            let file = path::absolute(&xdg::main_file(roots), host);
            return (file.clone(), inheriting(Collected::read_xdg(&file, host)));
        }
        let file = path::absolute(&self.file, host);
        (file.clone(), inheriting(Collected::read(&file, host)))
    }

    /// Returns the sections of all files.
    pub(super) fn document(&self, host: &dyn Host) -> Document {
        self.collect(host).1.document
    }

    /// Returns what holds where `[supervisord]` says nothing.
    fn defaults(&self, host: &dyn Host) -> DaemonDraft {
        let mut draft = DaemonDraft::new(host);
        if let Some(roots) = &self.xdg {
            xdg::settle_defaults(&mut draft, roots);
        }
        draft
    }
}

/// Lets programs have what `[program-default]` says.
fn inheriting(mut collected: Collected) -> Collected {
    let takes = |name: &str| {
        keys::section_row(name)
            .is_some_and(|row| matches!(row.kind, SectionKind::Program | SectionKind::Fcgi))
    };
    collected.document.inherit(keys::PROGRAM_DEFAULT, takes);
    collected
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The settings, unless there is any error.
    pub settings: Option<Settings>,
    /// Every group that the sections define, in the fleet's order, those included that another of the same name
    /// hides.
    pub defined: Vec<GroupSpec>,
    /// Everything that is wrong, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
    /// Files that were read, the main one first.
    pub files: Vec<PathBuf>,
    /// Patterns of the names that further files would have, component by component: `conf.d` and `*.conf`.
    pub names: BTreeSet<String>,
    /// Lines that supervisord logs at CRIT.
    pub criticals: Vec<String>,
    /// Lines that supervisord logs at WARN; for each there is a diagnostic marked `upstream`.
    pub warnings: Vec<String>,
    /// Lines that supervisord logs at INFO.
    pub infos: Vec<String>,
}

impl Loaded {
    /// Returns the diagnostics that are errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error())
    }
}

/// Reads a configuration. Mistakes do not end it: all of them are in the result.
#[must_use]
pub fn load(request: &LoadRequest, host: &dyn Host) -> Loaded {
    let (file, collected) = request.collect(host);
    let here = here_of(&file);
    let ctl = read_ctl(&collected, &here, host);
    let mut reader = Reader::new(&collected.document, host, here, request.strict);
    if let Some(environment) = &request.environment {
        reader.environment = environment.iter().cloned().collect();
    }
    if collected.document.section("supervisord").is_none() && collected.readable {
        let what = "no [supervisord] section (an empty one is enough)";
        reader.report(Diagnostic::error(Place { file: file.clone(), line: 0 }, what));
    }
    let daemon = match collected.document.section("supervisord") {
        Some(section) => daemon::read(&mut reader, section, &request.overrides, request.defaults(host)),
        None => request.defaults(host).spec,
    };
    let rpc_interfaces = servers::rpc_interfaces(&mut reader);
    servers::tell_ctl_plugins(&mut reader);
    let defined = groups::read(&mut reader, &daemon.environment);
    let fleet = groups::collapse(&mut reader, &defined);
    let servers = servers::read(&mut reader);
    let granted = delegates::read(&mut reader, &fleet);
    names::check(&mut reader);
    twice::check(&mut reader);
    let xdg = request.xdg.clone();
    let apply = visor::apply_mode(&mut reader, xdg.is_some());
    visor::host_id(&mut reader);
    let mut settings = Settings { file, daemon, servers, ctl: None, rpc_interfaces, fleet, xdg, apply };
    settings.daemon.delegates = granted;
    settings.daemon.serverurl = servers::server_url(&settings.servers);

    let mut warnings = collected.warnings;
    warnings.append(&mut reader.warnings);
    let mut diagnostics = collected.diagnostics;
    diagnostics.extend(reader.into_diagnostics());
    settings.ctl = ctl.unwrap_or_else(|mut wrong| {
        diagnostics.append(&mut wrong);
        None
    });
    sort(&mut diagnostics, &collected.files);
    let good = !diagnostics.iter().any(Diagnostic::is_error);
    Loaded {
        settings: good.then_some(settings),
        defined,
        diagnostics,
        files: collected.files,
        names: collected.names,
        criticals: Vec::new(),
        warnings,
        infos: collected.infos,
    }
}

/// Reads the name of this host in a shared home, before anything else is: from the main file below `root` and what it
/// includes. What is wrong there is told when all is read.
#[must_use]
pub fn load_host_id(root: &Path, host: &dyn Host) -> Option<String> {
    let file = path::absolute(&xdg::main_file_in(root), host);
    let collected = Collected::read(&file, host);
    visor::host_id(&mut Reader::new(&collected.document, host, here_of(&file), false))
}

/// Reads `[supervisorctl]` of one file, as supervisorctl does: includes are not looked at.
///
/// # Errors
/// Everything that is wrong with the file and the section.
pub fn load_ctl(file: &Path, host: &dyn Host) -> Result<CtlSpec, Vec<Diagnostic>> {
    let file = path::absolute(file, host);
    let collected = Collected::read(&file, host);
    let mut wrong: Vec<Diagnostic> = collected.diagnostics.clone();
    wrong.retain(|diagnostic| diagnostic.is_error() && diagnostic.place.file == file);
    if !collected.readable {
        return Err(wrong);
    }
    match read_ctl(&collected, &here_of(&file), host) {
        Ok(Some(ctl)) => Ok(ctl),
        Ok(None) => Err(vec![Diagnostic::error(Place { file, line: 0 }, "no [supervisorctl] section")]),
        Err(mistakes) => Err(mistakes.into_iter().map(Diagnostic::into_error).collect()),
    }
}

/// Returns where a group of this name is made, whatever else is wrong with the files: by a program, a group or a pool.
/// A second section of such a name would be merged with it or hide it.
#[must_use]
pub fn group_place(request: &LoadRequest, name: &str, host: &dyn Host) -> Option<Place> {
    let (_, collected) = request.collect(host);
    let document = &collected.document;
    let makes_it = |section: &&Section| {
        let own = section.name.split_once(':').map(|(_, own)| own.trim());
        own == Some(name) && keys::section_row(&section.name).is_some_and(|row| makes_group(row.kind))
    };
    document.sections().iter().find(makes_it).map(|section| document.place(section))
}

fn makes_group(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::Program | SectionKind::Group | SectionKind::Listener | SectionKind::Fcgi)
}

fn here_of(file: &Path) -> String {
    file.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned()
}

/// Reads `[supervisorctl]` of the main file. The daemon does not need it, so its mistakes are warnings.
fn read_ctl(collected: &Collected, here: &str, host: &dyn Host) -> Result<Option<CtlSpec>, Vec<Diagnostic>> {
    let Some(section) = collected.main.section("supervisorctl") else { return Ok(None) };
    let mut reader = Reader::new(&collected.main, host, here.to_owned(), false);
    match servers::ctl(&mut reader, section) {
        Some(ctl) => Ok(Some(ctl)),
        None => Err(reader.into_diagnostics().into_iter().map(Diagnostic::into_warning).collect()),
    }
}

/// Sorts by file, in the order in which files were read, and line; what has no file comes first.
fn sort(diagnostics: &mut [Diagnostic], files: &[PathBuf]) {
    let rank = |diagnostic: &Diagnostic| {
        let file = files.iter().position(|file| *file == diagnostic.place.file);
        (file.map_or(0, |at| at + 1), diagnostic.place.line)
    };
    diagnostics.sort_by_cached_key(rank);
}
