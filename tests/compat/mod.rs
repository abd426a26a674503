//! What clients of supervisord see, one file a surface.

mod bytes;
mod hostile;
mod http;
mod raw;
mod rpc;
mod servers;
mod session;
mod world;
