//! reread, update, add, remove: what the files say now, and putting it in force where it differs.

use super::route::body;
use super::rpc::{self, CallId};
use super::updates::{Asker, Obstacle};
use super::{ClientId, NOBODY};
use crate::api::http::Request;
use crate::api::names;
use crate::api::v1::{
    self, ChangedGroup, ChangedKey, ChangedProcess, Cost, ErrorReply, GroupAction, GroupResult,
};
use crate::config::keys::Reload;
use crate::config::{Diagnostic, Loaded, diff};
use crate::core::Input;
use crate::daemon::reactor::{Purpose, Reactor};
use crate::model::spec::{DaemonSpec, FleetSpec, GroupSpec, LogTarget};
use crate::model::{Level, ProcessId};
use crate::sys::clock;
use std::sync::Arc;

/// What a client wants to do with groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Verb {
    /// Only look.
    Reread,
    /// Put everything in force that differs.
    Update,
    /// Put new groups in force.
    Add,
}

impl Reactor {
    pub(super) fn answer_reread(&mut self, client: ClientId, _request: &Request) -> Result<(), ErrorReply> {
        self.read_for(client, Verb::Reread, Vec::new())
    }

    pub(super) fn answer_update(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let asked: v1::Groups = body(request)?;
        self.read_for(client, Verb::Update, asked.groups)
    }

    pub(super) fn answer_add(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let asked: v1::Groups = body(request)?;
        self.read_for(client, Verb::Add, asked.groups)
    }

    fn read_for(&mut self, client: ClientId, verb: Verb, groups: Vec<String>) -> Result<(), ErrorReply> {
        // Told now, not when the files have been read; then it is asked again.
        match self.may_change_groups() {
            Err(Obstacle::Busy) if verb == Verb::Reread => {}
            may => may.map_err(|why| ErrorReply::from(&why))?,
        }
        self.read_configuration(Purpose::Client { client, verb, groups });
        Ok(())
    }

    /// Takes in a configuration that was read for a client.
    pub(in crate::daemon) fn loaded_for(
        &mut self,
        client: ClientId,
        verb: Verb,
        groups: &[String],
        loaded: Loaded,
    ) {
        let diagnostics: Vec<v1::Diagnostic> = loaded.diagnostics.iter().map(shown).collect();
        if client == NOBODY {
            self.log_diagnostics(&loaded);
        }
        self.note_config_state(&loaded);
        let Some(settings) = loaded.settings else {
            match verb {
                Verb::Reread => {
                    self.send(client, &v1::Reread { ok: false, diagnostics, ..v1::Reread::default() })
                }
                _ => self.send(
                    client,
                    &v1::GroupResults { ok: false, diagnostics, ..v1::GroupResults::default() },
                ),
            }
            return;
        };
        let active = self.core.fleet();
        let found = diff::between(&active, &settings.fleet);
        let daemon = diff::daemon_change(&self.settings.daemon, &settings.daemon);
        let daemon: Vec<ChangedKey> = daemon.into_iter().map(changed_key).collect();
        if verb == Verb::Reread {
            let changed = found.changed.iter().map(changed_group).collect();
            let diff::FleetDiff { added, removed, .. } = found;
            return self.send(client, &v1::Reread { ok: true, added, changed, removed, daemon, diagnostics });
        }
        let reply = v1::GroupResults { ok: true, results: Vec::new(), daemon, diagnostics };
        let plan = Plan { active, wanted: settings.fleet, daemon: settings.daemon, found };
        self.put_in_force(client, verb, groups, plan, reply);
    }

