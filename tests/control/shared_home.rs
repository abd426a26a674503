//! Two hosts with one home on a network file system: machines are namespaces of their own (UTS, PID, mounts), each with
//! its own `/tmp` and `/run`; the home is one directory, which is taken for a network file system.

use super::account::run;
use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, Who, need, proc};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

/// Where the folders of the hosts are.
const HOSTS: &str = "home/.local/state/visor/hosts";

/// Makes the home, and a root for each machine.
fn cluster(name: &str, machines: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new(name, Who::Root);
    for directory in ["home/.config/visor/conf.d", HOSTS] {
        sandbox.mkdir(directory);
    }
    for directory in ["home/.local", "home/.local/state", "home/.local/state/visor", HOSTS] {
        fs::set_permissions(sandbox.path(directory), fs::Permissions::from_mode(0o700)).expect("chmod");
    }
    for machine in machines {
        for directory in ["tmp", "run/user", "etc"] {
            sandbox.mkdir(&format!("{machine}/{directory}"));
        }
        fs::set_permissions(sandbox.path(machine).join("tmp"), fs::Permissions::from_mode(0o1777))
            .expect("chmod");
    }
    sandbox
}

/// A command with the surroundings of a machine.
fn on(sandbox: &Sandbox, machine: &str, program: &Path) -> Command {
    let mut command = sandbox.command(program);
    command.env("HOME", sandbox.path("home")).env("VISOR_TEST_ROOT", sandbox.path(machine));
    command.env("VISOR_TEST_NETWORK", sandbox.path("home"));
    command
}

/// A command inside of a machine: other processes and another name of the host than ours.
fn inside(sandbox: &Sandbox, machine: &str, unshare: &Path, words: &[&str]) -> Command {
    let mut command = on(sandbox, machine, unshare);
    command.args(["--uts", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]);
    command.arg(format!("hostname {machine} && \"$@\"; exit $?")).arg("sh").args(words);
    command
}

/// A machine with a daemon; it is switched off at the end.
struct Machine<'s> {
    sandbox: &'s Sandbox,
    name: &'static str,
    child: Child,
}

impl<'s> Machine<'s> {
    fn start(sandbox: &'s Sandbox, unshare: &Path, name: &'static str) -> Machine<'s> {
        let visord = sandbox.daemon_binary().display().to_string();
        // The machine outlives its daemon: the end of a namespace's first process ends all others.
        let mut command =
            inside(sandbox, name, unshare, &["sh", "-c", "\"$0\" -n; exec sleep 1000", &visord]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Machine { sandbox, name, child: command.spawn().expect("unshare") }
    }

