//! Every verb times every state: what is said where, and the exit code. The same as JSON, where there is JSON.

use super::bench::{Bench, Said};
use super::world::World;
use serde_json::{Value, json};
use std::fmt::Write;
use visor::api::v1::ConfigState;
use visor::model::state::STATES;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/visorctl.txt");

const HEAD: &str = "\
# Every verb and every state: `$ command`, `= exit code`, what goes to standard output, `! ` what goes to standard error.
# Each program is called after its state. The clocks are UTC.
# Written by: UPDATE=1 cargo test --test cli
";

/// Verbs about programs; `{}` is the program. The second word says whether there is JSON.
const VERBS: [(&str, bool); 16] = [
    ("status {}", true),
    ("start {}", true),
    ("start --no-wait {}", true),
    ("stop {}", true),
    ("restart {}", true),
    ("signal HUP {}", true),
    ("wait {}", true),
    ("wait --exit --timeout 1s {}", true),
    ("wait --stopped {}", true),
    ("clear {}", true),
    ("pid {}", true),
    ("tail {}", false),
    ("tail -4 {}", false),
    ("logs -n 1 {}", false),
    ("why {}", true),
    ("reload {}", false),
];

/// Commands about everything.
const OTHERS: [&str; 24] = [
    "",
    "status",
    "status all",
    "status running running",
    "status running nobody",
    "start running nobody fatal",
    "stop all",
    "pid",
    "pid running nobody",
    "version",
    "version --json",
    "reread",
    "update",
    "update --json g",
    "add g h i",
    "remove g",
    "avail",
    "daemon status",
    "daemon start",
    "daemon refresh-env --dry-run",
    "env running",
    "signal NOPE running",
    "logs nobody",
    "why",
];

/// Mistakes on the command line.
const MISTAKES: [&str; 12] = [
    "start",
    "stop",
    "signal HUP",
    "reload",
    "tail",
    "tail -f",
    "tail running stdin",
    "tail -x running",
    "wait --ready --exit running",
    "start --timeout soon running",
    "daemon dance",
    "nonsense",
];

fn world() -> World {
    let mut world = World::of_states();
    world.replies = vec![
        (
            "/v1/reread",
            json!({"ok": true, "added": ["new"], "removed": ["gone"], "diagnostics": [],
                   "changed": [{"group": "web", "processes": [{"name": "web", "keys": ["command"], "cost": "restart"}]}]}),
        ),
        (
            "/v1/update",
            json!({"ok": true, "diagnostics": [], "results": [
                {"group": "gone", "action": "stopped"}, {"group": "gone", "action": "removed"},
                {"group": "web", "action": "updated"}, {"group": "logs", "action": "changed_live"},
                {"group": "new", "action": "added"}, {"group": "g", "action": "no_such_group"}]}),
        ),
        (
            "/v1/add",
            json!({"ok": true, "results": [{"group": "g", "action": "added"}, {"group": "h", "action": "already_active"},
                   {"group": "i", "action": "no_such_group"}]}),
        ),
        ("/v1/remove", json!({"ok": true, "results": [{"group": "g", "action": "still_running"}]})),
        (
            "/v1/login-env",
            json!({"added": ["A"], "changed": ["PATH"], "removed": [], "applied": false, "users": ["web"], "running": []}),
        ),
        (
            "/v1/env",
            json!({"namespec": "running", "pid": 42, "problem": "cannot read env_file /e: it is not UTF-8", "variables": [
                {"name": "A", "value": "b c", "origin": "program", "next": "changed"},
                {"name": "TOKEN", "value": null, "secret": true, "origin": "file", "file": "/f"}]}),
        ),
        (
            "/v1/avail",
            json!({"processes": [{"group": "g", "name": "p", "namespec": "g:p", "in_use": true, "autostart": false,
                   "group_priority": 999, "priority": 1}]}),
        ),
    ];
    world
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn render(text: &mut String, line: &str, bench: &Bench, Said { out, err, code }: &Said) {
    let _ = writeln!(text, "$ {}", format!("visorctl {line}").trim_end());
    out.lines().for_each(|line| text.extend([line, "\n"]));
    bench.masked(err).lines().for_each(|line| text.extend(["! ", line, "\n"]));
    let _ = writeln!(text, "= {code}\n");
}

#[test]
fn every_verb_in_every_state_says_what_is_reviewed() {
    let bench = Bench::with(world());
    let mut text = HEAD.to_owned();
    for (verb, has_json) in VERBS {
        let _ = writeln!(text, "\n## {}\n", verb.trim_end_matches(" {}"));
        for (_, state) in STATES {
            let line = verb.replace("{}", &state.to_lowercase());
            let said = bench.run(&words(&line));
            render(&mut text, &line, &bench, &said);
            if has_json {
                agree_as_json(&bench, &line, said.code);
            }
        }
    }
    text.push_str("\n## everything\n\n");
    for line in OTHERS {
        render(&mut text, line, &bench, &bench.run(&words(line)));
    }
    text.push_str("\n## mistakes\n\n");
    for line in MISTAKES {
        render(&mut text, line, &bench, &bench.run(&words(line)));
    }
    compare(&text);
}

/// As JSON a command says the same: the same code, and the state of its program.
fn agree_as_json(bench: &Bench, line: &str, code: i32) {
    let said = bench.run(&words(&format!("{line} --json")));
    assert_eq!(said.code, code, "{line}");
    let value: Value =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{line}: {error}: {said:?}"));
    let name = line.rsplit(' ').next().unwrap_or_default();
    let found = match line.split(' ').next() {
        Some("pid") => value[name].is_number(),
        Some("why") => {
            value["namespec"] == name && value["kind"].is_string() && value["process"]["state"].is_string()
        }
        Some("status") => {
            value["processes"][0]["state"] == name.to_uppercase() && value["daemon"]["pid"] == 100
        }
        _ => value["results"][0]["namespec"] == name && value["results"][0]["status"].is_string(),
    };
    assert!(found, "{line}: {value}");
}

fn compare(text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, text).expect("the golden file can be written");
    }
    let reviewed = std::fs::read_to_string(FILE).expect("the golden file can be read");
    let line = text.lines().zip(reviewed.lines()).position(|(now, before)| now != before);
    if let Some(line) =
        line.or_else(|| (text != reviewed).then(|| text.lines().count().min(reviewed.lines().count())))
    {
        panic!(
            "{FILE}:{}: reviewed {:?}, now {:?}; review it and run UPDATE=1 cargo test --test cli",
            line + 1,
            reviewed.lines().nth(line),
            text.lines().nth(line)
        );
    }
}

