//! What is followed: logs as they come, and a process in the foreground.

use super::upstream::Upstream;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Stdio};

const PROGRAMS: &str = "
[program:echo]
command=/bin/cat
startsecs=0
[program:mixed]
command=/bin/cat
redirect_stderr=true
startsecs=0
";

fn daemon(name: &str) -> Option<Upstream> {
    let daemon = Upstream::start(name, "", PROGRAMS)?;
    daemon.wait_for("entered RUNNING state", 2);
    Some(daemon)
}

/// A client whose lines are read as they come.
struct Follower {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    fn start(daemon: &Upstream, words: &[&str]) -> Follower {
        let mut command = daemon.command(&daemon.ours(), words);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("a client");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Follower { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("UTF-8");
        line
    }

    fn type_in(&mut self, text: &str) {
        self.child.stdin.as_mut().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).expect("it runs");
    }

    /// Waits for the end; returns the rest of what it said, and its exit code.
    fn finish(mut self) -> (String, String, Option<i32>) {
        drop(self.child.stdin.take());
        let (mut out, mut err) = (String::new(), String::new());
        self.lines.read_to_string(&mut out).expect("UTF-8");
        self.child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("UTF-8");
        (out, err, self.child.wait().expect("it ends").code())
    }
}

const BANNER: &str = "==> Press Ctrl-C to exit <==\n";

#[test]
fn a_log_is_followed_until_ctrl_c_and_every_line_comes_at_once() {
    let Some(daemon) = daemon("sctl-tail") else { return };
    let mut follower = Follower::start(&daemon, &["tail", "-f", "echo"]);
    assert_eq!(follower.line(), BANNER);
    let mut foreground = Follower::start(&daemon, &["fg", "echo"]);
    foreground.type_in("eins …\n");
    assert_eq!(follower.line(), "eins …\n");
    foreground.type_in("zwei\n");
    assert_eq!(follower.line(), "zwei\n");
    follower.interrupt();
    let (out, err, code) = follower.finish();
    assert_eq!((out.as_str(), err.as_str(), code), ("\n", "", Some(0)));
    let mut main = Follower::start(&daemon, &["maintail", "-f"]);
    assert_eq!(main.line(), BANNER);
    assert!(!main.line().is_empty());
    main.interrupt();
    assert_eq!(main.finish().2, Some(0));
}

#[test]
fn a_process_in_the_foreground_hears_lines_and_does_not_notice_the_end() {
    let Some(daemon) = daemon("sctl-fg") else { return };
    let mut foreground = Follower::start(&daemon, &["fg", "mixed"]);
    assert_eq!(foreground.line(), BANNER);
    foreground.type_in("hallo\n");
    assert_eq!(foreground.line(), "hallo\n");
    foreground.interrupt();
    let (out, err, code) = foreground.finish();
    assert_eq!((out.as_str(), code), ("Exiting foreground\n", Some(0)));
    let url = format!("unix://{}/logtail/mixed/stderr", daemon.sandbox.text("s.sock"));
    assert_eq!(err, format!("{url} Cannot read, status code 404\n"));
    assert_eq!(daemon.run(&["status", "mixed"]).code, Some(0));

    let mut foreground = Follower::start(&daemon, &["fg", "echo"]);
    assert_eq!(foreground.line(), BANNER);
    assert_eq!(daemon.run(&["stop", "echo"]).out, "echo: stopped\n");
    foreground.type_in("anybody?\n");
    let (out, _, code) = foreground.finish();
    assert_eq!((out.as_str(), code), ("Process got killed\nExiting foreground\n", Some(0)));

    assert_eq!(daemon.run(&["start", "echo"]).out, "echo: started\n");
    let (out, _, code) = Follower::start(&daemon, &["fg", "echo"]).finish();
    assert!(out.starts_with(BANNER) && out.ends_with("Exiting foreground\n"), "{out:?}");
    assert_eq!(code, Some(0));
}

#[test]
fn the_end_of_the_daemon_ends_what_follows_it() {
    let Some(daemon) = daemon("sctl-end") else { return };
    let mut follower = Follower::start(&daemon, &["tail", "-f", "echo"]);
    assert_eq!(follower.line(), BANNER);
    assert_eq!(daemon.run(&["shutdown"]).out, "Shut down\n");
    assert_eq!(follower.finish().2, Some(0));
}
