//! What there is to know, in supervisord's structs (supervisor 4.3 rpcinterface.py).

use super::params::Params;
use super::{Answer, CallId};
use crate::api::describe::describe;
use crate::api::xmlrpc::{Fault, Value};
use crate::core::{Phase, ProcessView};
use crate::daemon::control::show;
use crate::daemon::reactor::Reactor;
use crate::model::spec::{GroupSpec, LogTarget, ProcessSpec, StreamSpec};
use crate::model::{ProcessId, WallTime};
use crate::sys::clock;
use jiff::tz::TimeZone;
use std::path::Path;

/// The version of the interface: supervisorctl insists on it.
const API_VERSION: &str = "3.0";

/// The supervisor that is matched; clients show it.
pub(in crate::daemon) const SUPERVISOR_VERSION: &str = "4.3.0";

/// Stands where there is nothing: the interface has no type for that.
const NONE: &str = "none";

pub(super) fn api_version(_: &mut Reactor, _: CallId, _: &Params) -> Result<Answer, Fault> {
    Ok(Answer::Now(API_VERSION.into()))
}

pub(super) fn supervisor_version(_: &mut Reactor, _: CallId, _: &Params) -> Result<Answer, Fault> {
    Ok(Answer::Now(SUPERVISOR_VERSION.into()))
}

pub(super) fn identification(reactor: &mut Reactor, _: CallId, _: &Params) -> Result<Answer, Fault> {
    Ok(Answer::Now(reactor.settings.daemon.identifier.as_str().into()))
}

pub(super) fn pid(reactor: &mut Reactor, _: CallId, _: &Params) -> Result<Answer, Fault> {
    Ok(Answer::Now(reactor.keeper.0.into()))
}

pub(super) fn state(reactor: &mut Reactor, _: CallId, _: &Params) -> Result<Answer, Fault> {
    let (code, name) = match reactor.core.phase() {
        Phase::Running => (1, "RUNNING"),
        Phase::Reloading => (0, "RESTARTING"),
        Phase::ShuttingDown => (-1, "SHUTDOWN"),
    };
    Ok(Answer::Now([("statecode", code.into()), ("statename", name.into())].into()))
}

pub(super) fn process(reactor: &mut Reactor, _: CallId, params: &Params) -> Result<Answer, Fault> {
    let id = reactor.one_process(params.text(0))?;
    let shown = reactor
        .core
        .view(id)
        .and_then(|view| reactor.process_struct(&view, clock::wall(), &TimeZone::system()));
    Ok(Answer::Now(shown.unwrap_or(Value::Nil)))
}

pub(super) fn all_processes(reactor: &mut Reactor, _: CallId, _: &Params) -> Result<Answer, Fault> {
    let ids: Vec<ProcessId> = reactor.core.processes().map(|(id, _)| id).collect();
    let mut views: Vec<ProcessView> = ids.into_iter().filter_map(|id| reactor.core.view(id)).collect();
    views.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    let (now, zone) = (clock::wall(), TimeZone::system());
    let shown = views.iter().filter_map(|view| reactor.process_struct(view, now, &zone)).collect();
    Ok(Answer::Now(Value::Array(shown)))
}

pub(super) fn all_config(reactor: &mut Reactor, _: CallId, _: &Params) -> Result<Answer, Fault> {
    let latest = reactor.latest_fleet();
    let mut shown: Vec<(&str, Value)> = Vec::new();
    for group in &latest.groups {
        let in_use = reactor.core.group(&group.name).is_some();
        shown.extend(
            group.processes.iter().map(|spec| (spec.name.as_str(), config_struct(group, spec, in_use))),
        );
    }
    shown.sort_by_key(|(name, _)| *name);
    Ok(Answer::Now(Value::Array(shown.into_iter().map(|(_, value)| value).collect())))
}

impl Reactor {
    fn process_struct(&self, view: &ProcessView, now: WallTime, zone: &TimeZone) -> Option<Value> {
        let spec = self.core.process(view.id)?.spec();
        let stdout = text_of(spec.stdout.logfile.path());
        let stderr = text_of(spec.stderr.logfile.path().filter(|_| !spec.redirect_stderr));
        let members = [
            ("name", view.name.as_str().into()),
            ("group", view.group.as_str().into()),
            ("start", view.start.secs().into()),
            ("stop", view.stop.secs().into()),
            ("now", now.secs().into()),
            ("state", i64::from(view.state.code()).into()),
            ("statename", view.state.name().into()),
            ("spawnerr", view.spawnerr.as_str().into()),
            ("exitstatus", view.exitstatus.into()),
            ("logfile", stdout.as_str().into()),
            ("stdout_logfile", stdout.into()),
            ("stderr_logfile", stderr.into()),
            ("pid", view.pid.into()),
            ("description", describe(&show::facts(view, now), zone).into()),
        ];
        Some(members.into())
    }
}

fn text_of(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

fn or_none<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or_else(|| NONE.into(), Into::into)
}

fn log_value(target: &LogTarget) -> Value {
    match target {
        LogTarget::None => NONE.into(),
        LogTarget::Auto(None) => "auto".into(),
        LogTarget::Auto(Some(path)) | LogTarget::File(path) => text_of(Some(path)).into(),
    }
}

fn config_struct(group: &GroupSpec, spec: &ProcessSpec, in_use: bool) -> Value {
    let kills_group = spec.killasgroup.or(spec.stopasgroup).unwrap_or(false);
    let codes: Vec<i64> = spec.exitcodes.iter().map(|code| i64::from(*code)).collect();
    let mut members: Vec<(String, Value)> = [
        ("autostart", spec.autostart.into()),
        ("directory", or_none(spec.directory.as_deref().map(|path| text_of(Some(path))))),
        ("uid", or_none(spec.user.as_ref().map(|user| i64::from(user.uid)))),
        ("command", spec.command.as_str().into()),
        ("exitcodes", codes.into()),
        ("group", group.name.as_str().into()),
        ("group_prio", group.priority.into()),
        ("inuse", in_use.into()),
        ("killasgroup", kills_group.into()),
        ("name", spec.name.as_str().into()),
        ("process_prio", spec.priority.into()),
        ("redirect_stderr", spec.redirect_stderr.into()),
        ("startretries", spec.startretries.into()),
        ("startsecs", spec.startsecs.into()),
        ("stopsignal", spec.stopsignal.0.into()),
        ("stopwaitsecs", spec.stopwaitsecs.into()),
        ("serverurl", or_none(spec.serverurl.clone())),
    ]
    .into_iter()
    .map(|(name, value): (&str, Value)| (name.to_owned(), value))
    .collect();
    members.extend(stream_members("stdout", &spec.stdout, false));
    members.extend(stream_members("stderr", &spec.stderr, spec.redirect_stderr));
    Value::Struct(members)
}

fn stream_members(channel: &str, stream: &StreamSpec, is_redirected: bool) -> Vec<(String, Value)> {
    let log = if is_redirected { NONE.into() } else { log_value(&stream.logfile) };
    let members: [(&str, Value); 6] = [
        ("capture_maxbytes", stream.capture_maxbytes.into()),
        ("events_enabled", stream.events_enabled.into()),
        ("logfile", log),
        ("logfile_backups", stream.backups.into()),
        ("logfile_maxbytes", stream.maxbytes.into()),
        ("syslog", stream.syslog.into()),
    ];
    members.into_iter().map(|(key, value)| (format!("{channel}_{key}"), value)).collect()
}
