//! A program-like section as processes.

use super::reader::{Names, Reader};
use crate::config::diagnostic::Diagnostic;
use crate::config::document::Section;
use crate::config::environment;
use crate::config::expand::Arg;
use crate::config::keys::program::{ProgramDraft, ROWS};
use crate::config::keys::{Built, Scope, SectionKind, visor};
use crate::config::{path, value};
use crate::model::spec::{LogTarget, ProcessSpec, StreamSpec};
use std::path::Path;

/// Most processes of one program: above every real configuration, below what a typing mistake could ask for.
pub(in crate::config) const NUMPROCS_MAX: i64 = 10_000;

/// What stands for the name of an instance.
const INSTANCE: &str = "{instance}";

/// Returns the processes of `section`, sorted by priority and name. `merged` is the daemon's environment, which
/// each process gets beneath its own.
pub(in crate::config) fn read(
    reader: &mut Reader<'_>,
    section: &Section,
    kind: SectionKind,
    group: &str,
    merged: &[(String, String)],
) -> Vec<ProcessSpec> {
    let Some(program) = program_name(reader, section) else { return Vec::new() };
    let mut names = Names::default();
    names.set_text("program_name", program);
    names.set_text("host_node_name", &reader.node_name);
    names.set_text("group_name", group);
    let mut draft = ProgramDraft::new(group, reader.document.place(section));
    let errors = reader.errors();
    reader.apply(section, ROWS.iter().filter(|row| !row.scope.is_per_process()), &names, &mut draft);
    check_section(reader, section, &draft);
    collect_unbuilt(reader, section, kind, &mut draft.process);
    refuse_template(section, program, &mut draft.process);
    if reader.errors() > errors {
        // The number of processes, or what all of them share, is not known. Read one of them all the same, so
        // that its mistakes are told in the same go.
        draft.numprocs = draft.numprocs.clamp(0, 1);
    }
    let mut processes = Vec::new();
    for number in draft.numprocs_start..draft.numprocs_start.saturating_add(draft.numprocs) {
        match process(reader, section, &draft, &mut names, number) {
            Some(mut process) => {
                let own = std::mem::take(&mut process.environment);
                process.environment_shared = not_in(&own, merged);
                process.environment = beneath(merged, own);
                processes.push(process);
            }
            None => break,
        }
    }
    processes.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    processes
}

/// Returns the program's name: what follows the first colon of the section's name.
fn program_name<'s>(reader: &mut Reader<'_>, section: &'s Section) -> Option<&'s str> {
    let name = section.name.split_once(':').map_or("", |(_, name)| name);
    match value::name(name) {
        Ok(name) => Some(name),
        Err(what) => {
            reader.section_error(section, what);
            None
        }
    }
}

fn check_section(reader: &mut Reader<'_>, section: &Section, draft: &ProgramDraft) {
    if draft.numprocs > 1 && !draft.process_name.contains("%(process_num)") {
        let what = "is above 1, and process_name does not contain %(process_num) \
                    (say process_name=%(program_name)s_%(process_num)02d)";
        key_error(reader, section, "numprocs", what);
    }
    if draft.numprocs > NUMPROCS_MAX {
        key_error(reader, section, "numprocs", &format!("more than {NUMPROCS_MAX} processes"));
    }
    if draft.process.stopasgroup == Some(true) && draft.process.killasgroup == Some(false) {
        let what = "cannot be no while stopasgroup is yes (leave it out, or say yes)";
        key_error(reader, section, "killasgroup", what);
    }
    doubt_numbers(reader, section, draft);
}

/// Warns about numbers that supervisord takes and nobody means.
fn doubt_numbers(reader: &mut Reader<'_>, section: &Section, draft: &ProgramDraft) {
    let process = &draft.process;
    let rows = [
        (
            "numprocs",
            draft.numprocs < 1,
            "below 1: there is no process of it",
            "autostart=no is what only does not start it",
        ),
        ("startsecs", process.startsecs < 0, "negative, which means 0", "say 0, or a number of seconds"),
        (
            "stopwaitsecs",
            process.stopwaitsecs < 0,
            "negative, which means 0: it is killed at once",
            "say 0, or a number of seconds",
        ),
    ];
    for (key, _, what, hint) in rows.into_iter().filter(|row| row.1) {
        if let Some(entry) = reader.document.get(section, key) {
            let place = reader.document.entry_place(entry);
            reader.report(Diagnostic::warning(place, what).section(&section.name).key(key).hint(hint));
        }
    }
}

fn key_error(reader: &mut Reader<'_>, section: &Section, key: &str, what: &str) {
    match reader.document.get(section, key) {
        Some(entry) => reader.entry_error(section, entry, what),
        None => reader.section_error(section, what),
    }
}

