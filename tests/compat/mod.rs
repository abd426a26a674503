//! What clients of supervisord see, one file a surface.

mod rpc;
mod world;
