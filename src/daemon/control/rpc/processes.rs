//! Start, stop and signal, of one process, a group or all; and what is sent to programs.

use super::params::Params;
use super::{Answer, CallId};
use crate::api::names::{self, Namespec};
use crate::api::xmlrpc::{Code, Fault, Value};
use crate::core::{Reply, SpawnError};
use crate::daemon::control::commands::Verb;
use crate::daemon::control::streams::StdinError;
use crate::daemon::reactor::Reactor;
use crate::model::{ProcessId, Signal};

type Handled = Result<Answer, Fault>;

/// What became of a process in a list of results.
pub(in crate::daemon::control) struct Outcome {
    /// Its group.
    pub(in crate::daemon::control) group: String,
    /// Its name.
    pub(in crate::daemon::control) name: String,
    /// How it went.
    pub(in crate::daemon::control) result: Result<(), Fault>,
}

impl Outcome {
    /// Takes in what the core answered about a process, which the caller named so.
    pub(in crate::daemon::control) fn new(
        group: &str,
        name: &str,
        named: Option<&str>,
        reply: &Reply,
    ) -> Outcome {
        let namespec = names::join(group, name);
        let result = fault_of(reply, named.unwrap_or(&namespec)).map_or(Ok(()), Err);
        Outcome { group: group.to_owned(), name: name.to_owned(), result }
    }

    /// Whether a child was made or signalled before this was known.
    fn was_tried(&self) -> bool {
        let fault = self.result.as_ref().err().and_then(|fault| Code::of(fault.code));
        fault.is_none_or(|code| matches!(code, Code::SpawnError | Code::AbnormalTermination))
    }

    fn value(self) -> Value {
        let (status, description) = match self.result {
            Ok(()) => (Code::Success.number(), "OK".to_owned()),
            Err(fault) => (fault.code, fault.text),
        };
        [
            ("name", self.name.into()),
            ("group", self.group.into()),
            ("status", status.into()),
            ("description", description.into()),
        ]
        .into()
    }
}

/// Returns the answer to a call: of one process whether it went well, of several how it went with each. What is known
/// without trying comes first, then what was tried in the order in which it ended: supervisorctl's exit code is that of
/// the last one.
pub(in crate::daemon::control) fn value_of(is_one: bool, mut outcomes: Vec<Outcome>) -> Result<Value, Fault> {
    if is_one && let Some(one) = outcomes.pop() {
        return one.result.map(|()| true.into());
    }
    outcomes.sort_by_key(Outcome::was_tried);
    Ok(Value::Array(outcomes.into_iter().map(Outcome::value).collect()))
}

fn fault_of(reply: &Reply, named: &str) -> Option<Fault> {
    Some(match reply {
        Reply::Done => return None,
        Reply::AlreadyStarted => Fault::new(Code::AlreadyStarted, named),
        Reply::NotRunning => Fault::new(Code::NotRunning, named),
        Reply::Refused(error) => refusal(error),
        Reply::SpawnError(_) => Fault::new(Code::SpawnError, named),
        Reply::AbnormalTermination => Fault::new(Code::AbnormalTermination, named),
        Reply::Failed(text) => Fault::new(Code::Failed, text),
        Reply::ShuttingDown => Code::ShutdownState.into(),
    })
}

fn refusal(error: &SpawnError) -> Fault {
    let code = match error {
        SpawnError::NotFound(_) => Code::NoFile,
        error if error.is_command() => Code::NotExecutable,
        _ => Code::Failed,
    };
    Fault::new(code, error)
}

/// What a name in a call stands for.
enum Named {
    One(ProcessId),
    All(Vec<ProcessId>),
}

impl Reactor {
    fn named(&self, text: &str) -> Result<Named, Fault> {
        let bad = || Fault::new(Code::BadName, text);
        match Namespec::parse(text) {
            Namespec::Group(group) => Ok(Named::All(self.group_members(&group).ok_or_else(bad)?)),
            // Not a word with a meaning here.
            Namespec::All => self.core.find(text, text).map(Named::One).ok_or_else(bad),
            Namespec::Process { group, name } => {
                self.core.find(&group, &name).map(Named::One).ok_or_else(bad)
            }
        }
    }

