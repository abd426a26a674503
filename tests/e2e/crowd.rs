//! Many programs at once.

use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{Who, need, proc};
use nix::sys::signal::Signal;
use std::time::Duration;

/// The user id that these daemons run as when the tests run as root: pipe pages and processes count by user.
const CROWD_UID: u32 = 61_001;

/// Descriptors for the largest crowd, three a program and some.
const FILES: &str = "16000";

/// A daemon with `count` copies of a section, once all of them run.
pub(crate) fn start(name: &str, count: usize, section: &str) -> Daemon {
    let who = if need::is_root() { Who::Stranger(CROWD_UID) } else { Who::Ordinary };
    let daemon = Setup::of(name, who).main(&format!("minfds={FILES}")).start(&format!(
        "[program:many]\nprocess_name=%(program_name)s_%(process_num)04d\nnumprocs={count}\nstartsecs=0\n\
         stdout_logfile=NONE\nstderr_logfile=NONE\n{section}\n"
    ));
    let running = || (daemon.count_logged("success: many_") == count).then_some(());
    wait::until(Duration::from_secs(120), &format!("{count} programs to run"), running);
    daemon
}

#[test]
fn children_that_all_end_at_once_leave_no_zombie_and_are_all_told() {
    let count = need::by_ring(1000, 4000);
    let daemon = start("mass-death", count, "command=sleep 1000\nautorestart=false");
    let children: Vec<i32> = proc::children(daemon.keeper())
        .into_iter()
        .filter(|&pid| proc::command_line(pid).first().is_some_and(|word| word == "sleep"))
        .collect();
    assert_eq!(children.len(), count);
    children.iter().for_each(|&pid| proc::signal(pid, Signal::SIGKILL));
    let told = || (daemon.count_logged("(terminated by SIGKILL; not expected)") == count).then_some(());
    wait::until(Duration::from_secs(60), "every end to be told", told);
    wait::until(LONG, "no zombie", || proc::zombies(daemon.keeper()).is_empty().then_some(()));
    assert!(children.iter().all(|&pid| proc::state(pid).is_none()), "a child is still there");
    daemon.stop();
}

#[test]
fn children_that_all_end_at_once_are_all_restarted() {
    if !ours("restart without delay") {
        return;
    }
    let count = need::by_ring(300, 2000);
    let daemon = start("mass-restart", count, "command=sleep 1000\nautorestart=true");
    let children = proc::children(daemon.keeper());
    let sleepers = children
        .into_iter()
        .filter(|&pid| proc::command_line(pid).first().is_some_and(|word| word == "sleep"));
    sleepers.for_each(|pid| proc::signal(pid, Signal::SIGKILL));
    wait::until(Duration::from_secs(60), "all to run again", || {
        (daemon.count_logged("success: many_") == 2 * count).then_some(())
    });
    assert!(proc::zombies(daemon.keeper()).is_empty());
    daemon.stop();
}
