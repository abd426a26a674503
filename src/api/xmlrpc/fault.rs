//! What can be wrong with a call: one table of numbers and names (supervisor 4.3 xmlrpc.py `Faults`).
//!
//! Example: `Fault::new(Code::BadName, "web")` reads `BAD_NAME: web` on the other side.

use std::fmt;

/// The number of a fault; clients compare it, so no number has another meaning than supervisord's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    /// There is no such method.
    UnknownMethod = 1,
    /// The parameters are too few, too many, or of a wrong type.
    IncorrectParameters = 2,
    /// The parameters make no sense together.
    BadArguments = 3,
    /// Nothing is known about the method that was asked about.
    SignatureUnsupported = 4,
    /// The daemon is shutting down or restarting.
    ShutdownState = 6,
    /// There is no such process or group.
    BadName = 10,
    /// There is no such signal.
    BadSignal = 11,
    /// A file is not there: the log, the command, an open standard input.
    NoFile = 20,
    /// The command cannot be executed.
    NotExecutable = 21,
    /// The system said no, or the state is unknown.
    Failed = 30,
    /// The process ended while its start was waited for.
    AbnormalTermination = 40,
    /// The process could not be started.
    SpawnError = 50,
    /// The process runs already.
    AlreadyStarted = 60,
    /// The process does not run.
    NotRunning = 70,
    /// Nothing is wrong: the status of a good result in a list of results.
    Success = 80,
    /// The group is in force already.
    AlreadyAdded = 90,
    /// The group has processes that run.
    StillRunning = 91,
    /// The configuration cannot be used.
    CantReread = 92,
}

/// Every fault with the name that its text begins with.
const NAMES: [(Code, &str); 18] = [
    (Code::UnknownMethod, "UNKNOWN_METHOD"),
    (Code::IncorrectParameters, "INCORRECT_PARAMETERS"),
    (Code::BadArguments, "BAD_ARGUMENTS"),
    (Code::SignatureUnsupported, "SIGNATURE_UNSUPPORTED"),
    (Code::ShutdownState, "SHUTDOWN_STATE"),
    (Code::BadName, "BAD_NAME"),
    (Code::BadSignal, "BAD_SIGNAL"),
    (Code::NoFile, "NO_FILE"),
    (Code::NotExecutable, "NOT_EXECUTABLE"),
    (Code::Failed, "FAILED"),
    (Code::AbnormalTermination, "ABNORMAL_TERMINATION"),
    (Code::SpawnError, "SPAWN_ERROR"),
    (Code::AlreadyStarted, "ALREADY_STARTED"),
    (Code::NotRunning, "NOT_RUNNING"),
    (Code::Success, "SUCCESS"),
    (Code::AlreadyAdded, "ALREADY_ADDED"),
    (Code::StillRunning, "STILL_RUNNING"),
    (Code::CantReread, "CANT_REREAD"),
];

impl Code {
    /// Returns the number on the wire.
    #[must_use]
    pub fn number(self) -> i32 {
        self as i32
    }

    /// Returns the name that the text of such a fault begins with.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|row| row.0 == self).map_or("UNKNOWN", |row| row.1)
    }

    /// Returns the fault of a number, if it is one of supervisord's.
    #[must_use]
    pub fn of(number: i32) -> Option<Code> {
        NAMES.iter().map(|row| row.0).find(|code| code.number() == number)
    }
}

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The number; one that [`Code`] does not have may come from another daemon.
    pub code: i32,
    /// The text: the name, or the name and a detail.
    pub text: String,
}

impl Fault {
    /// Returns a fault with a detail in its text.
    #[must_use]
    pub fn new(code: Code, detail: impl fmt::Display) -> Fault {
        Fault { code: code.number(), text: format!("{}: {detail}", code.name()) }
    }
}

impl From<Code> for Fault {
    /// Makes a fault without a detail.
    fn from(code: Code) -> Fault {
        Fault { code: code.number(), text: code.name().to_owned() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_one_number_and_one_name() {
        for (at, (code, name)) in NAMES.iter().enumerate() {
            assert_eq!((Code::of(code.number()), code.name()), (Some(*code), *name));
            assert!(NAMES[..at].iter().all(|(other, known)| other.number() < code.number() && known != name));
        }
        assert_eq!(Code::of(5), None);
    }

    #[test]
    fn the_text_is_the_name_and_the_detail() {
        assert_eq!(Fault::new(Code::BadName, "web").text, "BAD_NAME: web");
        assert_eq!(Fault::from(Code::NoFile), Fault { code: 20, text: "NO_FILE".into() });
    }
}
