//! A change of the configuration's files takes effect by itself, as far as that stops nothing by accident.
//!
//! When to read is decided here, what of it waits by [`crate::config::guard`]. While nothing changes no timer runs,
//! but where files cannot be watched. Example: `tend_config(now)` in every turn of the reactor.

use super::config_watch::{ConfigWatch, Looked, Reading, Shared};
use super::control::{Asked, Verb};
use super::reactor::{Job, Reactor};
use crate::config::guard::{self, Reason, Situation, Verdict};
use crate::config::{Loaded, diff};
use crate::model::spec::{ApplyMode, FleetSpec};
use crate::model::{Level, Time};
use crate::sys::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long nothing must change before files are read: an editor's save is several steps, a checkout many.
const QUIET: Duration = Duration::from_millis(200);

/// How long changes that never pause are waited out.
const LOUD_MAX: Duration = Duration::from_secs(3);

/// How long a writer may keep a file open without writing before what it wrote is read all the same.
const WRITING_MAX: Duration = Duration::from_secs(5);

/// How often files are looked at that cannot be watched.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How soon after the start files are read for the first time: first the programs.
pub(super) const FIRST_READ_AFTER: Duration = Duration::from_millis(500);

/// What the disk worker is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Read,
    Look,
}

/// The files, where they are watched.
struct Files {
    watch: Arc<Mutex<ConfigWatch>>,
    shared: Arc<Shared>,
}

/// What is known of the files and of changes that wait.
#[derive(Default)]
pub(super) struct HotReload {
    files: Option<Files>,
    /// When they are read, and when they are looked at.
    read_at: Option<Time>,
    look_at: Option<Time>,
    /// When the first and the last change came that is not read yet.
    first_change: Option<Time>,
    last_change: Time,
    is_busy: bool,
    /// Whether they are read when the update that is under way is done.
    pub(super) waits: bool,
    /// What clients want when the change that is under way is in force.
    pub(super) asked: Vec<Asked>,
    /// What was said of files that cannot be watched.
    said: Option<String>,
    held: BTreeMap<String, Reason>,
    /// Since when the files of groups have been gone.
    gone: BTreeMap<String, Time>,
    /// The files from which groups in force were read last.
    origins: BTreeMap<String, BTreeSet<PathBuf>>,
}

impl HotReload {
    /// Returns when there is something to do, whatever happens until then.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let is_idle = self.files.is_some() && !self.is_busy;
        [self.read_at, self.look_at].into_iter().flatten().min().filter(|_| is_idle)
    }

    fn changed(&mut self, now: Time) {
        let first = *self.first_change.get_or_insert(now);
        self.last_change = now;
        self.read_at = Some(now.after(QUIET).min(first.after(LOUD_MAX)));
    }

    fn tick(&mut self, now: Time) -> Option<Step> {
        let files = self.files.as_ref()?;
        let is_written = files.shared.is_being_written();
        if files.shared.take() {
            self.changed(now);
        }
        if self.is_busy {
            return None;
        }
        if self.read_at.is_some_and(|due| due <= now) {
            let patience = self.last_change.after(WRITING_MAX);
            if is_written && now < patience {
                self.read_at = Some(patience);
                return None;
            }
            (self.read_at, self.first_change, self.is_busy) = (None, None, true);
            return Some(Step::Read);
        }
        if self.look_at.is_some_and(|due| due <= now) {
            (self.look_at, self.is_busy) = (None, true);
            return Some(Step::Look);
        }
        None
    }

    /// Notes where groups come from; of one that the files have no more, where it came from.
    pub(super) fn note_origins(&mut self, active: &FleetSpec, latest: &FleetSpec) {
        let mut origins: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
        for group in active.groups.iter().chain(&latest.groups) {
            let files = group.processes.iter().map(|process| process.place.file.clone()).collect();
            origins.insert(group.name.clone(), files);
        }
        let is_gone = |name: &String| latest.groups.iter().all(|group| group.name != *name);
        for (name, files) in std::mem::take(&mut self.origins) {
            if let Some(known) = origins.get_mut(&name).filter(|_| is_gone(&name)) {
                *known = files;
            }
        }
        self.origins = origins;
    }

    /// Forgets what waits, because somebody put these groups in force, or all.
    pub(super) fn release(&mut self, is_chosen: impl Fn(&String) -> bool) {
        self.held.retain(|name, _| !is_chosen(name));
        self.gone.retain(|name, _| !is_chosen(name));
    }

    /// Returns what waits, a line each: programs that wait for the same reason share it.
    pub(super) fn waiting(&self) -> Vec<String> {
        let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, reason) in &self.held {
            by_reason.entry(reason.to_string()).or_default().push(name);
        }
        by_reason.into_iter().map(|(reason, names)| format!("{}: {reason}", names.join(" "))).collect()
    }

    /// Returns why the change of a group waits.
    pub(super) fn why_held(&self, group: &str) -> Option<String> {
        self.held.get(group).map(ToString::to_string)
    }

    /// Takes in what may be applied and what waits; returns whether what waits for somebody's word differs.
    fn hold(&mut self, verdict: Verdict, now: Time) -> bool {
        self.gone.retain(|name, _| verdict.gone.contains(name));
        for name in verdict.gone {
            self.gone.entry(name).or_insert(now);
        }
        if let Some(ms) = verdict.again_ms {
            let due = now.after(Duration::from_millis(ms));
            self.read_at = Some(self.read_at.map_or(due, |known| known.min(due)));
        }
        let is_new =
            verdict.held.iter().any(|(name, why)| why.needs_word() && self.held.get(name) != Some(why));
        self.held = verdict.held;
        is_new
    }
}

