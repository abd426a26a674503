//! A directory of its own for each test, owned by the user that visord will run as, and swept when the test ends.

use super::{need, proc};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The account that `tests/run` makes, and what stands in for it where it was not made.
const ACCOUNT: &str = "visortest";
const NOBODY: u32 = 65_534;

/// Rounds of stopping and killing until a tree that restarts itself is given up on.
const SWEEP_ROUNDS: usize = 400;

/// Whom visord runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The user of the tests, or the test account when that is root.
    Ordinary,
    /// Root; only where `need::root()`.
    Root,
    /// A user id of its own (limits count by user); only where `need::root()`.
    Stranger(u32),
}

impl Who {
    /// The user and group to switch to, or nothing for "as we are".
    pub(crate) fn ids(self) -> Option<(u32, u32)> {
        match self {
            Who::Stranger(uid) => Some((uid, uid)),
            Who::Ordinary if need::is_root() => Some(account()),
            Who::Ordinary | Who::Root => None,
        }
    }
}

fn account() -> (u32, u32) {
    let found = nix::unistd::User::from_name(ACCOUNT).ok().flatten();
    found.map_or((NOBODY, NOBODY), |user| (user.uid.as_raw(), user.gid.as_raw()))
}

/// The directory, and the mark by which everything that was started from it is found again.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
    who: Who,
    mark: String,
}

impl Sandbox {
    /// Makes the directory. Its `name` is for people who look at /tmp.
    pub(crate) fn new(name: &str, who: Who) -> Sandbox {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("visor-test-{name}-");
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in("/tmp").expect("a temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
            .expect("chmod of our own directory");
        let mark = format!("{}.{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let sandbox = Sandbox { dir, who, mark };
        sandbox.own(sandbox.dir());
        for name in ["run", "tmp"] {
            fs::create_dir(sandbox.path(name)).expect("a directory");
            fs::set_permissions(sandbox.path(name), fs::Permissions::from_mode(0o1777)).expect("chmod");
        }
        sandbox
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whom visord runs as here.
    pub(crate) fn who(&self) -> Who {
        self.who
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// A path in the directory, as text for a configuration.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Gives a file or directory to the user.
    pub(crate) fn own(&self, path: &Path) {
        if let Some((uid, gid)) = self.who.ids() {
            std::os::unix::fs::lchown(path, Some(uid), Some(gid)).expect("chown by root");
        }
    }

    /// Writes a file of the user.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
        self.own(&path);
        path
    }

    /// Writes an executable script of the user.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod of our own file");
        path
    }

    /// Makes a directory of the user.
    pub(crate) fn mkdir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("mkdir {}: {error}", path.display()));
        self.own(&path);
        path
    }

    /// Reads a file; empty where it does not exist.
    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.read_bytes(name)).into_owned()
    }

    /// Reads a file; empty where it does not exist.
    pub(crate) fn read_bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    /// The names in a directory, sorted.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(directory)).expect("a directory of ours").flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Whose processes run in it.
    pub(crate) fn uid(&self) -> u32 {
        self.who.ids().map_or_else(|| nix::unistd::getuid().as_raw(), |ids| ids.0)
    }

    /// Writes `visord.conf`: `main` is added to `[supervisord]`, `rest` follows it. Logs go to the directory.
    pub(crate) fn config(&self, main: &str, rest: &str) -> PathBuf {
        self.mkdir("log");
        let text = format!(
            "[supervisord]\nlogfile=%(here)s/visord.log\npidfile=%(here)s/visord.pid\nchildlogdir=%(here)s/log\n{main}\n\n{rest}\n"
        );
        self.write("visord.conf", text)
    }

    /// The daemon under test: a copy in the sandbox where the user could not reach the original (a clone in /root).
    pub(crate) fn daemon_binary(&self) -> PathBuf {
        let given = std::env::var_os("VISOR_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_visord")), PathBuf::from);
        self.reachable(given)
    }

    /// The client beside it, likewise.
    pub(crate) fn client_binary(&self) -> PathBuf {
        self.reachable(PathBuf::from(env!("CARGO_BIN_EXE_visorctl")))
    }

    fn reachable(&self, given: PathBuf) -> PathBuf {
        if self.who.ids().is_none() {
            return given;
        }
        let copy = self.path(given.file_name().and_then(|name| name.to_str()).unwrap_or("program"));
        if !copy.exists() {
            // By another process: a descriptor of ours that is open for writing could be inherited by a fork of
            // another test, and then nobody may execute the file (ETXTBSY).
            let copied = Command::new("cp").args([&given, &copy]).status();
            assert!(copied.is_ok_and(|status| status.success()), "cp {}", given.display());
        }
        copy
    }

    /// A symbolic link in the directory, by whose name a program is called.
    pub(crate) fn linked(&self, program: &Path, name: &str) -> PathBuf {
        let link = self.path(name);
        if !link.exists() {
            std::os::unix::fs::symlink(program, &link).expect("a link");
        }
        link
    }

    /// A command that runs as the user, in the directory, with a small known environment.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = self.root_command(program);
        if let Some((uid, gid)) = self.who.ids() {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// The same without the switch of the user.
    pub(crate) fn root_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir()).env_clear().envs(self.environment());
        command
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let inherited = |name| std::env::var(name).unwrap_or_default();
        let mut environment = vec![
            ("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", inherited("PATH"))),
            ("HOME", self.dir().display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            // A `/run` and a `/tmp` of its own: the daemons of other tests come and go beside it.
            ("VISOR_TEST_ROOT", self.dir().display().to_string()),
            ("VISOR_TEST", self.mark.clone()),
            ("VISOR_TEST_RUN", inherited("VISOR_TEST_RUN")),
        ];
        // Where tests/run unpacked redis as an ordinary user.
        environment.extend(std::env::var("LD_LIBRARY_PATH").ok().map(|path| ("LD_LIBRARY_PATH", path)));
        environment
    }

    /// Everything that runs from here: it bears our mark, or works in our directory.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mark = format!("VISOR_TEST={}", self.mark);
        let dir = self.dir().display().to_string();
        let ours = |pid: i32| {
            proc::environment(pid).contains(&mark)
                || proc::directory(pid).is_some_and(|cwd| cwd.starts_with(&dir))
        };
        proc::all().into_iter().filter(|&pid| proc::alive(pid) && ours(pid)).collect()
    }

    /// Ends everything that runs from here. Stopped first, because keeper and reactor bring each other back.
    pub(crate) fn sweep(&self) {
        for _ in 0..SWEEP_ROUNDS {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            left.iter().for_each(|&pid| proc::signal(pid, Signal::SIGSTOP));
            left.iter().for_each(|&pid| proc::signal(pid, Signal::SIGKILL));
        }
        eprintln!("left over after the test: {:?}", self.processes());
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.sweep();
        // For whoever looks into a failure.
        if std::thread::panicking() && std::env::var_os("VISOR_TEST_KEEP").is_some() {
            self.dir.disable_cleanup(true);
            eprintln!("kept: {}", self.dir().display());
        }
    }
}
