//! `/RPC2`: supervisord's XML-RPC interface, a call from its bytes to its answer.
//!
//! One table ([`methods`]) says what there is. A handler answers at once, or says that the answer comes later; both
//! go through one queue, so that a `system.multicall` is calls one after the other and never calls within calls.
//! Decides nothing about programs: what a call wants becomes the same job as a verb of `/v1`.

mod groups;
mod info;
mod logs;
mod methods;
mod params;
mod processes;
mod system;

use super::ClientId;
use crate::api::http::Request;
use crate::api::v1::{ErrorCode, ErrorReply};
use crate::api::xmlrpc::{self, Code, Fault, Limits, Value, XmlError};
use crate::core::{Actor, Phase};
use crate::daemon::reactor::Reactor;
use crate::model::Uid;
use crate::sys::clock;
use std::collections::{BTreeMap, VecDeque};
use system::Multicall;

pub(super) use groups::reread_value;
pub(in crate::daemon) use info::SUPERVISOR_VERSION;
pub(super) use processes::{Outcome, value_of};

/// Names a call until it is answered; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::daemon) struct CallId(u64);

/// Who gets the answer of a call.
#[derive(Clone, Copy)]
enum Origin {
    /// A client.
    Client(ClientId),
    /// A `system.multicall`, which this is one part of.
    Member(CallId),
}

/// What a handler has to say.
enum Answer {
    /// The result.
    Now(Value),
    /// [`Calls::complete`] will be called.
    Later,
}

/// Calls under way.
#[derive(Default)]
pub(in crate::daemon) struct Calls {
    next: u64,
    open: BTreeMap<CallId, Origin>,
    multicalls: BTreeMap<CallId, Multicall>,
    /// Answered, and not passed on yet.
    done: VecDeque<(CallId, Result<Value, Fault>)>,
    /// Those who wait for the activity log to be cleared.
    clears: Vec<CallId>,
}

impl Calls {
    fn begin(&mut self, origin: Origin) -> CallId {
        self.next += 1;
        self.open.insert(CallId(self.next), origin);
        CallId(self.next)
    }

    /// Takes in the answer of a call; [`Reactor::settle_calls`] passes it on.
    pub(in crate::daemon) fn complete(&mut self, call: CallId, result: Result<Value, Fault>) {
        self.done.push_back((call, result));
    }
}

impl Reactor {
    pub(super) fn answer_rpc(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        if request.head.content_length.is_none() {
            if let Some(connection) = self.control.connection(client) {
                connection.refuse(411, "a call needs a Content-Length");
            }
            return Ok(());
        }
        let read = xmlrpc::read_call(&request.body, Limits::REQUEST);
        let call = read.map_err(|why| {
            let code = match why {
                XmlError::TooLarge(_) | XmlError::TooMany(_) => ErrorCode::TooLarge,
                _ => ErrorCode::BadRequest,
            };
            ErrorReply::new(code, why.to_string(), "send one XML-RPC methodCall")
        })?;
        let id = self.calls.begin(Origin::Client(client));
        self.begin_call(id, &call.method, call.params);
        self.settle_calls();
        Ok(())
    }

    fn begin_call(&mut self, id: CallId, method: &str, params: Vec<Value>) {
        match self.call(id, method, params) {
            Ok(Answer::Now(value)) => self.calls.complete(id, Ok(value)),
            Ok(Answer::Later) => {}
            Err(fault) => self.calls.complete(id, Err(fault)),
        }
    }

    fn call(&mut self, id: CallId, method: &str, params: Vec<Value>) -> Result<Answer, Fault> {
        let method = methods::find(method).ok_or(Code::UnknownMethod)?;
        if method.is_gated() && self.core.phase() != Phase::Running {
            return Err(Code::ShutdownState.into());
        }
        let params = params::bind(method.params, params)?;
        (method.handler)(self, id, &params)
    }

    /// Passes on the answers that came.
    pub(in crate::daemon) fn settle_calls(&mut self) {
        while let Some((call, result)) = self.calls.done.pop_front() {
            match self.calls.open.remove(&call) {
                Some(Origin::Member(whole)) => self.take_member(whole, result),
                Some(Origin::Client(client)) => {
                    if let Some(connection) = self.control.connection(client) {
                        connection.reply_as("text/xml", &xmlrpc::write_response(&result));
                        self.control.flush(client, clock::now());
                    }
                }
                None => {}
            }
        }
    }

    /// Returns the client behind a call, while it is there.
    pub(super) fn caller(&self, call: CallId) -> Option<ClientId> {
        match self.calls.open.get(&call)? {
            Origin::Client(client) => Some(*client).filter(|client| self.control.has(*client)),
            // A multicall is no part of another one.
            Origin::Member(whole) => match self.calls.open.get(whole)? {
                Origin::Client(client) => Some(*client).filter(|client| self.control.has(*client)),
                Origin::Member(_) => None,
            },
        }
    }

    /// Returns who is behind a call, for the record.
    pub(super) fn actor_of(&mut self, call: CallId) -> Actor {
        let client = self.caller(call);
        let peer =
            client.and_then(|client| self.control.connection(client)).map(|connection| connection.peer);
        Actor::Client(peer.unwrap_or(Uid(crate::sys::identity::uid())))
    }
}
