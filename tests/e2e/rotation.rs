//! Logs that are cut while they are written.

use crate::common::counter::{self, Mode};
use crate::common::daemon::{Setup, ours};
use crate::common::wait::{self, LONG};
use nix::sys::signal::Signal;

fn rotates_whole(name: &str, mode: Mode) {
    if !ours("rotation at line ends") {
        return;
    }
    let setup = Setup::new(name);
    let command = counter::command(&setup.sandbox, "counter", mode, 1);
    let mut daemon = setup.start(&format!(
        "[program:counter]\ncommand={command}\nstartsecs=0\nstdout_logfile=%(here)s/counter.log\n\
         stdout_logfile_maxbytes=100KB\nstdout_logfile_backups=400"
    ));
    wait::until(LONG, "30 rotations", || daemon.sandbox.path("counter.log.30").exists().then_some(()));
    daemon.signal(Signal::SIGTERM);
    daemon.wait_exit(LONG);
    let lines = counter::check(&daemon.sandbox, "counter", "counter.log");
    let files = counter::files(&daemon.sandbox, "counter.log");
    assert!(files.len() > 30 && lines > 10_000, "{} files, {lines} lines", files.len());
}

#[test]
fn rotation_under_load_tears_and_loses_no_line_written_line_by_line() {
    rotates_whole("rotate-lines", Mode::Line);
}

#[test]
fn rotation_under_load_tears_and_loses_no_line_written_in_blocks() {
    rotates_whole("rotate-blocks", Mode::Block);
}

#[test]
fn rotation_keeps_the_number_of_backups() {
    let setup = Setup::new("backups");
    let command = counter::command(&setup.sandbox, "counter", Mode::Line, 1);
    let daemon = setup.start(&format!(
        "[program:counter]\ncommand={command}\nstartsecs=0\nstdout_logfile=%(here)s/counter.log\n\
         stdout_logfile_maxbytes=20KB\nstdout_logfile_backups=2"
    ));
    let first = wait::until(LONG, "a second backup", || {
        daemon.sandbox.read("counter.log.2").lines().next().map(str::to_owned)
    });
    wait::until(LONG, "the second backup to be replaced", || {
        let now = daemon.sandbox.read("counter.log.2");
        now.lines().next().is_some_and(|line| line != first).then_some(())
    });
    assert!(!daemon.sandbox.path("counter.log.3").exists(), "more backups than asked for");
    daemon.stop();
}

#[test]
fn a_log_without_backups_begins_anew() {
    let setup = Setup::new("no-backups");
    let command = counter::command(&setup.sandbox, "counter", Mode::Line, 1);
    let daemon = setup.start(&format!(
        "[program:counter]\ncommand={command}\nstartsecs=0\nstdout_logfile=%(here)s/counter.log\n\
         stdout_logfile_maxbytes=20KB\nstdout_logfile_backups=0"
    ));
    let begins_later = || {
        daemon
            .sandbox
            .read("counter.log")
            .lines()
            .next()
            .is_some_and(|line| !line.starts_with("counter 0 "))
            .then_some(())
    };
    wait::until(LONG, "the log to begin anew", begins_later);
    assert!(!daemon.sandbox.path("counter.log.1").exists(), "a backup although none was asked for");
    daemon.stop();
}
