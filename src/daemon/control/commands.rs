//! What clients ask of processes: one job a request, one question to the core a process, one answer at the end.

use super::ClientId;
use super::route::body;
use super::rpc::{self, CallId, Outcome};
use crate::api::http::Request;
use crate::api::names::{self, Namespec};
use crate::api::v1::{self, ErrorCode, ErrorReply, ProcessResult, ResultStatus, Until};
use crate::api::xmlrpc::{Code, Fault};
use crate::core::{self, Actor, Input, Reply, RequestId};
use crate::daemon::reactor::Reactor;
use crate::logs::sink::SinkId;
use crate::model::{ProcessId, Signal, State, Time};
use crate::sys::clock;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most names in one request.
pub(super) const NAMES_MAX: usize = 10_000;

/// Names a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct JobId(u64);

/// A client's request on its way.
struct Job {
    asker: Asker,
    actor: Actor,
    /// Group and name of its processes: one may be gone before its result is there, and its id another's.
    names: BTreeMap<ProcessId, (String, String)>,
    open: usize,
    deadline: Option<Time>,
}

/// Who asked, and what came of it so far.
enum Asker {
    /// A request of `/v1`.
    Json { client: ClientId, results: Vec<ProcessResult> },
    /// A call of XML-RPC: about one process, which it named so, or about several.
    Call { call: CallId, named: Option<String>, outcomes: Vec<Outcome> },
}

/// A question to the core.
struct Ask {
    job: JobId,
    process: ProcessId,
}

/// Somebody who waits for a process.
struct Watch {
    job: JobId,
    group: String,
    until: Until,
}

/// A process whose logs are being cleared.
struct Clearing {
    job: JobId,
    process: ProcessId,
    /// Logs whose clearing is not answered yet.
    sinks: Vec<SinkId>,
    failure: Option<String>,
}

/// Jobs under way.
#[derive(Default)]
pub(in crate::daemon) struct Jobs {
    next: u64,
    jobs: BTreeMap<JobId, Job>,
    asks: BTreeMap<RequestId, Ask>,
    watches: BTreeMap<ProcessId, Vec<Watch>>,
    clearings: Vec<Clearing>,
}

impl Jobs {
    fn begin(&mut self, asker: Asker, actor: Actor, timeout_ms: Option<u64>) -> JobId {
        self.next += 1;
        let deadline = timeout_ms.map(|ms| clock::now().after(Duration::from_millis(ms)));
        self.jobs.insert(JobId(self.next), Job { asker, actor, names: BTreeMap::new(), open: 0, deadline });
        JobId(self.next)
    }

    /// Forgets what a job waits for, and returns the processes. What it began goes on.
    fn give_up(&mut self, job: JobId) -> Vec<ProcessId> {
        let mut rest: Vec<ProcessId> =
            self.asks.values().filter(|ask| ask.job == job).map(|ask| ask.process).collect();
        self.asks.retain(|_, ask| ask.job != job);
        for (process, watches) in &mut self.watches {
            rest.extend(watches.extract_if(.., |watch| watch.job == job).map(|_| *process));
        }
        self.watches.retain(|_, watches| !watches.is_empty());
        let cleared = self.clearings.extract_if(.., |clearing| clearing.job == job);
        rest.extend(cleared.map(|clearing| clearing.process));
        rest
    }

    /// Returns when a job's time is over.
    pub(in crate::daemon) fn next_deadline(&self) -> Option<Time> {
        self.jobs.values().filter_map(|job| job.deadline).min()
    }
}

/// What is done with each process of a job.
#[derive(Clone, Copy)]
pub(super) enum Verb {
    Start { wait: bool },
    Stop { wait: bool },
    Restart { wait: bool },
    Signal(Signal),
}

impl Verb {
    /// Names it, as in "stop of web".
    fn in_words(self) -> String {
        match self {
            Verb::Start { .. } => "start".to_owned(),
            Verb::Stop { .. } => "stop".to_owned(),
            Verb::Restart { .. } => "restart".to_owned(),
            Verb::Signal(signal) => format!("signal {signal}"),
        }
    }
}

impl Reactor {
    pub(super) fn answer_start(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let names: v1::Names = body(request)?;
        self.command(client, &names.names, names.timeout_ms, Verb::Start { wait: names.wait })
    }

    pub(super) fn answer_stop(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let names: v1::Names = body(request)?;
        self.command(client, &names.names, names.timeout_ms, Verb::Stop { wait: names.wait })
    }

