//! Start, daemon mode, pidfile, signals.

use crate::common::daemon::{Daemon, Setup, ours, reactor_of};
use crate::common::proc;
use crate::common::wait::{self, LONG};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const WEB: &str = "[program:web]\ncommand=sleep 1000\nstartsecs=0\n";

#[test]
fn daemon_mode_returns_0_when_up_with_a_true_pidfile_in_a_session_of_its_own() {
    let daemon = Setup::new("background").daemonize(WEB);
    daemon.wait_for(&format!("supervisord started with pid {}", daemon.pid));
    daemon.wait_for("success: web entered RUNNING state");
    assert_eq!(daemon.sandbox.read("visord.pid"), format!("{}\n", daemon.pid));
    assert!(proc::alive(daemon.pid) && proc::alive(daemon.pid_of("web")));
    assert_ne!(proc::session(daemon.pid), proc::session(std::process::id().cast_signed()));
    let terminal: Vec<String> =
        (0..3).filter_map(|fd| proc::descriptors(daemon.pid).get(&fd).cloned()).collect();
    assert_eq!(terminal, ["/dev/null"; 3], "descriptors 0 to 2");
    let web = daemon.pid_of("web");
    proc::signal(daemon.pid, Signal::SIGTERM);
    daemon.wait_gone();
    daemon.wait_for("received SIGTERM indicating exit request");
    assert!(!proc::alive(web));
    assert!(!daemon.sandbox.path("visord.pid").exists(), "the pidfile stayed");
}

#[test]
fn old_automatic_logs_that_cannot_be_removed_do_not_hold_up_a_start() {
    if !ours("upstream stops at the first one") {
        return;
    }
    let program = "[program:a]\ncommand=sleep 1000\nstartsecs=0\n";
    let setup = Setup::new("stuck-logs");
    let old = setup.sandbox.mkdir("old");
    setup.sandbox.mkdir("new");
    let daemon = setup.main("childlogdir=%(here)s/old").start(program);
    daemon.wait_running("a");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o500)).expect("chmod of our own directory");
    daemon.sandbox.config("childlogdir=%(here)s/new", program);
    daemon.signal(Signal::SIGHUP);
    let begun = daemon.wait_for("Failed to clean up");
    daemon.wait_after(begun, "success: a entered RUNNING state");
    assert_eq!(daemon.count("Failed to clean up"), 2, "once for each file");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o700)).expect("chmod of our own directory");
    daemon.stop();
}

#[test]
fn a_daemon_that_changed_its_directory_stays_the_same_daemon_after_its_reactor_died() {
    if !ours("keeper and reactor") {
        return;
    }
    let daemon = Setup::new("elsewhere").main("directory=/").daemonize(WEB);
    let place = format!("tmp/visor-{}", daemon.sandbox.uid());
    let before = daemon.sandbox.names(&place);
    let reactor = reactor_of(daemon.pid).expect("a reactor");
    proc::signal(reactor, Signal::SIGKILL);
    daemon.wait_for("the reactor died and was replaced");
    assert_eq!(daemon.sandbox.names(&place), before);
    proc::signal(daemon.pid, Signal::SIGTERM);
    daemon.wait_gone();
}

