//! A machine of the test's own: processes, `/run`, `/tmp`, `/etc`, crontabs and a home, which outlive a reboot or not
//! as on a real one.
//!
//! ```ignore
//! let Some(mut machine) = Machine::new("cron", "/bin/bash") else { return };
//! machine.reboot("cron");
//! machine.until_running("clock");
//! ```

use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, Who, need, proc};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The account that `tests/run` makes.
pub(super) const USER: &str = "visortest";

/// Its home.
pub(super) const HOME: &str = "/home/visortest";

/// Where the programs are, which come with the system and not with the home.
pub(super) const BIN: &str = "/mnt/bin";

/// Makes the machine of the disk in `$1`; `$2` is what its boot does beyond that, and `$3` whether the home is there.
const INIT: &str = r#"
exec 2>&1
set -e
disk=$1
mount --bind "$disk/etc" /etc
mount --bind "$disk/spool" /var/spool/cron/crontabs
if [ -d /var/lib/systemd ]; then
    mount -t tmpfs none /var/lib/systemd
    mkdir /var/lib/systemd/linger
    mount --bind "$disk/linger" /var/lib/systemd/linger
fi
mount --bind "$disk/mnt" /mnt
mount --bind "$disk/home" /mnt/home
mount -t tmpfs none /home
mkdir /home/visortest
[ "$3" = late ] || mount --bind "$disk/home" /home/visortest
mount -t tmpfs none /run
mount -t tmpfs -o mode=1777 none /tmp
eval "$2"
echo ready
exec >/dev/null 2>&1
while :; do sleep 1000 & wait $! || :; done
"#;

/// A machine that can be rebooted.
pub(super) struct Machine {
    sandbox: Sandbox,
    running: Option<Child>,
}

/// What a command said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) code: i32,
}

impl Machine {
    /// Makes a machine that is up, with a program `clock`; nothing, after saying so, where that cannot be.
    pub(super) fn new(name: &str, shell: &str) -> Option<Machine> {
        let tools = ["unshare", "nsenter", "setpriv", "su", "cron"];
        if !need::root()
            || tools.iter().any(|tool| need::tool(tool).is_none())
            || need::tool(&base(shell)).is_none()
        {
            return None;
        }
        if nix::unistd::User::from_name(USER).ok().flatten().is_none() {
            need::not_run("the account visortest (tests/run --setup)");
            return None;
        }
        let machine = Machine { sandbox: Sandbox::new(name, Who::Ordinary), running: None };
        machine.make_disk(shell);
        let mut machine = machine;
        machine.boot("", "there");
        Some(machine)
    }

    fn make_disk(&self, shell: &str) {
        for folder in ["disk", "disk/linger", "disk/mnt", "disk/mnt/bin", "disk/mnt/home", "disk/spool"] {
            fs::create_dir_all(self.sandbox.path(folder)).expect("our own directory");
        }
        for folder in ["", "/.config", "/.config/visor", "/.config/visor/conf.d"] {
            self.sandbox.mkdir(&format!("disk/home{folder}"));
        }
        let copied = Command::new("cp").args(["-a", "/etc"]).arg(self.disk()).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp -a /etc");
        let passwd = fs::read_to_string("/etc/passwd").expect("accounts");
        let with_shell = |line: &str| match line.strip_prefix(&format!("{USER}:")) {
            Some(rest) => {
                let mut fields: Vec<&str> = rest.split(':').collect();
                (fields[4], fields[5]) = (HOME, shell);
                format!("{USER}:{}\n", fields.join(":"))
            }
            None => format!("{line}\n"),
        };
        self.write("etc/passwd", &passwd.lines().map(with_shell).collect::<String>());
        let shells = fs::read_to_string("/etc/shells").unwrap_or_default();
        self.write("etc/shells", &format!("{shells}\n{shell}\n"));
        // As Debian's cron has it.
        let crontab = nix::unistd::Group::from_name("crontab").ok().flatten().expect("cron is installed");
        let spool = self.disk().join("spool");
        std::os::unix::fs::chown(&spool, None, Some(crontab.gid.as_raw())).expect("chown by root");
        fs::set_permissions(&spool, fs::Permissions::from_mode(0o1730)).expect("chmod of our own");
        for program in [self.sandbox.daemon_binary(), self.sandbox.client_binary()] {
            let copied = Command::new("cp").arg(program).arg(self.disk().join("mnt/bin")).status();
            assert!(copied.is_ok_and(|status| status.success()), "cp of our programs");
        }
        self.write_own("home/.config/visor/conf.d/clock.conf", "[program:clock]\ncommand=sleep 1000\n");
    }

    /// What outlives a reboot.
    pub(super) fn disk(&self) -> PathBuf {
        self.sandbox.path("disk")
    }