#[test]
fn what_is_typed_is_what_is_asked() {
    let bench = Bench::with(world());
    for (line, expected) in [
        ("start a g:*", r#"Post /v1/start  {"names":["a","g:*"],"wait":true,"timeout_ms":null}"#),
        ("stop --no-wait a", r#"Post /v1/stop  {"names":["a"],"wait":false,"timeout_ms":null}"#),
        ("restart --timeout 2m a", r#"Post /v1/restart  {"names":["a"],"wait":true,"timeout_ms":120000}"#),
        ("signal HUP a", r#"Post /v1/signal  {"names":["a"],"signal":"HUP"}"#),
        (
            "wait --exit --timeout 250ms a",
            r#"Post /v1/wait  {"names":["a"],"until":"exited","timeout_ms":250}"#,
        ),
        ("update all", r#"Post /v1/update  {"groups":[]}"#),
        ("update a b", r#"Post /v1/update  {"groups":["a","b"]}"#),
        ("add a", r#"Post /v1/add  {"groups":["a"]}"#),
        ("reread", "Post /v1/reread  {}"),
        (
            "tail -f nobody stderr",
            r#"Post /v1/follow  {"names":["nobody"],"channel":"stderr","bytes":1600,"positions":{}}"#,
        ),
        ("status a:b", "Get /v1/status view=short&name=a:b"),
        ("status --json", "Get /v1/status"),
    ] {
        bench.run(&words(line));
        assert_eq!(bench.asked().last().map(String::as_str), Some(expected), "{line}");
    }
}

#[test]
fn a_bad_configuration_is_told_and_refused() {
    let mut world = world();
    let diagnostics = json!([{"severity": "error", "file": "/c/web.conf", "line": 3, "section": "program:web",
                              "key": "autorestart", "what": "`maybe` is no value", "hint": "did you mean `true`?"}]);
    for path in ["/v1/reread", "/v1/update"] {
        world.replies.retain(|(known, _)| *known != path);
        world.replies.push((path, json!({"ok": false, "diagnostics": diagnostics})));
    }
    world.daemon.config.state = ConfigState::Bad;
    world.daemon.config.problems = vec!["/c/web.conf:3: error: x".into(), "/c/web.conf:4: error: y".into()];
    let bench = Bench::with(world);
    for line in ["reread", "update"] {
        let Said { out, err, code } = bench.run(&[line]);
        assert_eq!((out.as_str(), code), ("", 1), "{line}");
        let expected =
            "/c/web.conf:3: error: [program:web] autorestart: `maybe` is no value, did you mean `true`?\n";
        assert!(err.starts_with(expected) && err.contains("has mistakes"), "{err}");
    }
    let status = bench.run(&["status", "running"]);
    assert_eq!(status.code, 0);
    assert_eq!(
        status.err,
        "the configuration has mistakes, the last good one stays in force: /c/web.conf:3: error: x (and 1 more)\n"
    );
    assert_eq!(bench.run(&["daemon", "status"]).code, 1);
}

#[test]
fn shutdown_waits_until_the_daemon_has_gone() {
    for words in [&["shutdown"][..], &["daemon", "stop"], &["shutdown", "--no-wait"]] {
        let bench = Bench::with(world());
        let said = bench.run(words);
        assert_eq!((said.err.as_str(), said.code), ("", 0), "{words:?}");
        assert!(!said.out.is_empty());
    }
}

#[test]
fn versions_that_do_not_go_together_are_told() {
    let mut world = world();
    world.replies.push(("/v1/version", json!({"version": "9.0.0", "api": 9})));
    let bench = Bench::with(world);
    let said = bench.run(&["version"]);
    assert_eq!((said.out.as_str(), said.code), ("9.0.0\n", 5));
    assert_eq!(said.err, "error: visord speaks version 9 of the API and visorctl 1\n");
}
