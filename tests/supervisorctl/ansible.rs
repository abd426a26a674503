//! Ansible's `supervisorctl` module, as a playbook uses it, with the real supervisorctl and with ours.

use super::upstream::Upstream;
use crate::common::need;
use std::path::Path;

/// A state that is asked for, and whether anything is to be done for it. `restarted` adds whatever is new.
const STEPS: [(&str, &str, bool); 17] = [
    ("web", "present", true),
    ("web", "present", false),
    ("crew:", "present", true),
    ("crew:", "present", false),
    ("web", "started", false),
    ("web", "stopped", true),
    ("web", "stopped", false),
    ("web", "started", true),
    ("web", "restarted", true),
    ("web", "signalled", true),
    ("crew:", "stopped", true),
    ("crew:", "started", true),
    ("crew:", "restarted", true),
    ("old", "started", false),
    ("old", "restarted", true),
    ("old", "absent", true),
    ("old", "absent", false),
];

/// What the daemon is started with, and what is added to its file before the playbook is run.
const FIRST: &str = "[program:old]\ncommand=sleep 1000\nstartsecs=0\n";
const ADDED: &str = "[program:web]\ncommand=sleep 1000\nstartsecs=0\n\
                     [group:crew]\nprograms=one,two\n[program:one]\ncommand=sleep 1000\nstartsecs=0\n\
                     [program:two]\ncommand=sleep 1000\nstartsecs=0\n";

/// Returns the playbook: a task fails where the module says something else than it should.
fn playbook(upstream: &Upstream, client: &Path) -> String {
    let (client, config) = (client.display(), upstream.sandbox.text("d.conf"));
    let task = |(name, state, changes): &(&str, &str, bool)| {
        let further = match *state {
            "absent" => ", stop_before_removing: true",
            "signalled" => ", signal: CONT",
            _ => "",
        };
        format!(
            "    - name: \"{name} is to be {state}\"\n      community.general.supervisorctl: {{name: \"{name}\", \
             state: {state}, config: {config}, supervisorctl_path: {client}{further}}}\n      register: it\n      \
             failed_when: it.failed or it.changed != {changes}\n"
        )
    };
    let head = "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n";
    head.to_owned() + &STEPS.iter().map(task).collect::<String>()
}

/// Runs the playbook; every task must go as on supervisord.
fn plays(upstream: &Upstream, client: &Path) {
    let Some(ansible) = need::venv("ansible-playbook") else { return };
    let file = upstream.sandbox.read("d.conf");
    upstream.sandbox.write("d.conf", file + ADDED);
    upstream.sandbox.write("play.yml", playbook(upstream, client));
    let output = upstream.sandbox.command(ansible).arg("play.yml").output().expect("ansible-playbook runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let all = format!("ok={}", STEPS.len());
    assert!(output.status.success() && text.contains(&all), "{text}\n{output:?}");
    let status = upstream.run(&["status"]).out;
    let running: Vec<&str> = status.lines().filter_map(|line| line.split_once(' ')).map(|it| it.0).collect();
    assert_eq!(running, ["crew:one", "crew:two", "web"], "{status}");
}

#[test]
fn ansibles_module_has_its_way_with_supervisord_and_our_client() {
    let Some(upstream) = Upstream::start("ansible-theirs", "", FIRST) else { return };
    plays(&upstream, &upstream.ours());
}

#[test]
fn ansibles_module_has_its_way_with_our_daemon_and_the_real_client() {
    let Some(client) = need::venv("supervisorctl") else { return };
    plays(&Upstream::replaced("ansible-real", "", FIRST), &client);
}

#[test]
fn ansibles_module_has_its_way_with_our_daemon_and_our_client() {
    let upstream = Upstream::replaced("ansible-ours", "", FIRST);
    plays(&upstream, &upstream.ours());
}
