//! `[delegate:x]` as settings: what others are granted, for which programs that there are.

use super::reader::{Names, Reader};
use crate::config::diagnostic::{Diagnostic, quoted};
use crate::config::document::Section;
use crate::config::glob::is_match;
use crate::config::keys::delegate::{DelegateDraft, ROWS};
use crate::model::Delegate;
use crate::model::spec::{FleetSpec, ProcessSpec};

/// How the names of these sections begin.
const PREFIX: &str = "delegate:";

/// Reads the sections, in file order.
pub(in crate::config) fn read(reader: &mut Reader<'_>, fleet: &FleetSpec) -> Vec<Delegate> {
    let document = reader.document;
    let sections = document.sections().iter();
    sections.filter_map(|section| delegate(reader, section, fleet)).collect()
}

fn delegate(reader: &mut Reader<'_>, section: &Section, fleet: &FleetSpec) -> Option<Delegate> {
    let name = section.name.strip_prefix(PREFIX)?.trim().to_owned();
    let mut draft = DelegateDraft::default();
    if !reader.apply(section, ROWS.iter(), &Names::default(), &mut draft) {
        return None;
    }
    for (key, what) in &draft.strangers {
        warn(reader, section, key, format!("{what}, so nobody is granted anything by it"));
    }
    if draft.users.is_empty() && draft.groups.is_empty() && draft.strangers.is_empty() {
        reader.section_error(section, "neither users nor groups (say users=NAME, for example)");
    }
    if draft.programs.is_empty() {
        reader.section_error(section, "no programs (say programs=NAME, or programs=* for all)");
    }
    for pattern in &draft.programs {
        tell_of_idle_pattern(reader, section, pattern, fleet);
    }
    let DelegateDraft { users, groups, programs, actions, .. } = draft;
    Some(Delegate { name, users, groups, programs, actions, place: reader.document.place(section) })
}

fn warn(reader: &mut Reader<'_>, section: &Section, key: &str, what: String) {
    let place = match reader.document.get(section, key) {
        Some(entry) => reader.document.entry_place(entry),
        None => reader.document.place(section),
    };
    reader.report(Diagnostic::warning(place, what).section(&section.name).key(key));
}

fn tell_of_idle_pattern(reader: &mut Reader<'_>, section: &Section, pattern: &str, fleet: &FleetSpec) {
    let processes = || fleet.groups.iter().flat_map(|group| &group.processes);
    if processes().any(|process| covers(pattern, &process.group, &process.name)) {
        return;
    }
    let member = processes().find(|process| is_match(pattern, &process.name));
    let hint = member.map(|process| format!(" (did you mean {}?)", ProcessSpec::namespec(process)));
    let what = format!("{} is no program that there is{}", quoted(pattern), hint.unwrap_or_default());
    warn(reader, section, "programs", what);
}

/// Whether a pattern stands for a process. With a colon it is about `group:name`; without one about a group, which
/// every program is that no `[group:x]` takes in: the owner of `web` does not grant what another group calls so.
#[must_use]
pub fn covers(pattern: &str, group: &str, name: &str) -> bool {
    if pattern.contains(':') {
        is_match(pattern, &format!("{group}:{name}"))
    } else {
        is_match(pattern, group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;
    use crate::config::{LoadRequest, Loaded, load};
    use crate::model::delegate::Action;

    fn loaded(lines: &str) -> Loaded {
        let text = format!(
            "[supervisord]\n[program:web]\ncommand=c\nnumprocs=2\nprocess_name=%(process_num)d\n[program:db]\ncommand=c\n\
             [group:back]\nprograms=db\n[delegate:ops]\n{lines}"
        );
        let host = Imagined::default().directory("/tmp").user("bob", 1001).group("staff", 50);
        load(&LoadRequest::of("/v.conf"), &host.file("/v.conf", &text))
    }

    fn told(lines: &str) -> String {
        let all = loaded(lines).diagnostics;
        all.iter().map(|found| format!("{}: {}\n", found.severity.word(), found.text())).collect()
    }

    #[test]
    fn a_section_says_who_may_do_what_with_which_programs() {
        let settings =
            loaded("users=bob, 77\ngroups=staff\nprograms=web,back:d*\nactions=stop,status").settings;
        let delegate = settings.expect("no mistakes").daemon.delegates.remove(0);
        let uids: Vec<u32> = delegate.users.iter().map(|user| user.uid).collect();
        assert_eq!((delegate.name.as_str(), uids, delegate.groups), ("ops", vec![1001, 77], vec![50]));
        assert_eq!(delegate.actions, [Action::Status, Action::Stop].into());
        let settings = loaded("users=bob\nprograms=*").settings.expect("no mistakes");
        assert_eq!(settings.daemon.delegates[0].actions, [Action::Status, Action::Logs].into());
    }

    #[test]
    fn mistakes_are_told_and_an_account_that_went_is_none() {
        for (lines, word, text) in [
            ("users=bob", "error", "no programs (say programs=NAME, or programs=* for all)"),
            ("programs=web", "error", "neither users nor groups (say users=NAME, for example)"),
            ("users=bob\nprograms=web\nactions=restrat", "error", "did you mean restart?"),
            ("users=bob\nprograms=web\nactions=shutdown", "error", "there are: status, logs, start"),
            ("users=eve\nprograms=web", "warning", "so nobody is granted anything by it"),
            ("groups=wheel\nprograms=web", "warning", "no such group: `wheel`"),
            ("users=bob\nprograms=db", "warning", "did you mean back:db?"),
            ("users=bob\nprograms=wbe", "warning", "is no program that there is"),
            ("users=bob\nprograms=web\nuser=eve", "warning", "did you mean `users`?"),
        ] {
            let told = told(lines);
            assert!(told.contains(word) && told.contains(text), "{lines}: {told}");
            assert_eq!(told.lines().count(), 1, "{lines}: {told}");
            assert_eq!(loaded(lines).settings.is_some(), word == "warning", "{lines}");
        }
        assert_eq!(told("users=bob\nprograms=web,back:*"), "");
    }

    #[test]
    fn a_pattern_without_a_group_is_about_groups() {
        for (pattern, group, name, expected) in [
            ("web", "web", "web", true),
            ("web", "web", "web_01", true),
            ("web", "other", "web", false),
            ("w*", "web", "x", true),
            ("*", "any", "thing", true),
            ("back:db", "back", "db", true),
            ("back:db", "back", "db2", false),
            ("back:*", "back", "db", true),
            ("*:db", "back", "db", true),
            ("", "web", "web", false),
        ] {
            assert_eq!(covers(pattern, group, name), expected, "{pattern} {group}:{name}");
        }
    }
}
