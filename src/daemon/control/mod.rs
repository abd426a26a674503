//! The control API inside the reactor: connections, requests, and the answers that come later.
//!
//! One small HTTP server over the control sockets. What a request wants becomes an input of the core or a job of
//! the disk worker; nothing is decided here. Example: `control.ready(event, now)` when the poll says so, then
//! `for (client, request) in control.take_requests()`.

mod accept;
mod access;
mod commands;
mod config_verbs;
mod connection;
mod delegated;
mod environment;
mod follow;
mod history;
mod in_force;
mod logtail;
mod marking;
mod rights;
mod route;
mod rpc;
mod show;
mod stream;
mod streams;
mod updates;

use crate::api::http::Request;
use crate::model::Time;
use accept::Entrance;
use connection::Connection;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;

pub(super) use access::Door;
pub(super) use commands::Jobs;
pub(super) use config_verbs::{Asked, Verb};
use rights::Rights;
pub(super) use rpc::{CallId, Calls, SUPERVISOR_VERSION};
pub(super) use show::{actor_text, unix};
pub(super) use stream::Listener;
pub(super) use streams::Subscribers;
pub(super) use updates::{Part, Update};

/// Tokens from here on are listeners.
pub(super) const LISTENERS: usize = 1 << 60;
/// Keys of listeners from here on are those of servers that the configuration names.
pub(super) const SERVERS: usize = 1 << 16;
/// Key of the listener for others.
pub(super) const SHARE: usize = 1 << 17;
/// Tokens from here on are connections.
pub(super) const CONNECTIONS: usize = 1 << 61;
/// Most connections at once: a user's own clients are few, and each may hold a descriptor and a buffer.
pub(in crate::daemon) const CONNECTIONS_MAX: usize = 64;
/// Most of these that others than the owner have, all together and each of them: the rest stays for the owner.
const VISITORS_MAX: usize = 16;
/// See [`VISITORS_MAX`].
const VISITS_MAX: usize = 8;
/// From a request's first byte to its last.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// How long a client may leave what we have for it unread.
const UNREAD_TIME: Duration = Duration::from_secs(60);
/// How often refused strangers are logged.
const DENIALS_EVERY: Duration = Duration::from_secs(10);

/// Names a connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientId(pub(super) u64);

/// Who asks when the daemon asks itself: nobody is answered.
pub(super) const NOBODY: ClientId = ClientId(0);

/// Stands for whoever came over the network.
const NOT_KNOWN: crate::model::Uid = crate::model::Uid(u32::MAX);

/// Connections refused since the last line about them.
#[derive(Default)]
struct Denials {
    count: u64,
    uid: u32,
    said_at: Option<Time>,
}

/// Requests that were refused since the last line about them.
#[derive(Default)]
struct Refusals {
    count: u64,
    uid: u32,
    /// What the last one asked for.
    what: String,
    said_at: Option<Time>,
}

/// All connections.
pub(super) struct Control {
    registry: Registry,
    listeners: BTreeMap<usize, (Listener, Rc<Door>)>,
    /// The door of the user's own sockets.
    own_door: Rc<Door>,
    connections: BTreeMap<ClientId, Connection>,
    next_client: u64,
    entrance: Entrance,
    /// Connections that may have more to read or write without a new event.
    again: Vec<ClientId>,
    requests: Vec<(ClientId, Request)>,
    /// Connections that were closed, for those who have something for them.
    closed: BTreeSet<ClientId>,
    denials: Denials,
    refusals: Refusals,
    /// What others are granted.
    rights: Rights,
}

impl Control {
    /// Returns a server that listens nowhere yet.
    pub(super) fn new(registry: Registry) -> Control {
        Control {
            registry,
            listeners: BTreeMap::new(),
            own_door: Rc::new(Door::of_owner()),
            connections: BTreeMap::new(),
            next_client: 1,
            entrance: Entrance::new(),
            again: Vec::new(),
            requests: Vec::new(),
            closed: BTreeSet::new(),
            denials: Denials::default(),
            refusals: Refusals::default(),
            rights: Rights::default(),
        }
    }

