//! reread, update, add, remove: what the files say now, and putting it in force where it differs.

use super::in_force::{Changes, target_of};
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
use crate::daemon::reactor::{Purpose, Reactor};
use crate::model::spec::{DaemonSpec, FleetSpec};
use crate::model::{Level, ProcessId};
use crate::sys::clock;

/// What a client wants to do with groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Verb {
    /// Only look.
    Reread,
    /// Put everything in force that differs.
    Update,
    /// Put new groups in force.
    Add,
    /// Tell what would be put in force, and change nothing.
    Plan,
    /// Put everything in force that differs, and tell what that is.
    Apply,
    /// Put these in force, because their files changed.
    Watched,
}

/// A wish that waits until a change is in force for which nobody asked.
#[derive(Debug)]
pub(in crate::daemon) struct Asked {
    pub(super) client: ClientId,
    pub(super) verb: Verb,
    pub(super) groups: Vec<String>,
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

    pub(super) fn answer_apply(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let asked: v1::ApplyRequest = body(request)?;
        let verb = if asked.dry_run { Verb::Plan } else { Verb::Apply };
        self.read_for(client, verb, asked.groups)
    }

    fn read_for(&mut self, client: ClientId, verb: Verb, groups: Vec<String>) -> Result<(), ErrorReply> {
        // Told now, not when the files have been read; then it is asked again.
        match self.may_change_groups() {
            Err(Obstacle::Busy) if matches!(verb, Verb::Reread | Verb::Plan) => {}
            Err(Obstacle::Busy) if self.is_busy_unasked() => {
                self.hot.asked.push(Asked { client, verb, groups });
                return Ok(());
            }
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
        let changes = Changes::between(self, settings);
        if verb == Verb::Reread {
            let changed = changes.found.changed.iter().map(changed_group).collect();
            let diff::FleetDiff { added, removed, .. } = changes.found;
            let reply = v1::Reread { ok: true, added, changed, removed, daemon: changes.keys, diagnostics };
            return self.send(client, &reply);
        }
        let reply = v1::GroupResults { ok: true, diagnostics, ..v1::GroupResults::default() };
        self.put_in_force(client, verb, groups, changes, reply);
    }

    /// Puts one more group of the latest configuration in force for a call.
    pub(super) fn add_for(&mut self, call: CallId, group: &str) {
        let waiting = vec![(group.to_owned(), GroupAction::Added)];
        let target = target_of(self.core.fleet(), self.latest_fleet(), &waiting);
        self.change_groups(Asker::Call(call), target, waiting, Vec::new());
    }

    /// Takes a group out of force for a call.
    pub(super) fn remove_for(&mut self, call: CallId, group: &str) {
        self.take_away(Asker::Call(call), vec![(group.to_owned(), GroupAction::Removed)]);
    }

    /// Takes groups out of force; the configuration that was read last still has them.
    fn take_away(&mut self, asker: Asker, waiting: Vec<(String, GroupAction)>) {
        let fleet = self.core.fleet();
        let target = target_of(fleet.clone(), FleetSpec { groups: Vec::new() }, &waiting);
        if self.change_groups(asker, target, waiting, Vec::new()) {
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
        let known = std::mem::take(&mut self.config_state.problems);
        self.config_state.problems = loaded.errors().map(ToString::to_string).collect();
        self.config_state.files = loaded.files.len();
        if let Some(settings) = &loaded.settings {
            self.hot.note_origins(&self.core.fleet(), &settings.fleet);
            self.latest = Some(settings.fleet.clone());
            self.latest_daemon = Some(Box::new(settings.daemon.clone()));
            if self.config_state.state == v1::ConfigState::Bad {
                self.set_config_state(v1::ConfigState::Ok);
            }
            self.compare_with_latest();
        } else if self.config_state.problems != known {
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
        let active = self.core.fleet();
        let found = diff::between(&active, latest);
        self.config_state.pending = pending(&active, latest, &found);
        let mut differs = !found.is_empty();
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
    pub(super) fn change_daemon_live(&mut self, wanted: &DaemonSpec) {
        let own = &mut self.settings.daemon;
        if own.loglevel != wanted.loglevel || own.delegates != wanted.delegates {
            own.loglevel = wanted.loglevel;
            own.delegates.clone_from(&wanted.delegates);
            self.activity.set_level(wanted.loglevel);
            self.open_share(None);
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

/// Returns the processes that an update would change, bring or take away, as they are shown.
fn pending(active: &FleetSpec, latest: &FleetSpec, found: &diff::FleetDiff) -> Vec<String> {
    let mut names = Vec::new();
    for (fleet, groups) in [(latest, &found.added), (active, &found.removed)] {
        let members = fleet.groups.iter().filter(|group| groups.contains(&group.name));
        names.extend(members.flat_map(|group| &group.processes).map(|it| names::join(&it.group, &it.name)));
    }
    for change in &found.changed {
        let changed = change.changed.iter().map(|process| &process.name);
        let members = changed.chain(&change.added).chain(&change.removed);
        names.extend(members.map(|name| names::join(&change.name, name)));
    }
    names.sort();
    names
}

pub(super) fn result(group: &str, action: GroupAction, text: &str) -> GroupResult {
    GroupResult { group: group.to_owned(), action, text: text.to_owned() }
}

fn changed_group(change: &diff::GroupChange) -> ChangedGroup {
    let processes = change.changed.iter().map(|process| ChangedProcess {
        name: process.name.clone(),
        keys: process.keys.clone(),
        cost: cost(process.reload),
    });
    ChangedGroup { group: change.name.clone(), processes: processes.collect() }
}

pub(super) fn changed_key((key, reload): (&'static str, Reload)) -> ChangedKey {
    ChangedKey { key: key.to_owned(), cost: cost(reload) }
}

pub(super) fn cost(reload: Reload) -> Cost {
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