    fn put_in_force(
        &mut self,
        client: ClientId,
        verb: Verb,
        groups: &[String],
        plan: Plan,
        mut reply: v1::GroupResults,
    ) {
        let Plan { active, wanted, daemon, found } = plan;
        let all = groups.is_empty() || groups.iter().any(|group| group == "all");
        let chosen = |name: &String| all || groups.contains(name);
        let known =
            |name: &String| active.groups.iter().chain(&wanted.groups).any(|group| group.name == *name);
        for name in groups.iter().filter(|name| *name != "all" && !known(name)) {
            reply.results.push(result(name, GroupAction::NoSuchGroup, ""));
        }
        let mut waiting: Vec<(String, GroupAction)> = Vec::new();
        if verb == Verb::Update {
            waiting.extend(
                found.removed.iter().filter(|name| chosen(name)).map(|n| (n.clone(), GroupAction::Removed)),
            );
            let changed = found.changed.iter().map(|change| &change.name).filter(|name| chosen(name));
            waiting.extend(changed.map(|name| (name.clone(), GroupAction::Updated)));
        } else {
            let there = groups.iter().filter(|name| active.groups.iter().any(|group| group.name == **name));
            reply.results.extend(there.map(|name| result(name, GroupAction::AlreadyActive, "")));
        }
        waiting
            .extend(found.added.iter().filter(|name| chosen(name)).map(|n| (n.clone(), GroupAction::Added)));
        let is_live =
            |name: &String| found.changed.iter().any(|change| change.name == *name && is_live_change(change));
        let (live, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(name, action)| *action == GroupAction::Updated && is_live(name));
        // Before what needs no restart is changed: all of it or nothing.
        if let Err(why) = self.may_change_to(&target_of(active.clone(), wanted.clone(), &waiting)) {
            return self.refuse_update(Asker::Json { client, reply }, &why);
        }
        if verb == Verb::Update {
            self.change_daemon_live(&daemon);
        } else {
            reply.daemon.clear();
        }
        let mut changed = Vec::new();
        for (name, _) in live {
            let Some(group) = wanted.groups.iter().find(|group| group.name == name) else { continue };
            changed.extend(self.change_live(group.clone()));
            reply.results.push(result(&name, GroupAction::ChangedLive, ""));
        }
        if waiting.is_empty() {
            return self.send(client, &reply);
        }
        // What follows must find it as it is by then, or it would be restarted after all.
        let mut active = active;
        for group in changed {
            if let Some(known) = active.groups.iter_mut().find(|known| known.name == group.name) {
                *known = group;
            }
        }
        self.change_groups(Asker::Json { client, reply }, target_of(active, wanted, &waiting), waiting);
    }

    /// Puts one more group of the latest configuration in force for a call.
    pub(super) fn add_for(&mut self, call: CallId, group: &str) {
        let waiting = vec![(group.to_owned(), GroupAction::Added)];
        let target = target_of(self.core.fleet(), self.latest_fleet(), &waiting);
        self.change_groups(Asker::Call(call), target, waiting);
    }

    /// Takes a group out of force for a call.
    pub(super) fn remove_for(&mut self, call: CallId, group: &str) {
        self.take_away(Asker::Call(call), vec![(group.to_owned(), GroupAction::Removed)]);
    }

    /// Takes groups out of force; the configuration that was read last still has them.
    fn take_away(&mut self, asker: Asker, waiting: Vec<(String, GroupAction)>) {
        let fleet = self.core.fleet();
        let target = target_of(fleet.clone(), FleetSpec { groups: Vec::new() }, &waiting);
        if self.change_groups(asker, target, waiting) {
            self.latest.get_or_insert(fleet);
        }
    }

    /// Whether a process of a group is not stopped.
    pub(super) fn runs_any_of(&self, group: &str) -> bool {
        let runs = |id: &ProcessId| {
            self.core.process(*id).is_some_and(|process| !process.state().shown().is_stopped())
        };
        self.core.group(group).is_some_and(|group| group.processes().iter().any(runs))
    }

    /// Returns what the files said when they were last read.
    pub(super) fn latest_fleet(&self) -> FleetSpec {
        self.latest.clone().unwrap_or_else(|| self.core.fleet())
    }

    /// Takes in a configuration that was read for a call.
    pub(in crate::daemon) fn reread_for(&mut self, call: CallId, loaded: &Loaded) {
        self.note_config_state(loaded);
        let answer = rpc::reread_value(&self.core.fleet(), loaded);
        self.calls.complete(call, answer);
    }

