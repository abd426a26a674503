//! visord beside supervisord, as the real clients of supervisord see both: the same session with each, and the same
//! answers.
//!
//! The counterparts come from the Python environment that `tests/run` makes. Each test is named after a behaviour.

#[allow(dead_code, reason = "shared with the end-to-end tests, which use more of it")]
mod common;

#[path = "compat/mod.rs"]
mod scenarios;
