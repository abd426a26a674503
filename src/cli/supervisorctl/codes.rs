//! Exit codes of supervisorctl (supervisor 4.3 supervisorctl.py `LSBInitExitStatuses`), unlike those of visorctl.
//!
//! Example: `codes::of_fault(Code::NotRunning.number())` is what `signal` ends with for a stopped process.

use crate::api::xmlrpc::Code;

/// It worked.
pub(super) const OK: i32 = 0;
/// It did not.
pub(super) const GENERIC: i32 = 1;
/// The command line or the configuration is wrong; `start` without a name; a group that `start` does not find.
pub(super) const INVALID: i32 = 2;
/// The daemon has no interface `supervisor`.
pub(super) const UNIMPLEMENTED: i32 = 3;
/// `status`: one of the processes shown does not run.
pub(super) const STATUS_NOT_RUNNING: i32 = 3;
/// Nobody listens.
pub(super) const REFUSED: i32 = 4;
/// `status`: there is no daemon, or no such process.
pub(super) const STATUS_UNKNOWN: i32 = 4;
/// The daemon has another version of the interface.
pub(super) const VERSION: i32 = 5;
/// There is no socket; a process does not run, or did not start.
pub(super) const NOT_RUNNING: i32 = 7;

/// Faults that mean that a process does not run.
const DEAD: [Code; 3] = [Code::SpawnError, Code::AbnormalTermination, Code::NotRunning];

/// Returns the exit code that a fault or the status of a result leads to; nothing where it leads to none.
pub(super) fn of_fault(number: i32, ignored: Option<Code>) -> Option<i32> {
    match Code::of(number) {
        Some(Code::Success) => None,
        code if code.is_some() && code == ignored => None,
        Some(code) if DEAD.contains(&code) => Some(NOT_RUNNING),
        _ => Some(GENERIC),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_lead_to_three_codes() {
        for (code, ignored, expected) in [
            (Code::Success, None, None),
            (Code::AlreadyStarted, Some(Code::AlreadyStarted), None),
            (Code::AlreadyStarted, None, Some(GENERIC)),
            (Code::SpawnError, None, Some(NOT_RUNNING)),
            (Code::NotRunning, Some(Code::AlreadyStarted), Some(NOT_RUNNING)),
            (Code::BadName, None, Some(GENERIC)),
        ] {
            assert_eq!(of_fault(code.number(), ignored), expected, "{code:?}");
        }
        assert_eq!(of_fault(12345, None), Some(GENERIC));
    }
}
