//! Groups come and go one change at a time: who asks meanwhile is told so, and nobody is left without an answer.

use super::account::Account;
use super::raw;
use crate::common::proc;
use crate::common::wait::{self, LONG};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use std::fs::Permissions;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::process::{Output, Stdio};

const BUSY: &str = "another update is under way";

/// An account with `web`, which ends no earlier than [`let_go`] says, and `idle`, which does not run.
fn started(name: &str) -> Account {
    let account = Account::new(name);
    let slow = "trap 'touch told; while [ ! -e go ]; do sleep 0.05; done; exit 0' TERM
touch up
while :; do sleep 0.05; done";
    account.sandbox.write("slow.sh", slow);
    let home = account.sandbox.path("");
    let web = format!("directory={}\nstartsecs=0\nstopwaitsecs=3000\ncommand=bash slow.sh", home.display());
    account.program("web", &web);
    account.program("idle", "command=sleep 1000\nautostart=false");
    account.start();
    wait::until(LONG, "the program", || account.sandbox.path("up").exists().then_some(()));
    account
}

/// Waits until `web` was told to end.
fn wait_told(account: &Account) {
    wait::until(LONG, "the program to hear", || account.sandbox.path("told").exists().then_some(()));
}

fn let_go(account: &Account) {
    account.sandbox.write("go", "");
}

/// Calls a method of XML-RPC whose parameters are texts.
fn call(account: &Account, method: &str, parameters: &[&str]) -> String {
    let parameters: String =
        parameters.iter().map(|text| format!("<param><value>{text}</value></param>")).collect();
    let body = format!(
        "<methodCall><methodName>supervisor.{method}</methodName><params>{parameters}</params></methodCall>"
    );
    let head =
        format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}", body.len());
    raw::exchange(&account.socket(), format!("{head}\r\n\r\n{body}").as_bytes())
}

