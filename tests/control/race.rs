//! How the one daemon of a user comes to be when many ask for it at once, from sessions that see different things,
//! and whatever lies about in the places where its sockets go.

use super::account::{Account, allowed, run};
use crate::common::need;
use crate::common::wait::{self, LONG};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How many ask at once.
const CLIENTS: usize = 50;

/// The promise: nobody waits longer.
const PROMISED: Duration = Duration::from_secs(2);

/// A user who is neither root nor the owner.
const STRANGER: u32 = 61_996;

/// What a session leaves of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// ssh, a desktop: `XDG_RUNTIME_DIR` is set.
    Login,
    /// `su -c`, `sudo -u`: another session's variables, none of ours.
    Su,
    /// cron: a short PATH, a session of its own, nothing of the runtime directory.
    Cron,
    /// `env -i`.
    Bare,
    /// A service with a `/tmp` of its own.
    PrivateTmp,
}

const ALL: [From; 5] = [From::Login, From::Su, From::Cron, From::Bare, From::PrivateTmp];

impl From {
    /// Those that this machine can make.
    fn possible() -> Vec<From> {
        let unshare = || need::root() && need::tool("unshare").is_some() && need::tool("setpriv").is_some();
        if unshare() { ALL.to_vec() } else { ALL[..4].to_vec() }
    }

    /// A client in such a session.
    fn client(self, account: &Account, words: &[&str]) -> Command {
        let visorctl = account.visorctl();
        let mut command = match self {
            From::Login => return account.client(words),
            From::Su => {
                let mut command = account.sandbox.command(&visorctl);
                command.env("SHELL", "/bin/sh").env("USER", "me").env("XDG_RUNTIME_DIR", "/run/user/0");
                command
            }
            From::Cron => {
                let mut command = account.sandbox.command("setsid");
                command.arg("--wait").arg(&visorctl).env("SHELL", "/bin/sh").env("PATH", "/usr/bin:/bin");
                command
            }
            From::Bare => {
                let mut command = account.sandbox.command(&visorctl);
                for name in ["PATH", "LANG", "LD_LIBRARY_PATH"] {
                    command.env_remove(name);
                }
                command.current_dir("/");
                command
            }
            From::PrivateTmp => {
                let (uid, gid) = account.ids();
                let ids = format!("--reuid={uid} --regid={gid} --clear-groups");
                let script = format!(
                    "mount -t tmpfs -o mode=1777 tmpfs \"$1\" && shift && exec setpriv {ids} -- \"$@\""
                );
                let mut command = account.sandbox.root_command("unshare");
                command.args(["--mount", "sh", "-c", &script, "sh"]);
                command.arg(account.sandbox.path("tmp")).arg(&visorctl);
                command
            }
        };
        command.args(words);
        command
    }
}

/// Has 50 clients ask for the daemon at once. All must succeed in time, and find the same one, which is then ended.
fn race(account: &Account, limit: Duration, label: &str) {
    let kinds = From::possible();
    let ask = |index: usize| {
        let since = Instant::now();
        let kind = kinds[index % kinds.len()];
        (kind, run(kind.client(account, &["daemon", "start"])), since.elapsed())
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|index| scope.spawn(move || ask(index))).collect();
        clients.into_iter().map(|client| client.join().expect("no client panics")).collect()
    });
    for (kind, output, _) in &outcomes {
        assert!(output.status.success(), "{label}: from {kind:?}: {output:?}");
    }
    let (slowest, took) =
        outcomes.iter().map(|(kind, _, took)| (*kind, *took)).max_by_key(|one| one.1).expect("some clients");
    eprintln!("{label}: the slowest of {CLIENTS} was {slowest:?} with {took:?} (allowed {limit:?})");
    assert!(took < limit, "{label}: {slowest:?} waited {took:?}");
    wait::until(LONG, "one daemon", || (account.daemons().len() == 1).then_some(()));
    let pid_from = |kind: From| {
        let output = run(kind.client(account, &["pid"]));
        assert!(output.status.success(), "{label}: pid from {kind:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let pids: BTreeSet<String> = kinds.iter().map(|&kind| pid_from(kind)).collect();
    assert_eq!(pids.len(), 1, "{label}: {pids:?}");
    account.shutdown();
}

/// Puts something in the way at a path.
type Plant = fn(&Path);

fn prepared(name: &str) -> (Account, Duration) {
    let account = Account::new(name);
    let limit = allowed(&account, PROMISED);
    (account, limit)
}

#[test]
fn fifty_clients_from_mixed_sessions_start_one_daemon() {
    let (account, limit) = prepared("race");
    for round in 0..need::by_ring(20, 200) {
        race(&account, limit, &format!("round {round}"));
    }
}

#[test]
fn fifty_clients_start_one_daemon_over_stale_sockets_and_locks() {
    let (account, limit) = prepared("stale");
    for directory in account.socket_directories() {
        fs::create_dir_all(&directory).expect("our own directory");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))
            .expect("chmod of our own directory");
        account.sandbox.own(&directory);
        drop(UnixListener::bind(directory.join("default.sock")).expect("a socket of ours"));
        fs::write(directory.join("default.lock"), "pid=1\nconfig=/nowhere\nsocket=/nowhere/default.sock\n")
            .expect("our own file");
        for file in ["default.sock", "default.lock"] {
            account.sandbox.own(&directory.join(file));
        }
    }
    race(&account, limit, "stale sockets and locks");
}

#[test]
fn fifty_clients_start_one_daemon_without_a_run_user() {
    let (account, limit) = prepared("no-run-user");
    fs::remove_dir_all(account.run_user()).expect("our own directory");
    race(&account, limit, "wiped /run/user/UID");
}

#[test]
fn fifty_clients_start_one_daemon_past_whatever_squats_in_tmp() {
    if !need::root() {
        return;
    }
    let squatters: [(&str, Plant); 5] = [
        ("a directory", |path| fs::create_dir(path).expect("a directory of root")),
        ("a symlink", |path| symlink("/", path).expect("a link of root")),
        ("a socket", |path| drop(UnixListener::bind(path).expect("a socket of root"))),
        ("a FIFO", |path| {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o666)).expect("a FIFO");
        }),
        ("a file", |path| fs::write(path, "mine").expect("a file of root")),
    ];
    let (account, limit) = prepared("squat");
    let place = account.socket_directories()[1].clone();
    for (what, plant) in squatters {
        plant(&place);
        std::os::unix::fs::lchown(&place, Some(STRANGER), None).expect("chown by root");
        race(&account, limit, &format!("{what} in the way"));
        if fs::remove_file(&place).is_err() {
            fs::remove_dir_all(&place).expect("the directory of root");
        }
    }
}
