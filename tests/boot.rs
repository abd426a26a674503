//! `visorctl boot` with the real counterparts: a cron daemon, a user manager of systemd, login shells; and launchctl as
//! a script, because there is no Mac here.
//!
//! Each test has a machine of its own, a pid and mount namespace that can be rebooted; that needs root.

#[allow(dead_code, reason = "shared with the end-to-end tests, which use more of it")]
mod common;

#[path = "boot/cron.rs"]
mod cron;
#[path = "boot/hooks.rs"]
mod hooks;
#[path = "boot/launchd.rs"]
mod launchd;
#[path = "boot/machine.rs"]
mod machine;
#[path = "boot/openrc.rs"]
mod openrc;
#[path = "boot/systemd.rs"]
mod systemd;
