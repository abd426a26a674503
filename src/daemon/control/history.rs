//! What happened, from the journal: read by the disk worker, behind everything that is on its way there.

use super::ClientId;
use super::commands::NAMES_MAX;
use super::route::number;
use crate::api::http::Request;
use crate::api::names::Namespec;
use crate::api::v1::history::{self, ENTRIES_DEFAULT, ENTRIES_MAX, Filter, History};
use crate::api::v1::{ErrorCode, ErrorReply};
use crate::daemon::reactor::{Job, Reactor};
use crate::sys::journal;

impl Reactor {
    pub(super) fn answer_history(&mut self, client: ClientId, request: &Request) -> Result<(), ErrorReply> {
        let names: Vec<Namespec> = request.head.parameters("name").map(Namespec::parse).collect();
        if names.len() > NAMES_MAX {
            let message = format!("at most {NAMES_MAX} names can be asked for at once");
            return Err(ErrorReply::new(ErrorCode::BadRequest, message, "all means every process"));
        }
        let since_unix = since(request)?;
        let count = number(request, "n", ENTRIES_DEFAULT as u64)?.min(ENTRIES_MAX as u64) as usize;
        let Some(path) = self.journal.path().map(ToOwned::to_owned) else {
            let hint = "set childlogdir in [supervisord] to a directory of its own, and restart the daemon";
            return Err(ErrorReply::new(ErrorCode::NotFound, "no history is kept", hint));
        };
        self.flush_history();
        let filter = Filter { names, since_unix, count };
        self.disk.run(Box::new(move || {
            let entries = history::read(&journal::generations(&path), &filter);
            Job::History(client, History { entries, file: path.display().to_string() })
        }));
        Ok(())
    }
}

/// Returns the point in time that `since=` names, in seconds since the epoch.
fn since(request: &Request) -> Result<f64, ErrorReply> {
    let Some(text) = request.head.parameter("since") else { return Ok(0.0) };
    text.parse().ok().filter(|since: &f64| since.is_finite()).ok_or_else(|| {
        let message = format!("since={text} is no point in time");
        ErrorReply::new(ErrorCode::BadRequest, message, "seconds since 1970")
    })
}
