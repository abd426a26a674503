//! What waits and what does not, case by case.

use super::*;
use crate::config::check::tests::fleet;
use std::sync::Arc;

/// A fleet of programs, each from a file of its name in `/c/conf.d`, with a line more each.
fn programs(names: &[&str], line: &str) -> FleetSpec {
    fleet(&names.iter().map(|name| format!("[program:{name}]\ncommand=c\n{line}\n")).collect::<String>())
}

struct Case {
    mode: ApplyMode,
    active: FleetSpec,
    wanted: FleetSpec,
    files: BTreeSet<PathBuf>,
    origins: BTreeMap<String, BTreeSet<PathBuf>>,
    gone_ms: BTreeMap<String, u64>,
    stopped: Vec<&'static str>,
}

fn file_of(name: &str) -> PathBuf {
    PathBuf::from(format!("/c/conf.d/{name}.conf"))
}

/// `before` is in force, each program from its own file; the files of `after` are there now.
fn case(before: &[&str], after: &[&str]) -> Case {
    Case {
        mode: ApplyMode::Auto,
        active: programs(before, ""),
        wanted: programs(after, ""),
        files: after.iter().map(|name| file_of(name)).collect(),
        origins: before.iter().map(|name| ((*name).to_owned(), BTreeSet::from([file_of(name)]))).collect(),
        gone_ms: BTreeMap::new(),
        stopped: Vec::new(),
    }
}

impl Case {
    fn judge(&self) -> Verdict {
        let found = diff::between(&self.active, &self.wanted);
        judge(&Situation {
            mode: self.mode,
            active: &self.active,
            wanted: &self.wanted,
            found: &found,
            files: &self.files,
            origins: &self.origins,
            gone_ms: &self.gone_ms,
            runs: &|group, _| !self.stopped.contains(&group),
        })
    }

    fn held(&self) -> Vec<(String, Reason)> {
        self.judge().held.into_iter().collect()
    }
}

#[test]
fn what_is_added_or_changed_live_never_waits() {
    let mut case = case(&["a"], &["a", "b", "c", "d"]);
    assert_eq!(case.judge(), Verdict::default());
    case.wanted = programs(&["a", "b"], "startretries=9");
    for mode in [ApplyMode::Auto, ApplyMode::Live] {
        case.mode = mode;
        assert_eq!(case.judge(), Verdict::default());
    }
}

#[test]
fn a_file_must_be_gone_for_a_while_before_its_programs_stop() {
    let mut case = case(&["a", "b"], &["a"]);
    let verdict = case.judge();
    assert_eq!(verdict.held, BTreeMap::from([("b".to_owned(), Reason::Gone)]));
    assert_eq!((verdict.again_ms, verdict.gone.len()), (Some(GONE_MS), 1));
    case.gone_ms.insert("b".to_owned(), GONE_MS - 1);
    assert_eq!(case.judge().again_ms, Some(1));
    case.gone_ms.insert("b".to_owned(), GONE_MS);
    assert!(case.held().is_empty() && case.judge().again_ms.is_none());
}

#[test]
fn a_section_that_is_taken_out_of_a_file_goes_at_once() {
    let mut case = case(&["a", "b"], &["a"]);
    case.files.insert(file_of("b"));
    assert_eq!(case.judge(), Verdict::default());
}

#[test]
fn programs_of_an_emptied_directory_wait_however_long_it_is() {
    let mut case = case(&["a", "b"], &[]);
    for name in ["a", "b"] {
        case.gone_ms.insert(name.to_owned(), 1_000_000);
    }
    case.files.insert("/c/visor.conf".into());
    let emptied = Reason::Emptied("/c/conf.d".into());
    assert_eq!(case.held(), [("a".to_owned(), emptied.clone()), ("b".to_owned(), emptied)]);
    assert!(case.judge().again_ms.is_none(), "no timer can help");
}

