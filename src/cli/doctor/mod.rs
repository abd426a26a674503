//! What `visorctl doctor` finds right and wrong: one table of checks, each a pure judgement of gathered facts.
//!
//! [`facts`] holds what was found out, [`CHECKS`] says what of it is fine. A judgement looks at nothing but its facts,
//! so every sentence has a test (`tests/golden/doctor.txt`). Example: `examine(&facts)` is a list of rows, the worst
//! of which decides the exit code.

use crate::sys::facts::lasting::BATCH_VARIABLES as BATCH;

mod daemon;
pub mod facts;
mod kernel;
mod lasting;
mod limits;
mod storage;
#[cfg(test)]
mod tests;
pub mod verdict;

pub use daemon::configuration;
pub use facts::Facts;
pub use verdict::{Finding, Verdict};

/// A check.
pub struct Check {
    /// Its name, which scripts may rely on.
    pub name: &'static str,
    /// How it is found out.
    pub found_by: &'static str,
    /// What the facts mean; nothing where the check makes no sense on this machine.
    judge: fn(&Facts) -> Option<Finding>,
}

/// A row of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name of the check.
    pub name: &'static str,
    /// How it was found out.
    pub found_by: &'static str,
    /// What was found.
    pub finding: Finding,
}

/// THE table of checks, in the order in which they are shown.
pub const CHECKS: [Check; 24] = [
    Check { name: "daemon", found_by: "asking it, and the process table", judge: daemon::daemon },
    Check {
        name: "configuration",
        found_by: "asking the daemon, and reading the files",
        judge: |facts| Some(daemon::configuration(facts)),
    },
    Check { name: "permissions", found_by: "owners and modes of the files", judge: daemon::permissions },
    Check { name: "access", found_by: "the servers of the configuration", judge: daemon::access },
    Check {
        name: "logout",
        found_by: "logind's settings, lingering, and the control group",
        judge: lasting::logout,
    },
    Check { name: "reboot", found_by: "everything that visorctl boot knows", judge: lasting::reboot },
    Check { name: "cron", found_by: "crontab -l, and whether its daemon runs", judge: lasting::cron },
    Check { name: "batch", found_by: "variables and the control group", judge: lasting::batch },
    Check { name: "home", found_by: "the file system's type, and folders of hosts", judge: storage::home },
    Check { name: "state", found_by: "the state directory, and the space there", judge: storage::state },
    Check { name: "sockets", found_by: "the directories for sockets", judge: storage::sockets },
    Check {
        name: "cleaners",
        found_by: "tmpfiles.d, and scripts of cron that clean /tmp",
        judge: storage::cleaners,
    },
    Check { name: "watches", found_by: "watching a directory for a moment", judge: limits::watches },
    Check { name: "files", found_by: "the limit of open files (ulimit -Hn)", judge: limits::files },
    Check {
        name: "processes",
        found_by: "the limit of processes (ulimit -u), and of the control groups",
        judge: limits::processes,
    },
    Check { name: "pipes", found_by: "fs.pipe-user-pages-soft", judge: limits::pipes },
    Check { name: "cgroup", found_by: "the files of the control group", judge: kernel::cgroup },
    Check { name: "landlock", found_by: "asking the kernel", judge: kernel::landlock },
    Check { name: "clock", found_by: "the kernel's clocks", judge: kernel::clock },
    Check {
        name: "environment",
        found_by: "asking the daemon for a login of now",
        judge: daemon::environment,
    },
    Check { name: "others", found_by: "locks in the process table", judge: daemon::others },
    Check { name: "orphans", found_by: "marks in the process table", judge: daemon::orphans },
    Check { name: "session", found_by: "launchctl managername", judge: kernel::session },
    Check { name: "privacy", found_by: "folders that macOS guards", judge: kernel::privacy },
];

/// Makes every check.
#[must_use]
pub fn examine(facts: &Facts) -> Vec<Row> {
    let row = |check: &Check| {
        let finding = (check.judge)(facts)?;
        Some(Row { name: check.name, found_by: check.found_by, finding })
    };
    CHECKS.iter().filter_map(row).collect()
}
