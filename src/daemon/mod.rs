//! The imperative shell around the core: it turns readiness into inputs and actions into system calls.
//!
//! Nothing is decided here. One turn of the loop ([`reactor`]) polls, hands what happened to the core, and
//! carries out its actions ([`effects`], one arm each); what fails becomes an input of the next turn. Example:
//! `visor::daemon::main()` is all that `visord`'s main calls.

mod activate;
mod auto_logs;
mod binding;
mod boot;
mod command;
mod conditions;
mod config_sources;
mod config_watch;
mod control;
mod effects;
mod environ;
mod event_store;
mod flapping;
mod history;
mod hot_reload;
mod image;
pub mod instance;
mod keeper_loss;
pub(crate) mod limits;
mod link;
mod listeners;
pub mod login_env;
pub mod options;
mod outcome;
mod pidfile;
mod places;
mod reactor;
mod reload;
mod reports;
mod resume;
mod runs;
mod servers;
mod share;
mod shared_sockets;
mod shown;
mod socket_watch;
pub mod sockets;
mod store;
mod sweep;
mod visitors;

use crate::config;
use crate::keeper;
use crate::model::{Pid, getopt};
use crate::sys::fd;
use std::io::Write;

/// The name under which a configuration to begin with is printed, and nothing else done.
const ECHO_NAME: &str = "echo_supervisord_conf";

/// First word of the command line of a keeper that takes the place of a lost one.
const REPLACE_WORD: &str = "--visor-replace-keeper";

/// Runs the daemon and returns its exit code (`outcome.rs` has the table).
#[must_use]
pub fn main() -> i32 {
    let program = std::env::args_os().next().unwrap_or_default();
    match getopt::base_name(&program.to_string_lossy()) {
        ECHO_NAME => {
            print_sample();
            return outcome::OK;
        }
        // Its words mean something else, and none would start a daemon.
        name @ ("supervisorctl" | "visorctl") => {
            let text = format!("Error: this is visord; link {name} to visorctl");
            drop(writeln!(std::io::stderr(), "{text}"));
            return outcome::USAGE;
        }
        _ => {}
    }
    let words: Vec<_> = std::env::args_os().skip(1).take(3).collect();
    if words.first().is_some_and(|word| word == REPLACE_WORD) {
        let number = |at: usize| words.get(at)?.to_str()?.parse::<i32>().ok();
        let socket = number(1).and_then(|socket| fd::adopt(socket).ok());
        return match socket.zip(number(2)) {
            Some((socket, reactor)) => keeper::replace(boot::run, socket, Pid(reactor)),
            None => outcome::USAGE,
        };
    }
    keeper::launch(boot::run)
}

/// Prints a configuration to begin with; whoever stops reading in its middle (`| head`) has enough.
fn print_sample() {
    drop(std::io::stdout().write_all(config::sample::TEXT.as_bytes()));
}

/// Returns the words of the command line that are the user's.
fn user_words() -> Vec<String> {
    let mut words: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if words.get(1).is_some_and(|word| word == REPLACE_WORD) {
        words.drain(1..words.len().min(4));
    }
    words
}
