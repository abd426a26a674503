//! Reading, tailing and clearing logs; the disk worker reads, and the answer comes later.

use super::params::Params;
use super::{Answer, CallId};
use crate::api::xmlrpc::{Code, Fault, Value};
use crate::daemon::reactor::{Job, Reactor};
use crate::daemon::runs::Channel;
use crate::logs::sink::SinkId;
use crate::logs::slice::{self, SliceError};
use crate::model::spec::MainLog;
use crate::model::{Level, ProcessId};
use std::path::{Path, PathBuf};

type Handled = Result<Answer, Fault>;

pub(super) fn read_main(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    let path = reactor.main_log_path()?;
    let (offset, length) = (params.int(0), params.int(1));
    reactor.answer_from_disk(call, move || read(&path, offset, length))
}

pub(super) fn read_stdout(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    read_channel(reactor, call, params, Channel::Stdout)
}

pub(super) fn read_stderr(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    read_channel(reactor, call, params, Channel::Stderr)
}

fn read_channel(reactor: &mut Reactor, call: CallId, params: &Params, channel: Channel) -> Handled {
    let process = reactor.one_process(params.text(0))?;
    let path = reactor.log_of(process, channel).ok_or(Code::NoFile)?;
    let (offset, length) = (params.int(1), params.int(2));
    reactor.answer_from_disk(call, move || read(&path, offset, length))
}

pub(super) fn tail_stdout(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    tail_channel(reactor, call, params, Channel::Stdout)
}

pub(super) fn tail_stderr(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    tail_channel(reactor, call, params, Channel::Stderr)
}

fn tail_channel(reactor: &mut Reactor, call: CallId, params: &Params, channel: Channel) -> Handled {
    let process = reactor.one_process(params.text(0))?;
    let Some(path) = reactor.log_of(process, channel) else { return Ok(Answer::Now(empty_tail())) };
    let (offset, length) = (params.int(1), params.int(2));
    reactor.answer_from_disk(call, move || Ok(tail(&path, offset, length)))
}

pub(super) fn clear(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    let process = reactor.one_process(params.text(0))?;
    reactor.clear_for(call, Some(params.text(0)), vec![process]);
    Ok(Answer::Later)
}

pub(super) fn clear_all(reactor: &mut Reactor, call: CallId, _: &Params) -> Handled {
    let all = reactor.core.processes().map(|(id, _)| id).collect();
    reactor.clear_for(call, None, all);
    Ok(Answer::Later)
}

pub(super) fn clear_main(reactor: &mut Reactor, call: CallId, _: &Params) -> Handled {
    reactor.main_log_path()?;
    // What was said before is to be gone, too.
    reactor.lines.flush(&reactor.disk);
    reactor.disk.clear(reactor.lines.sink());
    reactor.calls.clears.push(call);
    Ok(Answer::Later)
}

impl Reactor {
    fn main_log_path(&self) -> Result<PathBuf, Fault> {
        match &self.settings.daemon.logfile {
            MainLog::File(path) => Ok(path.clone()),
            MainLog::Syslog => Err(Code::NoFile.into()),
        }
    }

    /// Returns the log of a stream, where it has one of its own.
    pub(in crate::daemon::control) fn log_of(&self, process: ProcessId, channel: Channel) -> Option<PathBuf> {
        let spec = self.core.process(process)?.spec();
        let target = match channel {
            Channel::Stdout => &spec.stdout.logfile,
            Channel::Stderr if spec.redirect_stderr => return None,
            Channel::Stderr => &spec.stderr.logfile,
        };
        target.path().map(Path::to_owned)
    }

    /// Has the disk worker find the answer to a call.
    pub(super) fn answer_from_disk(
        &mut self,
        call: CallId,
        work: impl FnOnce() -> Result<Value, Fault> + Send + 'static,
    ) -> Handled {
        self.disk.run(Box::new(move || Job::Called(call, work())));
        Ok(Answer::Later)
    }

    /// Takes in that the activity log was cleared, or could not be; returns false for another log.
    pub(in crate::daemon::control) fn main_log_was_cleared(
        &mut self,
        sink: SinkId,
        failure: Option<&str>,
    ) -> bool {
        if sink != self.lines.sink() {
            return false;
        }
        for call in std::mem::take(&mut self.calls.clears) {
            let result = failure.map_or(Ok(true.into()), |why| Err(Fault::new(Code::Failed, why)));
            self.calls.complete(call, result);
        }
        if failure.is_none() {
            self.log(Level::Info, "reopening log file");
        }
        true
    }
}

fn read(path: &Path, offset: i64, length: i64) -> Result<Value, Fault> {
    let bytes = slice::read(path, offset, length).map_err(|error| match error {
        SliceError::NoFile => Fault::new(Code::NoFile, path.display()),
        SliceError::BadArguments => Code::BadArguments.into(),
        SliceError::Failed(why) => Fault::new(Code::Failed, why),
    })?;
    Ok(text_of(&bytes))
}

fn tail(path: &Path, offset: i64, length: i64) -> Value {
    match slice::tail(path, offset, length) {
        Ok(tail) => {
            let size = i64::try_from(tail.size).unwrap_or(i64::MAX);
            Value::Array(vec![text_of(&tail.bytes), size.into(), tail.overflow.into()])
        }
        Err(_) => empty_tail(),
    }
}

fn empty_tail() -> Value {
    Value::Array(vec!["".into(), 0.into(), false.into()])
}

/// Returns bytes as text; what is no UTF-8, a character that was cut included, becomes U+FFFD.
fn text_of(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}
