//! The groups that the sections make, in supervisord's order, and what becomes of names that come twice.

use super::reader::{Names, Reader};
use super::{listener, pools, program};
use crate::config::diagnostic::{Diagnostic, nearest};
use crate::config::document::Section;
use crate::config::keys::pools::{GROUP_ROWS, GroupDraft};
use crate::config::keys::{Scope, SectionKind, section_row};
use crate::config::value::{self, Value, integer};
use crate::model::spec::{FcgiSocketSpec, FleetSpec, GroupKind, GroupSpec, ProcessSpec, UserSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Priority of a group that has none.
const PRIORITY: i64 = 999;

/// Priority of a pool of event listeners that has none: first up, last down.
const LISTENER_PRIORITY: i64 = -1;

/// Reads all groups, sorted by priority and name; a name may come twice. `merged` is the daemon's environment.
pub(in crate::config) fn read(reader: &mut Reader<'_>, merged: &[(String, String)]) -> Vec<GroupSpec> {
    let mut grouped: BTreeSet<String> = BTreeSet::new();
    let mut groups = Vec::new();
    for section in of(reader, SectionKind::Group) {
        groups.extend(mixed(reader, section, merged, &mut grouped));
    }
    for section in of(reader, SectionKind::Program).filter(|section| !grouped.contains(&section.name)) {
        let Some(name) = own_name(reader, section) else { continue };
        let priority = priority(reader, section, PRIORITY);
        let processes = program::read(reader, section, SectionKind::Program, name, merged);
        groups.push(group(name, priority, GroupKind::Program, processes));
    }
    for section in of(reader, SectionKind::Listener) {
        let name = section.name.split_once(':').map_or("", |(_, name)| name);
        let priority = priority(reader, section, LISTENER_PRIORITY);
        let kind = listener::read(reader, section);
        let processes = program::read(reader, section, SectionKind::Listener, name, merged);
        groups.push(group(name, priority, kind, processes));
    }
    for section in of(reader, SectionKind::Fcgi).filter(|section| !grouped.contains(&section.name)) {
        groups.extend(fcgi(reader, section, merged));
    }
    groups.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    groups
}

fn of<'a>(reader: &Reader<'a>, kind: SectionKind) -> impl Iterator<Item = &'a Section> + use<'a> {
    let sections = reader.document.sections().iter();
    sections.filter(move |section| section_row(&section.name).is_some_and(|row| row.kind == kind))
}

fn group(name: &str, priority: i64, kind: GroupKind, processes: Vec<ProcessSpec>) -> GroupSpec {
    let processes = processes.into_iter().map(Arc::new).collect();
    GroupSpec { name: name.to_owned(), priority, kind, processes }
}

fn own_name<'s>(reader: &mut Reader<'_>, section: &'s Section) -> Option<&'s str> {
    match value::name(section.name.split_once(':').map_or("", |(_, name)| name)) {
        Ok(name) => Some(name),
        Err(what) => {
            reader.section_error(section, what);
            None
        }
    }
}

/// Reads the priority of a section's group: the same key as its processes', with fewer names to expand.
fn priority(reader: &mut Reader<'_>, section: &Section, default: i64) -> i64 {
    let Some(entry) = reader.document.get(section, "priority") else { return default };
    let text = reader.expand(entry, Scope::Here, &Names::default());
    text.and_then(|text| integer(&text)).unwrap_or_else(|what| {
        reader.entry_error(section, entry, what);
        default
    })
}

/// Reads a `[group:x]` with the programs it names.
fn mixed(
    reader: &mut Reader<'_>,
    section: &Section,
    merged: &[(String, String)],
    grouped: &mut BTreeSet<String>,
) -> Option<GroupSpec> {
    let name = own_name(reader, section);
    let mut draft = GroupDraft::default();
    reader.apply(section, GROUP_ROWS.iter(), &Names::default(), &mut draft);
    let mut processes = Vec::new();
    for program in &draft.programs {
        let Some(found) = member(reader, section, program) else { continue };
        grouped.insert(found.name.clone());
        let socket = member_socket(reader, found);
        let of = program::read(reader, found, SectionKind::Program, name.unwrap_or_default(), merged);
        processes.extend(sharing(of, socket));
    }
    Some(group(name?, draft.priority.unwrap_or(PRIORITY), GroupKind::Program, processes))
}

