//! visorctl as its users meet it: the real program, against a daemon that is a thread of the test.
//!
//! The thread speaks HTTP with the types of `visor::api`, so what is tested is what travels. Every verb times every
//! state is rendered into `tests/golden/visorctl.txt`; `UPDATE=1 cargo test --test cli` writes it anew.

#[allow(dead_code, reason = "shared with the end-to-end tests, which use more of it")]
mod common;

#[path = "cli/absence.rs"]
mod absence;
#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/configuration.rs"]
mod configuration;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/editing.rs"]
mod editing;
#[path = "cli/logs.rs"]
mod logs;
#[path = "cli/making.rs"]
mod making;
#[path = "cli/server.rs"]
mod server;
#[path = "cli/shells.rs"]
mod shells;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/verbs.rs"]
mod verbs;
#[path = "cli/world.rs"]
mod world;
