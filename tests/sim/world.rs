//! The simulated daemon: it carries out what the core decides on the imagined machine, and checks every step.

#[path = "deaths.rs"]
mod deaths;

use super::check::Ledger;
use super::fleet;
use super::kernel::{Event, Kernel, MS, Mood, Order};
use super::rng::Rng;
use super::talk::Mail;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use visor::core::{
    Action, Actor, Core, Finish, Header, Input, Phase, Plan, ProcState, Request, RequestId, Snapshot, Stage,
};
use visor::model::record::RECORD_SIZE_BYTES;
use visor::model::spec::{FleetSpec, GroupKind, GroupSpec};
use visor::model::{ProcessId, RunId, Signal, Time, Uid, WallTime};

/// Steps of a storm: enough for more restarts in a second than are allowed.
const STORM_STEPS: usize = 200;

/// How many acts a failure shows.
const ACTS_SHOWN: usize = 40;

/// Switches between worlds that must not differ.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Twist {
    /// The core is now and then replaced by what its snapshot restores.
    pub(crate) snapshots: bool,
    /// The wall clock jumps.
    pub(crate) wall_jumps: bool,
    /// The keeper dies now and then.
    pub(crate) keeper_deaths: bool,
    /// Listeners may subscribe to what the wall clock brings.
    pub(crate) ticks: bool,
}

/// A world.
pub(crate) struct World {
    rng: Rng,
    twist: Twist,
    now: u64,
    wall_offset: i64,
    pub(crate) core: Core,
    pub(crate) kernel: Kernel,
    pub(crate) ledger: Ledger,
    mail: Mail,
    /// Runs of listeners of which something is being told.
    in_doubt: BTreeSet<RunId>,
    /// What was stored: header, configuration in force, what an update has to do, records.
    header: Header,
    fleet: FleetSpec,
    plan: Plan,
    slots: BTreeMap<ProcessId, [u8; RECORD_SIZE_BYTES]>,
    /// The last input had all of it stored.
    is_stored_whole: bool,
    /// The configuration that is or comes in force.
    wanted: FleetSpec,
    next_request: u64,
    /// The reactor dies after so many actions.
    dies_after: Option<usize>,
    died: bool,
    finish: Option<Finish>,
    is_verbose: bool,
    pub(crate) acts: VecDeque<String>,
    trace: u64,
}

impl World {
    pub(crate) fn new(seed: u64, twist: Twist, is_verbose: bool) -> Result<World, String> {
        let mut rng = Rng::new(seed);
        let fleet = fleet::fleet(&mut rng, seed, twist.ticks);
        let core = Core::new(fleet.clone());
        let mut world = World {
            rng,
            twist,
            now: 1_000_000 * MS,
            wall_offset: 0,
            header: core.header(),
            core,
            kernel: Kernel::new(),
            ledger: Ledger::default(),
            mail: Mail::default(),
            in_doubt: BTreeSet::new(),
            wanted: fleet.clone(),
            plan: Plan::fresh(&fleet, None),
            fleet,
            slots: BTreeMap::new(),
            is_stored_whole: true,
            next_request: 0,
            dies_after: None,
            died: false,
            finish: None,
            is_verbose,
            acts: VecDeque::new(),
            trace: 0,
        };
        world.give(Input::Boot)?;
        Ok(world)
    }

    /// Returns a number that tells two histories apart.
    pub(crate) fn trace(&self) -> u64 {
        self.trace
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if self.is_verbose {
            if self.acts.len() == ACTS_SHOWN {
                self.acts.pop_front();
            }
            let line = format!("{:>12.3} s  {}", self.now as f64 / 1e9, text());
            self.acts.push_back(line);
        }
    }

