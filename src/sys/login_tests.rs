//! Login shells with files of their own that do what such files do.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// Longest that a test waits for a shell that does well.
const PATIENCE: Duration = Duration::from_secs(20);

/// A home with a `.profile`.
fn home(profile: &str) -> (tempfile::TempDir, Vec<(OsString, OsString)>) {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join(".profile"), profile).expect("write");
    let base = vec![("HOME".into(), dir.path().into()), ("PATH".into(), PATH.into())];
    (dir, base)
}

fn captured(profile: &str, deadline: Duration) -> Result<Vec<(String, String)>, String> {
    let (_dir, base) = home(profile);
    let variables = capture(Path::new("/bin/sh"), &base, deadline)?;
    let text = |text: OsString| text.to_string_lossy().into_owned();
    Ok(variables.into_iter().map(|(name, value)| (text(name), text(value))).collect())
}

fn value(variables: &[(String, String)], name: &str) -> Option<String> {
    variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

#[test]
fn what_a_profile_exports_is_there_and_what_is_the_shells_is_not() {
    let profile = "export GREETING='a\nb=c'; PATH=/opt/bin:$PATH; unexported=1; cd /usr";
    let variables = captured(profile, PATIENCE).expect("an environment");
    assert_eq!(value(&variables, "GREETING").as_deref(), Some("a\nb=c"));
    assert!(value(&variables, "PATH").is_some_and(|path| path.starts_with("/opt/bin:")));
    for name in ["unexported", "PWD", "OLDPWD", "SHLVL", "_", "TERM", MARK_VARIABLE, "CARGO_MANIFEST_DIR"] {
        assert_eq!(value(&variables, name), None, "{name}");
    }
}

#[test]
fn a_profile_that_prints_does_no_harm() {
    let profile = "set -x; echo hello; echo visor-begin-; printf 'A=b\\0'; env; export X=1; echo oops >&2";
    let variables = captured(profile, PATIENCE).expect("an environment");
    assert_eq!(value(&variables, "X").as_deref(), Some("1"));
    assert_eq!(value(&variables, "A"), None);
}

#[test]
fn a_profile_that_hangs_is_killed_with_what_it_started() {
    let begun = Instant::now();
    let (dir, base) = home("sleep 1000 & echo $! > $HOME/pid; read answer < /dev/tty; wait");
    let error = capture(Path::new("/bin/sh"), &base, Duration::from_millis(500)).expect_err("it hangs");
    assert!(error.contains("in time"), "{error}");
    assert!(begun.elapsed() < PATIENCE);
    let pid = std::fs::read_to_string(dir.path().join("pid")).expect("a pid");
    let pid = crate::model::Pid(pid.trim().parse().expect("a number"));
    let is_gone = || super::super::tree::entry(pid).is_none_or(|entry| entry.zombie);
    let end = Instant::now() + PATIENCE;
    while !is_gone() {
        assert!(Instant::now() < end, "{pid} lives");
        std::thread::yield_now();
    }
}

#[test]
fn a_profile_that_leaves_something_behind_is_not_waited_for() {
    let begun = Instant::now();
    let (dir, base) = home("sleep 1000 & echo $! > $HOME/pid; export AGENT=$!");
    let variables = capture(Path::new("/bin/sh"), &base, PATIENCE).expect("an environment");
    assert!(variables.iter().any(|(name, _)| name == "AGENT"));
    assert!(begun.elapsed() < PATIENCE, "the pipe is open for a thousand seconds");
    let pid = std::fs::read_to_string(dir.path().join("pid")).expect("a pid");
    let pid = crate::model::Pid(pid.trim().parse().expect("a number"));
    assert!(super::super::tree::entry(pid).is_some_and(|entry| !entry.zombie), "an agent must live on");
    super::super::process::kill(pid, crate::model::Signal::KILL).expect("kill");
}

#[test]
fn what_gives_no_environment_is_told() {
    for (profile, words) in [("exit 3", "no environment"), ("exec true", "no environment")] {
        let error = captured(profile, PATIENCE).expect_err(profile);
        assert!(error.contains(words), "{profile}: {error}");
    }
    let error = captured("exec yes", PATIENCE).expect_err("without end");
    assert!(error.contains(&OUTPUT_MAX_BYTES.to_string()), "{error}");
    let error = capture(Path::new("/no/such/shell"), &[], PATIENCE).expect_err("no shell");
    assert!(error.contains("cannot run it"), "{error}");
}

#[test]
fn every_shell_of_the_machine_gives_its_environment() {
    let (_dir, base) = home("");
    for shell in ["/bin/sh", "/bin/bash", "/bin/dash", "/bin/zsh", "/usr/bin/fish", "/bin/tcsh", "/bin/ksh"] {
        if Path::new(shell).exists() {
            let variables = capture(Path::new(shell), &base, PATIENCE);
            assert!(variables.is_ok_and(|all| all.iter().any(|(name, _)| name == "HOME")), "{shell}");
        }
    }
}

#[test]
fn without_an_environment_there_is_a_plain_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let variables = vec![
        ("HOME".into(), dir.path().into()),
        ("TZ".into(), "UTC".into()),
        ("SECRET".into(), "of the caller".into()),
    ];
    let uid = crate::sys::identity::uid();
    let ambient = Ambient { uid, name_uid: uid, variables, root: dir.path().into(), ..Ambient::default() };
    let login = environment(&ambient, Duration::ZERO);
    assert!(login.trouble.is_some());
    let names: Vec<&OsString> = login.variables.iter().map(|(name, _)| name).collect();
    assert!(names.contains(&&OsString::from("PATH")) && names.contains(&&OsString::from("TZ")), "{names:?}");
    assert!(!names.contains(&&OsString::from("SECRET")), "{names:?}");
}

#[test]
fn only_names_of_variables_are_taken() {
    let marks = Marks { begin: "<".to_owned(), end: ">".to_owned() };
    let parsed = parse(b"x<A=1\0BASH_FUNC_f%%=() { :; }\0=x\x001A=2\0B=\0no\0_a=b=c\0>y", &marks);
    let expected = [("A", "1"), ("B", ""), ("_a", "b=c")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(parsed, Some(expected.to_vec()));
    for nothing in ["", "<", "<A=1", "A=1>", "<>", "<\0\0>"] {
        assert_eq!(parse(nothing.as_bytes(), &marks), None, "{nothing}");
    }
}
#[test]
fn a_shell_that_is_no_login_shell_is_not_what_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let shell = dir.path().join("shell");
    std::fs::write(&shell, "#!/bin/sh\nexec /bin/sh -c \"$2\"\n").expect("write");
    std::fs::set_permissions(&shell, PermissionsExt::from_mode(0o755)).expect("chmod");
    let base = vec![("SHELL".into(), shell.clone().into())];
    let variables = capture(&shell, &base, PATIENCE).expect("the words of a shell are -c and a script");
    assert!(variables.iter().any(|(name, _)| name == "SHELL"));
}