#[test]
fn a_change_that_would_stop_most_programs_waits() {
    let all = ["a", "b", "c", "d", "e"];
    for (stay, waits) in [(3, false), (2, true), (1, true)] {
        let mut case = case(&all, &all[..stay]);
        // Their sections are gone, their files are not.
        case.files = all.iter().map(|name| file_of(name)).collect();
        let expected = if waits { all.len() - stay } else { 0 };
        assert_eq!(case.held().len(), expected, "{stay} stay");
        assert!(case.held().iter().all(|(_, why)| *why == Reason::Many(all.len() - stay, all.len())));
    }
    // Two of two are not many, and what does not run cannot be stopped.
    let mut two = case(&["a", "b"], &[]);
    two.files = ["a", "b"].iter().map(|name| file_of(name)).collect();
    assert!(two.held().is_empty());
    let mut idle = case(&all, &all[..1]);
    idle.files = two.files.iter().cloned().chain(all.iter().map(|name| file_of(name))).collect();
    idle.stopped = vec!["b", "c"];
    assert!(idle.held().is_empty());
}

#[test]
fn a_change_that_would_restart_most_programs_waits_and_what_is_live_does_not() {
    let names = ["a", "b", "c"];
    let mut case = case(&names, &names);
    case.wanted = programs(&names, "umask=077");
    assert_eq!(case.held().len(), 3);
    case.wanted = programs(&names, "umask=077\nrestart_on_change=false");
    assert!(case.held().is_empty(), "nothing is restarted");
    case.wanted = programs(&["a", "b", "c", "d"], "umask=077");
    assert!(!case.judge().held.contains_key("d"), "what is new comes");
}

#[test]
fn in_live_mode_whatever_touches_a_process_waits() {
    let mut case = case(&["a", "b"], &["a", "n"]);
    case.mode = ApplyMode::Live;
    case.wanted.groups.retain(|group| group.name != "a");
    case.wanted.groups.extend(programs(&["a"], "umask=077").groups);
    assert_eq!(case.held(), [("a".to_owned(), Reason::Live), ("b".to_owned(), Reason::Live)]);
}

#[test]
fn a_group_changes_in_part_where_that_is_enough() {
    let of = |commands: &[(&str, &str)], group: &str| {
        let names: Vec<&str> = commands.iter().map(|(name, _)| *name).collect();
        let sections = commands.iter().map(|(name, line)| format!("[program:{name}]\ncommand=c\n{line}\n"));
        fleet(&format!("{}[group:g]\nprograms={}\n{group}\n", sections.collect::<String>(), names.join(",")))
    };
    let old = of(&[("a", ""), ("b", "")], "");
    for (commands, group, expected) in [
        (vec![("a", "startretries=9"), ("b", "")], "priority=3", Way::Live),
        (vec![("a", "umask=077"), ("b", "startretries=9")], "", Way::Part(vec!["a".to_owned()])),
        (vec![("b", ""), ("a", "")], "", Way::Part(Vec::new())),
        (vec![("a", ""), ("b", ""), ("c", "")], "", Way::Part(Vec::new())),
        (vec![("b", "")], "", Way::Part(Vec::new())),
        (vec![("a", "umask=077"), ("b", "umask=077")], "", Way::Whole),
        (vec![("a", "umask=077\nrestart_on_change=no"), ("b", "")], "", Way::Live),
    ] {
        let new = of(&commands, group);
        let change = diff::group_change(&old.groups[0], &new.groups[0]).expect("they differ");
        assert_eq!(way(&change, &old.groups[0], &new.groups[0]), expected, "{commands:?}");
    }
    let mut listener = old.groups[0].clone();
    listener.kind = GroupKind::Listener { buffer_size: 1, events: Vec::new(), result_handler: String::new() };
    Arc::make_mut(&mut listener.processes[0]).umask = Some(1);
    let change = diff::group_change(&listener, &old.groups[0]).expect("they differ");
    assert_eq!(way(&change, &listener, &old.groups[0]), Way::Whole);
}