    pub(super) fn answer_restart(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let names: v1::Names = body(request)?;
        self.command(client, &names.names, names.timeout_ms, Verb::Restart { wait: names.wait })
    }

    pub(super) fn answer_signal(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let asked: v1::SignalRequest = body(request)?;
        let Some(signal) = Signal::parse(&asked.signal) else {
            let message = format!("no such signal: {}", asked.signal);
            return Err(ErrorReply::new(ErrorCode::BadRequest, message, "a name as TERM, or a number"));
        };
        self.command(client, &asked.names, None, Verb::Signal(signal))
    }

    pub(super) fn answer_shutdown(&mut self, client: ClientId, _request: &Request) -> Result<(), ErrorReply> {
        self.send(client, &v1::Done { ok: true });
        let actor = self.actor(client);
        self.ask(actor, core::Request::Shutdown);
        Ok(())
    }

    /// Removes the log files of processes, running or not.
    pub(super) fn answer_clear(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let names: v1::Names = body(request)?;
        let (job, chosen) = self.choose(client, &names.names, names.timeout_ms)?;
        self.clear_logs(job, chosen.into_iter().map(|(process, _)| process));
        Ok(())
    }

    /// Removes the log files of processes for a call.
    pub(super) fn clear_for(&mut self, call: CallId, named: Option<&str>, processes: Vec<ProcessId>) {
        let job = self.begin_for(call, named, &processes);
        let everything = processes.into_iter().map(|process| (process, false)).collect();
        let sorted = self.in_order(everything, Verb::Start { wait: false });
        self.clear_logs(job, sorted.into_iter().map(|(process, _)| process));
    }

    fn clear_logs(&mut self, job: JobId, processes: impl Iterator<Item = ProcessId>) {
        let known = |process| Some((process, self.core.process(process)?.spec().clone()));
        let chosen: Vec<_> = processes.filter_map(known).collect();
        // All are counted first: the first answer is not the last.
        if let Some(found) = self.jobs.jobs.get_mut(&job) {
            found.open = chosen.len();
        }
        for (process, spec) in chosen {
            let sinks: Vec<_> = self.open_logs(&spec).into_iter().flatten().collect();
            if sinks.is_empty() {
                self.add_result(job, process, &Came::Else(ResultStatus::Done, "it has no log file"));
                continue;
            }
            for sink in &sinks {
                self.disk.clear(*sink);
                self.disk.close(*sink);
            }
            self.jobs.clearings.push(Clearing { job, process, sinks, failure: None });
        }
        self.finish_if_done(job);
    }

    /// Takes in that a log was cleared, or could not be.
    pub(in crate::daemon) fn log_was_cleared(&mut self, sink: SinkId, failure: Option<String>) {
        if self.main_log_was_cleared(sink, failure.as_deref()) {
            return;
        }
        let Some(at) = self.jobs.clearings.iter().position(|clearing| clearing.sinks.contains(&sink)) else {
            return;
        };
        let clearing = &mut self.jobs.clearings[at];
        clearing.sinks.retain(|known| *known != sink);
        clearing.failure = clearing.failure.take().or(failure);
        if clearing.sinks.is_empty() {
            let Clearing { job, process, failure, .. } = self.jobs.clearings.swap_remove(at);
            let reply = failure.map_or(Reply::Done, Reply::Failed);
            self.add_result(job, process, &Came::Reply(&reply));
        }
    }

    /// Begins a job for everything that the names stand for.
    fn command(
        &mut self,
        client: ClientId,
        names: &[String],
        timeout_ms: Option<u64>,
        verb: Verb,
    ) -> Result<(), ErrorReply> {
        let (job, chosen) = self.choose(client, names, timeout_ms)?;
        self.tell_of_deed(client, &verb.in_words(), &chosen);
        self.ask_each(job, chosen, verb);
        Ok(())
    }

    /// Begins a job for a call: about one process, which it named so, or about those of several that are meant.
    pub(super) fn command_for(
        &mut self,
        call: CallId,
        named: Option<&str>,
        processes: Vec<ProcessId>,
        verb: Verb,
    ) {
        let job = self.begin_for(call, named, &processes);
        let chosen = processes.into_iter().map(|process| (process, named.is_some())).collect();
        self.ask_each(job, chosen, verb);
    }

