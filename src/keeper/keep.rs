//! The keeper's loop: one poll, and one arm per effect of the table.

use super::launch::{CAUGHT, Start};
use super::protocol::{MESSAGE_SIZE_BYTES, Request, Streams, Whom};
use super::respawn::Respawn;
use super::table::{Effect, Table, With};
use super::wire::Inbox;
use crate::model::{ExitStatus, Pid, Signal, Time};
use crate::sys::process::{self, Alone, Forked, Limited};
use crate::sys::signals::{self, SignalPipe};
use crate::sys::spawn::{self, ChildStreams, NOTE_SIZE_BYTES};
use crate::sys::watch::Exits;
use crate::sys::{clock, fd, fdpass, identity, memory, pipe, tree};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// A third TERM that the reactor leaves unanswered for this long gets the reactor replaced.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many TERMs are a demand, not a request.
const TERMS_MAX: u32 = 3;
/// Deaths before the daemon was ever up after which it is given up.
const STILLBORN_MAX: u64 = 5;
/// Above this many runs their output pipes are small: a user's pipe pages are limited (pipe(7)).
const RUNS_WITH_BIG_PIPES_MAX: usize = 400;
/// Size of an output pipe above that number, in bytes.
const SMALL_PIPE_BYTES: usize = 16 * 1024;
/// Size of a stdin pipe, in bytes: a page, because most programs are never written to.
const STDIN_PIPE_BYTES: usize = 4096;
/// How long a reactor that has said its last word may take to go: its threads may stand before a frozen disk.
const LAST_WORD_TO_END: Duration = Duration::from_secs(1);
/// How often processes are asked for that are not our children and cannot be waited for.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Exit code when the reactor never came up.
const EXIT_STILLBORN: i32 = 1;

/// How a keeper ended.
pub(super) enum Outcome {
    /// With this exit code.
    Exit(i32),
    /// It was launched in the foreground, and the configuration wants a daemon.
    Daemonize,
}

/// The reactor of the moment.
struct Reactor {
    pid: Pid,
    socket: OwnedFd,
    inbox: Inbox,
    /// Part of a report that the socket had no room for.
    unsent: Option<([u8; MESSAGE_SIZE_BYTES], usize)>,
    /// Whether it has closed its end, and until when it may take to go.
    hung_up: bool,
    gone_by: Option<Time>,
}

impl Reactor {
    fn new(pid: Pid, socket: OwnedFd) -> Reactor {
        Reactor { pid, socket, inbox: Inbox::default(), unsent: None, hung_up: false, gone_by: None }
    }
}

/// The descriptors of a run, in the order stdin, stdout, stderr, those that are pipes of ours.
type RunFds = Vec<OwnedFd>;

pub(super) struct Keeper {
    start: fn(Start) -> i32,
    alone: Alone,
    table: Table,
    fds: BTreeMap<u64, RunFds>,
    held: BTreeMap<u64, OwnedFd>,
    reactor: Option<Reactor>,
    signals: SignalPipe,
    notes: (OwnedFd, OwnedFd),
    /// For streams that nobody wants.
    null: OwnedFd,
    /// Processes that are not our children: a lost keeper's.
    watched: Exits,
    respawn: Respawn,
    respawn_at: Option<Time>,
    /// Told when the daemon is up, where a launcher waits.
    ready: Option<OwnedFd>,
    daemonized: bool,
    was_ready: bool,
    /// Whether it takes a lost one's place: everything it knows comes from the reactor, up to `Ready`.
    replaces: bool,
    /// Set by the reactor: what to do when it has gone.
    outcome: Option<Outcome>,
    terms: u32,
    impatient_at: Option<Time>,
    ending: bool,
}

impl Keeper {
    /// Makes this process a keeper; `ready` leads to a launcher that waits.
    pub(super) fn new(start: fn(Start) -> i32, ready: Option<OwnedFd>) -> io::Result<Keeper> {
        fd::fill_standard_streams()?;
        if ready.is_none() {
            fd::close_inherited_on_exec();
        }
        let mut keeper = Keeper::prepare(start)?;
        (keeper.daemonized, keeper.ready) = (ready.is_some(), ready);
        keeper.start_reactor()?;
        Ok(keeper)
    }

