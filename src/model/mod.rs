//! Plain data that every module may use: ids, times, specifications, states, records.
//!
//! No input or output, no clock, no policy. Example: `config` turns text into [`spec::Settings`], `core`
//! decides over [`spec::ProcessSpec`], and `daemon` carries it out.

pub mod delegate;
pub mod detach;
pub mod dialogue;
pub mod event;
pub mod exit;
pub mod getopt;
pub mod host;
pub mod id;
pub mod instance;
pub mod level;
pub mod marks;
pub mod python;
pub mod record;
pub mod signal;
pub mod spec;
pub mod state;
pub mod time;

pub use delegate::Delegate;
pub use exit::ExitStatus;
pub use host::Host;
pub use id::{Pid, ProcessId, RunId, Uid};
pub use instance::Instance;
pub use level::Level;
pub use record::ProcessRecord;
pub use signal::Signal;
pub use state::State;
pub use time::{Time, WallTime};
