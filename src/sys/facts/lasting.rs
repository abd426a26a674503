//! What ends a daemon: logouts, and the end of a batch job or a container.
//!
//! Example: `gather(&Ambient::real(), None).batch_variable` is `SLURM_JOB_ID` in a job of Slurm.

use crate::model::Pid;
use crate::model::detach::SessionFacts;
use crate::sys::ambient::Ambient;
use crate::sys::scope;
use std::path::Path;

/// Variables that batch systems set in their jobs: a daemon started there would be killed with the job.
pub const BATCH_VARIABLES: [&str; 3] = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"];

/// How parts of a control group begin that a batch system made for a job.
const BATCH_GROUPS: [(&str, &str); 4] =
    [("slurm", "Slurm"), ("pbs_jobs", "PBS"), ("pbspro", "PBS"), ("lsf", "LSF")];

/// Files by which containers are known, and of what.
const CONTAINERS: [(&str, &str); 3] =
    [(".dockerenv", "Docker"), ("run/.containerenv", "Podman"), ("run/systemd/container", "container")];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    /// What the machine does with the processes of this session.
    pub session: SessionFacts,
    /// Where logind is told to kill them, `file:line`.
    pub kill_place: Option<String>,
    /// The control group of the daemon, where it runs.
    pub daemon_cgroup: Option<String>,
    /// The kind of container that this is.
    pub container: Option<String>,
    /// The variable that says that this is a batch job.
    pub batch_variable: Option<String>,
    /// The batch system in whose job the daemon runs.
    pub daemon_batch: Option<String>,
}

/// Looks at everything.
pub(super) fn gather(ambient: &Ambient, daemon: Option<Pid>) -> Lasting {
    let daemon_cgroup = daemon.and_then(cgroup_of);
    Lasting {
        session: scope::facts(ambient),
        kill_place: scope::kill_place(ambient),
        container: container(&ambient.root),
        batch_variable: BATCH_VARIABLES
            .into_iter()
            .find(|name| ambient.get(name).is_some())
            .map(str::to_owned),
        daemon_batch: daemon_cgroup.as_deref().and_then(batch_of).map(str::to_owned),
        daemon_cgroup,
    }
}

fn cgroup_of(pid: Pid) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    Some(scope::own_group(&text).to_owned())
}

/// Returns the batch system that made a control group.
fn batch_of(cgroup: &str) -> Option<&'static str> {
    cgroup.split('/').find_map(|part| {
        BATCH_GROUPS.iter().find(|(begin, _)| part.starts_with(begin)).map(|(_, name)| *name)
    })
}

fn container(root: &Path) -> Option<String> {
    CONTAINERS.iter().find(|(file, _)| root.join(file).exists()).map(|(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_system_is_known_by_its_control_group() {
        for (group, expected) in [
            ("/system.slice/slurmstepd.scope/job_7/step_0", Some("Slurm")),
            ("/slurm/uid_1000/job_7", Some("Slurm")),
            ("/pbs_jobs.service/jobid/7", Some("PBS")),
            ("/lsf/cluster/job.7", Some("LSF")),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            ("", None),
        ] {
            assert_eq!(batch_of(group), expected, "{group}");
        }
    }

    #[test]
    fn a_job_and_a_container_are_known() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let variables = vec![("LSB_JOBID".into(), "7".into())];
        let ambient = Ambient { root: dir.path().into(), variables, ..Ambient::default() };
        let found = gather(&ambient, None);
        assert_eq!((found.batch_variable.as_deref(), found.container), (Some("LSB_JOBID"), None));
        std::fs::write(dir.path().join(".dockerenv"), "")?;
        assert_eq!(gather(&ambient, None).container.as_deref(), Some("Docker"));
        Ok(())
    }
}