    /// Makes this process a keeper in the place of a lost one.
    pub(super) fn replacing(start: fn(Start) -> i32, socket: OwnedFd, pid: Pid) -> io::Result<Keeper> {
        // It was started by a link in /proc, and would bear that link's name.
        process::set_name(c"visord");
        let mut keeper = Keeper::prepare(start)?;
        // The reactor blocked them: what came before there was a handler comes now.
        signals::unblock_all();
        keeper.watched.add(u64::MAX, pid, 0);
        keeper.reactor = Some(Reactor::new(pid, socket));
        (keeper.replaces, keeper.daemonized) = (true, true);
        Ok(keeper)
    }

    fn prepare(start: fn(Start) -> i32) -> io::Result<Keeper> {
        signals::reset_dispositions();
        signals::ignore(&[Signal::PIPE])?;
        process::adopt_orphans();
        let notes = fd::pipe()?;
        fd::set_nonblocking(&notes.0, true)?;
        Ok(Keeper {
            start,
            alone: Alone::claim()?,
            table: Table::default(),
            fds: BTreeMap::new(),
            held: BTreeMap::new(),
            reactor: None,
            signals: SignalPipe::catch(&CAUGHT)?,
            notes,
            null: File::options().read(true).write(true).open("/dev/null")?.into(),
            watched: Exits::default(),
            respawn: Respawn::default(),
            respawn_at: None,
            ready: None,
            daemonized: false,
            was_ready: false,
            replaces: false,
            outcome: None,
            terms: 0,
            impatient_at: None,
            ending: false,
        })
    }

    /// Runs until the reactor said how it ends.
    pub(super) fn run(mut self) -> Outcome {
        loop {
            self.flush();
            self.wait();
            self.take_signals();
            self.receive();
            // Also of a child that is stopped between its note and its end, or the note would wake us for ever.
            self.take_notes();
            self.reap();
            self.take_deadlines();
            if self.reactor.is_none()
                && let Some(outcome) = self.outcome.take()
            {
                if let Outcome::Exit(code) = outcome {
                    self.tell_launcher(code as u8);
                }
                return outcome;
            }
        }
    }

