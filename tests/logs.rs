//! Logs with real processes: a reactor that is killed with `kill -9` again and again, while programs write.
//!
//! The test binary starts itself in other roles: see [`roles`]. What must hold: every number that was written
//! is in the files, once, and no file ends in the midst of a line.

#[path = "logs/full.rs"]
mod full;
#[path = "logs/roles.rs"]
mod roles;
#[path = "logs/verify.rs"]
mod verify;

use roles::{Error, ROLE, Shared};
use std::process::Child;
use std::time::{Duration, Instant};

/// Deaths of the reactor in one test run; the slow ring asks for more by `VISOR_TEST_KILLS`.
const KILLS: u32 = 50;

/// How long anything may take before the test gives up.
const DEADLINE: Duration = Duration::from_secs(120);

/// The way into the other roles: in the test run itself there is no role, and nothing to do.
#[test]
fn role() -> Result<(), Error> {
    match std::env::var(ROLE) {
        Ok(role) => roles::play(&role),
        Err(error) => {
            assert_eq!(error, std::env::VarError::NotPresent);
            Ok(())
        }
    }
}

#[test]
fn nothing_is_lost_when_the_reactor_is_killed() -> Result<(), Error> {
    let kills = std::env::var("VISOR_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let dir = tempfile::tempdir()?;
    let shared = Shared::create(dir.path())?;
    let mut writers: Vec<Child> =
        roles::STREAMS.iter().map(|stream| shared.start_writer(stream)).collect::<Result<_, _>>()?;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut reactor = shared.start_reactor()?;
        let life = Duration::from_micros(4_000 + random % 50_000);
        let ended = roles::wait(&mut reactor, Instant::now() + life)?;
        assert_eq!(ended, None, "the reactor ended by itself");
        reactor.kill()?;
        reactor.wait()?;
    }
    std::fs::write(dir.path().join(roles::STOP), "")?;
    let mut last = shared.start_reactor()?;
    drop(shared);
    for child in writers.iter_mut().chain([&mut last]) {
        let status = roles::wait(child, Instant::now() + DEADLINE)?;
        assert!(status.is_some_and(|status| status.success()), "ended with {status:?}");
    }
    for stream in &roles::STREAMS {
        let count = std::fs::read_to_string(dir.path().join(stream.count_file()))?.parse()?;
        verify::numbers(&dir.path().join(stream.log), stream.letter, count)?;
    }
    let recovered = std::fs::read_to_string(dir.path().join(roles::RECOVERED))?;
    assert!(recovered.lines().count() > 3, "hardly any kill came at a bad moment: {recovered:?}");
    Ok(())
}

/// The limit on file sizes holds for a whole process, so the test has one of its own.
#[test]
fn a_full_disk_costs_whole_lines_and_is_marked() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let mut child = roles::command("full", dir.path())?.spawn()?;
    let status = roles::wait(&mut child, Instant::now() + DEADLINE)?;
    assert!(status.is_some_and(|status| status.success()), "ended with {status:?}");
    Ok(())
}
