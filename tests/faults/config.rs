//! Configurations that cannot be used: exit 2, the place and the reason on stderr, nothing left behind.

use crate::common::daemon::{Setup, ours};
use crate::common::need;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// Runs `visord -n -c visord.conf`, which must refuse; returns what it says.
fn refused(setup: &Setup) -> String {
    let output = setup.run(&["-n", "-c", "visord.conf"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(!setup.sandbox.path("visord.pid").exists(), "a pidfile was written");
    assert!(setup.sandbox.processes().is_empty(), "something still runs");
    text
}

fn refused_with(name: &str, sections: &str, expected: &[&str]) {
    let setup = Setup::new(name);
    setup.sandbox.config("", sections);
    let text = refused(&setup);
    for part in expected {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

const WEB: &str = "[program:web]\ncommand=sleep 1000\n";

#[test]
fn a_missing_configuration_is_named() {
    let setup = Setup::new("missing");
    assert!(refused(&setup).contains("visord.conf"));
}

#[test]
fn an_unreadable_configuration_is_named() {
    let setup = Setup::new("unreadable");
    let path = setup.sandbox.config("", WEB);
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("chmod of our own file");
    assert!(refused(&setup).contains("visord.conf"));
}

#[test]
fn a_directory_for_a_configuration_is_named() {
    let setup = Setup::new("directory");
    setup.sandbox.mkdir("visord.conf");
    assert!(refused(&setup).contains("visord.conf"));
}

#[test]
fn a_wrong_value_is_told_with_file_line_and_key() {
    if ours("file:line") {
        // Five lines of [supervisord] and an empty one precede.
        refused_with(
            "value",
            "[program:web]\ncommand=sleep 1000\nnumprocs=many\n",
            &["visord.conf:", "numprocs", "many"],
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    if ours("all diagnostics at once") {
        refused_with(
            "several",
            "[program:web]\ncommand=sleep 1000\nstartsecs=soon\nautostart=perhaps\n[program:other]\npriority=high\ncommand=true\n",
            &["startsecs", "autostart", "priority"],
        );
    }
}

#[test]
fn a_missing_log_directory_is_named() {
    let setup = Setup::new("log-directory");
    setup.sandbox.write(
        "visord.conf",
        format!("[supervisord]\nlogfile=/no/such/place/visord.log\npidfile=visord.pid\n{WEB}"),
    );
    assert!(refused(&setup).contains("/no/such/place"));
}

#[test]
fn a_program_without_a_command_is_refused() {
    refused_with("no-command", "[program:web]\nautostart=true\n", &["command"]);
}

#[test]
fn a_file_that_is_no_configuration_is_refused() {
    let setup = Setup::new("binary");
    setup.sandbox.write("visord.conf", [0_u8, 159, 146, 150, b'\n', 255]);
    refused(&setup);
}

#[test]
fn a_configuration_of_another_user_is_refused() {
    if !ours("ownership is checked") || !need::root() {
        return;
    }
    let setup = Setup::new("foreign");
    let path = setup.sandbox.config("", WEB);
    std::os::unix::fs::chown(path, Some(61_999), None).expect("chown by root");
    assert!(refused(&setup).contains("visord.conf"));
}

#[test]
fn a_configuration_that_everybody_may_write_is_refused() {
    if !ours("modes are checked") {
        return;
    }
    let setup = Setup::new("writable");
    let path = setup.sandbox.config("", WEB);
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("chmod of our own file");
    assert!(refused(&setup).contains("visord.conf"));
}

#[test]
fn a_configuration_in_a_directory_that_everybody_may_write_is_refused() {
    if !ours("modes are checked") {
        return;
    }
    let setup = Setup::new("writable-parent");
    setup.sandbox.config("", WEB);
    fs::set_permissions(setup.sandbox.dir(), fs::Permissions::from_mode(0o777))
        .expect("chmod of our own directory");
    let text = refused(&setup);
    fs::set_permissions(setup.sandbox.dir(), fs::Permissions::from_mode(0o755))
        .expect("chmod of our own directory");
    assert!(text.contains("visor-test-writable-parent"), "{text}");
}
