//! The sockets that programs share as descriptor 0, in the life of the reactor: opened by the disk worker, held by the
//! keeper over our death, closed when the core says so.

use super::effects::spawn_error;
use super::keeper_loss::HandOver;
use super::reactor::{Job, Reactor};
use crate::core::{Input, SpawnError};
use crate::keeper::protocol::Request;
use crate::model::Time;
use crate::model::instance::fnv1a;
use crate::model::spec::{FcgiSocketSpec, FleetSpec};
use crate::sys::clock;
use crate::sys::shared_socket::{self, Failure};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Set in the keys under which the keeper holds these sockets, and in no other key.
const KEY_BIT: u64 = 1 << 63;

/// For how long a socket that was closed may still be held: the keeper closes its own, and does not say when.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// What a reactor has open.
#[derive(Default)]
pub(super) struct SharedSockets {
    /// By what the configuration calls them.
    open: BTreeMap<String, OwnedFd>,
    /// Which were closed, and when it is certain that nobody holds them.
    closing: Vec<(String, Time)>,
    /// How many configurations began anew: what an earlier one asked for comes too late.
    pub(super) epoch: u64,
}

/// Returns the key of a socket: the same in the next reactor, which is told keys and descriptors only.
pub(super) fn key_of(socket: &FcgiSocketSpec) -> u64 {
    key(&socket.url)
}

fn key(url: &str) -> u64 {
    fnv1a(url.as_bytes()) | KEY_BIT
}

/// Opens and closes every socket of a configuration, so that one that cannot be opened is told before anything starts;
/// supervisord does the same, with the same lines in its log.
pub(super) fn try_all(fleet: &FleetSpec, log: impl FnMut(&str)) -> Result<(), String> {
    try_others(fleet, &BTreeSet::new(), log)
}

/// Does the same with groups that are to come into force, but for sockets that are in use here.
pub(super) fn try_others(
    fleet: &FleetSpec,
    ours: &BTreeSet<String>,
    mut log: impl FnMut(&str),
) -> Result<(), String> {
    let specs =
        fleet.groups.iter().flat_map(|group| &group.processes).filter_map(|spec| spec.socket.as_ref());
    let all: BTreeMap<&str, &Arc<FcgiSocketSpec>> =
        specs.map(|socket| (socket.url.as_str(), socket)).filter(|(url, _)| !ours.contains(*url)).collect();
    for (url, socket) in all {
        log(&format!("Creating socket {url}"));
        shared_socket::open(socket).map_err(|failure| failed(url, &failure).to_string())?;
        log(&format!("Closing socket {url}"));
    }
    Ok(())
}

fn failed(url: &str, failure: &Failure) -> SpawnError {
    match spawn_error(url, &failure.error, true) {
        shortage if shortage.is_shortage() => shortage,
        _ => SpawnError::Socket { url: url.to_owned(), why: failure.to_string() },
    }
}

impl Reactor {
    /// Returns which sockets are open here or were just now, by what the configuration calls them.
    pub(super) fn shared_sockets_in_use(&self) -> BTreeSet<String> {
        let now = clock::now();
        let closing = self.shared_sockets.closing.iter().filter(|(_, until)| *until > now);
        closing.map(|(url, _)| url).chain(self.shared_sockets.open.keys()).cloned().collect()
    }

    /// Has the disk worker open a socket: that takes a look at a file system, or at a name server.
    pub(super) fn open_shared_socket(&self, socket: Arc<FcgiSocketSpec>) {
        let epoch = self.shared_sockets.epoch;
        self.disk.run(Box::new(move || {
            let opened = shared_socket::open(&socket);
            Job::SocketOpened(epoch, socket.url.clone(), opened)
        }));
    }

    /// Takes in a socket that was opened, or could not be.
    pub(super) fn shared_socket_opened(&mut self, epoch: u64, url: String, opened: Result<OwnedFd, Failure>) {
        if epoch != self.shared_sockets.epoch {
            return;
        }
        let result = match opened {
            Ok(fd) => self.keep_shared_socket(&url, fd).map_err(|error| spawn_error(&url, &error, true)),
            Err(failure) => Err(failed(&url, &failure)),
        };
        self.inputs.push_back(Input::SocketOpened { url, result });
    }

    /// Keeps a socket, here and in the keeper, which gives it to the children.
    fn keep_shared_socket(&mut self, url: &str, fd: OwnedFd) -> std::io::Result<()> {
        let copy = fd.as_fd().try_clone_to_owned()?;
        self.link.send(Request::Hold { key: key(url) }, vec![copy]);
        self.shared_sockets.open.insert(url.to_owned(), fd);
        Ok(())
    }

    /// Closes a socket; its file stays, as with supervisord.
    pub(super) fn close_shared_socket(&mut self, url: &str) {
        self.shared_sockets.open.remove(url);
        let now = clock::now();
        self.shared_sockets.closing.retain(|(_, until)| *until > now);
        self.shared_sockets.closing.push((url.to_owned(), now.after(CLOSING_MAX)));
        self.link.send(Request::Drop { key: key(url) }, Vec::new());
    }

    /// Goes on with the sockets of a reactor that died. One that nobody is configured to have any more is closed.
    pub(super) fn take_shared_sockets(&mut self, handed: &mut HandOver) {
        let specs = self.core.processes().filter_map(|(_, process)| process.spec().socket.as_ref());
        let urls: BTreeMap<u64, String> = specs.map(|socket| (key_of(socket), socket.url.clone())).collect();
        for (key, fd) in handed.held.extract_if(.., |(key, _)| *key & KEY_BIT != 0) {
            match urls.get(&key) {
                Some(url) => {
                    self.shared_sockets.open.insert(url.clone(), fd);
                    self.inputs.push_back(Input::SocketOpened { url: url.clone(), result: Ok(()) });
                }
                None => self.link.send(Request::Drop { key }, Vec::new()),
            }
        }
    }

    /// Gives a new keeper the sockets that the lost one held.
    pub(super) fn hold_shared_sockets(&mut self) {
        for (url, fd) in &self.shared_sockets.open {
            if let Ok(copy) = fd.as_fd().try_clone_to_owned() {
                self.link.send(Request::Hold { key: key(url) }, vec![copy]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_apart_from_those_of_control_sockets_and_buffers() {
        assert_ne!(key("unix:///a"), key("unix:///b"));
        assert!(key("") > crate::daemon::sockets::KEYS_END);
    }
}