    /// Finds the one process that a name stands for.
    pub(super) fn one_process(&self, text: &str) -> Result<ProcessId, Fault> {
        match self.named(text)? {
            Named::One(process) => Ok(process),
            Named::All(_) => Err(Fault::new(Code::BadName, text)),
        }
    }

    fn group_members(&self, group: &str) -> Option<Vec<ProcessId>> {
        self.core.group(group).map(|group| group.processes().to_vec())
    }

    fn run_named(&mut self, call: CallId, text: &str, verb: Verb) -> Handled {
        match self.named(text)? {
            Named::One(process) => self.command_for(call, Some(text), vec![process], verb),
            Named::All(members) => self.command_for(call, None, members, verb),
        }
        Ok(Answer::Later)
    }

    /// Answers who wants to start a process that is up already. Its command is looked at all the same, and a command
    /// that has vanished is what they are told (supervisor 4.3 rpcinterface.py `startProcess`).
    fn start_again(&mut self, call: CallId, text: &str, process: ProcessId) -> Handled {
        let lookup = self.spec(process).map(|spec| self.common.lookup(spec));
        let text = text.to_owned();
        self.answer_from_disk(call, move || match lookup.map(|lookup| lookup.run()) {
            Some(Err(error)) if error.is_command() => Err(refusal(&error)),
            _ => Err(Fault::new(Code::AlreadyStarted, text)),
        })
    }

    /// Answers who sends several processes a signal that there is not: each that could take one has the fault, and the
    /// call itself went well (supervisor 4.3 rpcinterface.py `make_allfunc`).
    fn refuse_each(&self, members: Vec<ProcessId>, fault: &Fault) -> Handled {
        let everything = members.into_iter().map(|process| (process, false)).collect();
        let refused =
            self.in_order(everything, Verb::Signal(Signal::TERM)).into_iter().filter_map(|(id, _)| {
                let process =
                    self.core.process(id).filter(|process| process.state().shown().is_signallable())?;
                let spec = process.spec();
                Some(Outcome {
                    group: spec.group.clone(),
                    name: spec.name.clone(),
                    result: Err(fault.clone()),
                })
            });
        value_of(false, refused.collect()).map(Answer::Now)
    }

    fn is_up(&self, process: ProcessId) -> bool {
        self.core.process(process).is_some_and(|process| process.state().shown().is_running())
    }

    fn run_group(&mut self, call: CallId, group: &str, verb: Verb) -> Handled {
        let members = self.group_members(group).ok_or_else(|| Fault::new(Code::BadName, group))?;
        self.command_for(call, None, members, verb);
        Ok(Answer::Later)
    }

    fn run_all(&mut self, call: CallId, verb: Verb) -> Handled {
        let members = self.core.processes().map(|(id, _)| id).collect();
        self.command_for(call, None, members, verb);
        Ok(Answer::Later)
    }
}

pub(super) fn start(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    let name = params.text(0);
    match reactor.named(name)? {
        Named::One(process) if reactor.is_up(process) => reactor.start_again(call, name, process),
        _ => reactor.run_named(call, name, Verb::Start { wait: params.truth(1) }),
    }
}

pub(super) fn start_group(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    reactor.run_group(call, params.text(0), Verb::Start { wait: params.truth(1) })
}

pub(super) fn start_all(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    reactor.run_all(call, Verb::Start { wait: params.truth(0) })
}

pub(super) fn stop(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    reactor.run_named(call, params.text(0), Verb::Stop { wait: params.truth(1) })
}

pub(super) fn stop_group(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    reactor.run_group(call, params.text(0), Verb::Stop { wait: params.truth(1) })
}

pub(super) fn stop_all(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    reactor.run_all(call, Verb::Stop { wait: params.truth(0) })
}

pub(super) fn signal(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    // A wrong name is told before a wrong signal.
    match (reactor.named(params.text(0))?, signal_of(params.text(1))) {
        (Named::One(_), Err(fault)) => Err(fault),
        (Named::All(members), Err(fault)) => reactor.refuse_each(members, &fault),
        (_, Ok(signal)) => reactor.run_named(call, params.text(0), Verb::Signal(signal)),
    }
}

