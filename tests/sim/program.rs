//! A program with supervisord's defaults, for tests that look at the core from outside.

use visor::model::spec::{LogTarget, Place, ProcessSpec, StreamSpec};

/// Returns the program `name` of a group.
pub(crate) fn plain(group: &str, name: &str) -> ProcessSpec {
    let silent = StreamSpec { logfile: LogTarget::None, maxbytes: 0, backups: 0, ..StreamSpec::default() };
    ProcessSpec {
        stdout: silent.clone(),
        stderr: silent,
        ..ProcessSpec::new(group, name, "/bin/imagined", Place::default())
    }
}
