//! What of a change is put in force by itself, and what waits: nothing is stopped by accident.
//!
//! Pure decisions about two fleets and what is known of the files; must not know where files are, nor clocks.
//! Example: all files of `conf.d` are gone, so [`judge`] holds every removal back until somebody says `apply`.

use super::diff::{self, FleetDiff, GroupChange};
use super::keys::Reload;
use crate::model::spec::{ApplyMode, FleetSpec, GroupKind, GroupSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// How long in milliseconds a file must be gone, or empty, before its programs stop: editors, `git checkout` and
/// package managers take files away and bring them back.
pub const GONE_MS: u64 = 5_000;

/// Fewest programs whose stop at once can be an accident worth asking about.
pub const MANY_MIN: usize = 3;

/// How a change of a group that stays is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// No process is touched.
    Live,
    /// Processes come, go, and these are restarted; the others run on.
    Part(Vec<String>),
    /// It is stopped, replaced and started.
    Whole,
}

/// Returns how a change of a group is carried out.
#[must_use]
pub fn way(change: &GroupChange, old: &GroupSpec, new: &GroupSpec) -> Way {
    let waits = |name: &str| new.processes.iter().any(|spec| spec.name == name && !spec.restart_on_change);
    let restart: Vec<String> = change
        .changed
        .iter()
        .filter(|process| process.reload != Reload::Live && !waits(&process.name))
        .map(|process| process.name.clone())
        .collect();
    let is_same = change.added.is_empty() && change.removed.is_empty();
    let keys_are_live = change.keys.iter().all(|key| diff::cost(key) == Reload::Live);
    if is_same && restart.is_empty() && keys_are_live {
        return Way::Live;
    }
    let is_plain = old.kind == GroupKind::Program && new.kind == GroupKind::Program;
    let touched = restart.len() + change.removed.len();
    let keys_fit = change.keys.iter().all(|key| *key == "programs" || diff::cost(key) == Reload::Live);
    if is_plain && keys_fit && touched < old.processes.len() { Way::Part(restart) } else { Way::Whole }
}

/// Why a change of a group waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its file has only just gone, or is only just empty.
    Gone,
    /// Its directory has no file any more, or cannot be read.
    Emptied(PathBuf),
    /// It is one of many that would stop: how many, of how many that run.
    Many(usize, usize),
    /// `apply=live`, and a process would be touched.
    Live,
}

impl Reason {
    /// Whether somebody has to say so; what has only just gone waits for the time to pass.
    #[must_use]
    pub fn needs_word(&self) -> bool {
        *self != Reason::Gone
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Gone => f.write_str("its file has just gone"),
            Reason::Emptied(directory) => {
                write!(f, "{} has no configuration any more", directory.display())
            }
            Reason::Many(stops, running) => {
                write!(f, "{stops} of {running} running programs would be stopped")
            }
            Reason::Live => f.write_str("running programs would be touched (apply=live)"),
        }
    }
}

/// What is known when a change is judged.
pub struct Situation<'a> {
    /// `[visor] apply=`.
    pub mode: ApplyMode,
    /// What is in force.
    pub active: &'a FleetSpec,
    /// What the files say.
    pub wanted: &'a FleetSpec,
    /// The difference.
    pub found: &'a FleetDiff,
    /// Files that are there and not empty.
    pub files: &'a BTreeSet<PathBuf>,
    /// The files that a group in force was read from.
    pub origins: &'a BTreeMap<String, BTreeSet<PathBuf>>,
    /// For how many milliseconds the files of groups have been gone; a group that is not in it went just now.
    pub gone_ms: &'a BTreeMap<String, u64>,
    /// Whether a process runs, by group and name.
    pub runs: &'a dyn Fn(&str, &str) -> bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Groups whose change waits, by name.
    pub held: BTreeMap<String, Reason>,
    /// Groups whose files are gone.
    pub gone: BTreeSet<String>,
    /// In how many milliseconds the next of them is gone long enough.
    pub again_ms: Option<u64>,
}