    /// Does one step: an act of somebody, or the passing of time to the next event.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        match self.rng.below(1000) {
            0..=634 => self.advance()?,
            635..=659 => self.make_event()?,
            660..=739 => self.request_start()?,
            740..=799 => self.request_stop()?,
            800..=819 => self.request_restart()?,
            820..=859 => self.request_signal()?,
            860..=879 => self.crash_one(),
            880..=909 => self.change_mood(),
            910..=919 => self.jump_wall(),
            920..=939 => self.now += self.rng.below(5000) * MS,
            940..=951 => self.load_fleet()?,
            952..=954 => self.respecify()?,
            955..=969 => self.restore()?,
            970..=981 => self.kill_reactor()?,
            982..=987 => self.kill_keeper()?,
            988..=995 => self.give_stale()?,
            996 => self.storm()?,
            997 => self.end_by(Signal::HUP)?,
            998 => self.end_by(Signal::TERM)?,
            _ => self.request(Request::Reload)?,
        }
        self.after_step()
    }

    fn after_step(&mut self) -> Result<(), String> {
        if self.died {
            self.come_back()?;
        }
        if let Some(finish) = self.finish.take() {
            self.begin_anew(finish)?;
        }
        self.check()?;
        self.check_stored()
    }

    fn check(&self) -> Result<(), String> {
        self.ledger.check(&self.core, &self.kernel, self.now)?;
        self.mail.check(&self.core, self.now)?;
        self.check_fleet()
    }

    /// Lets the next thing happen, whatever it is.
    fn advance(&mut self) -> Result<(), String> {
        let event = self.kernel.next_at();
        let deadline = self.core.next_deadline().map(|at| at.0);
        let Some(next) = event.into_iter().chain(deadline).min() else { return Ok(()) };
        self.now = self.now.max(next);
        let is_both = event.is_some_and(|at| at <= self.now) && deadline.is_some_and(|at| at <= self.now);
        let ticks = if is_both { self.rng.chance(50) } else { deadline == Some(next) };
        if ticks {
            return self.give(Input::Tick);
        }
        match self.kernel.pop() {
            Some(Event::News(input)) => self.deliver(input),
            Some(event) => {
                self.note(|| format!("machine: {event:?}"));
                if let Event::Answers(run, answer) = &event {
                    self.mail.said(*run, *answer, &self.core);
                }
                self.kernel.happen(event, self.now, &mut self.rng)
            }
            None => Ok(()),
        }
    }

    fn deliver(&mut self, input: Input) -> Result<(), String> {
        match &input {
            // An answer to a question that was asked twice may come when the spawn is asked for already.
            Input::Prepared { run, .. } if !self.is_preparing(*run) => {}
            Input::Prepared { run, .. } | Input::Spawned { run, .. } | Input::SpawnFailed { run, .. } => {
                self.kernel.in_flight.remove(run);
            }
            Input::SocketOpened { url, result } => self.kernel.socket_opened(url, result.is_ok()),
            _ => {}
        }
        self.give(input)
    }

    fn is_preparing(&self, run: RunId) -> bool {
        let state = self.core.owner(run).and_then(|id| self.core.process(id)).map(|process| *process.state());
        matches!(
            state,
            None | Some(ProcState::Checking { .. } | ProcState::Starting { stage: Stage::Preparing, .. })
        )
    }

    /// A program writes something, or a client sends an event.
    fn make_event(&mut self) -> Result<(), String> {
        let input = Mail::some_input(&self.core, &mut self.rng);
        self.give(input)
    }

    /// Gives the core an input and carries out what it decides.
    fn give(&mut self, input: Input) -> Result<(), String> {
        self.note(|| match &input {
            Input::FleetLoaded(fleet) => {
                format!(
                    "-> FleetLoaded {:?}",
                    fleet.groups.iter().map(|group| &group.name).collect::<Vec<_>>()
                )
            }
            input => format!("-> {input:?}"),
        });
        let wall = WallTime(i64::try_from(self.now).unwrap_or(0) + self.wall_offset);
        self.ledger.told(&input, &self.core, self.now);
        self.in_doubt.extend(self.mail.told(&input, self.now));
        let mut is_changed = matches!(input, Input::GroupRespecified(_) | Input::GroupChanged { .. });
        self.core.handle(Time(self.now), wall, input);
        self.is_stored_whole = false;
        if self.core.take_plan_change() {
            self.store_whole();
        }
        if let Some(header) = self.core.take_header() {
            self.header = header;
        }
        // As the shell does: lines and events, then states, and then all that follows from them.
        let rank = |action: &Action| match action {
            Action::Log { .. } | Action::KeepEvent(_) | Action::SettleEvent { .. } => 0,
            Action::Persist(_) => 1,
            _ => 2,
        };
        let mut actions: Vec<Action> = std::iter::from_fn(|| self.core.poll_action()).collect();
        actions.sort_by_key(rank);
        let dies_after = self.dies_after.take();
        for (done, action) in actions.into_iter().enumerate() {
            if dies_after.is_some_and(|count| done >= count) {
                break;
            }
            is_changed |= matches!(action, Action::GroupAdded(_) | Action::GroupRemoved(_));
            self.perform(action)?;
        }
        self.died |= dies_after.is_some();
        if !self.died {
            self.in_doubt.clear();
            if is_changed {
                self.store_whole();
            }
        }
        Ok(())
    }

    fn perform(&mut self, action: Action) -> Result<(), String> {
        self.note(|| format!("   <- {action:?}"));
        self.trace_action(&action);
        self.ledger.done(&action, &self.core, self.now)?;
        self.mail.done(&action, &self.core)?;
        let order = match action {
            Action::Prepare { run, process } => {
                self.kernel.prepare(run, process, self.now, &mut self.rng);
                return Ok(());
            }
            Action::Spawn { run, process } => {
                self.ledger.has_its_socket(&self.core, process, &self.kernel)?;
                Order::Spawn { run, process, listens: self.core.is_listener(process) }
            }
            Action::OpenSocket(it) => return self.kernel.open_socket(&it.url, self.now, &mut self.rng),
            Action::CloseSocket(url) => return self.ledger.socket_closed(&self.core, &url, &mut self.kernel),
            Action::SendEvent { run, .. } => {
                self.kernel.send_event(run, self.now, &mut self.rng);
                return Ok(());
            }
            Action::Signal { run, signal, scope } => Order::Signal { run, signal, scope },
            Action::Sweep { run, signal } => Order::Sweep { run, signal },
            Action::Forget { run } => {
                self.kernel.in_flight.remove(&run);
                Order::Forget { run }
            }
            Action::Persist(id) => {
                match self.core.record(id) {
                    Some(record) => self.slots.insert(id, record.encode()),
                    None => self.slots.remove(&id),
                };
                return Ok(());
            }
            Action::Finish(finish) => {
                self.finish = Some(finish);
                return Ok(());
            }
            Action::Publish(_)
            | Action::Log { .. }
            | Action::GroupAdded(_)
            | Action::GroupChanged(_)
            | Action::GroupRemoved(_)
            | Action::KeepEvent(_)
            | Action::SettleEvent { .. }
            | Action::ShowResult(_)
            | Action::Reply { .. } => return Ok(()),
        };
        self.kernel.order(order, self.now, &mut self.rng);
        Ok(())
    }

    /// Mixes an action into the trace, without the times that are for people.
    fn trace_action(&mut self, action: &Action) {
        let mut mix = |number: u64| {
            self.trace = (self.trace ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
        };
        mix(self.now);
        match action {
            Action::Prepare { run, .. } => mix(run.0 << 4),
            Action::Spawn { run, .. } => mix(run.0 << 4 | 1),
            Action::Signal { run, signal, scope } => {
                mix(run.0 << 16 | (signal.0 as u64) << 8 | (*scope as u64) << 4 | 2);
            }
            Action::Sweep { run, signal } => mix(run.0 << 16 | signal.map_or(0, |s| s.0 as u64) << 8 | 3),
            Action::Forget { run } => mix(run.0 << 4 | 4),
            Action::OpenSocket(socket) => mix((socket.url.len() as u64) << 4 | 8),
            Action::CloseSocket(url) => mix((url.len() as u64) << 4 | 9),
            Action::Publish(change) => {
                mix(u64::from(change.process.0) << 32 | u64::from(change.to.code()) << 8 | 5);
                mix(change.run.0 << 16 | u64::from(change.tries));
            }
            Action::Log { text, .. } => mix(text.len() as u64),
            Action::Persist(id) => mix(u64::from(id.0) << 4 | 6),
            Action::GroupAdded(name) | Action::GroupChanged(name) | Action::GroupRemoved(name) => {
                mix(name.len() as u64)
            }
            Action::Reply { id, .. } => mix(id.0 << 4 | 7),
            Action::KeepEvent(delivery) => mix(delivery.serial << 4 | 8),
            Action::SettleEvent { delivery, fate } => mix(delivery.serial << 8 | (*fate as u64) << 4 | 9),
            Action::SendEvent { run, delivery } => mix(run.0 << 32 | delivery.pool_serial << 4 | 10),
            Action::ShowResult(result) => mix((result.len() as u64) << 4 | 11),
            Action::Finish(finish) => mix(*finish as u64),
        }
    }

    fn some_process(&mut self) -> Option<ProcessId> {
        let count = self.core.processes().count();
        let at = self.rng.below(count.max(1) as u64) as usize;
        self.core.processes().nth(at).map(|(id, _)| id)
    }

    fn request(&mut self, request: Request) -> Result<(), String> {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.give(Input::Request { id, actor: Actor::Client(Uid(1000)), request })
    }

    fn request_start(&mut self) -> Result<(), String> {
        // What is due comes first, so that the state before the request is the one that it meets.
        self.give(Input::Tick)?;
        let wait = self.rng.chance(50);
        match self.some_process() {
            Some(process) => self.request(Request::Start { process, wait }),
            None => Ok(()),
        }
    }

    fn request_stop(&mut self) -> Result<(), String> {
        let wait = self.rng.chance(50);
        match self.some_process() {
            Some(process) => self.request(Request::Stop { process, wait }),
            None => Ok(()),
        }
    }

    fn request_restart(&mut self) -> Result<(), String> {
        let wait = self.rng.chance(50);
        match self.some_process() {
            Some(process) => self.request(Request::Restart { process, wait }),
            None => Ok(()),
        }
    }

    fn request_signal(&mut self) -> Result<(), String> {
        let signal = *self.rng.pick(&[Signal::USR1, Signal::HUP]);
        match self.some_process() {
            Some(process) => self.request(Request::Signal { process, signal }),
            None => Ok(()),
        }
    }

    fn crash_one(&mut self) {
        let live: Vec<RunId> =
            self.kernel.runs.iter().filter(|(_, child)| child.exit.is_none()).map(|(run, _)| *run).collect();
        if !live.is_empty() {
            let run = *self.rng.pick(&live);
            self.note(|| format!("machine: {run} crashes"));
            self.kernel.crash(run, self.now);
        }
    }

    fn change_mood(&mut self) {
        match self.rng.below(5) {
            0 => self.kernel.mood.is_full = self.rng.chance(25),
            1 => self.kernel.mood.is_missing = self.rng.chance(25),
            2 => self.kernel.mood.is_crashing = self.rng.chance(40),
            _ => self.kernel.mood.latency = *self.rng.pick(&[0, 5, 5, 200, 3000]) * MS,
        }
    }

    /// Every program ends at once on a fast machine, and little is done about it.
    fn storm(&mut self) -> Result<(), String> {
        let calm = std::mem::replace(&mut self.kernel.mood, Mood::storm());
        for _ in 0..STORM_STEPS {
            if self.rng.chance(3) {
                self.request_stop()?
            } else {
                self.advance()?
            }
            self.check()?;
        }
        self.kernel.mood = calm;
        Ok(())
    }

    fn jump_wall(&mut self) {
        let jump = i64::try_from(self.rng.below(20_000_000)).unwrap_or(0) - 10_000_000;
        if self.twist.wall_jumps {
            self.wall_offset += jump * 1_000_000;
        }
    }

    /// Loads a configuration: what is the same is not touched, and the second time nothing happens.
    fn load_fleet(&mut self) -> Result<(), String> {
        if self.core.phase() != Phase::Running {
            return Ok(());
        }
        self.give(Input::Tick)?;
        let target = fleet::change(&mut self.rng, &self.core.fleet(), self.twist.ticks);
        self.wanted = target.clone();
        self.ledger.loading(&self.core, &target);
        self.give(Input::FleetLoaded(target.clone()))?;
        self.ledger.loaded();
        self.give(Input::Tick)?;
        self.ledger.expect_nothing = true;
        self.give(Input::FleetLoaded(target))?;
        self.ledger.expect_nothing = false;
        Ok(())
    }

    /// Changes what the configuration says of a group whose programs run on.
    fn respecify(&mut self) -> Result<(), String> {
        let groups: Vec<GroupSpec> = self.core.groups().map(|group| group.spec().clone()).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let old = self.rng.pick(&groups);
        let spec = fleet::respecify(&mut self.rng, old);
        // What is due comes first, so that it is judged by what was in force.
        let dies_after = self.dies_after.take();
        self.give(Input::Tick)?;
        self.dies_after = dies_after;
        let is_plain = spec.kind == GroupKind::Program;
        if is_plain && self.rng.chance(50) {
            let names = spec.processes.iter().map(|process| process.name.clone());
            let restart = names.filter(|_| self.rng.chance(50)).collect();
            self.give(Input::GroupChanged { group: spec.clone(), restart })?;
        } else {
            self.give(Input::GroupRespecified(spec.clone()))?;
        }
        // Who dies before it is stored has not heard of it.
        if self.is_stored_whole && self.core.phase() == Phase::Running {
            let known = self.wanted.groups.iter_mut().filter(|group| group.name == spec.name);
            known.for_each(|known| known.clone_from(&spec));
        }
        Ok(())
    }

    /// Replaces the core by what its snapshot restores: nobody may notice.
    fn restore(&mut self) -> Result<(), String> {
        if !self.twist.snapshots {
            return Ok(());
        }
        let text = serde_json::to_string(&self.core.snapshot()).map_err(|error| error.to_string())?;
        let snapshot: Snapshot = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        self.core = Core::restore(self.core.fleet(), snapshot.clone(), Time(self.now));
        self.note(|| "restored from a snapshot".to_owned());
        let again = self.core.snapshot();
        if again == snapshot { Ok(()) } else { Err(format!("restored {again:?}\nfrom {snapshot:?}")) }
    }

    fn give_stale(&mut self) -> Result<(), String> {
        let highest = self.core.header().next_run.0;
        let run = RunId(self.rng.below(highest));
        if self.core.owner(run).is_some() {
            return Ok(());
        }
        // A tick first, so that what is due does not look like an effect.
        self.give(Input::Tick)?;
        self.ledger.expect_nothing = true;
        let status = visor::model::ExitStatus::Code(0);
        let input = match self.rng.below(3) {
            0 => Input::Exited { run, status, at: Time(self.now) },
            1 => Input::Swept { run, left: 1 },
            _ => Input::Prepared { run, result: Ok(()) },
        };
        self.give(input)?;
        self.ledger.expect_nothing = false;
        Ok(())
    }

    fn end_by(&mut self, signal: Signal) -> Result<(), String> {
        self.give(Input::Signal(signal))
    }

    /// Everything is stopped: the daemon begins anew, or another one begins.
    fn begin_anew(&mut self, finish: Finish) -> Result<(), String> {
        self.note(|| format!("finished: {finish:?}"));
        self.ledger.finished(&self.core, &self.kernel)?;
        self.kernel.forget_all();
        let fleet = fleet::change(&mut self.rng, &self.core.fleet(), self.twist.ticks);
        let before = self.core.header();
        self.core = Core::new_after(fleet.clone(), &before);
        self.store_whole();
        if self.plan != Plan::fresh(&fleet, Some(&before)) {
            return Err(format!("a fresh plan is {:?}", self.plan));
        }
        self.wanted = fleet;
        self.ledger.restored(&self.core);
        self.mail.restored(&self.core);
        self.give(Input::Boot)
    }

    /// Ends the daemon, and returns an error when that takes longer than the programs' patience allows.
    pub(crate) fn shut_down(&mut self) -> Result<(), String> {
        self.kernel.mood.latency = 5 * MS;
        let patience = |group: &visor::core::fleet::Group| {
            let secs = group.spec().processes.iter().map(|spec| spec.stopwaitsecs.max(1) * 2 + 3).max();
            u64::try_from(secs.unwrap_or(0)).unwrap_or(0)
        };
        let groups: u64 = self.core.groups().map(patience).sum();
        // What was on its way when the end began may have been sent in slower times.
        let limit = self.now + (groups + 20) * 1000 * MS;
        self.end_by(Signal::TERM)?;
        for _ in 0..100_000 {
            if let Some(finish) = self.finish.take() {
                self.note(|| format!("finished: {finish:?}"));
                return self.ledger.finished(&self.core, &self.kernel);
            }
            if self.now > limit {
                return Err(format!(
                    "the end takes longer than {groups} s: {:?}",
                    self.core.view(ProcessId(0))
                ));
            }
            self.advance()?;
            self.check()?;
        }
        Err("the end never comes".to_owned())
    }
}
