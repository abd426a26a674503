//! `visorctl check` as a user meets it: what is printed where, and the exit code.

use std::path::Path;
use std::process::Command;

struct Said {
    code: Option<i32>,
    data: String,
    messages: String,
}

fn check(directory: &Path, words: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_visorctl"));
    let output = command.arg("check").args(words).current_dir(directory).output().expect("visorctl starts");
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

#[test]
fn without_a_file_the_usual_places_are_looked_at() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("supervisord.conf"), "[supervisord]\n").expect("a file");
    let said = check(directory.path(), &[]);
    assert_eq!((said.code, said.data.as_str()), (Some(0), "supervisord.conf: ok, 0 processes, 0 warnings\n"));
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
