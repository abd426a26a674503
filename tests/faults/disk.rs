//! A full disk under a log: the program runs on, what is lost is counted and marked, and it ends with the shortage.

use crate::common::counter::{self, Mode};
use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{need, proc};
use nix::sys::signal::Signal;

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

/// Makes a file system of its own that can be frozen, in a mount namespace of its own, and runs the daemon in it.
fn on_a_freezable_disk(sections: &str) -> Daemon {
    let setup = Setup::new("frozen-disk");
    setup.sandbox.mkdir("cold");
    counter::command(&setup.sandbox, "counter", Mode::Line, 200);
    let (uid, gid) = setup.sandbox.who().ids().expect("the tests run as root");
    let start = format!(
        "truncate -s 32M cold.img && mkfs.ext4 -q -E root_owner={uid}:{gid} cold.img && mount -o loop cold.img cold \
         && exec setpriv --reuid {uid} --regid {gid} --clear-groups \"$0\" \"$@\""
    );
    setup.wrapped_by_root(&["unshare", "--mount", "sh", "-c", &start]).start(sections)
}

/// Freezes or thaws the file system of `on_a_freezable_disk`; thaws when dropped, so that no failure leaves it frozen.
struct Frozen<'a>(&'a Daemon);

impl Frozen<'_> {
    fn fsfreeze(&self, how: &str) -> bool {
        let pid = self.0.keeper().to_string();
        let mount = self.0.sandbox.text("cold");
        let words = ["--mount", "--target", &pid, "fsfreeze", how, &mount];
        std::process::Command::new("nsenter").args(words).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.fsfreeze("--unfreeze");
    }
}

#[test]
fn a_frozen_disk_under_a_log_stops_nobody_and_the_log_says_what_it_lacks_when_it_thaws() {
    if !ours("the reactor never waits for a file system") || !need::root() {
        return;
    }
    if ["mkfs.ext4", "fsfreeze", "nsenter"].iter().any(|tool| need::tool(tool).is_none()) {
        return;
    }
    let mut daemon = on_a_freezable_disk(
        "[program:counter]\ncommand=/usr/bin/python3 counter.py counter line 200\nstartsecs=0\nstdout_logfile=%(here)s/cold/counter.log\nstdout_logfile_maxbytes=0\n\
         [program:good]\ncommand=sleep 1000\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    let counter = daemon.wait_running("counter");
    let good = daemon.wait_running("good");
    {
        let frozen = Frozen(&daemon);
        assert!(frozen.fsfreeze("--freeze"), "the file system can be frozen");
        // Some seconds of output, less than the pipe and the buffers hold together.
        wait::throughout(std::time::Duration::from_secs(3), || {
            let died = [counter, good].into_iter().find(|&pid| !proc::alive(pid));
            died.map(|pid| format!("{pid} died while the disk was frozen"))
        });
        // The reactor still takes in what happens.
        let before = daemon.mark();
        proc::signal(good, Signal::SIGKILL);
        daemon.wait_after(before, "exited: good (terminated by SIGKILL; not expected)");
    }
    daemon.wait_for("exited: good (terminated by SIGKILL; not expected)");
    wait::until(LONG, "the restart", || (daemon.pid_of("good") != good).then_some(()));
    let log = format!("/proc/{counter}/root{}", daemon.sandbox.path("cold/counter.log").display());
    let grown = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
    wait::until(LONG, "the log to grow", || {
        std::fs::metadata(&log).is_ok_and(|now| now.len() > grown).then_some(())
    });
    assert_eq!(daemon.pid_of("counter"), counter);
    let text = std::fs::read_to_string(&log).expect("the log");
    nothing_is_missing_unsaid(&text);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
}

/// The lines of a counter in order, none twice, with a gap only where a marker tells of dropped bytes.
fn nothing_is_missing_unsaid(log: &str) {
    let mut next = 0;
    let mut marked = false;
    for line in log.lines() {
        marked |= line.starts_with("visord: ") && line.contains("bytes of output dropped: ");
        // The rest of a line that was cut by the gap has no number.
        let Some(number) = counter::number_of("counter", line) else { continue };
        assert!(
            number == next || number > next && marked,
            "line {number} follows line {next}, and no marker says why"
        );
        next = number + 1;
    }
    assert!(next > 100, "{next} lines");
}
