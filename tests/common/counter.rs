//! A program that writes numbered lines, and the check that a log has each of them exactly once.

use super::Sandbox;
use std::fs;

/// The program: `counter.py NAME (line|block) [PAUSE_MS]`. On SIGTERM it writes the number of lines to
/// `NAME.count` and ends. `line`: one write a line; `block`: 64 KiB at once, lines cut anywhere.
const PROGRAM: &str = include_str!("counter.py");

/// How a counter writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// One write a line.
    Line,
    /// 64 KiB at once.
    Block,
}

/// Returns the command of a counter that rests for `pause_ms` after each burst.
pub(crate) fn command(sandbox: &Sandbox, name: &str, mode: Mode, pause_ms: u32) -> String {
    let program = sandbox.path("counter.py");
    if !program.exists() {
        sandbox.write("counter.py", PROGRAM);
    }
    let mode = match mode {
        Mode::Line => "line",
        Mode::Block => "block",
    };
    format!("/usr/bin/python3 {} {name} {mode} {pause_ms}", program.display())
}

/// The files of a log, oldest first.
pub(crate) fn files(sandbox: &Sandbox, log: &str) -> Vec<std::path::PathBuf> {
    let old = |name: &str| -> Option<u32> { name.strip_prefix(log)?.strip_prefix('.')?.parse().ok() };
    let dir = fs::read_dir(sandbox.dir()).expect("our own directory");
    let mut numbers: Vec<u32> = dir.flatten().filter_map(|entry| old(entry.file_name().to_str()?)).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers
        .into_iter()
        .map(|number| sandbox.path(&format!("{log}.{number}")))
        .chain([sandbox.path(log)])
        .collect()
}

/// Asserts that the log of a counter that has ended has each of its lines once, in order and whole. Returns how many.
pub(crate) fn check(sandbox: &Sandbox, name: &str, log: &str) -> u64 {
    let count: u64 = sandbox
        .read(&format!("{name}.count"))
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("{name} told no count"));
    let mut seen = 0;
    for file in files(sandbox, log) {
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends within a line", file.display());
        for line in text.lines() {
            let number = number_of(name, line);
            assert_eq!(number, Some(seen), "{}: expected line {seen}, found {line:?}", file.display());
            seen += 1;
        }
    }
    assert_eq!(seen, count, "lines of {name} in its log, and lines written");
    count
}

/// The number of a whole line of a counter.
pub(crate) fn number_of(name: &str, line: &str) -> Option<u64> {
    let (number, filler) = line.strip_prefix(name)?.strip_prefix(' ')?.split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    let length = (number % 90) as usize;
    (filler.len() == length && filler.bytes().all(|byte| byte == b'x')).then_some(number)
}
