//! Groups come into force and go: one change at a time, all of them through one gate.
//!
//! A change begins with [`Reactor::change_groups`], and ends when the core has said of every group that is waited for
//! that it came or went, or when the daemon ends or begins anew. Until then no other one begins: its target would be
//! built from what is about to be replaced, and bring it back.

use super::config_verbs::{Asked, result};
use super::rpc::CallId;
use super::{ClientId, NOBODY};
use crate::api::v1::{self, ErrorCode, ErrorReply, GroupAction};
use crate::api::xmlrpc::{Code, Fault};
use crate::core::{Input, Phase};
use crate::daemon::auto_logs::Maker;
use crate::daemon::reactor::{Job, Purpose, Reactor};
use crate::daemon::shared_sockets;
use crate::model::Level;
use crate::model::spec::FleetSpec;

/// Who waits for an update, and what is said at its end.
pub(super) enum Asker {
    /// A request of `/v1`.
    Json { client: ClientId, reply: v1::GroupResults },
    /// A call of XML-RPC.
    Call(CallId),
}

/// An update that waits for groups to come and go.
pub(in crate::daemon) struct Update {
    /// Tells it from every other one.
    serial: u64,
    asker: Asker,
    /// Groups whose end or beginning is awaited, with what to answer then.
    waiting: Vec<(String, GroupAction)>,
}

/// A group that changes in part: its processes that are restarted.
pub(in crate::daemon) struct Part {
    /// Its name.
    pub(super) group: String,
    /// Names of processes.
    pub(super) restart: Vec<String>,
}

/// Why groups cannot come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Obstacle {
    /// The daemon ends, or begins anew.
    Closing,
    /// Others come and go at the moment.
    Busy,
    /// There are more programs than the limits allow; in words.
    NoRoom(String),
    /// A socket that programs are to share cannot be opened; in words.
    NoSocket(String),
}

impl From<&Obstacle> for ErrorReply {
    /// Returns what a client is told.
    fn from(why: &Obstacle) -> ErrorReply {
        match why {
            Obstacle::Closing => ErrorReply::new(ErrorCode::ShuttingDown, "the daemon is ending", ""),
            Obstacle::Busy => {
                let message = "another update is under way";
                ErrorReply::new(ErrorCode::Busy, message, "try again when it is done")
            }
            Obstacle::NoRoom(text) => ErrorReply::new(ErrorCode::TooLarge, text, ""),
            Obstacle::NoSocket(text) => ErrorReply::new(ErrorCode::BadRequest, text, ""),
        }
    }
}

impl From<&Obstacle> for Fault {
    /// Returns what a caller is told.
    fn from(why: &Obstacle) -> Fault {
        match why {
            Obstacle::Closing => Code::ShutdownState.into(),
            Obstacle::Busy => {
                Fault::new(Code::Failed, "another update is under way; try again when it is done")
            }
            Obstacle::NoRoom(text) | Obstacle::NoSocket(text) => Fault::new(Code::Failed, text),
        }
    }
}

impl Reactor {
    /// Whether groups may come and go now.
    pub(in crate::daemon) fn may_change_groups(&self) -> Result<(), Obstacle> {
        // After the death of a reactor nobody waits for what still goes.
        let goes = self.core.is_regrouping() || self.core.groups().any(|group| group.is_leaving());
        let is_busy = !self.updates.is_empty() || goes;
        match self.core.phase() {
            Phase::Running if is_busy => Err(Obstacle::Busy),
            Phase::Running => Ok(()),
            Phase::ShuttingDown | Phase::Reloading => Err(Obstacle::Closing),
        }
    }

    /// Whether groups may come and go now, and there is room for a fleet.
    pub(super) fn may_change_to(&mut self, target: &FleetSpec) -> Result<(), Obstacle> {
        self.may_change_groups()?;
        self.make_room(target).map_err(Obstacle::NoRoom)
    }

    /// Has a fleet take the place of that in force, and whoever asked for it wait for its groups to come and go.
    /// Returns whether that began; if not, it was said.
    pub(super) fn change_groups(
        &mut self,
        asker: Asker,
        mut target: FleetSpec,
        waiting: Vec<(String, GroupAction)>,
        parts: Vec<Part>,
    ) -> bool {
        if let Err(why) = self.may_change_to(&target) {
            self.refuse_update(asker, &why);
            return false;
        }
        let takes = |name: &String| waiting.iter().any(|(known, _)| known == name);
        // What is not chosen or not changed stays as it is in force, its AUTO files included.
        let mut fresh =
            FleetSpec { groups: target.groups.extract_if(.., |group| takes(&group.name)).collect() };
        self.last_update += 1;
        let serial = self.last_update;
        self.updates.push(Update { serial, asker, waiting });
        if fresh.groups.is_empty() {
            self.inputs.push_back(Input::FleetLoaded(target));
            return true;
        }
        let maker = Maker::of(&self.settings);
        // A call is told of a socket that cannot be opened, as at the start; for others that is a failed start.
        let tried = matches!(self.updates.last(), Some(Update { asker: Asker::Call(_), .. }))
            .then(|| self.shared_sockets_in_use());
        self.disk.run(Box::new(move || {
            let mut words = Vec::new();
            let log = |line: &str| words.push((Level::Info, line.to_owned()));
            if let Some(Err(why)) = tried.map(|open| shared_sockets::try_others(&fresh, &open, log)) {
                return Job::Targeted { serial, target: Err(why), words, parts };
            }
            words.extend(maker.add(&mut fresh));
            target.groups.append(&mut fresh.groups);
            target.groups.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
            Job::Targeted { serial, target: Ok(target), words, parts }
        }));
        true
    }