#[test]
fn a_configuration_error_in_daemon_mode_exits_2_with_the_text_on_stderr() {
    let setup = Setup::new("bad-background");
    setup.sandbox.config("", "[program:web]\ncommand=sleep 1000\nstartsecs=soon\n");
    let output = setup.run(&["-c", "visord.conf"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(errors.contains("soon"), "{errors}");
    assert!(setup.sandbox.processes().is_empty());
    assert!(!setup.sandbox.path("visord.pid").exists());
}

#[test]
fn a_warning_in_daemon_mode_is_said_once() {
    let setup = Setup::new("warned-background");
    setup.sandbox.config("oddkey=1", WEB);
    let output = setup.run(&["-c", "visord.conf"]);
    let pid = setup.sandbox.read("visord.pid").trim().parse().expect("the pidfile");
    proc::signal(pid, Signal::SIGTERM);
    let errors = String::from_utf8_lossy(&output.stderr);
    if ours("warnings") {
        assert_eq!(errors.matches("oddkey").count(), 1, "{errors}");
    }
    wait::until(LONG, "the end", || setup.sandbox.processes().is_empty().then_some(()));
}

#[test]
fn term_int_and_quit_stop_everything_and_exit_0() {
    for (signal, name) in
        [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGINT, "SIGINT"), (Signal::SIGQUIT, "SIGQUIT")]
    {
        let mut daemon = Daemon::start("signals", WEB);
        daemon.wait_running("web");
        assert!(daemon.sandbox.path("visord.pid").exists());
        daemon.signal(signal);
        assert_eq!(daemon.wait_exit(LONG).code(), Some(0), "{name}");
        daemon.wait_for(&format!("received {name} indicating exit request"));
        daemon.wait_for("stopped: web (terminated by SIGTERM)");
        assert!(!daemon.sandbox.path("visord.pid").exists(), "the pidfile stayed after {name}");
        assert!(daemon.sandbox.processes().is_empty());
    }
}

#[test]
fn hup_with_a_good_file_restarts_everything_under_the_same_daemon_pid() {
    let daemon = Daemon::start("hup", WEB);
    let (web, keeper) = (daemon.wait_running("web"), daemon.keeper());
    daemon.sandbox.config("", &format!("{WEB}[program:more]\ncommand=sleep 1001\nstartsecs=0\n"));
    let before = daemon.mark();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_after(before, "received SIGHUP indicating restart request");
    daemon.wait_after(before, "stopped: web (terminated by SIGTERM)");
    daemon.wait_after(before, "spawned: 'more' with pid");
    daemon.wait_after(before, "success: web entered RUNNING state");
    assert_ne!(daemon.pid_of("web"), web);
    assert!(!proc::alive(web));
    assert_eq!(daemon.sandbox.read("visord.pid"), format!("{keeper}\n"));
    assert!(proc::alive(keeper));
    daemon.stop();
}

#[test]
fn hup_with_a_bad_file_changes_nothing_and_says_where_it_is_bad() {
    if !ours("a bad file is refused") {
        return;
    }
    let daemon = Daemon::start("bad-hup", WEB);
    let web = daemon.wait_running("web");
    daemon.sandbox.config("", "[program:web]\ncommand=sleep 1000\nstartsecs=soon\n");
    let text = daemon.sandbox.read("visord.conf");
    let line = 1 + text.lines().position(|line| line.starts_with("startsecs")).expect("the bad line");
    let before = daemon.mark();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_after(before, &format!("visord.conf:{line}"));
    wait::throughout(Duration::from_millis(500), || {
        (!proc::alive(web)).then(|| "web was stopped".to_owned())
    });
    assert_eq!(daemon.count("spawned: 'web'"), 1);
    daemon.stop();
}

#[test]
fn hup_after_the_file_vanished_changes_nothing() {
    if !ours("a bad file is refused") {
        return;
    }
    let daemon = Daemon::start("gone-hup", WEB);
    let web = daemon.wait_running("web");
    fs::remove_file(daemon.sandbox.path("visord.conf")).expect("our own file");
    let before = daemon.mark();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_after(before, "visord.conf");
    wait::throughout(Duration::from_millis(500), || {
        (!proc::alive(web)).then(|| "web was stopped".to_owned())
    });
    daemon.stop();
}

#[test]
fn usr2_reopens_all_logs() {
    let daemon = Daemon::start(
        "usr2",
        "[program:ticker]\ncommand=sh -c 'while :; do echo tick; sleep 0.05; done'\nstartsecs=0\nstdout_logfile=%(here)s/ticker.log\n",
    );
    let grown = |name: &str| !daemon.sandbox.read_bytes(name).is_empty();
    wait::until(LONG, "the log", || grown("ticker.log").then_some(()));
    for name in ["ticker.log", "visord.log"] {
        fs::rename(daemon.sandbox.path(name), daemon.sandbox.path(&format!("{name}.moved")))
            .expect("our own file");
    }
    let before = daemon.mark();
    daemon.signal(Signal::SIGUSR2);
    daemon.wait_after(before, "received SIGUSR2 indicating log reopen request");
    wait::until(LONG, "a new log of the program", || grown("ticker.log").then_some(()));
    daemon.stop();
}

#[test]
fn the_pidfile_names_the_launched_process_in_the_foreground() {
    let daemon = Daemon::start("pidfile", WEB);
    daemon.wait_for(&format!("supervisord started with pid {}", daemon.keeper()));
    daemon.wait_running("web");
    assert_eq!(daemon.sandbox.read("visord.pid"), format!("{}\n", daemon.keeper()));
    daemon.stop();
}

#[test]
fn lines_of_the_activity_log_have_upstreams_form_and_are_echoed_in_the_foreground() {
    let daemon = Daemon::start("form", WEB);
    daemon.wait_running("web");
    for line in daemon.lines().iter().filter(|line| line.contains("web")) {
        let logged = || daemon.sandbox.read("visord.log").contains(line.as_str()).then_some(());
        wait::until(LONG, &format!("in the log file: {line}"), logged);
        assert!(has_stamp_and_level(line), "{line}");
    }
    daemon.stop();
}

/// `2026-11-20 09:19:29,123 INFO text`
fn has_stamp_and_level(line: &str) -> bool {
    let shape: String =
        line.chars().take(24).map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    let level = line.get(24..28).unwrap_or_default();
    shape == "0000-00-00 00:00:00,000 "
        && ["CRIT", "ERRO", "WARN", "INFO", "DEBG", "TRAC", "BLAT"].contains(&level)
}

#[test]
fn the_identifier_is_taken_from_the_command_line() {
    let setup = Setup::new("identifier");
    setup.sandbox.config("", "");
    let daemon = setup.start_with(&["-n", "-c", "visord.conf", "-i", "mine"]);
    daemon.wait_for("supervisord started with pid");
    daemon.stop();
}

#[test]
fn help_and_version_exit_0() {
    let setup = Setup::new("help");
    for flag in ["-h", "-?", "--help"] {
        let output = setup.run(&[flag]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for phrase in ["visord -- run a set of applications", "-l/--logfile FILENAME -- use FILENAME as"] {
            assert!(output.status.success() && text.contains(phrase), "{flag}: no {phrase:?} in {text}");
        }
    }
    let output = setup.run(&["-v"]);
    assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
    let output = setup.run(&["--no-such-option"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
