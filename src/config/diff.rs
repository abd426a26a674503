//! What changes between two configurations: groups added, changed, removed, and the keys behind each change.
//!
//! supervisord's `reread` compares groups by their settings; so does this, and where upstream misses a change
//! (an explicit log that becomes AUTO, owner, mode or backlog of an fcgi socket) it is found here. Where a
//! section stands is no setting. Must not decide what to do about a change.
//!
//! `between(&old.fleet, &new.fleet).added` names the groups that `update` would add.

use super::keys::{self, Reload, SectionKind};
use crate::model::spec::{DaemonSpec, FleetSpec, GroupKind, GroupSpec, LogTarget, Place, ProcessSpec};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The difference between two fleets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetDiff {
    /// Groups that are new, in the new fleet's order.
    pub added: Vec<String>,
    /// Groups that are in both and differ, in the new fleet's order.
    pub changed: Vec<GroupChange>,
    /// Groups that are gone, in the old fleet's order.
    pub removed: Vec<String>,
}

impl FleetDiff {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// How a group differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupChange {
    /// Its name.
    pub name: String,
    /// Keys of the group itself that differ: `priority`, `programs` (the order of processes), `buffer_size`,
    /// `events`, `result_handler`, or `type` when it is another kind of group now.
    pub keys: Vec<&'static str>,
    /// Processes that are new, in the new order.
    pub added: Vec<String>,
    /// Processes that differ, in the new order.
    pub changed: Vec<ProcessChange>,
    /// Processes that are gone, in the old order.
    pub removed: Vec<String>,
}

/// How a process differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessChange {
    /// Its name in the group.
    pub name: String,
    /// Keys that differ, sorted.
    pub keys: Vec<String>,
    /// What applying all of them costs.
    pub reload: Reload,
}

/// Compares two fleets.
#[must_use]
pub fn between(old: &FleetSpec, new: &FleetSpec) -> FleetDiff {
    let (before, now) = (by_name(old), by_name(new));
    let mut diff = FleetDiff::default();
    for group in &new.groups {
        match before.get(group.name.as_str()) {
            None => diff.added.push(group.name.clone()),
            Some(before) => diff.changed.extend(group_change(before, group)),
        }
    }
    let gone = old.groups.iter().filter(|group| !now.contains_key(group.name.as_str()));
    diff.removed = gone.map(|group| group.name.clone()).collect();
    diff
}

fn by_name(fleet: &FleetSpec) -> BTreeMap<&str, &GroupSpec> {
    // Of two with one name the first counts.
    fleet.groups.iter().rev().map(|group| (group.name.as_str(), group)).collect()
}

/// Compares two groups of one name.
#[must_use]
pub fn group_change(old: &GroupSpec, new: &GroupSpec) -> Option<GroupChange> {
    let mut change = GroupChange { name: new.name.clone(), ..GroupChange::default() };
    if old.priority != new.priority {
        change.keys.push("priority");
    }
    change.keys.extend(kind_keys(&old.kind, &new.kind));
    for process in &new.processes {
        match old.processes.iter().find(|before| before.name == process.name) {
            None => change.added.push(process.name.clone()),
            Some(before) => change.changed.extend(process_change(before, process)),
        }
    }
    let gone =
        |before: &&std::sync::Arc<ProcessSpec>| new.processes.iter().all(|now| now.name != before.name);
    change.removed = old.processes.iter().filter(gone).map(|process| process.name.clone()).collect();
    if change.added.is_empty() && change.removed.is_empty() && !same_order(old, new) {
        change.keys.push("programs");
    }
    let empty = change.keys.is_empty() && change.added.is_empty() && change.removed.is_empty();
    (!empty || !change.changed.is_empty()).then_some(change)
}

fn same_order(old: &GroupSpec, new: &GroupSpec) -> bool {
    let names =
        |group: &GroupSpec| group.processes.iter().map(|process| process.name.clone()).collect::<Vec<_>>();
    names(old) == names(new)
}

