//! `visorctl`: arguments, output, exit codes, and one file per verb in [`commands`].
//!
//! Must not decide anything about programs: a verb asks and shows. `visorctl check FILE` runs
//! [`commands::check`] and exits with one of the codes of [`exit`].

mod args;
pub mod commands;
pub mod exit;
pub mod output;

pub use args::main;