    /// The AUTO files of what is to come into force are made: on with it, unless the daemon began to end meanwhile.
    pub(in crate::daemon) fn targeted(
        &mut self,
        serial: u64,
        target: Result<FleetSpec, String>,
        parts: Vec<Part>,
        words: &[(Level, String)],
    ) {
        words.iter().for_each(|(level, text)| self.log(*level, text));
        let Some(at) = self.updates.iter().position(|update| update.serial == serial) else { return };
        match target {
            Ok(target) => self.take_target(target, parts),
            Err(why) => {
                let update = self.updates.remove(at);
                self.refuse_update(update.asker, &Obstacle::NoSocket(why));
                self.reload_if_waiting();
            }
        }
    }

    fn take_target(&mut self, target: FleetSpec, parts: Vec<Part>) {
        // First, so that the target finds them as it wants them, and leaves them alone.
        for Part { group, restart } in parts {
            let Some(spec) = target.groups.iter().find(|spec| spec.name == group).cloned() else { continue };
            self.record_note("", "group_changed", &group);
            self.afterwards.relog.push((group, restart.clone()));
            self.inputs.push_back(Input::GroupChanged { group: spec, restart });
        }
        self.inputs.push_back(Input::FleetLoaded(target));
    }

    /// Says why groups do not come and go.
    pub(super) fn refuse_update(&mut self, asker: Asker, why: &Obstacle) {
        match (asker, why) {
            (Asker::Json { client: NOBODY, .. }, Obstacle::Busy) => self.hup_waits = true,
            (Asker::Json { client: NOBODY, .. }, why) => {
                let text = format!("the configuration was not put in force: {}", ErrorReply::from(why).error);
                self.log(Level::Warn, &text);
            }
            (Asker::Json { client, mut reply }, Obstacle::NoRoom(text)) => {
                reply.ok = false;
                reply.results.clear();
                reply.daemon.clear();
                reply.diagnostics.push(self.no_room(text));
                self.send(client, &reply);
            }
            (Asker::Json { client, .. }, why) => self.send_error(client, &why.into()),
            (Asker::Call(call), why) => self.calls.complete(call, Err(why.into())),
        }
    }

    /// The configuration as a whole asks for more than there is.
    fn no_room(&self, text: &str) -> v1::Diagnostic {
        v1::Diagnostic {
            severity: "error".to_owned(),
            file: self.settings.file.display().to_string(),
            what: text.to_owned(),
            ..v1::Diagnostic::default()
        }
    }

    /// Tells all who wait for groups that the daemon ends or begins anew: nothing comes of it any more.
    pub(in crate::daemon) fn end_updates(&mut self) {
        self.hup_waits = false;
        for update in std::mem::take(&mut self.updates) {
            self.refuse_update(update.asker, &Obstacle::Closing);
        }
        for asked in std::mem::take(&mut self.hot.asked) {
            self.send_error(asked.client, &(&Obstacle::Closing).into());
        }
    }

    /// Takes in that a group came into force, or is in force no longer.
    pub(in crate::daemon) fn group_changed(&mut self, group: &str, is_there: bool) {
        let met = |waiting: &(String, GroupAction)| {
            waiting.0 == group && (waiting.1 == GroupAction::Removed) != is_there
        };
        for update in &mut self.updates {
            let done = update.waiting.extract_if(.., |waiting| met(waiting));
            let done: Vec<_> = done.map(|(name, action)| result(&name, action, "")).collect();
            if let Asker::Json { reply, .. } = &mut update.asker {
                reply.results.extend(done);
            }
        }
        let done: Vec<Update> = self.updates.extract_if(.., |update| update.waiting.is_empty()).collect();
        if !done.is_empty() {
            self.compare_with_latest();
        }
        for update in done {
            match update.asker {
                Asker::Json { client, reply } => self.send(client, &reply),
                Asker::Call(call) => self.calls.complete(call, Ok(true.into())),
            }
        }
        self.reload_if_waiting();
    }

    /// Does what a HUP asked for while groups came and went.
    fn reload_if_waiting(&mut self) {
        if self.hup_waits && self.may_change_groups().is_ok() {
            self.reload();
        }
        self.read_waiting_change();
        if self.may_change_groups() != Err(Obstacle::Busy) {
            for Asked { client, verb, groups } in std::mem::take(&mut self.hot.asked) {
                self.read_configuration(Purpose::Client { client, verb, groups });
            }
        }
    }

    /// Whether groups come and go only because files changed: whoever asks meanwhile waits, as it would be told to
    /// try again for a change that it cannot know of.
    pub(super) fn is_busy_unasked(&self) -> bool {
        let is_unasked = |update: &Update| matches!(update.asker, Asker::Json { client: NOBODY, .. });
        self.updates.iter().all(is_unasked)
    }
}