    /// Listens on a socket of the user's own under a number of the caller's.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub(super) fn listen(&mut self, key: usize, listener: OwnedFd) -> io::Result<()> {
        let door = Rc::clone(&self.own_door);
        self.open(key, Listener::Unix(UnixListener::from(listener)), door)
    }

    /// Listens on the socket for others.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub(super) fn share(&mut self, listener: OwnedFd) -> io::Result<()> {
        self.open(SHARE, Listener::Unix(UnixListener::from(listener)), Rc::new(Door::of_share()))
    }

    /// Puts what is granted to others in force; returns whose connections must end: of those who are granted nothing
    /// any more, and streams, which nobody would judge again.
    fn set_rights(&mut self, rights: Rights) -> Vec<ClientId> {
        if std::mem::replace(&mut self.rights, rights) == self.rights {
            return Vec::new();
        }
        let is_over = |connection: &Connection| match &connection.visitor {
            Some(visitor) => connection.is_streaming() || !self.rights.know(visitor),
            None => false,
        };
        self.connections.iter().filter(|(_, c)| is_over(c)).map(|(client, _)| *client).collect()
    }

    /// Counts a request that was refused, for a line in the log.
    fn note_refusal(&mut self, uid: u32, what: &str) {
        let refusals = &mut self.refusals;
        (refusals.count, refusals.uid) = (refusals.count + 1, uid);
        what.clone_into(&mut refusals.what);
    }

    /// Returns who was refused something and the words around that, at most every [`DENIALS_EVERY`].
    fn refusals(&mut self, now: Time) -> Option<(u32, String, String)> {
        let refusals = &mut self.refusals;
        let quiet = refusals.said_at.is_some_and(|at| at.after(DENIALS_EVERY) > now);
        if refusals.count == 0 || quiet {
            return None;
        }
        let count = std::mem::take(&mut refusals.count);
        refusals.said_at = Some(now);
        let after = format!(" asked for {}, which is not granted", refusals.what);
        Some((refusals.uid, format!("refused {count} request(s) of others: the last one of "), after))
    }

    /// Listens under a number of the caller's; who may come in is said by the door.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub(super) fn open(&mut self, key: usize, listener: Listener, door: Rc<Door>) -> io::Result<()> {
        listener.set_nonblocking()?;
        self.registry.register(
            &mut SourceFd(&listener.as_raw_fd()),
            Token(LISTENERS + key),
            Interest::READABLE,
        )?;
        self.listeners.insert(key, (listener, door));
        Ok(())
    }

    /// Stops to listen on a socket; connections that came by it stay.
    pub(super) fn unlisten(&mut self, key: usize) {
        self.entrance.forget(key);
        if let Some((listener, _)) = self.listeners.remove(&key) {
            let _ = self.registry.deregister(&mut SourceFd(&listener.as_raw_fd()));
        }
    }

    /// Takes in an event of the poll; returns false for a token that is not ours.
    pub(super) fn ready(&mut self, event: &Event, now: Time) -> bool {
        let token = event.token();
        match token.0 {
            CONNECTIONS.. => {
                let client = ClientId((token.0 - CONNECTIONS) as u64);
                if event.is_write_closed()
                    && let Some(connection) = self.connections.get_mut(&client)
                {
                    connection.hang_up();
                }
                self.serve(client, now);
            }
            LISTENERS.. => self.accept(token.0 - LISTENERS, now),
            _ => return false,
        }
        true
    }

    /// Does what is due, and what was left over by the last turn.
    pub(super) fn tick(&mut self, now: Time) {
        self.tend_entrance(now);
        for client in std::mem::take(&mut self.again) {
            self.serve(client, now);
        }
        let late: Vec<ClientId> = self
            .connections
            .iter()
            .filter(|(_, c)| c.deadline().is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for client in late {
            if let Some(connection) = self.connections.get_mut(&client)
                && connection.is_in_request()
            {
                connection.refuse(408, "the request did not end in time");
                connection.flush(now);
            }
            self.close(client);
        }
    }

    /// Returns when [`Control::tick`] has something to do: the past when at once.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        if !self.again.is_empty() {
            return Some(Time(0));
        }
        let connections = self.connections.values().filter_map(Connection::deadline);
        connections.chain(self.entrance.next_deadline()).min()
    }

    /// Returns the requests that are complete.
    pub(super) fn take_requests(&mut self) -> Vec<(ClientId, Request)> {
        std::mem::take(&mut self.requests)
    }

    /// Returns a connection.
    fn connection(&mut self, client: ClientId) -> Option<&mut Connection> {
        self.connections.get_mut(&client)
    }

    /// Sends what a connection has, and goes on with its next request once it has been answered.
    pub(super) fn flush(&mut self, client: ClientId, now: Time) {
        let Some(connection) = self.connections.get_mut(&client) else { return };
        connection.flush(now);
        if connection.is_over() {
            self.close(client);
        } else if connection.may_go_on() && !self.again.contains(&client) {
            self.again.push(client);
        }
    }

    /// Returns a line about strangers who were refused, at most every [`DENIALS_EVERY`].
    pub(super) fn denials(&mut self, now: Time) -> Option<String> {
        let denials = &mut self.denials;
        let quiet = denials.said_at.is_some_and(|at| at.after(DENIALS_EVERY) > now);
        if denials.count == 0 || quiet {
            return None;
        }
        let (count, uid) = (std::mem::take(&mut denials.count), denials.uid);
        denials.said_at = Some(now);
        Some(format!("refused {count} connection(s) to the control socket, the last one of user {uid}"))
    }

    fn serve(&mut self, client: ClientId, now: Time) {
        let Some(connection) = self.connections.get_mut(&client) else { return };
        connection.flush(now);
        connection.read(now);
        match connection.next_request() {
            // It counts though its client may have gone: what follows its answer sees to that.
            Some(request) => return self.requests.push((client, request)),
            // What was refused is answered by now, and nothing may ever wake us for it again.
            None => connection.flush(now),
        }
        if self.connections.get(&client).is_some_and(Connection::is_over) {
            self.close(client);
        }
    }

    /// Closes a connection; whoever has something for it finds it gone.
    pub(super) fn close(&mut self, client: ClientId) {
        // The poll forgets a descriptor that is closed, and no other leads to this one.
        if self.connections.remove(&client).is_some() {
            self.closed.insert(client);
        }
    }

    /// Returns the connections that were closed since this was asked last.
    fn take_closed(&mut self) -> BTreeSet<ClientId> {
        std::mem::take(&mut self.closed)
    }

    /// Whether a client is neither the owner nor root.
    fn is_visit(&self, client: ClientId) -> bool {
        self.connections.get(&client).is_some_and(Connection::is_visit)
    }

    /// Whether a connection is still there.
    pub(super) fn has(&self, client: ClientId) -> bool {
        self.connections.contains_key(&client)
    }
}
