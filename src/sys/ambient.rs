//! The surroundings from which every place of ours follows: user, environment, home, host.
//!
//! Only says where things would be; must not make or check anything. Tests put a whole machine below a directory
//! of theirs. Example: `Ambient::real().config_root()` is `/home/me/.config/visor`.

use crate::model::instance::fnv1a;
use nix::unistd::Uid;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Name of our directory in the places that programs share.
const NAME: &str = "visor";

/// Variable with directories, separated by colons, that tests take for a network file system.
const TEST_NETWORK: &str = "VISOR_TEST_NETWORK";

/// Variable with the directory that tests take for `/`: `/run/user`, `/tmp` and `/etc` are looked for in it.
const TEST_ROOT: &str = "VISOR_TEST_ROOT";

/// Who we are, and what the machine looks like from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ambient {
    /// Effective user id, as files show it.
    pub uid: u32,
    /// The user id by which directories are called: the one outside of a user namespace (`unshare -Ur`), so that
    /// inside and outside the same daemon is found.
    pub name_uid: u32,
    /// The environment.
    pub variables: Vec<(OsString, OsString)>,
    /// The home directory that the user database knows.
    pub account_home: Option<PathBuf>,
    /// What stands for `/`.
    pub root: PathBuf,
    /// The machine's name.
    pub node_name: String,
    /// Directories that lie on a network file system whatever the kernel says.
    pub network: Vec<PathBuf>,
}

/// By which rule a directory for sockets was found, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `$VISOR_RUNTIME_DIR`.
    Named,
    /// `$XDG_RUNTIME_DIR/visor`.
    Session,
    /// `/run/user/UID/visor`.
    RunUser,
    /// macOS: `visor-UID` in the user's own directory of temporary files.
    UserTemp,
    /// `/tmp/visor-UID`.
    Temp,
    /// `/tmp/visor-UID-RANDOM`, which the state directory remembers.
    Private,
}

/// A directory that may be used for sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How it was found.
    pub origin: Origin,
    /// Where it is.
    pub path: PathBuf,
}

impl Ambient {
    /// Returns the surroundings of this process.
    #[must_use]
    pub fn real() -> Ambient {
        let uid = super::identity::uid();
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let mut ambient = Ambient {
            uid,
            name_uid: outer_uid(&map, uid),
            variables: std::env::vars_os().collect(),
            account_home: None,
            root: "/".into(),
            node_name: nix::sys::utsname::uname()
                .map(|name| name.nodename().to_string_lossy().into_owned())
                .unwrap_or_default(),
            network: Vec::new(),
        };
        ambient.root = ambient.absolute(TEST_ROOT).unwrap_or(ambient.root);
        ambient.network =
            ambient.get(TEST_NETWORK).map(|list| std::env::split_paths(list).collect()).unwrap_or_default();
        // The user database may be far away, so it is asked only when the environment does not do.
        if ambient.own_variable_home().is_none_or(|(_, owner)| owner != ambient.uid) {
            let account = nix::unistd::User::from_uid(Uid::from_raw(ambient.uid)).ok().flatten();
            ambient.account_home = account.map(|account| account.dir).filter(|home| home.is_absolute());
        }
        ambient
    }

