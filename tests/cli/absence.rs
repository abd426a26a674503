//! No daemon, a daemon that does not answer, a stranger in its place, and starting one.

use super::bench::{Bench, Said, said};
use super::server::Server;
use super::world::World;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

#[test]
fn every_path_is_told_with_the_command_that_helps() {
    let bench = Bench::empty();
    fs::write(bench.dir().join("c.conf"), "[supervisord]\n").expect("a file");
    for words in [
        &["status"][..],
        &["start", "web"],
        &["stop", "web"],
        &["restart", "web"],
        &["signal", "HUP", "web"],
        &["reread"],
        &["update"],
        &["add", "web"],
        &["remove", "web"],
        &["avail"],
        &["clear", "web"],
        &["tail", "web"],
        &["logs", "web"],
        &["why", "web"],
        &["pid"],
        &["version"],
        &["wait", "web"],
        &["shutdown"],
        &["daemon", "status"],
        &["daemon", "stop"],
    ] {
        let Said { out, err, code } = bench.run(words);
        assert_eq!((out.as_str(), code), ("", 4), "{words:?}");
        assert!(err.starts_with("error: cannot reach visord\n"), "{err}");
        assert!(bench.masked(&err).contains("\n  /MACHINE/run/default.sock: no such socket\n"), "{err}");
        assert!(err.ends_with("\nstart it: visorctl daemon start\n"), "{err}");
    }
    let classic = bench.run(&["-c", "c.conf", "status"]);
    assert!(classic.code == 4 && classic.err.ends_with("\nstart it: visord -c c.conf\n"), "{classic:?}");
    assert_eq!(bench.run(&["-c", "missing.conf", "status"]).code, 2);
}

#[test]
fn places_that_are_not_ours_are_named_and_the_next_is_used() {
    let bench = Bench::empty();
    let run = bench.dir().join("run");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).expect("chmod");
    let said = bench.run(&["status"]);
    assert!(said.err.contains("its mode is 0777, and 0700 is needed"), "{said:?}");
    let uid = nix::unistd::getuid();
    let temp = bench.dir().join(format!("tmp/visor-{uid}"));
    fs::create_dir(&temp).expect("a folder");
    fs::set_permissions(&temp, fs::Permissions::from_mode(0o700)).expect("chmod");
    let _server = Server::start(&temp.join("default.sock"), World::of_states());
    assert_eq!(bench.run(&["pid"]).out, "100\n");
}

#[test]
fn a_daemon_that_breaks_off_or_talks_nonsense_is_told() {
    let mut world = World::of_states();
    world.broken = vec!["/v1/status"];
    let said = Bench::with(world).run(&["status"]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (4, "error: the connection to visord was lost: it was closed without an answer\n")
    );
    let bench = Bench::empty();
    let listener = UnixListener::bind(bench.socket()).expect("a socket");
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        std::io::Write::write_all(&mut stream, b"220 mail ESMTP\r\n\r\n").expect("the client reads");
    });
    let said = bench.run(&["status"]);
    assert!(said.code == 5 && said.err.contains("different versions"), "{said:?}");
    thread.join().expect("no panic");
}

/// A machine with visorctl, and beside it a `visord` that is a script.
fn with_visord(bench: &Bench, script: &str) -> (tempfile::TempDir, PathBuf) {
    // On the file system of the build, where the program need not be copied.
    let bin = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let visorctl = bin.path().join("visorctl");
    fs::hard_link(env!("CARGO_BIN_EXE_visorctl"), &visorctl).expect("a link");
    let visord = bin.path().join("visord.text");
    fs::write(&visord, format!("#!/bin/sh\nD='{}'\n{script}\n", bench.dir().display())).expect("a file");
    fs::set_permissions(&visord, fs::Permissions::from_mode(0o700)).expect("chmod");
    // Copied by another process: one that was forked from us meanwhile might hold ours open for writing.
    let copied = std::process::Command::new("cp").arg(&visord).arg(bin.path().join("visord")).status();
    assert!(copied.is_ok_and(|status| status.success()));
    (bin, visorctl)
}