fn kind_keys(old: &GroupKind, new: &GroupKind) -> Vec<&'static str> {
    match (old, new) {
        // A socket is compared with the processes that have it.
        (GroupKind::Program, GroupKind::Program) | (GroupKind::Fcgi(_), GroupKind::Fcgi(_)) => Vec::new(),
        (
            GroupKind::Listener { buffer_size, events, result_handler },
            GroupKind::Listener { buffer_size: size_now, events: events_now, result_handler: handler_now },
        ) => {
            let rows = [
                ("buffer_size", buffer_size != size_now),
                ("events", events != events_now),
                ("result_handler", result_handler != handler_now),
            ];
            rows.into_iter().filter(|row| row.1).map(|row| row.0).collect()
        }
        _ => vec!["type"],
    }
}

/// Compares two processes of one name.
#[must_use]
pub fn process_change(old: &ProcessSpec, new: &ProcessSpec) -> Option<ProcessChange> {
    if std::ptr::eq(old, new) {
        return None;
    }
    let (before, after) = (by_key(old), by_key(new));
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = all.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let keys: Vec<String> = differ.cloned().collect();
    let reload = keys.iter().map(|key| cost(key)).max()?;
    Some(ProcessChange { name: new.name.clone(), keys, reload })
}

/// Stands among the keys of `[supervisord]` for what others are granted.
pub const DELEGATES: &str = "[delegate:*]";

/// Returns the keys of `[supervisord]` that differ, with what a change of each costs. A change of its environment is
/// none of the daemon: it shows in every process.
#[must_use]
pub fn daemon_change(old: &DaemonSpec, new: &DaemonSpec) -> Vec<(&'static str, Reload)> {
    let fields = |spec: &DaemonSpec| serde_json::to_value(spec).unwrap_or_default();
    let (before, after) = (fields(old), fields(new));
    let rows = keys::of(SectionKind::Daemon)
        .filter(|row| row.reload != Reload::Restart && before.get(row.name) != after.get(row.name));
    let grants = |spec: &DaemonSpec| {
        let mut delegates = spec.delegates.clone();
        // Where a section stands makes no difference.
        delegates.iter_mut().for_each(|delegate| delegate.place = Place::default());
        delegates
    };
    let granted = (grants(old) != grants(new)).then_some((DELEGATES, Reload::Live));
    rows.map(|row| (row.name, row.reload)).chain(granted).collect()
}

/// Returns what a change of a program's key costs; a key that nobody knows costs a restart.
#[must_use]
pub fn cost(key: &str) -> Reload {
    keys::find(SectionKind::Program, key).map_or(Reload::Restart, |row| row.reload)
}

