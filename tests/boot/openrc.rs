//! OpenRC: the user services of 0.60 are in no package that the tests can install, so rc-update is a script with its
//! manners, seen with a build of its sources.

use crate::common::{Sandbox, Who};
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// rc-update for a user: it makes no runlevel, refuses what has no script, and what is in a runlevel already is fine.
const RC_UPDATE: &str = r#"#!/bin/sh
[ "$1" = --user ] || exit 64
R=${XDG_CONFIG_HOME:-$HOME/.config}/rc
case $2 in
  show) exit 0 ;;
  add) [ -x "$R/init.d/$3" ] || { echo " * rc-update: service \`$3' does not exist" >&2; exit 1; }
       [ -d "$R/runlevels/$4" ] || { echo " * rc-update: \`$4' is not a valid runlevel" >&2; exit 1; }
       ln -sf "$R/init.d/$3" "$R/runlevels/$4/$3" ;;
  *) exit 64 ;;
esac
"#;

fn visorctl(sandbox: &Sandbox, words: &[&str]) -> (i32, String, String) {
    let mut command = sandbox.command(sandbox.client_binary());
    let path = format!("{}:/usr/bin:/bin", sandbox.text("fake"));
    let output = command.args(words).env("PATH", path).env("SHELL", "/bin/tcsh").output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn machine() -> Sandbox {
    let sandbox = Sandbox::new("openrc", Who::Ordinary);
    for folder in ["fake", "run/openrc", "etc", "etc/runlevels", "etc/runlevels/default"] {
        sandbox.mkdir(folder);
    }
    sandbox.script("fake/rc-update", RC_UPDATE);
    // The crontab is not of this machine: it is that of whoever runs the tests.
    sandbox.script("fake/crontab", "#!/bin/sh\necho no crontab for me >&2; exit 1\n");
    sandbox.write("run/openrc/softlevel", "default");
    sandbox
}

#[test]
fn a_user_service_is_put_into_a_runlevel_where_the_administrator_lets_it_start() {
    let sandbox = machine();
    let enable = ["boot", "enable", "--method", "openrc"];
    let (code, _, err) = visorctl(&sandbox, &enable);
    assert!(code == 1 && err.contains("ask the administrator for rc-update add user."), "{err}");
    let user = nix::unistd::User::from_uid(sandbox.uid().into()).ok().flatten();
    let user = user.map_or_else(|| sandbox.uid().to_string(), |user| user.name);
    symlink("/etc/init.d/user", sandbox.path(&format!("etc/runlevels/default/user.{user}"))).expect("a link");
    for already in ["", "already "] {
        let expected = format!("boot: {already}enabled: an OpenRC user service starts visord at boot\n");
        assert_eq!(visorctl(&sandbox, &enable).1, expected);
    }
    let script = sandbox.path(".config/rc/init.d/visord");
    assert_eq!(std::fs::metadata(&script).expect("the script").permissions().mode() & 0o777, 0o755);
    assert_eq!(visorctl(&sandbox, &["boot", "disable"]).1, "boot: openrc disabled\n");
    assert!(!script.exists() && !sandbox.path(".config/rc/runlevels/default/visord").is_symlink());
}

#[test]
fn boot_is_for_the_users_own_daemon() {
    let sandbox = machine();
    for words in [&["-c", "v.conf", "boot", "status"][..], &["--socket", "/s", "boot", "enable"]] {
        let (code, _, err) = visorctl(&sandbox, words);
        assert_eq!(
            (code, err.as_str()),
            (2, "error: boot is for your own daemon: leave -c and --socket out\n")
        );
    }
    let (code, out, _) = visorctl(&sandbox, &["autostart", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let methods: Vec<_> =
        status["methods"].as_array().into_iter().flatten().map(|row| row["method"].clone()).collect();
    assert_eq!(methods, ["systemd", "launchd", "cron", "openrc", "login", "autostart"]);
    assert_eq!(
        (code, &status["in_force"], &status["last"]),
        (1, &serde_json::Value::Null, &serde_json::Value::Null)
    );
}

#[test]
fn a_moment_that_comes_without_a_home_is_told_and_one_that_is_forbidden() {
    let sandbox = machine();
    let (code, _, err) =
        visorctl(&sandbox, &["boot", "run", "--method", "cron", "--await", "--patience", "0"]);
    assert!(code == 6 && err.contains("/.config/visor was not there after 0 s"), "{code} {err}");
    for (variable, value) in [("VISOR_NO_SPAWN", "1"), ("SLURM_JOB_ID", "7")] {
        let mut command = sandbox.command(sandbox.client_binary());
        let output = command.args(["boot", "run"]).env(variable, value).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
    assert!(sandbox.processes().is_empty());
    let (_, out, _) = visorctl(&sandbox, &["boot", "status"]);
    assert!(
        out.contains("\nlast: it was never started this way\n"),
        "what is not tried is no failure: {out}"
    );
}
