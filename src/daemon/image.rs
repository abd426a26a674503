//! What a program is started with, from its specification (supervisor 4.3 `process.spawn`, compat 3.4).

use super::command::Command;
use crate::model::RunId;
use crate::model::spec::{ProcessSpec, UserSpec};
use crate::sys::process::Limited;
use crate::sys::spawn::Image;
use crate::sys::{identity, tree};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Names and values.
pub(super) type Environment = Vec<(OsString, OsString)>;

/// Returns the part of an environment that configurations can name: what is UTF-8.
pub(super) fn text_of(environment: &Environment) -> Vec<(String, String)> {
    let text = |(name, value): &(OsString, OsString)| Some((name.to_str()?.into(), value.to_str()?.into()));
    environment.iter().filter_map(text).collect()
}

/// What all programs of this daemon have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Common {
    /// The daemon's own environment, or that of a login.
    pub(super) environment: Environment,
    /// Whether it is that of a login.
    pub(super) is_login: bool,
    /// `SUPERVISOR_SERVER_URL`, where a server is configured.
    pub(super) server_url: Option<String>,
    /// Marks this daemon's runs in [`tree::TAG`]: no other daemon has the same.
    pub(super) token: String,
    /// Soft and hard limits that programs get: the user's own, not those that visord needs.
    pub(super) limits: Vec<(Limited, u64, u64)>,
}

impl Common {
    /// Returns the value of [`tree::TAG`] for a run.
    pub(super) fn tag(&self, run: RunId) -> String {
        format!("{}-{}", self.token, run.0)
    }

    /// Returns what a run of a process is started with.
    pub(super) fn image(&self, run: RunId, spec: &ProcessSpec, command: &Command) -> Image {
        let directory = spec.directory.as_ref();
        Image {
            path: command.path.clone(),
            argv: command.argv.clone(),
            env: self.environment_of(run, spec),
            directory: directory.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok()),
            umask: spec.umask,
            user: spec.user.as_ref().filter(|user| user.uid != identity::uid()).map(user_ids),
            limits: self.limits.clone(),
        }
    }

    /// Later overrides earlier: ours, what supervisord sets, `[supervisord]`'s and the program's (one list).
    fn environment_of(&self, run: RunId, spec: &ProcessSpec) -> Vec<CString> {
        let mut all: Vec<(OsString, OsString)> = self.environment.clone();
        let mut set = |name: &str, value: &str| match all.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1 = value.into(),
            None => all.push((name.into(), value.into())),
        };
        set("SUPERVISOR_ENABLED", "1");
        if let Some(url) = spec.serverurl.as_ref().or(self.server_url.as_ref()) {
            set("SUPERVISOR_SERVER_URL", url);
        }
        set("SUPERVISOR_PROCESS_NAME", &spec.name);
        set("SUPERVISOR_GROUP_NAME", &spec.group);
        spec.environment.iter().for_each(|(name, value)| set(name, value));
        set(tree::TAG, &self.tag(run));
        let join = |(name, value): (OsString, OsString)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            CString::new(entry).ok()
        };
        all.into_iter().filter_map(join).collect()
    }
}

fn user_ids(user: &UserSpec) -> (u32, u32, Vec<u32>) {
    // A group list that cannot be read leaves the primary group: fewer rights, never more.
    let groups = identity::groups_of(user).unwrap_or_else(|_| vec![user.gid]);
    (user.uid, user.gid, groups)
}
