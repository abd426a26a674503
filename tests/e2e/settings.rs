//! What `[supervisord]` says about the daemon itself, obeyed and logged as supervisord does: most of this passes with
//! the real one as well.

use crate::common::daemon::{Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{need, proc};
use nix::sys::signal::Signal;
use std::fs;

const PROGRAM: &str = "[program:web]\ncommand=sleep 1000\nstartsecs=0\n";

/// Soft and hard limit of a process, by the words in /proc.
fn limit(pid: i32, of: &str) -> Option<(String, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(of))?.to_owned();
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some((words.next()?, words.next()?))
}

#[test]
fn limits_are_raised_to_what_the_configuration_needs_and_that_is_logged() {
    let setup = Setup::new("limits").main("minfds=400\nminprocs=300");
    let daemon = setup.wrapped(&["prlimit", "--nofile=256:512", "--nproc=250:310"]).start(PROGRAM);
    let pid = daemon.wait_running("web");
    daemon.wait_for("INFO Increased RLIMIT_NOFILE limit to 400");
    daemon.wait_for("INFO Increased RLIMIT_NPROC limit to 300");
    let both = |soft: &str, hard: &str| Some((soft.to_owned(), hard.to_owned()));
    assert_eq!(limit(pid, "Max open files"), both("400", "512"));
    assert_eq!(limit(pid, "Max processes"), both("300", "310"));
    daemon.stop();
}

#[test]
fn a_limit_that_cannot_be_raised_is_refused_with_both_numbers() {
    for (key, limits) in [("minfds", "--nofile=256:512"), ("minprocs", "--nproc=250:512")] {
        let setup = Setup::new("too-high").wrapped(&["prlimit", limits]);
        setup.sandbox.config(&format!("{key}=600"), PROGRAM);
        let output = setup.run(&["-n", "-c", "visord.conf"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("is 600 as per the \"{key}\" command-line argument")), "{said}");
        // supervisord says 600 here too, where it means the limit.
        assert!(said.contains("allow you to open 512 ") || said.contains("allow you to open 600 "), "{said}");
    }
}

#[test]
fn directory_and_mask_are_taken_in_the_background_only() {
    let main = "directory=%(here)s/tmp\numask=027";
    let daemon = Setup::new("front").main(main).start(PROGRAM);
    let pid = daemon.wait_running("web");
    assert_eq!(proc::directory(pid), Some(daemon.sandbox.dir().display().to_string()));
    assert_eq!(proc::status(pid, "Umask").as_deref(), Some("0022"));
    daemon.stop();

    let background = Setup::new("back").main(main).daemonize(PROGRAM);
    let directory = background.sandbox.text("tmp");
    background.wait_for(&format!("INFO set current directory: '{directory}'"));
    background.wait_for("success: web entered RUNNING state");
    for pid in [background.pid, background.pid_of("web")] {
        assert_eq!(proc::directory(pid).as_deref(), Some(directory.as_str()));
        assert_eq!(proc::status(pid, "Umask").as_deref(), Some("0027"));
    }
    proc::signal(background.pid, Signal::SIGTERM);
    background.wait_gone();
}

#[test]
fn silent_keeps_the_log_out_of_the_terminal_and_in_its_file() {
    let mut daemon = Setup::new("silent").main("nodaemon=true\nsilent=true").start(PROGRAM);
    let logged = |text: &str| daemon.sandbox.read("visord.log").contains(text).then_some(());
    wait::until(LONG, "the log file", || logged("success: web entered RUNNING state"));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
    assert_eq!(daemon.lines(), [] as [&str; 0]);
}

/// Names in the directory of AUTO logs after one daemon has ended and another has run.
fn logs_of_two_daemons(main: &str) -> (Vec<String>, Vec<String>) {
    let setup = Setup::new("cleanup").main(main);
    let names = |dir: std::path::PathBuf| {
        let entries = fs::read_dir(dir).expect("the directory of logs");
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        // The journal lies beside them.
        names.retain(|name| name.ends_with(".log"));
        names.sort();
        names
    };
    let background = setup.daemonize(PROGRAM);
    background.wait_for("success: web entered RUNNING state");
    let first = names(background.sandbox.path("log"));
    proc::signal(background.pid, Signal::SIGTERM);
    background.wait_gone();
    let daemon = Setup::new("cleanup-2").main(main).inside(background.sandbox).start(PROGRAM);
    daemon.wait_running("web");
    let second = names(daemon.sandbox.path("log"));
    daemon.stop();
    (first, second)
}

