//! Tricks of a hostile neighbour with the files that visord writes.

use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{need, proc};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

const TALKER: &str = "command=sh -c 'echo spoken; exec sleep 1000'\nstartsecs=0\nstartretries=0\n";

/// A directory in which everybody may make files, as /tmp is, with a neighbour's file planted in it by root.
fn hostile_directory(setup: &Setup) -> PathBuf {
    let dir = setup.sandbox.mkdir("shared");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).expect("chmod of our own directory");
    dir
}

fn logging_to(path: &std::path::Path) -> String {
    format!(
        "[program:talker]\n{TALKER}stdout_logfile={}\n[program:good]\ncommand=sleep 1000\nstartsecs=0\n",
        path.display()
    )
}

#[test]
fn a_symlink_that_a_neighbour_planted_for_a_log_is_not_followed() {
    if !ours("planted links are refused") || !need::root() {
        return;
    }
    let setup = Setup::new("symlink");
    let treasure = setup.sandbox.write("treasure", "mine");
    let link = hostile_directory(&setup).join("talker.log");
    symlink(&treasure, &link).expect("a link of root");
    std::os::unix::fs::lchown(&link, Some(61_998), None).expect("chown by root");
    let daemon = setup.start(&logging_to(&link));
    daemon.wait_for("gave up: talker entered FATAL state");
    assert_eq!(daemon.sandbox.read("treasure"), "mine");
    daemon.wait_running("good");
    daemon.stop();
}

#[test]
fn a_hard_link_that_a_neighbour_planted_for_a_log_is_not_written() {
    if !ours("planted links are refused") || !need::root() {
        return;
    }
    let setup = Setup::new("hardlink");
    let treasure = setup.sandbox.write("treasure", "mine");
    let link = hostile_directory(&setup).join("talker.log");
    fs::hard_link(&treasure, &link).expect("a link of root");
    let daemon = setup.start(&logging_to(&link));
    daemon.wait_for("gave up: talker entered FATAL state");
    assert_eq!(daemon.sandbox.read("treasure"), "mine");
    daemon.stop();
}

#[test]
fn a_fifo_for_a_log_hangs_nobody() {
    if !ours("no open can block") {
        return;
    }
    let setup = Setup::new("fifo");
    let fifo = setup.sandbox.path("talker.log");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o622)).expect("a fifo");
    setup.sandbox.own(&fifo);
    let daemon: Daemon = setup.start(&logging_to(&fifo));
    let good = daemon.wait_running("good");
    proc::signal(good, Signal::SIGKILL);
    let told = daemon.wait_for("exited: good (terminated by SIGKILL; not expected)");
    daemon.wait_after(told, "success: good entered RUNNING state");
    daemon.stop();
}

#[test]
fn the_users_own_symlink_for_a_log_is_followed() {
    let setup = Setup::new("own-symlink");
    let scratch = setup.sandbox.mkdir("scratch").join("talker.log");
    let link = setup.sandbox.path("talker.log");
    symlink(&scratch, &link).expect("a link of ours");
    setup.sandbox.own(&link);
    let daemon = setup.start(&logging_to(&link));
    let spoken = || (daemon.sandbox.read("scratch/talker.log") == "spoken\n").then_some(());
    wait::until(LONG, "the line behind the link", spoken);
    daemon.stop();
}

#[test]
fn automatic_logs_are_for_their_owner_only_whatever_the_umask() {
    let daemon = Setup::new("modes")
        .wrapped(&["sh", "-c", "umask 0; exec \"$0\" \"$@\""])
        .start(&format!("[program:talker]\n{TALKER}"));
    daemon.wait_running("talker");
    let logs: Vec<fs::DirEntry> =
        fs::read_dir(daemon.sandbox.path("log")).expect("our own directory").flatten().collect();
    // The journal lies beside them.
    let is_log = |file: &&fs::DirEntry| file.path().extension().is_some_and(|end| end == "log");
    let logs: Vec<&fs::DirEntry> = logs.iter().filter(is_log).collect();
    assert_eq!(logs.len(), 2, "stdout and stderr: {logs:?}");
    for log in logs {
        let mode = log.metadata().expect("our own file").mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", log.path().display());
        let name = log.file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with("talker-std") && name.contains("---supervisor-") && name.ends_with(".log"),
            "{name}"
        );
    }
    daemon.stop();
}

#[test]
fn environments_are_never_logged() {
    let daemon = Setup::new("secrets").env("OUTER", "canary-one").start(&format!(
        "[program:talker]\n{TALKER}environment=INNER=\"canary-two\"\n[program:odd]\ncommand=/no/such\nenvironment=INNER=\"canary-two\"\nstartretries=0\n"
    ));
    daemon.wait_running("talker");
    daemon.wait_for("gave up: odd");
    let log = daemon.sandbox.read("visord.log");
    daemon.stop();
    assert!(!log.contains("canary"), "{log}");
}
