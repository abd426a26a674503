//! Every kind of failure with its words: this is what people read when something went wrong.

use super::*;
use crate::api::v1::{Exit, FailedStage};

fn process(state: State) -> Process {
    Process {
        namespec: "web".into(),
        state,
        pid: 42,
        description: "pid 42, uptime 0:00:02".into(),
        config_file: "/c/web.conf".into(),
        config_line: 3,
        command: "serve --port 80".into(),
        directory: Some("/srv".into()),
        actor: "policy".into(),
        wanted: true,
        autostart: true,
        ..Process::default()
    }
}

fn failed(spawn_error: &str) -> Process {
    Process { spawn_error: spawn_error.into(), ..process(State::Fatal) }
}

fn stage(stage: &str, errno: &str, text: &str) -> Process {
    let failed_stage = Some(FailedStage { stage: stage.into(), errno: errno.into(), text: text.into() });
    Process { failed_stage, ..ended(127, "exit status 127") }
}

fn ended(code: i32, text: &str) -> Process {
    let spawn_error = "Exited too quickly (process log may have details)".into();
    let exit = Some(Exit { text: text.into(), code });
    Process { spawn_error, exit, started_unix: 1000.0, stopped_unix: 1000.2, ..process(State::Fatal) }
}

fn ran(code: i32, text: &str) -> Process {
    Process {
        state: State::Exited,
        expected: Some(false),
        stopped_unix: 1_700_465_580.0,
        ..ended(code, text)
    }
}

fn explained(process: &Process, stderr: &str) -> Explanation {
    explain(process, &Circumstances { stdout: "", stderr, uid: 1000, zone: TimeZone::UTC })
}

/// Compares kind, cause and next step.
fn golden(rows: &[(Process, &str, &str, &str, &str)]) {
    for (process, stderr, kind, what, next) in rows {
        let Finding { kind: found, what: found_what, next: found_next } = explained(process, stderr).finding;
        assert_eq!((found, found_what.as_str(), found_next.as_str()), (*kind, *what, *next));
    }
}

#[test]
fn starts_that_failed_before_the_program_ran() {
    golden(&[
        (
            failed("can't find command 'serve'"),
            "",
            "command_not_found",
            "the command serve was found neither in the program's PATH nor in visord's",
            "write its full path into command= in /c/web.conf:3 (`command -v serve` shows it), then: visorctl update",
        ),
        (
            failed("can't find command '/opt/serve'"),
            "",
            "command_not_found",
            "there is no file /opt/serve",
            "correct command= in /c/web.conf:3, then: visorctl update",
        ),
        (
            failed("command at '/srv' is a directory"),
            "",
            "command_is_directory",
            "its command /srv is a directory",
            "name a file in it in command= in /c/web.conf:3, then: visorctl update",
        ),
        (
            failed("command at '/srv/x' is not executable"),
            "",
            "not_executable",
            "the file /srv/x is not marked as executable",
            "chmod +x /srv/x, then: visorctl start web",
        ),
        (
            failed("no permission to run command '/srv/x'"),
            "",
            "no_permission",
            "the user of this program may not execute /srv/x",
            "look at `ls -l /srv/x` and at the directories above it, then: visorctl start web",
        ),
        (
            failed("can't parse command 'serve \"': No closing quotation"),
            "",
            "bad_command",
            "a quotation mark in its command is not closed: serve --port 80",
            "correct command= in /c/web.conf:3, then: visorctl update",
        ),
        (
            failed("command is empty"),
            "",
            "bad_command",
            "its command is empty",
            "write command= in /c/web.conf:3, then: visorctl update",
        ),
        (
            failed("unknown error making dispatchers for 'web': ENOENT"),
            "",
            "log_not_opened",
            "the directory of its log file does not exist",
            "make it, or correct stdout_logfile= and stderr_logfile= in /c/web.conf:3; then: visorctl start web",
        ),
        (
            failed("unknown error making dispatchers for 'web': EACCES"),
            "",
            "log_not_opened",
            "visord may not write its log file",
            "look at `ls -l` of the log file and its directory, then: visorctl start web",
        ),
        (
            failed("unknown error making dispatchers for 'web': ENOSPC"),
            "",
            "disk_full",
            "the disk of its log file is full",
            "make room (`df -h` shows where), then: visorctl start web",
        ),
        (
            failed("too many open files to spawn 'web'"),
            "",
            "too_many_files",
            "visord has no descriptors left for it; it is tried again by itself",
            "raise the limit (`ulimit -n` where visord is started), then: visorctl daemon restart",
        ),
        (
            failed("Too many processes in process table to spawn 'web'"),
            "",
            "too_many_processes",
            "the system lets this user start no more processes; it is tried again by itself",
            "end some of them (`ps -u $USER` lists them) or raise the limit (`ulimit -u`)",
        ),
        (
            failed("unknown error during fork for 'web': ENOMEM"),
            "",
            "fork_failed",
            "the system did not let visord make a process: unknown error during fork for 'web': ENOMEM",
            "look at memory (`free -m`) and limits (`ulimit -a`), then: visorctl start web",
        ),
    ]);
}

