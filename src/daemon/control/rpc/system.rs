//! `system.*`: what methods there are, and many calls in one.

use super::methods::{self, METHODS};
use super::params::Params;
use super::{Answer, CallId, Origin};
use crate::api::xmlrpc::{Code, Fault, Value};
use crate::daemon::reactor::Reactor;
use std::collections::VecDeque;

/// Most calls in one `system.multicall`.
const MULTICALL_MAX: usize = 1000;

/// Most bytes of text in the answer to a `system.multicall`: as much as one call may ask of a log, four bytes a
/// number. What would not fit is a fault of that member.
const MULTICALL_BYTES_MAX: usize = 16 * 1024 * 1024;

const MULTICALL: &str = "system.multicall";

/// Calls that are made one after the other.
pub(super) struct Multicall {
    rest: VecDeque<Value>,
    results: Vec<Value>,
    bytes: usize,
}

pub(super) fn list_methods(_: &mut Reactor, _: CallId, _: &Params) -> Result<Answer, Fault> {
    let names: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
    Ok(Answer::Now(names.into()))
}

pub(super) fn method_help(_: &mut Reactor, _: CallId, params: &Params) -> Result<Answer, Fault> {
    let method = methods::find(params.text(0)).ok_or(Code::SignatureUnsupported)?;
    Ok(Answer::Now(method.help_text().into()))
}

pub(super) fn method_signature(_: &mut Reactor, _: CallId, params: &Params) -> Result<Answer, Fault> {
    let method = methods::find(params.text(0)).ok_or(Code::SignatureUnsupported)?;
    let types: Vec<&str> =
        [method.returns].into_iter().chain(method.params.iter().map(|param| param.0.name())).collect();
    Ok(Answer::Now(types.into()))
}

pub(super) fn multicall(reactor: &mut Reactor, call: CallId, params: &Params) -> Result<Answer, Fault> {
    let members = params.items(0);
    if members.len() > MULTICALL_MAX {
        return Err(Fault::new(Code::BadArguments, format!("more than {MULTICALL_MAX} calls in one")));
    }
    let multicall = Multicall { rest: members.to_vec().into(), results: Vec::new(), bytes: 0 };
    reactor.calls.multicalls.insert(call, multicall);
    reactor.next_member(call);
    Ok(Answer::Later)
}

impl Reactor {
    /// Takes in the answer to one part, and begins the next.
    pub(super) fn take_member(&mut self, whole: CallId, result: Result<Value, Fault>) {
        let Some(multicall) = self.calls.multicalls.get_mut(&whole) else { return };
        let value = result.unwrap_or_else(|fault| as_value(&fault));
        multicall.bytes += size_bytes(&value);
        multicall.results.push(if multicall.bytes <= MULTICALL_BYTES_MAX {
            value
        } else {
            multicall.bytes -= size_bytes(&value);
            as_value(&Fault::new(Code::Failed, "the answer is too large to go with the others"))
        });
        self.next_member(whole);
    }

    fn next_member(&mut self, whole: CallId) {
        if self.caller(whole).is_none() {
            // Nobody is there to hear the rest, so it is not wanted either.
            self.calls.multicalls.remove(&whole);
            self.calls.open.remove(&whole);
            return;
        }
        let Some(multicall) = self.calls.multicalls.get_mut(&whole) else { return };
        let Some(member) = multicall.rest.pop_front() else {
            let results = std::mem::take(&mut multicall.results);
            self.calls.multicalls.remove(&whole);
            return self.calls.complete(whole, Ok(Value::Array(results)));
        };
        let call = self.calls.begin(Origin::Member(whole));
        match method_of(member) {
            Ok((method, params)) => self.begin_call(call, &method, params),
            Err(fault) => self.calls.complete(call, Err(fault)),
        }
    }
}

/// Returns what one part of a multicall calls.
fn method_of(member: Value) -> Result<(String, Vec<Value>), Fault> {
    let wrong = |why: &str| Fault::new(Code::IncorrectParameters, why);
    let method = member.member("methodName").ok_or_else(|| wrong("No methodName"))?;
    let method = method.as_str().ok_or_else(|| wrong("methodName is no string"))?;
    if method == MULTICALL {
        return Err(wrong("Recursive system.multicall forbidden"));
    }
    let params = member.member("params").map_or(Some(&[][..]), Value::as_array);
    Ok((method.to_owned(), params.ok_or_else(|| wrong("params is no array"))?.to_vec()))
}

fn as_value(fault: &Fault) -> Value {
    Value::from([("faultCode", fault.code.into()), ("faultString", fault.text.as_str().into())])
}

/// Returns about how large a value is; one of ours is four deep at most.
fn size_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Time(text) => text.len(),
        Value::Array(items) => items.iter().map(size_bytes).sum(),
        Value::Struct(members) => members.iter().map(|(name, value)| name.len() + size_bytes(value)).sum(),
        Value::Int(_) | Value::Bool(_) | Value::Double(_) | Value::Nil => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_multicall_names_a_method_that_is_no_multicall() {
        let call = |members: Vec<(&str, Value)>| {
            let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            method_of(Value::Struct(members)).map_err(|fault| fault.text)
        };
        assert_eq!(call(vec![("methodName", "a.b".into())]), Ok(("a.b".into(), vec![])));
        let params = || vec!["x"].into();
        assert_eq!(
            call(vec![("methodName", "a.b".into()), ("params", params())]),
            Ok(("a.b".into(), vec!["x".into()]))
        );
        for (members, text) in [
            (vec![], "No methodName"),
            (vec![("methodName", 1.into())], "methodName is no string"),
            (vec![("methodName", "a.b".into()), ("params", 1.into())], "params is no array"),
            (vec![("methodName", "system.multicall".into())], "Recursive system.multicall forbidden"),
        ] {
            assert_eq!(call(members), Err(format!("INCORRECT_PARAMETERS: {text}")));
        }
        assert!(method_of(Value::Nil).is_err());
    }
}
