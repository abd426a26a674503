//! A running daemon, in the foreground with its activity log on our side of a pipe, or in the background.

use super::wait::{self, LONG};
use super::{Sandbox, Who, need, proc};
use nix::sys::signal::Signal;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Lines of the activity log shown when a test fails.
const LINES_SHOWN: usize = 80;

/// The lines that a stream has brought so far, with the moment each came.
#[derive(Default)]
struct Lines {
    list: Mutex<Vec<(Instant, String)>>,
    more: Condvar,
    ended: AtomicBool,
}

impl Lines {
    fn collect(stream: impl Read + Send + 'static) -> Arc<Lines> {
        let lines = Arc::new(Lines::default());
        let sink = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut bytes = Vec::new();
            while stream.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
                sink.list
                    .lock()
                    .expect("no test panics while it holds the lines")
                    .push((Instant::now(), line));
                sink.more.notify_all();
                bytes.clear();
            }
            sink.ended.store(true, Ordering::Release);
        });
        lines
    }

    fn snapshot(&self) -> Vec<String> {
        self.list
            .lock()
            .expect("no test panics while it holds the lines")
            .iter()
            .map(|(_, line)| line.clone())
            .collect()
    }

    fn wait(&self, from: usize, limit: Duration, wanted: impl Fn(&str) -> bool) -> Option<usize> {
        let end = Instant::now() + limit;
        let mut list = self.list.lock().expect("no test panics while it holds the lines");
        let mut next = from;
        loop {
            if let Some(found) = (next..list.len()).find(|&index| wanted(&list[index].1)) {
                return Some(found);
            }
            next = next.max(list.len());
            let rest = end.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())?;
            list = self.more.wait_timeout(list, rest).expect("no test panics while it holds the lines").0;
        }
    }
}

/// How a daemon is to be started.
pub(crate) struct Setup {
    /// Where, and as whom.
    pub(crate) sandbox: Sandbox,
    main: String,
    wrapper: Vec<String>,
    launch_as_root: bool,
    env: Vec<(String, String)>,
}

impl Setup {
    /// A daemon of an ordinary user.
    pub(crate) fn new(name: &str) -> Setup {
        Setup::of(name, Who::Ordinary)
    }

    /// A daemon of the given user.
    pub(crate) fn of(name: &str, who: Who) -> Setup {
        Setup {
            sandbox: Sandbox::new(name, who),
            main: String::new(),
            wrapper: Vec::new(),
            launch_as_root: false,
            env: Vec::new(),
        }
    }

    /// Takes the place of a daemon that has ended.
    pub(crate) fn inside(mut self, sandbox: Sandbox) -> Setup {
        self.sandbox = sandbox;
        self
    }

    /// Adds lines to `[supervisord]`.
    pub(crate) fn main(mut self, lines: &str) -> Setup {
        self.main = format!("{}{lines}\n", self.main);
        self
    }

    /// Puts words in front of the command, such as `prlimit --nofile=64`.
    pub(crate) fn wrapped(mut self, words: &[&str]) -> Setup {
        self.wrapper = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// As `wrapped`, by root: the words themselves switch to the user of the sandbox.
    pub(crate) fn wrapped_by_root(mut self, words: &[&str]) -> Setup {
        self.launch_as_root = true;
        self.wrapped(words)
    }

    /// Adds a variable to the daemon's environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Setup {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file into the sandbox.
    pub(crate) fn file(self, name: &str, text: &str) -> Setup {
        self.sandbox.write(name, text);
        self
    }

    /// Starts `visord -n` with these sections after `[supervisord]`.
    pub(crate) fn start(self, sections: &str) -> Daemon {
        self.sandbox.config(&self.main, sections);
        self.start_with(&["-n", "-c", "visord.conf"])
    }

    /// Starts the daemon in the foreground with these arguments.
    pub(crate) fn start_with(self, arguments: &[&str]) -> Daemon {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let log = Lines::collect(child.stdout.take().expect("stdout is piped"));
        let errors = Lines::collect(child.stderr.take().expect("stderr is piped"));
        Daemon { child, sandbox: self.sandbox, log, errors, ended: None }
    }

    /// Runs the daemon's command to its end: for daemon mode and for errors.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("the daemon's command runs")
    }