#[test]
fn children_that_did_not_become_the_program() {
    golden(&[
        (
            stage("enter its directory", "ENOENT", "No such file or directory"),
            "",
            "directory_missing",
            "its directory /srv does not exist",
            "mkdir -p /srv, or correct directory= in /c/web.conf:3; then: visorctl start web",
        ),
        (
            stage("enter its directory", "EACCES", "Permission denied"),
            "",
            "directory_forbidden",
            "the user of this program may not enter /srv",
            "look at `ls -ld /srv` and the directories above it, then: visorctl start web",
        ),
        (
            stage("enter its directory", "ENOTDIR", "Not a directory"),
            "",
            "directory_is_file",
            "its directory /srv is not a directory",
            "correct directory= in /c/web.conf:3, then: visorctl update",
        ),
        (
            stage("enter its directory", "EIO", "Input/output error"),
            "",
            "directory_unusable",
            "its directory /srv cannot be entered: Input/output error",
            "correct directory= in /c/web.conf:3, then: visorctl update",
        ),
        (
            stage("execute its command", "ENOENT", "No such file or directory"),
            "",
            "interpreter_missing",
            "the file is there, and the interpreter that its first line names is not (a script with Windows line ends, \
          or a program of another C library, shows the same)",
            "look at its first line (`head -1 FILE | cat -A`: no ^M at the end), then: visorctl start web",
        ),
        (
            stage("execute its command", "ENOEXEC", "Exec format error"),
            "",
            "not_a_program",
            "the file is neither a program of this kind of machine nor a script that begins with #!",
            "put #!/bin/sh in its first line, or the interpreter in front of it in command= in /c/web.conf:3",
        ),
        (
            stage("execute its command", "EACCES", "Permission denied"),
            "",
            "no_permission",
            "the system does not let it execute its command: no permission, or its file system is mounted noexec",
            "look at `ls -l` of the file, of its interpreter and at `mount | grep noexec`, then: visorctl start web",
        ),
        (
            stage("execute its command", "ETXTBSY", "Text file busy"),
            "",
            "being_written",
            "the file is open for writing: somebody is replacing it",
            "wait until it is written, then: visorctl start web",
        ),
        (
            stage("execute its command", "E2BIG", "Argument list too long"),
            "",
            "too_big",
            "its arguments and environment together are larger than the system takes",
            "make environment= or command= in /c/web.conf:3 smaller, then: visorctl update",
        ),
        (
            stage("execute its command", "ELOOP", "Too many levels of symbolic links"),
            "",
            "not_executed",
            "the system does not execute its command: Too many levels of symbolic links",
            "try it by hand: serve --port 80",
        ),
        (
            stage("become its user", "EPERM", "Operation not permitted"),
            "",
            "user_change",
            "it is to run as another user, and visord is not root",
            "take user= out of /c/web.conf:3, then: visorctl update",
        ),
        (
            stage("set its limits", "EPERM", "Operation not permitted"),
            "",
            "limits",
            "its limits could not be set: Operation not permitted",
            "a limit above the hard one (`ulimit -aH`) needs root; correct /c/web.conf:3, then: visorctl update",
        ),
    ]);
}

