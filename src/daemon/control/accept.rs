//! New connections: who comes in, who gives way to them, and what happens when the system has no more of them.
//!
//! Whoever connects may be one of a crowd that does nothing else. So places go first to those who ask for something,
//! and change hands at a bounded rate; the backlog holds the others meanwhile. Example: `control.accept(key, now)` when
//! the poll says that somebody waits at a listener.

use super::access::Door;
use super::connection::Connection;
use super::rights::Visitor;
use super::stream::{self, Stream};
use super::{
    CONNECTIONS, CONNECTIONS_MAX, ClientId, Control, LISTENERS, NOT_KNOWN, SHARE, VISITORS_MAX, VISITS_MAX,
};
use crate::model::Time;
use crate::sys::identity;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;

/// Most connections taken from one listener a turn; the rest waits in its backlog.
const ACCEPTS_A_TURN: usize = 32;
/// Most who lose their place to somebody new, or are turned away for want of one, within [`TURNOVER_TIME`]. Fewer than
/// there are places: who was just let in has at least that time to ask.
const TURNOVER_MAX: usize = 48;
/// See [`TURNOVER_MAX`]. With a backlog of hundreds the last one is let in within half a second, and a crowd that
/// connects again and again costs little.
const TURNOVER_TIME: Duration = Duration::from_millis(50);
/// How long until a listener is tried again that could not be accepted from.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What somebody is told who is granted nothing.
const NOTHING_GRANTED: &str = "nothing of this daemon is granted to you";

/// How many places changed hands of late.
#[derive(Default)]
struct Turnover {
    count: usize,
    /// When the time began in which they are counted.
    since: Option<Time>,
}

impl Turnover {
    /// When the time is over.
    fn ends(&self) -> Time {
        self.since.map_or(Time(0), |since| since.after(TURNOVER_TIME))
    }

    /// Whether one more is too many now.
    fn is_spent(&self, now: Time) -> bool {
        self.count >= TURNOVER_MAX && self.ends() > now
    }

    fn add(&mut self, now: Time) {
        if self.ends() <= now {
            (self.count, self.since) = (0, Some(now));
        }
        self.count += 1;
    }
}

/// What is known of those who wait to be let in.
pub(super) struct Entrance {
    turnover: Turnover,
    /// The same for the socket at which everybody may knock: there all who come count.
    crowd: Turnover,
    /// Given up for a moment when no descriptor is left, to say no with.
    spare: Option<OwnedFd>,
    /// Listeners at which more may wait, without a new event.
    more: Vec<usize>,
    /// Listeners that are left alone until then; the poll does not watch them.
    paused: BTreeMap<usize, Time>,
}

impl Entrance {
    pub(super) fn new() -> Entrance {
        Entrance {
            turnover: Turnover::default(),
            crowd: Turnover::default(),
            spare: spare_fd(),
            more: Vec::new(),
            paused: BTreeMap::new(),
        }
    }

    /// When there is something to do: the past when at once.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        if self.more.is_empty() { self.paused.values().min().copied() } else { Some(Time(0)) }
    }

    /// Forgets a listener.
    pub(super) fn forget(&mut self, key: usize) {
        self.paused.remove(&key);
    }
}

impl Control {
    /// Goes on with listeners at which more may wait.
    pub(super) fn tend_entrance(&mut self, now: Time) {
        for key in std::mem::take(&mut self.entrance.more) {
            self.accept(key, now);
        }
        let due: Vec<usize> =
            self.entrance.paused.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
        for key in due {
            self.entrance.paused.remove(&key);
            let Some((listener, _)) = self.listeners.get(&key) else { continue };
            let fd = listener.as_raw_fd();
            // The poll tells at once of those who wait.
            if self.registry.register(&mut SourceFd(&fd), Token(LISTENERS + key), Interest::READABLE).is_err()
            {
                self.entrance.paused.insert(key, now.after(ACCEPT_RETRY));
            }
        }
    }

    /// Leaves a listener alone for a while: neither those who wait nor those who come wake us.
    fn pause(&mut self, key: usize, until: Time) {
        if let Some((listener, _)) = self.listeners.get(&key) {
            let _ = self.registry.deregister(&mut SourceFd(&listener.as_raw_fd()));
            self.entrance.paused.insert(key, until);
        }
    }

