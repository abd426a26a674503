//! What programs write: from pipes through journaled buffers to files, and never a byte lost on the way.
//!
//! Two threads share the work. [`pump`] runs in the reactor: it reads pipes into the slots of a [`pool`] whose
//! memory outlives this process. [`disk`] owns the one thread that may wait for a file system: it puts the
//! slots into files ([`writer`], [`rotate`]), the standard streams ([`flow`]) and the system log ([`syslog`]),
//! in the order in which they were read. After a `kill -9` of both, the next process finishes what the slots
//! say is unfinished. Knows no programs by name (a stream is a number), no states and no policy.
//!
//! Example: `Pool::create()`, `Disk::start(pool, wake)`, `Pump::new(registry, base, &disk)`, then
//! `disk.open(spec)` and `pump.attach(stream, pipe, ...)` for each stream, `pump.ready` and `pump.tick`.

pub mod activity;
pub mod auto;
pub mod capture;
mod crash;
pub mod disk;
pub mod flow;
pub mod follow;
pub mod lines;
pub mod loss;
pub mod pool;
pub mod pump;
#[cfg(test)]
mod recovery;
pub mod rest;
pub mod rotate;
pub mod sink;
pub mod slice;
pub mod slot;
pub mod strip;
pub mod syslog;
pub mod times;
mod worker;
pub mod writer;
