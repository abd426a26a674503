//! Text in, checked and typed settings out, with every mistake reported at once.
//!
//! Knows supervisord's dialect and Visor's keys; must not know the system (it is asked through
//! [`crate::model::Host`]), the state of any process, or how a setting is carried out. The way of a file:
//! [`ini`] reads lines, [`mod@include`] collects files into one [`document`], [`keys`] says what each key means,
//! [`expand`] and [`value`] turn its text into a value, [`check`] builds the settings, [`diff`] compares two.
//!
//! ```no_run
//! use visor::config::{LoadRequest, load};
//! let host = visor::sys::host::RealHost;
//! let loaded = load(&LoadRequest::of("/etc/supervisord.conf"), &host);
//! for diagnostic in &loaded.diagnostics {
//!     eprintln!("{diagnostic}");
//! }
//! ```

pub mod check;
pub mod diagnostic;
pub mod diff;
pub mod document;
pub mod dump;
pub mod effective;
pub mod env_file;
pub mod environment;
pub mod expand;
mod format;
pub mod glob;
pub mod guard;
pub mod include;
pub mod ini;
pub mod keys;
mod load;
pub mod ownership;
pub mod path;
pub mod sample;
pub mod search;
pub mod value;
mod xdg;

pub use check::delegates::covers;
pub use diagnostic::{Diagnostic, Severity};
pub use load::{LoadRequest, Loaded, group_place, load, load_ctl, load_host_id};
