//! `status --watch`, and what `status` remarks: who flaps, who waits, whose change waits.

use super::account::Account;
use crate::common::pty::Pty;
use crate::common::wait::{self, LONG};
use crate::common::{daemon, proc};
use nix::sys::signal::Signal;
use std::io::{BufRead as _, BufReader};

fn field(account: &Account, name: &str, field: &str) -> serde_json::Value {
    let said: serde_json::Value =
        serde_json::from_str(&account.told(&["status", "--json", name]).1).expect("JSON");
    said["processes"][0][field].clone()
}

#[test]
fn a_program_that_ends_again_and_again_flaps_and_one_that_cannot_start_waits() {
    if !daemon::ours("what status remarks") {
        return;
    }
    let account = Account::new("remarks");
    account.program("flap", "command=sh -c 'sleep 0.1; exit 1'\nstartsecs=0\nautorestart=true");
    account.program("calm", "command=sleep 1000\nstartsecs=0");
    account.program("slow", "command=/nonexistent\nstartretries=1000");
    account.start();
    wait::until(LONG, "flapping", || (field(&account, "flap", "flapping") == true).then_some(()));
    let waits = || (field(&account, "slow", "waiting") == "attempt").then_some(());
    wait::until(LONG, "an attempt", waits);
    assert_eq!(
        (field(&account, "calm", "flapping"), field(&account, "calm", "waiting")),
        (false.into(), "".into())
    );
    let (shown, _) = Pty::start(&mut account.client(&["status", "flap"])).finish();
    assert!(shown.contains(", flapping"), "{shown}");
    account.ok(&["stop", "flap"]);
    assert_eq!(field(&account, "flap", "flapping"), false);
    account.shutdown();
}

#[test]
fn a_change_that_waits_names_its_programs() {
    if !daemon::ours("what status remarks") {
        return;
    }
    let account = Account::new("pending");
    for name in ["a", "b", "c"] {
        account.program(name, "command=sleep 1000\nstartsecs=0");
    }
    account.start();
    account.ok(&["wait", "all"]);
    account.program("a", "command=sleep 1001\nstartsecs=0");
    account.remove_file("b");
    account.program("d", "command=sleep 1002\nstartsecs=0");
    account.told(&["reread"]);
    let said = account.told(&["status"]).2;
    assert_eq!(said, "a change of the configuration (a b d) waits for visorctl update\n");
    account.ok(&["update"]);
    assert_eq!(account.told(&["status"]).2, "");
    account.shutdown();
}

#[test]
fn changes_are_told_line_by_line_also_after_the_death_of_a_reactor() {
    if !daemon::ours("status --watch") {
        return;
    }
    let account = Account::new("watch");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.program("db", "command=sleep 1000\nstartsecs=0");
    account.start();
    account.ok(&["wait", "all"]);
    let mut child = account.background(&["status", "--watch", "web"]);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut next = |state: &str| {
        let line = lines.next().unwrap_or_default();
        assert!(line.starts_with("web ") && line.contains(state), "{state}: {line}");
    };
    next("RUNNING");
    account.ok(&["restart", "db"]);
    account.ok(&["stop", "web"]);
    next("STOPPING");
    next("STOPPED");
    proc::signal(account.reactor(), Signal::SIGKILL);
    account.ok(&["start", "web"]);
    // What happened while nobody listened is one change to what is now.
    let line = lines.next().unwrap_or_default();
    assert!(line.contains("STARTING") || line.contains("RUNNING"), "{line}");
    proc::signal(child.id().cast_signed(), Signal::SIGINT);
    assert_eq!(wait::until(LONG, "the end", || child.try_wait().expect("a status")).code(), Some(0));

    let mut child = account.background(&["status", "--watch", "--json"]);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap_or_default()).expect("JSON");
    assert_eq!(first["namespec"], "db");
    account.shutdown();
    let status = wait::until(LONG, "the end", || child.try_wait().expect("a status"));
    assert_eq!(status.code(), Some(4), "the daemon has ended");
}

#[test]
fn on_a_terminal_the_list_is_drawn_again_and_ctrl_c_leaves_it_as_it_was() {
    if !daemon::ours("status --watch") {
        return;
    }
    let account = Account::new("watch-terminal");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.start();
    account.ok(&["wait", "web"]);
    let mut session = Pty::start(&mut account.client(&["status", "--watch"]));
    assert!(session.wait_for("RUNNING").contains("\x1b[?1049h"));
    session.wait_for("\x1b[J");
    account.ok(&["stop", "web"]);
    session.wait_for("STOPPED");
    proc::signal(session.child.id().cast_signed(), Signal::SIGINT);
    let (rest, code) = session.finish();
    assert!(rest.ends_with("\x1b[?25h\x1b[?1049l") && code == Some(0), "{rest:?} {code:?}");
    account.shutdown();
}
