//! Every sentence of the doctor, from made-up facts: this is what people act on.
//!
//! They stand in `tests/golden/doctor.txt`, to be reviewed as the texts they are; `UPDATE=1 cargo test --lib doctor`
//! writes it anew.

mod cases;

use super::facts::{Config, Reached};
use super::*;
use crate::api::v1::{Daemon, LoginDrift};
use crate::cli::boot::survey::{Row as BootRow, State as BootState};
use crate::cli::boot::{Method, Starts};
use crate::sys::facts as machine;
use crate::sys::facts::kernel::{Cgroup, Clock, Kernel};
use crate::sys::facts::limits::{Limits, Watches};
use crate::sys::facts::storage::{Place, State, Storage};
use jiff::tz::TimeZone;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/doctor.txt");

/// A check, what is special, and how facts that are fine are changed to it.
type Case = (&'static str, &'static str, fn(&mut Facts));

/// A machine and a daemon on which there is nothing to say.
fn fine() -> Facts {
    let storage = Storage {
        home: Some(Place { path: "/home/ada".into(), network: None }),
        state: State {
            path: "/home/ada/.local/state/visor".into(),
            free_bytes: Some(50 << 30),
            free_files: Some(1_000_000),
            trouble: None,
        },
        usable: vec!["/run/user/1000/visor".into()],
        ..Storage::default()
    };
    let limits = Limits {
        files: (1024, 524_288),
        processes: (60_000, 60_000),
        tasks: Some(100),
        pipe_pages: Some(16_384),
        watches: Watches { trouble: None, files_max: Some(192_536), watchers_max: Some(128) },
        group: None,
    };
    let controllers = ["cpu", "memory", "pids"].map(str::to_owned).to_vec();
    let kernel = Kernel {
        landlock: Some(7),
        cgroup: Cgroup { unified: true, writable: true, controllers },
        clock: Clock { synchronized: Some(true), asleep_s: 0 },
    };
    Facts {
        machine: machine::Facts {
            uid: 1000,
            user: "ada".into(),
            storage,
            limits,
            kernel,
            ..machine::Facts::default()
        },
        daemon: Reached::Here { daemon: Box::new(daemon()), processes: 12 },
        config: Config { name: "/home/ada/.config/visor".into(), processes: 12, ..Config::default() },
        login: Some(Ok(LoginDrift { users: vec!["web".into()], ..LoginDrift::default() })),
        boot: Some(boot()),
        visord: "/b/visord".into(),
        version: "1.2.3".into(),
        client: "visorctl ".into(),
        start: "visorctl daemon start".into(),
        restart: "visorctl daemon restart".into(),
        clock_set_s: 0.2,
        zone: TimeZone::UTC,
    }
}

/// Ways to be started, one of them in force.
fn boot() -> Vec<BootRow> {
    let row = |method, title: &str, state, starts, text: &str| BootRow {
        method,
        title: title.to_owned(),
        state,
        possible: text.is_empty(),
        starts: text.is_empty().then_some(starts),
        text: text.to_owned(),
    };
    vec![
        row(Method::Systemd, "a systemd user unit", BootState::Off, Starts::Boot, "no lingering: ask"),
        row(Method::Cron, "cron @reboot", BootState::InForce, Starts::Boot, ""),
        row(Method::Login, "a login hook of zsh", BootState::Off, Starts::Login, ""),
    ]
}

fn daemon() -> Daemon {
    let mut daemon = Daemon {
        pid: 42,
        version: "1.2.3".into(),
        started_unix: 1_700_465_580.0,
        sockets: vec!["/run/user/1000/visor/default.sock".into(), "/tmp/visor-1000/default.sock".into()],
        ..Daemon::default()
    };
    daemon.config.file = "/home/ada/.config/visor".into();
    daemon.config.since_unix = daemon.started_unix;
    daemon
}

fn judged(name: &str, facts: &Facts) -> Option<Finding> {
    examine(facts).into_iter().find(|row| row.name == name).map(|row| row.finding)
}

fn written(finding: Option<&Finding>) -> String {
    match finding {
        None => "no row\n".to_owned(),
        Some(Finding { verdict, what, advice }) if advice.is_empty() => {
            format!("{}: {what}\n", verdict.name())
        }
        Some(Finding { verdict, what, advice }) => format!("{}: {what}\n-> {advice}\n", verdict.name()),
    }
}

#[test]
fn every_sentence_is_as_it_was_reviewed() {
    let mut text = String::new();
    for check in &CHECKS {
        let finding = judged(check.name, &fine());
        text.push_str(&format!("# {}: fine\n{}\n", check.name, written(finding.as_ref())));
        for (_, label, change) in cases::all().iter().filter(|(name, ..)| *name == check.name) {
            let mut facts = fine();
            change(&mut facts);
            text.push_str(&format!("# {}: {label}\n", check.name));
            text.push_str(&format!("{}\n", written(judged(check.name, &facts).as_ref())));
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &text).expect("the golden file can be written");
    }
    let reviewed = std::fs::read_to_string(FILE).expect("the golden file can be read");
    let differing = text.lines().zip(reviewed.lines()).find(|(now, before)| now != before);
    assert_eq!(differing, None, "now, and as reviewed in {FILE}");
    assert_eq!(text.len(), reviewed.len());
}

#[test]
fn where_all_is_fine_there_is_nothing_to_say() {
    for row in examine(&fine()) {
        assert_eq!((row.finding.verdict, row.finding.advice.as_str()), (Verdict::Ok, ""), "{}", row.name);
    }
}

#[test]
fn every_check_has_cases_and_every_case_its_check() {
    for check in &CHECKS {
        assert!(cases::all().iter().any(|(name, ..)| *name == check.name), "{}", check.name);
        assert_eq!(CHECKS.iter().filter(|other| other.name == check.name).count(), 1, "{}", check.name);
        assert!(!check.found_by.is_empty());
    }
    for (name, label, _) in cases::all() {
        assert!(CHECKS.iter().any(|check| check.name == name), "{name}: {label}");
    }
}

#[test]
fn a_problem_always_comes_with_what_to_do() {
    for (name, label, change) in cases::all() {
        let mut facts = fine();
        change(&mut facts);
        for row in examine(&facts).iter().filter(|row| row.finding.verdict >= Verdict::Warning) {
            assert!(!row.finding.advice.is_empty(), "{name}: {label}: {row:?}");
        }
    }
}

#[test]
fn the_arithmetic_is_the_daemons_own() {
    use crate::daemon::limits as own;
    assert_eq!((limits::FDS_PER_PROGRAM, limits::OWN_FDS), (own::FDS_PER_PROGRAM, own::OWN_FDS));
}