    /// Starts the daemon in the background with these sections and follows it by its pidfile and log file.
    pub(crate) fn daemonize(self, sections: &str) -> Background {
        self.sandbox.config(&self.main, sections);
        let output = self.run(&["-c", "visord.conf"]);
        assert!(output.status.success(), "visord -c: {output:?}");
        let pidfile = || self.sandbox.read("visord.pid").trim().parse().ok();
        let pid = wait::until(LONG, "the pidfile", pidfile);
        Background { pid, sandbox: self.sandbox }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let binary = self.sandbox.daemon_binary().display().to_string();
        let words: Vec<&str> = self
            .wrapper
            .iter()
            .map(String::as_str)
            .chain([binary.as_str()])
            .chain(arguments.iter().copied())
            .collect();
        let mut command = if self.launch_as_root {
            self.sandbox.root_command(words[0])
        } else {
            self.sandbox.command(words[0])
        };
        command.args(&words[1..]).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A daemon in the foreground.
pub(crate) struct Daemon {
    child: Child,
    /// Where it works.
    pub(crate) sandbox: Sandbox,
    log: Arc<Lines>,
    errors: Arc<Lines>,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Starts a daemon of an ordinary user with these sections.
    pub(crate) fn start(name: &str, sections: &str) -> Daemon {
        Setup::new(name).start(sections)
    }

    /// The launched process, which is the keeper.
    pub(crate) fn keeper(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The reactor: the keeper's child that runs the same binary.
    pub(crate) fn reactor(&self) -> i32 {
        wait::until(LONG, "a reactor", || reactor_of(self.keeper()))
    }

    /// Waits for a reactor other than `old`.
    pub(crate) fn next_reactor(&self, old: i32) -> i32 {
        wait::until(LONG, "a new reactor", || reactor_of(self.keeper()).filter(|&pid| pid != old))
    }

    /// Waits for a line with this text anywhere in the activity log; returns its index.
    pub(crate) fn wait_for(&self, text: &str) -> usize {
        self.wait_after(0, text)
    }

    /// Waits for a line with this text at or after an index; returns its index.
    pub(crate) fn wait_after(&self, from: usize, text: &str) -> usize {
        self.wait_long(from, LONG, text)
    }

    /// As `wait_after`, for what takes longer.
    pub(crate) fn wait_long(&self, from: usize, limit: Duration, text: &str) -> usize {
        self.log
            .wait(from, limit, |line| line.contains(text))
            .unwrap_or_else(|| panic!("waited {limit:?} in vain for a line with: {text}"))
    }

    /// Waits until a process runs its program, and returns its pid.
    pub(crate) fn wait_running(&self, name: &str) -> i32 {
        self.wait_for(&format!("success: {name} entered RUNNING state"));
        let pid = self.pid_of(name);
        // With startsecs=0 it may be called RUNNING between fork and exec; within the exec it has no command line.
        let daemon = proc::exe(self.keeper());
        let is_itself = || proc::exe(pid) != daemon && !proc::command_line(pid).is_empty();
        wait::until(LONG, "the exec", || (!proc::alive(pid) || is_itself()).then_some(pid))
    }

    /// The index that the next line will have.
    pub(crate) fn mark(&self) -> usize {
        self.log.snapshot().len()
    }

    /// When a line came.
    pub(crate) fn came(&self, index: usize) -> Instant {
        self.log.list.lock().expect("no test panics while it holds the lines")[index].0
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log.snapshot()
    }

    /// The lines on stderr so far.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.errors.snapshot()
    }

    /// How many lines have this text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(text)).count()
    }

    /// The pid with which a process was spawned last.
    pub(crate) fn pid_of(&self, name: &str) -> i32 {
        self.wait_for(&format!("spawned: '{name}' with pid"));
        last_pid(&self.lines(), name).expect("the line that was waited for")
    }

    /// How many lines of the log file have this text: whole also where the echo was dropped, as when thousands of
    /// lines come at once and we do not read as fast.
    pub(crate) fn count_logged(&self, text: &str) -> usize {
        self.sandbox.read("visord.log").lines().filter(|line| line.contains(text)).count()
    }

    /// Sends a signal to the launched process.
    pub(crate) fn signal(&self, signal: Signal) {
        proc::signal(self.keeper(), signal);
    }

    /// Waits for the end of the daemon, and of what it had to say.
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let status = self.wait_launched(limit);
        let read_to_the_end = || self.log.ended.load(Ordering::Acquire).then_some(());
        wait::until(LONG, "the end of the activity log", read_to_the_end);
        status
    }

