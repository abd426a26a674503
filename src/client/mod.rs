//! The client's side of the control socket: finding the daemon, asking it, and starting it where there is none.
//!
//! Blocking, one question at a time; must not print or decide anything about programs. Example:
//!
//! ```no_run
//! use visor::api::v1;
//! use visor::client::Places;
//!
//! let mut connection = Places::own().connect()?;
//! let status: v1::StatusReply = connection.get(v1::path::STATUS)?;
//! println!("{} processes", status.processes.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod address;
pub mod failure;
pub mod find;
pub mod http;
pub mod launch;
pub mod rpc;
pub mod stream;
pub mod wait;

pub use address::Address;
pub use failure::Failure;
pub use find::{Places, Unreachable};
pub use http::Connection;
pub use rpc::{Login, Rpc, RpcFailure};
pub use stream::Stream;
pub use wait::Wait;
