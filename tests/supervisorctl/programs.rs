//! `pidproxy` and `echo_supervisord_conf`: small programs of supervisor that ours are called by name.

use super::upstream::{Said, called};
use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, Who, need, proc};
use nix::sys::signal::Signal;
use std::process::{Child, Stdio};

/// A process that says which signals it gets, in a file, and has its pid in another.
const SERVER: &str = "#!/bin/sh
for name in HUP USR1 USR2 TERM; do trap \"echo $name >>heard\" $name; done
echo $$ >new && mv new pid
while [ ! -e over ]; do sleep 0.05; done
";

fn proxy(sandbox: &Sandbox, words: &[&str]) -> Child {
    let mut command = sandbox.command(called(sandbox, "pidproxy"));
    let piped = command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    piped.spawn().expect("pidproxy runs")
}

fn finish(child: Child) -> Said {
    child.wait_with_output().expect("it ends").into()
}

fn pid_of(child: &Child) -> i32 {
    child.id().cast_signed()
}

#[test]
fn signals_go_to_the_process_of_the_pid_file() {
    let sandbox = Sandbox::new("pidproxy", Who::Ordinary);
    sandbox.script("server", SERVER);
    let mut child = proxy(&sandbox, &["pid", "./server"]);
    wait::until(LONG, "the pid file", || sandbox.path("pid").exists().then_some(()));
    let mut expected = String::new();
    for (signal, name) in [(Signal::SIGHUP, "HUP"), (Signal::SIGUSR1, "USR1"), (Signal::SIGUSR2, "USR2")] {
        proc::signal(pid_of(&child), signal);
        expected.push_str(&format!("{name}\n"));
        wait::until(LONG, name, || (sandbox.read("heard") == expected).then_some(()));
    }
    proc::signal(pid_of(&child), Signal::SIGTERM);
    // The process goes on, and still has what the proxy wrote to.
    let status = wait::until(LONG, "the end of the proxy", || child.try_wait().expect("our own child"));
    assert_eq!(status.code(), Some(0), "it ends at once, whatever the process does");
    wait::until(LONG, "TERM", || sandbox.read("heard").ends_with("TERM\n").then_some(()));
    sandbox.write("over", "");
}

#[test]
fn the_end_of_the_command_is_the_end_of_the_proxy() {
    let sandbox = Sandbox::new("pidproxy-end", Who::Ordinary);
    let said = finish(proxy(&sandbox, &["none", "/bin/echo", "one", "two"]));
    assert_eq!((said.out.as_str(), said.code), ("one two\n", Some(0)));
    let said = finish(proxy(&sandbox, &["none", "/bin/sh", "-c", "exit 3"]));
    assert_eq!(said.code, Some(0), "as upstream");
    let said = finish(proxy(&sandbox, &["none", "echo"]));
    assert_eq!(said.code, Some(127), "there is no search along PATH");
    assert!(said.err.starts_with("pidproxy: cannot run echo: "), "{}", said.err);
    let said = finish(proxy(&sandbox, &["none"]));
    assert!(said.out.contains("Usage: ") && said.code == Some(1), "{said:?}");
}

#[test]
fn a_pid_file_that_cannot_be_read_is_told_and_survived() {
    let sandbox = Sandbox::new("pidproxy-none", Who::Ordinary);
    sandbox.script("server", "#!/bin/sh\n: >up\nwhile [ ! -e over ]; do sleep 0.05; done\n");
    let child = proxy(&sandbox, &["none", "./server"]);
    wait::until(LONG, "the command", || sandbox.path("up").exists().then_some(()));
    proc::signal(pid_of(&child), Signal::SIGTERM);
    // The signal is obeyed before the end of the command, which comes later, is seen.
    sandbox.write("over", "");
    let said = finish(child);
    assert_eq!((said.out.as_str(), said.code), ("Can't read child pidfile none!\n", Some(0)));
}

#[test]
fn the_sample_is_printed_and_the_real_supervisord_runs_with_it() {
    let sandbox = Sandbox::new("sample", Who::Ordinary);
    let echo = sandbox.linked(&sandbox.daemon_binary(), "echo_supervisord_conf");
    let by_name: Said = sandbox.command(&echo).output().expect("it runs").into();
    let by_option: Said =
        sandbox.command(sandbox.daemon_binary()).arg("--print-config").output().expect("it runs").into();
    assert_eq!((by_name.code, &by_name), (Some(0), &by_option));
    assert!(by_name.out.contains("Sample supervisor config file"));
    let Some(supervisord) = need::venv("supervisord") else { return };
    sandbox.write("sample.conf", by_name.out);
    let mut child = sandbox
        .command(supervisord)
        .args(["-n", "-c", "sample.conf"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("supervisord starts");
    let is_up = || sandbox.read("supervisord.log").contains("supervisord started with pid").then_some(());
    wait::until(LONG, "supervisord", || is_up().or_else(|| child.try_wait().ok().flatten().map(drop)));
    let ctl = |word: &str| -> Said {
        let mut command = sandbox.command(called(&sandbox, "supervisorctl"));
        command.args(["-c", "sample.conf", word]).output().expect("it runs").into()
    };
    assert_eq!(ctl("version").out, "4.3.0\n");
    assert_eq!(ctl("shutdown").out, "Shut down\n");
    assert_eq!(finish(child).code, Some(0));
}

#[test]
fn either_binary_is_the_small_programs_and_neither_is_the_other() {
    let sandbox = Sandbox::new("names", Who::Ordinary);
    let said = |binary: &std::path::Path, name: &str, words: &[&str]| -> Said {
        let directory = format!("links-to-{}", binary.file_name().expect("a name").display());
        sandbox.mkdir(&directory);
        let mut command = sandbox.command(sandbox.linked(binary, &format!("{directory}/{name}")));
        command.args(words).stdin(Stdio::null()).output().expect("it runs").into()
    };
    let (daemon, client) = (sandbox.daemon_binary(), sandbox.client_binary());
    for binary in [&daemon, &client] {
        let sample = said(binary, "echo_supervisord_conf", &[]);
        assert!(sample.code == Some(0) && sample.out.contains("Sample supervisor config file"), "{sample:?}");
        let usage = said(binary, "pidproxy", &[]);
        assert!(usage.code == Some(1) && usage.out.contains("Usage: "), "{usage:?}");
        assert_eq!(said(binary, "pidproxy", &["pid", "/bin/true"]).code, Some(0));
    }
    for (binary, name, other) in [
        (&daemon, "supervisorctl", "visorctl"),
        (&daemon, "visorctl", "visorctl"),
        (&client, "supervisord", "visord"),
        (&client, "visord", "visord"),
    ] {
        for words in [&[][..], &["status"]] {
            let refused = said(binary, name, words);
            assert_eq!(refused.code, Some(2), "{name}: {refused:?}");
            assert!(refused.err.contains(&format!("link {name} to {other}")), "{refused:?}");
        }
    }
}
