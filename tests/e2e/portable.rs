//! The portable back ends (no subreaper, memory file or pidfd), which macOS has, run on Linux behind a switch.

use crate::common::counter::{self, Mode};
use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::proc;
use crate::common::wait::{self, LONG};
use nix::sys::signal::Signal;

fn portable(name: &str) -> Setup {
    Setup::new(name).env("VISOR_TEST_PORTABLE", "1")
}

#[test]
fn portable_programs_crash_and_come_back_and_end() {
    if !ours("portable back ends") {
        return;
    }
    let daemon: Daemon = portable("portable").start("[program:web]\ncommand=sleep 1000\nstartsecs=0\n");
    let first = daemon.wait_running("web");
    proc::signal(first, Signal::SIGKILL);
    let told = daemon.wait_for("exited: web (terminated by SIGKILL; not expected)");
    daemon.wait_after(told, "success: web entered RUNNING state");
    assert_ne!(daemon.pid_of("web"), first);
    daemon.stop();
}

#[test]
fn portable_reactors_are_replaced_and_no_line_is_lost() {
    if !ours("portable back ends") {
        return;
    }
    let setup = portable("portable-reactor");
    let command = counter::command(&setup.sandbox, "counter", Mode::Line, 1);
    let mut daemon = setup.start(&format!(
        "[program:counter]\ncommand={command}\nstartsecs=0\nstdout_logfile=%(here)s/counter.log\n\
         stdout_logfile_maxbytes=200KB\nstdout_logfile_backups=400\n"
    ));
    let pid = daemon.wait_running("counter");
    for rotations in [2, 4, 6] {
        let backup = format!("counter.log.{rotations}");
        wait::until(LONG, "a rotation", || daemon.sandbox.path(&backup).exists().then_some(()));
        let reactor = daemon.reactor();
        proc::signal(reactor, Signal::SIGKILL);
        daemon.next_reactor(reactor);
    }
    assert!(proc::alive(pid));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
    counter::check(&daemon.sandbox, "counter", "counter.log");
}
