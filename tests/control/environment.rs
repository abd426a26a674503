//! `visorctl env` and `visorctl daemon refresh-env`, and that nobody's environment is written down.

use super::account::{Account, run};
use crate::common::need;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn json(account: &Account, words: &[&str]) -> Value {
    serde_json::from_str(&account.ok(words)).expect("JSON")
}

fn variable<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let all = shown["variables"].as_array().expect("a list");
    all.iter().find(|one| one["name"] == name).unwrap_or(&Value::Null)
}

/// Whether the account has a shell that can log in.
fn has_login(account: &Account) -> bool {
    let account = nix::unistd::User::from_uid(account.uid().into()).ok().flatten();
    account.is_some_and(|account| account.shell.ends_with("sh"))
        || need::not_run("an account with a shell (tests/run makes one)")
}

#[test]
fn what_a_program_runs_with_is_shown_with_its_sources_and_without_secrets() {
    let account = Account::new("env");
    account.sandbox.write("web.env", "API_TOKEN=s3cret\nMODE=one\n");
    let lines = format!(
        "command=sleep 1000\nstartsecs=0\nautostart=false\nenv_file={}\nenvironment=OWN=\"a b\",URL=\"http://u:s3cret@h/\"",
        account.sandbox.text("web.env")
    );
    account.program("web", &lines);
    account.start();
    let before = json(&account, &["env", "web", "--json"]);
    assert_eq!((before["pid"].as_i64(), variable(&before, "MODE")["value"].as_str()), (Some(0), Some("one")));
    assert!(account.ok(&["env", "web"]).starts_with("# web would get this at the next start\n"));
    account.ok(&["start", "web"]);
    let pid = account.pid("web");
    account.sandbox.write("web.env", "API_TOKEN=s3cret\nMODE=two\nMORE=1\n");
    let text = account.ok(&["env", "web"]);
    let file = account.sandbox.text("web.env");
    for line in [
        format!("# web runs with this (pid {pid})"),
        format!("# from env_file= {file}"),
        "API_TOKEN=********".into(),
        "MODE=one # another value at the next start".into(),
        "# MORE=1 comes with the next start".into(),
        "OWN=\"a b\"".into(),
        "URL=********".into(),
        "SUPERVISOR_PROCESS_NAME=web".into(),
    ] {
        assert!(text.lines().any(|one| one == line), "no {line} in\n{text}");
    }
    let masked = json(&account, &["env", "web", "--json"]).to_string();
    assert!(
        !masked.contains("s3cret") && !text.contains("s3cret") && !text.contains("VISOR_RUN"),
        "{masked}"
    );
    let open = json(&account, &["env", "web", "--json", "--show-secrets"]);
    assert_eq!(variable(&open, "API_TOKEN")["value"], "s3cret");
    assert_eq!(variable(&open, "API_TOKEN")["origin"], "file");
    assert_eq!(variable(&open, "OWN")["origin"], "program");
    assert_eq!(variable(&open, "HOME")["next"], "same");
    assert!(account.ok(&["env", "web", "--show-secrets"]).contains("API_TOKEN=s3cret\n"));
    fs::remove_file(&file).expect("our own file");
    let (code, out, err) = account.told(&["env", "web"]);
    assert!(code == 0 && out.contains("MODE=one # gone at the next start\n"), "{out}");
    assert!(
        err.contains(&format!(
            "the next start would fail: cannot read env_file {file}: there is no such file"
        ))
    );
    assert_eq!(account.told(&["env", "nobody"]).0, 4);
    account.shutdown();
}

#[test]
fn a_start_that_lacks_its_file_is_refused_in_words() {
    let account = Account::new("env-refused");
    account.program("web", "command=sleep 1000\nautostart=false\nenv_file=/no/such/file");
    account.start();
    let (code, out, err) = account.told(&["start", "web"]);
    let said = format!("{out}{err}");
    assert!(
        code != 0 && said.contains("cannot read env_file /no/such/file: there is no such file"),
        "{code} {said}"
    );
    let why = account.told(&["why", "web"]).1;
    assert!(why.contains("env_file /no/such/file") && why.contains("correct env_file= in"), "{why}");
    account.shutdown();
}

