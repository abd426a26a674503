//! The client's side of the control socket: finding the daemon, and asking it.
