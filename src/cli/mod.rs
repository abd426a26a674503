//! `visorctl`: arguments, output, exit codes, and one file per verb in [`commands`].
//!
//! Must not decide anything about programs: a verb asks and shows. `visorctl start web` runs
//! [`commands::start`] and exits with one of the codes of [`exit`]. Called by another name it is another program:
//! [`supervisorctl`], [`pidproxy`].

mod args;
mod ask;
pub mod boot;
pub mod commands;
mod completion;
pub mod doctor;
pub mod escape;
pub mod exit;
pub mod explain;
mod follow;
mod happened;
#[cfg(test)]
mod manual_tests;
mod merge;
pub mod output;
mod own_config;
pub mod pidproxy;
mod problem;
mod program_file;
mod replace;
mod report;
mod session;
mod since;
pub mod supervisorctl;
mod survival;
mod table;
mod trash;
mod waiting;
mod watch;
mod whereabouts;

pub use args::main;
pub use problem::{Outcome, Problem};
pub use session::Session;
