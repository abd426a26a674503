//! Exit codes of the daemon, as supervisord's (supervisor 4.3, compat 5.5).

/// An orderly end, help or version shown.
pub(super) const OK: i32 = 0;
/// The log cannot be opened, or the system refused what visord cannot do without.
pub(super) const SYSTEM: i32 = 1;
/// Wrong usage, a bad configuration, missing rights or limits.
pub(super) const USAGE: i32 = 2;
