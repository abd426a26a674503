//! Programs that cannot be started: supervisord's words, its retries, and then FATAL; the others are not disturbed.

use crate::common::daemon::Daemon;

/// A program that never comes to a process: `spawnerr` has the reason, and it is given up.
fn given_up(name: &str, section: &str, reason: &str) {
    let daemon = Daemon::start(
        name,
        &format!(
            "[program:odd]\n{section}\nstartretries=1\n[program:good]\ncommand=sleep 1000\nstartsecs=0\n"
        ),
    );
    let good = daemon.wait_running("good");
    daemon.wait_for(&format!("spawnerr: {reason}"));
    daemon.wait_for("gave up: odd entered FATAL state, too many start retries too quickly");
    assert_eq!(daemon.count(&format!("spawnerr: {reason}")), 2, "startretries=1 makes two attempts");
    assert_eq!(daemon.count("spawned: 'odd'"), 0);
    assert_eq!((daemon.pid_of("good"), daemon.count("spawned: 'good'")), (good, 1));
    daemon.stop();
}

#[test]
fn a_command_that_does_not_exist_is_given_up_with_its_name() {
    given_up("no-file", "command=/no/such/command --flag", "can't find command '/no/such/command'");
}

#[test]
fn a_command_that_is_not_in_path_is_given_up_with_its_name() {
    given_up(
        "not-in-path",
        "command=no-such-command-anywhere",
        "can't find command 'no-such-command-anywhere'",
    );
}

#[test]
fn a_command_that_is_a_directory_is_given_up() {
    given_up("directory", "command=/tmp", "command at '/tmp' is a directory");
}

#[test]
fn a_command_that_nobody_may_execute_is_given_up() {
    given_up("no-x", "command=/etc/passwd", "command at '/etc/passwd' is not executable");
}

#[test]
fn a_command_with_an_open_quote_is_given_up() {
    given_up("quote", "command=sh -c 'oops", "can't parse command \"sh -c 'oops\": No closing quotation");
}

#[test]
fn a_log_that_cannot_be_opened_is_the_programs_failure() {
    given_up(
        "no-log",
        "command=sleep 1000\nstdout_logfile=/proc/1/no-such-log",
        "unknown error making dispatchers for 'odd': ",
    );
}
