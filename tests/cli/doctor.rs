//! The doctor without a daemon and with one that is a thread: exit code, JSON, what it says of a made-up machine.

use super::bench::{Bench, Said, said};
use super::world::World;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use visor::api::v1::ConfigState;

/// Checks of every platform but macOS, which scripts may rely on.
const NAMES: [&str; 22] = [
    "daemon",
    "configuration",
    "permissions",
    "access",
    "logout",
    "reboot",
    "cron",
    "batch",
    "home",
    "state",
    "sockets",
    "cleaners",
    "watches",
    "files",
    "processes",
    "pipes",
    "cgroup",
    "landlock",
    "clock",
    "environment",
    "others",
    "orphans",
];

/// Every path of the JSON and what is there.
const SCHEMA: [&str; 10] = [
    "checks: array",
    "checks[].advice: string",
    "checks[].found_by: string",
    "checks[].name: string",
    "checks[].verdict: string",
    "checks[].what: string",
    "notes: number",
    "ok: bool",
    "problems: number",
    "warnings: number",
];

fn write(bench: &Bench, file: &str, text: &str) {
    let file = bench.dir().join(file);
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, text).expect("a file");
}

/// Runs the doctor and returns its answer, which its exit code agrees with.
fn asked(bench: &Bench, variables: &[(&str, &str)]) -> Value {
    let mut command = bench.command(&["doctor", "--json"]);
    let Said { out, err, code } = said(command.envs(variables.iter().copied()));
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out} {err}"));
    assert_eq!(code, i32::from(answer["problems"].as_u64() > Some(0)), "{answer:#}");
    assert_eq!(answer["ok"].as_bool(), Some(code == 0));
    answer
}

/// Verdict and words of a check.
fn check(answer: &Value, name: &str) -> (String, String, String) {
    let checks = answer["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["name"] == name);
    let found = found.unwrap_or_else(|| panic!("{name}: {answer:#}"));
    let text = |key: &str| found[key].as_str().expect("a text").to_owned();
    (text("verdict"), text("what"), text("advice"))
}

fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
    let kind = match value {
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            fields.iter().for_each(|(key, value)| collect(value, &format!("{path}{dot}{key}"), found));
            return;
        }
        Value::Array(items) => {
            items.iter().for_each(|item| collect(item, &format!("{path}[]"), found));
            "array"
        }
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => "null",
    };
    found.push(format!("{path}: {kind}"));
}

#[test]
fn the_answer_has_the_documented_form() {
    let answer = asked(&Bench::empty(), &[]);
    let mut schema = Vec::new();
    collect(&answer, "", &mut schema);
    schema.sort();
    schema.dedup();
    assert_eq!(schema, SCHEMA);
    if cfg!(target_os = "linux") {
        let names: Vec<&str> = answer["checks"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|check| check["name"].as_str())
            .collect();
        assert_eq!(names, NAMES);
    }
    for check in answer["checks"].as_array().into_iter().flatten() {
        let verdict = check["verdict"].as_str().unwrap_or_default();
        assert!(["ok", "note", "warning", "problem"].contains(&verdict), "{check}");
    }
}

#[test]
fn a_configuration_with_mistakes_is_a_problem_with_and_without_a_daemon() {
    let bench = Bench::empty();
    assert_eq!(check(&asked(&bench, &[]), "configuration").0, "ok");
    write(&bench, "home/.config/visor/conf.d/a.conf", "[program:a]\n");
    let Said { out, code, .. } = bench.run(&["doctor"]);
    let expected = "configuration problem  the configuration has mistakes, and visord would not start with it: \
                    /MACHINE/home/.config/visor/conf.d/a.conf:1: error: ";
    assert!(code == 1 && bench.masked(&out).contains(expected), "{out}");
    assert!(
        out.contains("\n                do     correct it; visorctl check shows every mistake\n"),
        "{out}"
    );
    let last = out.lines().last().unwrap_or_default();
    assert!(last.contains("problem") && last.ends_with(" ok"), "{last}");
    let mut world = World::of_states();
    world.daemon.config.state = ConfigState::Bad;
    world.daemon.config.since_unix = 1_700_465_580.0;
    world.daemon.config.problems = vec!["/c/x.conf:7: error: what".into()];
    let (verdict, what, advice) = check(&asked(&Bench::with(world), &[]), "configuration");
    assert_eq!(verdict, "problem");
    assert_eq!(
        what,
        "the configuration has mistakes since 2023-11-20 07:33, the last good one stays in force: \
         /c/x.conf:7: error: what"
    );
    assert_eq!(advice, "correct it, then: visorctl update");
}

