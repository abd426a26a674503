//! What is left of a run's tree: found by session, tag and parentage, counted, and signalled when asked.
//!
//! Orphans become children of the keeper, so one look at the keeper's children serves all runs of a turn.
//! What bears neither the run's session nor its tag is nobody's we know, and is never signalled.

use crate::model::{Pid, RunId, Signal};
use crate::sys::{process, tree};
use std::cell::OnceCell;
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

/// What became the keeper's child without being the main process of a run that we know of.
pub(super) struct Orphan {
    /// What the process table says of it.
    pub(super) entry: tree::Entry,
    /// The mark that it bears, read once for all runs that it may belong to.
    mark: OnceCell<Option<String>>,
}

impl Orphan {
    fn new(entry: tree::Entry) -> Orphan {
        Orphan { entry, mark: OnceCell::new() }
    }

    fn mark(&self) -> Option<&str> {
        self.mark.get_or_init(|| tree::tag(self.entry.pid)).as_deref()
    }
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
    pub(super) fn sweep(&self, targets: &[Target], orphans: &[Orphan]) -> BTreeMap<RunId, Vec<Pid>> {
        let mut found = BTreeMap::new();
        for target in targets {
            let mut roots: Vec<Pid> =
                orphans.iter().filter(|o| self.belongs(o, target)).map(|o| o.entry.pid).collect();
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
    fn members(&self, tree: &[Pid], target: &Target, orphans: &[Orphan]) -> Vec<tree::Entry> {
        let pids: BTreeSet<Pid> = tree.iter().copied().collect();
        let proven = |pid: &Pid| -> Option<tree::Entry> {
            let orphan =
                orphans.iter().find(|orphan| orphan.entry.pid == *pid && self.belongs(orphan, target));
            orphan.map(|orphan| orphan.entry).or_else(|| {
                let now = Orphan::new(tree::entry(*pid)?);
                (pids.contains(&now.entry.parent) || self.belongs(&now, target)).then_some(now.entry)
            })
        };
        let strangers = tree.iter().filter(|pid| **pid != target.main && !self.known.contains(pid));
        strangers.filter_map(proven).filter(|entry| !entry.zombie).collect()
    }

    /// Returns what became the keeper's child without being the main process of a run.
    pub(super) fn orphans(&self) -> Vec<Orphan> {
        let all = if self.scattered { tree::all() } else { tree::children_of_one_thread(self.keeper) };
        let unknown = all.into_iter().filter(|pid| !self.known.contains(pid) && *pid != self.keeper);
        unknown.filter_map(tree::entry).filter(|entry| !entry.zombie).map(Orphan::new).collect()
    }

    fn belongs(&self, orphan: &Orphan, target: &Target) -> bool {
        let is_marked = || orphan.mark().is_some_and(|mark| mark == (self.tag)(target.run));
        orphan.entry.session == target.main || is_marked()
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
        orphans: &[Orphan],
        token: &str,
        known: &BTreeSet<Pid>,
    ) -> Vec<tree::Entry> {
        let key = |orphan: &Orphan| (orphan.entry.pid, orphan.entry.started_ticks);
        let now: BTreeSet<_> = orphans.iter().map(key).collect();
        let is_stray = |orphan: &&Orphan| {
            !self.seen.contains(&key(orphan))
                && !known.contains(&orphan.entry.session)
                && orphan.mark().is_none_or(|mark| !mark.starts_with(token))
        };
        let strays = orphans.iter().filter(is_stray).map(|orphan| orphan.entry).collect();
        // Never more than there are orphans.
        self.seen = now;
        strays
    }
}