    fn begin_for(&mut self, call: CallId, named: Option<&str>, processes: &[ProcessId]) -> JobId {
        let actor = self.actor_of(call);
        let asker = Asker::Call { call, named: named.map(str::to_owned), outcomes: Vec::new() };
        let job = self.jobs.begin(asker, actor, None);
        self.note_names(job, processes.iter().copied());
        job
    }

    fn ask_each(&mut self, job: JobId, chosen: Vec<(ProcessId, bool)>, verb: Verb) {
        let Some(actor) = self.jobs.jobs.get(&job).map(|job| job.actor) else { return };
        for (process, by_name) in self.in_order(chosen, verb) {
            if !by_name && !self.is_eligible(process, verb) {
                continue;
            }
            let request = match verb {
                Verb::Start { wait } => core::Request::Start { process, wait },
                Verb::Stop { wait } => core::Request::Stop { process, wait },
                Verb::Restart { wait } => core::Request::Restart { process, wait },
                Verb::Signal(signal) => core::Request::Signal { process, signal },
            };
            let id = self.ask(actor, request);
            self.jobs.asks.insert(id, Ask { job, process });
            if let Some(job) = self.jobs.jobs.get_mut(&job) {
                job.open += 1;
            }
        }
        self.finish_if_done(job);
    }

    /// Begins a job, and resolves its names; those that stand for nothing are results already.
    fn choose(
        &mut self,
        client: ClientId,
        names: &[String],
        timeout_ms: Option<u64>,
    ) -> Result<(JobId, Vec<(ProcessId, bool)>), ErrorReply> {
        if names.is_empty() || names.len() > NAMES_MAX {
            let message = format!("names must hold 1 to {NAMES_MAX} names");
            return Err(ErrorReply::new(ErrorCode::BadRequest, message, "all means every process"));
        }
        let found = self.resolve_for(client, names)?;
        let mut results: Vec<ProcessResult> =
            found.forbidden.iter().map(|name| self.forbidden_result(client, name)).collect();
        for (text, spec) in found.strange {
            let status = match &spec {
                Namespec::Group(group) if self.core.group(group).is_none() => ResultStatus::NoSuchGroup,
                Namespec::Group(_) => continue,
                _ => ResultStatus::NoSuchProcess,
            };
            results.push(ProcessResult { namespec: text.clone(), status, ..ProcessResult::default() });
        }
        let chosen = found.processes;
        let actor = self.actor(client);
        let job = self.jobs.begin(Asker::Json { client, results }, actor, timeout_ms);
        self.note_names(job, chosen.iter().map(|(process, _)| *process));
        Ok((job, chosen))
    }

    fn note_names(&mut self, job: JobId, processes: impl Iterator<Item = ProcessId>) {
        let spec = |id: ProcessId| Some((id, self.core.process(id)?.spec()));
        let called =
            processes.filter_map(spec).map(|(id, spec)| (id, (spec.group.clone(), spec.name.clone())));
        let called = called.collect();
        if let Some(job) = self.jobs.jobs.get_mut(&job) {
            job.names = called;
        }
    }

    /// Starts go by priority upwards, stops downwards.
    pub(super) fn in_order(&self, mut chosen: Vec<(ProcessId, bool)>, verb: Verb) -> Vec<(ProcessId, bool)> {
        let priority = |id: ProcessId| {
            let spec = self.core.process(id).map(|process| process.spec().clone());
            let group = spec
                .as_ref()
                .and_then(|spec| self.core.group(&spec.group))
                .map(|group| group.spec().priority);
            (group, spec.map(|spec| spec.priority))
        };
        chosen.sort_by_key(|(id, _)| priority(*id));
        if matches!(verb, Verb::Stop { .. } | Verb::Restart { .. }) {
            chosen.reverse();
        }
        chosen
    }

    /// Whether a process is meant when a whole group is asked for (supervisor 4.3 `make_allfunc`).
    fn is_eligible(&self, process: ProcessId, verb: Verb) -> bool {
        let state = self.core.process(process).map_or(State::Unknown, |process| process.state().shown());
        match verb {
            Verb::Start { .. } => !state.is_running(),
            Verb::Stop { .. } => self.is_stoppable(process),
            Verb::Restart { .. } => true,
            Verb::Signal(_) => state.is_signallable(),
        }
    }

    fn is_stoppable(&self, process: ProcessId) -> bool {
        self.core.process(process).is_some_and(core::Process::is_stoppable)
    }

