//! What the kernel can do for programs here, the clock, and what only a Mac has.

use super::verdict::some_of;
use super::{Facts, Finding};
use crate::sys::facts::kernel::{Cgroup, Clock};
use std::path::Path;

/// Seconds by which a clock may be set without a word: starting takes some, and time servers correct a little.
const CLOCK_SET_MIN_S: f64 = 30.0;

/// Seconds of sleep that are told.
const ASLEEP_MIN_S: u64 = 60;

/// What a control group needs so that limits of memory can be held.
const MEMORY: &str = "memory";

pub(super) fn cgroup(facts: &Facts) -> Option<Finding> {
    if facts.machine.mac.is_some() {
        return None;
    }
    let Cgroup { unified, writable, controllers } = &facts.machine.kernel.cgroup;
    let user = &facts.machine.user;
    let cannot = "the kernel cannot be told to limit a program with all that it starts";
    let ask = format!(
        "where you need that, ask your administrator for Delegate=cpu memory pids in user@.service, and lingering of {user}"
    );
    Some(match (unified, writable) {
        (false, _) => Finding::note(format!("{cannot}: there are no control groups of version 2")),
        (true, false) => {
            Finding::note(format!("{cannot}: the control group is not delegated to you")).advice(ask)
        }
        (true, true) if !controllers.iter().any(|name| name == MEMORY) => {
            let had =
                if controllers.is_empty() { "nothing".to_owned() } else { controllers.join(" ") + " only" };
            Finding::note(format!("the control group is yours, but can limit {had}")).advice(ask)
        }
        (true, true) => {
            Finding::ok(format!("the control group is yours, and can limit {}", controllers.join(" ")))
        }
    })
}

pub(super) fn landlock(facts: &Facts) -> Option<Finding> {
    if facts.machine.mac.is_some() {
        return None;
    }
    Some(match facts.machine.kernel.landlock {
        Some(version) => Finding::ok(format!("programs can be kept from paths (Landlock, version {version})")),
        None => Finding::note("programs cannot be kept from paths: this kernel has no Landlock, or it is switched off")
            .advice(
                "where you need that, ask your administrator for Linux 5.13 or later with landlock among its lsm=",
            ),
    })
}

pub(super) fn clock(facts: &Facts) -> Option<Finding> {
    let Clock { synchronized, asleep_s } = &facts.machine.kernel.clock;
    let set = facts.clock_set_s;
    Some(if set.abs() >= CLOCK_SET_MIN_S {
        let way = if set > 0.0 { "forward" } else { "back" };
        Finding::note(format!(
            "the clock was set {way} by {:.0} s since visord was started: times in older lines of logs are off by that, \
             waiting times are not",
            set.abs()
        ))
    } else if *synchronized == Some(false) {
        Finding::note(
            "nobody keeps this machine's clock right: times in logs may be off, waiting times are not",
        )
        .advice("ask your administrator for time synchronisation (systemd-timesyncd, chrony, ntpd)")
    } else if *asleep_s >= ASLEEP_MIN_S {
        let minutes = asleep_s / 60;
        Finding::note(format!(
            "this machine was asleep for {minutes} min since it was booted: programs stand still then"
        ))
    } else if *synchronized == Some(true) {
        Finding::ok("the clock is kept right, and was not set while visord ran")
    } else {
        Finding::ok("the clock was not set while visord ran")
    })
}

pub(super) fn session(facts: &Facts) -> Option<Finding> {
    let mac = facts.machine.mac.as_ref()?;
    Some(match mac.manager.as_str() {
        "Aqua" if mac.is_remote => {
            Finding::note("this session came over ssh: the login keychain may be locked in it")
                .advice("security unlock-keychain, where programs need its secrets")
        }
        "Aqua" => Finding::ok("this is a session with windows: programs reach the keychain and the screen"),
        other => {
            let kind = if other.is_empty() { String::new() } else { format!(" ({other})") };
            Finding::note(format!(
                "this is a session without windows{kind}: programs that are started from here reach neither the screen nor \
                 the login keychain"
            ))
            .advice("start visord from Terminal on the machine itself, where programs need these")
        }
    })
}

pub(super) fn privacy(facts: &Facts) -> Option<Finding> {
    let mac = facts.machine.mac.as_ref()?;
    let is_guarded = |path: &&Path| mac.guarded.iter().any(|folder| path.starts_with(folder));
    let paths = facts.config.places.iter().map(std::path::PathBuf::as_path).filter(is_guarded);
    let mut shown: Vec<String> = paths.map(|path| path.display().to_string()).collect();
    shown.dedup();
    if shown.is_empty() {
        return Some(Finding::ok("no program lies in a folder that macOS guards"));
    }
    let what = format!(
        "macOS guards {}: programs there fail with \"Operation not permitted\" until you agree",
        some_of(&shown)
    );
    let advice = format!(
        "System Settings, Privacy & Security, Files and Folders (or Full Disk Access): allow {}; or move the files",
        facts.visord.display()
    );
    Some(Finding::warning(what).advice(advice))
}
