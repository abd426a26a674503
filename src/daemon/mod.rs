//! Placeholder head; replaced with the module.

pub mod options;

/// Runs the daemon and returns its exit code.
#[must_use]
pub fn main() -> i32 {
    0
}