    /// Returns who a client is, for the record.
    fn actor(&mut self, client: ClientId) -> Actor {
        let own = crate::model::Uid(crate::sys::identity::uid());
        Actor::Client(self.control.connection(client).map_or(own, |connection| connection.peer))
    }

    /// Asks the core for something; [`Reactor::take_reply`] has the answer.
    pub(super) fn ask(&mut self, actor: Actor, request: core::Request) -> RequestId {
        self.jobs.next += 1;
        let id = RequestId(self.jobs.next);
        self.inputs.push_back(Input::Request { id, actor, request });
        id
    }

    /// Takes in an answer of the core.
    pub(in crate::daemon) fn take_reply(&mut self, id: RequestId, reply: &Reply) {
        let Some(ask) = self.jobs.asks.remove(&id) else { return };
        if !self.jobs.jobs.contains_key(&ask.job) {
            return;
        }
        self.add_result(ask.job, ask.process, &Came::Reply(reply));
    }

    fn add_result(&mut self, job: JobId, process: ProcessId, came: &Came<'_>) {
        let client = self.jobs.jobs.get(&job).and_then(|job| match job.asker {
            Asker::Json { client, .. } => Some(client),
            Asker::Call { .. } => None,
        });
        let (view, words) = match client {
            Some(client) => self.shown_to(client, self.process_view(process), came.in_words()),
            None => (None, came.in_words()),
        };
        let Some(found) = self.jobs.jobs.get_mut(&job) else { return };
        found.open = found.open.saturating_sub(1);
        let (group, name) = found.names.get(&process).map_or(("", ""), |(group, name)| (group, name));
        match &mut found.asker {
            Asker::Json { results, .. } => {
                let namespec = names::join(group, name);
                let view = view.filter(|view| view.namespec == namespec);
                let (status, text) = words;
                results.push(ProcessResult { namespec, status, text, process: view });
            }
            Asker::Call { named, outcomes, .. } => {
                outcomes.push(Outcome::new(group, name, named.as_deref(), &came.as_reply()));
            }
        }
        self.finish_if_done(job);
    }

    fn finish_if_done(&mut self, job: JobId) {
        if self.jobs.jobs.get(&job).is_none_or(|job| job.open > 0) {
            return;
        }
        match self.jobs.jobs.remove(&job).map(|done| done.asker) {
            Some(Asker::Json { client, results }) => self.send(client, &v1::Results { results }),
            Some(Asker::Call { call, named, outcomes }) => {
                self.calls.complete(call, rpc::value_of(named.is_some(), outcomes));
            }
            None => {}
        }
    }

    /// Answers the jobs whose time is over; what they began goes on.
    pub(in crate::daemon) fn expire_jobs(&mut self) {
        let now = clock::now();
        let is_late = |job: &Job| job.deadline.is_some_and(|at| at <= now);
        let late: Vec<JobId> =
            self.jobs.jobs.iter().filter(|(_, job)| is_late(job)).map(|(id, _)| *id).collect();
        for job in late {
            for process in self.jobs.give_up(job) {
                let late = Came::Else(ResultStatus::TimedOut, "the time is over; it goes on");
                self.add_result(job, process, &late);
            }
            self.finish_if_done(job);
        }
    }

    /// Forgets what clients waited for that have gone; what they began goes on.
    pub(in crate::daemon) fn forget_gone(&mut self) {
        let gone = self.control.take_closed();
        if gone.is_empty() {
            return;
        }
        let is_lost = |job: &Job| match &job.asker {
            Asker::Json { client, .. } => gone.contains(client),
            Asker::Call { call, .. } => self.caller(*call).is_none(),
        };
        let lost: Vec<JobId> =
            self.jobs.jobs.iter().filter(|(_, job)| is_lost(job)).map(|(id, _)| *id).collect();
        for job in lost {
            self.jobs.give_up(job);
            if let Some(Asker::Call { call, .. }) = self.jobs.jobs.remove(&job).map(|job| job.asker) {
                self.calls.complete(call, Err(Fault::new(Code::Failed, "nobody waits for it")));
            }
        }
    }

