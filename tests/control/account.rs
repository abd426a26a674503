//! A user with a home, a `/run/user` and a `/tmp` of their own, and the two binaries at hand.
//!
//! ```ignore
//! let account = Account::new("web");
//! account.program("web", "command=sleep 1000");
//! account.start();
//! assert_eq!(account.ok(&["status", "web"]).lines().count(), 1);
//! account.shutdown();
//! ```

use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, Who, daemon, proc};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Where a user's own programs are written.
const CONF_D: &str = ".config/visor/conf.d";

/// The file beside it.
pub(super) const MAIN_FILE: &str = ".config/visor/visor.conf";

/// A user and the machine around them.
pub(super) struct Account {
    /// The directory that is all of it: the home, and what stands for `/`.
    pub(super) sandbox: Sandbox,
}

impl Account {
    /// Makes an account on which nothing runs yet.
    pub(super) fn new(name: &str) -> Account {
        Account::new_for(name, Who::Ordinary)
    }

    /// Makes an account whose files take effect by themselves when they change, as everybody has it who says nothing.
    pub(super) fn watched(name: &str) -> Account {
        let account = Account::new(name);
        fs::remove_file(account.sandbox.path(MAIN_FILE)).expect("our own file");
        account
    }

    /// Makes one for a certain user.
    pub(super) fn new_for(name: &str, who: Who) -> Account {
        let sandbox = Sandbox::new(name, who);
        let account = Account { sandbox };
        account.login();
        for directory in [".config", ".config/visor", CONF_D] {
            account.sandbox.mkdir(directory);
        }
        // Most tests say themselves when a change is to take effect.
        account.sandbox.write(MAIN_FILE, "[visor]\napply=manual\n");
        account.sandbox.daemon_binary();
        account.visorctl();
        account
    }

    /// Makes `/run/user/UID`, as the login manager does at the first login.
    pub(super) fn login(&self) {
        for directory in ["run", "run/user"] {
            fs::create_dir_all(self.sandbox.path(directory)).expect("our own directory");
        }
        let own = self.sandbox.mkdir(&format!("run/user/{}", self.uid()));
        fs::set_permissions(own, fs::Permissions::from_mode(0o700)).expect("chmod of our own directory");
    }

    /// Whose account it is.
    pub(super) fn uid(&self) -> u32 {
        self.ids().0
    }

