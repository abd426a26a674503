//! Visor: supervisord without the superuser.
//!
//! One library behind two thin binaries, `visord` (the daemon) and `visorctl` (the client). The core
//! decides, the shell acts: `core` is a pure state machine, `daemon` carries out what it decides, `keeper`
//! is the small parent of every program, and `sys` holds every system call that is not safe Rust.
//! `ARCHITECTURE.md` has the map, and `tests/tidy.rs` enforces which module may import which.

pub mod api;
pub mod cli;
pub mod client;
pub mod config;
pub mod core;
pub mod daemon;
pub mod keeper;
pub mod logs;
pub mod model;
#[allow(unsafe_code)]
pub mod sys;
