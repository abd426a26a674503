//! Requests of others than the owner: refused unless granted, and answered with what they may see.
//!
//! They learn of no program that nothing is granted for: such a name and one of nothing are answered alike. Neither do
//! they see command lines, paths or texts that may hold them. Example: the first thing that `route.rs` asks of a
//! request is [`Reactor::judge`].

use super::ClientId;
use super::commands::NAMES_MAX;
use super::rights::{Need, Rights, Visitor, need};
use super::route::body;
use super::show::Resolved;
use crate::api::http::Request;
use crate::api::names::{self, Namespec};
use crate::api::v1::{self, ErrorCode, ErrorReply, ProcessResult, ResultStatus, path};
use crate::daemon::reactor::Reactor;
use crate::model::delegate::Action;
use crate::model::{Level, ProcessId, Signal, State};
use crate::sys::identity;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Most names in one request of somebody else: each is looked up on its own.
const VISITOR_NAMES_MAX: usize = 256;
/// Most names that a line of the log tells.
const NAMES_TOLD_MAX: usize = 8;
/// Most bytes of a path or a name of somebody else's choice in a line of the log.
const TOLD_BYTES_MAX: usize = 64;

/// What a program did, in words of supervisord that hold nothing of its configuration.
const HARMLESS: &str = "Exited too quickly (process log may have details)";
/// What stands in the place of words that may hold paths.
const SEE_OWNER: &str = "it cannot be started; its owner can see why";

const STATUS: &[Action] = &[Action::Status];

impl Reactor {
    /// Returns who a client is, where that is neither the owner nor root.
    pub(super) fn visitor(&mut self, client: ClientId) -> Option<Rc<Visitor>> {
        self.control.connection(client)?.visitor.clone()
    }

    /// Puts what the configuration grants in force: the connections of those who lose something by that end where
    /// they would go on without being judged again.
    pub(in crate::daemon) fn apply_rights(&mut self) {
        let rights = Rights::new(&self.settings.daemon.delegates);
        self.share.visitors.learn(&self.settings.daemon.delegates);
        for client in self.control.set_rights(rights) {
            self.control.close(client);
        }
    }

    /// Refuses what a client may not ask for; returns whether the request has been answered already.
    pub(super) fn judge(&mut self, client: ClientId, request: &Request) -> Result<bool, ErrorReply> {
        let Some(visitor) = self.visitor(client) else { return Ok(false) };
        let asked = &request.head.path;
        let Some(need) = need(asked) else {
            let message = format!("{} is for the owner alone", what_is_at(asked));
            return Err(self.refuse(&visitor, &what_is_at(asked), message));
        };
        let actions: &'static [Action] = match need {
            Need::Standing => &[],
            Need::Any(actions) => actions,
            Need::Signal => {
                let asked: v1::SignalRequest = body(request)?;
                let is_reload = Signal::parse(&asked.signal) == Some(Signal::HUP);
                if is_reload { &[Action::Signal, Action::Reload] } else { &[Action::Signal] }
            }
        };
        if !actions.is_empty() && !self.control.rights.grant(&visitor, actions) {
            let what = actions[0].name();
            let message = format!("{what} is not granted to you (uid {})", visitor.uid);
            return Err(self.refuse(&visitor, what, message));
        }
        if let Some(connection) = self.control.connection(client) {
            connection.asks = actions;
        }
        match asked.as_str() {
            path::VERSION => self.answer_version_to(client),
            path::STATUS => self.answer_status_to(client, &visitor, request)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Counts a refusal for the log, and returns what the asker is told.
    fn refuse(&mut self, visitor: &Visitor, what: &str, message: String) -> ErrorReply {
        self.control.note_refusal(visitor.uid, what);
        ErrorReply::new(ErrorCode::Forbidden, message, "the owner grants in a [delegate:x] section")
    }

    fn answer_version_to(&mut self, client: ClientId) {
        let version = v1::Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: v1::API,
            ..v1::Version::default()
        };
        self.send(client, &version);
    }

    fn answer_status_to(
        &mut self,
        client: ClientId,
        visitor: &Visitor,
        request: &Request,
    ) -> Result<(), ErrorReply> {
        let mut asked: Vec<String> = request.head.parameters("name").map(str::to_owned).collect();
        let is_all = asked.is_empty();
        if is_all {
            asked.push("all".to_owned());
        }
        let found = self.resolve_granted(visitor, STATUS, &asked)?;
        if let Some(first) = found.forbidden.first() {
            let message = not_granted(STATUS, first, visitor);
            return Err(self.refuse(visitor, &format!("status of {first}"), message));
        }
        let missing = found.strange.iter().map(|(_, name)| name.to_string()).collect();
        let views = found.processes.into_iter().filter_map(|(id, _)| self.process_view(id));
        let mut processes: Vec<v1::Process> = views.map(shown_to_visitor).collect();
        processes.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let daemon = v1::Daemon { version, ..v1::Daemon::default() };
        self.send(client, &v1::StatusReply { daemon, processes, missing });
        Ok(())
    }

