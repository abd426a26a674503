//! The daemon as its users meet it: real processes, real files, real signals.
//!
//! `promises` has what it does for them, `faults` what the machine does to it, `security` what a hostile neighbour
//! does. Each test is named after a behaviour.

mod common;

mod faults;
#[path = "e2e/mod.rs"]
mod promises;
mod security;