#[test]
fn files_that_others_write_and_sockets_that_others_use_are_told() {
    let bench = Bench::empty();
    write(
        &bench,
        "home/.config/visor/visor.conf",
        "[unix_http_server]\nfile=%(here)s/s.sock\nchmod=0777\nusername=a\npassword=b\n",
    );
    let answer = asked(&bench, &[]);
    let (verdict, what, _) = check(&answer, "access");
    assert!(verdict == "warning" && what.starts_with("everybody on this machine (chmod=0777)"), "{what}");
    let file = bench.dir().join("home/.config/visor/visor.conf");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
    let (verdict, what, advice) = check(&asked(&bench, &[]), "permissions");
    assert!(verdict == "warning" && what.contains("holds a password"), "{what}");
    assert!(advice.starts_with("chmod go-r "), "{advice}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("chmod");
    let answer = asked(&bench, &[]);
    let (verdict, what, advice) = check(&answer, "permissions");
    assert!(verdict == "problem" && what.contains("can be written by everybody"), "{what}");
    assert!(advice.starts_with("chmod o-w "), "{advice}");
}

#[test]
fn what_a_machine_does_to_daemons_is_found() {
    let bench = Bench::empty();
    let uid = nix::unistd::getuid();
    write(&bench, "usr/lib/tmpfiles.d/tmp.conf", "q /tmp 1777 root root 10d\n");
    write(
        &bench,
        "bin/text",
        "#!/bin/sh\necho 'You (me) are not allowed to use this program (crontab)'\nexit 1\n",
    );
    let text = bench.dir().join("bin/text");
    fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).expect("chmod");
    // By another process: one that was forked from us meanwhile might hold ours open for writing.
    let copied = std::process::Command::new("cp").arg(&text).arg(bench.dir().join("bin/crontab")).status();
    assert!(copied.is_ok_and(|status| status.success()));
    symlink("/", bench.dir().join(format!("tmp/visor-{uid}"))).expect("a link");
    let home = bench.dir().join("home").display().to_string();
    write(&bench, "home/.local/state/visor/hosts/elsewhere-1/x", "");
    let path = format!("{}:/usr/bin:/bin", bench.dir().join("bin").display());
    let variables = [("VISOR_TEST_NETWORK", home.as_str()), ("PATH", path.as_str()), ("SLURM_JOB_ID", "7")];
    let answer = asked(&bench, &variables);
    for (name, verdict, words) in [
        ("cleaners", "note", "systemd-tmpfiles removes files older than 10d below /tmp"),
        ("cron", "note", "cron cannot start anything for you: you may not use cron: ask the administrator"),
        ("sockets", "warning", "it is a symbolic link, which may lead anywhere"),
        ("home", "note", "1 other host uses it with visord too: elsewhere-1 (today)"),
        ("reboot", "warning", "visord does not come back after a reboot by itself"),
        ("batch", "warning", "this is a batch job (SLURM_JOB_ID)"),
    ] {
        let (found, what, advice) = check(&answer, name);
        assert!(found != "warning" || !advice.is_empty(), "{name}");
        assert!(found == verdict && what.contains(words), "{name}: {found}: {what}");
    }
}

#[test]
fn a_limit_of_descriptors_is_held_against_the_programs() {
    let bench = Bench::empty();
    write(
        &bench,
        "home/.config/visor/conf.d/a.conf",
        "[program:a]\ncommand=sleep 1\nnumprocs=100\nprocess_name=%(process_num)s\n",
    );
    let visorctl = env!("CARGO_BIN_EXE_visorctl");
    let script = format!("ulimit -n 300 && exec '{visorctl}' doctor");
    let Said { out, code, .. } = said(&mut bench.program("/bin/sh".as_ref(), &["-c", &script]));
    let expected = "files         problem  100 programs need 100 x 3 + 64 = 364 file descriptors, and the hard limit is 300";
    assert!(code == 1 && out.contains(expected), "{out}");
}

#[test]
fn a_daemon_that_is_named_is_the_one_that_is_judged() {
    let bench = Bench::with(World::of_states());
    let socket = bench.socket().display().to_string();
    let Said { out, .. } = bench.run(&["--socket", &socket, "doctor"]);
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        out.contains(&format!("daemon        ok       visord {version} runs with pid 100, 8 processes\n")),
        "{out}"
    );
    write(&bench, "c.conf", "[supervisord]\n[program:a]\n");
    let Said { out, code, .. } = bench.run(&["-c", "c.conf", "doctor"]);
    assert!(code == 1 && out.contains("do     visord -c c.conf"), "{out}");
    assert!(out.contains("c.conf:2: error: "), "{out}");
    assert_eq!(bench.run(&["-c", "missing.conf", "doctor"]).code, 2);
}
