//! The scenarios of the control sockets, and the account that each has for itself.

mod account;
mod hostile;
mod race;
mod raw;
mod reload;
mod sockets;
mod verbs;