/// Returns the settings of a process by the keys that set them. The fields of a specification are called like
/// the keys, so that a new key cannot be forgotten here.
fn by_key(process: &ProcessSpec) -> Map<String, Value> {
    let mut process = process.clone();
    for stream in [&mut process.stdout, &mut process.stderr] {
        if let LogTarget::Auto(found) = &mut stream.logfile {
            // Which file an AUTO log became is our own choice.
            *found = None;
        }
    }
    if let Some(user) = &mut process.user {
        // The same user by name or by number is the same user.
        user.text.clear();
    }
    let Ok(Value::Object(mut fields)) = serde_json::to_value(&process) else { return Map::new() };
    for own in ["place", "name", "group", "refused", "environment_shared"] {
        fields.remove(own);
    }
    for channel in ["stdout", "stderr"] {
        let Some(Value::Object(stream)) = fields.remove(channel) else { continue };
        for (field, value) in stream {
            let of_file = if matches!(field.as_str(), "maxbytes" | "backups") { "logfile_" } else { "" };
            fields.insert(format!("{channel}_{of_file}{field}"), value);
        }
    }
    if let Some(Value::Object(socket)) = fields.remove("socket") {
        for (field, value) in socket {
            let key = if field == "url" { "socket".to_owned() } else { format!("socket_{field}") };
            fields.insert(key, value);
        }
    }
    if let Some(Value::Array(unbuilt)) = fields.remove("unbuilt") {
        for pair in unbuilt {
            if let (Some(key), Some(value)) = (pair[0].as_str(), pair.get(1)) {
                fields.insert(key.to_owned(), value.clone());
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::fleet;
    use std::sync::Arc;

    fn diff(old: &str, new: &str) -> FleetDiff {
        between(&fleet(old), &fleet(new))
    }

    #[test]
    fn the_same_settings_on_other_lines_are_no_change() {
        let old = "[program:a]\ncommand=c\nuser=bob\n";
        assert!(diff(old, old).is_empty());
        assert!(diff(old, "\n\n[program:a]\nuser = 1000\ncommand: c\nstartsecs=1\n").is_empty());
    }

    #[test]
    fn groups_are_added_changed_and_removed() {
        let diff = diff(
            "[program:x]\ncommand=c\n[program:y]\ncommand=c\n[program:z]\ncommand=c\n",
            "[program:x]\ncommand=c\n[program:y]\ncommand=d\nstartsecs=2\n[program:w]\ncommand=c\n",
        );
        assert_eq!((diff.added, diff.removed), (vec!["w".to_owned()], vec!["z".to_owned()]));
        let [change] = &diff.changed[..] else { panic!("one change: {:?}", diff.changed) };
        let [process] = &change.changed[..] else { panic!("one process: {change:?}") };
        assert_eq!((change.name.as_str(), process.keys.join(" ").as_str()), ("y", "command startsecs"));
        assert_eq!(process.reload, Reload::Restart);
    }

    /// One line of a program, another one, the keys that differ, and what that costs.
    #[test]
    fn every_change_names_its_keys_and_its_cost() {
        use Reload::{Live, Restart};
        for (old, new, keys, cost) in [
            ("priority=1", "priority=2", "priority", Live),
            ("stdout_logfile=/a", "stdout_logfile=AUTO", "stdout_logfile", Restart),
            ("stdout_logfile=AUTO", "stdout_logfile=/a", "stdout_logfile", Restart),
            ("stdout_logfile_maxbytes=1", "", "stdout_logfile_maxbytes", Live),
            ("stderr_logfile_backups=1", "", "stderr_logfile_backups", Live),
            ("stdout_capture_maxbytes=1", "", "stdout_capture_maxbytes", Restart),
            ("stderr_events_enabled=1", "", "stderr_events_enabled", Live),
            ("stdout_syslog=1", "", "stdout_syslog", Live),
            ("environment=A=1", "environment=A=2", "environment", Restart),
            ("env_file=/a", "env_file=-/a", "env_file", Restart),
            ("env_pass=A", "env_pass=A*", "env_pass", Restart),
            ("", "env_unset=A", "env_unset", Restart),
            ("env_clear=no", "env_clear=yes", "env_clear", Restart),
            ("", "env_login=no", "env_login", Restart),
            ("user=7", "user=8", "user", Restart),
            ("restart_delay=1s", "restart_delay=2s", "restart_delay", Live),
            ("", "type=oneshot", "type", Restart),
            ("stopasgroup=false", "", "stopasgroup", Live),
        ] {
            let program = |line: &str| format!("[program:a]\ncommand=c\n{line}\n");
            let found = diff(&program(old), &program(new));
            let process = &found.changed[0].changed[0];
            assert_eq!((process.keys.join(" ").as_str(), process.reload), (keys, cost), "{old} -> {new}");
        }
    }

    #[test]
    fn an_auto_log_that_has_its_file_by_now_is_no_change() {
        let new = fleet("[program:a]\ncommand=c\n");
        let mut old = new.clone();
        let mut process = ProcessSpec::clone(&old.groups[0].processes[0]);
        process.stdout.logfile = LogTarget::Auto(Some("/tmp/a.log".into()));
        old.groups[0].processes[0] = Arc::new(process);
        assert!(between(&old, &new).is_empty());
    }

    #[test]
    fn groups_have_keys_of_their_own() {
        let programs = "[program:a]\ncommand=c\nnumprocs=1\n[program:b]\ncommand=c\n";
        let of = |group: &str| format!("{programs}[group:g]\n{group}\n");
        let found = diff(&of("programs=a,b"), &of("programs=b,a\npriority=3"));
        assert_eq!(found.changed[0].keys, ["priority", "programs"]);
        let found = diff(&of("programs=a,b"), &of("programs=a"));
        assert_eq!(
            (found.changed[0].removed.clone(), found.added),
            (vec!["b".to_owned()], vec!["b".to_owned()])
        );
        let listener = |line: &str| format!("[eventlistener:l]\ncommand=c\nevents=TICK_5,TICK_60\n{line}\n");
        assert!(diff(&listener(""), &listener("events=tick_60,tick_5")).is_empty());
        assert_eq!(diff(&listener(""), &listener("buffer_size=3")).changed[0].keys, ["buffer_size"]);
    }

    #[test]
    fn a_changed_socket_is_found_alone_and_in_a_group() {
        let fcgi = |line: &str| format!("[fcgi-program:l]\ncommand=c\nsocket=unix:///s\n{line}\n");
        let group = "[group:g]\nprograms=l\n";
        for (line, key) in [
            ("socket=tcp://h:1\n", "socket socket_mode"),
            ("socket_mode=0770", "socket_mode"),
            ("socket_backlog=9", "socket_backlog"),
            ("socket_owner=7", "socket_owner"),
        ] {
            for group in ["", group] {
                let found = diff(&(fcgi("") + group), &(fcgi(line) + group));
                let process = &found.changed[0].changed[0];
                assert_eq!((process.keys.join(" ").as_str(), process.reload), (key, Reload::Restart));
            }
        }
        assert_eq!(diff(&fcgi(""), "[program:l]\ncommand=c\n").changed[0].keys, ["type"]);
    }

    #[test]
    fn the_daemons_own_keys_are_compared_too() {
        let host = crate::config::check::tests::Imagined::default();
        let old = keys::daemon::DaemonDraft::new(&host).spec;
        let new = DaemonSpec { umask: 0o77, loglevel: crate::model::Level::Debug, ..old.clone() };
        assert_eq!(daemon_change(&old, &new), [("loglevel", Reload::Live), ("umask", Reload::Daemon)]);
        assert_eq!(daemon_change(&old, &old), []);
        let mut granting = old.clone();
        granting.delegates.push(crate::model::Delegate {
            name: "x".into(),
            users: Vec::new(),
            groups: vec![1],
            programs: vec!["*".into()],
            actions: [].into(),
            place: Place::default(),
        });
        assert_eq!(daemon_change(&old, &granting), [(DELEGATES, Reload::Live)]);
        let mut moved = granting.clone();
        moved.delegates[0].place.line = 9;
        assert_eq!(daemon_change(&granting, &moved), []);
        // Each key has a field of its name, or a change of it could not be seen.
        let fields = serde_json::to_value(&old).expect("plain data");
        assert!(keys::of(SectionKind::Daemon).all(|row| fields.get(row.name).is_some()));
    }

    /// Every field of a process that can differ must be a key of the table, or its cost would be guessed.
    #[test]
    fn every_setting_of_a_process_is_a_key() {
        let fleet = fleet("[program:a]\ncommand=c\nrestart_delay=1s\n");
        for key in by_key(&fleet.groups[0].processes[0]).keys() {
            assert!(keys::find(SectionKind::Program, key).is_some(), "{key}");
        }
    }
}
