//! AUTO log files: in classic mode made when a configuration comes into force, and removed when the next one does;
//! a user's own daemon writes on in files that keep their names.
//!
//! Only files that our own list names are removed: a second daemon with the same identifier keeps its own
//! (supervisor 4.3 removes by pattern, compat 4.2).

use super::reactor::Reactor;
use super::runs::CHANNELS;
use crate::logs::auto;
use crate::model::Level;
use crate::model::instance::{Instance, fnv1a};
use crate::model::spec::{FleetSpec, LogTarget, Settings};
use crate::sys::ambient::Ambient;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most files that a list may name; beyond it somebody else wrote the list.
const FILES_MAX: usize = 100_000;

/// Longest name of a process that a file is called by, in bytes: channel, rotation number and this stay below the
/// 255 of every file system.
const NAME_MAX_BYTES: usize = 200;

/// What marks the file of a process's standard error.
const STDERR_MARK: &str = ".err";

/// Gives every AUTO stream its file, and remembers these files alone.
pub(super) fn make(reactor: &mut Reactor, fleet: &mut FleetSpec) {
    let mut maker = Maker::of(&reactor.settings);
    if maker.is_lasting {
        make_lasting(&maker.directory, fleet);
    } else {
        let made = maker.make_files(fleet);
        maker.remember(&made);
    }
    maker.words.iter().for_each(|(level, text)| reactor.log(*level, text));
}

/// Makes AUTO files away from the reactor, which never waits for a file system.
pub(super) struct Maker {
    directory: PathBuf,
    identifier: String,
    /// The configuration, by which what was made is remembered.
    file: PathBuf,
    /// Whether files keep their names, and whoever writes first makes them.
    is_lasting: bool,
    /// What is to be logged.
    words: Vec<(Level, String)>,
}

impl Maker {
    /// Returns one that makes them as the settings say.
    pub(super) fn of(settings: &Settings) -> Maker {
        Maker {
            directory: settings.daemon.childlogdir.clone(),
            identifier: settings.daemon.identifier.clone(),
            file: settings.file.clone(),
            is_lasting: settings.xdg.is_some(),
            words: Vec::new(),
        }
    }

    /// Gives the AUTO streams of further groups their files; returns what is to be logged.
    pub(super) fn add(mut self, fleet: &mut FleetSpec) -> Vec<(Level, String)> {
        if self.is_lasting {
            make_lasting(&self.directory, fleet);
            return self.words;
        }
        let mut files = list_file(&self.file).map(|list| read_list(&list)).unwrap_or_default();
        let before = files.len();
        files.extend(self.make_files(fleet));
        if files.len() > before {
            self.remember(&files);
        }
        self.words
    }

    fn make_files(&mut self, fleet: &mut FleetSpec) -> Vec<PathBuf> {
        let mut made = Vec::new();
        for group in &mut fleet.groups {
            for process in &mut group.processes {
                let process = Arc::make_mut(process);
                let merged = process.redirect_stderr;
                for (stream, (_, name)) in
                    [&mut process.stdout, &mut process.stderr].into_iter().zip(CHANNELS)
                {
                    // A file that is in use stays.
                    let LogTarget::Auto(path @ None) = &mut stream.logfile else { continue };
                    if merged && name == "stderr" {
                        continue;
                    }
                    match auto::create(&self.directory, &process.name, name, &self.identifier) {
                        Ok(file) => {
                            made.push(file.clone());
                            *path = Some(file);
                        }
                        Err(error) => {
                            let text = format!(
                                "cannot make a log file for the {name} of '{}': {error}",
                                process.name
                            );
                            self.words.push((Level::Error, text));
                        }
                    }
                }
            }
        }
        made
    }

    fn remember(&mut self, files: &[PathBuf]) {
        if let Some(list) = list_file(&self.file)
            && let Err(error) = write_list(&list, files)
        {
            let text =
                format!("cannot remember AUTO log files in {}: {error}; they will stay", list.display());
            self.words.push((Level::Warn, text));
        }
    }
}

fn read_list(list: &std::path::Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(list).unwrap_or_default();
    text.lines().take(FILES_MAX).map(PathBuf::from).collect()
}