#[test]
fn auto_logs_bear_the_identifier_and_go_with_the_next_daemon_unless_nocleanup() {
    let (first, second) = logs_of_two_daemons("identifier=my.id");
    assert_eq!((first.len(), second.len()), (2, 2), "{first:?} {second:?}");
    assert!(first.iter().all(|name| name.contains("---my.id-") && !second.contains(name)), "{second:?}");
    let (first, second) = logs_of_two_daemons("nocleanup=true");
    assert_eq!((first.len(), second.len()), (2, 4), "{first:?} {second:?}");
    assert!(first.iter().all(|name| second.contains(name)), "{second:?}");
}

#[test]
fn environment_is_the_programs_and_not_the_daemons() {
    let main = "environment=FOO=\"a b\",HERE=\"%(here)s\"";
    let daemon = Setup::new("env").main(main).start(PROGRAM);
    let pid = daemon.wait_running("web");
    let foo = |pid: i32| proc::environment(pid).iter().any(|entry| entry == "FOO=a b");
    assert!(foo(pid) && !foo(daemon.keeper()));
    assert!(proc::environment(pid).contains(&format!("HERE={}", daemon.sandbox.dir().display())));
    daemon.stop();
}

#[test]
fn the_own_user_is_accepted_and_another_refused_without_root() {
    let setup = Setup::new("own-user");
    let uid = setup.sandbox.who().ids().map_or_else(|| nix::unistd::geteuid().as_raw(), |(uid, _)| uid);
    let setup = setup.main(&format!("user={uid}"));
    let daemon = setup.start(PROGRAM);
    daemon.wait_for(&format!("INFO Set uid to user {uid} succeeded"));
    daemon.wait_running("web");
    daemon.stop();
    let setup = Setup::new("other-user");
    setup.sandbox.config("user=daemon", PROGRAM);
    let output = setup.run(&["-n", "-c", "visord.conf"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("Error: Can't drop privilege as nonroot user"), "{said}");
}

#[test]
fn usr2_is_told_as_supervisord_tells_it() {
    let daemon = Setup::new("usr2").start(PROGRAM);
    daemon.wait_running("web");
    daemon.signal(Signal::SIGUSR2);
    let told = daemon.wait_for("INFO received SIGUSR2 indicating log reopen request");
    daemon.wait_after(told, "INFO supervisord logreopen");
    daemon.stop();
}

#[test]
fn root_is_told_whom_visord_is_made_for() {
    if !need::root() || !ours("a word about root") {
        return;
    }
    let word = "INFO visord runs as root, and programs without user= do too; it is made for ordinary users";
    let daemon = Setup::of("as-root", crate::common::Who::Root).main("user=root").start(PROGRAM);
    daemon.wait_for(word);
    assert_eq!(daemon.count("Privileges were not dropped"), 0, "user=root says that it is meant");
    daemon.stop();
    let daemon = Setup::new("as-user").start(PROGRAM);
    daemon.wait_running("web");
    assert_eq!(daemon.count("runs as root"), 0);
    daemon.stop();
}

#[test]
fn the_daemon_ends_when_its_essential_program_does_and_with_its_code() {
    if !ours("essential=") {
        return;
    }
    let mut daemon = Setup::new("essential").start(
        "[program:web]\ncommand=sh -c 'read line; exit 42'\nessential=daemon\nautorestart=false\nstartsecs=0\n\
         [program:other]\ncommand=sleep 1000\nstartsecs=0\n",
    );
    let (web, other) = (daemon.wait_running("web"), daemon.wait_running("other"));
    // The end outlives a reactor that dies meanwhile.
    proc::signal(daemon.reactor(), Signal::SIGSTOP);
    proc::signal(web, Signal::SIGTERM);
    proc::signal(daemon.reactor(), Signal::SIGKILL);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(128 + 15));
    daemon.wait_for("the essential program web ended: the daemon ends with exit code 143");
    assert!(!proc::alive(other));
}
