//! One test per rule, by the file that holds the rule.

mod essential;
mod exit;
mod fleet;
mod listener;
mod regroup;
mod requests;
mod shutdown;
mod snapshot;
mod socket;
mod start;
mod stop;