const EARLY: &str = ", 0.2 s after its start: too early to count as running (startsecs)";

#[test]
fn programs_that_ended_too_early() {
    let with = |what: &str| format!("{what}{EARLY}");
    for (process, stderr, kind, what) in [
        (ended(1, "exit status 1"), "", "failed", with("it ended with exit status 1")),
        (
            ended(0, "exit status 0"),
            "",
            "ended_early",
            with("it ended by itself without an error (exit status 0)"),
        ),
        (
            ended(2, "exit status 2"),
            "",
            "usage",
            with("it ended with exit status 2, mostly: it does not understand its arguments"),
        ),
        (
            ended(78, "exit status 78"),
            "",
            "own_config",
            with("its own configuration is wrong (exit status 78)"),
        ),
        (
            ended(126, "exit status 126"),
            "",
            "no_permission",
            with("a shell found a command and may not execute it (exit status 126)"),
        ),
        (
            ended(127, "exit status 127"),
            "",
            "command_not_found",
            with("a shell did not find a command (exit status 127)"),
        ),
        (
            ended(127, "exit status 127"),
            "sh: 1: foo: command not found",
            "command_not_found",
            with(
                "a shell did not find a command: sh: 1: foo: command not found, and ended with exit status 127",
            ),
        ),
        (
            ended(-1, "terminated by SIGSEGV (core dumped)"),
            "",
            "crashed",
            with("it crashed: it used memory that it does not have (SIGSEGV)"),
        ),
        (
            ended(1, "exit status 1"),
            "start\nOSError: [Errno 98] Address already in use\n",
            "port_in_use",
            with(
                "its port or socket is taken: OSError: [Errno 98] Address already in use, and ended with exit status 1",
            ),
        ),
        (
            ended(1, "exit status 1"),
            "ModuleNotFoundError: No module named 'flask'",
            "module_missing",
            with(
                "a Python module is missing: ModuleNotFoundError: No module named 'flask', and ended with exit status 1",
            ),
        ),
        (
            ended(1, "exit status 1"),
            "dial tcp 127.0.0.1:5432: connect: connection refused",
            "connection_refused",
            with(
                "something that it needs does not answer: dial tcp 127.0.0.1:5432: connect: connection refused, \
               and ended with exit status 1",
            ),
        ),
    ] {
        let finding = explained(&process, stderr).finding;
        assert_eq!((finding.kind, finding.what), (kind, what));
        assert!(!finding.next.is_empty());
    }
}

#[test]
fn programs_that_ran_and_ended() {
    golden(&[
        (
            ran(-1, "terminated by SIGKILL"),
            "",
            "killed",
            "it was killed with SIGKILL, and not by visord: by somebody, or by the system for lack of memory",
            "journalctl -k | grep -i 'out of memory' (or dmesg) tells; then: visorctl start web",
        ),
        (
            ran(-1, "terminated by SIGXCPU"),
            "",
            "cpu_limit",
            "it used up its processor time (SIGXCPU, `ulimit -t`)",
            "raise the limit where visord is started, or ask the administrator (login nodes have such limits)",
        ),
        (
            ran(-1, "terminated by SIGTERM"),
            "address already in use",
            "asked_to_end",
            "somebody else than visord asked it to end (SIGTERM)",
            "visorctl start web",
        ),
        (
            ran(-1, "terminated by SIGABRT"),
            "",
            "aborted",
            "it gave up by itself (SIGABRT), mostly after writing why",
            "look at its log: visorctl logs web",
        ),
        (
            ran(-1, "terminated by SIGUSR1"),
            "",
            "signal",
            "it was terminated by SIGUSR1",
            "visorctl start web",
        ),
        (
            ran(137, "exit status 137"),
            "",
            "killed",
            "a program below it was killed (exit status 137: SIGKILL), perhaps by the system for lack of memory",
            "journalctl -k | grep -i 'out of memory' (or dmesg) tells",
        ),
        (
            ran(3, "exit status 3"),
            "",
            "failed",
            "it ended with exit status 3",
            "look at its log: visorctl logs web",
        ),
        (
            Process { expected: Some(true), ..ran(0, "exit status 0") },
            "",
            "ended",
            "it ended by itself (exit status 0), which is expected, so it is not restarted",
            "visorctl start web runs it again; autorestart=true in /c/web.conf:3 would do so each time",
        ),
    ]);
}

