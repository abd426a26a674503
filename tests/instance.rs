//! One daemon per user, host and configuration: real processes that race, real users, real name spaces.
//!
//! The processes are this very test program under the name `visord`; they claim to be the daemon, bind their sockets
//! and say what came of it. `machine` makes the directories they see, `peer` runs them.

#[path = "instance/claims.rs"]
mod claims;
#[path = "instance/hosts.rs"]
mod hosts;
#[path = "instance/layout.rs"]
mod layout;
#[path = "instance/machine.rs"]
mod machine;
#[path = "common/need.rs"]
#[allow(dead_code, reason = "shared with tests that need more")]
mod need;
#[path = "instance/peer.rs"]
mod peer;
#[path = "instance/strangers.rs"]
mod strangers;
