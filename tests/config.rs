//! The configuration against the real supervisord: same files, same settings, same refusals.
//!
//! Needs a Python environment with supervisor 4.3.0 (`VISOR_VENV`, by default `target/test-venv`) and the shared
//! material (`VISOR_SHARED`, by default `../shared`). Where one is missing the tests say so and pass, unless
//! `VISOR_CI=1` asks for all of them.

#[path = "config/check.rs"]
mod check;
#[path = "config/clean.rs"]
mod clean;
#[path = "config/compare.rs"]
mod compare;
#[path = "config/corpus.rs"]
mod corpus;
#[path = "config/imagined.rs"]
mod imagined;
#[path = "config/includes.rs"]
mod includes;
#[path = "config/mutations.rs"]
mod mutations;
#[path = "config/oracle.rs"]
mod oracle;
#[path = "config/parsed.rs"]
mod parsed;
#[path = "config/reread.rs"]
mod reread;
