//! One session, two clients: the same bytes and exit codes.
//!
//! Each client has a daemon for itself, so that both begin alike. Masked are pids, times and the directory; of an
//! unexpected exception the Python class and line; the words of help and of the two questions, which are ours. The
//! lines of a reply about several processes are sorted.

use super::upstream::{Said, Upstream};
use crate::common::need;
use std::io::Write as _;
use std::process::Stdio;

const PROGRAMS: &str = "
[program:cat]
command=/bin/cat
startsecs=0
[program:man]
command=/bin/cat
autostart=false
startsecs=0
[program:nofile]
command=/no/such/command
autostart=false
[program:plain]
command=%(here)s/d.conf
autostart=false
[program:once]
command=/bin/true
autostart=false
startsecs=5
startretries=0
[program:pair]
command=/bin/cat
process_name=%(program_name)s_%(process_num)d
numprocs=2
startsecs=0
[program:talk]
command=/bin/sh -c 'printf \"eins\\nzwei\\ndr\\303\\266i\\n\"; printf err >&2; exec sleep 1000'
startsecs=0
[program:test_\u{f6}\u{e4}\u{fc}]
command=/bin/cat
autostart=false
startsecs=0
[program:silent]
command=/bin/cat
stdout_logfile=NONE
stderr_logfile=NONE
autostart=false
";

