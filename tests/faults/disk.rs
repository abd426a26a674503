//! A full disk under a log: the program runs on, what is lost is counted and marked, and it ends with the shortage.

use crate::common::counter::{self, Mode};
use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{need, proc};

#[test]
fn a_log_on_a_full_device_stops_neither_program_nor_daemon() {
    if !ours("a log that fails is no failure of the daemon") {
        return;
    }
    let setup = Setup::new("full-device");
    let command = counter::command(&setup.sandbox, "counter", Mode::Line, 1);
    let daemon = setup.start(&format!(
        "[program:counter]\ncommand={command}\nstartsecs=0\nstdout_logfile=/dev/full\nstdout_logfile_maxbytes=0\n\
         [program:good]\ncommand=sh -c 'while :; do echo tick; sleep 0.05; done'\nstartsecs=0\nstdout_logfile=%(here)s/good.log\n"
    ));
    let pid = daemon.wait_running("counter");
    let before = daemon.sandbox.read_bytes("good.log").len();
    wait::until(LONG, "the other log to grow", || {
        (daemon.sandbox.read_bytes("good.log").len() > before + 50).then_some(())
    });
    assert!(proc::alive(pid));
    assert_eq!(daemon.count("spawned: 'counter'"), 1);
    daemon.stop();
    // `stop` proves that the counter was not stuck in a write: it wrote its count and ended on the first TERM.
}

/// A daemon whose log directory is a tiny file system of its own mount namespace, inside which it also runs.
fn on_a_tiny_disk(size: &str) -> Daemon {
    let setup = Setup::new("full-disk");
    let command = counter::command(&setup.sandbox, "counter", Mode::Line, 1);
    setup.sandbox.mkdir("small");
    let (uid, gid) = setup.sandbox.who().ids().expect("the tests run as root");
    let start = format!(
        "mount -t tmpfs -o size={size},uid={uid},gid={gid} tmpfs small && exec setpriv --reuid {uid} --regid {gid} --clear-groups \"$0\" \"$@\""
    );
    // Root makes the mount; the daemon drops to the user before it starts.
    let setup = setup.wrapped_by_root(&["unshare", "--mount", "sh", "-c", &start]);
    setup.start(&format!(
        "[program:counter]\ncommand={command}\nstartsecs=0\nstdout_logfile=%(here)s/small/counter.log\nstdout_logfile_maxbytes=0\n"
    ))
}

#[test]
fn a_full_disk_is_told_once_and_a_marker_says_how_much_was_dropped_when_space_returns() {
    if !ours("ENOSPC is counted and marked") || !need::root() {
        return;
    }
    let daemon = on_a_tiny_disk("256k");
    let inside = |file: &str| {
        format!("/proc/{}/root{}", daemon.pid_of("counter"), daemon.sandbox.path(file).display())
    };
    let pid = daemon.wait_running("counter");
    daemon.wait_for("o space left on device");
    assert!(proc::alive(pid));
    // Root makes room: the log is emptied from outside, and the daemon goes on at its end.
    let log = inside("small/counter.log");
    let remount = format!(
        "nsenter --mount=/proc/{pid}/ns/mnt mount -o remount,size=64m {}",
        daemon.sandbox.text("small")
    );
    let enlarged = std::process::Command::new("sh").args(["-c", &remount]).status().expect("nsenter runs");
    assert!(enlarged.success());
    let marked = || {
        std::fs::read(&log)
            .ok()
            .filter(|bytes| String::from_utf8_lossy(bytes).contains("bytes of output dropped: "))
    };
    wait::until(LONG, "a marker in the log", marked);
    assert!(daemon.count("o space left on device") <= 3, "the same trouble was told again and again");
    assert_eq!(daemon.count("spawned: 'counter'"), 1);
    daemon.stop();
}