    /// Waits for the end of the launched process alone.
    pub(crate) fn wait_launched(&mut self, limit: Duration) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        let ended = || self.child.try_wait().expect("our own child");
        let status = wait::until(limit, "the end of the daemon", ended);
        self.ended = Some(status);
        status
    }

    /// Stops the daemon with SIGTERM, which must end it with 0 and leave no process behind. Returns the log.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        let status = self.wait_exit(LONG);
        assert_eq!(status.code(), Some(0), "exit status of the daemon");
        let left = self.sandbox.processes();
        assert!(
            left.is_empty(),
            "left behind: {:?}",
            left.iter().map(|&pid| proc::command_line(pid)).collect::<Vec<_>>()
        );
        self.lines()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.lines();
            let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!(
                "--- the end of the activity log:\n{}\n--- stderr:\n{}",
                shown.join("\n"),
                self.errors().join("\n")
            );
        }
        if self.ended.is_none() {
            proc::signal(self.keeper(), Signal::SIGSTOP);
            self.sandbox.sweep();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A daemon in the background.
pub(crate) struct Background {
    /// What the pidfile says.
    pub(crate) pid: i32,
    /// Where it works.
    pub(crate) sandbox: Sandbox,
}

impl Background {
    /// The activity log so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.sandbox.read("visord.log").lines().map(str::to_owned).collect()
    }

    /// Waits for a line with this text at or after an index.
    pub(crate) fn wait_after(&self, from: usize, text: &str) -> String {
        let find = || self.lines().into_iter().skip(from).find(|line| line.contains(text));
        wait::until(LONG, &format!("a line with: {text}"), find)
    }

    /// Waits for a line with this text.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_after(0, text)
    }

    /// The pid with which a process was spawned last.
    pub(crate) fn pid_of(&self, name: &str) -> i32 {
        last_pid(&self.lines(), name).unwrap_or_else(|| panic!("{name} was never spawned"))
    }

    /// Waits until the daemon and everything it started is gone.
    pub(crate) fn wait_gone(&self) {
        wait::until(LONG, "the end of the daemon", || (!proc::alive(self.pid)).then_some(()));
        let left = self.sandbox.processes();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// The keeper's child that runs the keeper's binary: the reactor.
pub(crate) fn reactor_of(keeper: i32) -> Option<i32> {
    let binary = proc::exe(keeper)?;
    let twin = |&pid: &i32| proc::alive(pid) && proc::exe(pid).as_deref() == Some(&binary);
    proc::children(keeper).into_iter().find(twin)
}

fn last_pid(lines: &[String], name: &str) -> Option<i32> {
    let spawned = format!("spawned: '{name}' with pid ");
    lines.iter().rev().find_map(|line| line.split(&spawned).nth(1)?.trim().parse().ok())
}

/// Returns false, after saying so, when `VISOR_BIN` is the real supervisord and the behaviour is only ours.
pub(crate) fn ours(what: &str) -> bool {
    let reference = std::env::var("VISOR_BIN").is_ok_and(|binary| binary.ends_with("supervisord"));
    !reference || need::not_run(&format!("visord ({what})"))
}