/// Reads what differs from process to process. `names` lives on from one to the next, as upstream's does.
fn process(
    reader: &mut Reader<'_>,
    section: &Section,
    draft: &ProgramDraft,
    names: &mut Names,
    number: i64,
) -> Option<ProcessSpec> {
    names.set("process_num", Arg::Number(number));
    names.set("numprocs", Arg::Number(draft.numprocs));
    names.remove(|name| name.strip_prefix("ENV_").is_some_and(|name| reader.environment.contains_key(name)));
    let mut one = draft.clone();
    let own = reader.expand_text(&draft.environment, Scope::Instance, names);
    match own.and_then(|text| environment::pairs(&text)) {
        Ok(pairs) => one.process.environment = pairs,
        Err(what) => {
            key_error(reader, section, "environment", &what);
            return None;
        }
    }
    for (name, value) in &one.process.environment {
        names.set_text(&format!("ENV_{name}"), value);
    }
    let mut good =
        reader.apply(section, ROWS.iter().filter(|row| row.scope.is_per_process()), names, &mut one);
    settle_logs(reader, section, &mut one);
    settle_env_files(reader, section, &mut one.process);
    if !one.has_command && reader.document.get(section, "command").is_none() {
        reader.section_error(section, "no command (say command=PROGRAM ARGUMENTS)");
        good = false;
    }
    match reader.expand_text(&draft.process_name, Scope::Instance, names) {
        Ok(name) => one.process.name = name,
        Err(what) => {
            key_error(reader, section, "process_name", &what);
            good = false;
        }
    }
    good.then_some(one.process)
}

/// Makes the paths of files with variables absolute: from where the program works, as its command is, or else from
/// where its section stands.
fn settle_env_files(reader: &Reader<'_>, section: &Section, process: &mut ProcessSpec) {
    let place = reader.document.place(section).file;
    let base = process.directory.as_deref().or(place.parent()).unwrap_or(Path::new(""));
    let base = path::absolute(base, reader.host);
    for file in &mut process.env_file {
        file.path = path::absolute(&base.join(&file.path), reader.host);
    }
}

/// Applies the rules that tie log settings together, and warns as upstream does, in its order.
fn settle_logs(reader: &mut Reader<'_>, section: &Section, draft: &mut ProgramDraft) {
    let process = &mut draft.process;
    settle_stream(reader, section, "stdout", &mut process.stdout, draft.syslog_words[0]);
    settle_stream(reader, section, "stderr", &mut process.stderr, draft.syslog_words[1]);
    if !process.redirect_stderr {
        return;
    }
    if matches!(process.stderr.logfile, LogTarget::File(_)) {
        let text = format!(
            "For [{}], redirect_stderr=true but stderr_logfile has also been set to a filename, the filename \
             has been ignored",
            section.name
        );
        let what = "has no effect, because redirect_stderr is yes";
        reader.upstream_warning(section, "stderr_logfile", what, text);
    }
    process.stderr.logfile = LogTarget::None;
}

fn settle_stream(
    reader: &mut Reader<'_>,
    section: &Section,
    channel: &str,
    stream: &mut StreamSpec,
    syslog_word: bool,
) {
    let key = format!("{channel}_logfile");
    if syslog_word {
        let text = format!(
            "For [{}], {key}=syslog but this is deprecated and will be removed.  Use {channel}_syslog=true to \
             enable syslog instead.",
            section.name
        );
        let what = format!("`syslog` is an old word for {channel}_syslog=yes");
        reader.upstream_warning(section, &key, &what, text);
        stream.syslog = true;
    }
    if matches!(stream.logfile, LogTarget::Auto(_)) && stream.maxbytes == 0 {
        let text = format!(
            "For [{}], AUTO logging used for {key} without rollover, set maxbytes > 0 to avoid filling up \
             filesystem unintentionally",
            section.name
        );
        let what = "an AUTO log that is never rotated can fill the disk (set its maxbytes above 0)";
        reader.upstream_warning(section, &key, what, text);
    }
}

/// Notes Visor's keys that are set and not built, and whether the program must not run without one of them.
fn collect_unbuilt(reader: &Reader<'_>, section: &Section, kind: SectionKind, process: &mut ProcessSpec) {
    for entry in reader.document.entries(section) {
        let Some(row) = visor::find(kind, &entry.key).filter(|row| row.matters(&entry.value)) else {
            continue;
        };
        if process.unbuilt.iter().any(|(key, _)| *key == entry.key) {
            continue;
        }
        process.unbuilt.push((entry.key.clone(), entry.value.clone()));
        if row.key.built == Built::NotYetAndNeeded && process.refused.is_none() {
            process.refused =
                Some(format!("{}= is not built yet, and it must not run without it", entry.key));
        }
    }
}

/// Refuses a template, `[program:x@]` with `{instance}` in its values: run as it is, it would take the word for a
/// name. supervisord would, so without the word it is a program like any other.
fn refuse_template(section: &Section, program: &str, process: &mut ProcessSpec) {
    let is_template = section.own_entries().iter().any(|entry| entry.value.contains(INSTANCE));
    if program.ends_with('@') && is_template && process.refused.is_none() {
        process.refused = Some(format!("{INSTANCE} is not built yet, and a template must not run as it is"));
    }
}

/// Returns the names of `merged` that `own` does not have.
fn not_in(own: &[(String, String)], merged: &[(String, String)]) -> Vec<String> {
    let names = merged.iter().map(|(name, _)| name);
    names.filter(|name| own.iter().all(|(known, _)| known != *name)).cloned().collect()
}

/// Returns `own` on top of `merged`: names of `merged` keep their place, those of `own` their value.
fn beneath(merged: &[(String, String)], own: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut all = merged.to_vec();
    for (name, value) in own {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => all.push((name, value)),
        }
    }
    all
}
