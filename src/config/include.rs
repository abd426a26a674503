//! Collects the files of a configuration: the main file, and what its `[include]` names.
//!
//! Includes are not recursive. A file that cannot be read is a warning, as upstream goes on without it; one
//! that is not trusted or is no INI text is an error. Must not know any key but `files`.
//!
//! `Collected::read(path, host)` returns the merged document and everything there is to say about the files.

use super::check::reader::{Names, Reader};
use super::diagnostic::{Diagnostic, Severity};
use super::document::Document;
use super::glob::glob;
use super::ini::{self, RawSection};
use super::keys::Scope;
use super::{ownership, xdg};
use crate::model::Host;
use crate::model::host::FILE_SIZE_MAX;
use crate::model::spec::Place;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// Most files that one configuration includes: above every real one, and a pattern over a whole disk ends.
pub const INCLUDED_FILES_MAX: usize = 10_000;

/// The files of a configuration.
#[derive(Default)]
pub struct Collected {
    /// The sections of all files.
    pub document: Document,
    /// The sections of the main file only, which is all that `[supervisorctl]` may come from.
    pub main: Document,
    /// Files that were read, the main one first.
    pub files: Vec<PathBuf>,
    /// What is wrong with them.
    pub diagnostics: Vec<Diagnostic>,
    /// Lines that supervisord logs at WARN.
    pub warnings: Vec<String>,
    /// Lines that supervisord logs at INFO.
    pub infos: Vec<String>,
    /// Patterns of the names that further files would have, component by component.
    pub names: BTreeSet<String>,
    /// Whether the main file could be read as INI text at all.
    pub readable: bool,
}