#[test]
fn a_login_is_asked_for_anew_and_only_names_are_told() {
    let account = Account::new("refresh");
    if !has_login(&account) {
        return;
    }
    let profile = |text: &str| {
        account.sandbox.write(".profile", text);
        account.sandbox.write(".bash_profile", text);
    };
    profile("export ONE=s3cret-1 TWO=2\n");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.start();
    account.running("web");
    assert_eq!(account.ok(&["daemon", "refresh-env"]), "a login gives what programs begin with already\n");
    profile("export ONE=s3cret-2 THREE=3\n");
    let dry = account.ok(&["daemon", "refresh-env", "--dry-run"]);
    assert_eq!(
        dry,
        "new: THREE\nchanged: ONE\ngone: TWO\nnothing was changed; visorctl daemon refresh-env takes it over\n"
    );
    let value = |name: &str| {
        let shown = json(&account, &["env", "web", "--json", "--show-secrets"]);
        (variable(&shown, name)["value"].clone(), variable(&shown, name)["next"].clone())
    };
    assert_eq!(value("ONE"), ("s3cret-1".into(), "same".into()));
    let done = account.ok(&["daemon", "refresh-env"]);
    assert!(done.ends_with("taken over; restart those that run to give it to them: web\n"), "{done}");
    assert_eq!(value("ONE"), ("s3cret-1".into(), "changed".into()));
    assert_eq!(value("THREE").1, "new");
    assert_eq!(value("TWO").1, "gone");
    // What was taken over outlives a reactor.
    let reactor = account.reactor();
    crate::common::proc::signal(reactor, nix::sys::signal::Signal::SIGKILL);
    account.ok(&["restart", "web"]);
    assert_eq!(value("ONE"), ("s3cret-2".into(), "same".into()));
    // A login that fails changes nothing.
    profile("exit 7\n");
    let (code, _, err) = account.told(&["daemon", "refresh-env"]);
    assert!(code != 0 && err.contains("gave no environment"), "{code} {err}");
    assert_eq!(value("ONE"), ("s3cret-2".into(), "same".into()));
    account.shutdown();
}

/// Files below a directory that hold a text. Sockets and what is not ours to read are passed over.
fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_with(&path, text)),
            Ok(kind) if kind.is_file() => {
                let bytes = fs::read(&path).unwrap_or_default();
                let holds = bytes.windows(text.len()).any(|part| part == text.as_bytes());
                found.extend(holds.then(|| path.display().to_string()));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_environment_of_whoever_calls_is_never_written_to_disk() {
    const MARKER: &str = "marker-5e8a1c0d";
    let account = Account::new("unwritten");
    account.program("web", "command=sleep 1000\nstartsecs=0\nenv_pass=CALLERS_SECRET");
    let call = |words: &[&str]| {
        let mut client = account.client(words);
        client.env("CALLERS_SECRET", MARKER).env("DB_PASSWORD", MARKER);
        let output = run(client);
        assert!(output.status.success(), "{words:?}: {output:?}");
    };
    call(&["daemon", "start"]);
    account.running("web");
    call(&["new", "made", "--", "sleep", "1000"]);
    call(&["env", "web", "--show-secrets"]);
    call(&["restart", "all"]);
    call(&["update"]);
    call(&["stop", "made"]);
    let looked_at = files_with(account.sandbox.dir(), "entered RUNNING state");
    assert!(!looked_at.is_empty(), "the activity log is looked at");
    // The sandbox has everything: home with state and configuration, runtime directories, /tmp.
    assert_eq!(files_with(account.sandbox.dir(), MARKER), [] as [String; 0]);
    let shown = account.ok(&["env", "web", "--show-secrets"]);
    assert!(!shown.contains(MARKER), "whoever was first does not decide what programs get:\n{shown}");
    account.shutdown();
}

#[test]
fn an_own_environment_of_the_daemon_is_never_written_to_disk_either() {
    const MARKER: &str = "marker-77b1e2f9";
    let setup = crate::common::daemon::Setup::new("unwritten-own").env("DB_PASSWORD", MARKER);
    let daemon = setup.start("[program:web]\ncommand=sleep 1000\nstartsecs=0\n");
    let pid = daemon.wait_running("web");
    assert!(crate::common::proc::environment(pid).contains(&format!("DB_PASSWORD={MARKER}")));
    assert!(!files_with(daemon.sandbox.dir(), "sleep 1000").is_empty(), "the configuration is looked at");
    assert_eq!(files_with(daemon.sandbox.dir(), MARKER), [] as [String; 0]);
    daemon.stop();
}
