//! Every kind of failure with its words: this is what people read when something went wrong.
//!
//! They stand in `tests/golden/why.txt`, to be reviewed as the texts they are; `UPDATE=1 cargo test --lib explain`
//! writes it anew.

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

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/why.txt");

/// Name, process, and the end of its standard error.
type Case = (&'static str, Process, &'static str);

fn before_the_program() -> Vec<Case> {
    [
        ("not on PATH", "can't find command 'serve'"),
        ("no such file", "can't find command '/opt/serve'"),
        ("a directory", "command at '/srv' is a directory"),
        ("not executable", "command at '/srv/x' is not executable"),
        ("no permission", "no permission to run command '/srv/x'"),
        ("open quotation", "can't parse command 'serve \"': No closing quotation"),
        ("lone backslash", "can't parse command 'serve \\\\': No escaped character"),
        ("empty command", "command is empty"),
        ("variables missing", "cannot read env_file /x/.env: there is no such file (-FILE says that it may be missing)"),
        ("variables wrong", "cannot use env_file /x/.env, line 2: there is no `=` (say NAME=VALUE, or # before a comment)"),
        (
            "login broken",
            "cannot begin with a login's variables (env_login): the login shell /bin/sh gave no environment: it did not finish in time",
        ),
        ("log directory gone", "unknown error making dispatchers for 'web': ENOENT"),
        ("log not writable", "unknown error making dispatchers for 'web': EACCES"),
        ("log on a full disk", "unknown error making dispatchers for 'web': ENOSPC"),
        ("log is a directory", "unknown error making dispatchers for 'web': EISDIR"),
        ("no descriptors", "too many open files to spawn 'web'"),
        ("no processes", "Too many processes in process table to spawn 'web'"),
        ("fork fails", "unknown error during fork for 'web': ENOSYS"),
        ("no error told", ""),
    ]
    .map(|(name, error)| (name, failed(error), ""))
    .to_vec()
}

fn in_the_child() -> Vec<Case> {
    [
        ("directory gone", "enter its directory", "ENOENT", "No such file or directory"),
        ("directory forbidden", "enter its directory", "EACCES", "Permission denied"),
        ("directory is a file", "enter its directory", "ENOTDIR", "Not a directory"),
        ("directory broken", "enter its directory", "EIO", "Input/output error"),
        ("bad interpreter, CRLF", "execute its command", "ENOENT", "No such file or directory"),
        ("no #! line", "execute its command", "ENOEXEC", "Exec format error"),
        ("noexec", "execute its command", "EACCES", "Permission denied"),
        ("being written", "execute its command", "ETXTBSY", "Text file busy"),
        ("too many arguments", "execute its command", "E2BIG", "Argument list too long"),
        ("a loop of links", "execute its command", "ELOOP", "Too many levels of symbolic links"),
        ("another user, not root", "become its user", "EPERM", "Operation not permitted"),
        ("user broken", "become its user", "EINVAL", "Invalid argument"),
        ("limit above the hard one", "set its limits", "EPERM", "Operation not permitted"),
        ("instructions", "read its own instructions", "ENOMEM", "Cannot allocate memory"),
    ]
    .map(|(name, at, errno, text)| (name, stage(at, errno, text), ""))
    .to_vec()
}

fn too_early() -> Vec<Case> {
    let waiting =
        Process { state: State::Backoff, attempts: 3, retry_in_ms: Some(2400), ..ended(1, "exit status 1") };
    let refused = "dial tcp 127.0.0.1:5432: connect: connection refused";
    vec![
        ("exits too quickly", ended(1, "exit status 1"), ""),
        ("and waits for the next attempt", waiting, ""),
        ("goes into the background", ended(0, "exit status 0"), ""),
        ("usage", ended(2, "exit status 2"), ""),
        ("its own configuration", ended(78, "exit status 78"), ""),
        ("a shell may not execute", ended(126, "exit status 126"), ""),
        ("a shell does not find", ended(127, "exit status 127"), ""),
        ("a shell says what", ended(127, "exit status 127"), "sh: 1: foo: command not found"),
        ("crash", ended(-1, "terminated by SIGSEGV (core dumped)"), ""),
        ("port in use", ended(1, "exit status 1"), "a\nOSError: [Errno 98] Address already in use\n"),
        ("Python module", ended(1, "exit status 1"), "ModuleNotFoundError: No module named 'flask'"),
        ("Node module", ended(1, "exit status 1"), "Error: Cannot find module 'express'"),
        ("database down", ended(1, "exit status 1"), refused),
    ]
}

