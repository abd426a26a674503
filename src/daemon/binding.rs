//! The control sockets in the life of the reactor: bound at the start, held by the keeper, bound again where they
//! vanished.

use super::instance::{self, Claim, Who};
use super::keeper_loss::HandOver;
use super::reactor::{Job, Reactor};
use super::sockets::{Change, Hold, Sockets, take_held};
use crate::keeper::protocol::Request;
use crate::model::{Level, Time};
use crate::sys::ambient::Ambient;
use crate::sys::{clock, hosts};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::Arc;

impl Reactor {
    /// Binds the sockets of a daemon that has just become one.
    pub(super) fn bind_sockets(&mut self, claim: Claim) {
        self.identity = claim.who.identity();
        self.config_state.file = claim.who.config.display().to_string();
        self.config_state.since_unix = super::control::unix(self.started);
        let waker = Arc::clone(&self.waker);
        let wake = Arc::new(move || drop(waker.wake()));
        let (sockets, change) = Sockets::bind(claim, wake, clock::now());
        self.host_marked_at = sockets.shared_state().is_some().then(clock::now);
        self.sockets = Some(sockets);
        self.take_change(change);
        self.choose_server_url();
    }

    /// Chooses what programs are told of where we are: a server of the configuration, else a socket of the user's
    /// own daemon.
    pub(super) fn choose_server_url(&mut self) {
        let own = self.settings.xdg.as_ref().and(self.sockets.as_ref()).and_then(Sockets::lasting_path);
        let own = own.map(|path| format!("unix://{}", path.display()));
        self.common.server_url = self.settings.daemon.serverurl.clone().or(own);
    }

    /// Goes on with the sockets of a reactor that died; connections that waited in them are served.
    pub(super) fn rebind_sockets(&mut self, handed: &mut HandOver) {
        let held = take_held(&mut handed.held);
        let who = Who::of(self.identity.clone(), Ambient::real(), self.keeper.0);
        self.bind_sockets(instance::resume(&who, held.locks));
        // What the dead one read is not known any more; where programs came from is.
        let specs = self.core.processes().map(|(_, process)| &process.spec().place.file);
        self.config_state.files = specs.collect::<BTreeSet<_>>().len();
        for listener in held.listeners {
            self.control.accept_rest(&listener, clock::now());
        }
    }

    /// Has the disk worker mark the folder of this host as in use, and remove those that no host uses.
    pub(super) fn tend_host(&mut self, now: Time) {
        if self.host_marked_at.is_none_or(|due| due > now) {
            return;
        }
        let shared = self.sockets.as_ref().and_then(Sockets::shared_state);
        let shared = shared.map(|(folder, key)| (folder.to_path_buf(), key.to_owned()));
        self.host_marked_at = shared.is_some().then(|| now.after(hosts::MARK_PERIOD));
        if let Some((folder, key)) = shared {
            self.disk.run(Box::new(move || Job::HostsTended(hosts::tend(&folder, &key))));
        }
    }

    /// Looks after sockets that vanished, or could be bound by now.
    pub(super) fn tend_sockets(&mut self, now: Time) {
        if let Some(change) = self.sockets.as_mut().and_then(|sockets| sockets.tick(now)) {
            self.take_change(change);
        }
    }

    fn take_change(&mut self, change: Change) {
        for (key, listener) in change.gone {
            self.control.unlisten(key);
            self.control.accept_rest(&listener, clock::now());
        }
        for key in change.appeared {
            let Some(listener) = self.sockets.as_ref().and_then(|sockets| sockets.listener(key)) else {
                continue;
            };
            let listening = listener.as_fd().try_clone_to_owned().and_then(|fd| self.control.listen(key, fd));
            if let Err(error) = listening {
                self.log(Level::Error, &format!("cannot listen on a control socket: {error}"));
            }
        }
        for words in change.words {
            self.log(Level::Info, &words);
        }
        self.pass_on_holds();
    }

    /// Has the keeper hold locks and listeners over our death.
    pub(super) fn pass_on_holds(&mut self) {
        let holds = self.sockets.as_mut().map(Sockets::take_holds).unwrap_or_default();
        for hold in holds {
            match hold {
                Hold::Keep(key, fd) => self.link.send(Request::Hold { key }, vec![fd]),
                Hold::Forget(key) => self.link.send(Request::Drop { key }, Vec::new()),
            }
        }
    }
}