pub(super) fn signal_group(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    let group = params.text(0);
    let members = reactor.group_members(group).ok_or_else(|| Fault::new(Code::BadName, group))?;
    match signal_of(params.text(1)) {
        Ok(signal) => reactor.run_group(call, group, Verb::Signal(signal)),
        Err(fault) => reactor.refuse_each(members, &fault),
    }
}

pub(super) fn signal_all(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    match signal_of(params.text(0)) {
        Ok(signal) => reactor.run_all(call, Verb::Signal(signal)),
        Err(fault) => {
            let members = reactor.core.processes().map(|(id, _)| id).collect();
            reactor.refuse_each(members, &fault)
        }
    }
}

fn signal_of(text: &str) -> Result<Signal, Fault> {
    Signal::parse(text).ok_or_else(|| Fault::new(Code::BadSignal, text))
}

pub(super) fn send_stdin(reactor: &mut Reactor, _: CallId, params: &Params) -> Handled {
    let name = params.text(0);
    let process = reactor.one_process(name)?;
    match reactor.write_stdin(process, params.text(1).as_bytes()) {
        Ok(()) => Ok(Answer::Now(true.into())),
        Err(StdinError::NotRunning) => Err(Fault::new(Code::NotRunning, name)),
        Err(StdinError::Closed(_)) => Err(Fault::new(Code::NoFile, name)),
        Err(StdinError::Full(why)) => Err(Fault::new(Code::Failed, why)),
    }
}

pub(super) fn send_remote(reactor: &mut Reactor, _: CallId, params: &Params) -> Handled {
    reactor.tell_remote_communication(params.text(0), params.text(1));
    Ok(Answer::Now(true.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_of_the_core_is_supervisords_fault() {
        let refused = |error| fault_of(&Reply::Refused(error), "g:p").map(|fault| (fault.code, fault.text));
        for (reply, code, text) in [
            (Reply::AlreadyStarted, 60, "ALREADY_STARTED: g:p"),
            (Reply::NotRunning, 70, "NOT_RUNNING: g:p"),
            (Reply::SpawnError("Exited too quickly".into()), 50, "SPAWN_ERROR: g:p"),
            (Reply::AbnormalTermination, 40, "ABNORMAL_TERMINATION: g:p"),
            (Reply::Failed("why".into()), 30, "FAILED: why"),
            (Reply::ShuttingDown, 6, "SHUTDOWN_STATE"),
        ] {
            assert_eq!(fault_of(&reply, "g:p"), Some(Fault { code, text: text.into() }));
        }
        assert_eq!(fault_of(&Reply::Done, "g:p"), None);
        let missing = refused(SpawnError::NotFound("/x".into()));
        assert_eq!(missing, Some((20, "NO_FILE: can't find command '/x'".into())));
        assert_eq!(refused(SpawnError::Empty), Some((21, "NOT_EXECUTABLE: command is empty".into())));
        assert_eq!(refused(SpawnError::Refused("why".into())), Some((30, "FAILED: why".into())));
    }

    #[test]
    fn one_process_is_a_truth_and_several_are_a_list() {
        let outcome = || Outcome::new("g", "p", None, &Reply::NotRunning);
        assert_eq!(value_of(true, vec![outcome()]), Err(Fault::new(Code::NotRunning, "g:p")));
        let done = Outcome::new("a", "a", None, &Reply::Done);
        let list = value_of(false, vec![done, outcome()]);
        let expected: [Value; 2] = [
            [
                ("name", "p".into()),
                ("group", "g".into()),
                ("status", 70.into()),
                ("description", "NOT_RUNNING: g:p".into()),
            ]
            .into(),
            [
                ("name", "a".into()),
                ("group", "a".into()),
                ("status", 80.into()),
                ("description", "OK".into()),
            ]
            .into(),
        ];
        assert_eq!(list, Ok(Value::Array(expected.to_vec())));
        assert_eq!(value_of(false, vec![]), Ok(Value::Array(vec![])));
    }
}
