//! Other daemons of this user, and what a daemon that died left behind.
//!
//! Reads the process table and signals nobody. Example: `gather(&ambient, Some(keeper)).strays` is empty unless somebody
//! killed a daemon with all its processes but its programs.

use crate::model::Pid;
use crate::sys::ambient::Ambient;
use crate::sys::{locald, tree};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// How deep a process may lie below its daemon; real trees have a handful of generations.
const GENERATIONS_MAX: usize = 64;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kin {
    /// Daemons of this user, the one in question left out.
    pub daemons: Vec<Daemon>,
    /// Programs whose daemon is gone.
    pub strays: Vec<Stray>,
    /// Whether the program of the daemon in question was replaced since it was started.
    pub is_outdated: bool,
}

/// A daemon that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Daemon {
    /// A process of it.
    pub pid: i32,
    /// The directory or file of its configuration.
    pub config: PathBuf,
    /// Whether that is not there any more.
    pub is_config_gone: bool,
}

/// A process that a daemon started which is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stray {
    /// Its number.
    pub pid: i32,
    /// How it calls itself.
    pub name: String,
}

pub(super) fn gather(ambient: &Ambient, daemon: Option<Pid>) -> Kin {
    let all = locald::find_all(ambient.uid);
    let daemons = all.iter().filter(|found| Some(found.pid) != daemon).map(|found| Daemon {
        pid: found.pid.0,
        config: found.note.config.clone(),
        is_config_gone: !found.note.config.as_os_str().is_empty() && !found.note.config.exists(),
    });
    Kin { daemons: daemons.collect(), strays: strays(ambient.uid), is_outdated: is_outdated(daemon) }
}

fn is_outdated(daemon: Option<Pid>) -> bool {
    let program = daemon.and_then(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok());
    program.is_some_and(|program| program.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"))
}

/// A process of this user, as far as its descent is concerned.
struct Relative {
    parent: Pid,
    is_daemon: bool,
    tag: Option<String>,
}

/// Finds processes that bear the mark of a daemon's run and descend from no daemon. The mark begins with the pid of
/// the keeper that made it; where that one lives, or another daemon of the user might have taken its programs over,
/// nothing is claimed.
fn strays(uid: u32) -> Vec<Stray> {
    let is_ours = |pid: &Pid| std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == uid);
    let relatives: BTreeMap<i32, Relative> = tree::all()
        .into_iter()
        .filter(is_ours)
        .filter_map(|pid| {
            let entry = tree::entry(pid).filter(|entry| !entry.zombie)?;
            let is_daemon = locald::is_daemon_process(pid);
            Some((pid.0, Relative { parent: entry.parent, is_daemon, tag: tree::tag(pid) }))
        })
        .collect();
    let marks: Vec<(i32, &str)> =
        relatives.iter().filter_map(|(pid, one)| Some((*pid, one.tag.as_deref()?))).collect();
    let stray = |(pid, mark): &&(i32, &str)| !is_looked_after(*pid, mark, &relatives);
    let name = |pid: i32| tree::name(Pid(pid)).unwrap_or_default();
    marks.iter().filter(stray).map(|(pid, _)| Stray { pid: *pid, name: name(*pid) }).collect()
}

fn is_looked_after(pid: i32, mark: &str, relatives: &BTreeMap<i32, Relative>) -> bool {
    if keeper_of(mark).is_none_or(|keeper| relatives.get(&keeper).is_some_and(|one| one.is_daemon)) {
        return true;
    }
    let mut next = Pid(pid);
    for _ in 0..GENERATIONS_MAX {
        match relatives.get(&next.0) {
            Some(one) if one.is_daemon => return true,
            Some(one) => next = one.parent,
            None => return false,
        }
    }
    true
}

/// Returns the keeper that a mark names, `KEEPER.TIME-RUN`.
fn keeper_of(mark: &str) -> Option<i32> {
    mark.split_once('.')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relative(parent: i32, is_daemon: bool, tag: Option<&str>) -> Relative {
        Relative { parent: Pid(parent), is_daemon, tag: tag.map(str::to_owned) }
    }

    #[test]
    fn a_program_is_looked_after_by_its_own_daemon_or_by_one_above_it() {
        let relatives = BTreeMap::from([
            (10, relative(1, true, None)),
            (11, relative(10, false, Some("10.a-1"))),
            (12, relative(1, false, Some("10.a-1"))),
            (13, relative(1, false, Some("9.a-1"))),
            (14, relative(11, false, Some("9.a-1"))),
            (15, relative(1, false, Some("odd"))),
            (16, relative(1, false, Some("11.a-1"))),
        ]);
        for (pid, expected) in [(11, true), (12, true), (13, false), (14, true), (15, true), (16, false)] {
            let mark = relatives[&pid].tag.clone().unwrap_or_default();
            assert_eq!(is_looked_after(pid, &mark, &relatives), expected, "{pid}");
        }
    }

    #[test]
    fn a_program_of_a_dead_daemon_is_found() -> std::io::Result<()> {
        if !cfg!(target_os = "linux") {
            return Ok(());
        }
        // No pid is that large, so that no daemon has it.
        let mut child =
            std::process::Command::new("sleep").arg("1000").env(tree::TAG, "99999999.a-1").spawn()?;
        let pid = i32::try_from(child.id()).unwrap_or(0);
        let found = strays(crate::sys::identity::uid());
        child.kill()?;
        child.wait()?;
        assert!(found.iter().any(|stray| *stray == Stray { pid, name: "sleep".into() }), "{found:?}");
        Ok(())
    }
}
