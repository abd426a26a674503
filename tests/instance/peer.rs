//! Another process that claims to be the daemon, or knocks at its socket.

use super::machine::Machine;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use visor::daemon::instance::{Outcome, Who, claim};
use visor::daemon::sockets::Sockets;
use visor::sys::ambient::Ambient;
use visor::sys::{clock, listen};

/// Says what the process is to do.
const ROLE: &str = "VISOR_TEST_ROLE";

/// Stands before what the process has to say; the test runner talks as well.
const SAYS: &str = "peer:";

/// Longest that a process takes to say something.
const PATIENCE_MS: u16 = 20_000;

/// How a process is run.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// Words before the program, such as `unshare --mount`.
    pub(crate) wrapper: Vec<OsString>,
    /// The environment, all of it.
    pub(crate) variables: Vec<(String, PathBuf)>,
    /// The user to become; root only.
    pub(crate) uid: Option<u32>,
}

impl Setup {
    /// A process of the machine's user, as after a login without a session.
    pub(crate) fn of(machine: &Machine) -> Setup {
        let mut setup =
            Setup::default().with("VISOR_TEST_ROOT", machine.root()).with("HOME", &machine.home());
        setup.uid = (machine.uid != nix::unistd::geteuid().as_raw()).then_some(machine.uid);
        setup
    }

    /// The same with one more variable, or another value of it.
    pub(crate) fn with(mut self, name: &str, value: &Path) -> Setup {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What a process that claimed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is the daemon, with these sockets.
    Started(Vec<PathBuf>),
    /// There is one, with this pid and this socket.
    Running(i32, Option<PathBuf>),
    /// What came of knocking.
    Knocked(String),
}

/// A process.
pub(crate) struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Peer {
    /// Runs a process that claims to be the daemon.
    pub(crate) fn claim(machine: &Machine, setup: &Setup) -> Peer {
        Peer::run(machine, setup, "claim")
    }

    /// Runs a process that connects to a socket.
    pub(crate) fn knock(machine: &Machine, setup: &Setup, socket: &Path) -> String {
        let mut peer = Peer::run(machine, setup, &format!("knock {}", socket.display()));
        match peer.said() {
            Said::Knocked(how) => how,
            other => panic!("{other:?}"),
        }
    }

    fn run(machine: &Machine, setup: &Setup, role: &str) -> Peer {
        let mut words = setup.wrapper.clone();
        words.push(machine.program().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["peer::the_other_process", "--exact", "--nocapture"]);
        command.env_clear().envs(setup.variables.iter().map(|(name, value)| (name, value))).env(ROLE, role);
        command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        if let Some(uid) = setup.uid {
            command.uid(uid).gid(uid);
        }
        let mut child = command.spawn().expect("a process");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Peer { child, stdin, stdout }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Waits for what it has to say.
    pub(crate) fn said(&mut self) -> Said {
        loop {
            let mut fds = [PollFd::new(self.stdout.get_ref().as_fd(), PollFlags::POLLIN)];
            let is_there = !self.stdout.buffer().is_empty()
                || poll(&mut fds, PollTimeout::from(PATIENCE_MS)).is_ok_and(|count| count > 0);
            assert!(is_there, "process {} says nothing", self.child.id());
            let mut line = String::new();
            let count = self.stdout.read_line(&mut line).expect("a line");
            assert!(count > 0, "process {} ended: {:?}", self.child.id(), self.child.wait());
            if let Some((_, words)) = line.trim_end().split_once(SAYS) {
                return parse(words);
            }
        }
    }

    /// What it says when it is the daemon.
    pub(crate) fn sockets(&mut self) -> Vec<PathBuf> {
        match self.said() {
            Said::Started(sockets) => sockets,
            other => panic!("not started: {other:?}"),
        }
    }

    /// Lets it end in order, and waits for that.
    pub(crate) fn end(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().expect("wait").success());
    }

    /// Kills it.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(words: &str) -> Said {
    let mut words = words.split_whitespace();
    let word = words.next().unwrap_or_default();
    match word {
        "started" => Said::Started(words.map(PathBuf::from).collect()),
        "running" => {
            let pid = words.next().and_then(|pid| pid.parse().ok()).unwrap_or(-1);
            Said::Running(pid, words.next().map(PathBuf::from))
        }
        _ => Said::Knocked(words.collect::<Vec<_>>().join(" ")),
    }
}

/// The other process; without a role it only looks at how words are understood.
#[test]
fn the_other_process() {
    let Ok(role) = std::env::var(ROLE) else {
        assert_eq!(parse("started /a /b"), Said::Started(vec!["/a".into(), "/b".into()]));
        assert_eq!(parse("running 7"), Said::Running(7, None));
        return;
    };
    if let Some(socket) = role.strip_prefix("knock ") {
        let how = match listen::connect_path(Path::new(socket), std::time::Duration::from_secs(5)) {
            Ok(_) => "connected".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        println!("\n{SAYS}knocked {how}");
        return;
    }
    let pid = i32::try_from(std::process::id()).expect("a pid");
    let who = Who::xdg(Ambient::real(), pid).expect("a home");
    let sockets = match claim(&who) {
        Outcome::Start(claim) => {
            let (sockets, _) = Sockets::bind(*claim, Arc::new(|| {}), clock::now());
            let paths: Vec<String> = sockets.paths().iter().map(|path| path.display().to_string()).collect();
            println!("\n{SAYS}started {}", paths.join(" "));
            Some(sockets)
        }
        Outcome::AlreadyRunning(other) => {
            let socket = other.socket.map(|path| path.display().to_string()).unwrap_or_default();
            println!("\n{SAYS}running {} {socket}", other.pid);
            None
        }
    };
    // Until the test lets go.
    let _ = std::io::stdin().read(&mut [0]);
    if let Some(sockets) = sockets {
        sockets.close();
    }
}