/// Finds the section that a group means by `program`.
fn member<'a>(reader: &mut Reader<'a>, section: &Section, program: &str) -> Option<&'a Section> {
    let document = reader.document;
    let plain = document.section(&format!("program:{program}"));
    let fcgi = document.section(&format!("fcgi-program:{program}"));
    let entry = document.get(section, "programs")?;
    match (plain, fcgi) {
        (Some(found), None) | (None, Some(found)) => Some(found),
        (Some(_), Some(_)) => {
            let what = format!("`{program}` is both a program and an fcgi-program");
            reader.entry_error(section, entry, what);
            None
        }
        (None, None) => {
            let known = document.sections().iter().filter_map(|known| known.name.split_once("program:"));
            let near = nearest(program, known.map(|(_, name)| name));
            let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            reader.entry_error(section, entry, format!("there is no [program:{program}]{hint}"));
            None
        }
    }
}

/// Reads the socket of a group's member, where that is an fcgi-program. supervisord forgets it there, so a socket that
/// is missing or wrong is no reason to refuse the file: it runs as supervisord would run it.
fn member_socket(reader: &mut Reader<'_>, section: &Section) -> Option<FcgiSocketSpec> {
    let program = section.name.strip_prefix("fcgi-program:")?;
    let socket = reader.leniently(|reader| {
        let user = socket_user(reader, section);
        pools::socket(reader, section, program.trim(), user.as_ref())
    });
    if socket.is_none() {
        reader.section_warning(section, "runs without a socket in its group, as with supervisord");
    }
    socket
}

/// Gives processes the socket that they share.
fn sharing(mut processes: Vec<ProcessSpec>, socket: Option<FcgiSocketSpec>) -> Vec<ProcessSpec> {
    let socket = socket.map(Arc::new);
    processes.iter_mut().for_each(|process| process.socket.clone_from(&socket));
    processes
}

fn fcgi(reader: &mut Reader<'_>, section: &Section, merged: &[(String, String)]) -> Option<GroupSpec> {
    let name = own_name(reader, section)?;
    let priority = priority(reader, section, PRIORITY);
    let user = socket_user(reader, section);
    let socket = pools::socket(reader, section, name, user.as_ref());
    let processes = program::read(reader, section, SectionKind::Fcgi, name, merged);
    let processes = sharing(processes, socket.clone());
    Some(group(name, priority, GroupKind::Fcgi(socket?), processes))
}

/// Reads whom a socket file belongs to by default: the same key as the processes', with fewer names to expand.
fn socket_user(reader: &mut Reader<'_>, section: &Section) -> Option<UserSpec> {
    let entry = reader.document.get(section, "user")?;
    let text = reader.expand(entry, Scope::Here, &Names::default());
    match text.and_then(|text| (Value { text: &text, host: reader.host }).user()) {
        Ok(user) => Some(user),
        Err(what) => {
            reader.entry_error(section, entry, what);
            None
        }
    }
}

/// Returns what the daemon holds: of groups of one name the first, of processes of one name in a group the last,
/// in the first's place. Upstream says nothing about it.
pub(in crate::config) fn collapse(reader: &mut Reader<'_>, defined: &[GroupSpec]) -> FleetSpec {
    let mut fleet = FleetSpec::default();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for group in defined {
        if !names.insert(&group.name) {
            let what =
                format!("there are two groups called `{}`: the one of this section is ignored", group.name);
            warn_at(reader, group, what);
            continue;
        }
        fleet.groups.push(GroupSpec { processes: last_of_each(reader, group), ..group.clone() });
    }
    tell_shared(reader, &fleet);
    fleet
}

/// Warns about sockets that two sections name: their programs would serve each other's requests.
fn tell_shared(reader: &mut Reader<'_>, fleet: &FleetSpec) {
    let mut owners: BTreeMap<&str, &ProcessSpec> = BTreeMap::new();
    for process in fleet.groups.iter().flat_map(|group| &group.processes) {
        let Some(socket) = &process.socket else { continue };
        let first = *owners.entry(&socket.url).or_insert(process);
        if first.place != process.place {
            let (url, other) = (&socket.url, first.namespec());
            let what = format!("{url} is the socket of `{other}` too: both programs get its connections");
            reader.report(Diagnostic::warning(process.place.clone(), what));
        }
    }
}

fn last_of_each(reader: &mut Reader<'_>, group: &GroupSpec) -> Vec<Arc<ProcessSpec>> {
    let mut kept: Vec<Arc<ProcessSpec>> = Vec::with_capacity(group.processes.len());
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for process in &group.processes {
        match places.get(process.name.as_str()) {
            Some(place) => {
                let what =
                    format!("there are two processes called `{}`: the last one counts", process.namespec());
                warn_at(reader, group, what);
                kept[*place] = Arc::clone(process);
            }
            None => {
                places.insert(&process.name, kept.len());
                kept.push(Arc::clone(process));
            }
        }
    }
    kept
}

fn warn_at(reader: &mut Reader<'_>, group: &GroupSpec, what: String) {
    let place = group.processes.first().map(|process| process.place.clone()).unwrap_or_default();
    reader.report(Diagnostic::warning(place, what));
}
