//! The folders of the hosts that share a home: what each is called, which are in use, and the end of those that are not.
//!
//! A folder lies at `hosts/KEY`, where the key tells machines apart (see [`Ambient::host_key`]); one that the user named
//! has that name, and its key is a link to it, so that every client finds it without a look at the configuration. A mark
//! in it says whose it is, and is written anew once a day. Times are those that the file server gives, so hosts whose
//! clocks differ agree. Must not read what a folder of another host holds, but for the mark. Example:
//! `tend(&dir, "login1-0a1b2c3d")` marks the own folder, and removes those that nobody has used for a month.

use super::ambient::Ambient;
use super::runtime_dir::Missing;
use super::state_dir::{self, HOSTS};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long a folder is kept that no daemon of its host has marked.
pub const UNUSED_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often a daemon marks the folder of its host.
pub const MARK_PERIOD: Duration = Duration::from_secs(24 * 3600);

/// How old the mark of a daemon that runs can be: a host may sleep over a period.
const FRESH_MAX: Duration = Duration::from_secs(2 * 24 * 3600);

/// The mark in a folder.
const MARK: &str = "in-use";

/// Longest mark that is read, in bytes: a key is shorter.
const MARK_MAX_BYTES: u64 = 256;

/// Begins the name of a folder that is being removed.
const DOOMED: &str = ".removed-";

/// Most folders that one look judges: beyond it the next one goes on.
const FOLDERS_MAX: usize = 1000;

/// Gives the folder of this host a name, or takes it back. Where the state is not shared, there are no folders.
///
/// # Errors
/// As mkdir(2), rename(2) and symlink(2), with the path.
pub fn name(ambient: &Ambient, name: Option<&str>) -> Result<(), String> {
    let Some(root) = state_dir::shared_root(ambient, Missing::Make) else { return Ok(()) };
    let hosts = root.join(HOSTS);
    let named = name_in(&hosts, &ambient.host_key(), name);
    named.map_err(|error| format!("cannot name the folder of this host in {}: {error}", hosts.display()))
}

fn name_in(hosts: &Path, key: &str, name: Option<&str>) -> io::Result<()> {
    let by_key = hosts.join(key);
    let found = fs::symlink_metadata(&by_key).ok();
    let is_link = found.as_ref().is_some_and(fs::Metadata::is_symlink);
    let Some(name) = name.filter(|name| *name != key) else {
        return if is_link { fs::remove_file(by_key) } else { Ok(()) };
    };
    let by_name = hosts.join(name);
    if is_link && fs::read_link(&by_key).is_ok_and(|now| now == Path::new(name)) {
        return make(&by_name);
    }
    if is_link {
        fs::remove_file(&by_key)?;
    } else if found.is_some() {
        // What was written under the key is this host's own, and goes along.
        let kept = if by_name.exists() { hosts.join(format!("{key}.before")) } else { by_name.clone() };
        fs::rename(&by_key, kept)?;
    }
    make(&by_name)?;
    match symlink(name, &by_key) {
        // Another start did the same.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Marks the folder of this host as in use, and removes those of hosts that have not done so for [`UNUSED_MAX`].
/// Returns what there is to say about it.
#[must_use]
pub fn tend(folder: &Path, key: &str) -> Vec<String> {
    let mut words = Vec::new();
    match mark(folder, key) {
        Ok((now, other)) => {
            if let Some(other) = other {
                let folder = folder.display();
                words.push(format!(
                    "{folder} was in use by the machine {other} until now: if that still runs, give each host a host_id \
                     of its own in [visor], such as %(host_node_name)s"
                ));
            }
            let hosts = folder.parent().unwrap_or(folder);
            let gone = prune(hosts, folder.file_name().unwrap_or_default(), key, now);
            words.extend(gone.into_iter().map(|name| {
                format!(
                    "removed the state of the host {name}, which has not used it for {} days",
                    UNUSED_MAX.as_secs() / 86_400
                )
            }));
        }
        Err(error) => words.push(format!("cannot mark {} as in use: {error}", folder.display())),
    }
    words
}

/// Writes the mark. Returns the file server's time, and who has marked it lately, where that was somebody else.
fn mark(folder: &Path, key: &str) -> io::Result<(SystemTime, Option<String>)> {
    let path = folder.join(MARK);
    let before = read_mark(folder);
    let new = folder.join(format!("{MARK}.new-{key}"));
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    writeln!(file, "{key}")?;
    let now = file.metadata()?.modified()?;
    fs::rename(new, path)?;
    let other = before.filter(|(whose, at)| whose != key && age(*at, now) < FRESH_MAX);
    Ok((now, other.map(|(whose, _)| whose)))
}

/// Returns whose a folder is and when that was said. Somebody else's text is cut to what a key can be.
fn read_mark(folder: &Path) -> Option<(String, SystemTime)> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(folder.join(MARK))
        .ok()?;
    let found = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let mut text = String::new();
    file.take(MARK_MAX_BYTES).read_to_string(&mut text).ok()?;
    let is_letter = |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
    Some((text.trim_end().chars().take_while(is_letter).collect(), found.modified().ok()?))
}

fn age(at: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(at).unwrap_or_default()
}

/// Removes the folders that nobody uses, and links that lead nowhere. Returns their names.
fn prune(hosts: &Path, own: &OsStr, key: &str, now: SystemTime) -> Vec<String> {
    let mut gone = Vec::new();
    for entry in fs::read_dir(hosts).into_iter().flatten().flatten().take(FOLDERS_MAX) {
        let name = entry.file_name();
        let path = entry.path();
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if name == own || name == key || found.uid() != super::identity::uid() {
            continue;
        }
        let shown = name.to_string_lossy().into_owned();
        if shown.starts_with(DOOMED) {
            let _ = fs::remove_dir_all(path);
        } else if found.is_symlink() {
            let is_old = found.modified().is_ok_and(|at| age(at, now) > UNUSED_MAX);
            if is_old && !path.exists() {
                let _ = fs::remove_file(path);
            }
        } else if found.is_dir() && is_unused(&path, now) && remove(hosts, &shown) {
            gone.push(shown);
        }
    }
    gone
}

/// Whether a folder has an old mark, and nothing in it or among its logs was written since. One without a mark is not
/// known to be a host's.
fn is_unused(folder: &Path, now: SystemTime) -> bool {
    let is_old = |at: SystemTime| age(at, now) > UNUSED_MAX;
    let is_marked = read_mark(folder).is_some_and(|(_, at)| is_old(at));
    let written =
        [folder.to_path_buf(), folder.join("log")].into_iter().filter_map(|dir| fs::read_dir(dir).ok());
    let mut files = written.flatten().flatten().filter_map(|entry| fs::symlink_metadata(entry.path()).ok());
    is_marked && files.all(|file| file.is_dir() || file.modified().is_ok_and(is_old))
}

/// Removes a folder: first out of the way, so that no host finds half of it.
fn remove(hosts: &Path, name: &str) -> bool {
    let doomed = hosts.join(format!("{DOOMED}{name}"));
    // Of two hosts that do the same, the second one finds nothing.
    fs::rename(hosts.join(name), &doomed).is_ok_and(|()| {
        let _ = fs::remove_dir_all(doomed);
        true
    })
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
