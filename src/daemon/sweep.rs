//! What is left of a run's tree: found by session, tag and parentage, counted, and signalled when asked.
//!
//! Orphans become children of the keeper, so one look at the keeper's children serves all runs of a turn.
//! What bears neither the run's session nor its tag is nobody's we know, and is never signalled.

use crate::model::{Pid, RunId, Signal};
use crate::sys::{process, tree};
use std::collections::{BTreeMap, BTreeSet};

/// A run whose tree is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The run.
    pub(super) run: RunId,
    /// Its main process, which led the session; it may have gone.
    pub(super) main: Pid,
    /// Whether the main process still lives: it and its descendants are the tree, then.
    pub(super) main_alive: bool,
    /// What to send to everything found but the main process.
    pub(super) signal: Option<Signal>,
}

/// Looks for the trees of several runs at once.
pub(super) struct Sweeper<'a> {
    /// The parent of orphans.
    pub(super) keeper: Pid,
    /// Whether orphans may have another parent: where there is no subreaper, or a keeper was lost.
    pub(super) scattered: bool,
    /// Main processes of all runs, and the reactor: they are no left-overs.
    pub(super) known: &'a BTreeSet<Pid>,
    /// The tag of a run.
    pub(super) tag: &'a dyn Fn(RunId) -> String,
}

impl Sweeper<'_> {
    /// Returns for each target the processes of its tree, the main one left out, and signals them as asked.
    pub(super) fn sweep(&self, targets: &[Target], orphans: &[tree::Entry]) -> BTreeMap<RunId, Vec<Pid>> {
        let mut found = BTreeMap::new();
        for target in targets {
            let mut roots: Vec<Pid> =
                orphans.iter().filter(|o| self.belongs(o, target)).map(|o| o.pid).collect();
            if target.main_alive {
                roots.push(target.main);
            }
            let tree = if roots.is_empty() { Vec::new() } else { tree::descend(&roots) };
            let members = self.members(&tree, target, orphans);
            if let Some(signal) = target.signal {
                members.iter().for_each(|entry| process::kill_checked(entry, signal));
            }
            found.insert(target.run, members.into_iter().map(|entry| entry.pid).collect());
        }
        found
    }

    /// Returns what is left of a tree, each as it was when it was seen to belong there: an orphan by its mark, the
    /// others by their parents. A number that another process has got since proves nothing.
    fn members(&self, tree: &[Pid], target: &Target, orphans: &[tree::Entry]) -> Vec<tree::Entry> {
        let pids: BTreeSet<Pid> = tree.iter().copied().collect();
        let proven = |pid: &Pid| -> Option<tree::Entry> {
            let orphan = orphans.iter().find(|orphan| orphan.pid == *pid && self.belongs(orphan, target));
            orphan.copied().or_else(|| {
                let now = tree::entry(*pid)?;
                (pids.contains(&now.parent) || self.belongs(&now, target)).then_some(now)
            })
        };
        let strangers = tree.iter().filter(|pid| **pid != target.main && !self.known.contains(pid));
        strangers.filter_map(proven).filter(|entry| !entry.zombie).collect()
    }

    /// Returns what became the keeper's child without being the main process of a run.
    pub(super) fn orphans(&self) -> Vec<tree::Entry> {
        let all = if self.scattered { tree::all() } else { tree::children_of_one_thread(self.keeper) };
        let unknown = all.into_iter().filter(|pid| !self.known.contains(pid) && *pid != self.keeper);
        unknown.filter_map(tree::entry).filter(|entry| !entry.zombie).collect()
    }

    fn belongs(&self, orphan: &tree::Entry, target: &Target) -> bool {
        let tagged = || tree::tag(orphan.pid).is_some_and(|tag| tag == (self.tag)(target.run));
        orphan.session == target.main || tagged()
    }
}

/// Orphans that were looked at once: those that are nobody's we know are told of, and that once.
#[derive(Default)]
pub(super) struct Strays {
    seen: BTreeSet<(Pid, u64)>,
}

impl Strays {
    /// Takes in the orphans of the moment, and returns those that are new and bear no mark of a run: no tag that
    /// begins with the daemon's `token`, and no session that one of the `known` processes leads.
    pub(super) fn new_ones(
        &mut self,
        orphans: &[tree::Entry],
        token: &str,
        known: &BTreeSet<Pid>,
    ) -> Vec<tree::Entry> {
        let key = |orphan: &tree::Entry| (orphan.pid, orphan.started_ticks);
        let now: BTreeSet<_> = orphans.iter().map(key).collect();
        let is_stray = |orphan: &&tree::Entry| {
            !self.seen.contains(&key(orphan))
                && !known.contains(&orphan.session)
                && tree::tag(orphan.pid).is_none_or(|tag| !tag.starts_with(token))
        };
        let strays = orphans.iter().filter(is_stray).copied().collect();
        // Never more than there are orphans.
        self.seen = now;
        strays
    }
}