/// The soft limit of open files of a process.
fn soft_limit_of_files(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn nothing_else_comes_or_goes_while_an_update_is_under_way() {
    let account = started("one-at-a-time");
    account.program("web", "command=sleep 3000\nstartsecs=0");
    let update = account.background(&["update"]);
    wait_told(&account);
    account.program("third", "command=sleep 1000\nstartsecs=0");
    for words in [&["remove", "idle"][..], &["add", "third"], &["update"]] {
        let (code, _, err) = account.told(words);
        assert!(code != 0 && err.contains(BUSY), "{words:?}: {err}");
    }
    account.ok(&["reread"]);
    for (method, group) in [("removeProcessGroup", "idle"), ("addProcessGroup", "third")] {
        let reply = call(&account, method, &[group]);
        assert!(reply.contains(BUSY), "{method}: {reply}");
    }
    // A signal has nobody who could ask again: it is heeded afterwards.
    proc::signal(account.keeper(), Signal::SIGHUP);
    let_go(&account);
    let update = update.wait_with_output().expect("our own child");
    assert!(update.status.success() && said(&update).contains("web: updated process group"), "{update:?}");
    assert_eq!(proc::command_line(account.running("web")), ["sleep", "3000"]);
    account.running("third");
    assert_eq!(account.ok(&["remove", "idle"]), "idle: removed process group\n");
    account.shutdown();
}

#[test]
fn an_update_is_answered_when_the_daemon_begins_anew_and_blocks_no_later_one() {
    let account = started("update-anew");
    account.program("web", "command=sleep 3000\nstartsecs=0");
    let update = account.background(&["update"]);
    wait_told(&account);
    assert!(call(&account, "restart", &[]).contains("<boolean>1</boolean>"));
    let update = update.wait_with_output().expect("our own child");
    assert!(!update.status.success() && said(&update).contains("ending"), "{update:?}");
    let (code, _, err) = account.told(&["remove", "idle"]);
    assert!(code != 0 && err.contains("ending"), "{err}");
    let_go(&account);
    assert_eq!(proc::command_line(account.running("web")), ["sleep", "3000"]);
    assert_eq!(account.ok(&["remove", "idle"]), "idle: removed process group\n");
    account.ok(&["update"]);
    account.shutdown();
}

#[test]
fn an_update_to_more_programs_than_there_are_descriptors_for_is_refused_in_words() {
    let account = Account::new("no-room");
    let many = |count: usize| {
        format!("command=sleep 1000\nautostart=false\nprocess_name=%(process_num)03d\nnumprocs={count}")
    };
    let limit = |pid: i32, limit: &str| {
        let pid = pid.to_string();
        let done = account.sandbox.command("prlimit").args(["--pid", &pid, limit]).output();
        assert!(done.is_ok_and(|output| output.status.success()), "prlimit {limit}");
    };
    account.program("many", &many(10));
    account.start();
    for pid in [account.keeper(), account.reactor()] {
        limit(pid, "--nofile=128:256");
    }
    account.program("many", &many(1000));
    let (code, out, err) = account.told(&["update"]);
    let words = "1000 programs need 1000 x 3 + 64 = 3064 file descriptors, and the hard limit is 256";
    assert!(code == 1 && out.is_empty() && err.contains(words), "{code} {out} {err}");
    assert!(call(&account, "addProcessGroup", &["many"]).contains("ALREADY_ADDED"));
    proc::signal(account.keeper(), Signal::SIGHUP);
    account.wait_log(words);
    assert_eq!(account.ok(&["status"]).lines().count(), 10);
    // What fits below the hard limit is made room for, in both processes.
    account.program("many", &many(40));
    account.ok(&["update"]);
    assert_eq!(account.ok(&["status"]).lines().count(), 40);
    for pid in [account.keeper(), account.reactor()] {
        let soft = || soft_limit_of_files(pid).filter(|soft| *soft >= 40 * 3 + 64);
        wait::until(LONG, "a higher limit", soft);
    }
    account.ok(&["start", "many:000"]);
    let program = account.pid("many:000");
    assert_eq!(soft_limit_of_files(program), Some(128));
    account.shutdown();
}

#[test]
fn a_frozen_file_system_keeps_an_update_back_and_nothing_else() {
    let account = Account::new("frozen-list");
    account.sandbox.mkdir("logs");
    let places = "logfile=%(here)s/main.log\npidfile=%(here)s/main.pid\nchildlogdir=%(here)s/logs";
    let config = |more: &str| {
        let web = "[program:web]\ncommand=sleep 1000\nstartsecs=0";
        account.sandbox.write("main.conf", format!("[supervisord]\n{places}\n{web}\n{more}\n"));
    };
    config("");
    let mut command = account.sandbox.command(account.sandbox.daemon_binary());
    command.args(["-n", "-c", "main.conf"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut daemon = command.spawn().expect("visord starts");
    let file = account.sandbox.path("main.conf").display().to_string();
    let status = || account.told(&["-c", &file, "status"]).1;
    wait::until(LONG, "the program", || status().contains("RUNNING").then_some(()));
    // The list of AUTO files becomes a pipe: reading it takes until somebody has written, as on a dead server.
    let state = account.sandbox.path(".local/state/visor");
    let mut names =
        std::fs::read_dir(&state).expect("the state directory").flatten().map(|entry| entry.path());
    let list = names.find(|path| path.extension().is_some_and(|end| end == "auto")).expect("a list");
    std::fs::remove_file(&list).expect("our own file");
    nix::unistd::mkfifo(&list, Mode::S_IRUSR).expect("our own directory");
    std::fs::set_permissions(&list, Permissions::from_mode(0o644)).expect("our own pipe");
    config("[program:late]\ncommand=sleep 1000\nstartsecs=0");
    let update = account.background(&["-c", &file, "update"]);
    let open = || std::fs::File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&list).ok();
    let writer = wait::until(LONG, "the list to be read", open);
    assert!(status().contains("RUNNING"), "it does not answer");
    drop(writer);
    let update = update.wait_with_output().expect("our own child");
    assert!(said(&update).contains("late: added process group"), "{update:?}");
    wait::until(LONG, "the program", || (status().matches("RUNNING").count() == 2).then_some(()));
    proc::signal(daemon.id().cast_signed(), Signal::SIGTERM);
    let ended = wait::until(LONG, "the end", || daemon.try_wait().expect("our own child"));
    assert_eq!(ended.code(), Some(0));
}
