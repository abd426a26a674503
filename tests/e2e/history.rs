//! The journal of what happened: nothing is lost or told twice by `kill -9`, and a full disk costs records only.

use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::need;
use crate::common::proc;
use crate::common::wait::{self, LONG};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use visor::api::v1::history::{Entry, Filter, read};

/// Five deaths in ten seconds make the keeper careful, so kills are this far apart at least.
const BETWEEN_KILLS: Duration = Duration::from_millis(2300);

/// Programs that end again and again, each at its own pace.
const PROGRAMS: usize = 5;

/// Runs of each, the last of which goes on: 60 records fit into the allowance of a program.
const RUNS: usize = 18;

fn journal(daemon: &Daemon) -> Vec<Entry> {
    let names = daemon.sandbox.names("log");
    let found = names.iter().filter(|name| name.starts_with("history-"));
    let journals: Vec<Vec<u8>> =
        found.rev().map(|name| daemon.sandbox.read_bytes(&format!("log/{name}"))).collect();
    read(&journals, &Filter { count: usize::MAX, ..Filter::default() })
}

#[test]
fn killed_reactors_lose_no_record_and_none_is_told_twice() {
    if !ours("the history") {
        return;
    }
    let setup = Setup::new("history-kills").file(
        "end.sh",
        "echo >> $1.runs; test $(wc -l < $1.runs) -ge $2 && exec sleep 1000; sleep 0.$3; exit 3",
    );
    let section = |number: usize| {
        let pause = 40 + number * 7;
        format!(
            "[program:p{number}]\ncommand=sh end.sh p{number} {RUNS} {pause}\nstartsecs=0\nautorestart=true\n"
        )
    };
    let daemon = setup.start(&(0..PROGRAMS).map(section).collect::<String>());
    let runs = |number: usize| daemon.sandbox.read(&format!("p{number}.runs")).lines().count();
    let all_done = || (0..PROGRAMS).all(|number| runs(number) >= RUNS);
    let (mut kills, deadline) = (0, Instant::now() + 3 * LONG);
    while !all_done() && Instant::now() < deadline {
        let old = daemon.reactor();
        let next = Instant::now() + BETWEEN_KILLS;
        wait::until(LONG, "the time of the next kill", || (Instant::now() >= next).then_some(()));
        proc::signal(old, Signal::SIGKILL);
        daemon.next_reactor(old);
        kills += 1;
    }
    assert!(all_done() && kills >= 3, "{kills} kills");
    for number in 0..PROGRAMS {
        daemon.wait_running(&format!("p{number}"));
    }
    let told = || {
        let entries = journal(&daemon);
        let running = entries.iter().filter(|entry| entry.what == "running").count();
        (running >= PROGRAMS * RUNS).then_some(entries)
    };
    let entries = wait::until(LONG, "the last records", told);
    for number in 0..PROGRAMS {
        let name = format!("p{number}");
        let of = |what: &str| {
            entries.iter().filter(|entry| entry.program == name && entry.what == what).collect::<Vec<_>>()
        };
        assert_eq!(of("running").len(), RUNS, "{name}");
        assert_eq!(of("exited").len(), RUNS - 1, "{name}");
        assert_eq!(of("starting").len(), RUNS, "{name}");
        assert!(of("exited").iter().all(|end| end.exit.as_deref() == Some("exit status 3")));
        let mut pids: Vec<i32> = of("running").iter().map(|entry| entry.pid).collect();
        pids.dedup();
        assert_eq!(pids.len(), RUNS, "a run is told twice");
    }
    assert_eq!(entries.iter().filter(|entry| entry.what == "reactor_replaced").count(), kills);
    daemon.stop();
}

#[test]
fn a_full_disk_costs_records_only_and_is_told_once() {
    if !ours("the history") || !need::root() {
        return;
    }
    let setup = Setup::new("history-full");
    setup.sandbox.mkdir("log");
    let (uid, gid) = setup.sandbox.who().ids().expect("the tests run as root");
    let start = format!(
        "mount -t tmpfs -o size=64k,uid={uid},gid={gid} tmpfs log && head -c 60k /dev/zero > log/ballast && \
         exec setpriv --reuid {uid} --regid {gid} --clear-groups \"$0\" \"$@\""
    );
    let setup = setup.wrapped_by_root(&["unshare", "--mount", "sh", "-c", &start]);
    let sections: String = (0..30)
        .map(|number| {
            format!("[program:p{number}]\ncommand=sleep 1000\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n")
        })
        .collect();
    let daemon = setup.start(&sections);
    let told = daemon.wait_for("o space left on device");
    assert!(daemon.lines()[told].contains("history-"), "{}", daemon.lines()[told]);
    for number in 0..30 {
        daemon.wait_running(&format!("p{number}"));
    }
    // Each end is one more record that there is no room for.
    for number in 0..5 {
        let from = daemon.mark();
        proc::signal(daemon.pid_of(&format!("p{number}")), Signal::SIGKILL);
        daemon.wait_after(from, &format!("success: p{number} entered RUNNING state"));
    }
    assert_eq!(daemon.count("o space left on device"), 1);
    let log = format!("/proc/{}/root{}", daemon.keeper(), daemon.sandbox.path("log").display());
    std::fs::remove_file(format!("{log}/ballast")).expect("the ballast");
    let from = daemon.mark();
    proc::signal(daemon.pid_of("p9"), Signal::SIGKILL);
    daemon.wait_after(from, "works again");
    daemon.stop();
}
