//! enable and disable: which programs are not started by themselves, kept over the end of the daemon.
//!
//! The disk worker writes the marks; only when they are safe are they in force and is the client answered.

use super::ClientId;
use super::commands::NAMES_MAX;
use super::route::body;
use crate::api::http::Request;
use crate::api::names::Namespec;
use crate::api::v1::{self, ErrorCode, ErrorReply, ProcessResult, ResultStatus};
use crate::core::Input;
use crate::daemon::reactor::{Job, Reactor};
use crate::daemon::sockets::Sockets;
use crate::model::Level;
use crate::model::marks::{Mark, Marks};
use crate::sys::{clock, marks};
use std::io;

impl Reactor {
    pub(super) fn answer_enable(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        self.mark(client, &body(request)?, false)
    }

    pub(super) fn answer_disable(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        self.mark(client, &body(request)?, true)
    }

    fn mark(&mut self, client: ClientId, asked: &v1::Names, disable: bool) -> Result<(), ErrorReply> {
        if asked.names.is_empty() || asked.names.len() > NAMES_MAX {
            let message = format!("names must hold 1 to {NAMES_MAX} names");
            return Err(ErrorReply::new(ErrorCode::BadRequest, message, "NAME, GROUP:NAME or GROUP:*"));
        }
        let Some(dir) = self.sockets.as_ref().and_then(Sockets::state_path).map(ToOwned::to_owned) else {
            let message = "there is no directory to keep that in";
            return Err(ErrorReply::new(ErrorCode::Internal, message, "set VISOR_STATE_DIR or HOME"));
        };
        let (mut wanted, mut names, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for name in &asked.names {
            match self.marks_of(name, disable) {
                found if found.is_empty() => missing.push(name.clone()),
                found => {
                    wanted.extend(found);
                    names.push(name.clone());
                }
            }
        }
        let (instance, now) = (self.identity.instance, clock::wall().secs().unsigned_abs());
        self.disk.run(Box::new(move || {
            let result = marks::change(&dir, instance, |marks| {
                for mark in wanted {
                    if disable {
                        marks.add(mark, now)?;
                    } else {
                        marks.remove(&mark)?;
                    }
                }
                Ok(())
            });
            Job::Marked { client, names, missing, result }
        }));
        Ok(())
    }

    /// Returns what a name marks; nothing where it stands for nothing. A program that is gone can be enabled.
    fn marks_of(&self, name: &str, disable: bool) -> Vec<Mark> {
        let mark = match Namespec::parse(name) {
            Namespec::All => {
                let groups = self.core.groups().map(|group| group.spec().name.clone());
                return groups.map(|group| Mark { group, process: None }).collect();
            }
            Namespec::Group(group) => Mark { group, process: None },
            Namespec::Process { group, name } => Mark { group, process: Some(name) },
        };
        let is_known = !self.resolve(&Namespec::parse(name)).is_empty();
        if is_known || (!disable && self.marks.has(&mark)) { vec![mark] } else { Vec::new() }
    }

    /// Takes in that the marks were written, or could not be: then nothing is changed.
    pub(in crate::daemon) fn marked(
        &mut self,
        client: ClientId,
        names: &[String],
        missing: Vec<String>,
        result: io::Result<Marks>,
    ) {
        match result {
            Ok(marks) => self.put_marks_in_force(marks),
            Err(error) => {
                let message = format!("nothing is changed: {error}");
                self.log(Level::Error, &format!("the marks of disabled programs are not changed: {error}"));
                return self.send_error(client, &ErrorReply::new(ErrorCode::Internal, message, ""));
            }
        }
        let strange = |name: String| {
            let status = match Namespec::parse(&name) {
                Namespec::Group(_) => ResultStatus::NoSuchGroup,
                _ => ResultStatus::NoSuchProcess,
            };
            ProcessResult { namespec: name, status, ..ProcessResult::default() }
        };
        let mut results: Vec<ProcessResult> = missing.into_iter().map(strange).collect();
        for (id, _) in self.resolve_all(names).processes {
            let process = self.process_view(id);
            let namespec = process.as_ref().map(|process| process.namespec.clone()).unwrap_or_default();
            results.push(ProcessResult {
                namespec,
                status: ResultStatus::Done,
                text: String::new(),
                process,
            });
        }
        self.send(client, &v1::Results { results });
    }

    fn put_marks_in_force(&mut self, marks: Marks) {
        if self.marks == marks {
            return;
        }
        self.marks = marks;
        self.inputs.push_back(Input::Disabled(self.marks.clone()));
        let fleet = self.core.fleet();
        self.store_fleet(&fleet);
    }

    /// Reads the marks when the daemon begins. Without them everything starts, which is said.
    pub(in crate::daemon) fn read_marks(&mut self) {
        let Some(dir) = self.sockets.as_ref().and_then(Sockets::state_path) else { return };
        match marks::read(dir, self.identity.instance) {
            Ok(marks) => self.marks = marks,
            Err(error) => {
                let text =
                    format!("cannot read which programs are disabled, so all of them are started: {error}");
                self.log(Level::Error, &text);
            }
        }
    }
}
