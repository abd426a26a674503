//! The scenarios of the control sockets, and the account that each has for itself.

mod account;
mod hostile;
mod raw;
mod sockets;
