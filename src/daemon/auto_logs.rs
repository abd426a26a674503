//! AUTO log files: made when a configuration comes into force, removed when the next one does.
//!
//! Only files that our own list names are removed: a second daemon with the same identifier keeps its own
//! (supervisor 4.3 removes by pattern, compat 4.2).

use super::reactor::Reactor;
use super::runs::CHANNELS;
use crate::logs::auto;
use crate::model::Level;
use crate::model::spec::{FleetSpec, LogTarget, Settings};
use std::path::PathBuf;
use std::sync::Arc;

/// Most files that a list may name; beyond it somebody else wrote the list.
const FILES_MAX: usize = 100_000;

/// Gives every AUTO stream its file.
pub(super) fn make(reactor: &mut Reactor, fleet: &mut FleetSpec) {
    let daemon = &reactor.settings.daemon;
    let (directory, identifier) = (daemon.childlogdir.clone(), daemon.identifier.clone());
    let mut made = Vec::new();
    for group in &mut fleet.groups {
        for process in &mut group.processes {
            let process = Arc::make_mut(process);
            let merged = process.redirect_stderr;
            for (stream, (_, name)) in [&mut process.stdout, &mut process.stderr].into_iter().zip(CHANNELS) {
                let LogTarget::Auto(path) = &mut stream.logfile else { continue };
                if merged && name == "stderr" {
                    continue;
                }
                match auto::create(&directory, &process.name, name, &identifier) {
                    Ok(file) => {
                        made.push(file.clone());
                        *path = Some(file);
                    }
                    Err(error) => {
                        let text =
                            format!("cannot make a log file for the {name} of '{}': {error}", process.name);
                        reactor.log(Level::Error, &text);
                    }
                }
            }
        }
    }
    if let Some(list) = list_file(&reactor.settings)
        && let Err(error) = write_list(&list, &made)
    {
        let text = format!("cannot remember AUTO log files in {}: {error}; they will stay", list.display());
        reactor.log(Level::Warn, &text);
    }
}

/// Removes the AUTO files that the last daemon of this configuration made, unless `nocleanup` is set.
pub(super) fn clean(reactor: &mut Reactor) {
    if reactor.settings.daemon.nocleanup {
        return;
    }
    let Some(list) = list_file(&reactor.settings) else { return };
    let Ok(text) = std::fs::read_to_string(&list) else { return };
    for line in text.lines().take(FILES_MAX) {
        let path = PathBuf::from(line);
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
                }
            }
        }
    }
}

/// Where the list of a configuration's AUTO files is: in the state directory, named by the configuration.
fn list_file(settings: &Settings) -> Option<PathBuf> {
    let directory = state_directory()?;
    Some(directory.join(format!("{:016x}.auto", fnv1a(settings.file.as_os_str().as_encoded_bytes()))))
}

/// Returns the directory for what outlives the daemon (product: state).
fn state_directory() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("VISOR_STATE_DIR")
        .or_else(|| Some(set("XDG_STATE_HOME")?.join("visor")))
        .or_else(|| Some(set("HOME")?.join(".local/state/visor")))
}

fn write_list(list: &std::path::Path, files: &[PathBuf]) -> std::io::Result<()> {
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

/// A stable name from a path: FNV-1a, 64 bits. Not for secrets.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