    /// Lets in who waits at a listener.
    pub(super) fn accept(&mut self, key: usize, now: Time) {
        if self.entrance.paused.contains_key(&key) {
            return;
        }
        for _ in 0..ACCEPTS_A_TURN {
            if key == SHARE {
                if self.entrance.crowd.is_spent(now) {
                    return self.pause(key, self.entrance.crowd.ends());
                }
                self.entrance.crowd.add(now);
            } else if self.connections.len() >= CONNECTIONS_MAX && self.entrance.turnover.is_spent(now) {
                return self.pause(key, self.entrance.turnover.ends());
            }
            match self.accept_one(key, now) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.pause(key, now.after(ACCEPT_RETRY)),
            }
        }
        // The poll tells only of news.
        self.entrance.more.push(key);
    }

    fn accept_one(&mut self, key: usize, now: Time) -> io::Result<()> {
        let Some((listener, door)) = self.listeners.get(&key) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let door = Rc::clone(door);
        match listener.accept() {
            Ok(stream) => self.admit(stream, door, now),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                if key == SHARE {
                    return if self.make_room_of(Connection::is_visit) {
                        Ok(())
                    } else {
                        self.say_no(key, door)
                    };
                }
                if self.entrance.turnover.is_spent(now) {
                    return Err(error);
                }
                self.entrance.turnover.add(now);
                return if self.make_room() { Ok(()) } else { self.say_no(key, door) };
            }
            // That one was withdrawn; more may wait.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Says no with the descriptor that is kept for it: nobody waits for ever.
    fn say_no(&mut self, key: usize, door: Rc<Door>) -> io::Result<()> {
        self.entrance.spare = None;
        let taken = self.listeners.get(&key).map(|(listener, _)| listener.accept());
        let result = taken.unwrap_or_else(|| Err(ErrorKind::WouldBlock.into())).map(|stream| {
            Connection::new(stream, door).refuse_and_close(503, "no descriptors are left");
        });
        self.entrance.spare = spare_fd();
        result
    }

    /// Serves the connections that still wait in a listener that is of no use any more.
    pub(in crate::daemon) fn accept_rest(&mut self, listener: &UnixListener, now: Time) {
        let _ = listener.set_nonblocking(true);
        while let Ok(stream) = stream::accept(listener) {
            self.admit(stream, Rc::clone(&self.own_door), now);
        }
    }

    fn admit(&mut self, stream: Stream, door: Rc<Door>, now: Time) {
        let peer = if door.asks_who() || matches!(stream, Stream::Unix(_)) { stream.peer() } else { None };
        let mut visitor = None;
        if !door.lets_in(peer.map(|uid| uid.0), identity::uid()) {
            visitor = peer.filter(|_| door.is_share()).and_then(|uid| self.visitor(uid.0, &stream));
            if visitor.is_none() {
                (self.denials.count, self.denials.uid) =
                    (self.denials.count + 1, peer.map_or(u32::MAX, |uid| uid.0));
                let why =
                    if door.is_share() { NOTHING_GRANTED } else { "this daemon belongs to another user" };
                return Connection::new(stream, door).refuse_and_close(403, why);
            }
        }
        let has_room = match &visitor {
            Some(visitor) => self.make_room_for(visitor),
            None if self.connections.len() < CONNECTIONS_MAX => true,
            None => {
                self.entrance.turnover.add(now);
                self.make_room()
            }
        };
        if !has_room {
            return Connection::new(stream, door).refuse_and_close(503, "too many connections");
        }
        let client = ClientId(self.next_client);
        self.next_client += 1;
        let token = Token(CONNECTIONS + client.0 as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.registry.register(&mut SourceFd(&stream.as_raw_fd()), token, interest).is_ok() {
            let mut connection = Connection::new(stream, door);
            connection.peer = peer.unwrap_or(NOT_KNOWN);
            connection.visitor = visitor;
            self.connections.insert(client, connection);
            self.serve(client, now);
        }
    }

    /// Returns who somebody is that is granted something.
    fn visitor(&self, uid: u32, stream: &Stream) -> Option<Rc<Visitor>> {
        let visitor = Visitor { uid, groups: stream.peer_groups() };
        self.rights.know(&visitor).then(|| Rc::new(visitor))
    }

    /// Makes room for somebody who is neither the owner nor root, among the connections of their like; returns
    /// whether there is.
    fn make_room_for(&mut self, visitor: &Visitor) -> bool {
        let visits = |is: &dyn Fn(&Visitor) -> bool| {
            let of = |connection: &&Connection| connection.visitor.as_deref().is_some_and(is);
            self.connections.values().filter(of).count()
        };
        if visits(&|other| other.uid == visitor.uid) >= VISITS_MAX {
            return self.make_room_of(|connection| {
                connection.visitor.as_ref().is_some_and(|other| other.uid == visitor.uid)
            });
        }
        let is_full = visits(&|_| true) >= VISITORS_MAX || self.connections.len() >= CONNECTIONS_MAX;
        !is_full || self.make_room_of(Connection::is_visit)
    }

    /// Makes room among all connections: in the end the owner comes before those who are granted something.
    fn make_room(&mut self) -> bool {
        self.make_room_of(|_| true) || {
            let visit = self.connections.iter().find(|(_, connection)| connection.is_visit());
            let victim = visit.map(|(client, _)| *client);
            victim.into_iter().for_each(|client| self.close(client));
            victim.is_some()
        }
    }

    /// Closes the oldest connection of some that waits for nothing of ours; returns whether there was one. Who never
    /// asked for anything goes before those who did and may again, and last goes who has asked but sends nothing more:
    /// most likely nobody is there.
    fn make_room_of(&mut self, counts: impl Fn(&Connection) -> bool) -> bool {
        let oldest = |is: fn(&Connection) -> bool| {
            let mut all = self.connections.iter();
            all.find(|(_, connection)| counts(connection) && is(connection)).map(|(client, _)| *client)
        };
        let victim = oldest(Connection::is_new)
            .or_else(|| oldest(Connection::is_idle))
            .or_else(|| oldest(Connection::is_in_request))
            .or_else(|| oldest(Connection::is_half_closed));
        victim.into_iter().for_each(|client| self.close(client));
        victim.is_some()
    }
}

fn spare_fd() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_places_change_hands_in_a_time() {
        let mut turnover = Turnover::default();
        let start = Time(0).after(Duration::from_secs(9));
        for count in 0..TURNOVER_MAX {
            assert!(!turnover.is_spent(start), "after {count}");
            turnover.add(start);
        }
        assert!(turnover.is_spent(start));
        assert_eq!(turnover.ends(), start.after(TURNOVER_TIME));
        assert!(!turnover.is_spent(turnover.ends()));
        turnover.add(turnover.ends());
        assert_eq!(turnover.count, 1);
    }

    const _: () = assert!(TURNOVER_MAX < CONNECTIONS_MAX, "who was just let in has time to ask");
    const _: () =
        assert!(VISITS_MAX < VISITORS_MAX && VISITORS_MAX < CONNECTIONS_MAX, "some stay for the others");
}