    /// Finds what names stand for that a client gave, as far as it may know that.
    pub(super) fn resolve_for<'n>(
        &mut self,
        client: ClientId,
        names: &'n [String],
    ) -> Result<Resolved<'n>, ErrorReply> {
        match self.visitor(client) {
            None => Ok(self.resolve_all(names)),
            Some(visitor) => {
                let actions = self.control.connection(client).map_or(&[][..], |connection| connection.asks);
                let found = self.resolve_granted(&visitor, actions, names)?;
                for name in &found.forbidden {
                    let action = actions.first().map_or("", |action| action.name());
                    self.control.note_refusal(visitor.uid, &format!("{action} of {name}"));
                }
                Ok(found)
            }
        }
    }

    /// Finds the one process that a name stands for which a client gave, and may do with what it asked for.
    pub(super) fn one_for(&mut self, client: ClientId, name: &str) -> Result<ProcessId, ErrorReply> {
        let Some(visitor) = self.visitor(client) else { return self.one(name) };
        let names = [name.to_owned()];
        let found = self.resolve_for(client, &names)?;
        if let Some(forbidden) = found.forbidden.first() {
            let actions = self.control.connection(client).map_or(&[][..], |connection| connection.asks);
            let message = not_granted(actions, forbidden, &visitor);
            return Err(ErrorReply::new(ErrorCode::Forbidden, message, ""));
        }
        match found.processes.first() {
            Some((process, true)) => Ok(*process),
            _ => Err(no_process(name)),
        }
    }

    fn resolve_granted<'n>(
        &self,
        visitor: &Visitor,
        actions: &[Action],
        names: &'n [String],
    ) -> Result<Resolved<'n>, ErrorReply> {
        if names.len() > VISITOR_NAMES_MAX.min(NAMES_MAX) {
            let message = format!("names must hold 1 to {VISITOR_NAMES_MAX} names");
            return Err(ErrorReply::new(ErrorCode::BadRequest, message, "all means every process"));
        }
        let rights = &self.control.rights;
        let (mut resolved, mut known) = (Resolved::default(), BTreeSet::new());
        for text in names {
            let name = Namespec::parse(text);
            let by_name = matches!(name, Namespec::Process { .. });
            let (mut may, mut shown) = (false, name == Namespec::All);
            for id in self.resolve(&name) {
                let Some(spec) = self.core.process(id).map(crate::core::Process::spec) else { continue };
                shown |= rights.show(visitor, &spec.group, &spec.name);
                if rights.allow(visitor, actions, &spec.group, &spec.name) {
                    may = true;
                    if known.insert(id) {
                        resolved.processes.push((id, by_name));
                    }
                }
            }
            match (may, shown) {
                (true, _) => {}
                (false, true) if name == Namespec::All => {}
                (false, true) => resolved.forbidden.push(name.to_string()),
                (false, false) => resolved.strange.push((text, name)),
            }
        }
        Ok(resolved)
    }

    /// Returns what a client that asked for a deed is shown of a process, and of the words about it.
    pub(super) fn shown_to(
        &mut self,
        client: ClientId,
        view: Option<v1::Process>,
        words: (ResultStatus, String),
    ) -> (Option<v1::Process>, (ResultStatus, String)) {
        let Some(visitor) = self.visitor(client) else { return (view, words) };
        let rights = &self.control.rights;
        let view = view.filter(|view| rights.allow(&visitor, STATUS, &view.group, &view.name));
        let (status, text) = words;
        let text = match status {
            ResultStatus::TimedOut => text,
            ResultStatus::SpawnError | ResultStatus::Refused => harmless(&text),
            _ => String::new(),
        };
        (view.map(shown_to_visitor), (status, text))
    }

    /// Returns the result for a name that a client knows, and may not do with what it asked for.
    pub(super) fn forbidden_result(&mut self, client: ClientId, name: &str) -> ProcessResult {
        let text = match self.visitor(client) {
            Some(visitor) => {
                let actions = self.control.connection(client).map_or(&[][..], |connection| connection.asks);
                not_granted(actions, name, &visitor)
            }
            None => String::new(),
        };
        ProcessResult { namespec: name.to_owned(), status: ResultStatus::Forbidden, text, process: None }
    }

    /// Writes into the activity log what somebody else asked for and was granted.
    pub(super) fn tell_of_deed(&mut self, client: ClientId, deed: &str, processes: &[(ProcessId, bool)]) {
        let Some(visitor) = self.visitor(client) else { return };
        if processes.is_empty() {
            return;
        }
        let spec = |(id, _): &(ProcessId, bool)| {
            self.core.process(*id).map(|process| names::join(&process.spec().group, &process.spec().name))
        };
        let told: Vec<String> = processes.iter().take(NAMES_TOLD_MAX).filter_map(spec).collect();
        let more = match processes.len().saturating_sub(NAMES_TOLD_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!("{deed} of {}{more} asked for by ", told.join(", "));
        self.say_of(visitor.uid, Level::Info, text, String::new());
    }

    /// Writes a line about refusals into the activity log, where one is due.
    pub(in crate::daemon) fn tell_of_refusals(&mut self, now: crate::model::Time) {
        if let Some((uid, before, after)) = self.control.refusals(now) {
            self.say_of(uid, Level::Warn, before, after);
        }
    }
}

