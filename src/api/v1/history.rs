//! What happened to programs and to the daemon: the records of the journal, as they are stored and as they travel.
//!
//! A record is a line of JSON. A reactor that dies between a record and the state that it tells of makes its successor
//! write the record again; [`read`] takes each once, and passes over what is no record, as the torn last line of a
//! machine that lost its power. Knows no files. Example: `history::read(&bytes, &Filter::default())`.

use crate::api::names::Namespec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Most records of one answer: what a person, or a script that asks again, can use at once.
pub const ENTRIES_MAX: usize = 10_000;

/// Records of an answer when no number was asked for.
pub const ENTRIES_DEFAULT: usize = 1000;

/// Returns the name of the journal of an instance; the older generation has `.1` behind it.
#[must_use]
pub fn file_name(instance: &str) -> String {
    format!("history-{instance}.jsonl")
}

/// What a record of the beginning of a daemon says: nothing before it is written again after it.
pub const DAEMON_STARTED: &str = "daemon_started";

/// What a gap in the journal says, where the disk took no more.
pub const RECORDS_LOST: &str = "records_lost";

/// The words that begin the line in the place of records that the disk did not take (`logs::loss`).
const LOSS_LINE: &[u8] = b"visord: ";

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When.
    pub at_unix: f64,
    /// The program, as it is shown; empty for the daemon itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// What: `starting`, `running`, `exited`, `failed`, `gave_up`, `stopping`, `stopped`, `unknown`,
    /// `output_dropped`, `output_resumed`, `group_added`, `group_removed`, `group_changed`, `config_bad`,
    /// `config_reloaded`, `daemon_started`, `daemon_ended`, `reactor_replaced` or `records_lost`.
    pub what: String,
    /// Why, or more of it, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Who caused it: `policy`, `client:UID`, `signal:HUP` or `program`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// The number of the run within its daemon's life; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub run: u64,
    /// The main process; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub pid: i32,
    /// How it ended, in supervisord's words: `exit status 1`, `terminated by SIGKILL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// Whether that was one of the expected codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
    /// How long it had been up when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ran_ms: Option<u64>,
    /// Failed starts in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// Records of this program before this one that were left out, because there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u64,
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

/// The answer to `GET /v1/history`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// The records, the oldest first.
    pub entries: Vec<Entry>,
    /// Where they are kept; empty where none are.
    pub file: String,
}

/// Which records are wanted.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of which programs; none means all, and the daemon's own.
    pub names: Vec<Namespec>,
    /// From when on, in seconds since the epoch.
    pub since_unix: f64,
    /// How many of the latest, at most [`ENTRIES_MAX`].
    pub count: usize,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter { names: Vec::new(), since_unix: 0.0, count: ENTRIES_DEFAULT }
    }
}

impl Filter {
    /// Whether a record is wanted.
    fn takes(&self, entry: &Entry) -> bool {
        let named = || {
            let Namespec::Process { group, name } = Namespec::parse(&entry.program) else { return false };
            !entry.program.is_empty() && self.names.iter().any(|wanted| wanted.covers(&group, &name))
        };
        entry.at_unix >= self.since_unix && (self.names.is_empty() || named())
    }
}

/// What is known of a program while its records are read.
#[derive(Default)]
struct Told {
    /// The run of the latest records, and what was told of it.
    run: u64,
    whats: Vec<String>,
    /// What the latest record said.
    last: String,
}

/// Returns the wanted records of journals that follow each other, the oldest first.
#[must_use]
pub fn read(journals: &[Vec<u8>], filter: &Filter) -> Vec<Entry> {
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    let mut entries: VecDeque<Entry> = VecDeque::new();
    let count = filter.count.min(ENTRIES_MAX);
    let mut last_at = 0.0;
    for line in journals.iter().flat_map(|journal| journal.split(|&byte| byte == b'\n')) {
        let entry = match serde_json::from_slice::<Entry>(line) {
            Ok(entry) => entry,
            Err(_) if line.starts_with(LOSS_LINE) => lost(line, last_at),
            Err(_) => continue,
        };
        last_at = entry.at_unix;
        if entry.what == DAEMON_STARTED {
            told.clear();
        }
        if is_repeated(&mut told, &entry) || !filter.takes(&entry) {
            continue;
        }
        entries.push_back(entry);
        if entries.len() > count {
            entries.pop_front();
        }
    }
    entries.into()
}

/// Whether a record was written before: a run comes to each of its states once, and no program comes from a state to
/// the same one.
fn is_repeated(told: &mut BTreeMap<String, Told>, entry: &Entry) -> bool {
    let key = match (entry.program.as_str(), entry.what.as_str()) {
        // No group comes twice without going in between.
        ("", "group_added" | "group_removed") => format!("{}:*", entry.text),
        ("", _) | (_, "output_dropped" | "output_resumed") => return false,
        (program, _) => program.to_owned(),
    };
    let told = told.entry(key).or_default();
    if told.run != entry.run {
        (told.run, told.whats) = (entry.run, Vec::new());
    }
    let in_its_run = entry.run != 0 && told.whats.contains(&entry.what);
    let in_a_row = told.last == entry.what && entry.omitted == 0;
    told.whats.push(entry.what.clone());
    told.last.clone_from(&entry.what);
    in_its_run || in_a_row
}

