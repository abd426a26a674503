//! What every way runs when its moment has come: it waits for the home, starts visord, and notes what came of it.
//!
//! Nobody looks on: it prints nothing but what went wrong, which cron mails and systemd logs. Example:
//! `visorctl boot run --method cron --await`.

use super::Method;
use super::record::{self, Outcome, Record};
use crate::api::v1;
use crate::cli::{Problem, Session, exit};
use crate::client::{Connection, launch, wait};
use crate::sys::ambient::Ambient;
use crate::sys::{clock, process};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a home is waited for: longer than a file server takes to come back after a power failure.
pub const PATIENCE: Duration = Duration::from_secs(3600);

/// The first pause between two looks for it, and the longest.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// The way whose moment it is.
    pub method: Option<Method>,
    /// Whether the configuration was there when the way was put into force, and so will be.
    pub await_configuration: bool,
    /// How long is waited.
    pub patience: Duration,
}

/// Starts visord unless it runs.
///
/// # Errors
/// When it may not be started, its home does not come, or it does not come up.
pub fn fire(session: &Session, firing: &Firing) -> Result<i32, Problem> {
    if std::env::var_os("VISOR_NO_SPAWN").is_some_and(|value| value == "1") {
        return Err(Problem::new(exit::REFUSED, "error: VISOR_NO_SPAWN=1 forbids to start visord"));
    }
    // A login shell that ends takes nothing along.
    process::new_session();
    let waited = await_place(&place(&Ambient::real(), firing)?, firing.patience)?;
    let ambient = Ambient::real();
    let result = start(session, &ambient, firing);
    if result.as_ref().is_err_and(|problem| problem.code == exit::REFUSED) {
        // The login shell of a batch job: nothing was tried.
        return result.map(|_| exit::OK);
    }
    let kept = record::keep(&ambient, &record(&ambient, firing, waited, &result));
    if let Err(why) = kept {
        session.screen.message(&format!("warning: boot status will not know of this start: {why}"));
    }
    result.map(|_| exit::OK)
}

/// Returns what must be there.
fn place(ambient: &Ambient, firing: &Firing) -> Result<PathBuf, Problem> {
    let place = if firing.await_configuration { ambient.config_root() } else { ambient.home() };
    place.ok_or_else(|| Problem::usage("error: there is no home directory: set HOME"))
}

/// Waits until a directory can be read, less and less often, and returns how long that took.
fn await_place(place: &Path, patience: Duration) -> Result<Duration, Problem> {
    let since = Instant::now();
    let mut pause = PAUSE;
    loop {
        let waited = since.elapsed();
        let Err(error) = fs::read_dir(place) else { return Ok(waited) };
        if waited >= patience {
            let text = format!(
                "error: visord is not started: {} was not there after {} s: {error}",
                place.display(),
                patience.as_secs()
            );
            return Err(Problem::new(exit::TIMED_OUT, text));
        }
        wait::pause(pause.min(patience - waited));
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Starts visord, and returns its pid and whether it was we who did.
fn start(session: &Session, ambient: &Ambient, firing: &Firing) -> Result<(i32, bool), Problem> {
    let places = session.places()?;
    let pid = |mut connection: Connection| -> Result<i32, Problem> {
        let version: v1::Version = connection.get(v1::path::VERSION)?;
        Ok(version.pid)
    };
    if let Ok(connection) = places.connect() {
        return Ok((pid(connection)?, false));
    }
    // The unit's own control group is what systemd ends when the unit is stopped.
    let is_unit = firing.method == Some(Method::Systemd);
    let launch = if is_unit { launch::launch_in_place } else { launch::launch };
    let (connection, was_started) = session.start_silently(&places, false, ambient, launch)?;
    Ok((pid(connection)?, was_started))
}

fn record(
    ambient: &Ambient,
    firing: &Firing,
    waited: Duration,
    result: &Result<(i32, bool), Problem>,
) -> Record {
    let (outcome, pid, text) = match result {
        Ok((pid, true)) => (Outcome::Started, *pid, String::new()),
        Ok((pid, false)) => (Outcome::AlreadyRunning, *pid, String::new()),
        Err(problem) => (Outcome::Failed, 0, problem.text.clone()),
    };
    Record {
        boot: record::this_boot(ambient),
        method: firing.method.map(|method| method.name().to_owned()).unwrap_or_default(),
        at: clock::wall().secs(),
        // Less than the first pause is no waiting.
        waited_ms: if waited < PAUSE { 0 } else { waited.as_millis() as u64 },
        outcome,
        pid,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_comes_late_is_waited_for_and_one_that_never_comes_is_told() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let late = dir.path().join("home/.config/visor");
        let maker = late.clone();
        let thread = std::thread::spawn(move || fs::create_dir_all(maker));
        assert!(await_place(&late, Duration::from_secs(60)).is_ok());
        assert!(thread.join().is_ok_and(|made| made.is_ok()));
        let never = await_place(&dir.path().join("never"), Duration::from_millis(20));
        assert!(never.is_err_and(
            |problem| problem.code == exit::TIMED_OUT && problem.text.contains("never was not there")
        ));
        Ok(())
    }
}