fn no_process(name: &str) -> ErrorReply {
    let message = format!("there is no process {name}");
    ErrorReply::new(ErrorCode::NoSuchProcess, message, "GET /v1/status lists them")
}

/// Returns the words for an action that is not granted for a process.
pub(super) fn not_granted(actions: &[Action], name: &str, visitor: &Visitor) -> String {
    let action = actions.first().map_or("", |action| action.name());
    format!("{action} of {name} is not granted to you ({})", identity::in_words(None, visitor.uid))
}

/// Returns what a path is called in a line: nothing of it can be long, or end the line.
fn what_is_at(path: &str) -> String {
    let plain = path.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '?' });
    plain.take(TOLD_BYTES_MAX).collect()
}

fn harmless(text: &str) -> String {
    if text.is_empty() || text == HARMLESS { text.to_owned() } else { SEE_OWNER.to_owned() }
}

/// Leaves of a process what others than the owner may see: no command, no path, no text that may hold one.
fn shown_to_visitor(view: v1::Process) -> v1::Process {
    let failed = matches!(view.state, State::Fatal | State::Backoff) && !view.spawn_error.is_empty();
    let by_client = view.actor.starts_with("client:");
    v1::Process {
        description: if failed { harmless(&view.spawn_error) } else { view.description },
        spawn_error: harmless(&view.spawn_error),
        cause: if by_client { view.cause } else { String::new() },
        start_refused: harmless(&view.start_refused),
        group: view.group,
        name: view.name,
        namespec: view.namespec,
        state: view.state,
        statecode: view.statecode,
        pid: view.pid,
        started_unix: view.started_unix,
        stopped_unix: view.stopped_unix,
        uptime_ms: view.uptime_ms,
        exit: view.exit,
        expected: view.expected,
        restarts: view.restarts,
        previous_exit: view.previous_exit,
        attempts: view.attempts,
        retry_in_ms: view.retry_in_ms,
        left_overs: view.left_overs,
        wanted: view.wanted,
        actor: view.actor,
        autostart: view.autostart,
        ..v1::Process::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_sees_no_command_no_path_and_no_text_with_one() {
        let secret = "/home/alice/secret";
        let view = v1::Process {
            namespec: "web".into(),
            state: State::Fatal,
            description: format!("can't find command '{secret}'"),
            spawn_error: format!("can't find command '{secret}'"),
            start_refused: format!("can't find command '{secret}'"),
            cause: format!("gave up on {secret}"),
            actor: "policy".into(),
            command: format!("{secret} --password=x"),
            directory: Some(secret.into()),
            stdout_log: Some(secret.into()),
            stderr_log: Some(secret.into()),
            config_file: secret.into(),
            config_line: 3,
            refused: Some(secret.into()),
            failed_stage: Some(v1::FailedStage { text: secret.into(), ..v1::FailedStage::default() }),
            ..v1::Process::default()
        };
        let shown = shown_to_visitor(view.clone());
        let text = serde_json::to_string(&shown).expect("plain data");
        assert!(!text.contains("secret") && !text.contains("password"), "{text}");
        assert_eq!((shown.namespec.as_str(), shown.description.as_str()), ("web", SEE_OWNER));
        let quick = v1::Process { spawn_error: HARMLESS.into(), description: HARMLESS.into(), ..view };
        assert_eq!(shown_to_visitor(quick).description, HARMLESS);
    }

    #[test]
    fn a_path_of_a_strangers_choice_is_short_and_one_line_in_the_log() {
        assert_eq!(what_is_at("/v1/a\nb\u{1b}[2J"), "/v1/a?b?[2J");
        assert_eq!(what_is_at(&"x".repeat(1000)).len(), TOLD_BYTES_MAX);
    }
}
