//! One file per verb: its arguments, what it asks, and what it shows.

pub mod check;
