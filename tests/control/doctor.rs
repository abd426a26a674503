//! The doctor beside a real daemon, as an ordinary user and as root.

use super::account::Account;
use crate::common::wait::{self, LONG};
use crate::common::{Who, need, proc};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::process::Command;

/// What the doctor says, with the exit code that goes with it.
fn asked(account: &Account, words: &[&str]) -> Value {
    let (code, out, err) = account.told(&[words, &["doctor", "--json"]].concat());
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out} {err}"));
    assert_eq!(code, i32::from(answer["problems"].as_u64() > Some(0)), "{answer:#}");
    answer
}

/// Verdict and words of a check.
fn check(answer: &Value, name: &str) -> (String, String) {
    let found = answer["checks"].as_array().into_iter().flatten().find(|check| check["name"] == name);
    let found = found.unwrap_or_else(|| panic!("{name}: {answer:#}"));
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("what"))
}

fn assert_check(answer: &Value, name: &str, verdict: &str, words: &str) {
    let (found, what) = check(answer, name);
    assert!(found == verdict && what.contains(words), "{name}: {found}: {what}");
}

fn life_with_a_daemon(account: &Account) {
    account.program("web", "command=sleep 1000");
    let before = asked(account, &[]);
    assert_check(&before, "daemon", "note", "visord does not run");
    assert_check(&before, "configuration", "ok", "1 process, no mistakes");
    assert!(!account.sandbox.path(".local").exists(), "looking makes nothing");
    account.start();
    account.running("web");
    let answer = asked(account, &[]);
    assert_check(&answer, "daemon", "ok", &format!("runs with pid {}, 1 process", account.keeper()));
    assert_check(&answer, "sockets", "ok", &account.socket().display().to_string());
    assert_check(&answer, "access", "ok", "only you and root");
    assert_check(&answer, "permissions", "ok", "");
    assert_check(&answer, "environment", "ok", "programs begin with the variables that a login gives now");
    assert_check(&answer, "state", "ok", ".local/state/visor has room");
    assert_check(&answer, "files", "ok", "1 program needs 1 x 3 + 64 = 67");
    assert_check(&answer, "clock", &check(&answer, "clock").0, "");
    assert!(!check(&answer, "clock").1.contains("was set"), "the clock stood still: {answer:#}");
    account.file("web", "[program:web]\ncommand=sleep 1000\nnumprocs=many\n");
    assert_check(&asked(account, &[]), "configuration", "problem", "visord would refuse it: ");
    assert_eq!(account.told(&["update"]).0, 1);
    let bad = asked(account, &[]);
    assert_check(&bad, "configuration", "problem", "the configuration has mistakes since 20");
    assert_check(&bad, "configuration", "problem", "conf.d/web.conf:3: error: [program:web] numprocs: ");
    account.program("web", "command=sleep 1000");
    account.ok(&["update"]);
    assert_check(&asked(account, &[]), "configuration", "ok", "1 process, no mistakes");
    account.shutdown();
}

#[test]
fn an_ordinary_user_is_told_how_it_stands() {
    life_with_a_daemon(&Account::new("doctor"));
}

#[test]
fn root_is_told_how_it_stands() {
    if need::root() {
        let account = Account::new_for("doctor-root", Who::Root);
        life_with_a_daemon(&account);
    }
}

#[test]
fn what_a_dead_daemon_left_is_named_and_nobody_elses_is() {
    let account = Account::new_for("orphans", Who::Ordinary);
    account.program("web", "command=sleep 1000");
    account.start();
    let pid = account.running("web");
    let name = format!("{pid} (sleep)");
    let words = |account: &Account| check(&asked(account, &[]), "orphans").1;
    assert!(!words(&account).contains(&name), "its daemon lives");
    let (keeper, reactor) = (account.keeper(), account.reactor());
    // Stopped first, because keeper and reactor bring each other back.
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        [keeper, reactor].iter().for_each(|&pid| proc::signal(pid, signal));
    }
    let answer = wait::until(LONG, "the end of the daemon", || {
        let answer = asked(&account, &[]);
        let advice = |check: &Value| {
            check["name"] == "orphans" && check["advice"].to_string().contains(&pid.to_string())
        };
        answer["checks"].as_array().into_iter().flatten().any(advice).then_some(answer)
    });
    assert_eq!(check(&answer, "orphans").0, "warning");
    assert_check(&answer, "daemon", "note", "visord does not run");
    proc::signal(pid, Signal::SIGKILL);
}

#[test]
fn another_daemon_of_the_same_user_is_named() {
    // A user of its own: daemons of other tests are somebody else's then.
    let account =
        Account::new_for("others", if need::is_root() { Who::Stranger(61_973) } else { Who::Ordinary });
    account.program("web", "command=sleep 1000");
    account.start();
    let file = account.sandbox.config("", "");
    let classic = account.sandbox.command(account.sandbox.daemon_binary()).arg("-c").arg(&file).status();
    assert!(classic.is_ok_and(|status| status.success()));
    let config = file.display().to_string();
    // There may be more of them: other tests run as this user too.
    let is_named = |words: &[&str], config: &str| {
        let (code, out, err) = account.told(&[words, &["doctor"]].concat());
        assert!(code < 2, "{err}");
        out.contains(&format!(" for {config}"))
    };
    assert_eq!(check(&asked(&account, &[]), "others").0, "note");
    assert!(is_named(&[], &config) || !need::is_root());
    let other = asked(&account, &["-c", &config]);
    assert_check(&other, "configuration", "ok", &config);
    assert_check(&other, "others", "note", "other visord");
    account.ok(&["-c", &config, "shutdown"]);
    wait::until(LONG, "its end", || (!is_named(&[], &config)).then_some(()));
    account.shutdown();
}

#[test]
fn watches_that_are_used_up_are_told() {
    let account = Account::new("watches");
    let Some(unshare) = need::tool("unshare") else { return };
    // A user namespace has limits of its own, which only ever get tighter.
    let script = format!(
        "echo 0 > /proc/sys/user/max_inotify_instances || exit 77; exec '{}' doctor --json",
        account.visorctl().display()
    );
    let mut command: Command = account.sandbox.root_command(unshare);
    let output = command.args(["-Ur", "/bin/sh", "-c", &script]).output().expect("unshare runs");
    if output.status.code() == Some(77) || output.stdout.is_empty() {
        need::not_run("user namespaces");
        return;
    }
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_check(&answer, "watches", "warning", "fs.inotify.max_user_instances is used up");
}
