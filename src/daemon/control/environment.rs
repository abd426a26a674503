//! The environments of programs, shown to their owner; and the login that some begin with, asked for anew.
//!
//! What a program runs with the kernel knows, where it tells; where each variable comes from is worked out from what
//! the next start would give. Files and login shells are waited for in the disk worker. Values are for our own user
//! and root alone, whatever a server's door lets in.

use super::ClientId;
use super::route::{body, required};
use crate::api::http::Request;
use crate::api::v1::{
    Environment as Shown, EnvironmentVariable, ErrorCode, ErrorReply, LoginDrift, LoginRequest, Next, Origin,
    is_secret,
};
use crate::core::SpawnError;
use crate::daemon::command::{Lookup, login_of};
use crate::daemon::environ::{self, Layers, Source, Variable};
use crate::daemon::image::Environment;
use crate::daemon::login_env;
use crate::daemon::reactor::{Job, Reactor};
use crate::model::{Pid, ProcessId};
use crate::sys::ambient::Ambient;
use crate::sys::{identity, tree};
use std::ffi::OsString;
use std::sync::{Arc, OnceLock};

impl Reactor {
    /// Begins to answer `GET /v1/env`.
    pub(super) fn answer_env(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        self.only_for_us(client)?;
        let process = self.one(required(request, "name")?)?;
        let view = self.process_view(process).unwrap_or_default();
        let Some(spec) = self.spec(process) else { return Ok(()) };
        let with_secrets = request.head.parameter("secrets").is_some_and(|value| value != "0");
        let query = Query {
            namespec: view.namespec,
            lookup: self.common.lookup(spec),
            server_url: self.common.server_url.clone(),
            run: self.main_of(process),
        };
        self.disk.run(Box::new(move || {
            let mut shown = query.run();
            if !with_secrets {
                shown.variables.iter_mut().filter(|one| one.secret).for_each(|one| one.value = None);
            }
            Job::Environ(client, Box::new(shown))
        }));
        Ok(())
    }

    /// Begins to answer `POST /v1/login-env`.
    pub(super) fn answer_login_env(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        self.only_for_us(client)?;
        let LoginRequest { dry_run } = body(request)?;
        self.disk.run(Box::new(move || Job::LoggedIn(client, dry_run, login_env::capture(&Ambient::real()))));
        Ok(())
    }

    /// Takes in what a login gives now: a bad one changes nothing.
    pub(in crate::daemon) fn logged_in(
        &mut self,
        client: ClientId,
        dry_run: bool,
        login: Result<Environment, String>,
    ) {
        let login = match login {
            Ok(login) => login,
            Err(why) => {
                let hint = "programs go on with what an earlier login gave";
                return self.send_error(client, &ErrorReply::new(ErrorCode::Internal, why, hint));
            }
        };
        let empty = Vec::new();
        let mut drift = drift(self.common.login.get().unwrap_or(&empty), &login);
        for (id, process) in self.core.processes() {
            if self.common.begins_with_login(process.spec()) {
                drift.users.push(process.spec().namespec());
                if self.main_of(id).is_some() {
                    drift.running.push(process.spec().namespec());
                }
            }
        }
        drift.applied = !dry_run;
        if drift.applied {
            self.common.login = Arc::new(OnceLock::from(login));
            self.common.is_login_kept = false;
            self.keep_login();
        }
        self.send(client, &drift);
    }

    /// Who may name a program's log may not yet read its secrets.
    fn only_for_us(&mut self, client: ClientId) -> Result<(), ErrorReply> {
        let peer = self.control.connection(client).map_or(u32::MAX, |connection| connection.peer.0);
        if peer == identity::uid() || peer == 0 {
            return Ok(());
        }
        let message = "environments are for the daemon's own user and root";
        Err(ErrorReply::new(ErrorCode::Forbidden, message, "ask on the daemon's own socket"))
    }

    /// Returns the main process of a process that runs, and the mark in its environment.
    fn main_of(&self, process: ProcessId) -> Option<(Pid, String)> {
        let mut runs = self.runs.table.iter().filter(|(_, live)| live.alive && live.process == Some(process));
        runs.find_map(|(run, live)| Some((live.main?, self.common.tag(*run))))
    }
}

