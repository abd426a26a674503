//! A machine below a directory of the test: `/tmp`, `/run/user` and a home, for one user.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directories that a daemon sees.
pub(crate) struct Machine {
    dir: tempfile::TempDir,
    /// Whose machine it is.
    pub(crate) uid: u32,
}

impl Machine {
    /// Makes a machine of the user of the tests.
    pub(crate) fn new() -> Machine {
        Machine::of(nix::unistd::geteuid().as_raw())
    }

    /// Makes a machine of user `uid`; only root can make those of others.
    pub(crate) fn of(uid: u32) -> Machine {
        let dir =
            tempfile::Builder::new().prefix("visor-test-instance-").tempdir_in("/tmp").expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let machine = Machine { dir, uid };
        for (name, mode) in [("tmp", 0o1777), ("run", 0o755), ("run/user", 0o755), ("etc", 0o755)] {
            machine.mkdir(name, mode);
        }
        machine.own_dir("home");
        // By another process: a test that forks meanwhile would hold our copy open for writing.
        let program = std::env::current_exe().expect("a program");
        let copied = Command::new("cp").arg(program).arg(machine.program()).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp failed");
        machine
    }

    /// A path on the machine.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the root directory of the machine is.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// This test program, under the name by which daemons are known.
    pub(crate) fn program(&self) -> PathBuf {
        self.path("visord")
    }

    /// The home directory.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// `/tmp/visor-UID`.
    pub(crate) fn temp(&self) -> PathBuf {
        self.path("tmp").join(format!("visor-{}", self.uid))
    }

    /// `/run/user/UID`, which is made at a login.
    pub(crate) fn session(&self) -> PathBuf {
        PathBuf::from("run/user").join(self.uid.to_string())
    }

    /// Makes a directory of the user's, and returns it.
    pub(crate) fn own_dir(&self, name: impl AsRef<Path>) -> PathBuf {
        self.mkdir(&name, 0o700);
        let path = self.path(name);
        chown(&path, Some(self.uid), None).expect("chown");
        path
    }

    fn mkdir(&self, name: impl AsRef<Path>, mode: u32) {
        fs::create_dir(self.path(&name)).expect("a directory");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("chmod");
    }
}
