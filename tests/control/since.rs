//! `logs --since` and `--grep`: what was written since then, over rotation and the death of a reactor.

use super::account::Account;
use crate::common::wait::{self, LONG};
use crate::common::{daemon, proc};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant, SystemTime};

/// How exact the index is, and a little more.
const EXACT: Duration = Duration::from_secs(11);

fn rest(span: Duration) {
    let until = Instant::now() + span;
    wait::until(LONG + span, "time to pass", || (Instant::now() >= until).then_some(()));
}

fn unix() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    jiff::Timestamp::from_millisecond(now.as_millis() as i64).expect("a time").to_string()
}

/// Programs that write what they read, and one that has no log.
fn echoes(name: &str, keys: &str) -> Account {
    let account = Account::new(name);
    for name in ["a", "b"] {
        account.program(name, &format!("command=cat\nstartsecs=0\n{keys}"));
    }
    account.program("mute", "command=sleep 1000\nstartsecs=0\nstdout_logfile=NONE");
    account.start();
    account.ok(&["wait", "all"]);
    account
}

fn say(account: &Account, name: &str, text: &str) {
    let request = format!(
        "POST /v1/stdin?name={name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    let reply = super::raw::exchange(&account.socket(), request.as_bytes());
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    let last = text.lines().last().unwrap_or_default().to_owned();
    let logged = || account.ok(&["logs", "-n", "1", name]).contains(&last).then_some(());
    wait::until(LONG, "the line in the log", logged);
}

#[test]
fn logs_since_begin_where_they_were_then_over_programs_and_the_death_of_a_reactor() {
    if !daemon::ours("logs --since") {
        return;
    }
    let account = echoes("since", "");
    say(&account, "a", "a-old 1\na-old 2\n");
    say(&account, "b", "b-old\n");
    rest(EXACT);
    let then = unix();
    assert_eq!(account.ok(&["logs", "--since", &then]), "", "nothing was written since");
    say(&account, "a", "a-new 1\nerror: a-new 2\n");
    proc::signal(account.reactor(), Signal::SIGKILL);
    say(&account, "b", "b-new\nerror: b-new\n");
    let mut said: Vec<String> = account.ok(&["logs", "--since", &then]).lines().map(str::to_owned).collect();
    said.sort();
    let new = ["a | a-new 1", "a | error: a-new 2", "b | b-new", "b | error: b-new"];
    assert_eq!(said, new.map(|line| line.replace(" |", "    |")).as_slice());
    assert_eq!(account.ok(&["logs", "a", "--since", "1h"]), "a-old 1\na-old 2\na-new 1\nerror: a-new 2\n");
    assert_eq!(account.ok(&["logs", "a", "--since", &then, "--grep", "^err.r:"]), "error: a-new 2\n");
    assert_eq!(account.ok(&["logs", "a", "--grep", "a-", "-n", "1"]), "error: a-new 2\n");
    assert_eq!(account.ok(&["logs", "a", "--grep", "old", "-n", "1"]), "a-old 2\n");
    let (code, _, why) = account.told(&["logs", "--grep", "("]);
    assert!(code == 2 && why.contains("without closing"), "{code} {why}");
    account.shutdown();
}

#[test]
fn logs_since_go_back_over_rotated_files_and_on_while_they_are_followed() {
    if !daemon::ours("logs --since") {
        return;
    }
    let account = echoes("since-rotated", "stdout_logfile_maxbytes=1KB\nstdout_logfile_backups=5");
    let lines = |from: usize, to: usize| (from..to).map(|n| format!("line {n:04}\n")).collect::<String>();
    for from in (0..400).step_by(50) {
        say(&account, "a", &lines(from, from + 50));
    }
    let kept = account.ok(&["logs", "a", "--since", "10m"]);
    assert!(kept.ends_with(&lines(200, 400)), "several generations, in order: {kept}");
    let first: usize = kept[5..9].parse().expect("it begins with a whole line");
    assert_eq!(kept, lines(first, 400));

    let mut child = account.background(&["logs", "-f", "a", "--since", "10m", "--grep", "0[0-9]$"]);
    say(&account, "a", "line 0500\nline 0511\nline 0509\n");
    let output = child.stdout.take().expect("a pipe");
    let mut read = std::io::BufRead::lines(std::io::BufReader::new(output)).map_while(Result::ok);
    assert!(read.any(|line| line == "line 0500"));
    assert_eq!(read.next().as_deref(), Some("line 0509"));
    child.kill().expect("it still follows");
    child.wait().expect("a status");
    account.shutdown();
}
