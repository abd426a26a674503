//! The table against a reactor that may die after any message, and a keeper that may.

use super::*;

const PIPES: Streams = Streams(Streams::STDIN | Streams::STDOUT);

/// A reactor reduced to what it must not get wrong: one child per run, each exit noticed.
#[derive(Default)]
struct Reactor {
    /// Runs whose child is known, as the state record would have it.
    alive: BTreeSet<u64>,
    ended: BTreeMap<u64, ExitStatus>,
    asked: BTreeSet<u64>,
    begun: bool,
}

/// The world: which children were made, and messages under way to the keeper.
#[derive(Default)]
struct World {
    table: Table,
    children: BTreeMap<u64, i32>,
    to_keeper: VecDeque<Request>,
    delivered: usize,
}

impl World {
    fn carry_out(&mut self, effect: Option<Effect>) {
        if let Some(Effect::Spawn { run, streams, .. }) = effect {
            let pid = 1000 + run as i32;
            assert_eq!(self.children.insert(run, pid), None, "run {run} has one child");
            self.table.spawned(run, pid, streams, 0);
        }
    }

    /// Delivers one message in either direction; false when nothing is under way.
    fn step(&mut self, reactor: &mut Reactor) -> bool {
        self.delivered += 1;
        if let Some(request) = self.to_keeper.pop_front() {
            let effect = self.table.request(request);
            self.carry_out(effect);
            return true;
        }
        let Some((report, _)) = self.table.next_report() else { return false };
        self.table.sent();
        self.hear(reactor, report);
        true
    }

    fn hear(&mut self, reactor: &mut Reactor, report: Report) {
        match report {
            Report::Spawned { run, .. } => drop(reactor.alive.insert(run)),
            Report::Exited { run, status, .. } => {
                reactor.alive.remove(&run);
                reactor.ended.insert(run, status);
                self.to_keeper.push_back(Request::Release { run });
            }
            Report::Window => self.to_keeper.push_back(Request::Taken),
            Report::Begin { .. } => {
                reactor.begun = true;
                // What was asked for and is not there was never asked of the keeper: ask again.
                let lost: Vec<u64> = reactor.asked.iter().copied().collect();
                for run in lost {
                    if !reactor.alive.contains(&run) && !reactor.ended.contains_key(&run) {
                        self.to_keeper.push_back(Request::Spawn { run, streams: PIPES, held: 0 });
                    }
                }
            }
            _ => {}
        }
    }

    /// The reactor dies: what it sent is still read, what it was told is gone but for its record.
    fn reactor_dies(&mut self, reactor: &mut Reactor) {
        while let Some(request) = self.to_keeper.pop_front() {
            let effect = self.table.request(request);
            self.carry_out(effect);
        }
        reactor.alive.clear();
        reactor.begun = false;
        self.table.hand_over(1, false, false);
    }
}

/// Three runs are started and end; the reactor dies after message number `death`.
fn scenario(death: usize) -> (World, Reactor) {
    let (mut world, mut reactor) = (World::default(), Reactor::default());
    world.table.hand_over(0, false, false);
    let mut died = false;
    for phase in 0..2 {
        if phase == 0 {
            for run in 1..=3 {
                // The record is written before the request is sent, so it survives.
                reactor.asked.insert(run);
                world.to_keeper.push_back(Request::Spawn { run, streams: PIPES, held: 0 });
            }
        } else {
            for run in 1..=3_u8 {
                world.table.ended(1000 + i32::from(run), ExitStatus::Code(run), 0);
            }
        }
        loop {
            if world.delivered >= death && !died {
                died = true;
                world.reactor_dies(&mut reactor);
            }
            if !world.step(&mut reactor) {
                break;
            }
        }
    }
    (world, reactor)
}

#[test]
fn no_death_of_the_reactor_loses_or_doubles_anything() {
    let messages = scenario(usize::MAX).0.delivered;
    for death in 0..=messages {
        let (world, reactor) = scenario(death);
        assert_eq!(world.children.len(), 3, "death after {death}");
        let ends: Vec<_> = (1..=3_u8).map(|n| (u64::from(n), ExitStatus::Code(n))).collect();
        assert_eq!(reactor.ended.into_iter().collect::<Vec<_>>(), ends, "death after {death}");
        assert!(world.table.is_empty(), "death after {death}: everything is released");
    }
}