fn ended_later() -> Vec<Case> {
    let well = Process { expected: Some(true), ..ran(0, "exit status 0") };
    vec![
        ("killed", ran(-1, "terminated by SIGKILL"), ""),
        ("processor time", ran(-1, "terminated by SIGXCPU"), ""),
        ("file size", ran(-1, "terminated by SIGXFSZ"), ""),
        (
            "ended by somebody, whatever the log says",
            ran(-1, "terminated by SIGTERM"),
            "address already in use",
        ),
        ("abort", ran(-1, "terminated by SIGABRT"), ""),
        ("abort with words", ran(-1, "terminated by SIGABRT"), "std::bad_alloc: Cannot allocate memory"),
        ("sandbox", ran(-1, "terminated by SIGSYS"), ""),
        ("another signal", ran(-1, "terminated by SIGUSR1"), ""),
        ("killed below a shell", ran(137, "exit status 137"), ""),
        ("disk full", ran(1, "exit status 1"), "write: No space left on device"),
        ("an error", ran(3, "exit status 3"), ""),
        ("expected end", well, ""),
    ]
}

fn up_again() -> Vec<Case> {
    let again = |restarts, seconds: u64, code, text: &str| Process {
        restarts,
        previous_exit: Some(Exit { text: text.into(), code }),
        stopped_unix: 1_700_465_580.0,
        uptime_ms: Some(seconds * 1000),
        ..process(State::Running)
    };
    let starting = Process { state: State::Starting, uptime_ms: None, ..again(2, 0, 1, "exit status 1") };
    vec![
        ("runs again", again(1, 2, -1, "terminated by SIGKILL"), ""),
        ("runs again and again", again(3, 599, 1, "exit status 1"), "bind: Address already in use"),
        ("runs again, ended by somebody", again(1, 2, -1, "terminated by SIGTERM"), ""),
        ("starts again", starting, ""),
        ("has been running for long", again(3, 600, 1, "exit status 1"), ""),
    ]
}

fn refused_starts() -> Vec<Case> {
    let refused = |state| Process {
        start_refused: "can't find command '/opt/serve'".into(),
        autostart: false,
        ..process(state)
    };
    let odd = Process { start_refused: "odd".into(), ..process(State::Stopped) };
    let missing = "can't find command 'serve'";
    let stopped =
        Process { state: State::Stopped, actor: "client:1000".into(), started_unix: 60.0, ..failed(missing) };
    vec![
        ("a start of a stopped program was refused", refused(State::Stopped), ""),
        ("a start of a program that was given up was refused", refused(State::Fatal), ""),
        ("refused for a reason without words", odd, ""),
        ("stopped between its attempts", stopped, ""),
    ]
}

fn without_failure() -> Vec<Case> {
    let stopped =
        |actor: &str| Process { actor: actor.into(), stopped_unix: 60.0, ..process(State::Stopped) };
    let refused = Some("singleton= is not built yet".to_owned());
    vec![
        ("runs", process(State::Running), ""),
        ("runs beside left-overs", Process { left_overs: 2, ..process(State::Running) }, ""),
        ("starts", process(State::Starting), ""),
        ("stops", Process { actor: "client:0".into(), ..process(State::Stopping) }, ""),
        ("stopped by you", stopped("client:1000"), ""),
        ("stopped by another user", stopped("client:61999"), ""),
        ("stopped by a signal", stopped("signal:HUP"), ""),
        ("stopped by the rules", stopped("policy"), ""),
        ("started by hand only", Process { autostart: false, ..process(State::Stopped) }, ""),
        ("not started yet", process(State::Stopped), ""),
        ("refused key", Process { refused, ..process(State::Fatal) }, ""),
        ("cannot be signalled", process(State::Unknown), ""),
    ]
}

#[test]
fn every_kind_of_failure_has_its_words() {
    let cases = [
        before_the_program(),
        in_the_child(),
        too_early(),
        ended_later(),
        up_again(),
        refused_starts(),
        without_failure(),
    ]
    .concat();
    let mut text = String::new();
    for (name, process, stderr) in cases {
        let Explanation { headline, finding } = explained(&process, stderr);
        text.push_str(&format!("# {name} [{}]\n{headline}\n{}\n", finding.kind, finding.what));
        if !finding.next.is_empty() {
            text.push_str(&format!("-> {}\n", finding.next));
        }
        text.push('\n');
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &text).expect("the golden file can be written");
    }
    let reviewed = std::fs::read_to_string(FILE).expect("the golden file can be read");
    let differing = text.lines().zip(reviewed.lines()).find(|(now, before)| now != before);
    assert_eq!(differing, None, "now, and as reviewed in {FILE}");
    assert_eq!(text.len(), reviewed.len());
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
