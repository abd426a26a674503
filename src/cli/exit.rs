//! Exit codes of `visorctl`, one table for all verbs.
//!
//! None of supervisorctl's numbers has another meaning here; called `supervisorctl` the program uses upstream's
//! own rules instead.

/// It worked.
pub const OK: i32 = 0;
/// It was refused, or something is wrong with what was looked at.
pub const REFUSED: i32 = 1;
/// The command line makes no sense.
pub const USAGE: i32 = 2;
/// Something that should run does not run.
pub const NOT_RUNNING: i32 = 3;
/// There is no daemon, or no such program.
pub const ABSENT: i32 = 4;
/// Client and daemon do not understand each other.
pub const VERSION: i32 = 5;
/// It took too long.
pub const TIMED_OUT: i32 = 6;
/// A program failed to start.
pub const START_FAILED: i32 = 7;

/// The codes with their meaning, for help and manual.
pub const TABLE: [(i32, &str); 8] = [
    (OK, "ok"),
    (REFUSED, "refused, or mistakes were found"),
    (USAGE, "wrong usage"),
    (NOT_RUNNING, "something that should run is not running"),
    (ABSENT, "no daemon, or no such program"),
    (VERSION, "client and daemon are of different versions"),
    (TIMED_OUT, "timed out"),
    (START_FAILED, "a program failed to start"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_numbered_without_gaps_and_explained() {
        for (expected, (code, meaning)) in (0..).zip(TABLE) {
            assert_eq!(code, expected);
            assert!(!meaning.is_empty());
        }
    }
}
