//! The control API inside the reactor: connections, requests, and the answers that come later.
//!
//! One small HTTP server over the control sockets. What a request wants becomes an input of the core or a job of
//! the disk worker; nothing is decided here. Example: `control.ready(event, now)` when the poll says so, then
//! `for (client, request) in control.take_requests()`.

mod access;
mod commands;
mod config_verbs;
mod connection;
mod follow;
mod logtail;
mod route;
mod rpc;
mod show;
mod stream;
mod streams;

use crate::api::http::Request;
use crate::model::Time;
use crate::sys::identity;
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
use stream::Stream;

pub(super) use access::Door;
pub(super) use commands::Jobs;
pub(super) use config_verbs::{Update, Verb};
pub(super) use rpc::{CallId, Calls, SUPERVISOR_VERSION};
pub(super) use show::unix;
pub(super) use stream::Listener;
pub(super) use streams::Subscribers;

/// Tokens from here on are listeners.
pub(super) const LISTENERS: usize = 1 << 60;
/// Keys of listeners from here on are those of servers that the configuration names.
pub(super) const SERVERS: usize = 1 << 16;
/// Tokens from here on are connections.
pub(super) const CONNECTIONS: usize = 1 << 61;
/// Most connections at once: a user's own clients are few, and each may hold a descriptor and a buffer.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// Most connections taken from one listener a turn; the rest waits in its backlog.
const ACCEPTS_A_TURN: usize = 32;
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

/// All connections.
pub(super) struct Control {
    registry: Registry,
    listeners: BTreeMap<usize, (Listener, Rc<Door>)>,
    /// The door of the user's own sockets.
    own_door: Rc<Door>,
    connections: BTreeMap<ClientId, Connection>,
    next_client: u64,
    /// Given up for a moment when no descriptor is left, to say no with.
    spare: Option<OwnedFd>,
    /// Connections that may have more to read or write without a new event.
    again: Vec<ClientId>,
    requests: Vec<(ClientId, Request)>,
    /// Connections that were closed, for those who have something for them.
    closed: BTreeSet<ClientId>,
    denials: Denials,
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
            spare: spare_fd(),
            again: Vec::new(),
            requests: Vec::new(),
            closed: BTreeSet::new(),
            denials: Denials::default(),
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
        self.connections.values().filter_map(Connection::deadline).min()
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

    /// Serves the connections that still wait in a listener that is of no use any more.
    pub(super) fn accept_rest(&mut self, listener: &UnixListener, now: Time) {
        let _ = listener.set_nonblocking(true);
        while let Ok((stream, _)) = listener.accept() {
            self.admit(Stream::Unix(stream), Rc::clone(&self.own_door), now);
        }
    }

    fn accept(&mut self, key: usize, now: Time) {
        for _ in 0..ACCEPTS_A_TURN {
            let Some((listener, door)) = self.listeners.get(&key) else { return };
            let door = Rc::clone(door);
            match listener.accept() {
                Ok(stream) => self.admit(stream, door, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                    // One descriptor is kept to say no with: an unanswered connection would wake us for ever.
                    self.make_room();
                    self.spare = None;
                    if let Some(Ok(stream)) = self.listeners.get(&key).map(|(listener, _)| listener.accept())
                    {
                        Connection::new(stream, door).refuse_and_close(503, "no descriptors are left");
                    }
                    self.spare = spare_fd();
                }
                // That one was withdrawn; more may wait.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
        // More may wait, and the poll tells only of news.
        if let Some((listener, _)) = self.listeners.get(&key) {
            let fd = listener.as_raw_fd();
            let _ = self.registry.reregister(&mut SourceFd(&fd), Token(LISTENERS + key), Interest::READABLE);
        }
    }

    fn admit(&mut self, stream: Stream, door: Rc<Door>, now: Time) {
        let peer = if door.asks_who() || matches!(stream, Stream::Unix(_)) { stream.peer() } else { None };
        if !door.lets_in(peer.map(|uid| uid.0), identity::uid()) {
            (self.denials.count, self.denials.uid) =
                (self.denials.count + 1, peer.map_or(u32::MAX, |uid| uid.0));
            return Connection::new(stream, door)
                .refuse_and_close(403, "this daemon belongs to another user");
        }
        if self.connections.len() >= CONNECTIONS_MAX {
            self.make_room();
        }
        if self.connections.len() >= CONNECTIONS_MAX {
            return Connection::new(stream, door).refuse_and_close(503, "too many connections");
        }
        let client = ClientId(self.next_client);
        self.next_client += 1;
        let token = Token(CONNECTIONS + client.0 as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if stream.set_nonblocking().is_ok()
            && self.registry.register(&mut SourceFd(&stream.as_raw_fd()), token, interest).is_ok()
        {
            let mut connection = Connection::new(stream, door);
            connection.peer = peer.unwrap_or(NOT_KNOWN);
            self.connections.insert(client, connection);
            self.serve(client, now);
        }
    }

    /// Closes the oldest connection that waits for nothing of ours: an idle one, else one whose request is not
    /// complete.
    fn make_room(&mut self) {
        let idle = self.connections.iter().find(|(_, c)| c.is_idle()).map(|(id, _)| *id);
        let half = || self.connections.iter().find(|(_, c)| c.is_in_request()).map(|(id, _)| *id);
        if let Some(client) = idle.or_else(half) {
            self.close(client);
        }
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
        if let Some(connection) = self.connections.remove(&client) {
            let _ = self.registry.deregister(&mut SourceFd(&connection.fd()));
            self.closed.insert(client);
        }
    }

    /// Returns the connections that were closed since this was asked last.
    fn take_closed(&mut self) -> BTreeSet<ClientId> {
        std::mem::take(&mut self.closed)
    }

    /// Whether a connection is still there.
    pub(super) fn has(&self, client: ClientId) -> bool {
        self.connections.contains_key(&client)
    }
}

fn spare_fd() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}
