//! Placeholder head; replaced with the module.

/// Runs the daemon and returns its exit code.
#[must_use]
pub fn main() -> i32 {
    0
}
