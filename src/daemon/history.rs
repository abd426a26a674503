//! The journal of what happened: a record for each change of state, of configuration, and of what was dropped.
//!
//! One file for the daemon and one rotated generation, `history-INSTANCE.jsonl` in the state directory; in the daemon
//! of one file it is in `childlogdir`, where one is named. A record is safe in a journaled buffer before the state that
//! it tells of is kept, so a death of the reactor loses none; what its successor then writes again the reader takes once
//! ([`history::read`]). A program that flaps cannot push out the others: it has an allowance. Example:
//! `reactor.record(&transition)`.

use super::control::{actor_text, unix};
use super::reactor::Reactor;
use crate::api::names;
use crate::api::v1::history::{self, Entry};
use crate::core::Transition;
use crate::logs::lines::Lines;
use crate::logs::sink::{SinkId, SinkSpec};
use crate::logs::times;
use crate::logs::writer::Note;
use crate::model::spec::{Settings, StreamSpec};
use crate::model::{Instance, Level, State, Time, WallTime};
use crate::sys::clock;
use crate::sys::open::OpenError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Size in bytes at which the journal becomes the older generation: some 20,000 records, and as many in the other one.
const JOURNAL_MAX_BYTES: u64 = 4 << 20;

/// Rotated generations that are kept.
pub(super) const GENERATIONS: u32 = 1;

/// Longest text of a record in bytes: a reason that is longer says no more to anybody.
const TEXT_MAX_BYTES: usize = 500;

/// Records of one program that may follow each other without a pause: twenty restarts with all their states.
const BURST: u64 = 60;

/// Pause between records of a program whose burst is used up: 8640 a day, which leaves the others weeks.
const SPACING: Duration = Duration::from_secs(10);

/// What each state is called in the journal.
const WHATS: [(State, &str); 8] = [
    (State::Starting, "starting"),
    (State::Running, "running"),
    (State::Exited, "exited"),
    (State::Backoff, "failed"),
    (State::Fatal, "gave_up"),
    (State::Stopping, "stopping"),
    (State::Stopped, "stopped"),
    (State::Unknown, "unknown"),
];

/// What of the recent records of a program counts: when its allowance will be full again, and how many were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Allowance {
    full_at: Time,
    omitted: u64,
}

impl Allowance {
    /// Whether a record may be written at `now`; if not, it is counted.
    fn take(&mut self, now: Time) -> bool {
        let burst = SPACING.as_nanos() as u64 * (BURST - 1);
        if self.full_at.0.saturating_sub(burst) > now.0 {
            self.omitted += 1;
            return false;
        }
        self.full_at = self.full_at.max(now).after(SPACING);
        true
    }
}

/// The way to the journal.
#[derive(Default)]
pub(super) struct Journal {
    lines: Option<Lines>,
    path: PathBuf,
    /// Where the index of the logs' growth is, which lies beside it.
    times: Option<PathBuf>,
    /// By programs, as they are shown.
    allowances: BTreeMap<String, Allowance>,
}

impl Journal {
    /// Returns where it is; nothing where there is none.
    pub(super) fn path(&self) -> Option<&Path> {
        self.lines.is_some().then_some(self.path.as_path())
    }

    /// Returns where the index of the logs' growth is; nothing where there is none.
    pub(super) fn times_path(&self) -> Option<PathBuf> {
        self.times.clone()
    }
}

/// Returns where the journal of a daemon is; none for that of a file which names no directory for logs.
fn path_of(settings: &Settings, instance: Instance) -> Option<PathBuf> {
    let childlogdir = &settings.daemon.childlogdir;
    let named = (*childlogdir != std::env::temp_dir()).then_some(childlogdir);
    let directory = settings.xdg.as_ref().map(|roots| &roots.state).or(named)?;
    Some(directory.join(history::file_name(&instance.to_string())))
}

fn times_name(instance: Instance) -> String {
    format!("log-times-{instance}")
}

impl Reactor {
    /// Opens the journal of the settings in force; the answer of the disk worker is heard later.
    pub(super) fn open_history(&mut self) {
        let path = path_of(&self.settings, self.identity.instance);
        if self.journal.path() == path.as_deref() {
            return;
        }
        if let Some(mut lines) = self.journal.lines.take() {
            lines.flush(&self.disk);
            self.disk.close(lines.sink());
        }
        let times = path.as_ref().map(|path| path.with_file_name(times_name(self.identity.instance)));
        let index = |path: &PathBuf| SinkSpec::file(path, times::INDEX_MAX_BYTES, GENERATIONS).private();
        self.disk.keep_times(times.as_ref().map(index));
        self.journal.times = times;
        let Some(path) = path else { return };
        let spec = SinkSpec::file(&path, JOURNAL_MAX_BYTES, GENERATIONS).private();
        self.journal.lines = Some(Lines::new(self.disk.open(spec.clone()), spec).of_history());
        self.journal.path = path;
    }

    /// Takes in that the journal cannot be opened; returns false when it is another log.
    pub(super) fn history_failed(&mut self, sink: SinkId, error: &OpenError) -> bool {
        if self.journal.lines.take_if(|lines| lines.sink() == sink).is_none() {
            return false;
        }
        let path = self.journal.path.display();
        self.log(Level::Error, &format!("cannot open {path}: {error}; no history is kept"));
        true
    }

