//! The pure state machine.

pub mod action;
pub mod input;

pub use action::{Action, Finish, Reply, Scope, Transition};
pub use input::{Actor, Input, Request, RequestId, SpawnError};
