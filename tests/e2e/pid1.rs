//! visord as PID 1 of a container: it reaps what others leave behind, and passes signals on.

use crate::common::daemon::{Daemon, Setup};
use crate::common::wait::{self, LONG};
use crate::common::{Who, need, proc};
use nix::sys::signal::Signal;

/// Leaves a thousand orphans that end at once, then goes on.
const ORPHANS: &str = "\
import os, time
for _ in range(1000):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
open('orphaned', 'w').close()
time.sleep(1000)
";

/// Starts `visord -n` as PID 1 of a new PID namespace, as an ordinary user, with its /proc.
fn start_as_pid_1(name: &str, setup: Setup, sections: &str) -> (Daemon, i32) {
    let (uid, gid) = Who::Ordinary.ids().expect("the tests run as root");
    let switch = [uid, gid].map(|id| id.to_string());
    setup.sandbox.config("", sections);
    std::os::unix::fs::chown(setup.sandbox.path("log"), Some(uid), Some(gid)).expect("chown by root");
    std::os::unix::fs::chown(setup.sandbox.path("visord.conf"), Some(uid), Some(gid)).expect("chown by root");
    std::os::unix::fs::chown(setup.sandbox.dir(), Some(uid), Some(gid)).expect("chown by root");
    let words = [
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "setpriv",
        "--reuid",
        &switch[0],
        "--regid",
        &switch[1],
        "--clear-groups",
    ];
    let daemon = setup.wrapped(&words).start_with(&["-n", "-c", "visord.conf"]);
    daemon.wait_for("supervisord started with pid 1");
    let inner = proc::children(daemon.keeper());
    assert_eq!(inner.len(), 1, "{name}: unshare has one child");
    (daemon, inner[0])
}

#[test]
fn as_pid_1_it_reaps_orphans_and_ends_on_term() {
    if !need::root() {
        return;
    }
    let setup = Setup::of("pid1", Who::Root).file("orphans.py", ORPHANS);
    let (mut daemon, init) =
        start_as_pid_1("pid1", setup, "[program:parent]\ncommand=/usr/bin/python3 orphans.py\nstartsecs=0\n");
    wait::until(LONG, "the orphans", || daemon.sandbox.path("orphaned").exists().then_some(()));
    wait::until(LONG, "no zombie", || proc::zombies(init).is_empty().then_some(()));
    assert!(proc::alive(init));
    proc::signal(init, Signal::SIGTERM);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
    daemon.wait_for("stopped: parent (terminated by SIGTERM)");
}

#[test]
fn as_pid_1_it_ends_with_the_code_of_the_essential_program() {
    if !need::root() {
        return;
    }
    let (mut daemon, _) = start_as_pid_1(
        "pid1-essential",
        Setup::of("pid1-essential", Who::Root),
        "[program:backend]\ncommand=sh -c 'until test -e go; do sleep 0.1; done; exit 42'\nessential=daemon\n\
         autorestart=false\nstartsecs=0\n[program:other]\ncommand=sleep 1000\nstartsecs=0\n",
    );
    daemon.wait_for("success: other entered RUNNING state");
    daemon.sandbox.write("go", "");
    assert_eq!(daemon.wait_exit(LONG).code(), Some(42));
    daemon.wait_for("stopped: other (terminated by SIGTERM)");
}