#[test]
fn programs_that_did_not_fail() {
    let stopped =
        |actor: &str| Process { actor: actor.into(), stopped_unix: 60.0, ..process(State::Stopped) };
    golden(&[
        (process(State::Running), "", "running", "all is well", ""),
        (
            Process { left_overs: 2, ..process(State::Running) },
            "",
            "left_overs",
            "it runs, and 2 processes of an earlier run are still there",
            "visorctl restart web cleans them up",
        ),
        (
            process(State::Starting),
            "",
            "starting",
            "it was started, and counts as running once it has stayed up for startsecs",
            "visorctl wait web --ready",
        ),
        (
            Process { actor: "client:0".into(), ..process(State::Stopping) },
            "",
            "stopping",
            "it was asked to end by root, and has not ended yet; after stopwaitsecs it is killed",
            "visorctl wait web --stopped",
        ),
        (stopped("client:1000"), "", "stopped", "it was stopped by you", "visorctl start web"),
        (stopped("client:1001"), "", "stopped", "it was stopped by user 1001", "visorctl start web"),
        (
            stopped("signal:SIGHUP"),
            "",
            "stopped",
            "it was stopped by SIGHUP, which was sent to visord",
            "visorctl start web",
        ),
        (
            stopped("policy"),
            "",
            "stopped",
            "it was stopped by visord, as its configuration asks",
            "visorctl start web",
        ),
        (
            Process { autostart: false, ..process(State::Stopped) },
            "",
            "not_started",
            "it does not start by itself (autostart=false)",
            "visorctl start web, or autostart=true in /c/web.conf:3",
        ),
        (
            process(State::Stopped),
            "",
            "not_started",
            "nobody has started it since visord runs",
            "visorctl start web",
        ),
        (
            Process { refused: Some("singleton= is not built yet".into()), ..process(State::Fatal) },
            "",
            "refused",
            "its configuration forbids to run it: singleton= is not built yet",
            "change /c/web.conf:3, then: visorctl update",
        ),
        (
            process(State::Unknown),
            "",
            "unknown",
            "the system did not let visord send a signal to it, so whether it still runs is not known",
            "look at `ps`, end it by hand, then: visorctl start web",
        ),
        (
            process(State::Fatal),
            "",
            "unexplained",
            "visord does not know why: no error was told",
            "look at the log: visorctl logs web",
        ),
    ]);
}

#[test]
fn headlines_say_where_it_stands() {
    let waiting = Process { attempts: 3, retry_in_ms: Some(2400), ..process(State::Backoff) };
    for (process, expected) in [
        (process(State::Running), "web runs (pid 42, uptime 0:00:02)"),
        (process(State::Starting), "web is starting (pid 42)"),
        (process(State::Stopping), "web is being stopped (pid 42)"),
        (waiting, "web does not run yet: 3 starts failed, the next attempt is in 3 s"),
        (process(State::Backoff), "web does not run yet: a start failed"),
        (process(State::Fatal), "web does not run: it was given up (FATAL)"),
        (process(State::Stopped), "web does not run: it was not started yet"),
        (ran(0, "exit status 0"), "web does not run: it ended at Nov 20 07:33 AM"),
        (process(State::Unknown), "web is in an unknown state: a signal could not be sent to it"),
    ] {
        assert_eq!(explained(&process, "").headline, expected);
    }
}

#[test]
fn texts_of_others_are_not_filled_in() {
    let process = failed("can't find command '{where}{name}'");
    assert!(explained(&process, "").finding.what.contains("{where}{name}"));
}
