//! supervisord's streams of logs: `/logtail/NAME`, `/logtail/NAME/stderr` and `/mainlogtail`.
//!
//! They are followed as any log; what is their own is how they begin, and what they say when a log is cut.

use super::ClientId;
use super::connection::Connection;
use crate::api::http::{Request, reply};
use crate::api::v1::{ErrorCode, ErrorReply};
use crate::daemon::reactor::Reactor;
use crate::daemon::runs::{CHANNELS, Channel};
use crate::logs::follow::Follower;
use crate::model::spec::MainLog;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// What is shown of a log's end first (supervisor 4.3 http.py, `tail_f_producer`).
const HEAD_BYTES: u64 = 1024;
/// Said when a log became shorter in its place.
const WAS_CUT: &[u8] = b"==> File truncated <==\n";
const CONTENT_TYPE: &str = "text/plain;charset=utf-8";

/// A stream of supervisord's kind.
pub(super) struct Logtail {
    has_begun: bool,
    is_of_process: bool,
}

impl Logtail {
    /// Begins the stream when it has not, or says that the log was cut. Returns false where there is no log.
    pub(super) fn go_on(&mut self, connection: &mut Connection, follower: &mut Follower) -> bool {
        if std::mem::replace(&mut self.has_begun, true) {
            if follower.take_cut() {
                connection.stream(WAS_CUT);
            }
            return true;
        }
        if !follower.has_found() {
            return false;
        }
        let since_epoch = follower.modified().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let seconds = since_epoch.map_or(0, |span| i64::try_from(span.as_secs()).unwrap_or(0));
        let modified = reply::http_date(seconds);
        // A proxy in between must not wait for more.
        let all = [("Last-Modified", modified.as_str()), ("X-Accel-Buffering", "no")];
        connection.begin_stream(CONTENT_TYPE, if self.is_of_process { &all } else { &all[..1] });
        true
    }
}

impl Reactor {
    pub(super) fn answer_logtail(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let (name, channel) = split(&request.head.path).ok_or_else(no_log)?;
        let process = self.one(name)?;
        let path = self.log_of(process, channel).ok_or_else(no_log)?;
        self.begin_logtail(client, path, true)
    }

    pub(super) fn answer_main_logtail(
        &mut self,
        client: ClientId,
        _request: &Request,
    ) -> Result<(), ErrorReply> {
        match self.settings.daemon.logfile.clone() {
            MainLog::File(path) => self.begin_logtail(client, path, false),
            MainLog::Syslog => Err(no_log()),
        }
    }

    fn begin_logtail(
        &mut self,
        client: ClientId,
        path: PathBuf,
        is_of_process: bool,
    ) -> Result<(), ErrorReply> {
        self.may_stream(client)?;
        self.follow_in_their_way(client, path, HEAD_BYTES, Logtail { has_begun: false, is_of_process });
        Ok(())
    }
}

pub(super) fn no_log() -> ErrorReply {
    ErrorReply::new(
        ErrorCode::NotFound,
        "there is no such log",
        "/logtail/NAME, /logtail/NAME/stderr, /mainlogtail",
    )
}

/// Splits `/logtail/NAME/CHANNEL`.
fn split(path: &str) -> Option<(&str, Channel)> {
    let rest = path.strip_prefix("/logtail/")?;
    let (name, channel) = rest.split_once('/').unwrap_or((rest, "stdout"));
    let (channel, _) = CHANNELS.into_iter().find(|(_, known)| *known == channel)?;
    Some((name, channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_process_and_maybe_a_channel() {
        for (path, expected) in [
            ("/logtail/p", Some(("p", Channel::Stdout))),
            ("/logtail/g:p/stderr", Some(("g:p", Channel::Stderr))),
            ("/logtail/p/stdout", Some(("p", Channel::Stdout))),
            ("/logtail/p/foo", None),
            ("/logtail/p/stdout/x", None),
            ("/logtail", None),
            ("/logtailp", None),
        ] {
            assert_eq!(split(path), expected, "{path}");
        }
    }
}
