//! One file per verb: its arguments, what it asks, and what it shows.

pub mod add;
pub mod avail;
pub mod check;
pub mod clear;
pub mod completions;
pub mod daemon;
pub mod delete;
pub mod edit;
pub mod help;
pub mod logs;
pub mod new;
pub mod pid;
pub mod reload;
pub mod remove;
pub mod reread;
pub mod restart;
pub mod shutdown;
pub mod signal;
pub mod start;
pub mod status;
pub mod stop;
pub mod tail;
pub mod update;
pub mod version;
pub mod wait;
pub mod why;