#[test]
fn a_lost_keeper_is_replaced_after_any_message_without_a_second_child() {
    let messages = scenario(usize::MAX).0.delivered;
    for death in 0..=messages {
        let (mut world, mut reactor) = (World::default(), Reactor::default());
        world.table.hand_over(0, false, false);
        (1..=3).for_each(|run| {
            reactor.asked.insert(run);
            world.to_keeper.push_back(Request::Spawn { run, streams: PIPES, held: 0 });
        });
        for _ in 0..death {
            if !world.step(&mut reactor) {
                break;
            }
        }
        // The reactor gives the new keeper what it knows, and asks again for what it does not.
        world.table = Table::default();
        world.to_keeper.clear();
        for (run, pid) in world.children.clone() {
            if reactor.alive.contains(&run) {
                world.to_keeper.push_back(Request::Adopt { run, pid, streams: PIPES, started_ticks: 0 });
            } else {
                // A child that the reactor was not told of is ended, see `end_unanswered`.
                world.children.remove(&run);
            }
        }
        for run in 1..=3 {
            if !reactor.alive.contains(&run) {
                world.to_keeper.push_back(Request::Spawn { run, streams: PIPES, held: 0 });
            }
        }
        while world.step(&mut reactor) {}
        let all = BTreeSet::from([1, 2, 3]);
        assert_eq!((&reactor.alive, world.table.len()), (&all, 3), "death after {death}");
        assert_eq!(world.children.keys().copied().collect::<BTreeSet<_>>(), all, "death after {death}");
        for run in all {
            world.table.ended(1000 + run as i32, ExitStatus::Unknown, 0);
        }
        while world.step(&mut reactor) {}
        assert_eq!(reactor.ended.len(), 3, "death after {death}");
    }
}

#[test]
fn asking_twice_for_a_run_makes_one_child() {
    let mut table = Table::default();
    assert!(table.request(Request::Spawn { run: 1, streams: PIPES, held: 0 }).is_some());
    table.spawned(1, 100, PIPES, 5);
    table.sent();
    assert_eq!(table.request(Request::Spawn { run: 1, streams: PIPES, held: 0 }), None);
    let told = Report::Spawned { run: 1, pid: 100, streams: PIPES, started_ticks: 5 };
    assert_eq!(table.next_report(), Some((told, With::Run(1))));
}

#[test]
fn a_signal_never_goes_to_a_reaped_child() {
    let mut table = Table::default();
    table.spawned(1, 100, PIPES, 5);
    let ask = Request::Signal { run: 1, signal: Signal::TERM, whom: Whom::Main };
    assert!(matches!(table.request(ask), Some(Effect::Kill { pid: 100, .. })));
    table.ended(100, ExitStatus::Code(0), 0);
    assert_eq!(table.request(ask), None);
}

#[test]
fn a_living_run_is_not_released() {
    let mut table = Table::default();
    table.spawned(1, 100, PIPES, 5);
    assert_eq!(table.request(Request::Release { run: 1 }), None);
    assert!(table.any_alive());
    table.ended(100, ExitStatus::Code(0), 0);
    assert_eq!(table.request(Request::Release { run: 1 }), Some(Effect::Close { run: 1 }));
}

#[test]
fn a_window_holds_at_most_its_limit_of_descriptors() {
    let mut table = Table::default();
    (1..=500).for_each(|run| table.spawned(run, run as i32 + 10, PIPES, 0));
    table.hand_over(1, false, false);
    let (mut windows, mut fds, mut begun) = (0, 0, false);
    while let Some((report, _)) = table.next_report() {
        table.sent();
        fds += report.fds();
        assert!(fds <= WINDOW_FDS_MAX, "{fds} descriptors in one window");
        match report {
            Report::Window => {
                (windows, fds) = (windows + 1, 0);
                assert_eq!(table.next_report(), None, "nothing before the answer");
                table.request(Request::Taken);
            }
            Report::Begin { .. } => begun = true,
            _ => {}
        }
    }
    assert_eq!((windows, begun), (4, true), "1,000 descriptors in windows of 200");
}

#[test]
fn orphans_and_signals_that_nobody_takes_in_do_not_pile_up() {
    let mut table = Table::default();
    table.spawned(1, 100, PIPES, 5);
    (0..10_000).for_each(|n| table.ended(5000 + n, ExitStatus::Code(0), 0));
    (0..10_000).for_each(|_| table.signal(Signal::HUP));
    let mut told = Vec::new();
    while let Some((report, _)) = table.next_report() {
        table.sent();
        told.push(report);
    }
    let orphans = Report::Orphans { count: 10_000, pid: 14_999, status: ExitStatus::Code(0) };
    assert_eq!(told[1..], [Report::Signal { signal: Signal::HUP }, orphans]);
}

