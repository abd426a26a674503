//! What this machine, this session and a daemon in it are like, as far as it decides how long programs live.
//!
//! Gathers for `visorctl doctor` and judges nothing. What lies below `/etc`, `/usr`, `/run`, `/var`, `/sys` and `/tmp`
//! is looked for below [`Ambient::root`], so that tests can build a machine. What cannot be found out is `None` or
//! empty, never an error. Example: `facts::gather(&Ambient::real(), None).lasting.session.linger`.

#[cfg(any(test, target_vendor = "apple"))]
mod brief;
pub mod cleaners;
pub mod kernel;
pub mod kin;
pub mod lasting;
pub mod limits;
pub mod mac;
pub mod storage;

use super::ambient::Ambient;
use crate::model::Pid;
use nix::unistd::{Uid, User};

/// Everything that was found out about the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Effective user id.
    pub uid: u32,
    /// The user's name; the number where there is none.
    pub user: String,
    /// What ends a daemon.
    pub lasting: lasting::Lasting,
    /// Home, state and the directories of sockets.
    pub storage: storage::Storage,
    /// What removes old files below `/tmp`.
    pub cleaners: Vec<cleaners::Cleaner>,
    /// How much of everything there may be.
    pub limits: limits::Limits,
    /// What the kernel can do for programs.
    pub kernel: kernel::Kernel,
    /// Other daemons of this user, and what dead ones left behind.
    pub kin: kin::Kin,
    /// What only a Mac has.
    pub mac: Option<mac::Mac>,
}

/// Looks at everything. `daemon` is the keeper of the daemon in question, where it runs.
#[must_use]
pub fn gather(ambient: &Ambient, daemon: Option<Pid>) -> Facts {
    let storage = storage::gather(ambient);
    let lasting = lasting::gather(ambient, daemon);
    let group = lasting.daemon_cgroup.as_ref().unwrap_or(&lasting.session.cgroup);
    Facts {
        uid: ambient.uid,
        user: user_name(ambient.uid),
        cleaners: cleaners::gather(ambient),
        limits: limits::gather(ambient, daemon, group),
        kernel: kernel::gather(ambient, group),
        kin: kin::gather(ambient, daemon),
        mac: mac::gather(ambient),
        storage,
        lasting,
    }
}

fn user_name(uid: u32) -> String {
    let found = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    found.map_or_else(|| uid.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_nothing_on_it_is_no_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let uid = crate::sys::identity::uid();
        let ambient = Ambient { uid, name_uid: uid, root: dir.path().into(), ..Ambient::default() };
        let found = gather(&ambient, None);
        assert_eq!((found.uid, found.cleaners.len()), (uid, 0));
        assert!(!found.user.is_empty());
        assert_eq!(found.storage.home, None);
    }
}