impl Reactor {
    /// Watches the files, or stops to, as `[visor] apply` wants it; reads them after a while.
    pub(super) fn watch_config(&mut self, after: Duration) {
        if self.settings.apply == ApplyMode::Manual {
            let HotReload { origins, asked, .. } = std::mem::take(&mut self.hot);
            self.hot = HotReload { origins, asked, ..HotReload::default() };
            self.config_state.waits_for_apply.clear();
            return;
        }
        let fleet = self.core.fleet();
        self.hot.note_origins(&fleet, &fleet);
        if self.hot.files.is_none() {
            let waker = Arc::clone(&self.waker);
            let (watch, shared) = ConfigWatch::new(Arc::new(move || drop(waker.wake())));
            self.hot.files = Some(Files { watch: Arc::new(Mutex::new(watch)), shared });
        }
        self.hot.read_at = Some(clock::now().after(after));
    }

    /// Takes over when changes take effect, where that differs.
    pub(super) fn take_apply_mode(&mut self, mode: ApplyMode) {
        if self.settings.apply == mode {
            return;
        }
        self.settings.apply = mode;
        let fleet = self.core.fleet();
        self.store_fleet(&fleet);
        self.watch_config(Duration::ZERO);
    }

    /// Reads the files where they changed and stand still by now. Costs next to nothing when they did not.
    pub(super) fn tend_config(&mut self, now: Time) {
        let step = self.hot.tick(now);
        let (Some(step), Some(files)) = (step, &self.hot.files) else { return };
        let watch = Arc::clone(&files.watch);
        let locked = move || watch;
        match step {
            Step::Look => self.disk.run(Box::new(move || {
                Job::ConfigLooked(locked().lock().unwrap_or_else(PoisonError::into_inner).look())
            })),
            Step::Read => {
                let request = self.config_request();
                self.disk.run(Box::new(move || {
                    let reading = locked().lock().unwrap_or_else(PoisonError::into_inner).read(&request);
                    Job::ConfigRead(Box::new(reading))
                }));
            }
        }
    }

    /// Takes in a look at files that cannot be watched.
    pub(super) fn config_looked(&mut self, looked: Looked) {
        self.hot.is_busy = false;
        let now = clock::now();
        match looked {
            Looked::Changed => self.hot.read_at = Some(now),
            Looked::Changing => self.hot.look_at = Some(now.after(QUIET)),
            Looked::Same => self.hot.look_at = Some(now.after(LOOK_EVERY)),
        }
    }

    /// Takes in files that were read because they changed.
    pub(super) fn config_read(&mut self, reading: Reading) {
        self.hot.is_busy = false;
        if self.hot.files.is_none() {
            return;
        }
        let now = clock::now();
        self.trim_later();
        self.say_unwatched(reading.trouble, now);
        if !reading.is_stable {
            return self.hot.changed(now);
        }
        if self.core.phase() != crate::core::Phase::Running {
            return;
        }
        if self.may_change_groups().is_err() {
            self.hot.waits = true;
            return;
        }
        self.apply_changes(reading.loaded, &reading.present, now);
    }

    /// Says once that files cannot be watched, and looks at them from time to time.
    fn say_unwatched(&mut self, trouble: Option<String>, now: Time) {
        self.hot.look_at = trouble.as_ref().map(|_| now.after(LOOK_EVERY));
        if let Some(trouble) = trouble
            && self.hot.said.as_ref() != Some(&trouble)
        {
            let every = LOOK_EVERY.as_secs();
            let text = format!("{trouble}; the configuration is looked at every {every} s instead");
            self.log(Level::Warn, &text);
            self.hot.said = Some(trouble);
        }
    }

