//! Placeholder head; replaced with the module.

/// Runs the client and returns its exit code.
#[must_use]
pub fn main() -> i32 {
    0
}
