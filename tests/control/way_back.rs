//! The way back: what `visorctl` wrote is read by supervisord 4.3 and means the same there.

use super::account::Account;
use crate::common::wait::{self, LONG};
use crate::common::{need, proc};
use nix::sys::signal::Signal;
use std::fs;
use std::process::Stdio;

/// Tells what it was started with, in a file named after it that appears whole.
const PROBE: &str = "\
import json, os, signal, sys
name = sys.argv[1]
told = [sys.argv[2:], os.getcwd(), os.environ.get('TOLD')]
with open(f'{name}.new', 'w') as file:
    json.dump(told, file)
os.rename(f'{name}.new', f'{name}.json')
signal.pause()
";

/// What people type, with the traps of supervisord's files: percent signs, comments, quotation marks, letters beyond
/// ASCII.
const TYPED: [(&str, &[&str], &str); 5] = [
    ("plain", &["serve", "--port", "8080"], "1"),
    ("percent", &["100%", "%(here)s", "%%"], "50%"),
    ("comment", &["a ;b", "c #d", ";", "#"], "x;y,z=1"),
    ("quoted", &["it's", "say \"hi\"", "back\\slash", "$HOME", "*"], "two words"),
    ("letters", &["äöü", "…", ""], "é"),
];

fn told(account: &Account, name: &str) -> String {
    let file = format!("{name}.json");
    wait::until(LONG, &format!("{file} to be written"), || {
        Some(account.sandbox.read(&file)).filter(|text| !text.is_empty())
    })
}

#[test]
fn every_file_that_visorctl_new_writes_runs_the_same_under_supervisord() {
    let Some(supervisord) = need::venv("supervisord") else { return };
    let account = Account::new("way-back");
    let probe = account.sandbox.write("probe.py", PROBE).display().to_string();
    for (name, words, value) in TYPED {
        let variable = format!("TOLD={value}");
        let head = ["new", name, "--env", &variable, "--no-start", "--", "/usr/bin/python3", &probe, name];
        account.ok(&[&head[..], words].concat());
    }
    account.ok(&[
        "new",
        "shelled",
        "--no-start",
        "--shell",
        "--",
        "echo '[[\"a;b\"], 1]' >shelled.json; exec sleep 1000",
    ]);

    account.start();
    let names: Vec<&str> = TYPED.iter().map(|(name, ..)| *name).chain(["shelled"]).collect();
    let ours: Vec<String> = names.iter().map(|name| told(&account, name)).collect();
    for ((_, words, value), told) in TYPED.iter().zip(&ours) {
        let home = account.sandbox.dir().display().to_string();
        let meant: serde_json::Value = serde_json::json!([words, home, value]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(told).expect("JSON"), meant);
    }
    account.shutdown();
    names.iter().for_each(|name| {
        fs::remove_file(account.sandbox.path(&format!("{name}.json"))).expect("our own file")
    });

    // The same files, by an [include] as supervisord's users write it.
    account.sandbox.write(
        "supervisord.conf",
        "[supervisord]\nlogfile=%(here)s/main.log\npidfile=%(here)s/main.pid\nchildlogdir=%(here)s/tmp\n\
         [include]\nfiles=.config/visor/conf.d/*.conf\n",
    );
    let mut command = account.sandbox.command(supervisord);
    let errors = fs::File::create(account.sandbox.path("stderr")).expect("our own file");
    command.args(["-n", "-c", "supervisord.conf"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    let mut child = command.spawn().expect("supervisord starts");
    for (name, ours) in names.iter().zip(&ours) {
        assert_eq!(
            &told(&account, name),
            ours,
            "{name} under supervisord; it says: {}",
            account.sandbox.read("stderr")
        );
    }
    proc::signal(child.id().cast_signed(), Signal::SIGTERM);
    let status = wait::until(LONG, "the end of supervisord", || child.try_wait().expect("our own child"));
    assert_eq!(status.code(), Some(0), "{}", account.sandbox.read("stderr"));
}
