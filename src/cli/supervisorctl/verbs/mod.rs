//! The actions, a file for each family; [`super::commands`] has the table of them.

pub(super) mod configuration;
pub(super) mod daemon;
pub(super) mod deeds;
pub(super) mod foreground;
pub(super) mod help;
pub(super) mod logs;
pub(super) mod look;
