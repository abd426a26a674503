//! Limits of open files and processes: what is needed, in words where it is not to be had.

use crate::model::spec::Settings;
use crate::sys::process::Limited;

/// Descriptors that each of the two processes needs besides those of the programs.
const OWN_FDS: u64 = 64;
/// Descriptors per program in each process: stdin, stdout, stderr.
const FDS_PER_PROGRAM: u64 = 3;
/// What the limits are of, in words.
const FILES: &str = "file descriptors";
const PROCESSES: &str = "processes";

/// A limit that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raise {
    /// Which.
    pub(super) limited: Limited,
    /// What both processes of visord are to have: soft and hard.
    pub(super) own: (u64, u64),
    /// What programs are to have.
    pub(super) programs: (u64, u64),
    /// What the user's own limit is raised to, where it was lower than the configuration asks for.
    pub(super) raised: Option<u64>,
}

impl Raise {
    /// Returns the line that supervisord logs about it.
    pub(super) fn line(&self) -> Option<String> {
        self.raised.map(|soft| format!("Increased {} limit to {soft}", name(self.limited)))
    }
}

fn name(limited: Limited) -> &'static str {
    if limited == Limited::Files { "RLIMIT_NOFILE" } else { "RLIMIT_NPROC" }
}

/// Returns what to do when even root may not raise a limit, as in a container without CAP_SYS_RESOURCE.
pub(super) fn refused(settings: &Settings, raise: &Raise, error: &std::io::Error) -> String {
    let hard = raise.limited.get().map_or(0, |(_, hard)| hard);
    let asked = |key, wanted: i64, of| refusal(key, u64::try_from(wanted).unwrap_or(0), of, hard);
    match raise.limited {
        Limited::Files if raise.raised.is_some() => asked("minfds", settings.daemon.minfds, FILES),
        Limited::Processes => asked("minprocs", settings.daemon.minprocs, PROCESSES),
        Limited::Files => format!("cannot raise RLIMIT_NOFILE to {} for all programs: {error}", raise.own.0),
    }
}

/// Works out the limits from those in force; the error says what to do, as supervisord's does.
pub(super) fn work_out(settings: &Settings, root: bool) -> Result<Vec<Raise>, String> {
    let count: usize = settings.fleet.groups.iter().map(|group| group.processes.len()).sum();
    let need_fds = count as u64 * FDS_PER_PROGRAM + OWN_FDS;
    let files = Limited::Files.get().map_err(|e| format!("cannot read the limit of open files: {e}"))?;
    let processes =
        Limited::Processes.get().map_err(|e| format!("cannot read the limit of processes: {e}"))?;
    let minfds = u64::try_from(settings.daemon.minfds).unwrap_or(0);
    let minprocs = u64::try_from(settings.daemon.minprocs).unwrap_or(0);
    let asked_files =
        ask(Limited::Files, files, minfds, root).ok_or_else(|| refusal("minfds", minfds, FILES, files.1))?;
    let asked_processes = ask(Limited::Processes, processes, minprocs, root)
        .ok_or_else(|| refusal("minprocs", minprocs, PROCESSES, processes.1))?;
    let own_files = ask(Limited::Files, asked_files.programs, need_fds, root).ok_or_else(|| {
        format!(
            "{count} programs need {count} x {FDS_PER_PROGRAM} + {OWN_FDS} = {need_fds} file descriptors, and the hard limit is {}: \
             raise it (ulimit -Hn, limits.conf(5)) or run fewer programs in one daemon",
            files.1
        )
    })?;
    Ok(vec![Raise { own: own_files.own, ..asked_files }, asked_processes])
}

fn refusal(key: &str, wanted: u64, of: &str, hard: u64) -> String {
    format!(
        "The minimum number of {of} required to run this process is {wanted} as per the \"{key}\" command-line \
         argument or config file setting. The current environment will only allow you to open {hard} {of}. \
         Either raise the number of usable {of} in your environment or lower the {key} setting in the config \
         file to allow the process to start."
    )
}

/// Raises the soft limit to `wanted` where it is lower, and the hard limit too for root.
fn ask(limited: Limited, (soft, hard): (u64, u64), wanted: u64, root: bool) -> Option<Raise> {
    let (new_soft, new_hard) = match () {
        () if wanted <= soft => (soft, hard),
        () if wanted <= hard => (wanted, hard),
        () if root => (wanted, wanted),
        () => return None,
    };
    let raised = (new_soft != soft).then_some(new_soft);
    Some(Raise { limited, own: (new_soft, new_hard), programs: (new_soft, new_hard), raised })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_limit_is_raised_up_to_the_hard_one_and_beyond_only_by_root() {
        let own = |soft, wanted, root| ask(Limited::Files, (soft, 4096), wanted, root).map(|raise| raise.own);
        assert_eq!(own(2048, 1024, false), Some((2048, 4096)));
        assert_eq!(own(256, 1024, false), Some((1024, 4096)));
        assert_eq!(own(256, 4096, false), Some((4096, 4096)));
        assert_eq!(own(256, 4097, false), None);
        assert_eq!(own(256, 4097, true), Some((4097, 4097)));
    }
}