    /// Returns a variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str()).filter(|value| !value.is_empty())
    }

    /// Returns a variable that holds an absolute path; the XDG rules ignore every other value.
    #[must_use]
    pub fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Returns the user's home: `$HOME`, unless it is somebody else's (su and sudo leave such behind), else what
    /// the user database knows.
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        let own = self.own_variable_home().map(|(home, _)| home);
        own.or_else(|| self.account_home.clone())
    }

    /// `$HOME` with its owner, where it belongs to us or root. One that is not there yet is ours.
    fn own_variable_home(&self) -> Option<(PathBuf, u32)> {
        let home = self.absolute("HOME")?;
        let owner = std::fs::metadata(&home).map_or(self.uid, |found| found.uid());
        (owner == self.uid || owner == 0).then_some((home, owner))
    }

    /// Returns the directory of the configuration, `~/.config/visor`.
    #[must_use]
    pub fn config_root(&self) -> Option<PathBuf> {
        let set = self.absolute("XDG_CONFIG_HOME");
        Some(set.or_else(|| Some(self.home()?.join(".config")))?.join(NAME))
    }

    /// Returns the directories for what outlives the daemon, best first; the first that works is used.
    #[must_use]
    pub fn state_roots(&self) -> Vec<PathBuf> {
        let below_home = |home: PathBuf| home.join(".local/state").join(NAME);
        let mut roots: Vec<PathBuf> = [
            self.absolute("VISOR_STATE_DIR"),
            self.absolute("XDG_STATE_HOME").map(|base| base.join(NAME)),
            self.home().map(below_home),
            self.account_home.clone().map(below_home),
        ]
        .into_iter()
        .flatten()
        .collect();
        roots.dedup();
        roots
    }

    /// Returns the directories for sockets, best first, without the private one.
    #[must_use]
    pub fn runtime_candidates(&self) -> Vec<Candidate> {
        let of_uid = format!("{NAME}-{}", self.name_uid);
        let temp = self.user_temp_dir().map(|dir| dir.join(&of_uid));
        [
            (Origin::Named, self.absolute("VISOR_RUNTIME_DIR")),
            (Origin::Session, self.absolute("XDG_RUNTIME_DIR").map(|dir| dir.join(NAME))),
            (Origin::RunUser, Some(self.run_user_dir().join(NAME))),
            (Origin::UserTemp, temp),
            (Origin::Temp, Some(self.temp_dir().join(&of_uid))),
        ]
        .into_iter()
        .filter_map(|(origin, path)| Some(Candidate { origin, path: path? }))
        .collect()
    }

    /// Returns the directory in which the login manager makes that of each user.
    #[must_use]
    pub fn run_user(&self) -> PathBuf {
        self.root.join("run/user")
    }

    fn run_user_dir(&self) -> PathBuf {
        self.run_user().join(self.name_uid.to_string())
    }

    /// Returns the directory of temporary files that everybody shares.
    #[must_use]
    pub fn temp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Returns the directory in which a user's daemon has the socket for others, who find it by the user's number.
    #[must_use]
    pub fn share_of(&self, uid: u32) -> PathBuf {
        self.temp_dir().join(format!("{NAME}-{uid}.share"))
    }

    /// Returns the directory of temporary files that is the user's own, where the platform has one.
    fn user_temp_dir(&self) -> Option<PathBuf> {
        if self.root == Path::new("/") { platform::user_temp_dir() } else { None }
    }

    /// Returns a name that no other machine has which shares this home: what is called the same and was cloned
    /// from the same image is told apart by nothing.
    #[must_use]
    pub fn host_key(&self) -> String {
        let id = ["etc/machine-id", "var/lib/dbus/machine-id"]
            .iter()
            .find_map(|file| std::fs::read(self.root.join(file)).ok())
            .unwrap_or_default();
        let letter =
            |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
        let name: String = self.node_name.chars().take(NODE_NAME_MAX).map(letter).collect();
        format!("{name}-{:08x}", fnv1a(id.trim_ascii()) as u32)
    }

    /// Whether a test takes this path for one on a network file system.
    #[must_use]
    pub fn is_taken_for_network(&self, path: &Path) -> bool {
        self.network.iter().any(|place| path.starts_with(place))
    }
}

