//! Sockets that programs share: opened before the first, closed after the last.

use crate::core::testing::{Bench, group, program};
use crate::core::{Action, Core, Input, Request, Snapshot, SpawnError};
use crate::model::spec::{FcgiSocketSpec, ProcessSpec};
use crate::model::{Pid, ProcessId, State};
use std::sync::Arc;

const URL: &str = "unix:///s";
const FIRST: ProcessId = ProcessId(0);
const SECOND: ProcessId = ProcessId(1);

fn member(name: &str) -> ProcessSpec {
    let socket = FcgiSocketSpec { url: URL.to_owned(), backlog: None, owner: None, mode: Some(0o700) };
    ProcessSpec { socket: Some(Arc::new(socket)), ..program(name) }
}

/// Two programs that share a socket, both being prepared.
fn pair() -> Bench {
    Bench::fleet(vec![group("f", 999, vec![member("one"), member("two")])])
}

fn prepared(bench: &mut Bench, id: ProcessId) {
    let run = bench.run(id);
    bench.give(Input::Prepared { run, result: Ok(()) });
}

fn opened(bench: &mut Bench, result: Result<(), SpawnError>) {
    bench.give(Input::SocketOpened { url: URL.to_owned(), result });
}

fn spawned(bench: &mut Bench, id: ProcessId) {
    let run = bench.run(id);
    bench.give(Input::Spawned { run, pid: Pid(5000) });
}

/// What happened to the socket and to children, in a word each.
fn deeds(bench: &Bench) -> Vec<&'static str> {
    let word = |action: &Action| match action {
        Action::OpenSocket(_) => Some("open"),
        Action::CloseSocket(_) => Some("close"),
        Action::Spawn { .. } => Some("spawn"),
        _ => None,
    };
    bench.actions.iter().filter_map(word).collect()
}

#[test]
fn the_first_opens_it_the_second_waits_and_both_are_spawned() {
    let mut bench = pair();
    prepared(&mut bench, FIRST);
    assert_eq!((deeds(&bench), bench.lines()), (vec!["open"], vec!["Creating socket unix:///s"]));
    prepared(&mut bench, SECOND);
    assert_eq!(deeds(&bench), [] as [&str; 0]);
    opened(&mut bench, Ok(()));
    assert_eq!(deeds(&bench), ["spawn", "spawn"]);
}

#[test]
fn it_stays_open_while_one_has_it_and_is_closed_after_the_last() {
    let mut bench = pair();
    prepared(&mut bench, FIRST);
    opened(&mut bench, Ok(()));
    spawned(&mut bench, FIRST);
    prepared(&mut bench, SECOND);
    assert_eq!(deeds(&bench), ["spawn"]);
    spawned(&mut bench, SECOND);
    bench.pass_ms(1000);
    bench.exit_of(FIRST, 0);
    assert_eq!(deeds(&bench), [] as [&str; 0]);
    bench.exit_of(SECOND, 0);
    assert_eq!(deeds(&bench), ["close"]);
    assert!(bench.lines().contains(&"Closing socket unix:///s"));
}

#[test]
fn one_that_cannot_be_opened_is_a_failed_start_of_all_who_wait() {
    let mut bench = pair();
    prepared(&mut bench, FIRST);
    prepared(&mut bench, SECOND);
    let why = "cannot bind /s: Permission denied".to_owned();
    opened(&mut bench, Err(SpawnError::Socket { url: URL.to_owned(), why }));
    assert_eq!([FIRST, SECOND].map(|id| bench.state_of(id)), [State::Backoff; 2]);
    let told = "spawnerr: Could not create FastCGI socket unix:///s: cannot bind /s: Permission denied";
    assert_eq!(bench.lines(), [told, told]);
    // The next attempt tries it again.
    bench.pass_ms(1000);
    prepared(&mut bench, FIRST);
    assert_eq!(deeds(&bench), ["open"]);
}

#[test]
fn one_that_nobody_wants_any_more_when_it_is_open_is_closed() {
    let mut bench = pair();
    prepared(&mut bench, FIRST);
    for id in [FIRST, SECOND] {
        bench.ask(Request::Stop { process: id, wait: false });
    }
    opened(&mut bench, Ok(()));
    assert_eq!(deeds(&bench), ["close"]);
}

#[test]
fn one_that_was_held_over_a_death_is_used_on_and_closed_by_the_last() {
    let mut bench = pair();
    prepared(&mut bench, FIRST);
    opened(&mut bench, Ok(()));
    spawned(&mut bench, FIRST);
    let snapshot = bench.core.snapshot();
    let stored = Snapshot::from_records(snapshot.header, snapshot.records, snapshot.events);
    bench.core = Core::restore(bench.core.fleet(), stored, bench.now);
    opened(&mut bench, Ok(()));
    assert_eq!(deeds(&bench), [] as [&str; 0]);
    bench.give(Input::HandedOver);
    prepared(&mut bench, SECOND);
    assert_eq!(deeds(&bench), ["spawn"]);
}

#[test]
fn one_that_was_held_for_nobody_is_closed() {
    let mut bench = pair();
    opened(&mut bench, Ok(()));
    assert_eq!(deeds(&bench), ["close"]);
}
