//! The control socket for others: `/tmp/visor-UID.share/control.sock`, there while anybody is granted anything.
//!
//! Its directory lets everybody pass and nobody make files, and is used under the same conditions as those of the
//! user's own sockets. Who may do what is not known here (`control/rights.rs`). Example: `reactor.tend_share(now)`
//! whenever the loop woke up.

use super::control::SHARE;
use super::reactor::Reactor;
use super::socket_watch::{SocketWatch, Wake};
use super::visitors::Visitors;
use crate::keeper::protocol::Request;
use crate::model::{Level, Time};
use crate::sys::ambient::{Ambient, Candidate, Origin};
use crate::sys::listen::{self, Listening};
use crate::sys::runtime_dir::{self, FileId, Missing, RuntimeDir};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The socket's name.
const NAME: &str = "control.sock";

/// Under which the keeper holds the listener.
const KEY: u64 = 0x7000;

/// How long the directory is left alone after a change in it.
const SETTLE: Duration = Duration::from_millis(100);

/// How often it is tried again where the place cannot be used: whoever has it in `/tmp` tells nobody when they leave.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The socket, where it is bound.
struct Bound {
    dir: RuntimeDir,
    listening: Listening,
}

/// What there is of it.
#[derive(Default)]
pub(super) struct Share {
    bound: Option<Bound>,
    watch: Option<SocketWatch>,
    /// Why there is none, once it was said.
    refused: Option<String>,
    /// When to look again.
    due: Option<Time>,
    /// What the machine looks like from here.
    ambient: Option<Box<Ambient>>,
    /// What those who use it are called.
    pub(super) visitors: Visitors,
}

impl Share {
    /// When there is something to look at.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.due
    }

    /// Removes what is in the file system, as the daemon's last act.
    pub(super) fn close(mut self) {
        self.unbind();
    }

    /// Whether the path still leads to our socket.
    fn is_intact(&self) -> bool {
        self.bound.as_ref().is_some_and(|bound| {
            let found = super::places::id_of(&bound.dir.path);
            found == Some(bound.dir.id) && listen::is_at(&bound.dir, NAME, bound.listening.id)
        })
    }

    /// Removes the socket if it is still ours, and its directory if that is empty then.
    fn unbind(&mut self) {
        if let Some(Bound { dir, listening }) = self.bound.take()
            && listen::remove(&dir, NAME, listening.id)
        {
            // Another daemon of ours may have begun to use it.
            let _ = std::fs::remove_dir(&dir.path);
        }
    }

    /// Watches the directory for the socket's going; returns why that does not work.
    fn follow(&mut self, wake: Wake) -> Option<String> {
        let bound = self.bound.as_ref()?;
        let watch = self.watch.get_or_insert_with(|| SocketWatch::start(wake));
        watch.set_interesting(vec![bound.dir.path.join(NAME)]);
        let wanted: BTreeMap<_, FileId> = [(bound.dir.path.clone(), bound.dir.id)].into();
        watch.follow(&wanted);
        watch.take_trouble()
    }

    fn is_watched(&self) -> bool {
        let covered = |bound: &Bound| self.watch.as_ref().is_some_and(|watch| watch.covers(&bound.dir.path));
        self.bound.as_ref().is_some_and(covered)
    }
}

/// Takes what is ours out of the descriptors that the keeper handed over.
pub(super) fn take_held(handed: &mut Vec<(u64, OwnedFd)>) -> Option<OwnedFd> {
    handed.extract_if(.., |(key, _)| *key == KEY).last().map(|(_, fd)| fd)
}

/// Binds the socket, or goes on with one that a reactor bound which died.
fn bind(ambient: &Ambient, held: Option<OwnedFd>) -> Result<Bound, String> {
    let candidate = Candidate { origin: Origin::Temp, path: ambient.share_of(ambient.name_uid) };
    let dir = runtime_dir::open_shared(&candidate, ambient, Missing::Make).map_err(|refused| refused.why)?;
    let adopted = held.zip(listen::id_of(&dir, NAME)).map(|(fd, id)| Listening { listener: fd.into(), id });
    let listening = match adopted {
        Some(listening) => listening,
        None => listen::bind_public(&dir, NAME).map_err(|error| in_words(&error))?,
    };
    Ok(Bound { dir, listening })
}

