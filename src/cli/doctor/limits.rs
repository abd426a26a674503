//! Is there enough of everything for the programs: descriptors, processes, pipes, watches.

use super::verdict::count;
use super::{Facts, Finding};
use crate::sys::facts::limits::{TaskGroup, UNLIMITED};

/// Descriptors that the daemon needs per program, and besides them; held equal to its own numbers by a test.
pub(super) const FDS_PER_PROGRAM: u64 = 3;
/// See [`FDS_PER_PROGRAM`].
pub(super) const OWN_FDS: u64 = 64;

/// Processes that should be left when all programs run: a shell, a login and what programs start for a moment.
const SPARE_TASKS: u64 = 32;

/// Tasks of the daemon itself: keeper, reactor and its threads.
const OWN_TASKS: u64 = 5;

/// Pages of 4 KiB that the pipes of a program hold: two for output of 16 pages each, one for input.
const PAGES_PER_PROGRAM: u64 = 33;

/// Pages where there are many programs: their output pipes get smaller (16 KiB) above [`BIG_PIPES_MAX`].
const PAGES_PER_SMALL_PROGRAM: u64 = 9;

/// Programs that get pipes of the usual size.
const BIG_PIPES_MAX: u64 = 400;

pub(super) fn watches(facts: &Facts) -> Option<Finding> {
    let watches = &facts.machine.limits.watches;
    Some(match &watches.trouble {
        Some(trouble) => {
            Finding::warning(format!("changes of files are not noticed at once: cannot {trouble}")).advice(
                "end programs of yours that watch many files, or ask your administrator to raise \
                 fs.inotify.max_user_instances and fs.inotify.max_user_watches (sysctl(8))",
            )
        }
        None => match (watches.watchers_max, watches.files_max) {
            (Some(watchers), Some(files)) => Finding::ok(format!(
                "changes of files can be watched (limits of all your programs: {watchers} watchers, {files} files)"
            )),
            _ => Finding::ok("changes of files can be watched"),
        },
    })
}

fn programs(facts: &Facts) -> u64 {
    facts.processes() as u64
}

pub(super) fn files(facts: &Facts) -> Option<Finding> {
    let programs = programs(facts);
    let need = programs * FDS_PER_PROGRAM + OWN_FDS;
    let hard = facts.machine.limits.files.1;
    let shown = count(facts.processes(), "program needs", "programs need");
    let sum = format!("{shown} {programs} x {FDS_PER_PROGRAM} + {OWN_FDS} = {need} file descriptors");
    let user = &facts.machine.user;
    let ask = format!(
        "ask your administrator for a higher nofile of {user} in limits.conf(5), or run fewer programs"
    );
    Some(match hard {
        UNLIMITED => Finding::ok(format!("{sum}, and there is no limit")),
        hard if need > hard => {
            Finding::problem(format!("{sum}, and the hard limit is {hard}: they cannot all run")).advice(ask)
        }
        hard if need > hard - hard / 10 => {
            Finding::warning(format!("{sum}, and the hard limit is {hard}: hardly more will run")).advice(ask)
        }
        hard => Finding::ok(format!("{sum} of {hard} that may be had")),
    })
}

pub(super) fn processes(facts: &Facts) -> Option<Finding> {
    let limits = &facts.machine.limits;
    // Those of a daemon that runs are counted already.
    let coming = if facts.shown().is_some() { 0 } else { programs(facts) + OWN_TASKS };
    let of_user = (facts.machine.uid != 0).then_some(limits.tasks).flatten();
    let of_user = of_user.filter(|_| limits.processes.0 != UNLIMITED).map(|now| TaskGroup {
        path: "your limit of processes (ulimit -u)".into(),
        now,
        max: limits.processes.0,
    });
    let group = limits.group.as_ref().map(|group| TaskGroup {
        path: format!("the limit of the control group {}", group.path),
        ..group.clone()
    });
    let room = |group: &TaskGroup| group.max.saturating_sub(group.now);
    let Some(TaskGroup { path, now, max }) = of_user.into_iter().chain(group).min_by_key(room) else {
        return Some(Finding::ok("nothing limits how many processes you have"));
    };
    let left = max.saturating_sub(now);
    let ask = "end what you do not need, or ask your administrator to raise it (limits.conf(5), TasksMax=)";
    let sum = format!("{now} of {max} processes and threads are there, by {path}");
    Some(match left {
        0 if coming == 0 => Finding::problem(format!("{sum}: nothing more can be started")).advice(ask),
        left if left < coming => {
            Finding::problem(format!("{sum}: the {coming} that visord would start do not fit")).advice(ask)
        }
        left if left < coming + SPARE_TASKS => {
            Finding::warning(format!("{sum}: programs will soon fail to start others")).advice(ask)
        }
        _ => Finding::ok(sum),
    })
}

pub(super) fn pipes(facts: &Facts) -> Option<Finding> {
    let programs = programs(facts);
    let need = programs.min(BIG_PIPES_MAX) * PAGES_PER_PROGRAM
        + programs.saturating_sub(BIG_PIPES_MAX) * PAGES_PER_SMALL_PROGRAM;
    Some(match facts.machine.limits.pipe_pages {
        _ if facts.machine.uid == 0 => Finding::ok("root's pipes are not limited"),
        None | Some(0) => Finding::ok("pipes are not limited"),
        Some(max) if need > max => Finding::note(format!(
            "the pipes of {programs} programs want {need} pages, and you may have {max}: those of the last ones are \
             small, so that programs that write much wait more often"
        ))
        .advice(format!("ask your administrator for fs.pipe-user-pages-soft={}", need.next_power_of_two())),
        Some(max) => {
            let shown = count(facts.processes(), "program wants", "programs want");
            Finding::ok(format!("{shown} {need} of {max} pages of pipes"))
        }
    })
}
