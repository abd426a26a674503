//! The keeper: the small process that is the parent of every program and never decides anything.
//!
//! It forks what the reactor asks for, reaps, keeps each exit report until it is acknowledged, and holds
//! duplicates of every pipe, so that a reactor may die at any moment and a new one goes on. It knows no name,
//! no policy and no configuration. Example: `keeper::launch(reactor)` is all that `visord`'s main does.

pub mod protocol;
pub mod table;
pub mod wire;

mod keep;
mod launch;
mod respawn;

pub use launch::{Start, launch, replace};