    /// Writes a file of root's on the disk.
    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.disk().join(name), text).unwrap_or_else(|error| panic!("write {name}: {error}"));
    }

    /// Writes a file of the user's on the disk.
    pub(super) fn write_own(&self, name: &str, text: &str) {
        self.sandbox.write(&format!("disk/{name}"), text);
    }

    /// Reads a file of the disk; nothing where there is none.
    pub(super) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.disk().join(name)).ok()
    }

    fn boot(&mut self, services: &str, home: &str) {
        let words = [
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "--propagation",
            "private",
            "sh",
            "-c",
            INIT,
            "init",
        ];
        let mut command = self.sandbox.root_command("unshare");
        command.args(words).arg(self.disk()).args([services, home]);
        command.env_remove("VISOR_TEST_ROOT").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("unshare runs");
        let stdout = child.stdout.take().expect("it is a pipe");
        self.running = Some(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("it is a pipe");
        assert_eq!(line, "ready\n", "the machine comes up");
    }

    /// Ends every process of the machine.
    pub(super) fn power_off(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        for init in proc::children(child.id().cast_signed()) {
            proc::signal(init, Signal::SIGKILL);
        }
        child.wait().expect("our own child");
    }

    /// The name of the control group that a service manager of the machine may have.
    pub(super) fn control_group(&self) -> String {
        format!("visor-boot-{}", self.sandbox.dir().file_name().unwrap_or_default().to_string_lossy())
    }

    /// The machine has no file system of control groups of its own.
    fn remove_control_groups(&self) {
        let group = self.control_group();
        for kind in ["systemd", "unified", ""] {
            let folder = Path::new("/sys/fs/cgroup").join(kind).join(&group);
            if folder.is_dir() {
                let removed =
                    Command::new("find").arg(folder).args(["-depth", "-type", "d", "-delete"]).status();
                assert!(removed.is_ok(), "find runs");
            }
        }
    }

    /// Ends every process, forgets `/run` and `/tmp`, and boots with these services.
    pub(super) fn reboot(&mut self, services: &str) {
        self.power_off();
        self.boot(services, "there");
    }

    /// As [`Machine::reboot`], and the home is not mounted yet.
    pub(super) fn reboot_without_home(&mut self, services: &str) {
        self.power_off();
        self.boot(services, "late");
    }

    /// Mounts the home.
    pub(super) fn mount_home(&self) {
        let mounted = self.root(&format!("mount --bind /mnt/home {HOME}"));
        assert_eq!(mounted.code, 0, "{mounted:?}");
    }

    fn init(&self) -> i32 {
        let outer = self.running.as_ref().expect("the machine is up").id().cast_signed();
        wait::until(LONG, "the first process", || proc::children(outer).first().copied())
    }

    /// Runs a shell script of root's on the machine.
    pub(super) fn root(&self, script: &str) -> Said {
        let init = self.init().to_string();
        let mut command = self.sandbox.root_command("nsenter");
        command.args(["-t", &init, "-m", "-p", "sh", "-c", script]);
        command.env_remove("VISOR_TEST_ROOT").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
        said(&mut command)
    }

    /// Runs a shell script of the user's, in an environment as bare as cron's.
    pub(super) fn user(&self, script: &str) -> Said {
        let script = script.replace('\'', "'\\''");
        self.root(&format!(
            "cd /; exec setpriv --reuid {USER} --regid {USER} --clear-groups env -i HOME={HOME} PATH=$PATH:{BIN} VISOR_TEST=$VISOR_TEST sh -c '{script}'"
        ))
    }

    /// Runs visorctl as the user.
    pub(super) fn visorctl(&self, words: &str) -> Said {
        self.user(&format!("visorctl {words}"))
    }

    /// Runs visorctl as the user, which must succeed.
    pub(super) fn ok(&self, words: &str) -> String {
        let said = self.visorctl(words);
        assert_eq!(said.code, 0, "visorctl {words}: {said:?}");
        said.out
    }

    /// Waits until a program runs.
    pub(super) fn until_running(&self, name: &str) {
        wait::until(LONG, &format!("{name} to run"), || {
            self.visorctl(&format!("status {name}")).out.contains("RUNNING").then_some(())
        });
    }

    /// How many daemons run: processes of visord without a parent of that name.
    pub(super) fn daemons(&self) -> usize {
        let script = "for pid in $(pgrep -x visord); do cat /proc/$(ps -o ppid= $pid | tr -d ' ')/comm; done";
        self.root(script).out.lines().filter(|name| *name != "visord").count()
    }

    /// What JSON `boot status` shows.
    pub(super) fn boot_status(&self) -> serde_json::Value {
        serde_json::from_str(&self.visorctl("boot status --json").out).expect("JSON")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let is_up =
            self.running.as_ref().is_some_and(|outer| !proc::children(outer.id().cast_signed()).is_empty());
        if std::thread::panicking() && is_up {
            eprintln!(
                "--- the end of the activity log:\n{}",
                self.root(&format!("tail -n 30 {HOME}/.local/state/visor/log/visord.log")).out
            );
        }
        self.power_off();
        self.remove_control_groups();
    }
}

fn said(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { out: text(&stdout), err: text(&stderr), code: status.code().unwrap_or(-1) }
}

fn base(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