/// Returns what a user id of this namespace is outside of it, by the text of uid_map (user_namespaces(7)).
fn outer_uid(map: &str, uid: u32) -> u32 {
    let ranges = map.lines().filter_map(|line| {
        let mut numbers = line.split_ascii_whitespace().map(|number| number.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    });
    let mut outer = ranges.filter_map(|(inside, outside, count)| {
        let at = uid.checked_sub(inside).filter(|at| *at < count)?;
        outside.checked_add(at)
    });
    outer.next().unwrap_or(uid)
}

/// Letters of the machine's name that a host's key keeps: enough to know it by, short enough for a path.
const NODE_NAME_MAX: usize = 40;

#[cfg(target_vendor = "apple")]
mod platform {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::PathBuf;

    /// Longest answer that is taken, in bytes: PATH_MAX of macOS.
    const ANSWER_MAX: usize = 1024;

    pub(super) fn user_temp_dir() -> Option<PathBuf> {
        let mut answer = vec![0_u8; ANSWER_MAX];
        // SAFETY: pointer and length describe the vector, which the call fills and ends with a zero byte.
        let size = unsafe {
            libc::confstr(libc::_CS_DARWIN_USER_TEMP_DIR, answer.as_mut_ptr().cast(), answer.len())
        };
        answer.truncate(size.checked_sub(1).filter(|size| *size < ANSWER_MAX)?);
        Some(PathBuf::from(OsString::from_vec(answer)))
    }
}

#[cfg(not(target_vendor = "apple"))]
mod platform {
    pub(super) fn user_temp_dir() -> Option<std::path::PathBuf> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambient(variables: &[(&str, &str)]) -> Ambient {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Ambient {
            uid: 1000,
            name_uid: 1000,
            variables,
            account_home: Some("/home/me".into()),
            root: "/".into(),
            ..Ambient::default()
        }
    }

    fn paths(ambient: &Ambient) -> Vec<String> {
        let found = ambient.runtime_candidates().into_iter();
        found.filter(|c| c.origin != Origin::UserTemp).map(|c| c.path.display().to_string()).collect()
    }

    #[test]
    fn candidates_come_in_the_documented_order() {
        let all = ambient(&[("XDG_RUNTIME_DIR", "/x"), ("VISOR_RUNTIME_DIR", "/v")]);
        assert_eq!(paths(&all), ["/v", "/x/visor", "/run/user/1000/visor", "/tmp/visor-1000"]);
        let origins: Vec<Origin> = all.runtime_candidates().iter().map(|c| c.origin).collect();
        assert!(origins.is_sorted());
        for odd in ["", "relative/dir"] {
            let none = ambient(&[("XDG_RUNTIME_DIR", odd), ("VISOR_RUNTIME_DIR", odd)]);
            assert_eq!(paths(&none), ["/run/user/1000/visor", "/tmp/visor-1000"], "{odd:?}");
        }
    }

    #[test]
    fn the_home_is_the_users_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = dir.path().to_str().expect("text");
        let uid = super::super::identity::uid();
        let me = |value| Ambient { uid, ..ambient(&[("HOME", value)]) };
        assert_eq!(me(own).home(), Some(own.into()));
        assert_eq!(me("/not/there").home(), Some("/not/there".into()), "it may be made yet");
        for odd in ["", "relative"] {
            assert_eq!(me(odd).home(), Some("/home/me".into()), "{odd:?}");
        }
        if uid != 61_997 && uid != 0 {
            return;
        }
        std::os::unix::fs::chown(dir.path(), Some(61_997), None).expect("root changes owners");
        assert_eq!(me(own).home(), Some("/home/me".into()), "su kept the home of another user");
    }

    #[test]
    fn a_user_namespace_does_not_hide_who_we_are() {
        for (map, uid, outer) in [
            ("         0          0 4294967295\n", 1000, 1000),
            ("0 1000 1\n", 0, 1000),
            ("0 1000 1\n1 100000 65536\n", 5, 100_004),
            ("0 1000 1\n", 65_534, 65_534),
            ("", 7, 7),
            ("rubbish\n0 x 1\n", 0, 0),
        ] {
            assert_eq!(outer_uid(map, uid), outer, "{map:?}");
        }
        let inside = Ambient { uid: 0, ..ambient(&[]) };
        assert_eq!(paths(&inside), ["/run/user/1000/visor", "/tmp/visor-1000"]);
    }

    #[test]
    fn roots_follow_the_xdg_rules() {
        let plain = ambient(&[]);
        assert_eq!(plain.config_root(), Some("/home/me/.config/visor".into()));
        assert_eq!(plain.state_roots(), [PathBuf::from("/home/me/.local/state/visor")]);
        let set = ambient(&[("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "/s"), ("VISOR_STATE_DIR", "/v")]);
        assert_eq!(set.config_root(), Some("/c/visor".into()));
        assert_eq!(set.state_roots()[..2], [PathBuf::from("/v"), "/s/visor".into()]);
        let nobody = Ambient { account_home: None, ..ambient(&[("XDG_CONFIG_HOME", "c")]) };
        assert_eq!((nobody.config_root(), nobody.state_roots()), (None, Vec::new()));
    }

    #[test]
    fn hosts_that_share_a_home_have_keys_of_their_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let host = |name: &str, id: Option<&str>| {
            let root = dir.path().join(format!("{name}{}", id.unwrap_or_default()));
            std::fs::create_dir_all(root.join("etc")).expect("a directory");
            if let Some(id) = id {
                std::fs::write(root.join("etc/machine-id"), format!("{id}\n")).expect("a file");
            }
            Ambient { node_name: name.to_owned(), root, ..Ambient::default() }.host_key()
        };
        let keys = [host("a", Some("1")), host("a", Some("2")), host("b", Some("1")), host("b", None)];
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{keys:?}");
        assert!(keys[0].starts_with("a-"));
        let odd = Ambient { node_name: "../x ".repeat(90), ..Ambient::default() }.host_key();
        assert!(!odd.contains(['/', '.', ' ']) && odd.len() <= NODE_NAME_MAX + 9, "{odd}");
    }
}