/// Judges which groups of a change have to wait.
#[must_use]
pub fn judge(situation: &Situation<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for name in &situation.found.removed {
        match removal(situation, name) {
            Some((Reason::Gone, rest)) => {
                verdict.again_ms = Some(verdict.again_ms.map_or(rest, |known| known.min(rest)));
                verdict.gone.insert(name.clone());
                verdict.held.insert(name.clone(), Reason::Gone);
            }
            Some((reason, _)) => drop(verdict.held.insert(name.clone(), reason)),
            None => {}
        }
        if situation.is_gone(name) {
            verdict.gone.insert(name.clone());
        }
    }
    if situation.mode == ApplyMode::Live {
        for name in situation.touched() {
            verdict.held.insert(name.to_owned(), Reason::Live);
        }
    }
    hold_many(situation, &mut verdict);
    verdict
}

/// Returns why a group that the files have no more does not go yet, and for how many milliseconds.
fn removal(situation: &Situation<'_>, name: &str) -> Option<(Reason, u64)> {
    if !situation.is_gone(name) {
        return None;
    }
    let directories = situation.origins.get(name)?.iter().filter_map(|file| file.parent());
    let is_empty = |directory: &&Path| situation.files.iter().all(|file| file.parent() != Some(directory));
    if let Some(directory) = directories.into_iter().find(is_empty) {
        return Some((Reason::Emptied(directory.to_path_buf()), 0));
    }
    let rest = GONE_MS.saturating_sub(situation.gone_ms.get(name).copied().unwrap_or(0));
    (rest > 0).then_some((Reason::Gone, rest))
}

/// Holds everything back that stops something, where that is most of what runs.
fn hold_many(situation: &Situation<'_>, verdict: &mut Verdict) {
    let stopping: Vec<(&str, usize)> = situation
        .touched()
        .into_iter()
        .filter(|name| !verdict.held.get(*name).is_some_and(Reason::needs_word))
        .map(|name| (name, situation.stops_of(name)))
        .collect();
    let stops: usize = stopping.iter().map(|(_, stops)| stops).sum();
    let running: usize =
        situation.active.groups.iter().map(|group| situation.running_of(group).count()).sum();
    if stops < MANY_MIN || stops * 2 <= running {
        return;
    }
    for (name, _) in stopping.into_iter().filter(|(_, stops)| *stops > 0) {
        verdict.held.insert(name.to_owned(), Reason::Many(stops, running));
    }
}

impl Situation<'_> {
    /// Whether all files of a group are gone or empty.
    fn is_gone(&self, name: &str) -> bool {
        let origins = self.origins.get(name).filter(|files| !files.is_empty());
        origins.is_some_and(|files| files.iter().all(|file| !self.files.contains(file)))
    }

    /// Returns the groups of the change in which a process may be stopped.
    fn touched(&self) -> Vec<&str> {
        let changed = self.found.changed.iter().filter(|change| self.way_of(change) != Way::Live);
        let changed = changed.map(|change| change.name.as_str());
        self.found.removed.iter().map(String::as_str).chain(changed).collect()
    }

    fn group<'a>(fleet: &'a FleetSpec, name: &str) -> Option<&'a GroupSpec> {
        fleet.groups.iter().find(|group| group.name == name)
    }

    fn way_of(&self, change: &GroupChange) -> Way {
        match (Self::group(self.active, &change.name), Self::group(self.wanted, &change.name)) {
            (Some(old), Some(new)) => way(change, old, new),
            _ => Way::Whole,
        }
    }

    fn running_of<'a>(&'a self, group: &'a GroupSpec) -> impl Iterator<Item = &'a str> {
        let names = group.processes.iter().map(|process| process.name.as_str());
        names.filter(|name| (self.runs)(&group.name, name))
    }

    /// Counts the running processes of a group that the change stops, be it for a moment.
    fn stops_of(&self, name: &str) -> usize {
        let Some(old) = Self::group(self.active, name) else { return 0 };
        let change = self.found.changed.iter().find(|change| change.name == name);
        match change.map(|change| (change, self.way_of(change))) {
            Some((_, Way::Live)) => 0,
            Some((change, Way::Part(restart))) => {
                let ends = |name: &&str| restart.iter().chain(&change.removed).any(|known| known == name);
                self.running_of(old).filter(ends).count()
            }
            Some((_, Way::Whole)) | None => self.running_of(old).count(),
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
