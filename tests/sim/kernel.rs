//! An imagined keeper on an imagined kernel: programs that end when they like, ignore signals, leave children
//! behind, and answers that come late and in any order that the keeper allows (a run's own news stay in order).

use super::rng::Rng;
use super::talk::{self, Answer};
use std::collections::{BTreeMap, BTreeSet};
use visor::core::{Input, Scope, SpawnError};
use visor::model::{ExitStatus, Pid, ProcessId, RunId, Signal, Time};

/// One millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;

/// What the shell asked the keeper for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    Spawn { run: RunId, process: ProcessId, listens: bool },
    Signal { run: RunId, signal: Signal, scope: Scope },
    Sweep { run: RunId, signal: Option<Signal> },
    Forget { run: RunId },
}

/// What happens at some time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// An order reaches the keeper.
    Order(Order),
    /// A main process ends, if it still lives.
    MainEnds(RunId, ExitStatus),
    /// One process of a tree ends.
    ChildEnds(RunId),
    /// A listener says that it wants an event.
    Asks(RunId),
    /// A listener answers.
    Answers(RunId, Answer),
    /// News reach the reactor.
    News(Input),
}

/// One run: its main process and what it forked.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) process: ProcessId,
    pub(crate) pid: i32,
    pub(crate) exit: Option<(ExitStatus, Time)>,
    obeys: bool,
    is_ours: bool,
    pub(crate) children: u32,
    children_obey: bool,
    children_die: bool,
    is_watched: bool,
    news_at: u64,
}

/// What the machine is like for now.
#[derive(Clone, Debug)]
pub(crate) struct Mood {
    /// No processes are left.
    pub(crate) is_full: bool,
    /// Commands are not found.
    pub(crate) is_missing: bool,
    /// Every program ends at once.
    pub(crate) is_crashing: bool,
    /// Longest time that a message takes.
    pub(crate) latency: u64,
}

impl Mood {
    pub(crate) fn calm() -> Mood {
        Mood { is_full: false, is_missing: false, is_crashing: false, latency: 5 * MS }
    }

    pub(crate) fn storm() -> Mood {
        Mood { is_crashing: true, latency: 0, ..Mood::calm() }
    }
}

/// The machine.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    events: BTreeMap<(u64, u64), Event>,
    serial: u64,
    orders_at: u64,
    pub(crate) runs: BTreeMap<RunId, Child>,
    /// Starts that were asked for and not answered: their bound is a rule of the core.
    pub(crate) in_flight: BTreeMap<RunId, ProcessId>,
    pub(crate) mood: Mood,
    /// Sockets that programs share: those that are being opened, and those that the keeper holds.
    pub(crate) opening: BTreeSet<String>,
    pub(crate) sockets: BTreeSet<String>,
    /// Runs that got a signal which asks them to end, or of which it cannot be told any more.
    pub(crate) asked: BTreeSet<RunId>,
    /// Runs that got SIGKILL without.
    pub(crate) not_asked: BTreeSet<RunId>,
    next_pid: i32,
}

impl Kernel {
    pub(crate) fn new() -> Kernel {
        Kernel {
            events: BTreeMap::new(),
            serial: 0,
            orders_at: 0,
            runs: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            mood: Mood::calm(),
            opening: BTreeSet::new(),
            sockets: BTreeSet::new(),
            asked: BTreeSet::new(),
            not_asked: BTreeSet::new(),
            next_pid: 100,
        }
    }

