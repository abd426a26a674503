//! Signals by number and name: one table for the configuration, the log and the programs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A signal number of this platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signal(pub i32);

macro_rules! same_everywhere {
    ($($name:ident = $number:literal),+ $(,)?) => {
        #[allow(missing_docs, reason = "the names are signal(7)'s")]
        impl Signal {
            $(pub const $name: Signal = Signal($number);)+
        }
        const COMMON: &[(&str, i32)] = &[$((concat!("SIG", stringify!($name)), $number)),+];
    };
}

same_everywhere!(
    HUP = 1,
    INT = 2,
    QUIT = 3,
    ILL = 4,
    TRAP = 5,
    ABRT = 6,
    FPE = 8,
    KILL = 9,
    SEGV = 11,
    PIPE = 13,
    ALRM = 14,
    TERM = 15,
    TTIN = 21,
    TTOU = 22,
    XCPU = 24,
    XFSZ = 25,
    VTALRM = 26,
    PROF = 27,
    WINCH = 28,
);

#[cfg(target_os = "linux")]
const PLATFORM: &[(&str, i32)] = &[
    ("SIGBUS", 7),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGSTKFLT", 16),
    ("SIGCHLD", 17),
    ("SIGCONT", 18),
    ("SIGSTOP", 19),
    ("SIGTSTP", 20),
    ("SIGURG", 23),
    ("SIGIO", 29),
    ("SIGPWR", 30),
    ("SIGSYS", 31),
    ("SIGRTMIN", 34),
    ("SIGRTMAX", 64),
    // Second names of numbers above: they parse, and are never shown.
    ("SIGCLD", 17),
    ("SIGPOLL", 29),
    ("SIGIOT", 6),
];

#[cfg(not(target_os = "linux"))]
const PLATFORM: &[(&str, i32)] = &[
    ("SIGEMT", 7),
    ("SIGBUS", 10),
    ("SIGSYS", 12),
    ("SIGURG", 16),
    ("SIGSTOP", 17),
    ("SIGTSTP", 18),
    ("SIGCONT", 19),
    ("SIGCHLD", 20),
    ("SIGIO", 23),
    ("SIGINFO", 29),
    ("SIGUSR1", 30),
    ("SIGUSR2", 31),
    // Second name of a number above: it parses, and is never shown.
    ("SIGIOT", 6),
];

impl Signal {
    /// SIGUSR1, whose number differs between platforms.
    pub const USR1: Signal = Signal(if cfg!(target_os = "linux") { 10 } else { 30 });
    /// SIGUSR2, whose number differs between platforms.
    pub const USR2: Signal = Signal(if cfg!(target_os = "linux") { 12 } else { 31 });
    /// SIGCHLD, whose number differs between platforms.
    pub const CHLD: Signal = Signal(if cfg!(target_os = "linux") { 17 } else { 20 });
    /// SIGCONT, whose number differs between platforms.
    pub const CONT: Signal = Signal(if cfg!(target_os = "linux") { 18 } else { 19 });
    /// SIGSTOP, whose number differs between platforms.
    pub const STOP: Signal = Signal(if cfg!(target_os = "linux") { 19 } else { 17 });

    /// Returns the table of names with their numbers, canonical names first.
    pub fn table() -> impl Iterator<Item = (&'static str, i32)> {
        COMMON.iter().chain(PLATFORM).copied()
    }

    /// Returns the signal called `name`: with or without `SIG`, in any case.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Signal> {
        let upper = name.to_ascii_uppercase();
        let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
        Signal::table().find(|(known, _)| *known == full).map(|(_, number)| Signal(number))
    }

    /// Returns the signal that people mean by a name or a number, blanks around it or not, if this platform has it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Signal> {
        let text = text.trim();
        let by_number = text.parse().ok().map(Signal).filter(|signal| signal.name().is_some());
        by_number.or_else(|| Signal::by_name(text))
    }

    /// Returns the canonical name, `SIGTERM`, where the number has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Signal::table().find(|(_, number)| *number == self.0).map(|(name, _)| name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_with_and_without_prefix_in_any_case() {
        for text in ["term", "SIGTERM", "Term", "sigterm"] {
            assert_eq!(Signal::by_name(text), Some(Signal::TERM));
        }
        assert_eq!(Signal::by_name("NOPE"), None);
    }

    #[test]
    fn numbers_are_signals_too_where_the_platform_has_them() {
        assert_eq!(Signal::parse("15"), Some(Signal::TERM));
        assert_eq!(Signal::parse("hup"), Some(Signal::HUP));
        assert_eq!(Signal::parse(" term\n"), Some(Signal::TERM));
        assert_eq!(Signal::parse(" 15 "), Some(Signal::TERM));
        for text in ["0", "-1", "999", "NOPE", ""] {
            assert_eq!(Signal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_table_agrees_with_the_platform() {
        for (name, number) in Signal::table().filter(|(_, n)| *n < 32) {
            let known = nix::sys::signal::Signal::try_from(number).map(|s| s.as_str());
            if !matches!(name, "SIGCLD" | "SIGPOLL" | "SIGIOT") {
                assert_eq!(known, Ok(name), "{name} is {number}");
            }
        }
    }
}
