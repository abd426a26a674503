//! Starts that failed before the program ran: what visord said, and what the child could not do.
//!
//! Example: the spawn error `command at '/x' is not executable` is the row `not_executable`.

use super::{Finding, UNEXPLAINED, Words, words};
use crate::api::v1::{FailedStage, Process};

/// Spawn errors by how they begin and end (supervisor 4.3's texts, as the core makes them); `{x}` is what stands in
/// quotes.
const SPAWN_ERRORS: [(&str, &str, Words); 18] = [
    (
        super::CONDITION,
        "",
        words(
            "condition",
            "{x}",
            "visorctl start {name} when it holds, or change it in {where}, then: visorctl update",
        ),
    ),
    (
        "can't find command '/",
        "",
        words(
            "command_not_found",
            "there is no file {x}",
            "correct command= in {where}, then: visorctl update",
        ),
    ),
    (
        "can't find command",
        "",
        words(
            "command_not_found",
            "the command {x} was found neither in the program's PATH nor in visord's",
            "write its full path into command= in {where} (`command -v {x}` shows it), then: visorctl update",
        ),
    ),
    (
        "command at",
        "is a directory",
        words(
            "command_is_directory",
            "its command {x} is a directory",
            "name a file in it in command= in {where}, then: visorctl update",
        ),
    ),
    (
        "command at",
        "is not executable",
        words(
            "not_executable",
            "the file {x} is not marked as executable",
            "chmod +x {x}, then: visorctl start {name}",
        ),
    ),
    (
        "no permission to run command",
        "",
        words(
            "no_permission",
            "the user of this program may not execute {x}",
            "look at `ls -l {x}` and at the directories above it, then: visorctl start {name}",
        ),
    ),
    (
        "can't parse command",
        "No closing quotation",
        words(
            "bad_command",
            "a quotation mark in its command is not closed: {command}",
            "correct command= in {where}, then: visorctl update",
        ),
    ),
    (
        "can't parse command",
        "",
        words(
            "bad_command",
            "its command cannot be split into words: {command}",
            "correct command= in {where}, then: visorctl update",
        ),
    ),
    (
        "command is empty",
        "",
        words("bad_command", "its command is empty", "write command= in {where}, then: visorctl update"),
    ),
    (
        "cannot read env_file",
        "",
        words("env_file", "{x}", "correct env_file= in {where}, or the file; then: visorctl start {name}"),
    ),
    (
        "cannot use env_file",
        "",
        words("env_file", "{x}", "correct the file (lines of NAME=VALUE), then: visorctl start {name}"),
    ),
    (
        "cannot begin with a login's variables",
        "",
        words(
            "env_login",
            "{x}",
            "correct what the shell's own files do, or say env_login=no in {where}; then: visorctl start {name}",
        ),
    ),
    (
        "unknown error making dispatchers",
        "ENOENT",
        words(
            "log_not_opened",
            "the directory of its log file does not exist",
            "make it, or correct stdout_logfile= and stderr_logfile= in {where}; then: visorctl start {name}",
        ),
    ),
    (
        "unknown error making dispatchers",
        "EACCES",
        words(
            "log_not_opened",
            "visord may not write its log file",
            "look at `ls -l` of the log file and its directory, then: visorctl start {name}",
        ),
    ),
    (
        "unknown error making dispatchers",
        "ENOSPC",
        words(
            "disk_full",
            "the disk of its log file is full",
            "make room (`df -h` shows where), then: visorctl start {name}",
        ),
    ),
    (
        "unknown error making dispatchers",
        "",
        words(
            "log_not_opened",
            "its log file cannot be opened",
            "look at stdout_logfile= and stderr_logfile= in {where}, then: visorctl start {name}",
        ),
    ),
    (
        "too many open files",
        "",
        words(
            "too_many_files",
            "visord has no descriptors left for it; it is tried again by itself",
            "raise the limit (`ulimit -n` where visord is started), then: visorctl daemon restart",
        ),
    ),
    (
        "Too many processes",
        "",
        words(
            "too_many_processes",
            "the system lets this user start no more processes; it is tried again by itself",
            "end some of them (`ps -u $USER` lists them) or raise the limit (`ulimit -u`)",
        ),
    ),
];

/// Explains a spawn error; those that only say how the program ended are left to the end itself.
pub(super) fn of_spawn_error(process: &Process) -> Option<Finding> {
    of_text(process, &process.spawn_error)
}

/// Explains why a start was refused before anything was tried.
pub(super) fn of_refusal(process: &Process) -> Finding {
    let text = &process.start_refused;
    of_text(process, text).unwrap_or_else(|| UNEXPLAINED.about(process, text))
}

fn of_text(process: &Process, text: &str) -> Option<Finding> {
    if text.starts_with("unknown error during fork") {
        return Some(FORK.about(process, text));
    }
    let row = SPAWN_ERRORS.iter().find(|(begin, end, _)| text.starts_with(begin) && text.ends_with(end));
    row.map(|(_, _, words)| words.about(process, quoted(text)))
}

const FORK: Words = words(
    "fork_failed",
    "the system did not let visord make a process: {x}",
    "look at memory (`free -m`) and limits (`ulimit -a`), then: visorctl start {name}",
);