/// A step of the session.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An action on the command line.
    Do(&'static [&'static str]),
    /// Words behind other options than `-c`.
    Bare(&'static [&'static str]),
    /// A shell that reads this.
    Type(&'static str),
    /// The configuration gets another text in the place of one.
    Edit(&'static str, &'static str),
    /// The daemon has written this so many times.
    Log(&'static str, usize),
    /// The socket is gone.
    Gone,
}

use Step::{Bare, Do, Edit, Gone, Log, Type};

const SESSION: &[Step] = &[
    Log("entered RUNNING state", 4),
    Do(&["status"]),
    Do(&["status", "cat"]),
    Do(&["status", "pair:*"]),
    Do(&["status", "nope", "pair:*", "zz:*", "cat"]),
    Do(&["status", "pair"]),
    Do(&["status", "all", "nope"]),
    Do(&["avail"]),
    Do(&["version"]),
    Do(&["pid", "man"]),
    Do(&["pid", "nope", "cat", "man"]),
    Do(&["pid", "pair:*"]),
    Do(&["pid", "all"]),
    Do(&["pid"]),
    Do(&["start"]),
    Do(&["stop"]),
    Do(&["restart"]),
    Do(&["signal", "HUP"]),
    Do(&["clear"]),
    Do(&["start", "man"]),
    Do(&["start", "man"]),
    Do(&["start", "man", "nofile", "nope", "plain"]),
    Do(&["start", "nope:*"]),
    Do(&["start", "pair:pair_0", "pair:x", "pair:*"]),
    Do(&["start", "once"]),
    Do(&["status", "once"]),
    Do(&["stop", "pair:*"]),
    Do(&["stop", "pair:*", "zz:*", "pair:pair_0"]),
    Do(&["start", "pair:"]),
    Do(&["restart", "man", "nope"]),
    Do(&["stop", "man"]),
    Do(&["restart", "man"]),
    Do(&["signal USR2", "nope"]),
    Do(&["signal CONT", "cat"]),
    Do(&["signal", "CONT", "pair:*", "zz:*"]),
    Do(&["signal", "NONSENSE", "cat"]),
    Do(&["signal", "NONSENSE", "pair:*"]),
    Do(&["signal", "CONT", "nofile"]),
    Do(&["signal", "18", "all"]),
    Do(&["start", "test_öäü"]),
    Do(&["status", "test_öäü"]),
    // A name that is not ASCII makes supervisord cut its longer replies.
    Do(&["stop", "test_öäü"]),
    Edit("[program:test_öäü]", "[program:test_oau]"),
    Do(&["update"]),
    Do(&["tail", "talk"]),
    Do(&["tail -6", "talk"]),
    Do(&["tail", "-2", "talk", "stderr"]),
    Do(&["tail", "--2", "talk"]),
    Do(&["tail", "talk", "nonsense", "STDERR"]),
    Do(&["tail", "talk", "blah"]),
    Do(&["tail", "-x", "talk"]),
    Do(&["tail", "-f"]),
    Do(&["tail"]),
    Do(&["tail", "a", "b", "c", "d"]),
    Do(&["tail", "nope"]),
    Do(&["tail", "pair:*"]),
    Do(&["tail", "silent"]),
    Do(&["tail", "-f", "nope"]),
    Do(&["tail", "-f", "silent"]),
    Do(&["maintail", "-f", "x"]),
    Do(&["maintail", "-x"]),
    Do(&["maintail", "x"]),
    Do(&["clear", "talk"]),
    Do(&["tail", "talk"]),
    Do(&["clear", "nope", "cat"]),
    Do(&["clear", "all"]),
    Do(&["fg"]),
    Do(&["fg", "a", "b"]),
    Do(&["fg", "nope"]),
    Do(&["fg", "nofile"]),
    Do(&["open"]),
    Do(&["open", "ftp://x"]),
    Do(&["open", "unix:///nowhere/at/all"]),
    Do(&["help"]),
    Do(&["?"]),
    Do(&["help", "nope"]),
    Do(&["help", "EOF"]),
    Do(&["help", "status", "x"]),
    Do(&["!ls"]),
    Do(&["nonsense", "x"]),
    Do(&["STATUS"]),
    Do(&["status\tcat"]),
    Do(&[""]),
    Do(&["EOF"]),
    Do(&["quit", "x"]),
    Do(&["exit"]),
    Do(&["reread"]),
    Do(&["update"]),
    Do(&["update", "nope"]),
    Do(&["add", "cat", "nope"]),
    Do(&["add"]),
    Do(&["remove", "nope", "cat"]),
    Do(&["remove", "nofile"]),
    Do(&["add", "nofile"]),
    Edit("[program:once]", "[program:twice]"),
    Edit("startsecs=5", "startsecs=4"),
    Edit("numprocs=2", "numprocs=3"),
    Do(&["reread"]),
    Do(&["avail"]),
    Do(&["update", "twice"]),
    Do(&["update"]),
    Do(&["status", "pair:*"]),
    Edit("numprocs=3", "numprocs=drei"),
    Do(&["reread"]),
    Do(&["update"]),
    Edit("numprocs=drei", "numprocs=3"),
    Do(&["stop", "all"]),
    Do(&["start", "all"]),
    Do(&["restart", "all"]),
    Type("status cat\nstop man\n\nstart man\nnonsense\n?nope\npid nope\nopen unix:///x\nstatus\n"),
    Type(""),
    Type("quit\nstatus\n"),
    Type("pid nope\nexit"),
    Bare(&["-i", "-c", "d.conf", "status", "cat"]),
    Bare(&["--conf", "d.conf", "status", "cat"]),
    Bare(&["-c", "d.conf", "-u", "me", "-p", "word", "status", "cat"]),
    Bare(&["-c", "none.conf", "status"]),
    Bare(&["-c", "d.conf", "-c", "d.conf", "status"]),
    Bare(&["-s", "nonsense", "status"]),
    Bare(&["-s", "ftp://x", "status"]),
    Bare(&["-s", "http://127.0.0.1:1", "status"]),
    Bare(&["-s", "http://127.0.0.1:1", "start", "x"]),
    Bare(&["-s", "http://127.0.0.1:1", "shutdown"]),
    Bare(&["-s", "http://127.0.0.1:1", "avail"]),
    Bare(&["-s", "http://127.0.0.1:1", "reload"]),
    Bare(&["-x"]),
    Do(&["reload", "x"]),
    Do(&["reload"]),
    Log("supervisord started with pid", 2),
    Do(&["version"]),
    Do(&["shutdown", "x"]),
    Do(&["shutdown"]),
    Gone,
    Do(&["status"]),
    Do(&["start", "cat"]),
    Do(&["pid"]),
    Do(&["fg", "cat"]),
    Do(&["shutdown"]),
    Do(&["reload"]),
    Do(&["reread"]),
    Do(&["update"]),
    Do(&["add", "x"]),
    Do(&["avail"]),
    Do(&["version"]),
    Type("start cat\nshutdown\ny\n"),
];

#[test]
fn both_clients_say_the_same_in_every_step_of_a_session() {
    let start = |name: &str| Upstream::start(name, "", PROGRAMS);
    let (Some(one), Some(other)) = (start("same-theirs"), start("same-ours")) else { return };
    compare(&one, &other);
}

#[test]
fn both_clients_say_the_same_of_visord() {
    if need::venv("supervisorctl").is_some() {
        let start = |name: &str| Upstream::replaced(name, "", PROGRAMS);
        compare(&start("visord-theirs"), &start("visord-ours"));
    }
}

/// Plays the session with their client at one daemon and ours at the other.
fn compare(one: &Upstream, other: &Upstream) {
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| play(one, false));
        let ours = play(other, true);
        (theirs.join().expect("their session ends"), ours)
    });
    let differences: Vec<String> = SESSION
        .iter()
        .zip(theirs.iter().zip(&ours))
        .filter(|(_, (theirs, ours))| theirs != ours)
        .map(|(step, (theirs, ours))| format!("{step:?}\n  theirs {theirs:?}\n  ours   {ours:?}"))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Plays the session and returns exit code and standard output of each step.
