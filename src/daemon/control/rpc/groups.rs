//! The configuration and the daemon as a whole: read again, groups put in and out of force, the end.

use super::params::Params;
use super::{Answer, CallId};
use crate::api::xmlrpc::{Code, Fault, Value};
use crate::config::{Loaded, diff};
use crate::core;
use crate::daemon::reactor::{Purpose, Reactor};
use crate::model::spec::FleetSpec;

type Handled = Result<Answer, Fault>;

pub(super) fn reload(reactor: &mut Reactor, call: CallId, _: &Params) -> Handled {
    reactor.read_configuration(Purpose::Call(call));
    Ok(Answer::Later)
}

/// Returns what `reloadConfig` answers: the three lists within one list, as clients have always unpacked it.
pub(in crate::daemon::control) fn reread_value(active: &FleetSpec, loaded: &Loaded) -> Result<Value, Fault> {
    let Some(settings) = &loaded.settings else {
        let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
        return Err(Fault::new(Code::CantReread, errors.join("; ")));
    };
    let found = diff::between(active, &settings.fleet);
    let changed: Vec<String> = found.changed.into_iter().map(|change| change.name).collect();
    Ok(vec![vec![found.added, changed, found.removed]].into())
}

pub(super) fn add(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    let name = params.text(0);
    if !reactor.latest_fleet().groups.iter().any(|group| group.name == name) {
        return Err(Fault::new(Code::BadName, name));
    }
    if reactor.core.group(name).is_some() {
        return Err(Fault::new(Code::AlreadyAdded, name));
    }
    reactor.may_change_groups().map_err(|why| Fault::from(&why))?;
    reactor.add_for(call, name);
    Ok(Answer::Later)
}

pub(super) fn remove(reactor: &mut Reactor, call: CallId, params: &Params) -> Handled {
    let name = params.text(0);
    if reactor.core.group(name).is_none() {
        return Err(Fault::new(Code::BadName, name));
    }
    if reactor.runs_any_of(name) {
        return Err(Fault::new(Code::StillRunning, name));
    }
    reactor.may_change_groups().map_err(|why| Fault::from(&why))?;
    reactor.remove_for(call, name);
    Ok(Answer::Later)
}

pub(super) fn shutdown(reactor: &mut Reactor, call: CallId, _: &Params) -> Handled {
    let actor = reactor.actor_of(call);
    reactor.ask(actor, core::Request::Shutdown);
    Ok(Answer::Now(true.into()))
}

pub(super) fn restart(reactor: &mut Reactor, _: CallId, _: &Params) -> Handled {
    reactor.read_configuration(Purpose::Reload);
    Ok(Answer::Now(true.into()))
}
