//! Limits of open files and processes: what is needed, in words where it is not to be had.

use super::control::CONNECTIONS_MAX;
use super::link::Link;
use super::reactor::Reactor;
use crate::keeper::protocol::Request;
use crate::logs::disk::{OPEN_FILES_MAX, OPEN_FILES_MIN};
use crate::model::Level;
use crate::model::spec::{FleetSpec, LogTarget, Settings};
use crate::sys::identity;
use crate::sys::process::Limited;
use std::io;

/// Descriptors that each of the two processes needs besides those of the programs, [`OPEN_FILES_MIN`] logs and
/// some clients among them.
pub(crate) const OWN_FDS: u64 = 64;
/// Descriptors per program in each process: stdin, stdout, stderr.
pub(crate) const FDS_PER_PROGRAM: u64 = 3;
/// What the limits are of, in words.
const FILES: &str = "file descriptors";
const PROCESSES: &str = "processes";
/// Descriptors of the most clients that there can be.
const CLIENT_FDS: u64 = CONNECTIONS_MAX as u64;

/// A limit that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raise {
    /// Which.
    pub(super) limited: Limited,
    /// What the reactor is to have: soft and hard.
    pub(super) own: (u64, u64),
    /// The soft limit of the keeper.
    pub(super) keeper: u64,
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
fn refused(settings: &Settings, raise: &Raise, error: &io::Error) -> String {
    let hard = raise.limited.get().map_or(0, |(_, hard)| hard);
    let asked = |key, wanted: i64, of| refusal(key, u64::try_from(wanted).unwrap_or(0), of, hard);
    match raise.limited {
        Limited::Files if raise.raised.is_some() => asked("minfds", settings.daemon.minfds, FILES),
        Limited::Processes => asked("minprocs", settings.daemon.minprocs, PROCESSES),
        Limited::Files => format!("cannot raise RLIMIT_NOFILE to {} for all programs: {error}", raise.own.0),
    }
}

/// What the programs of a fleet need descriptors for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Need {
    programs: u64,
    /// Streams that have a log file.
    logs: u64,
}

/// How the descriptors that may be had are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    /// Soft limit of the reactor.
    own: u64,
    /// Soft limit of the keeper.
    keeper: u64,
    /// Most log files that the disk worker has open at a time.
    log_files: usize,
}

impl Need {
    fn of(fleet: &FleetSpec) -> Need {
        let mut need = Need { programs: 0, logs: 0 };
        for process in fleet.groups.iter().flat_map(|group| &group.processes) {
            need.programs += 1;
            let streams = [Some(&process.stdout), (!process.redirect_stderr).then_some(&process.stderr)];
            let has_log = |stream: &&_| -> bool { has_log(stream) };
            need.logs += streams.into_iter().flatten().filter(has_log).count() as u64;
        }
        need
    }

    /// Without these the programs cannot all run.
    fn least(self) -> u64 {
        self.programs * FDS_PER_PROGRAM + OWN_FDS
    }

    /// With these nobody ever has to wait for a descriptor.
    fn whole(self) -> u64 {
        self.least() + CLIENT_FDS + self.logs.min(OPEN_FILES_MAX as u64)
    }

    /// Divides what the limits allow. Where the programs do not all fit, the keeper gets less than the reactor: it
    /// refuses a program whose output the reactor could not read, and clients still get in.
    fn share(self, (soft, hard): (u64, u64)) -> Share {
        let own = soft.max(self.whole().min(hard));
        let keeper = if self.least() <= own { own } else { own.saturating_sub(OWN_FDS) };
        let rest = usize::try_from(own.saturating_sub(self.least() + CLIENT_FDS)).unwrap_or(usize::MAX);
        Share { own, keeper, log_files: rest.clamp(OPEN_FILES_MIN, OPEN_FILES_MAX) }
    }

    /// Says in words what does not fit below a hard limit.
    fn shortage(self, hard: u64) -> Option<String> {
        let Need { programs, logs } = self;
        if self.least() > hard {
            return Some(format!(
                "{programs} programs need {programs} x {FDS_PER_PROGRAM} + {OWN_FDS} = {} file descriptors, and the hard \
                 limit is {hard}: raise it (ulimit -Hn, limits.conf(5)) or run fewer programs in one daemon",
                self.least()
            ));
        }
        (self.whole() > hard).then(|| {
            let open = self.share((hard, hard)).log_files;
            format!(
                "{programs} programs with {logs} logs need {} file descriptors, and the hard limit is {hard}: no more than \
                 {open} logs are kept open at a time, the others are opened whenever something is written to them; raise \
                 the limit (ulimit -Hn, limits.conf(5)) to avoid that",
                self.whole()
            )
        })
    }
}

fn has_log(stream: &crate::model::spec::StreamSpec) -> bool {
    !matches!(stream.logfile, LogTarget::None)
}