fn play(daemon: &Upstream, ours: bool) -> Vec<(Option<i32>, String)> {
    let client = if ours { daemon.ours() } else { daemon.theirs() };
    let directory = daemon.sandbox.dir().display().to_string();
    let mut heard = Vec::new();
    for step in SESSION {
        let said = match step {
            Do(words) => daemon.command(&client, words).output().expect("a client").into(),
            Bare(words) => daemon
                .sandbox
                .command(&client)
                .args(*words)
                .stdin(Stdio::null())
                .output()
                .expect("a client")
                .into(),
            Type(text) => typed(daemon, &client, text),
            Edit(old, new) => {
                let text = daemon.sandbox.read("d.conf");
                assert!(text.contains(old), "{old}");
                daemon.sandbox.write("d.conf", text.replace(old, new));
                Said { out: String::new(), err: String::new(), code: None }
            }
            Log(text, times) => {
                daemon.wait_for(text, *times);
                Said { out: String::new(), err: String::new(), code: None }
            }
            Gone => {
                daemon.wait_gone();
                Said { out: String::new(), err: String::new(), code: None }
            }
        };
        heard.push((said.code, masked(&said.out.replace(&directory, "DIR"))));
    }
    heard
}

fn typed(daemon: &Upstream, client: &std::path::PathBuf, text: &str) -> Said {
    let mut command = daemon.command(client, &[]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("a client");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends").into()
}

/// Takes out what differs between any two sessions, and what is meant to differ.
fn masked(out: &str) -> String {
    let end = out.split_inclusive('\n').position(is_followed_by_help).map_or(usize::MAX, |at| at + 1);
    let lines = out.split('\n').take(end).map(|line| {
        let line = without_python(line);
        let line = if line.contains("y/N? ") { without_question(&line) } else { line };
        without_times(&line)
    });
    let mut lines: Vec<String> = lines.collect();
    if lines.iter().all(|line| !line.contains("> ")) {
        lines.sort();
    }
    lines.join("\n")
}

/// Whether what follows a line says how an action is called.
fn is_followed_by_help(line: &str) -> bool {
    line.starts_with("Error: ") || line == "ERROR: no process name supplied\n"
}

/// `error: <class 'X'>, TEXT: file: F line: N` becomes `error: TEXT`.
fn without_python(line: &str) -> String {
    let Some(at) = line.find("error: <class '") else { return line.to_owned() };
    let (before, error) = line.split_at(at);
    let text = error.split_once("'>, ").map_or(error, |(_, text)| text);
    let text = text.rsplit_once(": file: ").map_or(text, |(text, _)| text);
    format!("{before}error: {text}")
}

/// The question before what cannot be taken back is in words of ours.
fn without_question(line: &str) -> String {
    let (question, rest) = line.split_once("y/N? ").unwrap_or((line, ""));
    let prompt = question.rfind("> ").map_or("", |at| &question[..at + 2]);
    format!("{prompt}QUESTION{rest}")
}

/// Masks pids, uptimes and moments.
fn without_times(line: &str) -> String {
    if let Some((before, rest)) = line.split_once("pid ")
        && rest.contains(", uptime ")
    {
        return format!("{before}pid N, uptime T");
    }
    if !line.is_empty() && line != "0" && line.bytes().all(|byte| byte.is_ascii_digit()) {
        return "N".to_owned();
    }
    let is_moment = |tail: &str| tail.ends_with("AM") || tail.ends_with("PM");
    match line.char_indices().rev().nth("Nov 20 07:33 AM".len() - 1) {
        Some((at, _)) if is_moment(line) && line[at..].contains(':') => format!("{}MOMENT", &line[..at]),
        _ => line.to_owned(),
    }
}

#[test]
fn masks_take_out_only_what_they_are_for() {
    for (line, masked) in [
        (
            "cat                              RUNNING   pid 12, uptime 0:00:16",
            "cat                              RUNNING   pid N, uptime T",
        ),
        (
            "zero                             EXITED    Nov 20 07:33 AM",
            "zero                             EXITED    MOMENT",
        ),
        (
            "man                              STOPPED   Not started",
            "man                              STOPPED   Not started",
        ),
        ("4711", "N"),
        ("0", "0"),
        ("error: <class 'ValueError'>, a: b: file: /x/y.py line: 3", "error: a: b"),
        ("supervisor> Really? y/N? supervisor> ", "supervisor> QUESTIONsupervisor> "),
    ] {
        let line = without_python(line);
        let line = if line.contains("y/N? ") { without_question(&line) } else { line };
        assert_eq!(without_times(&line), masked);
    }
    assert_eq!(masked("Error: no\nusage\n"), masked("Error: no\nother\nwords\n"));
}
