//! A daemon of either kind in a directory of its own, with the servers that supervisord's clients know.

use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, Who, need};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Which daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The daemon under test.
    Visord,
    /// The real supervisord.
    Supervisord,
}

/// What supervisorctl needs, and what every configuration here begins with.
const SECTIONS: &str = "[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://%(here)s/s.sock
";

/// A server that asks for nothing.
pub(super) const OPEN: &str = "[unix_http_server]\nfile=%(here)s/s.sock\n";

/// A running daemon.
pub(super) struct World {
    /// Where it works.
    pub(super) sandbox: Sandbox,
    child: Child,
}

impl World {
    /// Starts a daemon and waits until its socket is there; nothing where the counterpart is missing.
    pub(super) fn start(kind: Kind, name: &str, sections: &str) -> Option<World> {
        World::start_with(kind, name, sections, &[])
    }

    /// The same with further files, each a name and its text.
    pub(super) fn start_with(
        kind: Kind,
        name: &str,
        sections: &str,
        files: &[(&str, &str)],
    ) -> Option<World> {
        World::start_for(kind, Who::Ordinary, name, sections, files)
    }

    /// The same for a certain user.
    pub(super) fn start_for(
        kind: Kind,
        who: Who,
        name: &str,
        sections: &str,
        files: &[(&str, &str)],
    ) -> Option<World> {
        let sandbox = Sandbox::new(name, who);
        files.iter().for_each(|(name, text)| drop(sandbox.write(name, text)));
        let binary = match kind {
            Kind::Visord => sandbox.daemon_binary(),
            Kind::Supervisord => need::venv("supervisord")?,
        };
        sandbox.config("identifier=ident\nnodaemon=true\nsilent=true", &format!("{SECTIONS}{sections}"));
        let mut command = sandbox.command(binary);
        command.args(["-n", "-c", "visord.conf"]).stdin(Stdio::null());
        let world = World { child: command.spawn().expect("the daemon starts"), sandbox };
        wait::until(LONG, "the socket", || world.socket().exists().then_some(()));
        Some(world)
    }

    /// The socket of `[unix_http_server]`.
    pub(super) fn socket(&self) -> PathBuf {
        self.sandbox.path("s.sock")
    }

    /// The launched process.
    pub(super) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Runs a Python script of the tests with the counterparts at hand; nothing where they are missing.
    pub(super) fn python(&self, script: &str, arguments: &[&str]) -> Option<Output> {
        let mut command = self.sandbox.command(need::venv("python3")?);
        command.args(["-c", script]).args(arguments);
        Some(run(command))
    }

    /// Runs the real supervisorctl.
    pub(super) fn ctl(&self, words: &[&str]) -> Option<Output> {
        let mut command = self.sandbox.command(need::venv("supervisorctl")?);
        command.args(["-c", "visord.conf"]).args(words);
        Some(run(command))
    }

    /// Waits for the daemon's end.
    pub(super) fn wait_exit(&mut self) {
        let status =
            wait::until(LONG, "the end of the daemon", || self.child.try_wait().expect("our own child"));
        assert_eq!(status.code(), Some(0), "exit status of the daemon");
        assert!(!self.socket().exists(), "the socket is removed at the end");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.sandbox.sweep();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null()).env("PYTHONDONTWRITEBYTECODE", "1").output().expect("the counterpart runs")
}

/// What a run printed, which must have gone well.
pub(super) fn printed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}
