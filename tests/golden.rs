//! The whole table of transitions, rendered from the code and reviewed like a specification.
//!
//! For every state and every input: the state after it, and what is done. A change of behaviour shows as a
//! difference of `tests/golden/transitions.txt`; `UPDATE=1 cargo test --test golden` writes it anew.

#[path = "golden/bench.rs"]
mod bench;
#[path = "sim/program.rs"]
mod program;

use bench::Bench;
use std::fmt::Write;
use visor::core::{Input, Reply, Request, SpawnError};
use visor::model::spec::{AutoRestart, FleetSpec};
use visor::model::{ExitStatus, Pid, RunId, Signal, Time};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/transitions.txt");

const HEAD: &str = "\
# Every state and every input: the state after it, and what is done.
# One program: autorestart=true startsecs=1 startretries=3 stopwaitsecs=10, kill_mode=mixed.
# Changes that clients see are in capitals; what is stored is left out.
# Written by: UPDATE=1 cargo test --test golden
";

/// A state by name, and how to get there.
type Row = (&'static str, fn() -> Bench);

/// An input by name, and what it is for a run.
type Column = (&'static str, fn(RunId) -> Input);

const STATES: &[Row] = &[
    ("STOPPED", || Bench::idle()),
    ("STOPPED, checking the command", || Bench::idle().then(start)),
    ("STARTING, queued", || Bench::short().running().told(exited(1)).told(swept(0))),
    ("STARTING, preparing", || Bench::booted()),
    ("STARTING, spawning", || Bench::booted().told(prepared)),
    ("STARTING, up", || Bench::booted().told(prepared).told(spawned)),
    ("RUNNING", || Bench::booted().running()),
    ("BACKOFF", || Bench::booted().told(not_found)),
    ("BACKOFF, before the last attempt", || {
        Bench::booted().told(not_found).at_deadline().told(not_found).at_deadline().told(not_found)
    }),
    ("STARTING, last attempt", || {
        let bench = Bench::booted().told(not_found).at_deadline().told(not_found).at_deadline();
        bench.told(not_found).at_deadline()
    }),
    ("BACKOFF, sweeping", || Bench::booted().told(prepared).told(spawned).told(exited(1))),
    ("BACKOFF, for want of processes", || Bench::booted().told(prepared).told(no_processes)),
    ("STOPPING, child not spawned yet", || Bench::booted().told(prepared).then(stop)),
    ("STOPPING, asked", || Bench::booted().running().then(stop)),
    ("STOPPING, to be restarted", || Bench::booted().running().then(restart)),
    ("STOPPING, killed", || Bench::booted().running().then(stop).at_deadline()),
    ("STOPPING, sweeping", || Bench::booted().running().then(stop).told(exited(0))),
    ("STOPPING, sweep killed", || Bench::booted().running().then(stop).told(exited(0)).at_deadline()),
    ("EXITED", || Bench::once().running().told(exited(0)).told(swept(0))),
    ("EXITED, processes left", || Bench::once().running().told(exited(0)).told(swept(2))),
    ("EXITED, sweeping before a restart", || Bench::booted().running().told(exited(1))),
    ("EXITED, restart held back", || Bench::hot()),
    ("FATAL", || Bench::hopeless()),
    ("UNKNOWN, wanted", || Bench::booted().running().told(signal_failed)),
    ("UNKNOWN, not wanted", || Bench::booted().running().then(stop).told(signal_failed)),
];

const INPUTS: &[Column] = &[
    ("start, waiting", |_| start()),
    ("start, not waiting", |_| request(Request::Start { process: bench::WEB, wait: false })),
    ("restart, waiting", |_| restart()),
    ("stop, waiting", |_| stop()),
    ("stop, not waiting", |_| request(Request::Stop { process: bench::WEB, wait: false })),
    ("signal USR1", |_| request(Request::Signal { process: bench::WEB, signal: Signal::USR1 })),
    ("prepared", prepared),
    ("prepared: command not found", not_found),
    ("prepared: logs cannot be opened", |run| {
        let error = SpawnError::Dispatchers { name: "web".to_owned(), errno: "ENOENT".to_owned() };
        Input::Prepared { run, result: Err(error) }
    }),
    ("spawned", spawned),
    ("spawn failed: EAGAIN", no_processes),
    ("exited, expected", exited(0)),
    ("exited, not expected", exited(1)),
    ("swept, none left", swept(0)),
    ("swept, two left", swept(2)),
    ("signal failed: EPERM", signal_failed),
    ("news of an older run", |_| Input::Exited { run: RunId(0), status: ExitStatus::Code(0), at: Time(0) }),
    ("daemon gets TERM", |_| Input::Signal(Signal::TERM)),
    ("daemon gets HUP", |_| Input::Signal(Signal::HUP)),
    ("removed from the configuration", |_| Input::FleetLoaded(FleetSpec::default())),
];

fn request(request: Request) -> Input {
    bench::request(request)
}

fn start() -> Input {
    request(Request::Start { process: bench::WEB, wait: true })
}

fn restart() -> Input {
    request(Request::Restart { process: bench::WEB, wait: true })
}

fn stop() -> Input {
    request(Request::Stop { process: bench::WEB, wait: true })
}

fn prepared(run: RunId) -> Input {
    Input::Prepared { run, result: Ok(()) }
}

fn not_found(run: RunId) -> Input {
    Input::Prepared { run, result: Err(SpawnError::NotFound("web".to_owned())) }
}

fn spawned(run: RunId) -> Input {
    Input::Spawned { run, pid: Pid(42) }
}

fn no_processes(run: RunId) -> Input {
    Input::SpawnFailed { run, error: SpawnError::TooManyProcesses("web".to_owned()) }
}

const fn exited(code: u8) -> fn(RunId) -> Input {
    match code {
        0 => |run| Input::Exited { run, status: ExitStatus::Code(0), at: Time(0) },
        _ => |run| Input::Exited { run, status: ExitStatus::Code(1), at: Time(0) },
    }
}

const fn swept(left: u32) -> fn(RunId) -> Input {
    match left {
        0 => |run| Input::Swept { run, left: 0 },
        _ => |run| Input::Swept { run, left: 2 },
    }
}

fn signal_failed(run: RunId) -> Input {
    Input::SignalFailed { run, errno: "EPERM".to_owned() }
}

fn render() -> String {
    let mut text = HEAD.to_owned();
    for (name, reach) in STATES {
        let _ = write!(text, "\n{name}  [{}]\n", reach().state());
        let inputs = INPUTS.iter().map(|(input, of)| (*input, reach().told(of)));
        let time = reach().deadline().map(|_| ("its time comes", reach().at_deadline()));
        let nothing = format!("  ->  {}\n", reach().state());
        // Inputs that lead to the same are shown together, in the place of the first.
        let mut outcomes: Vec<(Vec<&str>, String)> = Vec::new();
        for (input, bench) in inputs.chain(time) {
            let done = bench.done.iter().fold(String::new(), |text, line| text + "      " + line + "\n");
            let outcome = format!("  ->  {}\n{done}", bench.state());
            match outcomes.iter_mut().find(|row| row.1 == outcome) {
                Some((inputs, _)) => inputs.push(input),
                None => outcomes.push((vec![input], outcome)),
            }
        }
        for (inputs, outcome) in outcomes.iter().filter(|row| row.1 != nothing) {
            let _ = write!(text, "  {}{outcome}", inputs.join("; "));
        }
        for (inputs, _) in outcomes.iter().filter(|row| row.1 == nothing) {
            let _ = writeln!(text, "  {}  ->  nothing", inputs.join("; "));
        }
    }
    text
}

#[test]
fn the_table_of_transitions_is_the_reviewed_one() {
    let now = render();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &now).expect("the golden file can be written");
    }
    let reviewed = std::fs::read_to_string(FILE).expect("the golden file can be read");
    let differs = now.lines().zip(reviewed.lines()).position(|(now, reviewed)| now != reviewed);
    let line = differs.map_or(now.lines().count().min(reviewed.lines().count()), |line| line);
    assert!(
        now == reviewed,
        "{FILE}:{}: reviewed {:?}, now {:?}; review it and run UPDATE=1 cargo test --test golden",
        line + 1,
        reviewed.lines().nth(line),
        now.lines().nth(line),
    );
}

#[test]
fn every_state_is_reached_as_it_is_named() {
    for (name, reach) in STATES {
        let shown = name.split(',').next().unwrap_or(name);
        assert_eq!(reach().shown().name(), shown, "{name}");
    }
    let answered = Bench::booted().running().then(start);
    assert!(answered.done.contains(&format!("reply {:?}", Reply::AlreadyStarted)));
    assert_eq!(bench::policy(), AutoRestart::True);
}
