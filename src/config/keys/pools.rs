//! Rows of `[group:x]`, and what `[eventlistener:x]` and `[fcgi-program:x]` have beyond a program.

use super::{Reload, Row, Scope, row};
use crate::config::value::{integer, octal, words};
use crate::model::event::EVENTS;
use crate::model::spec::STOCK_RESULT_HANDLER;

/// `[group:x]` while it is being read.
#[derive(Default)]
pub struct GroupDraft {
    /// Names of programs.
    pub programs: Vec<String>,
    /// Where its place in the order is given.
    pub priority: Option<i64>,
}

const RESTART: Reload = Reload::Restart;

/// The keys of `[group:x]`.
pub static GROUP_ROWS: [Row<GroupDraft>; 2] = [
    row("programs", Scope::Here, RESTART, "names of the programs in it", |d, v| {
        d.programs = words(v.text).into_iter().map(str::to_owned).collect();
        Ok(())
    }),
    row("priority", Scope::Here, Reload::Live, "lower starts earlier and stops later", |d, v| {
        d.priority = Some(integer(v.text)?);
        Ok(())
    }),
];

/// The pool of `[eventlistener:x]` while it is being read.
pub struct ListenerDraft {
    /// Events kept while no listener is ready.
    pub buffer_size: i64,
    /// Event names, upper case, sorted, each once.
    pub events: Vec<String>,
    /// The Python entry point that judges results.
    pub result_handler: String,
}

impl Default for ListenerDraft {
    fn default() -> ListenerDraft {
        let result_handler = STOCK_RESULT_HANDLER.to_owned();
        ListenerDraft { buffer_size: 10, events: Vec::new(), result_handler }
    }
}

/// The further keys of `[eventlistener:x]`.
pub static LISTENER_ROWS: [Row<ListenerDraft>; 3] = [
    row("buffer_size", Scope::Here, RESTART, "events kept while no listener is ready", |d, v| {
        d.buffer_size = integer(v.text)?;
        if d.buffer_size < 1 {
            return Err(format!("{} is less than one event", d.buffer_size));
        }
        Ok(())
    }),
    row("events", Scope::Here, RESTART, "names of the events it gets, required", |d, v| {
        d.events = words(v.text).into_iter().map(str::to_uppercase).collect();
        d.events.sort();
        d.events.dedup();
        let is_known = |name: &String| EVENTS.iter().any(|row| row.0 == name);
        match d.events.iter().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => {
                let near = crate::config::diagnostic::nearest(name, EVENTS.map(|row| row.0));
                let hint = near.map(|found| format!(" (did you mean {found}?)")).unwrap_or_default();
                Err(format!("no such event: `{name}`{hint}"))
            }
        }
    }),
    row("result_handler", Scope::Here, RESTART, "Python function that judges results", |d, v| {
        d.result_handler = v.text.to_owned();
        Ok(())
    }),
];

/// What `[fcgi-program:x]` has beyond a program, while it is being read.
#[derive(Default)]
pub struct FcgiDraft {
    /// The socket as written, expanded.
    pub socket: String,
    /// Backlog of listen(2).
    pub backlog: Option<u32>,
    /// Owner and group of a socket file.
    pub owner: Option<(u32, Option<u32>)>,
    /// Mode of a socket file.
    pub mode: Option<u32>,
}

/// The further keys of `[fcgi-program:x]`.
pub static FCGI_ROWS: [Row<FcgiDraft>; 4] = [
    row("socket", Scope::Socket, RESTART, "tcp://HOST:PORT or unix:///PATH, required", |d, v| {
        d.socket = v.text.to_owned();
        Ok(())
    }),
    row("socket_backlog", Scope::Here, RESTART, "backlog of its socket", |d, v| {
        let backlog = integer(v.text)?;
        let fits = u32::try_from(backlog).ok().filter(|backlog| (1..=65535).contains(backlog));
        d.backlog = Some(fits.ok_or_else(|| format!("{backlog} is not within 1 to 65535"))?);
        Ok(())
    }),
    row("socket_owner", Scope::Here, RESTART, "owner of its socket file, USER or USER:GROUP", |d, v| {
        d.owner = Some(v.owner()?);
        Ok(())
    }),
    row("socket_mode", Scope::Here, RESTART, "permissions of its socket file", |d, v| {
        d.mode = Some(octal(v.text)?);
        Ok(())
    }),
];
