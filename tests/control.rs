//! A user's own daemon as `visorctl` and other clients of its control sockets meet it: real processes on an account
//! of their own, whose `/run` and `/tmp` are directories of the test.
//!
//! `verbs` has what the client says, `race` how daemons come to be, `sockets` what happens to their sockets, `hostile`
//! who must not get in or in the way. Each test is named after a behaviour.

#[allow(dead_code, reason = "shared with the end-to-end tests, which use more of it")]
mod common;

#[path = "control/mod.rs"]
mod scenarios;