    /// Returns when something happens next.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next thing that happens.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.events.pop_first().map(|(_, event)| event)
    }

    fn push(&mut self, at: u64, event: Event) {
        self.serial += 1;
        self.events.insert((at, self.serial), event);
    }

    /// The disk worker looks for a command.
    pub(crate) fn prepare(&mut self, run: RunId, process: ProcessId, now: u64, rng: &mut Rng) {
        self.in_flight.insert(run, process);
        let name = || "p".to_owned();
        let result = match rng.below(40) {
            _ if self.mood.is_missing => Err(SpawnError::NotFound(name())),
            0 => Err(SpawnError::Dispatchers { name: name(), errno: "ENOENT".to_owned() }),
            1 => Err(SpawnError::TooManyFiles(name())),
            2 => Err(SpawnError::NotExecutable(name())),
            _ => Ok(()),
        };
        let at = now + rng.below(self.mood.latency + 1);
        self.push(at, Event::News(Input::Prepared { run, result }));
    }

    /// The disk worker opens a socket.
    pub(crate) fn open_socket(&mut self, url: &str, now: u64, rng: &mut Rng) -> Result<(), String> {
        if !self.opening.insert(url.to_owned()) || self.sockets.contains(url) {
            return Err(format!("{url} is opened twice"));
        }
        let (url, why) = (url.to_owned(), "cannot bind".to_owned());
        let result = match rng.below(10) {
            0 => Err(SpawnError::Socket { url: url.clone(), why }),
            1 => Err(SpawnError::TooManyFiles("p".to_owned())),
            _ => Ok(()),
        };
        let at = now + rng.below(self.mood.latency + 1);
        self.push(at, Event::News(Input::SocketOpened { url, result }));
        Ok(())
    }

    /// The answer comes; what is open is held from then on.
    pub(crate) fn socket_opened(&mut self, url: &str, is_open: bool) {
        self.opening.remove(url);
        if is_open {
            self.sockets.insert(url.to_owned());
        }
    }

    /// The reactor writes to the keeper, which reads in order.
    pub(crate) fn order(&mut self, order: Order, now: u64, rng: &mut Rng) {
        if let Order::Spawn { run, process, .. } = &order {
            self.in_flight.insert(*run, *process);
        }
        self.orders_at = self.orders_at.max(now + rng.below(self.mood.latency + 1));
        self.push(self.orders_at, Event::Order(order));
    }

    /// Tells the reactor something about a run, after what was told about it before.
    fn news(&mut self, run: RunId, input: Input, now: u64, rng: &mut Rng) {
        let mut at = now + rng.below(self.mood.latency + 1);
        if let Some(child) = self.runs.get_mut(&run) {
            at = at.max(child.news_at);
            child.news_at = at;
        }
        self.push(at, Event::News(input));
    }

    /// Lets an event happen; what it means for the reactor follows as news.
    pub(crate) fn happen(&mut self, event: Event, now: u64, rng: &mut Rng) -> Result<(), String> {
        match event {
            Event::Order(Order::Spawn { run, process, listens }) => {
                self.spawn(run, process, now, rng)?;
                if listens {
                    self.push(now + rng.below(3000) * MS, Event::Asks(run));
                }
            }
            Event::Order(Order::Signal { run, signal, scope }) => self.signal(run, signal, scope, now, rng),
            Event::Order(Order::Sweep { run, signal }) => self.sweep(run, signal, now, rng),
            Event::Order(Order::Forget { run }) => {
                if let Some(child) =
                    self.runs.remove(&run).filter(|child| child.exit.is_none() && child.is_ours)
                {
                    return Err(format!("{run} was forgotten alive: {child:?}"));
                }
            }
            Event::MainEnds(run, status) => self.main_ends(run, status, now, rng),
            Event::ChildEnds(run) => self.child_ends(run, now, rng),
            Event::Asks(run) => self.says(run, b"READY\n", now, rng),
            Event::Answers(run, answer) => self.answers(run, answer, now, rng),
            Event::News(_) => {}
        }
        Ok(())
    }

    fn spawn(&mut self, run: RunId, process: ProcessId, now: u64, rng: &mut Rng) -> Result<(), String> {
        if self.runs.contains_key(&run) {
            return Err(format!("{run} was spawned twice"));
        }
        if self.mood.is_full || rng.chance(2) {
            let error = match rng.below(4) {
                0 if !self.mood.is_full => {
                    SpawnError::Fork { name: "p".to_owned(), errno: "ENOSYS".to_owned() }
                }
                _ => SpawnError::TooManyProcesses("p".to_owned()),
            };
            self.news(run, Input::SpawnFailed { run, error }, now, rng);
            return Ok(());
        }
        self.next_pid += 1;
        let child = Child {
            process,
            pid: self.next_pid,
            exit: None,
            obeys: rng.chance(80),
            is_ours: rng.chance(94),
            children: if rng.chance(30) { rng.below(4) as u32 } else { 0 },
            children_obey: rng.chance(60),
            children_die: rng.chance(95),
            is_watched: false,
            news_at: 0,
        };
        self.runs.insert(run, child);
        self.news(run, Input::Spawned { run, pid: Pid(self.next_pid) }, now, rng);
        // Some end around the bounds of startsecs, some at once, some never.
        let lives_ms = *rng.pick(&[0, 1, 500, 999, 1000, 1001, 2999, 3000, 3001, 20_000]);
        if self.mood.is_crashing {
            self.push(now + rng.below(2) * MS, Event::MainEnds(run, ExitStatus::Code(1)));
        } else if rng.chance(55) {
            let at = now + lives_ms * MS + if rng.chance(50) { rng.below(300) * MS } else { 0 };
            let code = if rng.chance(40) { 0 } else { rng.below(3) as u8 };
            self.push(at, Event::MainEnds(run, ExitStatus::Code(code)));
        }
        Ok(())
    }

    /// A main process is killed by somebody else, or crashes.
    pub(crate) fn crash(&mut self, run: RunId, now: u64) {
        let status = ExitStatus::Signaled { signal: Signal::SEGV, core: true };
        self.push(now, Event::MainEnds(run, status));
    }

    fn signal(&mut self, run: RunId, signal: Signal, scope: Scope, now: u64, rng: &mut Rng) {
        let Some(child) = self.runs.get(&run).filter(|child| child.exit.is_none()).cloned() else { return };
        if signal == Signal::KILL && !self.asked.contains(&run) {
            self.not_asked.insert(run);
        } else if !matches!(signal, Signal::USR1 | Signal::HUP) {
            self.asked.insert(run);
        }
        if !child.is_ours {
            return self.news(run, Input::SignalFailed { run, errno: "EPERM".to_owned() }, now, rng);
        }
        let ends = signal == Signal::KILL || (child.obeys && signal != Signal::USR1);
        if ends {
            let after = if signal == Signal::KILL { 0 } else { rng.below(4000) * MS };
            let by_code = signal != Signal::KILL && rng.chance(50);
            let status =
                if by_code { ExitStatus::Code(0) } else { ExitStatus::Signaled { signal, core: false } };
            self.push(now + after, Event::MainEnds(run, status));
        }
        if scope != Scope::Main {
            self.signal_children(run, signal, now, rng);
        }
    }

    fn signal_children(&mut self, run: RunId, signal: Signal, now: u64, rng: &mut Rng) {
        let Some(child) = self.runs.get(&run).cloned() else { return };
        let ends = if signal == Signal::KILL { child.children_die } else { child.children_obey };
        for _ in 0..if ends { child.children } else { 0 } {
            let after = if signal == Signal::KILL { 0 } else { rng.below(4000) * MS };
            self.push(now + after, Event::ChildEnds(run));
        }
    }

    fn sweep(&mut self, run: RunId, signal: Option<Signal>, now: u64, rng: &mut Rng) {
        if let Some(signal) = signal {
            self.signal_children(run, signal, now, rng);
        }
        let Some(child) = self.runs.get_mut(&run) else { return };
        child.is_watched = true;
        let left = child.children;
        self.news(run, Input::Swept { run, left }, now, rng);
    }

    fn main_ends(&mut self, run: RunId, status: ExitStatus, now: u64, rng: &mut Rng) {
        let Some(child) = self.runs.get_mut(&run).filter(|child| child.exit.is_none()) else { return };
        child.exit = Some((status, Time(now)));
        self.news(run, Input::Exited { run, status, at: Time(now) }, now, rng);
        if rng.chance(50) {
            let after = rng.below(30_000) * MS;
            self.push(now + after, Event::ChildEnds(run));
        }
    }

    fn child_ends(&mut self, run: RunId, now: u64, rng: &mut Rng) {
        let Some(child) = self.runs.get_mut(&run).filter(|child| child.children > 0) else { return };
        child.children -= 1;
        let (left, is_watched) = (child.children, child.is_watched);
        if is_watched {
            self.news(run, Input::Swept { run, left }, now, rng);
        }
    }

    /// A listener writes to its stdout.
    fn says(&mut self, run: RunId, text: &[u8], now: u64, rng: &mut Rng) {
        if self.runs.get(&run).is_none_or(|child| child.exit.is_some()) {
            return;
        }
        for bytes in talk::pieces(text, rng) {
            self.news(run, Input::Heard { run, bytes }, now, rng);
        }
    }

    fn answers(&mut self, run: RunId, answer: Answer, now: u64, rng: &mut Rng) {
        match answer {
            Answer::Ok => self.says(run, b"RESULT 2\nOK", now, rng),
            Answer::Fail => self.says(run, b"RESULT 4\nFAIL", now, rng),
            Answer::Rubbish => return self.says(run, b"what?\n", now, rng),
            Answer::Silence => return,
            Answer::Death => return self.crash(run, now),
        }
        self.push(now + rng.below(300) * MS, Event::Asks(run));
    }

    /// The reactor writes an event into the stdin of a listener.
    pub(crate) fn send_event(&mut self, run: RunId, now: u64, rng: &mut Rng) {
        let is_sent = self.runs.get(&run).is_some_and(|child| child.exit.is_none());
        self.news(run, Input::EventSent { run, is_sent }, now, rng);
        if is_sent {
            let answer = talk::answer(rng);
            self.push(now + rng.below(3000) * MS, Event::Answers(run, answer));
        }
    }

    /// The reactor dies: the keeper still reads what it wrote, and what was on the way to it is lost, but for what
    /// waits in a pipe.
    pub(crate) fn lose_reactor(&mut self, now: u64, rng: &mut Rng) -> Result<(), String> {
        let orders: Vec<Event> =
            self.events.values().filter(|event| matches!(event, Event::Order(_))).cloned().collect();
        let is_lost = |event: &Event| match event {
            Event::News(input) => !matches!(input, Input::Heard { .. }),
            event => matches!(event, Event::Order(_)),
        };
        self.events.retain(|_, event| !is_lost(event));
        for order in orders {
            self.happen(order, now, rng)?;
        }
        self.events.retain(|_, event| !is_lost(event));
        self.opening.clear();
        self.in_flight.clear();
        Ok(())
    }

    /// Returns what the keeper tells a new reactor about the runs that it was not told to forget.
    pub(crate) fn hand_over(&mut self) -> Vec<Input> {
        let mut told = Vec::new();
        for (run, child) in &mut self.runs {
            child.is_watched = false;
            told.push(Input::Spawned { run: *run, pid: Pid(child.pid) });
            if let Some((status, at)) = child.exit {
                told.push(Input::Exited { run: *run, status, at });
            }
        }
        told
    }

    /// The keeper dies: what was on the way from and to it is lost, and children of which it had not told are
    /// ended, because nobody could find them again.
    pub(crate) fn lose_keeper(&mut self, is_known: impl Fn(RunId) -> bool) {
        self.events.retain(|_, event| match event {
            Event::Order(_) => false,
            Event::News(input) => matches!(
                input,
                Input::Prepared { .. }
                    | Input::SocketOpened { .. }
                    | Input::Heard { .. }
                    | Input::EventSent { .. }
            ),
            Event::MainEnds(..) | Event::ChildEnds(_) | Event::Asks(_) | Event::Answers(..) => true,
        });
        self.runs.retain(|run, _| is_known(*run));
        let prepared: BTreeSet<RunId> = self
            .events
            .values()
            .filter_map(|event| match event {
                Event::News(Input::Prepared { run, .. }) => Some(*run),
                _ => None,
            })
            .collect();
        self.in_flight.retain(|run, _| prepared.contains(run));
    }

    /// Whether a main process lives that can be signalled.
    pub(crate) fn is_live(&self, run: RunId) -> bool {
        self.runs.get(&run).is_some_and(|child| child.exit.is_none() && child.is_ours)
    }

    /// Everything but the programs is gone: a daemon ended in good order, or begins anew.
    pub(crate) fn forget_all(&mut self) {
        *self = Kernel { mood: self.mood.clone(), next_pid: self.next_pid, ..Kernel::new() };
    }
}