    pub(super) fn answer_remove(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let asked: v1::Groups = body(request)?;
        let mut reply = v1::GroupResults { ok: true, ..v1::GroupResults::default() };
        let mut waiting = Vec::new();
        for name in &asked.groups {
            if self.core.group(name).is_none() {
                reply.results.push(result(name, GroupAction::NoSuchGroup, ""));
            } else if self.runs_any_of(name) {
                reply.results.push(result(name, GroupAction::StillRunning, "stop it first"));
            } else {
                waiting.push((name.clone(), GroupAction::Removed));
            }
        }
        if waiting.is_empty() {
            self.send(client, &reply);
            return Ok(());
        }
        self.take_away(Asker::Json { client, reply }, waiting);
        Ok(())
    }

    pub(super) fn answer_avail(&mut self, client: ClientId, _request: &Request) -> Result<(), ErrorReply> {
        let latest = self.latest_fleet();
        let mut processes = Vec::new();
        for group in &latest.groups {
            let in_use = self.core.group(&group.name).is_some();
            processes.extend(group.processes.iter().map(|process| v1::Available {
                group: group.name.clone(),
                name: process.name.clone(),
                namespec: names::join(&group.name, &process.name),
                in_use,
                autostart: process.autostart,
                group_priority: group.priority,
                priority: process.priority,
            }));
        }
        processes.sort_by(|a, b| (&a.name, &a.group).cmp(&(&b.name, &b.group)));
        self.send(client, &v1::Avail { processes });
        Ok(())
    }

    /// Remembers whether the files are good, for `status`.
    pub(in crate::daemon) fn note_config_state(&mut self, loaded: &Loaded) {
        self.config_state.problems = loaded.errors().map(ToString::to_string).collect();
        self.config_state.files = loaded.files.len();
        if let Some(settings) = &loaded.settings {
            self.latest = Some(settings.fleet.clone());
            self.latest_daemon = Some(Box::new(settings.daemon.clone()));
            if self.config_state.state == v1::ConfigState::Bad {
                self.set_config_state(v1::ConfigState::Ok);
            }
            self.compare_with_latest();
        } else {
            self.set_config_state(v1::ConfigState::Bad);
            let problems = self.config_state.problems.join("; ");
            self.record_note("", "config_bad", &problems);
            let text = "the configuration was read again and cannot be used; nothing was changed";
            self.log(Level::Warn, text);
        }
    }

    /// Whether what is in force is what the files said last, unless that had mistakes.
    pub(in crate::daemon) fn compare_with_latest(&mut self) {
        let Some(latest) = &self.latest else { return };
        if self.config_state.state == v1::ConfigState::Bad {
            return;
        }
        let mut differs = !diff::between(&self.core.fleet(), latest).is_empty();
        let latest = self.latest_daemon.as_deref().unwrap_or(&self.settings.daemon);
        let (live, restart): (Vec<_>, Vec<_>) = diff::daemon_change(&self.settings.daemon, latest)
            .into_iter()
            .partition(|(_, cost)| *cost == Reload::Live);
        differs |= !live.is_empty();
        self.config_state.waits_for_update = differs;
        self.config_state.waits_for_restart = restart.into_iter().map(|(key, _)| key.to_owned()).collect();
        let waits = differs || !self.config_state.waits_for_restart.is_empty();
        self.set_config_state(if waits { v1::ConfigState::Pending } else { v1::ConfigState::Ok });
    }

    /// Puts in force of `[supervisord]` what needs no restart of the daemon: what the rows call live.
    fn change_daemon_live(&mut self, wanted: &DaemonSpec) {
        if self.settings.daemon.loglevel != wanted.loglevel {
            self.settings.daemon.loglevel = wanted.loglevel;
            self.activity.set_level(wanted.loglevel);
            let fleet = self.core.fleet();
            self.store_fleet(&fleet);
            self.compare_with_latest();
        }
    }

    fn set_config_state(&mut self, state: v1::ConfigState) {
        if state != self.config_state.state {
            self.config_state.since_unix = super::show::unix(clock::wall());
        }
        self.config_state.state = state;
    }
}

/// What an update starts from.
struct Plan {
    active: FleetSpec,
    wanted: FleetSpec,
    daemon: DaemonSpec,
    found: diff::FleetDiff,
}

