//! In which file a program is: as the daemon that runs it says, else by what the daemon in question would read.
//!
//! Must not change anything. Example: `whereabouts::find(session, "web")?.line` is the line of `[program:web]`.

use super::{Problem, Session, commands, exit, own_config};
use crate::api::names::Namespec;
use crate::api::v1::{StatusReply, Version, path};
use crate::config::{LoadRequest, group_place, load};
use crate::model::Host;
use crate::model::spec::Place;
use crate::sys::ambient::Ambient;
use crate::sys::host::RealHost;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Instance of the daemon that is the user's own.
const OWN_INSTANCE: &str = "default";

/// A program's section.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Where it stands.
    pub place: Place,
    /// What the daemon in question reads.
    pub request: LoadRequest,
    /// Whether the daemon in question runs.
    pub has_daemon: bool,
}

/// Finds the section of a program or group.
///
/// # Errors
/// When there is none, or the name stands for sections in several files.
pub(super) fn find(session: &Session, name: &str) -> Result<Found, Problem> {
    let (request, known) = look(session, name)?;
    let has_daemon = known.is_some();
    let mut places = known.unwrap_or_default();
    if places.is_empty() {
        places = in_files(&request, name);
    }
    let files: BTreeSet<&Path> = places.iter().map(|place| place.file.as_path()).collect();
    if files.len() > 1 {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let text = format!("error: {name} is in several files, name one program: {}", names.join(" "));
        return Err(Problem::new(exit::REFUSED, text));
    }
    match places.into_iter().next() {
        Some(place) => Ok(Found { place, request, has_daemon }),
        None => Err(Problem::new(
            exit::ABSENT,
            format!("error: there is no program {name} (visorctl avail lists)"),
        )),
    }
}

/// Returns what the daemon in question reads; nothing runs, or is asked, that need not be.
///
/// # Errors
/// When there is no home, or no daemon at the socket that was named.
pub(super) fn request(session: &Session) -> Result<LoadRequest, Problem> {
    match (&session.socket, &session.config) {
        (None, Some(file)) => Ok(LoadRequest::of(file)),
        (None, None) => own(),
        (Some(_), _) => {
            let mut connection = session.connect()?;
            let version: Version = connection.get(path::VERSION)?;
            if version.instance == OWN_INSTANCE {
                return own();
            }
            let status: StatusReply = connection.get(&commands::status::target(&[], false))?;
            Ok(LoadRequest::of(status.daemon.config.file))
        }
    }
}

fn own() -> Result<LoadRequest, Problem> {
    own_config::request(&Ambient::real())
        .ok_or_else(|| Problem::usage("error: there is no home directory: set HOME"))
}

/// Asks the daemon, where one runs, for the sections of what is in force.
fn look(session: &Session, name: &str) -> Result<(LoadRequest, Option<Vec<Place>>), Problem> {
    let request = request(session)?;
    let Ok(mut connection) = session.connect() else { return Ok((request, None)) };
    let status: StatusReply = connection.get(&commands::status::target(&[name.to_owned()], true))?;
    let place = |file: String, line| Place { file: file.into(), line: u32::try_from(line).unwrap_or(0) };
    let places = status.processes.into_iter().filter(|process| !process.config_file.is_empty());
    let places = places.map(|process| place(process.config_file, process.config_line)).collect();
    Ok((request, Some(places)))
}

/// Finds what is written and not in force.
fn in_files(request: &LoadRequest, name: &str) -> Vec<Place> {
    let spec = Namespec::parse(name);
    let defined = load(request, &RealHost).defined;
    let processes = defined.iter().flat_map(|group| &group.processes);
    let found = processes.filter(|process| spec.covers(&process.group, &process.name));
    let places: Vec<Place> = found.map(|process| process.place.clone()).collect();
    if places.is_empty() { group_place(request, name, &RealHost).into_iter().collect() } else { places }
}

/// Whether two paths lead to one file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| RealHost.canonical(path).ok();
    one == other || (real(one).is_some() && real(one) == real(other))
}

/// Returns a path as people write it, with `~` for their home.
pub(super) fn short(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let below = home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_path_buf));
    below.map_or_else(|| path.display().to_string(), |rest| format!("~/{}", rest.display()))
}