/// Works out the limits from those in force; the error says what to do, as supervisord's does.
pub(super) fn work_out(settings: &Settings, root: bool) -> Result<Vec<Raise>, String> {
    let need = Need::of(&settings.fleet);
    let files = Limited::Files.get().map_err(|e| format!("cannot read the limit of open files: {e}"))?;
    let processes =
        Limited::Processes.get().map_err(|e| format!("cannot read the limit of processes: {e}"))?;
    let minfds = u64::try_from(settings.daemon.minfds).unwrap_or(0);
    let minprocs = u64::try_from(settings.daemon.minprocs).unwrap_or(0);
    let asked_files =
        ask(Limited::Files, files, minfds, root).ok_or_else(|| refusal("minfds", minfds, FILES, files.1))?;
    let asked_processes = ask(Limited::Processes, processes, minprocs, root)
        .ok_or_else(|| refusal("minprocs", minprocs, PROCESSES, processes.1))?;
    let own_files = ask(Limited::Files, asked_files.programs, need.least(), root)
        .ok_or_else(|| need.shortage(files.1).unwrap_or_default())?;
    let share = need.share(own_files.own);
    let own = (share.own, own_files.own.1);
    Ok(vec![Raise { own, keeper: share.keeper, ..asked_files }, asked_processes])
}

/// Puts limits in force here and in the keeper, and returns those that programs get where they differ; the error says
/// what to do.
pub(super) fn put_in_force(
    link: &mut Link,
    settings: &Settings,
    raises: &[Raise],
) -> Result<Vec<(Limited, u64, u64)>, String> {
    for raise in raises {
        let Raise { limited, own, keeper, .. } = raise;
        limited.set(own.0, own.1).map_err(|error| refused(settings, raise, &error))?;
        let resource = u64::from(*limited == Limited::Processes);
        link.send(Request::Limit { resource, soft: *keeper, hard: own.1 }, Vec::new());
    }
    let differs = |raise: &&Raise| raise.own != raise.programs || raise.keeper != raise.programs.0;
    Ok(raises.iter().filter(differs).map(|r| (r.limited, r.programs.0, r.programs.1)).collect())
}

impl Reactor {
    /// Makes room for a fleet that is to take the place of that in force, where the limits let it.
    ///
    /// # Errors
    /// In words, when the hard limit does not allow it: nothing was changed.
    pub(super) fn make_room(&mut self, fleet: &FleetSpec) -> Result<(), String> {
        let count: usize = fleet.groups.iter().map(|group| group.processes.len()).sum();
        if count <= self.core.processes().count() {
            return Ok(());
        }
        let hard = Limited::Files.get().map_err(|error| format!("cannot read a limit: {error}"))?.1;
        let need = Need::of(fleet);
        // Root raises the hard limit too, as at the start.
        let can_be_had = || identity::is_root() && Limited::Files.set(need.least(), need.least()).is_ok();
        if need.least() > hard && !can_be_had() {
            return Err(need.shortage(hard).unwrap_or_default());
        }
        self.divide_descriptors(fleet);
        Ok(())
    }

    /// Divides the descriptors among what is in force now, and says what does not fit. Programs keep the limits that
    /// they had.
    pub(super) fn divide_descriptors(&mut self, fleet: &FleetSpec) {
        let need = Need::of(fleet);
        let Ok(limits) = Limited::Files.get() else { return };
        let share = need.share(limits);
        let known = self.common.limits.iter().any(|limit| limit.0 == Limited::Files);
        if !known && (share.own, share.keeper) != (limits.0, limits.0) {
            self.common.limits.push((Limited::Files, limits.0, limits.1));
        }
        if let Err(error) = Limited::Files.set(share.own, limits.1) {
            self.log(Level::Error, &format!("cannot raise the limit of open files: {error}"));
        }
        self.link.send(Request::Limit { resource: 0, soft: share.keeper, hard: limits.1 }, Vec::new());
        self.disk.limit_open_files(share.log_files);
        if let Some(text) = need.shortage(limits.1) {
            self.log(Level::Warn, &text);
        }
    }
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
    let both = (new_soft, new_hard);
    let raised = (new_soft != soft).then_some(new_soft);
    Some(Raise { limited, own: both, keeper: new_soft, programs: both, raised })
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

    #[test]
    fn logs_and_clients_get_what_the_programs_leave() {
        let need = |programs| Need { programs, logs: 2 * programs };
        let share = |programs, limits| {
            let Share { own, keeper, log_files } = need(programs).share(limits);
            (own, keeper, log_files)
        };
        // All of it: 3 x 400 + 64 + 64 clients + 512 logs.
        assert_eq!(share(400, (1024, 20_000)), (1840, 1840, 512));
        assert_eq!(share(10, (1024, 20_000)), (1024, 1024, 512));
        // The programs fit; logs get what is left, at least the 16 that belong to our own.
        assert_eq!(share(280, (1024, 1024)), (1024, 1024, 56));
        assert_eq!(share(320, (1024, 1024)), (1024, 1024, OPEN_FILES_MIN));
        // One more does not fit: the keeper runs short first.
        assert_eq!(share(321, (1024, 1024)), (1024, 960, OPEN_FILES_MIN));
        assert_eq!(need(100).shortage(1024), None);
        assert!(need(320).shortage(1024).is_some_and(|text| text.contains("no more than 16 logs")));
        assert!(need(321).shortage(1024).is_some_and(|text| text.contains("321 x 3 + 64 = 1027")));
    }
}
