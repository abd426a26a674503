//! On a terminal: colours, progress, Ctrl-C, and nothing raw of what others wrote.

use super::bench::Bench;
use super::world::{World, process};
use crate::common::pty::Pty;
use crate::common::wait::{self, LONG};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read;
use std::process::Stdio;
use visor::model::State;

/// What no terminal may get: clear the screen, set the clipboard, write over, reorder.
const HOSTILE: &[u8] =
    b"\x1b[31mred\x1b[0m\n\x1b[2J\x1b]52;c;eA==\x07good\rbad\n\xe2\x80\xae\xc2\x9b31m\xff\n";

fn hostile() -> World {
    let mut world = World { log: HOSTILE.to_vec(), pieces: vec![HOSTILE.to_vec()], ..World::of_states() };
    world.processes.truncate(1);
    let process = &mut world.processes[0];
    process.description = "can't find command '\x1b[2J\u{202e}'".into();
    process.spawn_error.clone_from(&process.description);
    process.state = State::Fatal;
    process.command = "\x1b]0;title\x07".into();
    world
}

fn has_nothing_raw(text: &str) -> bool {
    let rest = text.replace("\r\n", "\n").replace("\r\x1b[K", "");
    let mut pieces = rest.split('\x1b');
    let is_plain = |piece: &str| {
        !piece
            .chars()
            .any(|letter| (letter.is_control() && !matches!(letter, '\n' | '\t')) || letter == '\u{202e}')
    };
    let is_colour = |piece: &str| {
        let parameters = piece.strip_prefix('[').and_then(|rest| rest.split_once('m'));
        parameters.is_some_and(|(digits, _)| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'))
    };
    pieces.next().is_some_and(is_plain) && pieces.all(|piece| is_colour(piece) && is_plain(piece))
}

#[test]
fn nothing_that_others_wrote_reaches_a_terminal_raw() {
    let bench = Bench::with(hostile());
    for words in [
        &["tail", "stopped"][..],
        &["logs", "stopped"],
        &["status"],
        &["status", "--json"],
        &["why", "stopped"],
        &["why", "--json", "stopped"],
        &["status", "\x1b[2Jnobody"],
        &["start", "\x1b[2Jnobody"],
        &["avail"],
    ] {
        let (text, _) = Pty::start(&mut bench.command(words)).finish();
        assert!(has_nothing_raw(&text) && !text.is_empty(), "{words:?}: {text:?}");
    }
    let file = bench.dir().join("a\x1b[2J\u{202e}\u{9b}31m.conf");
    let name = file.to_str().expect("UTF-8");
    for text in
        ["[supervisord]\n[program:a]\ncommand=c\n\u{9b}=1\n", "[supervisord]\nloglevel=\x1b[2J\u{9b}\n"]
    {
        std::fs::write(&file, text).expect("our own file");
        for option in ["--strict", "--json", "--dump"] {
            let (text, _) = Pty::start(&mut bench.command(&["check", option, name])).finish();
            assert!(has_nothing_raw(&text) && text.contains("2J"), "check {option}: {text:?}");
        }
        let (text, _) = Pty::start(&mut bench.command(&["check", name])).finish();
        assert!(has_nothing_raw(&text) && text.contains("2J"), "check: {text:?}");
    }
    for words in [&["tail", "-f", "stopped"][..], &["logs", "-f", "stopped"]] {
        let mut session = Pty::start(&mut bench.command(words));
        let begin = session.wait_for("\\xff");
        session.child.kill().expect("it still follows");
        let text = begin + &session.finish().0;
        assert!(has_nothing_raw(&text) && text.contains("\x1b[31mred"), "{words:?}: {text:?}");
    }
}

#[test]
fn states_have_colours_unless_they_are_not_wanted() {
    let bench = Bench::with(World::of_states());
    let (text, code) = Pty::start(&mut bench.command(&["status"])).finish();
    assert!(
        text.contains("\x1b[32mRUNNING\x1b[0m   pid 42") && text.contains("\x1b[31mFATAL\x1b[0m"),
        "{text:?}"
    );
    assert_eq!(code, Some(3));
    for (kind, no_color) in [("xterm", "1"), ("dumb", "")] {
        let mut command = bench.command(&["status"]);
        let (text, _) = Pty::start_as(kind, command.env("NO_COLOR", no_color)).finish();
        assert!(text.contains("RUNNING") && !text.contains('\x1b'), "{kind}: {text:?}");
    }
    assert!(!bench.run(&["status"]).out.contains('\x1b'));
}

#[test]
fn nothing_typed_shows_the_status_and_a_hint() {
    let bench = Bench::with(World::of_states());
    let (text, _) = Pty::start(&mut bench.command(&[])).finish();
    assert!(
        text.contains("RUNNING") && text.ends_with("(visorctl help shows what else there is)\r\n"),
        "{text:?}"
    );
}

#[test]
fn a_command_that_waits_shows_it_and_ctrl_c_cancels_nothing() {
    let mut world = World::of_states();
    world.silent = vec!["/v1/start"];
    let bench = Bench::with(world);
    let mut session = Pty::start(&mut bench.command(&["start", "stopped"]));
    session.wait_for("\r\x1b[Kstart stopped: waiting, 1 s; Ctrl-C leaves it going on in the background");
    let pid = i32::try_from(session.child.id()).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("it waits");
    let (text, code) = session.finish();
    let end = "\r\x1b[Kstart stopped: goes on in the background (visorctl status shows how it went)\r\n";
    assert!(text.ends_with(end), "{text:?}");
    assert_eq!(code, Some(6));
    assert_eq!(bench.asked().len(), 1, "nothing was taken back");
}

#[test]
fn no_progress_is_shown_where_no_terminal_is() {
    let mut world = World { replies: Vec::new(), ..World::of_states() };
    world.silent = vec!["/v1/stop"];
    let bench = Bench::with(world);
    let mut child = bench
        .command(&["stop", "running"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("visorctl runs");
    wait::until(LONG, "the question", || (!bench.asked().is_empty()).then_some(()));
    let pid = i32::try_from(child.id()).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("it waits");
    let mut error = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut error).expect("UTF-8");
    assert_eq!(error, "stop running: goes on in the background (visorctl status shows how it went)\n");
    assert_eq!(child.wait().expect("a status").code(), Some(6));
}

#[test]
fn remarks_are_for_people() {
    let mut backoff = process(State::Backoff);
    backoff.left_overs = 2;
    let bench = Bench::with(World { processes: vec![backoff], ..World::of_states() });
    let (text, _) = Pty::start(&mut bench.command(&["status"])).finish();
    assert!(text.contains(", next attempt in 2 s, 2 processes left"), "{text:?}");
    assert!(!bench.run(&["status"]).out.contains("next attempt"));
}

#[test]
fn the_doctor_shows_colours_and_nothing_raw() {
    let bench = Bench::empty();
    let folder = bench.dir().join("home/.config/visor/conf.d");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("a\x1b[2J\u{202e}.conf"), "[program:a]\n").expect("a file");
    for words in [&["doctor"][..], &["doctor", "--json"]] {
        let (text, code) = Pty::start(&mut bench.command(words)).finish();
        assert!(has_nothing_raw(&text) && text.contains("2J") && code == Some(1), "{words:?}: {text:?}");
    }
    let coloured = Pty::start(&mut bench.command(&["doctor"])).finish().0;
    assert!(coloured.contains("configuration \x1b[31mproblem\x1b[0m  the configuration"), "{coloured:?}");
    let plain = Pty::start(bench.command(&["doctor"]).env("NO_COLOR", "1")).finish().0;
    assert!(plain.contains("configuration problem  ") && !plain.contains('\x1b'), "{plain:?}");
    assert!(!bench.run(&["doctor"]).out.contains("\x1b[31m"));
}

#[test]
fn status_points_at_the_doctor_where_the_configuration_is_a_problem() {
    use visor::api::v1::ConfigState;
    for (state, is_hinted) in
        [(ConfigState::Ok, false), (ConfigState::Pending, false), (ConfigState::Bad, true)]
    {
        let mut world = World::of_states();
        world.daemon.config.state = state;
        let bench = Bench::with(world);
        let hint = "(visorctl doctor tells what to do)";
        let (text, _) = Pty::start(&mut bench.command(&["status"])).finish();
        assert_eq!(text.contains(hint), is_hinted, "{state:?}: {text:?}");
        let said = bench.run(&["status"]);
        assert!(!said.err.contains(hint), "{said:?}");
    }
}
