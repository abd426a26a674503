//! From the first instruction to a keeper that runs: in the foreground, or detached by a launcher.

use super::keep::{Keeper, Outcome};
use crate::model::{Pid, Signal};
use crate::sys::process::{self, Alone, Forked};
use crate::sys::{fd, signals};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// Exit code when the system refuses what the keeper cannot do without.
const EXIT_SYSTEM: i32 = 1;

/// What a reactor is born with.
pub struct Start {
    /// Its connection to the keeper.
    pub keeper: OwnedFd,
    /// The keeper's process id: what users see and signal.
    pub keeper_pid: Pid,
}

/// Becomes the keeper, runs `reactor` in children of it, and returns the exit code of the daemon.
#[must_use]
pub fn launch(reactor: fn(Start) -> i32) -> i32 {
    match Keeper::new(reactor, None).map(Keeper::run) {
        Ok(Outcome::Exit(code)) => code,
        Ok(Outcome::Daemonize) => detach(reactor).unwrap_or_else(|why| complain(&why)),
        Err(why) => complain(&why),
    }
}

/// Becomes the keeper in the place of one that was lost; `socket` leads to the reactor that goes on.
#[must_use]
pub fn replace(reactor: fn(Start) -> i32, socket: OwnedFd, reactor_pid: Pid) -> i32 {
    match Keeper::replacing(reactor, socket, reactor_pid).map(Keeper::run) {
        Ok(Outcome::Exit(code)) => code,
        Ok(Outcome::Daemonize) => EXIT_SYSTEM,
        Err(why) => complain(&why),
    }
}

fn complain(why: &io::Error) -> i32 {
    eprintln!("visord: cannot start: {why}");
    EXIT_SYSTEM
}

/// Forks the real keeper into a session of its own, and waits until it is up or says why not.
fn detach(reactor: fn(Start) -> i32) -> io::Result<i32> {
    let (ready_read, ready_write) = fd::pipe()?;
    match Alone::claim()?.fork()? {
        Forked::Child => {
            drop(ready_read);
            process::new_session();
            let outcome = Keeper::new(reactor, Some(ready_write)).map(Keeper::run);
            let code = match outcome {
                Ok(Outcome::Exit(code)) => code,
                Ok(Outcome::Daemonize) => EXIT_SYSTEM,
                Err(why) => complain(&why),
            };
            std::process::exit(code)
        }
        Forked::Parent(_) => {
            drop(ready_write);
            // Ctrl-C ends the waiting, not the daemon: it has a session of its own.
            signals::reset_dispositions();
            let mut code = [0];
            match File::from(ready_read).read(&mut code)? {
                0 => Ok(EXIT_SYSTEM),
                _ => Ok(i32::from(code[0])),
            }
        }
    }
}

/// The signals that the keeper passes on, and the one that tells it of its children.
pub(super) const CAUGHT: [Signal; 7] =
    [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP, Signal::USR1, Signal::USR2, Signal::CHLD];
