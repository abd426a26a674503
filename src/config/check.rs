//! Sections as settings: reads a merged document by the key table and collects everything that is wrong.
//!
//! One sub-module per part of the settings; [`reader`] does what all of them need. Must not touch the system
//! but through [`crate::model::Host`], and must not stop at the first mistake.

pub(super) mod daemon;
pub(super) mod delegates;
pub(super) mod groups;
pub(super) mod listener;
pub(super) mod names;
pub(super) mod pools;
pub(super) mod program;
pub(super) mod reader;
pub(super) mod servers;
pub(super) mod twice;
pub(super) mod visor;

#[cfg(test)]
mod section_tests;
#[cfg(test)]
pub(crate) mod tests;