fn in_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            "another daemon of yours has it (grant in the configuration of one only)".to_owned()
        }
        _ => format!("a socket cannot be bound in it: {error}"),
    }
}

impl Reactor {
    /// Puts the configured grants in force, and the socket where there are any; `held` is what the keeper kept.
    pub(super) fn open_share(&mut self, held: Option<OwnedFd>) {
        self.apply_rights();
        if self.settings.daemon.delegates.is_empty() {
            self.close_share();
        } else if !self.share.is_intact() {
            self.bind_share(held);
        }
    }

    /// Looks after a socket that vanished, or could be bound by now.
    pub(super) fn tend_share(&mut self, now: Time) {
        if self.share.watch.as_ref().is_some_and(SocketWatch::take) {
            let settled = now.after(SETTLE);
            self.share.due = Some(self.share.due.map_or(settled, |due| due.min(settled)));
        }
        if self.share.due.is_none_or(|due| due > now) {
            return;
        }
        self.share.due = None;
        match self.share.is_intact() {
            true => self.watch_share(),
            false => self.bind_share(None),
        }
    }

    fn bind_share(&mut self, held: Option<OwnedFd>) {
        self.unlisten_share();
        let ambient = self.share.ambient.get_or_insert_with(|| Box::new(Ambient::real())).clone();
        let bound = bind(&ambient, held).and_then(|bound| {
            let fd = bound.listening.listener.as_fd().try_clone_to_owned();
            fd.and_then(|fd| self.control.share(fd)).map_err(|error| error.to_string())?;
            Ok(bound)
        });
        let path = ambient.share_of(ambient.name_uid);
        match bound {
            Ok(bound) => {
                let text = format!("bound the control socket for others in {}", path.display());
                self.log(Level::Info, &text);
                (self.share.bound, self.share.refused) = (Some(bound), None);
                self.hold_share();
                self.watch_share();
            }
            Err(why) => {
                if self.share.refused.as_ref() != Some(&why) {
                    let shown = path.display();
                    let text = format!(
                        "cannot use {shown} for the control socket of others: {why}; nobody can use what is granted \
                         to them"
                    );
                    self.log(Level::Error, &text);
                }
                self.share.refused = Some(why);
                self.share.due = Some(self.heard_at.after(LOOK_EVERY));
            }
        }
    }

    fn watch_share(&mut self) {
        let waker = Arc::clone(&self.waker);
        let trouble = self.share.follow(Arc::new(move || drop(waker.wake())));
        if let Some(trouble) = trouble {
            self.log(Level::Warn, &format!("{trouble}; from now on it is looked at every second"));
        }
        // What changed between a look and its watch is seen only now.
        self.share.due = match (self.share.is_intact(), self.share.is_watched()) {
            (false, _) => Some(self.heard_at.after(SETTLE)),
            (true, false) => Some(self.heard_at.after(LOOK_EVERY)),
            (true, true) => None,
        };
    }

    fn close_share(&mut self) {
        if self.share.bound.is_some() {
            self.log(
                Level::Info,
                "closed the control socket for others: nobody is granted anything any more",
            );
        }
        self.unlisten_share();
        (self.share.watch, self.share.refused, self.share.due) = (None, None, None);
    }

    fn unlisten_share(&mut self) {
        self.control.unlisten(SHARE);
        if self.share.bound.is_some() {
            self.link.send(Request::Drop { key: KEY }, Vec::new());
        }
        self.share.unbind();
    }

    /// Has the keeper hold the listener over our death.
    pub(super) fn hold_share(&mut self) {
        let Some(bound) = &self.share.bound else { return };
        // Without a spare descriptor the keeper goes without: it is bound anew then.
        if let Ok(fd) = bound.listening.listener.as_fd().try_clone_to_owned() {
            self.link.send(Request::Hold { key: KEY }, vec![fd]);
        }
    }
}