    /// Runs a client on this machine; returns its exit code and what it said.
    fn ctl(&self, words: &[&str]) -> (i32, String) {
        let unshare = i32::try_from(self.child.id()).expect("a pid");
        let first = wait::until(LONG, "the first process", || proc::children(unshare).first().copied());
        let mut command = on(self.sandbox, self.name, Path::new("nsenter"));
        command.args(["--uts", "--pid", "--mount", "--target", &first.to_string()]);
        command.arg(self.sandbox.client_binary()).args(words);
        let output = run(command);
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until the program runs; returns its pid as the machine sees it, and when it started.
    fn running(&self) -> (i64, String) {
        wait::until(LONG, "the program to run", || {
            let (_, out) = self.ctl(&["status", "web", "--json"]);
            let status: Value = serde_json::from_str(&out).ok()?;
            let web = &status["processes"][0];
            (web["state"] == "RUNNING")
                .then(|| (web["pid"].as_i64().unwrap_or(0), web["started_unix"].to_string()))
        })
    }

    fn log(&self, folder: &str) -> String {
        self.sandbox.read(&format!("{HOSTS}/{folder}/log/visord.log"))
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap_or(0);
        proc::signal(pid, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Everything below a directory, links not followed.
fn all_below(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(all_below(&entry.path()));
        }
        all.push(entry.path());
    }
    all
}

/// Whether a file only makes sense on one host.
fn is_local(path: &Path) -> bool {
    let kind = fs::symlink_metadata(path).expect("metadata").file_type();
    let ends = |end: &str| path.extension().is_some_and(|found| found == end);
    kind.is_socket() || kind.is_fifo() || ends("sock") || ends("lock") || ends("pid")
}

#[test]
fn two_hosts_with_one_home_do_not_get_in_each_others_way() {
    let Some(unshare) = need::tool("unshare").filter(|_| need::root()) else { return };
    let sandbox = cluster("two-hosts", &["alpha", "beta"]);
    sandbox.write("home/.config/visor/visor.conf", "[visor]\nhost_id=n-%(host_node_name)s\n");
    sandbox.write("home/.config/visor/conf.d/web.conf", "[program:web]\ncommand=sleep 1000\nstartsecs=0\n");
    let alpha = Machine::start(&sandbox, &unshare, "alpha");
    let of_alpha = alpha.running();
    // Nobody takes the daemon of the other host for their own.
    let client = sandbox.client_binary().display().to_string();
    let output = run(inside(&sandbox, "beta", &unshare, &[&client, "status"]));
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    // What the other host wrote is no help to anybody who takes it for their own, and does no harm.
    let copied = Command::new("cp")
        .arg("-r")
        .arg(sandbox.path(&format!("{HOSTS}/n-alpha")))
        .arg(sandbox.path(&format!("{HOSTS}/n-beta")))
        .status();
    assert!(copied.is_ok_and(|status| status.success()), "cp");
    let old = sandbox.mkdir(&format!("{HOSTS}/n-gone"));
    let mark = sandbox.write(&format!("{HOSTS}/n-gone/in-use"), "gone-1\n");
    let month_ago = SystemTime::now() - Duration::from_secs(31 * 24 * 3600);
    File::options().write(true).open(mark).and_then(|file| file.set_modified(month_ago)).expect("utimensat");

    let beta = Machine::start(&sandbox, &unshare, "beta");
    let of_beta = beta.running();
    wait::until(LONG, "the end of an unused folder", || (!old.exists()).then_some(()));
    for line in [
        "in use by the machine alpha-",
        "removed the state of the host n-gone, which has not used it for 30 days",
    ] {
        wait::until(LONG, line, || beta.log("n-beta").contains(line).then_some(()));
    }
    assert!(sandbox.path(&format!("{HOSTS}/n-alpha/in-use")).exists());
    let local: Vec<PathBuf> =
        all_below(&sandbox.path("home")).into_iter().filter(|path| is_local(path)).collect();
    assert_eq!(local, [] as [PathBuf; 0], "a lock, a socket or a pid in the shared home");
    assert!(all_below(&sandbox.path("alpha")).iter().any(|path| is_local(path)), "the sockets are somewhere");

    assert_eq!(alpha.running(), of_alpha, "the start of beta touched a program of alpha");
    assert_eq!(alpha.ctl(&["restart", "web"]).0, 0);
    assert_eq!(beta.running(), of_beta, "a restart on alpha touched a program of beta");
    assert_eq!(alpha.ctl(&["shutdown"]).0, 0);
    assert_eq!(alpha.ctl(&["status"]).0, 4);
    assert_eq!(beta.running(), of_beta, "the end of alpha touched a program of beta");
    let own = beta.log("n-beta");
    assert!(alpha.log("n-alpha").contains("exited: web") || alpha.log("n-alpha").contains("stopped: web"));
    assert!(!own.contains("stopped: web"), "{own}");
    assert_eq!(beta.ctl(&["shutdown"]).0, 0);
}

#[test]
fn without_a_name_a_host_is_known_by_its_machine() {
    let Some(unshare) = need::tool("unshare").filter(|_| need::root()) else { return };
    let sandbox = cluster("unnamed", &["alpha", "beta"]);
    sandbox.write("home/.config/visor/conf.d/web.conf", "[program:web]\ncommand=sleep 1000\nstartsecs=0\n");
    let machines = ["alpha", "beta"].map(|name| Machine::start(&sandbox, &unshare, name));
    for machine in &machines {
        machine.running();
    }
    let names = wait::until(LONG, "a folder for each host", || {
        Some(sandbox.names(HOSTS)).filter(|names| names.len() == 2)
    });
    assert!(names[0].starts_with("alpha-") && names[1].starts_with("beta-"), "{names:?}");
    // A name that is given later takes the state along.
    assert_eq!(machines[0].ctl(&["shutdown"]).0, 0);
    sandbox.write("home/.config/visor/visor.conf", "[visor]\nhost_id=first\n");
    let again = Machine::start(&sandbox, &unshare, "alpha");
    again.running();
    let log = again.log("first");
    assert_eq!(log.matches("supervisord started with pid").count(), 2, "{log}");
    assert_eq!(fs::read_link(sandbox.path(&format!("{HOSTS}/{}", names[0]))).ok(), Some("first".into()));
    machines[1].running();
}
