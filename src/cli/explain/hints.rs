//! What the last lines of a log give away: the usual texts of the usual failures.
//!
//! Example: `bind: address already in use` means that somebody else has the port.

use super::{Words, words};

/// Texts, in lower case, and what they mean; `{x}` is the line.
const HINTS: [(&str, Words); 17] = [
    ("address already in use", PORT),
    ("eaddrinuse", PORT),
    ("only one usage of each socket address", PORT),
    (
        "no module named",
        words(
            "module_missing",
            "a Python module is missing: {x}",
            "install it into the environment that command= uses, or name that environment's python in {where}",
        ),
    ),
    (
        "cannot find module",
        words(
            "module_missing",
            "a Node module is missing: {x}",
            "npm install in {directory}, then: visorctl start {name}",
        ),
    ),
    (
        "error while loading shared libraries",
        words(
            "library_missing",
            "a shared library is missing: {x}",
            "install it, or set LD_LIBRARY_PATH with environment= in {where}",
        ),
    ),
    (
        "command not found",
        words(
            "command_not_found",
            "a shell did not find a command: {x}",
            "write its full path, or set PATH with environment= in {where}",
        ),
    ),
    (
        "no space left on device",
        words(
            "disk_full",
            "the disk is full: {x}",
            "make room (`df -h` shows where), then: visorctl start {name}",
        ),
    ),
    (
        "disk quota exceeded",
        words(
            "disk_full",
            "the quota is used up: {x}",
            "make room (`quota` shows it), then: visorctl start {name}",
        ),
    ),
    (
        "read-only file system",
        words(
            "read_only",
            "it wants to write where nothing can be written: {x}",
            "let it write elsewhere, then: visorctl start {name}",
        ),
    ),
    (
        "too many open files",
        words(
            "too_many_files",
            "it has no descriptors left: {x}",
            "raise the limit (`ulimit -n` where visord is started), then: visorctl daemon restart",
        ),
    ),
    ("cannot allocate memory", MEMORY),
    ("out of memory", MEMORY),
    (
        "connection refused",
        words(
            "connection_refused",
            "something that it needs does not answer: {x}",
            "start that first, then: visorctl start {name}",
        ),
    ),
    (
        "name or service not known",
        words(
            "name_unknown",
            "a host name is not known: {x}",
            "correct the name in its settings, then: visorctl start {name}",
        ),
    ),
    (
        "permission denied",
        words(
            "permission_denied",
            "it may not use something: {x}",
            "look at `ls -l` of what it names, then: visorctl start {name}",
        ),
    ),
    (
        "no such file or directory",
        words(
            "file_missing",
            "a file is missing: {x}",
            "make it, or correct directory= and paths in {where}; then: visorctl start {name}",
        ),
    ),
];

const PORT: Words = words(
    "port_in_use",
    "its port or socket is taken: {x}",
    "find who has it (`ss -ltnp` or `lsof -i`), end that or choose another port; then: visorctl start {name}",
);

const MEMORY: Words = words(
    "out_of_memory",
    "there was not enough memory: {x}",
    "look at `free -m` and `ulimit -v`, then: visorctl start {name}",
);

/// Returns the meaning of the latest line that has one, and the line.
pub(super) fn find(logs: [&str; 2]) -> Option<(&'static Words, &str)> {
    logs.into_iter().find_map(|log| {
        log.lines().rev().find_map(|line| {
            let lower = line.to_lowercase();
            let row = HINTS.iter().find(|(text, _)| lower.contains(text))?;
            Some((&row.1, line.trim()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_line_of_the_first_log_counts() {
        let stderr = "permission denied: /a\nbind(): Address already in use (80)\nbye";
        let found = find([stderr, "No space left on device"]).map(|(words, line)| (words.kind, line));
        assert_eq!(found, Some(("port_in_use", "bind(): Address already in use (80)")));
        assert!(find(["all is well", ""]).is_none());
    }

    #[test]
    fn texts_are_in_lower_case_and_the_special_comes_before_the_general() {
        for (index, (text, _)) in HINTS.iter().enumerate() {
            assert_eq!(*text, text.to_lowercase());
            assert!(HINTS[..index].iter().all(|(earlier, _)| !text.contains(earlier)), "{text}");
        }
    }
}