    /// Records a change of state, unless its program has used up its allowance.
    pub(super) fn record(&mut self, transition: &Transition) {
        let mut entry = entry_of(transition);
        let allowance = self.journal.allowances.entry(entry.program.clone()).or_default();
        // What somebody did is told always, however often the program ends by itself.
        let is_told = allowance.take(clock::now()) || entry.actor.starts_with("client");
        if is_told {
            entry.omitted = std::mem::take(&mut allowance.omitted);
            self.write_record(&entry);
        }
    }

    /// Records something that is no change of state: of a program, or of the daemon where that is empty.
    pub(super) fn record_note(&mut self, program: &str, what: &str, text: &str) {
        let (program, what, text) = (program.to_owned(), what.to_owned(), text.to_owned());
        let at_unix = unix(clock::wall());
        self.write_record(&Entry { at_unix, program, what, text, ..Entry::default() });
    }

    /// Records the beginning of the daemon. What a torn record in front of it left is ended by an empty line.
    pub(super) fn record_start(&mut self) {
        if let Some(lines) = &mut self.journal.lines {
            lines.add(&self.disk, b"\n".to_vec());
        }
        let keeper = self.keeper;
        self.record_note("", history::DAEMON_STARTED, &format!("visord {keeper}"));
    }

    /// Records that output was dropped, or is no longer, for each program that writes to the log.
    pub(super) fn record_loss(&mut self, target: &str, note: &Note) {
        let (what, text) = match note {
            Note::Dropped(bytes, why) => ("output_dropped", format!("{target}: {why}, {bytes} bytes so far")),
            Note::Resumed(bytes) => ("output_resumed", format!("{target}: {bytes} bytes were dropped")),
            Note::Warning(_) => return,
        };
        let is_target =
            |stream: &StreamSpec| stream.logfile.path().is_some_and(|path| path.as_os_str() == target);
        let specs = self.core.processes().map(|(_, process)| process.spec());
        let writers: Vec<String> = specs
            .filter(|spec| is_target(&spec.stdout) || (!spec.redirect_stderr && is_target(&spec.stderr)))
            .map(|spec| names::join(&spec.group, &spec.name))
            .collect();
        writers.iter().for_each(|program| self.record_note(program, what, &text));
    }

    fn write_record(&mut self, entry: &Entry) {
        let Some(lines) = &mut self.journal.lines else { return };
        let mut entry = entry.clone();
        let fits = |end: &usize| entry.text.is_char_boundary(*end);
        let end = (0..=TEXT_MAX_BYTES.min(entry.text.len())).rev().find(fits).unwrap_or(0);
        entry.text.truncate(end);
        let mut line = crate::api::v1::body(&entry);
        line.push(b'\n');
        lines.add(&self.disk, line);
    }

    /// Hands the records of a turn to the disk worker.
    pub(super) fn flush_history(&mut self) {
        if let Some(lines) = &mut self.journal.lines {
            lines.flush(&self.disk);
        }
    }
}

/// Returns the record of a change of state.
fn entry_of(transition: &Transition) -> Entry {
    let what = WHATS.iter().find(|row| row.0 == transition.to).map_or("unknown", |row| row.1);
    let ran = |from: WallTime| u64::try_from((transition.at.0 - from.0) / 1_000_000).unwrap_or(0);
    Entry {
        at_unix: unix(transition.at),
        program: names::join(&transition.group, &transition.name),
        what: what.to_owned(),
        text: transition.cause.clone(),
        actor: actor_text(transition.actor),
        run: transition.run.0,
        pid: transition.pid,
        exit: transition.exit.map(|exit| exit.to_string()),
        expected: transition.exit.map(|_| transition.expected),
        ran_ms: transition.exit.map(|_| ran(transition.started)),
        tries: transition.tries,
        omitted: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Actor;
    use crate::model::state::STATES;
    use crate::model::{ExitStatus, ProcessId, RunId, Uid};

    #[test]
    fn every_state_has_a_word_of_its_own() {
        for (state, _) in STATES {
            assert_eq!(WHATS.iter().filter(|row| row.0 == state).count(), 1, "{state:?}");
        }
        let mut words: Vec<&str> = WHATS.iter().map(|row| row.1).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), WHATS.len());
    }

    #[test]
    fn a_record_says_how_a_run_ended_who_ended_it_and_how_long_it_was() {
        let transition = Transition {
            process: ProcessId(1),
            group: "g".into(),
            name: "p".into(),
            from: State::Stopping,
            to: State::Stopped,
            run: RunId(7),
            pid: 4711,
            tries: 0,
            expected: false,
            exit: Some(ExitStatus::Code(3)),
            started: WallTime(1_000_000_000),
            actor: Actor::Client(Uid(1000)),
            cause: "exit status 3".into(),
            at: WallTime(3_500_000_000),
        };
        let text = serde_json::to_string(&entry_of(&transition)).unwrap_or_default();
        let expected = r#"{"at_unix":3.5,"program":"g:p","what":"stopped","text":"exit status 3","#
            .to_owned()
            + r#""actor":"client:1000","run":7,"pid":4711,"exit":"exit status 3","expected":false,"ran_ms":2500}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_program_that_flaps_has_its_allowance_and_no_more() {
        let mut allowance = Allowance::default();
        let start = Time(5_000_000_000_000);
        for _ in 0..BURST {
            assert!(allowance.take(start));
        }
        assert!(!allowance.take(start));
        assert!(!allowance.take(start.after(SPACING - Duration::from_nanos(1))));
        assert_eq!(allowance.omitted, 2);
        assert!(allowance.take(start.after(SPACING)) && !allowance.take(start.after(SPACING)));
    }
}