/// Everything that a reactor is told from here on; it answers each window.
fn told(table: &mut Table) -> Vec<Report> {
    let mut told = Vec::new();
    while let Some((report, _)) = table.next_report() {
        table.sent();
        told.push(report);
        if report == Report::Window {
            table.request(Request::Taken);
        }
    }
    told
}

#[test]
fn an_exit_amid_a_hand_over_is_told_after_the_run_that_a_later_window_brings() {
    let mut table = Table::default();
    (1..=500).for_each(|run| table.spawned(run, run as i32 + 10, PIPES, 0));
    table.hand_over(1, false, false);
    table.ended(500 + 10, ExitStatus::Code(3), 0);
    let told = told(&mut table);
    let at = |found: fn(&Report) -> bool| told.iter().position(found);
    let spawned = at(|report| matches!(report, Report::Spawned { run: 500, .. }));
    let exited = at(|report| matches!(report, Report::Exited { run: 500, .. }));
    assert!(spawned.is_some() && spawned < exited, "{spawned:?} {exited:?}");
    assert_eq!(told.iter().filter(|report| matches!(report, Report::Exited { .. })).count(), 1);
}

#[test]
fn a_signal_is_told_once_however_many_reactors_die_before_they_hear_it() {
    let mut table = Table::default();
    (1..=500).for_each(|run| table.spawned(run, run as i32 + 10, PIPES, 0));
    for deaths in 1..4 {
        table.hand_over(deaths, false, false);
        table.signal(Signal::TERM);
    }
    let term = Report::Signal { signal: Signal::TERM };
    assert_eq!(told(&mut table).iter().filter(|report| **report == term).count(), 1);
}

#[test]
fn a_descriptor_that_did_not_arrive_is_told_of_and_not_handed_over() {
    let mut table = Table::default();
    table.request(Request::Hold { key: 7 });
    table.not_held(7, false);
    table.request(Request::Hold { key: 8 });
    table.not_held(8, true);
    assert_eq!(told(&mut table), [7, 8].map(|key| Report::Unheld { key }));
    table.hand_over(1, false, false);
    let held: Vec<Report> =
        told(&mut table).into_iter().filter(|report| matches!(report, Report::Held { .. })).collect();
    assert_eq!(held, [Report::Held { key: 8 }], "the older one of that name");
}

#[test]
fn a_run_is_adopted_again_with_the_descriptors_that_were_missing() {
    let mut table = Table::default();
    let adopt = |streams| Request::Adopt { run: 1, pid: 100, streams, started_ticks: 5 };
    table.request(adopt(Streams(0)));
    assert_eq!(table.request(adopt(PIPES)), Some(Effect::Watch { run: 1, pid: 100, started_ticks: 5 }));
    table.hand_over(1, false, false);
    assert!(told(&mut table).contains(&Report::Spawned {
        run: 1,
        pid: 100,
        streams: PIPES,
        started_ticks: 5
    }));
    table.ended(100, ExitStatus::Unknown, 0);
    assert_eq!(table.request(adopt(PIPES)), None, "its end is not undone");
}

#[test]
fn a_signal_that_was_sent_is_told_again_until_it_is_answered() {
    let mut table = Table::default();
    table.hand_over(0, false, false);
    [Signal::TERM, Signal::HUP, Signal::TERM].into_iter().for_each(|signal| {
        table.signal(signal);
        told(&mut table);
    });
    table.signal(Signal::HUP);
    table.request(Request::Taken);
    table.hand_over(1, false, false);
    let signals = |table: &mut Table| -> Vec<Report> {
        told(table).into_iter().filter(|report| matches!(report, Report::Signal { .. })).collect()
    };
    let [hup, term] = [Signal::HUP, Signal::TERM].map(|signal| Report::Signal { signal });
    assert_eq!(signals(&mut table), [hup, term], "each kind once, in the order in which they came");
    (0..2).for_each(|_| assert_eq!(table.request(Request::Taken), None));
    table.hand_over(2, false, false);
    assert_eq!(signals(&mut table), []);
}

#[test]
fn a_run_that_has_ended_is_told_with_its_end_when_it_is_asked_for_again() {
    let mut table = Table::default();
    table.spawned(1, 100, PIPES, 5);
    table.ended(100, ExitStatus::Code(4), 77);
    told(&mut table);
    assert_eq!(table.request(Request::Spawn { run: 1, streams: PIPES, held: 0 }), None);
    let end = Report::Exited { run: 1, status: ExitStatus::Code(4), at_ns: 77 };
    assert_eq!(told(&mut table).last(), Some(&end));
}