/// Returns what is in force once groups of the wanted fleet have taken the place of those that are.
fn target_of(active: FleetSpec, wanted: FleetSpec, waiting: &[(String, GroupAction)]) -> FleetSpec {
    let takes = |group: &GroupSpec| waiting.iter().any(|(known, _)| *known == group.name);
    let kept = active.groups.into_iter().filter(|group| !takes(group));
    FleetSpec { groups: kept.chain(wanted.groups.into_iter().filter(takes)).collect() }
}

pub(super) fn result(group: &str, action: GroupAction, text: &str) -> GroupResult {
    GroupResult { group: group.to_owned(), action, text: text.to_owned() }
}

/// Whether a group can be changed without touching what runs.
fn is_live_change(change: &diff::GroupChange) -> bool {
    let same = change.added.is_empty() && change.removed.is_empty();
    let keys = change.keys.iter().all(|key| diff::cost(key) == Reload::Live);
    same && keys && change.changed.iter().all(|process| process.reload == Reload::Live)
}

fn changed_group(change: &diff::GroupChange) -> ChangedGroup {
    let processes = change.changed.iter().map(|process| ChangedProcess {
        name: process.name.clone(),
        keys: process.keys.clone(),
        cost: cost(process.reload),
    });
    ChangedGroup { group: change.name.clone(), processes: processes.collect() }
}

fn changed_key((key, reload): (&'static str, Reload)) -> ChangedKey {
    ChangedKey { key: key.to_owned(), cost: cost(reload) }
}

fn cost(reload: Reload) -> Cost {
    match reload {
        Reload::Live => Cost::Live,
        Reload::Restart => Cost::Restart,
        Reload::Daemon => Cost::Daemon,
    }
}

fn shown(diagnostic: &Diagnostic) -> v1::Diagnostic {
    v1::Diagnostic {
        severity: diagnostic.severity.word().to_owned(),
        file: diagnostic.place.file.display().to_string(),
        line: diagnostic.place.line as usize,
        section: diagnostic.section.clone(),
        key: diagnostic.key.clone(),
        what: diagnostic.what.clone(),
        hint: diagnostic.hint.clone(),
    }
}

impl Reactor {
    /// Changes what the configuration says of a group whose processes run on.
    fn change_live(&mut self, mut group: GroupSpec) -> Option<GroupSpec> {
        let active = self.core.group(&group.name)?.spec().clone();
        for process in &mut group.processes {
            let Some(old) = active.processes.iter().find(|old| old.name == process.name) else { continue };
            let process = Arc::make_mut(process);
            // The AUTO files that are in use stay.
            for (new, old) in [(&mut process.stdout, &old.stdout), (&mut process.stderr, &old.stderr)] {
                if let (LogTarget::Auto(path @ None), LogTarget::Auto(known)) =
                    (&mut new.logfile, &old.logfile)
                {
                    path.clone_from(known);
                }
            }
        }
        self.afterwards.relog.push(group.name.clone());
        self.record_note("", "group_changed", &format!("{}, without a restart", group.name));
        self.inputs.push_back(Input::GroupRespecified(group.clone()));
        Some(group)
    }

    /// Opens the logs of running processes again whose limits were changed.
    pub(in crate::daemon) fn relog_changed(&mut self) {
        let changed = std::mem::take(&mut self.afterwards.relog);
        if changed.is_empty() {
            return;
        }
        self.compare_with_latest();
        self.observe_again(true);
        for name in changed {
            let members = self.core.group(&name).map(|group| group.processes().to_vec()).unwrap_or_default();
            for process in members {
                let Some(spec) = self.core.process(process).map(|process| process.spec().clone()) else {
                    continue;
                };
                let Some(run) = self.core.process(process).and_then(crate::core::Process::run) else {
                    continue;
                };
                let sinks = self.open_logs(&spec);
                let Some(live) = self.runs.table.get_mut(&run) else { continue };
                for old in std::mem::replace(&mut live.sinks, sinks).into_iter().flatten() {
                    self.disk.close(old);
                }
            }
        }
        let fleet = self.core.fleet();
        self.store_fleet(&fleet);
    }
}