    /// User and group.
    pub(super) fn ids(&self) -> (u32, u32) {
        let own = || (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        self.sandbox.who().ids().unwrap_or_else(own)
    }

    /// `/run/user/UID`.
    pub(super) fn run_user(&self) -> PathBuf {
        self.sandbox.path(&format!("run/user/{}", self.uid()))
    }

    /// The directories of the sockets, best first.
    pub(super) fn socket_directories(&self) -> [PathBuf; 2] {
        [self.run_user().join("visor"), self.sandbox.path(&format!("tmp/visor-{}", self.uid()))]
    }

    /// The socket that no logout takes away.
    pub(super) fn socket(&self) -> PathBuf {
        self.socket_directories()[1].join("default.sock")
    }

    /// The client: beside the daemon, so that it finds it.
    pub(super) fn visorctl(&self) -> PathBuf {
        let beside =
            std::env::var_os("VISOR_BIN").map(|visord| Path::new(&visord).with_file_name("visorctl"));
        let given = beside.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_visorctl")));
        if self.sandbox.who().ids().is_none() {
            return given;
        }
        let copy = self.sandbox.path("visorctl");
        if !copy.exists() {
            // By another process, as for the daemon (ETXTBSY).
            let copied = Command::new("cp").args([&given, &copy]).status();
            assert!(copied.is_ok_and(|status| status.success()), "cp {}", given.display());
        }
        copy
    }

    /// Writes a program of the user's into a file of its own.
    pub(super) fn program(&self, name: &str, lines: &str) {
        self.file(name, &format!("[program:{name}]\n{lines}\n"));
    }

    /// Writes a file of the configuration.
    pub(super) fn file(&self, name: &str, text: &str) {
        self.sandbox.write(&format!("{CONF_D}/{name}.conf"), text);
    }

    /// Takes a file of the configuration away.
    pub(super) fn remove_file(&self, name: &str) {
        fs::remove_file(self.sandbox.path(&format!("{CONF_D}/{name}.conf"))).expect("our own file");
    }

    /// A client with these words, in a session that knows `XDG_RUNTIME_DIR`, not started yet.
    pub(super) fn client(&self, words: &[&str]) -> Command {
        let mut command = self.sandbox.command(self.visorctl());
        command.args(words).env("XDG_RUNTIME_DIR", self.run_user()).env("SHELL", "/bin/sh");
        command
    }

    /// Runs a client to its end.
    pub(super) fn ctl(&self, words: &[&str]) -> Output {
        run(self.client(words))
    }

    /// Runs a client that must succeed, and returns its stdout.
    pub(super) fn ok(&self, words: &[&str]) -> String {
        let output = self.ctl(words);
        assert!(output.status.success(), "visorctl {words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a client, and returns exit code, stdout and stderr.
    pub(super) fn told(&self, words: &[&str]) -> (i32, String, String) {
        let output = self.ctl(words);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Starts a client that goes on, with pipes.
    pub(super) fn background(&self, words: &[&str]) -> Child {
        let mut command = self.client(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the client starts")
    }

    /// Starts the daemon.
    pub(super) fn start(&self) {
        self.ok(&["daemon", "start"]);
    }

    /// The daemon's pid: the keeper.
    pub(super) fn keeper(&self) -> i32 {
        self.ok(&["pid"]).trim().parse().expect("a pid")
    }

    /// The reactor's pid.
    pub(super) fn reactor(&self) -> i32 {
        let keeper = self.keeper();
        wait::until(LONG, "a reactor", || daemon::reactor_of(keeper))
    }

    /// Waits until a program runs, and returns its pid.
    pub(super) fn running(&self, name: &str) -> i32 {
        wait::until(LONG, &format!("{name} to run"), || {
            let is_up = self.told(&["status", name]).1.contains("RUNNING");
            // It may have ended between the two questions.
            let (code, out, _) = self.told(&["pid", name]);
            (is_up && code == 0).then(|| out.trim().parse().expect("a pid"))
        })
    }

    /// The pid of a program.
    pub(super) fn pid(&self, name: &str) -> i32 {
        self.ok(&["pid", name]).trim().parse().expect("a pid")
    }

    /// The activity log.
    pub(super) fn log(&self) -> String {
        self.sandbox.read(".local/state/visor/log/visord.log")
    }

    /// Waits for a text in the activity log.
    pub(super) fn wait_log(&self, text: &str) {
        wait::until(LONG, &format!("a line with: {text}"), || self.log().contains(text).then_some(()));
    }

    /// The daemons that run on this account: processes of its binary whose parent is none.
    pub(super) fn daemons(&self) -> Vec<i32> {
        let binary = self.sandbox.daemon_binary().display().to_string();
        let is_visord = |pid: i32| proc::exe(pid).as_deref() == Some(&binary);
        let all = self.sandbox.processes().into_iter();
        all.filter(|&pid| is_visord(pid) && !proc::parent(pid).is_some_and(is_visord)).collect()
    }

    /// Ends the daemon, which must take everything with it.
    pub(super) fn shutdown(&self) {
        self.ok(&["shutdown"]);
        wait::until(LONG, "the end of everything", || self.sandbox.processes().is_empty().then_some(()));
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!(
                "--- the end of the activity log:\n{}",
                lines[lines.len().saturating_sub(60)..].join("\n")
            );
        }
    }
}

/// Runs a command to its end, which must come.
pub(super) fn run(command: Command) -> Output {
    run_within(LONG, command)
}

/// As `run`, with a deadline.
pub(super) fn run_within(limit: Duration, mut command: Command) -> Output {
    let shown = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let pid = child.id().cast_signed();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(limit) {
        Ok(output) => output.expect("our own child"),
        Err(_) => {
            proc::signal(pid, nix::sys::signal::Signal::SIGKILL);
            panic!("{shown}: no end after {limit:?}");
        }
    }
}

/// What a time may be on this machine at this moment: the promised one, and what starting 50 clients that do nothing
/// costs here, four times.
pub(super) fn allowed(account: &Account, promised: Duration) -> Duration {
    let since = std::time::Instant::now();
    let idle: Vec<Child> = (0..50).map(|_| account.background(&["--version"])).collect();
    idle.into_iter().for_each(|child| drop(child.wait_with_output()));
    promised + since.elapsed() * 4
}