/// Gives every AUTO stream the file that it has in every run; whoever writes first makes it.
fn make_lasting(directory: &Path, fleet: &mut FleetSpec) {
    for process in fleet.groups.iter_mut().flat_map(|group| &mut group.processes) {
        let process = Arc::make_mut(process);
        let name = process.namespec();
        for (stream, (_, channel)) in [&mut process.stdout, &mut process.stderr].into_iter().zip(CHANNELS) {
            if let LogTarget::Auto(path) = &mut stream.logfile {
                *path = Some(directory.join(lasting_name(&name, channel)));
            }
        }
    }
}

/// Returns `NAME.log`, or `NAME.err.log` for standard error. Names hold no colon but the one between group and
/// process, so that a colon keeps those apart that would be called alike.
fn lasting_name(namespec: &str, channel: &str) -> String {
    let mut name = namespec.replace('/', "_");
    if name.len() > NAME_MAX_BYTES {
        let cut = (0..=NAME_MAX_BYTES).rev().find(|at| name.is_char_boundary(*at));
        name.truncate(cut.unwrap_or(0));
        name.push_str(&format!(":{:016x}", fnv1a(namespec.as_bytes())));
    }
    if name.starts_with('.') || name.ends_with(STDERR_MARK) {
        name = format!(":{name}:");
    }
    let mark = if channel == "stderr" { STDERR_MARK } else { "" };
    format!("{name}{mark}.log")
}

/// Removes the AUTO files that the last daemon of this configuration made, unless `nocleanup` is set.
pub(super) fn clean(reactor: &mut Reactor) {
    if reactor.settings.daemon.nocleanup || reactor.settings.xdg.is_some() {
        return;
    }
    let Some(list) = list_file(&reactor.settings.file) else { return };
    for path in read_list(&list) {
        let line = path.display().to_string();
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().contains("---"));
        if !ours {
            continue;
        }
        // Rotated ones are numbered without a gap.
        let backups = (1..).map(|n| PathBuf::from(format!("{line}.{n}")));
        for file in std::iter::once(path).chain(backups) {
            match std::fs::remove_file(&file) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => {
                    let text = format!("Failed to clean up '{}': {error}", file.display());
                    reactor.log(Level::Warn, &text);
                    // The next one would fail as well, and there is no end of numbers.
                    break;
                }
            }
        }
    }
}

/// Where the list of a configuration's AUTO files is: in the state directory, named by the configuration.
fn list_file(configuration: &Path) -> Option<PathBuf> {
    let directory = Ambient::real().state_roots().into_iter().next()?;
    Some(directory.join(format!("{}.auto", Instance::classic(configuration))))
}

fn write_list(list: &Path, files: &[PathBuf]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if files.is_empty() && !list.exists() {
        return Ok(());
    }
    if let Some(directory) = list.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let next = list.with_extension("auto.new");
    let mut file =
        std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    for path in files {
        writeln!(file, "{}", path.display())?;
    }
    std::fs::rename(next, list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn lasting_names_are_the_programs_own() {
        assert_eq!(lasting_name("web", "stdout"), "web.log");
        assert_eq!(lasting_name("web", "stderr"), "web.err.log");
        assert_eq!(lasting_name("group:web_00", "stdout"), "group:web_00.log");
    }

    #[test]
    fn no_two_streams_share_a_file() {
        let long =
            ["n".repeat(NAME_MAX_BYTES), "n".repeat(NAME_MAX_BYTES + 1), "n".repeat(4000), "ü".repeat(150)];
        let odd = ["web", "web.err", "web.err.err", ".", "..", ".web", ".err", "a:web", "a.web", "a:.err"];
        let names: Vec<String> = odd.iter().map(ToString::to_string).chain(long).collect();
        let files: BTreeSet<String> = names
            .iter()
            .flat_map(|name| ["stdout", "stderr"].map(|channel| lasting_name(name, channel)))
            .collect();
        assert_eq!(files.len(), names.len() * 2, "{files:?}");
        for file in &files {
            assert!(
                file.len() <= NAME_MAX_BYTES + 32 && !file.starts_with('.') && !file.contains('/'),
                "{file}"
            );
        }
    }
}
