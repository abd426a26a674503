//! Supervisor's own end-to-end tests against visord: with the other programs of supervisor, and with all of them ours.

use crate::common::{Sandbox, Who, need};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// All that upstream has.
const COUNT: usize = 27;

/// They use names of their own in /tmp: only one run at a time where it cannot have a /tmp of its own.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What issue 565 is about: a log with letters beyond ASCII. The package leaves its script out.
const HELLO: &str = "\
number=0
while [ $number -lt 1000 ]; do
    number=$((number + 1))
    echo \"The \u{d8}resund bridge ends in Malm\u{f6} - $number\"
    sleep 1
done
";

/// Runs the rest of its arguments in a /tmp where nothing is but the directory of the sandbox, as the given user.
const PRIVATE: &str = "\
set -eu
sandbox=$1 uid=$2 gid=$3
shift 3
mkdir -p \"$sandbox/private/${sandbox##*/}\"
chmod 1777 \"$sandbox/private\"
mount --bind \"$sandbox\" \"$sandbox/private/${sandbox##*/}\"
mount --rbind \"$sandbox/private\" /tmp
cd \"$sandbox\"
exec setpriv --reuid \"$uid\" --regid \"$gid\" --clear-groups \"$@\"
";

/// The shim, which runs upstream's tests with the programs that its environment names.
fn shim(sandbox: &Sandbox, script: &Path) -> Command {
    let mut words = vec!["sh".to_owned(), script.display().to_string(), sandbox.dir().display().to_string()];
    if let Some((uid, gid)) = sandbox.who().ids() {
        let private = ["unshare", "--mount", "sh", "-c", PRIVATE, "private"].map(str::to_owned);
        let whom = [sandbox.dir().display().to_string(), uid.to_string(), gid.to_string()];
        words.splice(0..0, private.into_iter().chain(whom));
    }
    let mut command = sandbox.root_command(&words[0]);
    command.args(&words[1..]);
    command
}

/// Runs all of upstream's tests; `ours` is the variables of the shim and the programs in the place of upstream's.
fn all_pass(name: &str, ours: impl Fn(&Sandbox) -> Vec<(&'static str, std::path::PathBuf)>) {
    let (Some(script), Some(python)) = (need::shared("interop/e2e-shim.sh"), need::venv("python3")) else {
        return;
    };
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let sandbox = Sandbox::new(name, Who::Ordinary);
    let script = sandbox.write("e2e-shim.sh", std::fs::read(script).expect("a readable file"));
    sandbox.mkdir("fixtures");
    sandbox.write("fixtures/hello.sh", HELLO);
    let output = shim(&sandbox, &script)
        .env("SITE", site_packages(&python))
        .env("PYTHON", &python)
        .env("FIXTURES", sandbox.path("fixtures"))
        .envs(ours(&sandbox))
        .output()
        .expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let all_passed = text.contains(&format!("{COUNT} passed")) && !text.contains("failed");
    assert!(output.status.success() && all_passed, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn upstreams_end_to_end_tests_pass_with_our_daemon() {
    // Under the name by which upstream's texts are asked for.
    all_pass("upstream", |sandbox| {
        vec![("SUPERVISORD_BIN", sandbox.linked(&sandbox.daemon_binary(), "supervisord"))]
    });
}

#[test]
fn upstreams_end_to_end_tests_pass_with_all_four_programs_ours() {
    all_pass("upstream-all", |sandbox| {
        let (daemon, client) = (sandbox.daemon_binary(), sandbox.client_binary());
        vec![
            ("SUPERVISORD_BIN", sandbox.linked(&daemon, "supervisord")),
            ("ECHOCONF_BIN", sandbox.linked(&daemon, "echo_supervisord_conf")),
            ("SUPERVISORCTL_BIN", sandbox.linked(&client, "supervisorctl")),
            ("PIDPROXY_BIN", sandbox.linked(&client, "pidproxy")),
        ]
    });
}

fn site_packages(python: &Path) -> String {
    let lib = python.parent().and_then(Path::parent).expect("bin/python3 of a venv").join("lib");
    let version = std::fs::read_dir(lib).expect("lib of a venv").flatten().next().expect("one version");
    version.path().join("site-packages").display().to_string()
}
