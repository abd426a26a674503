//! Writing to the user: data on standard output, everything else on standard error.
//!
//! A reader that went away (`| head`) is no error of ours, so what cannot be written is dropped.

use std::io::{self, Write};

/// Writes data, and a newline.
pub fn data(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}

/// Writes a message, and a newline.
pub fn message(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}