/// Returns what stands in single quotes; the apostrophe of "can't" is none.
fn quoted(text: &str) -> &str {
    let inner = text.split_once(" '").and_then(|(_, rest)| rest.rsplit_once('\''));
    inner.map_or(text, |(inner, _)| inner)
}

/// What a child could not do, by stage and errno; an empty errno is for all others. `{x}` is the system's text.
const STAGES: [(&str, &str, Words); 14] = [
    (
        "enter its directory",
        "ENOENT",
        words(
            "directory_missing",
            "its directory {directory} does not exist",
            "mkdir -p {directory}, or correct directory= in {where}; then: visorctl start {name}",
        ),
    ),
    (
        "enter its directory",
        "EACCES",
        words(
            "directory_forbidden",
            "the user of this program may not enter {directory}",
            "look at `ls -ld {directory}` and the directories above it, then: visorctl start {name}",
        ),
    ),
    (
        "enter its directory",
        "ENOTDIR",
        words(
            "directory_is_file",
            "its directory {directory} is not a directory",
            "correct directory= in {where}, then: visorctl update",
        ),
    ),
    (
        "enter its directory",
        "",
        words(
            "directory_unusable",
            "its directory {directory} cannot be entered: {x}",
            "correct directory= in {where}, then: visorctl update",
        ),
    ),
    (
        "execute its command",
        "ENOENT",
        words(
            "interpreter_missing",
            "the file is there, and the interpreter that its first line names is not (a script with Windows line \
             ends, or a program of another C library, shows the same)",
            "look at its first line (`head -1 FILE | cat -A`: no ^M at the end), then: visorctl start {name}",
        ),
    ),
    (
        "execute its command",
        "ENOEXEC",
        words(
            "not_a_program",
            "the file is neither a program of this kind of machine nor a script that begins with #!",
            "put #!/bin/sh in its first line, or the interpreter in front of it in command= in {where}",
        ),
    ),
    (
        "execute its command",
        "EACCES",
        words(
            "no_permission",
            "the system does not let it execute its command: no permission, or its file system is mounted noexec",
            "look at `ls -l` of the file, of its interpreter and at `mount | grep noexec`, then: visorctl start {name}",
        ),
    ),
    (
        "execute its command",
        "ETXTBSY",
        words(
            "being_written",
            "the file is open for writing: somebody is replacing it",
            "wait until it is written, then: visorctl start {name}",
        ),
    ),
    (
        "execute its command",
        "E2BIG",
        words(
            "too_big",
            "its arguments and environment together are larger than the system takes",
            "make environment= or command= in {where} smaller, then: visorctl update",
        ),
    ),
    (
        "execute its command",
        "",
        words("not_executed", "the system does not execute its command: {x}", "try it by hand: {command}"),
    ),
    (
        "become its user",
        "EPERM",
        words(
            "user_change",
            "it is to run as another user, and visord is not root",
            "take user= out of {where}, then: visorctl update",
        ),
    ),
    (
        "become its user",
        "",
        words(
            "user_change",
            "it could not become its user: {x}",
            "correct user= in {where}, then: visorctl update",
        ),
    ),
    (
        "set its limits",
        "",
        words(
            "limits",
            "its limits could not be set: {x}",
            "a limit above the hard one (`ulimit -aH`) needs root; correct {where}, then: visorctl update",
        ),
    ),
    (
        "read its own instructions",
        "",
        words(
            "instructions",
            "it did not get as far as its command: {x}",
            "visorctl start {name}; if it comes again, that is a mistake of visord's worth reporting",
        ),
    ),
];

/// Explains what a child could not do on its way to the program.
pub(super) fn of_stage(process: &Process, failed: &FailedStage) -> Option<Finding> {
    let applies =
        |stage: &str, errno: &str| stage == failed.stage && (errno.is_empty() || errno == failed.errno);
    let row = STAGES.iter().find(|(stage, errno, _)| applies(stage, errno));
    row.map(|(_, _, words)| words.about(process, &failed.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::spawn;

    #[test]
    fn every_stage_of_a_child_is_explained_whatever_the_errno() {
        for (_, stage) in spawn::STAGES {
            let failed = FailedStage { stage: stage.into(), errno: "EIO".into(), text: "x".into() };
            assert!(of_stage(&Process::default(), &failed).is_some(), "{stage}");
        }
    }

    #[test]
    fn the_first_row_that_applies_is_the_closest() {
        let closest = |rows: &[(&str, &str, Words)], begins: &dyn Fn(&str, &str) -> bool| {
            for (index, (first, second, _)) in rows.iter().enumerate() {
                let hidden =
                    rows[..index].iter().any(|(f, s, _)| begins(first, f) && (s == second || s.is_empty()));
                assert!(!hidden, "{first} {second} can never apply");
            }
        };
        closest(&SPAWN_ERRORS, &|text, prefix| text.starts_with(prefix));
        closest(&STAGES, &|stage, other| stage == other);
    }

    #[test]
    fn names_are_taken_out_of_their_quotes() {
        assert_eq!(quoted("can't find command 'it's'"), "it's");
        assert_eq!(quoted("command at '/a b' is a directory"), "/a b");
        assert_eq!(quoted("command is empty"), "command is empty");
    }
}
