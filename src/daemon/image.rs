//! What a program is started with, from its specification (supervisor 4.3 `process.spawn`, compat 3.4).

use super::command::{Command, Lookup};
use super::environ::Layers;
use super::reactor::Reactor;
use crate::model::RunId;
use crate::model::spec::{ProcessSpec, UserSpec};
use crate::sys::process::Limited;
use crate::sys::spawn::Image;
use crate::sys::{identity, tree};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Arc, OnceLock};

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
    /// What visord was started with.
    pub(super) own: Arc<Environment>,
    /// What a login gives, once somebody needed it.
    pub(super) login: Arc<OnceLock<Environment>>,
    /// Whether programs begin with that where they do not say.
    pub(super) is_login: bool,
    /// Whether the next reactor would know `login`.
    pub(super) is_login_kept: bool,
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
            env: self.environment_of(run, spec, command),
            directory: directory.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok()),
            umask: spec.umask,
            user: spec.user.as_ref().filter(|user| user.uid != identity::uid()).map(user_ids),
            limits: self.limits.clone(),
        }
    }

    /// Returns what finds the command of a process.
    pub(super) fn lookup(&self, spec: Arc<ProcessSpec>) -> Lookup {
        let login = self.begins_with_login(&spec).then(|| Arc::clone(&self.login));
        Lookup { spec, own: Arc::clone(&self.own), login }
    }

    /// Whether a program begins with a login's variables.
    pub(super) fn begins_with_login(&self, spec: &ProcessSpec) -> bool {
        spec.env_login.unwrap_or(self.is_login)
    }

    /// Returns what configurations can name of the environment that programs begin with, where it is not our own.
    pub(super) fn nameable(&self) -> Option<Vec<(String, String)>> {
        self.is_login.then(|| self.login.get().map(text_of)).flatten()
    }

    /// All variables of a run, with the mark by which what it starts is found again.
    fn environment_of(&self, run: RunId, spec: &ProcessSpec, command: &Command) -> Vec<CString> {
        let login = if self.begins_with_login(spec) { self.login.get() } else { None };
        let server_url = self.server_url.as_deref();
        let layers = Layers { spec, own: &self.own, login, server_url, files: &command.of_files };
        let variables = layers.variables().into_iter().filter(|variable| variable.name != tree::TAG);
        let tag = (OsString::from(tree::TAG), OsString::from(self.tag(run)));
        let join = |(name, value): (OsString, OsString)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            CString::new(entry).ok()
        };
        variables.map(|variable| (variable.name, variable.value)).chain([tag]).filter_map(join).collect()
    }
}

impl Reactor {
    /// Keeps what a login gave for the next reactor, so that all runs of this daemon's programs begin with the same.
    pub(super) fn keep_login(&mut self) {
        if !self.common.is_login_kept && self.common.login.get().is_some() {
            self.common.is_login_kept = true;
            let fleet = self.core.fleet();
            self.store_fleet(&fleet);
        }
    }
}

fn user_ids(user: &UserSpec) -> (u32, u32, Vec<u32>) {
    // A group list that cannot be read leaves the primary group: fewer rights, never more.
    let groups = identity::groups_of(user).unwrap_or_else(|_| vec![user.gid]);
    (user.uid, user.gid, groups)
}