/// A gap is as old as what is in front of it.
fn lost(line: &[u8], at_unix: f64) -> Entry {
    let text =
        String::from_utf8_lossy(&line[LOSS_LINE.len()..]).replace("bytes of output", "bytes of records");
    Entry { at_unix, what: RECORDS_LOST.to_owned(), text, ..Entry::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(program: &str, what: &str, run: u64, at_unix: f64) -> Entry {
        Entry { at_unix, program: program.into(), what: what.into(), run, ..Entry::default() }
    }

    fn journal(entries: &[Entry]) -> Vec<u8> {
        entries.iter().flat_map(|entry| [super::super::body(entry), b"\n".to_vec()].concat()).collect()
    }

    fn whats(entries: &[Entry]) -> Vec<(&str, u64)> {
        entries.iter().map(|entry| (entry.what.as_str(), entry.run)).collect()
    }

    #[test]
    fn what_a_new_reactor_wrote_again_is_told_once() {
        let twice = [
            entry("a", "starting", 1, 1.0),
            entry("a", "running", 1, 1.0),
            entry("a", "exited", 1, 1.0),
            entry("a", "running", 1, 1.1),
            entry("a", "exited", 1, 1.1),
            // The second attempt of a start has another run.
            entry("a", "starting", 2, 2.0),
            entry("b", "starting", 9, 2.0),
            entry("a", "starting", 66, 2.1),
            entry("a", "running", 66, 2.2),
            // Another daemon counts from the beginning, and found it running.
            entry("", DAEMON_STARTED, 0, 3.0),
            entry("a", "running", 66, 4.0),
        ];
        let told = read(&[journal(&twice)], &Filter::default());
        let expected = [
            ("starting", 1),
            ("running", 1),
            ("exited", 1),
            ("starting", 2),
            ("starting", 9),
            ("running", 66),
            (DAEMON_STARTED, 0),
            ("running", 66),
        ];
        assert_eq!(whats(&told), expected);
    }

    #[test]
    fn what_is_torn_is_passed_over_and_a_gap_is_told() {
        let mut bytes = journal(&[entry("a", "starting", 1, 5.0)]);
        bytes.extend(b"{\"at_unix\":6.0,\"progr\nvisord: 512 bytes of output dropped: no space left\n\n");
        bytes.extend(&journal(&[entry("a", "running", 1, 7.0)])[..20]);
        let told = read(&[bytes], &Filter::default());
        assert_eq!(whats(&told), [("starting", 1), (RECORDS_LOST, 0)]);
        assert_eq!(
            (told[1].text.as_str(), told[1].at_unix),
            ("512 bytes of records dropped: no space left", 5.0)
        );
    }

    #[test]
    fn the_latest_of_the_wanted_are_told_over_both_generations() {
        let old = journal(&[entry("g:a", "starting", 1, 1.0), entry("b", "starting", 2, 2.0)]);
        let new = journal(&[entry("g:a", "running", 1, 3.0), entry("", "config_bad", 0, 4.0)]);
        let read = |names: &[&str], since_unix, count| {
            let names = names.iter().map(|name| Namespec::parse(name)).collect();
            let told = read(&[old.clone(), new.clone()], &Filter { names, since_unix, count });
            told.into_iter().map(|entry| entry.at_unix as u32).collect::<Vec<_>>()
        };
        assert_eq!(read(&[], 0.0, 9), [1, 2, 3, 4]);
        assert_eq!(read(&["g:*"], 0.0, 9), [1, 3]);
        assert_eq!(read(&["g:a", "b"], 1.5, 9), [2, 3]);
        assert_eq!(read(&["all"], 0.0, 9), [1, 2, 3], "the daemon is no program");
        assert_eq!(read(&[], 0.0, 2), [3, 4]);
        assert_eq!(read(&[], 0.0, 0), [0; 0]);
    }

    #[test]
    fn an_answer_has_no_more_than_the_limit() {
        let many: Vec<Entry> =
            (0..=ENTRIES_MAX as u64).map(|run| entry("a", "exited", run + 1, 1.0)).collect();
        // Each after a record that was left out, as the same state in a row.
        let many: Vec<Entry> = many.into_iter().map(|entry| Entry { omitted: 1, ..entry }).collect();
        let told = read(&[journal(&many)], &Filter { count: usize::MAX, ..Filter::default() });
        assert_eq!((told.len(), told[0].run), (ENTRIES_MAX, 2));
    }
}