/// How one login differs from another, by name.
fn drift(before: &Environment, now: &Environment) -> LoginDrift {
    let mut drift = LoginDrift::default();
    let get = |all: &Environment, name: &OsString| {
        all.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    for (name, value) in now {
        let text = name.to_string_lossy().into_owned();
        match get(before, name) {
            None => drift.added.push(text),
            Some(old) if old != *value => drift.changed.push(text),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(name, _)| get(now, name).is_none());
    drift.removed = gone.map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    for list in [&mut drift.added, &mut drift.changed, &mut drift.removed] {
        list.sort();
    }
    drift
}

/// What is asked about a program, for the disk worker.
struct Query {
    namespec: String,
    lookup: Lookup,
    server_url: Option<String>,
    run: Option<(Pid, String)>,
}

impl Query {
    fn run(&self) -> Shown {
        let (next, problem) = match self.next() {
            Ok(next) => (next, String::new()),
            Err((next, why)) => (next, why.to_string()),
        };
        // What the program wrote over its own environment bears no mark, and is not shown as one.
        let own =
            self.run.as_ref().and_then(|(pid, tag)| Some((pid.0, marked(tree::environment(*pid)?, tag)?)));
        let (pid, mut variables) = match own {
            Some((pid, now)) => (pid, self.compared(&now, &next)),
            None => (0, next.iter().map(|one| self.shown(one, Next::Same)).collect()),
        };
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        Shown { namespec: self.namespec.clone(), pid, variables, problem }
    }

    /// What the next start gives; where it cannot be put together, what there is of it.
    fn next(&self) -> Result<Vec<Variable>, (Vec<Variable>, SpawnError)> {
        let Lookup { spec, own, login } = &self.lookup;
        let compose = |login: Option<&Environment>, files: &[environ::OfFile]| {
            Layers { spec, own, login, server_url: self.server_url.as_deref(), files }.variables()
        };
        let login = match login.as_deref().map(login_of).transpose() {
            Ok(login) => login,
            Err(why) => return Err((compose(Some(&Vec::new()), &[]), why)),
        };
        match environ::read_files(&spec.env_file) {
            Ok(files) => Ok(compose(login, &files)),
            Err(why) => Err((compose(login, &[]), why)),
        }
    }

    /// Sets what a program runs with beside what it would be started with.
    fn compared(&self, now: &Environment, next: &[Variable]) -> Vec<EnvironmentVariable> {
        let known = |name: &OsString| next.iter().find(|one| one.name == *name);
        let running =
            now.iter().filter(|(name, _)| name != tree::TAG).map(|(name, value)| match known(name) {
                Some(one) if one.value == *value => self.shown(one, Next::Same),
                Some(one) => self.shown(&Variable { value: value.clone(), ..one.clone() }, Next::Changed),
                None => EnvironmentVariable { next: Next::Gone, ..plain(name, value) },
            });
        let is_new = |one: &&Variable| now.iter().all(|(name, _)| *name != one.name);
        running.chain(next.iter().filter(is_new).map(|one| self.shown(one, Next::New))).collect()
    }

    fn shown(&self, one: &Variable, next: Next) -> EnvironmentVariable {
        let (origin, file) = match one.source {
            Source::Daemon => (Origin::Daemon, None),
            Source::Login => (Origin::Login, None),
            Source::Supervisor => (Origin::Supervisor, None),
            Source::Shared => (Origin::Shared, None),
            Source::Own => (Origin::Program, None),
            Source::File(index) => (Origin::File, self.lookup.spec.env_file.get(index)),
        };
        let file = file.map(|file| file.path.display().to_string());
        EnvironmentVariable { origin, file, next, ..plain(&one.name, &one.value) }
    }
}

fn plain(name: &OsString, value: &OsString) -> EnvironmentVariable {
    let (name, value) = (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned());
    let secret = is_secret(&name, &value);
    EnvironmentVariable { name, value: Some(value), secret, ..EnvironmentVariable::default() }
}

/// Returns an environment that bears the mark of the run.
fn marked(all: Environment, tag: &str) -> Option<Environment> {
    all.iter().any(|(name, value)| name == tree::TAG && value == tag).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_compared_by_name() {
        let of = |list: &[(&str, &str)]| -> Environment {
            list.iter().map(|(name, value)| (name.into(), value.into())).collect()
        };
        let drift =
            drift(&of(&[("A", "1"), ("B", "1"), ("C", "1")]), &of(&[("D", "1"), ("B", "2"), ("A", "1")]));
        let expected = LoginDrift {
            added: vec!["D".into()],
            changed: vec!["B".into()],
            removed: vec!["C".into()],
            ..LoginDrift::default()
        };
        assert_eq!(drift, expected);
    }
}
