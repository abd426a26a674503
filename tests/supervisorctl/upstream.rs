//! The real supervisord in a directory of its own, and both clients for it.

use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, Who, need, proc};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// What a client said, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code() }
    }
}

/// A supervisord that runs until the end of the test.
pub(crate) struct Upstream {
    pub(crate) sandbox: Sandbox,
    child: Child,
}

impl Upstream {
    /// Starts one with these sections; nothing when it is not installed. `server` is added to its unix server and to
    /// `[supervisorctl]`.
    pub(crate) fn start(name: &str, server: &str, sections: &str) -> Option<Upstream> {
        let supervisord = need::venv("supervisord")?;
        Some(Upstream::run_in(Sandbox::new(name, Who::Ordinary), supervisord, server, sections))
    }

    /// Starts our daemon in the place of the real one.
    pub(crate) fn replaced(name: &str, server: &str, sections: &str) -> Upstream {
        let sandbox = Sandbox::new(name, Who::Ordinary);
        let link = sandbox.linked(&sandbox.daemon_binary(), "supervisord");
        Upstream::run_in(sandbox, link, server, sections)
    }

    fn run_in(sandbox: Sandbox, supervisord: PathBuf, server: &str, sections: &str) -> Upstream {
        let text = format!(
            "[supervisord]\nlogfile=%(here)s/d.log\npidfile=%(here)s/d.pid\nchildlogdir=%(here)s\n\
             [unix_http_server]\nfile=%(here)s/s.sock\n{server}\n\
             [supervisorctl]\nserverurl=unix://%(here)s/s.sock\n{server}\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n{sections}\n"
        );
        sandbox.write("d.conf", text);
        let child = sandbox
            .command(supervisord)
            .args(["-n", "-c", "d.conf"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("supervisord starts");
        let upstream = Upstream { sandbox, child };
        upstream.wait_for("supervisord started with pid", 1);
        upstream
    }

    /// Waits until a text stands so many times in the activity log.
    pub(crate) fn wait_for(&self, text: &str, times: usize) {
        let count = || self.sandbox.read("d.log").matches(text).count();
        wait::until(LONG, text, || (count() >= times).then_some(()));
    }

    /// Waits until there is no socket any more.
    pub(crate) fn wait_gone(&self) {
        wait::until(LONG, "the end of the socket", || (!self.sandbox.path("s.sock").exists()).then_some(()));
    }

    /// The real client.
    pub(crate) fn theirs(&self) -> PathBuf {
        need::venv("supervisorctl").expect("it was there a moment ago")
    }

    /// Our client under its name.
    pub(crate) fn ours(&self) -> PathBuf {
        ours(&self.sandbox)
    }

    /// A client's command with the configuration of this daemon.
    pub(crate) fn command(&self, client: &PathBuf, words: &[&str]) -> Command {
        let mut command = self.sandbox.command(client);
        command.args(["-c", "d.conf"]).args(words).stdin(Stdio::null());
        command
    }

    /// Runs our client to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.command(&self.ours(), words).output().expect("supervisorctl runs").into()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        proc::signal(self.child.id().cast_signed(), Signal::SIGKILL);
        self.sandbox.sweep();
        let _ = self.child.wait();
    }
}

/// Our client under the name supervisorctl, where the user of the sandbox reaches it.
pub(crate) fn ours(sandbox: &Sandbox) -> PathBuf {
    called(sandbox, "supervisorctl")
}

/// visorctl under another name.
pub(crate) fn called(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.linked(&sandbox.client_binary(), name)
}
