//! When the keeper is lost: another one takes its place, and the programs go on.
//!
//! The programs are no children of ours then, and neither of the new keeper: it watches them by other means.

use super::REPLACE_WORD;
use super::reactor::Reactor;
use crate::core::Input;
use crate::keeper::protocol::{Report, Request, Streams};
use crate::model::{Level, Pid, RunId, Signal};
use crate::sys::{clock, fd, fdpass, process, signals, tree};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How soon after a keeper that was lost at once, or could not be started, the next one is tried.
const SEEK_AGAIN: Duration = Duration::from_secs(1);

impl Reactor {
    /// The connection to the keeper has ended: another one is started, at once unless this is a loop.
    pub(super) fn keeper_is_lost(&mut self) {
        let soonest = self.keeper_sought_at.map(|last| last.after(SEEK_AGAIN));
        self.keeper_wanted_at.get_or_insert(clock::now().max(soonest.unwrap_or_default()));
    }

    /// Starts a new keeper by posix_spawn (this process has threads) and gives it everything.
    pub(super) fn replace_keeper(&mut self) {
        (self.keeper_wanted_at, self.keeper_sought_at) = (None, Some(clock::now()));
        let lost = self.keeper;
        match start_keeper() {
            Ok((pid, socket)) => {
                (self.keeper, self.scattered) = (pid, true);
                self.link.replace(socket);
                let text = format!(
                    "the keeper (pid {lost}) was lost; pid {pid} took its place and the programs go on. Signals to \
                     the daemon go to pid {pid} from now on"
                );
                self.log(Level::Critical, &text);
            }
            Err(error) => {
                let text =
                    format!("the keeper (pid {lost}) was lost and cannot be replaced: {error}; trying again");
                self.log(Level::Critical, &text);
                self.keeper_is_lost();
                return;
            }
        }
        if let Err(error) = self.register() {
            self.log(Level::Critical, &format!("cannot listen to the new keeper: {error}"));
        }
        self.hand_back();
        if let Err(error) = super::pidfile::write(&self.settings.daemon.pidfile, self.keeper) {
            self.log(Level::Critical, &format!("cannot write the pid file: {error}"));
        }
    }

    /// The reverse of a hand-over: descriptors to hold, and runs to watch.
    fn hand_back(&mut self) {
        self.hold_everything();
        let runs: Vec<RunId> = self.runs.table.keys().copied().collect();
        let incomplete: Vec<RunId> = runs.into_iter().filter(|run| !self.give(*run)).collect();
        if !incomplete.is_empty() {
            let text = format!(
                "no descriptors are left to give the keeper the pipes of {} programs; trying again every second: raise \
                 the limit of open files",
                incomplete.len()
            );
            self.log(Level::Error, &text);
            self.give_again(incomplete);
        }
        self.link.send(Request::Ready, Vec::new());
        self.end_unanswered();
        // Before anything that waits: a spawn that is sent to the new keeper must not look like a lost one.
        self.inputs.push_front(Input::HandedOver);
    }

    /// Has the keeper hold what the next reactor needs: the state, the buffers, the control sockets.
    pub(super) fn hold_everything(&mut self) {
        self.hold_state();
        self.hold_buffers();
        let keeper = self.keeper.0;
        if let Some(sockets) = &mut self.sockets {
            sockets.hold_again(keeper);
        }
        self.pass_on_holds();
        self.hold_shared_sockets();
        self.hold_servers();
        self.hold_share();
    }

    /// Gives a run and its pipes to a keeper that is not its parent; returns whether all of them went along.
    pub(super) fn give(&mut self, run: RunId) -> bool {
        let Some(live) = self.runs.table.get(&run) else { return true };
        let Some(pid) = live.main.filter(|_| live.alive) else { return true };
        let mut complete = true;
        let mut fds: Vec<OwnedFd> = Vec::new();
        if let Some(stdin) = &live.stdin {
            fds.extend(stdin.try_clone().ok());
            complete = !fds.is_empty();
        }
        let mut streams = Streams(live.streams.0 & !(Streams::STDOUT | Streams::STDERR | Streams::STDIN));
        streams.0 |= if fds.is_empty() { 0 } else { Streams::STDIN };
        for (channel, bit) in
            [(super::runs::Channel::Stdout, Streams::STDOUT), (super::runs::Channel::Stderr, Streams::STDERR)]
        {
            let stream = channel.stream(run);
            match self.pump.duplicate(stream) {
                Some(fd) => {
                    fds.push(fd);
                    streams.0 |= bit;
                }
                None => complete &= !self.pump.has(stream),
            }
        }
        let adopt = Request::Adopt { run: run.0, pid: pid.0, streams, started_ticks: live.started_ticks };
        self.link.send(adopt, fds);
        complete
    }

    /// Gives runs once more, later, of which not every pipe went along.
    pub(super) fn give_again(&mut self, runs: Vec<RunId>) {
        self.fetches.given = runs;
        self.fetches.at.get_or_insert(clock::now().after(SEEK_AGAIN));
    }

    /// A child that the lost keeper may have made without telling us is ended: its pipes died with the keeper,
    /// and it is asked for once more.
    fn end_unanswered(&mut self) {
        let asked: Vec<RunId> =
            self.runs.table.iter().filter(|(_, live)| live.asked).map(|(run, _)| *run).collect();
        let tags: Vec<String> = asked.iter().map(|run| self.common.tag(*run)).collect();
        if tags.is_empty() {
            return;
        }
        for pid in tree::all() {
            if let Some(seen) = tree::entry(pid)
                && tree::tag(pid).is_some_and(|tag| tags.contains(&tag))
            {
                process::kill_checked(&seen, Signal::KILL);
            }
        }
    }
}

/// Starts this program anew as a keeper, with one end of a socket pair; returns the other end.
fn start_keeper() -> std::io::Result<(Pid, OwnedFd)> {
    let (ours, theirs) = fdpass::pair()?;
    fd::keep_across_exec(&theirs)?;
    let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    let words = super::user_words();
    // We ignore what the keeper catches, and it inherits that: a signal that comes before it has its handlers would be
    // lost, were it not blocked until then.
    let mask = signals::block_all()?;
    let child = Command::new(program)
        .arg0(words.first().map_or("visord", String::as_str))
        .arg(REPLACE_WORD)
        .arg(theirs.as_raw_fd().to_string())
        .arg(process::own_pid().to_string())
        .args(words.iter().skip(1))
        .stdin(Stdio::inherit())
        .spawn();
    signals::restore(&mask)?;
    Ok((Pid(child?.id() as i32), ours))
}

/// Reads the hand-over of the keeper up to its end; `None` when the keeper is lost meanwhile.
pub(super) fn take_hand_over(link: &mut super::link::Link) -> Option<HandOver> {
    let mut taken = HandOver::default();
    loop {
        let (report, fds) = link.wait()?;
        match report {
            Report::Held { key } => taken.held.extend(fds.into_iter().map(|fd| (key, fd))),
            Report::Window => link.send(Request::Taken, Vec::new()),
            Report::Begin { .. } => {
                taken.begin = Some(report);
                return Some(taken);
            }
            other => taken.reports.push((other, fds)),
        }
    }
}

/// What a keeper hands over to a new reactor.
#[derive(Default)]
pub(super) struct HandOver {
    /// Held descriptors by key.
    pub(super) held: Vec<(u64, OwnedFd)>,
    /// Runs and their ends.
    pub(super) reports: Vec<(Report, Vec<OwnedFd>)>,
    /// The last message.
    pub(super) begin: Option<Report>,
}
