//! Having visord started at boot, or at least at login, without root: the ways there are, and which is really allowed.
//!
//! One file a way, behind [`Way`]; the texts that they install are those of `packaging/`. Must not know how `visorctl
//! boot` talks about it, that is [`super::commands::boot`]. Example: `survey::survey(&machine)` has a row for each way,
//! best first, and `choose::enable(&machine, None)` puts the best into force.

mod autostart;
mod block;
pub mod choose;
mod cron;
mod files;
pub mod fire;
mod launchd;
mod login;
pub mod machine;
mod openrc;
pub mod record;
pub mod survey;
mod systemd;
mod template;
pub mod tool;

use machine::Machine;
use serde::Serialize;

/// A way to have visord started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A unit of the user's service manager, which itself starts at boot (lingering).
    Systemd,
    /// An agent of macOS.
    Launchd,
    /// A line of the user's crontab.
    Cron,
    /// A user service of OpenRC.
    Openrc,
    /// A hook in the files of the login shell.
    Login,
    /// An entry of the desktop.
    Autostart,
}

/// When a way starts visord, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Starts {
    /// When the machine starts.
    Boot,
    /// When the user logs in for the first time.
    Login,
}

impl Starts {
    /// Returns words that follow "starts visord".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Starts::Boot => "at boot",
            Starts::Login => "at your next login",
        }
    }
}

/// Whether a way is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing of it is there.
    Off,
    /// It will start visord then.
    InForce(Starts),
    /// It is there and will not work, with the reason.
    Broken(String),
}

/// A way: whether it is allowed here, and how it is put into force and taken away.
pub trait Way {
    /// Which one it is.
    fn method(&self) -> Method;

    /// Returns how people call it.
    fn title(&self, machine: &Machine) -> String;

    /// Returns what it would do here, found out without changing anything.
    ///
    /// # Errors
    /// Why it cannot be used, and whom to ask where somebody can change that.
    fn offers(&self, machine: &Machine) -> Result<Starts, String>;

    /// Puts it into force. `insist`: the user named it, so that less than a start at boot will do.
    ///
    /// # Errors
    /// Why not; then nothing of it is left.
    fn enable(&self, machine: &Machine, insist: bool) -> Result<(), String>;

    /// Takes away what [`Way::enable`] made, and tells whether there was something.
    ///
    /// # Errors
    /// What is left, and why.
    fn disable(&self, machine: &Machine) -> Result<bool, String>;

    /// Returns whether it is in force now.
    fn standing(&self, machine: &Machine) -> Standing;

    /// Returns what the user should know of it when it is in force.
    fn remark(&self, _machine: &Machine) -> Option<String> {
        None
    }
}

/// Every way, best first: the service manager of the system, then what only starts things. A login shell comes before
/// a desktop, because whoever has a desktop may come by ssh, and who comes by ssh has no desktop.
#[must_use]
pub fn ways() -> [&'static dyn Way; 6] {
    [&systemd::Systemd, &launchd::Launchd, &cron::Cron, &openrc::Openrc, &login::Login, &autostart::Autostart]
}

impl Method {
    /// Returns the name by which it is chosen.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Systemd => "systemd",
            Method::Launchd => "launchd",
            Method::Cron => "cron",
            Method::Openrc => "openrc",
            Method::Login => "login",
            Method::Autostart => "autostart",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_method_has_one_way_and_one_name() {
        for method in Method::value_variants() {
            assert_eq!(ways().iter().filter(|way| way.method() == *method).count(), 1, "{method:?}");
            let known = method.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(known.as_deref(), Some(method.name()));
            assert_eq!(serde_json::to_value(method).ok(), Some(method.name().into()));
        }
        assert_eq!(ways().len(), Method::value_variants().len());
    }
}
