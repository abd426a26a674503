//! Where a configuration is looked for when nobody names one, and whose it must be.

use super::upstream::{Said, ours};
use crate::common::{Sandbox, Who};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

fn run(sandbox: &Sandbox, client: &Path, words: &[&str]) -> Said {
    sandbox.command(client).args(words).stdin(Stdio::null()).output().expect("supervisorctl runs").into()
}

fn sandbox(name: &str) -> Sandbox {
    let sandbox = Sandbox::new(name, Who::Ordinary);
    sandbox.write("supervisord.conf", "[supervisorctl]\nserverurl=unix://%(here)s/trap.sock\n");
    sandbox
}

#[test]
fn the_current_directory_and_the_place_above_the_program_are_looked_into() {
    let sandbox = sandbox("sctl-places");
    let trap = format!("unix://{} no such file\n", sandbox.text("trap.sock"));
    let client = ours(&sandbox);
    // Found by its relative name.
    assert_eq!(run(&sandbox, &client, &["status"]).out, trap);
    // Found as bin/../supervisord.conf, from anywhere.
    let bin = sandbox.mkdir("bin");
    std::os::unix::fs::symlink("../visorctl", bin.join("supervisorctl")).expect("a link");
    let output = sandbox.command(bin.join("supervisorctl")).arg("status").current_dir("/").output();
    assert_eq!(Said::from(output.expect("supervisorctl runs")).out, trap);
}

#[test]
fn a_file_that_everybody_writes_is_not_obeyed_and_nobody_is_connected_to() {
    let sandbox = sandbox("sctl-trap");
    let client = ours(&sandbox);
    let listener = UnixListener::bind(sandbox.path("trap.sock")).expect("a socket");
    listener.set_nonblocking(true).expect("a socket of ours");
    fs::set_permissions(sandbox.path("supervisord.conf"), Permissions::from_mode(0o666)).expect("chmod");
    let said = run(&sandbox, &client, &["-s", "unix:///nowhere/at/all", "status"]);
    assert_eq!((said.out.as_str(), said.code), ("unix:///nowhere/at/all no such file\n", Some(4)));
    assert!(said.err.starts_with("supervisorctl: supervisord.conf was passed over: "), "{}", said.err);
    let said = run(&sandbox, &client, &["-c", "supervisord.conf", "status"]);
    assert_eq!((said.out.as_str(), said.code), ("", Some(2)));
    assert!(said.err.contains("can be written by everybody"), "{}", said.err);
    assert!(listener.accept().is_err(), "somebody came");
}

#[test]
fn what_is_wrong_with_a_configuration_is_told_and_ends_with_2() {
    let sandbox = sandbox("sctl-wrong");
    let client = ours(&sandbox);
    for (text, why) in [
        ("[supervisord]\n", "no [supervisorctl] section"),
        ("[supervisorctl]\nprompt=%(nope)s\n", "nope"),
        ("nonsense\n", "before the first section"),
    ] {
        sandbox.write("wrong.conf", text);
        let said = run(&sandbox, &client, &["-c", "wrong.conf", "status"]);
        assert_eq!((said.out.as_str(), said.code), ("", Some(2)), "{text}");
        assert!(said.err.starts_with("Error: ") && said.err.contains(why), "{}", said.err);
        assert!(said.err.contains("\nFor help, use ") && said.err.ends_with(" -h\n"), "{}", said.err);
    }
}
