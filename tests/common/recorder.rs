//! An event listener that writes down what it gets, and its notes as data.

use super::Sandbox;
use super::wait::{self, LONG};

/// The program; its head says how it is used.
const PROGRAM: &str = include_str!("recorder.py");

/// One event, as it was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The words of the header.
    pub(crate) header: Vec<(String, String)>,
    /// The payload, as Python shows it, without the quotes.
    pub(crate) payload: String,
}

impl Noted {
    /// The value of a word of the header.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.header.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Its number in the pool.
    pub(crate) fn pool_serial(&self) -> u64 {
        self.value("poolserial").parse().expect("a number")
    }
}

/// Returns the command of a recorder that notes into `file`; `words` say how it behaves.
pub(crate) fn command(sandbox: &Sandbox, python: &str, file: &str, words: &str) -> String {
    if !sandbox.path("recorder.py").exists() {
        sandbox.write("recorder.py", PROGRAM);
    }
    format!("{python} {} {} {words}", sandbox.text("recorder.py"), sandbox.text(file))
}

/// Returns what was noted so far; a line that is being written is left out.
pub(crate) fn notes(sandbox: &Sandbox, file: &str) -> Vec<Noted> {
    let text = sandbox.read(file);
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let note = |line: &str| {
        let (header, payload) = line.split_once('|').unwrap_or_else(|| panic!("no note: {line}"));
        let word = |word: &str| {
            let (key, value) = word.split_once(':').unwrap_or_else(|| panic!("no word of a header: {word}"));
            (key.to_owned(), value.to_owned())
        };
        let header = header.split_whitespace().map(word).collect();
        Noted { header, payload: payload[1..payload.len() - 1].to_owned() }
    };
    whole.lines().map(note).collect()
}

/// Waits until an event is noted whose name and payload have these texts, and returns it.
pub(crate) fn wait_for(sandbox: &Sandbox, file: &str, name: &str, payload: &str) -> Noted {
    let is_it = |note: &Noted| note.value("eventname").contains(name) && note.payload.contains(payload);
    let find = || notes(sandbox, file).into_iter().find(is_it);
    wait::until(LONG, &format!("{name} with {payload} in {file}"), find)
}
