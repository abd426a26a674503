//! `visorctl history`: what happened, who did it, asked of the daemon and read without one.

use super::account::Account;
use super::raw;
use crate::common::wait::{self, LONG};
use crate::common::{daemon, proc};
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt as _;

/// The journal, seen from the home.
const JOURNAL: &str = ".local/state/visor/history-default.jsonl";

fn whats(account: &Account, words: &[&str]) -> Vec<String> {
    let said: serde_json::Value =
        serde_json::from_str(&account.ok(&[&["history", "--json"], words].concat())).expect("JSON");
    let entries = said["entries"].as_array().expect("entries").iter();
    entries.map(|entry| entry["what"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_history_tells_starts_ends_and_who_stopped_whom_also_without_a_daemon() {
    let account = Account::new("history");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.program("bad", "command=/nonexistent/program\nstartretries=0");
    account.start();
    account.ok(&["wait", "web"]);
    proc::signal(account.pid("web"), Signal::SIGKILL);
    let restarted = || (whats(&account, &["web"]).len() >= 5).then_some(());
    wait::until(LONG, "the restart", restarted);
    account.ok(&["wait", "web"]);
    account.ok(&["stop", "web"]);
    let cycle = ["starting", "running", "exited", "starting", "running", "stopping", "stopped"];
    assert_eq!(whats(&account, &["web"]), cycle);
    let text = account.ok(&["history", "web"]);
    for words in [
        "web  ended by itself: terminated by SIGKILL, not expected, after",
        "starts: autorestart, by visord",
        "by you",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let bad = account.ok(&["history", "bad"]);
    assert!(bad.contains("failed to start: can't find command '/nonexistent/program'"), "{bad}");
    let why = account.told(&["why", "bad"]).1;
    assert!(why.contains("what happened last:\n") && why.contains("bad  given up"), "{why}");

    assert_eq!(whats(&account, &["web", "-n", "2"]), cycle[5..]);
    assert_eq!(whats(&account, &["--since", "1h"])[0], "daemon_started");
    let none = account.told(&["history", "web", "--since", "2999-01-01"]);
    assert!(none.0 == 0 && none.1.is_empty() && none.2.contains("nothing is recorded"), "{none:?}");

    account.program("late", "command=sleep 1001\nstartsecs=0");
    account.ok(&["update"]);
    account.shutdown();
    let (code, text, notice) = account.told(&["history"]);
    assert!(code == 0 && notice.contains("visord does not run"), "{notice}");
    assert!(text.contains("configuration: new group: late") && text.contains("-  visord ended"), "{text}");
    assert_eq!(whats(&account, &["web"]), cycle);
    let mode = std::fs::metadata(account.sandbox.path(JOURNAL)).expect("the journal").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_request_for_the_history_that_makes_no_sense_is_refused() {
    let account = Account::new("history-refused");
    account.start();
    for (target, status) in [
        ("/v1/history?since=yesterday", "400"),
        ("/v1/history?since=inf", "400"),
        ("/v1/history?n=-1", "400"),
        ("/v1/history?n=99999999&name=nope&since=-5", "200"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let reply = raw::exchange(&account.socket(), request.as_bytes());
        assert_eq!(raw::status(&reply), status, "{target}");
    }
    account.shutdown();
}

#[test]
fn a_trap_in_the_place_of_the_journal_is_refused_and_everything_else_works() {
    if !daemon::ours("visorctl history") {
        return;
    }
    let account = Account::new("history-trap");
    for directory in [".local", ".local/state", ".local/state/visor"] {
        account.sandbox.mkdir(directory);
        let path = account.sandbox.path(directory);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    }
    nix::unistd::mkfifo(&account.sandbox.path(JOURNAL), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    account.sandbox.own(&account.sandbox.path(JOURNAL));
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.start();
    account.ok(&["wait", "web"]);
    let (code, _, why) = account.told(&["history"]);
    assert!(code != 0 && why.contains("no history is kept"), "{why}");
    let log = account.sandbox.read(".local/state/visor/log/visord.log");
    assert!(
        log.contains("history-default.jsonl: it is a named pipe") && log.contains("no history is kept"),
        "{log}"
    );
    account.shutdown();
}
