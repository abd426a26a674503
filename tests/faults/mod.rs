//! Bad input and a bad machine: a clear error with place and hint, nothing changed, nothing lost.

mod config;
mod disk;
mod output;
mod shortage;
mod spawn;
