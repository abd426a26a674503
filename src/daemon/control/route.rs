//! From a request to its handler: one table.

use super::ClientId;
use crate::api::http::{Method, Request};
use crate::api::v1::{ErrorCode, ErrorReply, path};
use crate::daemon::reactor::Reactor;
use serde::de::DeserializeOwned;

/// The one page of supervisord's web interface that programs ask for: whether the daemon answers.
const OK_PAGE: &str = "/ok.html";

type Handler = fn(&mut Reactor, ClientId, &Request) -> Result<(), ErrorReply>;

/// Every path of the API with its method and what answers it.
const ROUTES: &[(Method, &str, Handler)] = &[
    (Method::Get, path::VERSION, Reactor::answer_version),
    (Method::Get, path::STATUS, Reactor::answer_status),
    (Method::Post, path::START, Reactor::answer_start),
    (Method::Post, path::STOP, Reactor::answer_stop),
    (Method::Post, path::RESTART, Reactor::answer_restart),
    (Method::Post, path::SIGNAL, Reactor::answer_signal),
    (Method::Post, path::WAIT, Reactor::answer_wait),
    (Method::Post, path::ENABLE, Reactor::answer_enable),
    (Method::Post, path::DISABLE, Reactor::answer_disable),
    (Method::Post, path::CLEAR, Reactor::answer_clear),
    (Method::Post, path::REREAD, Reactor::answer_reread),
    (Method::Post, path::UPDATE, Reactor::answer_update),
    (Method::Post, path::APPLY, Reactor::answer_apply),
    (Method::Post, path::ADD, Reactor::answer_add),
    (Method::Post, path::REMOVE, Reactor::answer_remove),
    (Method::Get, path::AVAIL, Reactor::answer_avail),
    (Method::Get, path::ENV, Reactor::answer_env),
    (Method::Post, path::LOGIN_ENV, Reactor::answer_login_env),
    (Method::Get, path::LOG, Reactor::answer_log),
    (Method::Post, path::FOLLOW, Reactor::answer_follow),
    (Method::Get, path::MAINLOG, Reactor::answer_main_log),
    (Method::Post, path::STDIN, Reactor::answer_stdin),
    (Method::Get, path::EVENTS, Reactor::answer_events),
    (Method::Get, path::HISTORY, Reactor::answer_history),
    (Method::Post, path::SHUTDOWN, Reactor::answer_shutdown),
    (Method::Get, OK_PAGE, Reactor::answer_ok),
    (Method::Head, path::VERSION, Reactor::answer_version),
    (Method::Head, path::STATUS, Reactor::answer_status),
];

/// supervisord's own paths: whatever begins so, first match first (compat: `/RPC2/` is `/RPC2`).
const PREFIXES: [(Method, &str, Handler); 3] = [
    (Method::Post, "/RPC2", Reactor::answer_rpc),
    (Method::Get, "/logtail", Reactor::answer_logtail),
    (Method::Get, "/mainlogtail", Reactor::answer_main_logtail),
];

/// Returns the rows that a path leads to, one a method.
fn rows(path: &str) -> Vec<&'static (Method, &'static str, Handler)> {
    let exact: Vec<_> = ROUTES.iter().filter(|row| row.1 == path).collect();
    if exact.is_empty() {
        PREFIXES.iter().filter(|row| path.starts_with(row.1)).take(1).collect()
    } else {
        exact
    }
}

impl Reactor {
    /// Answers the requests that are complete, or begins to.
    pub(in crate::daemon) fn take_requests(&mut self) {
        for (client, request) in self.control.take_requests() {
            if let Err(error) = self.dispatch(client, &request)
                && let Some(connection) = self.control.connection(client)
            {
                connection.error(&error);
            }
            self.control.flush(client, crate::sys::clock::now());
        }
    }

    fn answer_ok(&mut self, client: ClientId, _request: &Request) -> Result<(), ErrorReply> {
        if let Some(connection) = self.control.connection(client) {
            connection.reply_as("text/plain", b"OK");
        }
        Ok(())
    }

    fn dispatch(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        if self.judge(client, request)? {
            return Ok(());
        }
        let known = rows(&request.head.path);
        if known.is_empty() {
            let message = format!("there is nothing at {}", request.head.path);
            return Err(ErrorReply::new(ErrorCode::NotFound, message, "visor-api(7) lists the paths"));
        }
        match known.into_iter().find(|row| row.0 == request.head.method) {
            Some((_, _, handler)) => handler(self, client, request),
            None => {
                let message = format!("{} does not take this method", request.head.path);
                Err(ErrorReply::new(ErrorCode::BadRequest, message, "GET to look, POST to change"))
            }
        }
    }

    /// Answers with a value.
    pub(in crate::daemon) fn send<T: serde::Serialize>(&mut self, client: ClientId, value: &T) {
        if let Some(connection) = self.control.connection(client) {
            connection.reply(200, value);
            self.control.flush(client, crate::sys::clock::now());
        }
    }

    /// Answers with an error, later than the handler could.
    pub(super) fn send_error(&mut self, client: ClientId, error: &ErrorReply) {
        if let Some(connection) = self.control.connection(client) {
            connection.error(error);
            self.control.flush(client, crate::sys::clock::now());
        }
    }
}

/// Reads a JSON body; an empty one is all defaults.
pub(super) fn body<T: DeserializeOwned + Default>(request: &Request) -> Result<T, ErrorReply> {
    if request.body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&request.body).map_err(|why| {
        ErrorReply::new(ErrorCode::BadRequest, format!("cannot read the body: {why}"), "send a JSON object")
    })
}

/// Returns a parameter that must be there.
pub(super) fn required<'a>(request: &'a Request, name: &str) -> Result<&'a str, ErrorReply> {
    request
        .head
        .parameter(name)
        .ok_or_else(|| ErrorReply::new(ErrorCode::BadRequest, format!("the parameter {name} is missing"), ""))
}

/// Returns a whole number given as a parameter, or `default` where there is none.
pub(super) fn number(request: &Request, name: &str, default: u64) -> Result<u64, ErrorReply> {
    let Some(text) = request.head.parameter(name) else { return Ok(default) };
    text.parse()
        .map_err(|_| ErrorReply::new(ErrorCode::BadRequest, format!("{name} is no whole number: {text}"), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisords_paths_are_prefixes_and_nothing_shadows_another() {
        for (path, prefix) in [
            ("/RPC2", Some("/RPC2")),
            ("/RPC2foo/bar", Some("/RPC2")),
            ("/logtail/öäü/stdout", Some("/logtail")),
            ("/mainlogtail", Some("/mainlogtail")),
            ("/v1/log", Some("/v1/log")),
            ("/v1/logtail", None),
            ("/", None),
            ("/../../etc/passwd", None),
        ] {
            assert_eq!(rows(path).first().map(|row| row.1), prefix, "{path}");
        }
    }

    #[test]
    fn no_path_and_method_stand_twice_and_all_are_of_this_version() {
        for (index, row) in ROUTES.iter().enumerate() {
            let is_ours = row.1.starts_with(&format!("/v{}/", crate::api::v1::API));
            assert!(is_ours || row.1 == OK_PAGE, "{}", row.1);
            assert!(!ROUTES[..index].iter().any(|other| (other.0, other.1) == (row.0, row.1)), "{}", row.1);
        }
    }
}
