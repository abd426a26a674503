//! A machine of its own for each test: directories, environment, and visorctl started in it.

use super::server::Server;
use super::world::World;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory that stands for `/`, a home and a runtime directory in it, and perhaps a daemon.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    server: Option<Server>,
}

/// What a command said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Bench {
    /// A machine without a daemon.
    pub(crate) fn empty() -> Bench {
        let dir = tempfile::Builder::new().prefix("visorctl-").tempdir().expect("a directory");
        for folder in ["run", "home", "tmp"] {
            fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        fs::set_permissions(dir.path().join("run"), Permissions::from_mode(0o700)).expect("chmod");
        Bench { dir, server: None }
    }

    /// A machine with a daemon.
    pub(crate) fn with(world: World) -> Bench {
        Bench::empty().serving(world)
    }

    /// The same machine with a daemon.
    pub(crate) fn serving(mut self, world: World) -> Bench {
        self.server = Some(Server::start(&self.socket(), world));
        self
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir().join("run/default.sock")
    }

    /// What was asked of the daemon so far: `POST /v1/start {...}`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.server.as_ref().map(Server::asked).unwrap_or_default()
    }

    /// The command, not yet started.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_visorctl")), words)
    }

    /// A program in this machine's environment.
    pub(crate) fn program(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("SHELL", "/bin/sh")
            .env("TZ", "UTC")
            .env("HOME", self.dir().join("home"))
            .env("VISOR_RUNTIME_DIR", self.dir().join("run"))
            .env("VISOR_TEST_ROOT", self.dir())
            .env("VISOR_NO_SPAWN", "1")
            .current_dir(self.dir())
            .stdin(Stdio::null());
        command
    }

    /// Runs visorctl to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        said(&mut self.command(words))
    }

    /// A text with the paths of this machine taken out.
    pub(crate) fn masked(&self, text: &str) -> String {
        text.replace(&self.dir().display().to_string(), "/MACHINE")
    }
}

/// Runs a command to its end.
pub(crate) fn said(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().expect("visorctl runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { out: text(stdout), err: text(stderr), code: status.code().expect("no signal") }
}