/// A server whose socket a script can put into place.
fn hidden(bench: &Bench) -> Server {
    let folder = bench.dir().join("hidden");
    fs::create_dir(&folder).expect("a folder");
    Server::start(&folder.join("default.sock"), World::of_states())
}

const APPEAR: &str = "mv \"$D/hidden/default.sock\" \"$D/run/default.sock\"";

#[test]
fn start_starts_the_daemon_first_and_says_so() {
    let bench = Bench::empty();
    let _server = hidden(&bench);
    let script = format!("{APPEAR}; env > \"$D/env\"; pwd > \"$D/pwd\"");
    let (_bin, visorctl) = with_visord(&bench, &script);
    let mut command = bench.program(&visorctl, &["start", "stopped"]);
    let Said { out, err, code } = said(command.env_remove("VISOR_NO_SPAWN").env("SECRET", "x"));
    assert_eq!((out.as_str(), code), ("stopped: started\n", 0), "{err}");
    assert!(err.starts_with("started visord, pid 100 (") && err.lines().count() == 1, "{err}");
    let env = fs::read_to_string(bench.dir().join("env")).expect("the script ran");
    assert!(env.contains("VISOR_RUNTIME_DIR=") && !env.contains("SECRET"), "{env}");
    assert_eq!(fs::read_to_string(bench.dir().join("pwd")).expect("the script ran"), "/\n");
}

#[test]
fn who_comes_second_uses_the_daemon_of_who_came_first() {
    let bench = Bench::empty();
    let _server = hidden(&bench);
    let (_bin, visorctl) =
        with_visord(&bench, &format!("{APPEAR}; echo 'Error: visord already runs' >&2; exit 2"));
    let said = said(bench.program(&visorctl, &["start", "stopped"]).env_remove("VISOR_NO_SPAWN"));
    assert_eq!((said.out.as_str(), said.err.as_str(), said.code), ("stopped: started\n", "", 0));
}

#[test]
fn a_daemon_that_does_not_start_is_told_in_its_words() {
    let bench = Bench::empty();
    let (_bin, visorctl) = with_visord(&bench, "echo 'Error: bad thing' >&2; exit 2");
    for words in [&["start", "web"][..], &["daemon", "start"]] {
        let said = said(bench.program(&visorctl, words).env_remove("VISOR_NO_SPAWN"));
        assert_eq!(
            (said.code, said.err.as_str()),
            (4, "error: visord does not start (exit status: 2)\nError: bad thing\n")
        );
    }
}

#[test]
fn no_daemon_is_started_where_none_is_wanted() {
    let bench = Bench::empty();
    let (_bin, visorctl) = with_visord(&bench, "touch \"$D/started\"; exit 2");
    fs::write(bench.dir().join("c.conf"), "[supervisord]\n").expect("a file");
    let started = || bench.dir().join("started").exists();
    for words in [
        &["status"][..],
        &["stop", "web"],
        &["-c", "c.conf", "start", "web"],
        &["-c", "c.conf", "daemon", "start"],
    ] {
        let said = said(bench.program(&visorctl, words).env_remove("VISOR_NO_SPAWN"));
        assert!(said.code != 0 && !started(), "{words:?}: {said:?}");
    }
    assert!(said(&mut bench.program(&visorctl, &["start", "web"])).code == 4 && !started());
    let job = said(
        bench.program(&visorctl, &["start", "web"]).env_remove("VISOR_NO_SPAWN").env("SLURM_JOB_ID", "7"),
    );
    assert!(job.code == 1 && job.err.contains("--here") && !started(), "{job:?}");
    said(
        bench
            .program(&visorctl, &["start", "--here", "web"])
            .env_remove("VISOR_NO_SPAWN")
            .env("SLURM_JOB_ID", "7"),
    );
    assert!(started());
}
