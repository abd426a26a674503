//! `visorctl check` as a user meets it: what is printed where, and the exit code.

use std::path::Path;
use std::process::Command;

struct Said {
    code: Option<i32>,
    data: String,
    messages: String,
}

fn check(directory: &Path, words: &[&str]) -> Said {
    check_as(directory, words, &[])
}

/// Runs it in a directory that is the home too, with these variables besides.
fn check_as(directory: &Path, words: &[&str], variables: &[(&str, &Path)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_visorctl"));
    command.arg("check").args(words).current_dir(directory);
    command.env("HOME", directory).env_remove("XDG_CONFIG_HOME").envs(variables.iter().copied());
    let output = command.output().expect("visorctl starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: output.status.code(), data: text(output.stdout), messages: text(output.stderr) }
}

fn directory_with(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("v.conf"), text).expect("a file");
    directory
}

#[test]
fn a_good_file_is_summed_up_on_standard_output() {
    let directory = directory_with("[supervisord]\n[program:a]\ncommand=a\n");
    let said = check(directory.path(), &["v.conf"]);
    assert_eq!(
        (said.code, said.data.as_str(), said.messages.as_str()),
        (Some(0), "v.conf: ok, 1 process, 0 warnings\n", "")
    );
}

#[test]
fn mistakes_are_told_on_standard_error_with_file_and_line() {
    let directory = directory_with("[supervisord]\n[program:a]\ncomand=a\n");
    let said = check(directory.path(), &["v.conf"]);
    assert_eq!((said.code, said.data.as_str()), (Some(1), ""));
    let file = directory.path().canonicalize().expect("a path").join("v.conf");
    let hint = format!(
        "{}:3: warning: [program:a] comand: unknown key, it is ignored, did you mean `command`?",
        file.display()
    );
    assert!(said.messages.contains(&hint), "{}", said.messages);
    assert!(said.messages.contains(":2: error: [program:a] no command"), "{}", said.messages);
    assert!(said.messages.ends_with("v.conf: 1 error, 1 warning\n"), "{}", said.messages);
}

#[test]
fn strict_refuses_unknown_names() {
    let directory = directory_with("[supervisord]\ncolour=red\n");
    assert_eq!(check(directory.path(), &["v.conf"]).code, Some(0));
    assert_eq!(check(directory.path(), &["--strict", "v.conf"]).code, Some(1));
}

#[test]
fn json_has_every_diagnostic() {
    let directory = directory_with("[supervisord]\nloglevel=loud\n");
    let said = check(directory.path(), &["--json", "v.conf"]);
    let report: serde_json::Value = serde_json::from_str(&said.data).expect("JSON");
    let diagnostic = &report["diagnostics"][0];
    assert_eq!((said.code, &report["ok"]), (Some(1), &serde_json::json!(false)));
    let fields = ["severity", "line", "section", "key"].map(|field| diagnostic[field].to_string());
    assert_eq!(fields, ["\"error\"", "2", "\"supervisord\"", "\"loglevel\""]);
}

/// A home with a configuration of its own: a main file and two of programs, one of which has a mistake.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a directory");
    let root = home.path().join(".config/visor");
    std::fs::create_dir_all(root.join("conf.d")).expect("folders");
    for (file, text) in [
        ("visor.conf", "[supervisord]\nloglevel=debug\n"),
        ("conf.d/bad.conf", "[program:bad]\nautorestart=maybe\ncommand=b\n"),
        ("conf.d/web.conf", "[program:web]\ncommand=w\n[group:both]\nprograms=web\n"),
    ] {
        std::fs::write(root.join(file), text).expect("a file");
    }
    home
}

#[test]
fn without_a_file_the_users_own_configuration_is_checked() {
    let home = home();
    let root = home.path().join(".config/visor").display().to_string();
    // What a supervisord would find here is no business of the user's own daemon.
    std::fs::write(home.path().join("supervisord.conf"), "rubbish\n").expect("a file");
    let said = check(home.path(), &[]);
    assert_eq!((said.code, said.data.as_str()), (Some(1), ""), "{}", said.messages);
    assert!(
        said.messages.contains("/conf.d/bad.conf:2: error: [program:bad] autorestart: "),
        "{}",
        said.messages
    );
    assert!(said.messages.ends_with(&format!("{root}: 1 error, 0 warnings\n")), "{}", said.messages);
    std::fs::remove_file(home.path().join(".config/visor/conf.d/bad.conf")).expect("our own file");
    let said = check(home.path(), &[]);
    assert_eq!((said.code, said.data), (Some(0), format!("{root}: ok, 1 process, 0 warnings\n")));
    let dump = check(home.path(), &["--dump"]);
    let dump: serde_json::Value = serde_json::from_str(&dump.data).expect("JSON");
    assert_eq!(dump["groups"][0]["name"], "both", "{dump}");
    let elsewhere = home.path().join("elsewhere");
    let said = check_as(home.path(), &[], &[("XDG_CONFIG_HOME", elsewhere.as_path())]);
    let expected = format!("{}/visor: ok, 0 processes, 0 warnings\n", elsewhere.display());
    assert_eq!((said.code, said.data), (Some(0), expected), "{}", said.messages);
}

#[test]
fn a_file_of_the_users_own_configuration_is_checked_as_the_part_that_it_is() {
    let home = home();
    let said = check(home.path(), &[".config/visor/conf.d/web.conf", ".config/visor/visor.conf"]);
    let expected = ".config/visor/conf.d/web.conf: ok, 1 process, 0 warnings\n\
                    .config/visor/visor.conf: ok, 0 processes, 0 warnings\n";
    assert_eq!((said.code, said.data.as_str(), said.messages.as_str()), (Some(0), expected, ""));
    let said = check(home.path(), &["--json", ".config/visor/conf.d/bad.conf"]);
    let report: serde_json::Value = serde_json::from_str(&said.data).expect("JSON");
    let found = ["diagnostics", "files"].map(|field| report[field].as_array().map(Vec::len));
    assert_eq!((said.code, found), (Some(1), [Some(1), Some(1)]), "{report}");
    // Elsewhere such a file is a configuration without its first section.
    std::fs::copy(home.path().join(".config/visor/conf.d/web.conf"), home.path().join("web.conf"))
        .expect("a copy");
    let said = check(home.path(), &["web.conf"]);
    assert_eq!(said.code, Some(1));
    assert!(said.messages.contains("no [supervisord] section"), "{}", said.messages);
}

#[test]
fn the_configuration_that_names_the_daemon_is_checked_where_no_file_is_named() {
    let directory = directory_with("[supervisord]\n");
    let said = check(directory.path(), &["-c", "v.conf"]);
    assert_eq!((said.code, said.data.as_str()), (Some(0), "v.conf: ok, 0 processes, 0 warnings\n"));
}

#[test]
fn a_wrong_option_is_wrong_usage() {
    let directory = directory_with("");
    assert_eq!(check(directory.path(), &["--nope"]).code, Some(2));
    assert_eq!(check(directory.path(), &["--json", "--dump", "v.conf"]).code, Some(2));
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let said = check(directory.path(), &["no.conf"]);
    assert_eq!(said.code, Some(1));
    assert!(said.messages.contains("cannot find the file"), "{}", said.messages);
}