    /// Sleeps until something happens, or the next deadline; there is none while all is well.
    fn wait(&mut self) {
        let ask_at = self.watched.must_ask().then(|| clock::now().after(ASK_EVERY));
        let gone_by = self.reactor.as_ref().and_then(|reactor| reactor.gone_by);
        let ended_by = self.watched.next_deadline();
        let due = [self.respawn_at, self.impatient_at, ask_at, gone_by, ended_by].into_iter().flatten().min();
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            let rest = due.since(clock::now()) + Duration::from_millis(1);
            PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.notes.0.as_fd(), PollFlags::POLLIN),
        ];
        // A closed connection is ready for ever.
        if let Some(reactor) = self.reactor.as_ref().filter(|reactor| !reactor.hung_up) {
            let full = reactor.unsent.is_some() || self.table.has_reports();
            let out = if full { PollFlags::POLLOUT } else { PollFlags::empty() };
            fds.push(PollFd::new(reactor.socket.as_fd(), PollFlags::POLLIN | out));
        }
        let own = fds.len();
        fds.extend(self.watched.poll_fds());
        // An error is EINTR, or memory that is short: both are over at the next turn.
        let woken = poll(&mut fds, timeout).is_ok_and(|count| count > 0);
        let is_ready = |fd: &PollFd<'_>| woken && fd.any().unwrap_or(true);
        let ready: Vec<bool> = fds[own..].iter().map(is_ready).collect();
        drop(fds);
        self.watched.note(&ready);
    }

    fn take_signals(&mut self) {
        let mut came = Vec::new();
        self.signals.drain(|signal| came.push(signal));
        for signal in came.into_iter().filter(|signal| *signal != Signal::CHLD) {
            self.table.signal(signal);
            if signal == Signal::TERM {
                self.terms += 1;
                // Who asks for the end does not wait out the pause between two reactors that died.
                self.respawn_at = self.respawn_at.map(|_| clock::now());
                if self.terms >= TERMS_MAX && self.impatient_at.is_none() {
                    self.impatient_at = Some(clock::now().after(PATIENCE));
                }
            }
        }
    }

    fn take_deadlines(&mut self) {
        let now = clock::now();
        if self.impatient_at.is_some_and(|due| due <= now) {
            (self.impatient_at, self.ending, self.terms) = (None, true, 0);
            if let Some(reactor) = &self.reactor {
                let _ = process::kill(reactor.pid, Signal::KILL);
            }
        }
        if let Some(reactor) = &mut self.reactor
            && reactor.gone_by.is_some_and(|due| due <= now)
        {
            reactor.gone_by = None;
            let _ = process::kill(reactor.pid, Signal::KILL);
            if self.outcome.is_some() {
                self.reactor = None;
            }
        }
        if self.respawn_at.is_some_and(|due| due <= now) {
            self.respawn_at = None;
            if self.start_reactor().is_err() {
                // No room for a process: as patient as with a reactor that dies at once.
                self.respawn_at = Some(self.respawn.died(now).max(now.after_secs(1)));
            }
        }
    }

    /// Forks a reactor and begins the hand-over.
    fn start_reactor(&mut self) -> io::Result<()> {
        let (ours, theirs) = fdpass::pair()?;
        let keeper_pid = process::own_pid();
        match self.alone.fork()? {
            Forked::Child => {
                drop(ours);
                let code = self.become_reactor(Start { keeper: theirs, keeper_pid });
                std::process::exit(code)
            }
            Forked::Parent(pid) => {
                self.reactor = Some(Reactor::new(pid, ours));
                self.table.hand_over(self.respawn.deaths, self.daemonized, self.ending);
                Ok(())
            }
        }
    }

    /// In the child: lets go of everything that is the keeper's, and runs the reactor.
    fn become_reactor(&mut self, start: Start) -> i32 {
        self.fds.clear();
        self.held.clear();
        (self.reactor, self.ready) = (None, None);
        self.watched = Exits::default();
        self.table = Table::default();
        process::new_session();
        process::set_name(c"visord-reactor");
        // Signals reach the daemon through the keeper alone, so that none is taken twice; and the keeper's handler
        // would write into whatever has its pipe's number here.
        let _ = signals::ignore(&CAUGHT);
        (self.start)(start)
    }

    /// Sends what the socket has room for.
    fn flush(&mut self) {
        let Some(reactor) = &mut self.reactor else { return };
        loop {
            if let Some((wire, done)) = &mut reactor.unsent {
                match fdpass::send(&reactor.socket, &wire[*done..], &[]) {
                    Ok(count) if *done + count == wire.len() => reactor.unsent = None,
                    Ok(count) => *done += count,
                    Err(_) => return,
                }
                continue;
            }
            let Some((report, with)) = self.table.next_report() else { return };
            let fds: Vec<RawFd> = match with {
                With::Nothing => Vec::new(),
                With::Run(run) => self
                    .fds
                    .get(&run)
                    .map_or_else(Vec::new, |fds| fds.iter().map(AsRawFd::as_raw_fd).collect()),
                With::Held(key) => self.held.get(&key).map(AsRawFd::as_raw_fd).into_iter().collect(),
            };
            let wire = report.encode();
            match fdpass::send(&reactor.socket, &wire, &fds) {
                Ok(count) => {
                    self.table.sent();
                    if count < wire.len() {
                        reactor.unsent = Some((wire, count));
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Takes in everything the reactor sent.
    fn receive(&mut self) {
        let Some(reactor) = &mut self.reactor else { return };
        let mut requests = Vec::new();
        let ended = loop {
            match reactor.inbox.receive(&reactor.socket) {
                Ok(Some((wire, fds))) => {
                    requests.extend(Request::decode(&wire).map(|request| (request, fds)))
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if !requests.is_empty() {
            (self.terms, self.impatient_at) = (0, None);
        }
        for (request, fds) in requests {
            self.carry_out(request, fds);
        }
        if ended {
            self.hung_up();
        }
    }

    /// The reactor's end is closed: a child of ours is about to be reaped, and another's is not waited for.
    fn hung_up(&mut self) {
        if !self.is_own_child() {
            return self.reactor_ended();
        }
        if let Some(reactor) = self.reactor.as_mut().filter(|reactor| !reactor.hung_up) {
            (reactor.hung_up, reactor.gone_by) = (true, Some(clock::now().after(LAST_WORD_TO_END)));
        }
    }

    fn is_own_child(&self) -> bool {
        self.reactor.as_ref().is_some_and(|reactor| !self.watched.has(reactor.pid))
    }

    fn carry_out(&mut self, request: Request, mut fds: Vec<OwnedFd>) {
        let Some(effect) = self.table.request(request) else { return };
        match effect {
            Effect::Spawn { run, streams, held } => self.spawn(run, streams, held, fds.pop()),
            Effect::Kill { run, pid, signal, whom } => self.kill(run, Pid(pid), signal, whom),
            Effect::Close { run } => drop(self.fds.remove(&run)),
            Effect::Hold { key } => {
                match fds.pop() {
                    Some(fd) => drop(self.held.insert(key, fd)),
                    // The kernel drops descriptors on their way to a process that has no room for them.
                    None => self.table.not_held(key, self.held.contains_key(&key)),
                }
            }
            Effect::Drop { key } => drop(self.held.remove(&key)),
            Effect::Watch { run, pid, started_ticks } => {
                self.fds.insert(run, fds);
                let pid = Pid(pid);
                if !self.watched.has(pid) && !self.watched.add(run, pid, started_ticks) {
                    self.table.ended(pid.0, ExitStatus::Unknown, clock::now().0);
                }
            }
            Effect::Own(request) => self.own(request, fds.pop()),
        }
    }

    /// Requests about the keeper itself. What fails here fails in the reactor as well, which tells the user.
    fn own(&mut self, request: Request, fd: Option<OwnedFd>) {
        match request {
            Request::Limit { resource, soft, hard } => {
                let limited = if resource == 0 { Limited::Files } else { Limited::Processes };
                let _ = limited.set(soft, hard);
            }
            Request::Umask { mask } => {
                nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask as libc::mode_t));
            }
            Request::Chdir => drop(fd.map(nix::unistd::fchdir)),
            Request::Become { uid, gid } => {
                let groups = fd.map_or_else(Vec::new, |fd| read_groups(&File::from(fd)));
                let _ = identity::become_user(uid as u32, gid as u32, &groups);
            }
            Request::Ready => {
                self.was_ready = true;
                if self.daemonized && self.ready.is_some() {
                    let _ = fd::detach_standard_streams();
                }
                self.tell_launcher(0);
            }
            Request::Calm => memory::trim(),
            Request::Daemonize => self.outcome = Some(Outcome::Daemonize),
            Request::Exit { code } => self.outcome = Some(Outcome::Exit(code as i32)),
            _ => {}
        }
    }

    fn tell_launcher(&mut self, code: u8) {
        if let Some(ready) = self.ready.take() {
            let _ = File::from(ready).write_all(&[code]);
        }
    }

    fn kill(&mut self, run: u64, pid: Pid, signal: Signal, whom: Whom) {
        // A child of ours is not reaped, so that its number means it; another's is checked.
        let kill = || self.watched.signal(pid, signal).unwrap_or_else(|| process::kill(pid, signal));
        if self.watched.has(pid) && !self.watched.is_alive(pid) {
            return;
        }
        let result = match whom {
            Whom::Main => kill(),
            // A child that left its group is still stopped: by its own number.
            Whom::Group => process::kill_group(pid, signal).or_else(|_| kill()),
        };
        match result.map_err(|error| error.raw_os_error()) {
            Ok(()) | Err(Some(libc::ESRCH)) => {}
            Err(errno) => self.table.refused(run, errno.unwrap_or(0)),
        }
    }

    fn spawn(&mut self, run: u64, streams: Streams, held: u64, image: Option<OwnedFd>) {
        let result = match image {
            Some(image) => self.try_spawn(run, streams, held, &image),
            // The kernel drops descriptors on their way to a process that has no room for them.
            None => Err((io::Error::from_raw_os_error(libc::EMFILE), true)),
        };
        match result {
            Ok((pid, started_ticks, fds)) => {
                self.fds.insert(run, fds);
                self.table.spawned(run, pid.0, streams, started_ticks);
            }
            Err((error, pipe)) => self.table.spawn_failed(run, error.raw_os_error().unwrap_or(0), pipe),
        }
    }

    fn try_spawn(
        &mut self,
        run: u64,
        streams: Streams,
        held: u64,
        image: &OwnedFd,
    ) -> Result<(Pid, u64, RunFds), (io::Error, bool)> {
        if held != 0 && !self.held.contains_key(&held) {
            // It was dropped on its way to us. Without it the program would read from nothing.
            return Err((io::Error::from_raw_os_error(libc::EBADF), true));
        }
        let small = self.table.len() >= RUNS_WITH_BIG_PIPES_MAX;
        let ends = Ends::make(streams, small).map_err(|error| (error, true))?;
        let child = ends.child_streams(self.held.get(&held), self.null.as_fd());
        let mask = signals::block_all().map_err(|error| (error, false))?;
        let keeper = process::own_pid();
        let forked = self.alone.fork();
        if let Ok(Forked::Child) = forked {
            spawn::enter(run, keeper, image.as_fd(), &child, self.notes.1.as_fd());
        }
        signals::restore(&mask).map_err(|error| (error, false))?;
        match forked {
            Ok(Forked::Parent(pid)) => {
                // It is not reaped yet, so that nobody else has its number.
                let started_ticks = tree::entry(pid).map_or(0, |entry| entry.started_ticks);
                Ok((pid, started_ticks, ends.kept))
            }
            Ok(Forked::Child) => Err((io::Error::from_raw_os_error(libc::EINVAL), false)),
            Err(error) => Err((error, false)),
        }
    }

    /// Reaps everything that has ended; notes of failed children are read first, so that they precede the end.
    fn reap(&mut self) {
        while let Some((pid, status)) = process::reap() {
            self.take_notes();
            if self.reactor.as_ref().is_some_and(|reactor| reactor.pid == pid) {
                self.receive();
                self.reactor_ended();
            } else {
                self.table.ended(pid.0, status, clock::now().0);
            }
        }
        for (run, pid, status) in self.watched.ended(clock::now()) {
            if run != u64::MAX {
                self.table.ended(pid.0, status, clock::now().0);
            } else if self.reactor.as_ref().is_some_and(|reactor| reactor.pid == pid) {
                // Not so once its closed connection was noticed first: then another has taken its place.
                self.receive();
                self.reactor_ended();
            }
        }
    }

    fn take_notes(&mut self) {
        let mut note = [0; NOTE_SIZE_BYTES];
        while let Ok(NOTE_SIZE_BYTES) = nix::unistd::read(&self.notes.0, &mut note) {
            let (run, stage, errno) = spawn::decode_note(&note);
            self.table.noted(run, stage, errno);
        }
    }

    fn reactor_ended(&mut self) {
        if self.reactor.take().is_none() || self.outcome.is_some() {
            return;
        }
        if self.replaces && !self.was_ready {
            // A new reactor would know nothing of the programs that run, and start each a second time.
            eprintln!(
                "visord: keeper and reactor are both lost; their programs run on, and nobody supervises them"
            );
            self.outcome = Some(Outcome::Exit(EXIT_STILLBORN));
            return;
        }
        let now = clock::now();
        let due = self.respawn.died(now);
        if !self.was_ready && self.respawn.deaths >= STILLBORN_MAX && !self.table.any_alive() {
            self.outcome = Some(Outcome::Exit(EXIT_STILLBORN));
            return;
        }
        self.respawn_at = Some(due);
    }
}

fn read_groups(file: &File) -> Vec<u32> {
    let mut groups = Vec::new();
    let mut word = [0; 4];
    while groups.len() < identity::GROUPS_MAX
        && file.read_exact_at(&mut word, groups.len() as u64 * 4).is_ok()
    {
        groups.push(u32::from_ne_bytes(word));
    }
    groups
}

/// The two ends of a child's streams.
struct Ends {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    merged: bool,
    kept: RunFds,
}

impl Ends {
    fn make(streams: Streams, small: bool) -> io::Result<Ends> {
        let mut kept = Vec::with_capacity(streams.kept());
        let mut stdin = None;
        if streams.has(Streams::STDIN) {
            let (read, write) = fd::pipe()?;
            pipe::set_capacity(&write, STDIN_PIPE_BYTES).unwrap_or_default();
            kept.push(write);
            stdin = Some(read);
        }
        let mut output = |bit| -> io::Result<Option<OwnedFd>> {
            if !streams.has(bit) {
                return Ok(None);
            }
            let (read, write) = fd::pipe()?;
            if small {
                pipe::set_capacity(&read, SMALL_PIPE_BYTES).unwrap_or_default();
            }
            fd::set_nonblocking(&read, true)?;
            kept.push(read);
            Ok(Some(write))
        };
        let (stdout, stderr) = (output(Streams::STDOUT)?, output(Streams::STDERR)?);
        Ok(Ends { stdin, stdout, stderr, merged: streams.has(Streams::STDERR_TO_STDOUT), kept })
    }

    /// Returns the child's ends; `held` takes the place of stdin, and `null` of what nobody wants.
    fn child_streams<'a>(&'a self, held: Option<&'a OwnedFd>, null: BorrowedFd<'a>) -> ChildStreams<'a> {
        let or_null = |end: Option<&'a OwnedFd>| end.map_or(null, |fd| fd.as_fd());
        let stdout = or_null(self.stdout.as_ref());
        let stderr = if self.merged { stdout } else { or_null(self.stderr.as_ref()) };
        ChildStreams { stdin: or_null(held.or(self.stdin.as_ref())), stdout, stderr }
    }
}