impl Collected {
    /// Reads `file`, an absolute path, and what it includes.
    pub fn read(file: &Path, host: &dyn Host) -> Collected {
        let mut collected = Collected::default();
        let bytes = match host.read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                collected.diagnostics.push(unreadable(file, &error, Severity::Error));
                return collected;
            }
        };
        collected.main_file(file, &bytes, host);
        collected
    }

    /// Reads the configuration of a user's own daemon: the implicit sections, `file` where there is one, what it
    /// includes, and then what is always read. A file that cannot be read is an error: going on without it would
    /// stop its programs.
    pub fn read_xdg(file: &Path, host: &dyn Host) -> Collected {
        let mut collected = Collected::default();
        collected.document.add(Path::new(xdg::IMPLICIT_PLACE), xdg::implicit_sections());
        let base = file.parent().unwrap_or(Path::new("/"));
        match host.read(file) {
            Ok(bytes) => collected.main_file(file, &bytes, host),
            Err(error) if error.kind() == io::ErrorKind::NotFound => collected.readable = true,
            Err(error) => collected.diagnostics.push(unreadable(file, &error, Severity::Error)),
        }
        let directory = base.join(xdg::DIRECTORY);
        match host.list(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let what = format!("cannot read the directory: {error}");
                collected.diagnostics.push(Diagnostic::error(at(&directory, 0), what));
            }
            _ => {}
        }
        collected.look_for(xdg::DIRECTORY);
        collected.look_for(xdg::PATTERN);
        let mut matches = glob(&directory, xdg::PATTERN, host);
        matches.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        if !matches.is_empty() {
            collected.document.settle_here(base);
        }
        for file in matches {
            if !collected.files.contains(&file) {
                collected.include_one(&file, host, Severity::Error);
            }
        }
        collected
    }

    fn main_file(&mut self, file: &Path, bytes: &[u8], host: &dyn Host) {
        let mistakes = self.diagnostics.len();
        let sections = self.parse(file, file, bytes, host);
        self.readable = !self.diagnostics[mistakes..].iter().any(Diagnostic::is_error);
        self.main.add(file, sections.clone());
        self.document.add(file, sections);
        self.include(file, host);
    }

    /// Parses a file; `shown` is its name in diagnostics.
    fn parse(&mut self, file: &Path, shown: &Path, bytes: &[u8], host: &dyn Host) -> Vec<RawSection> {
        self.files.push(shown.to_path_buf());
        if bytes.len() > FILE_SIZE_MAX {
            let what = format!("a file of {} bytes, and {FILE_SIZE_MAX} is the limit", bytes.len());
            self.diagnostics.push(Diagnostic::error(at(shown, 0), what).hint("split it with [include]"));
            return Vec::new();
        }
        let (sections, mistakes) = ini::parse(bytes);
        for mistake in mistakes {
            let error = Diagnostic::error(at(shown, mistake.line), mistake.what);
            self.diagnostics.push(error.hint(mistake.hint));
        }
        for doubt in ownership::examine(file, host) {
            self.diagnostics.push(Diagnostic::new(doubt.severity, at(shown, 0), doubt.what).hint(doubt.hint));
        }
        sections
    }

    /// Reads the files that `[include]` names, pattern by pattern, each sorted by path.
    fn include(&mut self, file: &Path, host: &dyn Host) {
        let Some(section) = self.document.section("include") else { return };
        let base = file.parent().unwrap_or(Path::new("/"));
        if self.document.get(section, "files").is_none() {
            let place = self.document.place(section);
            let error = Diagnostic::error(place, "no files (say files=conf.d/*.conf)").section("include");
            self.diagnostics.push(error);
            return;
        }
        self.document.settle_here(base);
        for pattern in self.patterns(base, host) {
            self.look_for(&pattern);
            let mut matches = glob(base, &pattern, host);
            matches.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
            if matches.is_empty() {
                self.nothing_matches(&base.join(&pattern));
            }
            for included in matches {
                self.include_one(&included, host, Severity::Warning);
            }
        }
    }

    /// Notes what files are called that may come later.
    fn look_for(&mut self, pattern: &str) {
        self.names.extend(pattern.split('/').filter(|name| !name.is_empty()).map(str::to_owned));
    }

    /// Returns the patterns of `files`, expanded and split at blanks.
    fn patterns(&mut self, base: &Path, host: &dyn Host) -> Vec<String> {
        let reader = Reader::new(&self.document, host, base.to_string_lossy().into_owned(), false);
        let mut names = Names::default();
        names.set_text("host_node_name", &reader.node_name);
        let entry = self.document.section("include").and_then(|section| self.document.get(section, "files"));
        let Some(entry) = entry else { return Vec::new() };
        match reader.expand(entry, Scope::Here, &names) {
            Ok(text) => {
                text.split(ini::is_blank).filter(|word| !word.is_empty()).map(str::to_owned).collect()
            }
            Err(what) => {
                let error = Diagnostic::error(self.document.entry_place(entry), what);
                self.diagnostics.push(error.section("include").key("files"));
                Vec::new()
            }
        }
    }

    fn nothing_matches(&mut self, pattern: &Path) {
        let shown = pattern.display();
        self.warnings.push(format!("No file matches via include \"{shown}\""));
        let section = self.document.section("include");
        let entry = section.and_then(|section| self.document.get(section, "files"));
        let place = entry.map(|entry| self.document.entry_place(entry)).unwrap_or_default();
        let warning =
            Diagnostic::warning(place, format!("no file matches {shown}")).section("include").key("files");
        self.diagnostics.push(Diagnostic { upstream: true, ..warning });
    }

    /// Reads one more file; `severity` is how bad it is when that cannot be done.
    fn include_one(&mut self, file: &Path, host: &dyn Host, severity: Severity) {
        if self.files.len() > INCLUDED_FILES_MAX {
            let what = format!("more than {INCLUDED_FILES_MAX} files are included");
            let main = self.files.first().cloned().unwrap_or_default();
            let error = Diagnostic::error(at(&main, 0), what);
            if !self.diagnostics.contains(&error) {
                self.diagnostics.push(error);
            }
            return;
        }
        // Settings are stored as text: a name that is no text is shown with replacement characters.
        let shown = &PathBuf::from(file.to_string_lossy().into_owned());
        self.infos.push(format!("Included extra file \"{}\" during parsing", shown.display()));
        match host.read(file) {
            Ok(bytes) => {
                let sections = self.parse(file, shown, &bytes, host);
                self.document.include(shown, sections, file.parent().unwrap_or(Path::new("/")));
            }
            Err(error) => self.diagnostics.push(unreadable(shown, &error, severity)),
        }
    }
}

fn at(file: &Path, line: u32) -> Place {
    Place { file: file.to_path_buf(), line }
}

fn unreadable(file: &Path, error: &io::Error, severity: Severity) -> Diagnostic {
    let (what, hint) = match error.kind() {
        io::ErrorKind::NotFound => ("cannot find the file".to_owned(), "check the path"),
        io::ErrorKind::PermissionDenied => {
            ("cannot read the file: permission denied".to_owned(), "chmod u+r it")
        }
        io::ErrorKind::IsADirectory => ("cannot read it: it is a directory".to_owned(), "name a file"),
        _ => (format!("cannot read the file: {error}"), "check the disk and the path"),
    };
    let hint = if severity == Severity::Warning { "it is left out" } else { hint };
    Diagnostic::new(severity, at(file, 0), what).hint(hint)
}