    /// Puts of a change in force what may be, and holds back the rest.
    fn apply_changes(&mut self, loaded: Loaded, present: &BTreeSet<PathBuf>, now: Time) {
        let known = std::mem::take(&mut self.config_state.problems);
        let is_news = loaded.errors().map(ToString::to_string).ne(known.iter().cloned());
        self.config_state.problems = known;
        if is_news {
            self.log_diagnostics(&loaded);
        }
        self.note_config_state(&loaded);
        let Some(settings) = &loaded.settings else { return };
        let active = self.core.fleet();
        let found = diff::between(&active, &settings.fleet);
        let elapsed = |since: &Time| u64::try_from(now.since(*since).as_millis()).unwrap_or(u64::MAX);
        let gone_ms = self.hot.gone.iter().map(|(name, since)| (name.clone(), elapsed(since))).collect();
        let runs = |group: &str, name: &str| {
            let process = self.core.find(group, name).and_then(|id| self.core.process(id));
            process.is_some_and(|process| process.state().shown().is_running())
        };
        let verdict = guard::judge(&Situation {
            mode: settings.apply,
            active: &active,
            wanted: &settings.fleet,
            found: &found,
            files: present,
            origins: &self.hot.origins,
            gone_ms: &gone_ms,
            runs: &runs,
        });
        let all = found.removed.iter().chain(found.changed.iter().map(|change| &change.name));
        let chosen: Vec<String> = all
            .chain(&found.added)
            .filter(|name| settings.apply != ApplyMode::Manual && !verdict.held.contains_key(*name))
            .cloned()
            .collect();
        if self.hot.hold(verdict, now) {
            let waiting = self.hot.waiting().join("; ");
            self.log(
                Level::Warn,
                &format!("a change of the configuration waits for visorctl apply: {waiting}"),
            );
        }
        self.config_state.waits_for_apply = self.hot.waiting();
        self.put_changes_in_force(Verb::Watched, &chosen, loaded);
    }

    /// Goes on with a change that had to wait for another one.
    pub(super) fn read_waiting_change(&mut self) {
        if self.hot.waits && self.may_change_groups().is_ok() {
            self.hot.waits = false;
            self.hot.read_at = Some(clock::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> HotReload {
        let (watch, shared) = ConfigWatch::new(Arc::new(|| {}));
        let files = Some(Files { watch: Arc::new(Mutex::new(watch)), shared });
        HotReload { files, ..HotReload::default() }
    }

    fn ms(ms: u64) -> Time {
        Time(1_000_000_000).after(Duration::from_millis(ms))
    }

    #[test]
    fn files_are_read_once_when_they_are_quiet_and_no_timer_runs_before_a_change() {
        let mut hot = watched();
        assert_eq!((hot.tick(ms(0)), hot.next_deadline()), (None, None));
        hot.changed(ms(0));
        hot.changed(ms(150));
        assert_eq!((hot.tick(ms(200)), hot.next_deadline()), (None, Some(ms(350))));
        assert_eq!((hot.tick(ms(350)), hot.next_deadline()), (Some(Step::Read), None));
        hot.changed(ms(360));
        assert_eq!(hot.tick(ms(900)), None, "one reading at a time");
        hot.is_busy = false;
        assert_eq!(hot.tick(ms(900)), Some(Step::Read));
    }

    #[test]
    fn changes_without_end_are_read_in_between() {
        let mut hot = watched();
        let mut at = 0;
        while hot.tick(ms(at)).is_none() {
            hot.changed(ms(at));
            at += 100;
        }
        assert_eq!(ms(at), ms(0).after(LOUD_MAX));
    }

    #[test]
    fn what_waits_is_told_by_its_reason() {
        let mut hot = watched();
        let held = BTreeMap::from([
            ("a".to_owned(), Reason::Live),
            ("b".to_owned(), Reason::Gone),
            ("c".to_owned(), Reason::Live),
        ]);
        let verdict = Verdict { held, gone: BTreeSet::from(["b".to_owned()]), again_ms: Some(5_000) };
        assert!(hot.hold(verdict.clone(), ms(0)));
        assert!(!hot.hold(verdict, ms(10)), "it was said");
        assert_eq!((hot.gone["b"], hot.next_deadline()), (ms(0), Some(ms(5_000))));
        assert_eq!(hot.waiting().len(), 2);
        assert!(hot.waiting().iter().any(|line| line.starts_with("a c: ")), "{:?}", hot.waiting());
        hot.release(|_| true);
        assert!(hot.waiting().is_empty() && hot.gone.is_empty());
    }
}