    pub(super) fn answer_wait(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let wait: v1::WaitRequest = body(request)?;
        let (job, chosen) = self.choose(client, &wait.names, wait.timeout_ms)?;
        for (process, _) in &chosen {
            let group = self.core.process(*process).map(|known| known.spec().group.clone());
            let watch = Watch { job, group: group.unwrap_or_default(), until: wait.until };
            self.jobs.watches.entry(*process).or_default().push(watch);
        }
        if let Some(job) = self.jobs.jobs.get_mut(&job) {
            job.open = chosen.len();
        }
        for (process, _) in chosen {
            let state = self.core.process(process).map(|process| process.state().shown());
            state.into_iter().for_each(|state| self.check_watches(process, state));
        }
        self.finish_if_done(job);
        Ok(())
    }

    /// Looks whether somebody has waited for the state that a process has entered.
    pub(in crate::daemon) fn check_watches(&mut self, process: ProcessId, state: State) {
        if !self.jobs.watches.contains_key(&process) {
            return;
        }
        // Between an exit and its automatic restart it is down, and does not stay so.
        let stays_down = state.is_stopped() && !self.is_stoppable(process);
        let coming = self.is_stoppable(process) || state == State::Stopping;
        let verdict = |until: Until| match until {
            Until::Running if state == State::Running => Some(ResultStatus::Done),
            Until::Running if coming => None,
            Until::Running if state == State::Stopped => Some(ResultStatus::NotRunning),
            Until::Running => Some(ResultStatus::AbnormalTermination),
            Until::Exited if state.is_stopped() => Some(ResultStatus::Done),
            Until::Stopped if stays_down => Some(ResultStatus::Done),
            _ => None,
        };
        let Some(mut watches) = self.jobs.watches.remove(&process) else { return };
        let is_met = |watch: &mut Watch| verdict(watch.until).is_some();
        let met: Vec<(JobId, ResultStatus)> = watches
            .extract_if(.., is_met)
            .filter_map(|watch| Some((watch.job, verdict(watch.until)?)))
            .collect();
        if !watches.is_empty() {
            self.jobs.watches.insert(process, watches);
        }
        let failure = self.core.view(process).map(|view| view.spawnerr).unwrap_or_default();
        for (job, status) in met {
            self.add_result(job, process, &Came::Else(status, &failure));
        }
    }

    /// Answers those who wait for processes of a group that is gone: they are down, and will not run.
    pub(in crate::daemon) fn drop_watches(&mut self, group: &str) {
        let mut gone: Vec<(ProcessId, Watch)> = Vec::new();
        for (process, watches) in &mut self.jobs.watches {
            let of_group = watches.extract_if(.., |watch| watch.group == group);
            gone.extend(of_group.map(|watch| (*process, watch)));
        }
        self.jobs.watches.retain(|_, watches| !watches.is_empty());
        for (process, Watch { job, until, .. }) in gone {
            let came = match until {
                Until::Exited | Until::Stopped => Came::Else(ResultStatus::Done, ""),
                Until::Running => Came::Else(ResultStatus::NotRunning, "its group was removed"),
            };
            self.add_result(job, process, &came);
        }
    }
}

/// What came of a process in a job.
enum Came<'a> {
    /// An answer of the core, or as if of it.
    Reply(&'a Reply),
    /// What only `/v1` asks for, or no answer was needed for.
    Else(ResultStatus, &'a str),
}

impl Came<'_> {
    fn in_words(&self) -> (ResultStatus, String) {
        match self {
            Came::Reply(reply) => result_of(reply),
            Came::Else(status, text) => (*status, (*text).to_owned()),
        }
    }

    fn as_reply(&self) -> Reply {
        match self {
            Came::Reply(reply) => (*reply).clone(),
            Came::Else(ResultStatus::Done, _) => Reply::Done,
            Came::Else(_, text) => Reply::Failed((*text).to_owned()),
        }
    }
}

/// Returns the API's words for an answer of the core.
fn result_of(reply: &Reply) -> (ResultStatus, String) {
    match reply {
        Reply::Done => (ResultStatus::Done, String::new()),
        Reply::AlreadyStarted => (ResultStatus::AlreadyStarted, String::new()),
        Reply::NotRunning => (ResultStatus::NotRunning, String::new()),
        Reply::Refused(error) => (ResultStatus::Refused, error.to_string()),
        Reply::SpawnError(text) => (ResultStatus::SpawnError, text.clone()),
        Reply::AbnormalTermination => (ResultStatus::AbnormalTermination, String::new()),
        Reply::Failed(text) => (ResultStatus::Failed, text.clone()),
        Reply::ShuttingDown => (ResultStatus::ShuttingDown, String::new()),
    }
}
