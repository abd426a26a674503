//! More programs and logs than the limit of open files allows at first, or ever: all that fits runs, the rest is
//! refused, and clients get in.

use super::account::{Account, run_within};
use crate::common::wait;
use crate::common::{Who, need, proc};
use std::time::Duration;

/// A user of its own for each test: pages of pipes and processes count by user.
const RAISED_UID: u32 = 61_011;
const SHORT_UID: u32 = 61_012;

/// How long some hundred programs take to start on a loaded machine.
const ALL_START: Duration = Duration::from_secs(120);

/// How often clients ask while descriptors are short.
const QUESTIONS: usize = 10;

fn account(name: &str, uid: u32) -> Account {
    Account::new_for(name, if need::is_root() { Who::Stranger(uid) } else { Who::Ordinary })
}

/// Programs with everything that is the default: a pipe to stdin, two pipes from them, two log files.
fn programs(account: &Account, name: &str, count: usize) {
    let many = "process_name=%(program_name)s_%(process_num)03d\nstartsecs=0";
    account.program(name, &format!("{many}\nnumprocs={count}\ncommand=sh -c 'echo here; exec sleep 1000'"));
}

/// Starts the daemon under a limit of open files.
fn start(account: &Account, limit: &str) {
    let client = account.client(&[]).get_program().to_owned();
    let mut command = account.sandbox.command("prlimit");
    command.arg(format!("--nofile={limit}")).arg(client).args(["daemon", "start"]);
    command.env("XDG_RUNTIME_DIR", account.run_user()).env("SHELL", "/bin/sh");
    let output = run_within(ALL_START, command);
    assert!(output.status.success(), "{output:?}");
}

/// Waits until so many of the programs run.
fn wait_running(account: &Account, name: &str, count: usize) {
    let text = format!("success: {name}_");
    let lines = || account.log().lines().filter(|line| line.contains(&text)).count();
    wait::until(ALL_START, &format!("{count} programs"), || (lines() >= count).then_some(()));
}

/// Waits until each of the programs has its line in its log.
fn wait_logged(account: &Account, name: &str, count: usize) {
    let log = |number: usize| format!(".local/state/visor/log/{name}:{name}_{number:03}.log");
    let logged = || (0..count).all(|number| account.sandbox.read(&log(number)) == "here\n");
    wait::until(ALL_START, "a line in every log", || logged().then_some(()));
}

#[test]
fn the_soft_limit_is_raised_for_every_program_log_and_client() {
    let account = account("many-logs", RAISED_UID);
    programs(&account, "many", 400);
    start(&account, "1024:20000");
    wait_running(&account, "many", 400);
    wait_logged(&account, "many", 400);
    (0..QUESTIONS).for_each(|_| drop(account.ok(&["pid", "many:many_399"])));
    let log = account.log();
    assert!(!log.contains("no descriptors") && !log.contains("open files"), "{log}");
    // What programs get is what the daemon was started with.
    let pid = account.pid("many:many_000");
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("a living process");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line of proc(5)");
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["1024", "20000"]);
    account.shutdown();
}

#[test]
fn what_does_not_fit_below_the_hard_limit_is_refused_and_clients_get_in() {
    let account = account("few-descriptors", SHORT_UID);
    programs(&account, "many", 300);
    start(&account, "1024:1024");
    wait_running(&account, "many", 300);
    account.wait_log("no more than 16 logs are kept open at a time");
    wait_logged(&account, "many", 300);
    let before = account.pid("many:many_000");
    programs(&account, "more", 100);
    let (code, _, err) = account.told(&["update"]);
    assert_ne!(code, 0, "{err}");
    assert!(
        err.contains("400 programs need 400 x 3 + 64 = 1264 file descriptors, and the hard limit is 1024"),
        "{err}"
    );
    (0..QUESTIONS).for_each(|_| assert_eq!(account.pid("many:many_000"), before));
    assert!(proc::alive(before));
    let log = account.log();
    assert!(!log.contains("no descriptors are left") && !log.contains("too many open files"), "{log}");
    account.shutdown();
}
