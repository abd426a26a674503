//! The environment of a program: its layers, from which each variable comes, and the files among them.
//!
//! From the lowest to the highest: visord's own variables or those of a login; `SUPERVISOR_*`; `environment=` of
//! `[supervisord]`; the files of `env_file=` in their order; the program's own `environment=`. A higher one replaces
//! a value. `env_clear=` and `env_pass=` choose from the lowest; `env_unset=` takes away at the end, whatever it was.
//! Must not start anything. Files are read in the disk worker.
//!
//! `layers.variables()` is what a program gets, but for the mark of its run.

use super::image::Environment;
use crate::config::{env_file, glob};
use crate::core::SpawnError;
use crate::model::spec::{EnvFile, ProcessSpec};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

/// Where a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// What visord was started with.
    Daemon,
    /// A login of the user.
    Login,
    /// visord says it to every program.
    Supervisor,
    /// `environment=` of `[supervisord]`.
    Shared,
    /// A file, by its place in `env_file=`.
    File(usize),
    /// `environment=` of the program.
    Own,
}

/// A variable with its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: OsString,
    pub(super) value: OsString,
    pub(super) source: Source,
}

/// A variable of a file: which file, its name, its value.
pub(super) type OfFile = (usize, String, String);

/// What an environment is made of.
pub(super) struct Layers<'a> {
    /// The program.
    pub(super) spec: &'a ProcessSpec,
    /// What visord was started with.
    pub(super) own: &'a Environment,
    /// What a login gives, where the program or all programs begin with that.
    pub(super) login: Option<&'a Environment>,
    /// `SUPERVISOR_SERVER_URL`, where the program says nothing else.
    pub(super) server_url: Option<&'a str>,
    /// What the files say.
    pub(super) files: &'a [OfFile],
}

impl Layers<'_> {
    /// Returns all variables; the order has no meaning.
    pub(super) fn variables(&self) -> Vec<Variable> {
        self.chosen(|_| true)
    }

    /// Returns the value of one variable.
    pub(super) fn value(&self, name: &str) -> Option<OsString> {
        self.chosen(|known| known == name).pop().map(|variable| variable.value)
    }

    fn chosen(&self, wanted: impl Fn(&OsStr) -> bool) -> Vec<Variable> {
        let mut all = self.outside(&wanted);
        let mut set = |name: &str, value: &str, source: Source| {
            if !wanted(OsStr::new(name)) {
                return;
            }
            match all.iter_mut().find(|known| known.name == name) {
                Some(known) => (known.value, known.source) = (value.into(), source),
                None => all.push(Variable { name: name.into(), value: value.into(), source }),
            }
        };
        let spec = self.spec;
        set("SUPERVISOR_ENABLED", "1", Source::Supervisor);
        if let Some(url) = spec.serverurl.as_deref().or(self.server_url) {
            set("SUPERVISOR_SERVER_URL", url, Source::Supervisor);
        }
        set("SUPERVISOR_PROCESS_NAME", &spec.name, Source::Supervisor);
        set("SUPERVISOR_GROUP_NAME", &spec.group, Source::Supervisor);
        let is_shared = |name: &String| spec.environment_shared.contains(name);
        for (name, value) in spec.environment.iter().filter(|(name, _)| is_shared(name)) {
            set(name, value, Source::Shared);
        }
        for (file, name, value) in self.files {
            set(name, value, Source::File(*file));
        }
        for (name, value) in spec.environment.iter().filter(|(name, _)| !is_shared(name)) {
            set(name, value, Source::Own);
        }
        all.retain(|variable| !is_covered(&spec.env_unset, &variable.name));
        all
    }

    /// The lowest layer: all of it, or what `env_pass=` lets through; and what that names of visord's own.
    fn outside(&self, wanted: impl Fn(&OsStr) -> bool) -> Vec<Variable> {
        let spec = self.spec;
        let (base, source) = self.login.map_or((self.own, Source::Daemon), |login| (login, Source::Login));
        let passes = |name: &OsStr| !spec.env_clear || is_covered(&spec.env_pass, name);
        let taken = base.iter().filter(|(name, _)| wanted(name) && passes(name));
        let mut all: Vec<Variable> = taken
            .map(|(name, value)| Variable { name: name.clone(), value: value.clone(), source })
            .collect();
        if self.login.is_none() || spec.env_pass.is_empty() {
            return all;
        }
        for (name, value) in
            self.own.iter().filter(|(name, _)| wanted(name) && is_covered(&spec.env_pass, name))
        {
            if all.iter().all(|known| known.name != *name) {
                all.push(Variable { name: name.clone(), value: value.clone(), source: Source::Daemon });
            }
        }
        all
    }
}

/// Whether a name is among patterns.
fn is_covered(patterns: &[String], name: &OsStr) -> bool {
    !patterns.is_empty()
        && name.to_str().is_some_and(|name| patterns.iter().any(|one| glob::is_match(one, name)))
}

/// Reads the files of `env_file=`, in the disk worker. Of an optional one only the absence is overlooked.
///
/// # Errors
/// Which file cannot be read or understood, and where in it.
pub(super) fn read_files(files: &[EnvFile]) -> Result<Vec<OfFile>, SpawnError> {
    let mut all = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let shown = file.path.display();
        let failed = |what: String| SpawnError::Environment(format!("cannot read env_file {shown}: {what}"));
        let text = match read(file) {
            Ok(text) => text,
            Err(error) if file.optional && error.kind() == ErrorKind::NotFound => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(failed("there is no such file (-FILE says that it may be missing)".to_owned()));
            }
            Err(error) => return Err(failed(crate::sys::error_text(&error))),
        };
        let variables = env_file::parse(&text).map_err(|fault| {
            SpawnError::Environment(format!(
                "cannot use env_file {shown}, line {}: {}",
                fault.line, fault.what
            ))
        })?;
        all.extend(variables.into_iter().map(|(name, value)| (index, name, value)));
    }
    Ok(all)
}

fn read(file: &EnvFile) -> io::Result<String> {
    // Not waited for: a pipe without a writer would keep the disk worker for ever.
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&file.path)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    opened.take(env_file::FILE_SIZE_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > env_file::FILE_SIZE_MAX {
        return Err(io::Error::other(format!("it has more than {} bytes", env_file::FILE_SIZE_MAX)));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

#[cfg(test)]
#[path = "environ_tests.rs"]
mod tests;
