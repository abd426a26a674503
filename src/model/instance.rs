//! Which daemon is meant: the user's own, or the one of a configuration file.
//!
//! An instance names the files by which a daemon is found, `INSTANCE.sock` and `INSTANCE.lock`. Must not know in
//! which directories they are. Example: `Instance::Default.socket_name()` is `default.sock`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// Most bytes of a lock's note that are believed to be one: far above every real one.
pub const NOTE_MAX_BYTES: usize = 64 * 1024;

/// The daemon of a user, or of a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Instance {
    /// The one daemon of this user, with the XDG layout.
    #[default]
    Default,
    /// The daemon of one file (`visord -c FILE`), by the hash of the file's canonical path.
    Classic(u64),
}

impl Instance {
    /// Returns the instance of the configuration at `canonical`, a path with all links followed.
    #[must_use]
    pub fn classic(canonical: &Path) -> Instance {
        Instance::Classic(fnv1a(canonical.as_os_str().as_encoded_bytes()))
    }

    /// Returns the instance that `text` names, as [`fmt::Display`] wrote it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Instance> {
        if text == DEFAULT {
            return Some(Instance::Default);
        }
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_hash = text.len() == HASH_DIGITS && text.bytes().all(digits);
        is_hash.then(|| u64::from_str_radix(text, 16).ok().map(Instance::Classic)).flatten()
    }

    /// Returns the name of the control socket, without a directory.
    #[must_use]
    pub fn socket_name(&self) -> String {
        format!("{self}.sock")
    }

    /// Returns the name of the lock, without a directory.
    #[must_use]
    pub fn lock_name(&self) -> String {
        format!("{self}.lock")
    }
}

const DEFAULT: &str = "default";

/// Digits of a hash of 64 bits.
const HASH_DIGITS: usize = 16;

/// Writes the stem of the file names: `default`, or 16 hexadecimal digits.
impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Instance::Default => f.write_str(DEFAULT),
            Instance::Classic(hash) => write!(f, "{hash:016x}"),
        }
    }
}

/// Returns a stable number for a name: FNV-1a, 64 bits. Not for secrets.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What the holder of a lock wrote into it: a hint where to find it, believed by nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockNote {
    /// The keeper's process id as that process sees it; 0 when unknown.
    pub pid: i32,
    /// The directory, or in classic mode the file, that the configuration comes from.
    pub config: PathBuf,
    /// Which of the machines that share a home it is on.
    pub host: String,
    /// Whether it is still looking whether it may be the daemon.
    pub claiming: bool,
    /// Control sockets, best first.
    pub sockets: Vec<PathBuf>,
}

/// The last line of a note.
const END: &str = "end\n";

impl LockNote {
    /// Returns the note as the text of a file. Paths that a line cannot hold are left out.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("pid={}\nhost={}\n", self.pid, self.host.replace('\n', "_"));
        if self.claiming {
            text.push_str("claiming=1\n");
        }
        let named = std::iter::once(("config", &self.config));
        for (key, path) in named.chain(self.sockets.iter().map(|path| ("socket", path))) {
            if let Some(path) = path.to_str().filter(|path| !path.contains('\n')) {
                text.push_str(&format!("{key}={path}\n"));
            }
        }
        text.push_str(END);
        text
    }

    /// Whether a note was read to its end, and not while it was being written.
    #[must_use]
    pub fn is_whole(text: &str) -> bool {
        text.ends_with(END)
    }

    /// Reads a note. Nothing is an error: what cannot be read is not there.
    #[must_use]
    pub fn parse(text: &str) -> LockNote {
        let mut note = LockNote::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "pid" => note.pid = value.parse().unwrap_or(0),
                "host" => note.host = value.to_owned(),
                "claiming" => note.claiming = value == "1",
                "config" => note.config = value.into(),
                "socket" => note.sockets.push(value.into()),
                _ => {}
            }
        }
        note
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stem_is_default_or_sixteen_digits() {
        assert_eq!(Instance::Default.socket_name(), "default.sock");
        assert_eq!(Instance::Default.lock_name(), "default.lock");
        let classic = Instance::classic(Path::new("/etc/supervisord.conf"));
        assert_eq!(classic.to_string().len(), 16);
        assert_ne!(classic, Instance::classic(Path::new("/etc/supervisord.con")));
        assert_eq!(Instance::Classic(0xab).socket_name(), "00000000000000ab.sock");
    }

    #[test]
    fn the_hash_is_fnv1a() {
        // The vectors of the algorithm's authors.
        for (text, hash) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c)] {
            assert_eq!(fnv1a(text.as_bytes()), hash);
        }
    }

    #[test]
    fn a_name_is_read_back() {
        for instance in [Instance::Default, Instance::Classic(1), Instance::Classic(u64::MAX)] {
            assert_eq!(Instance::parse(&instance.to_string()), Some(instance));
        }
        for text in ["", "Default", "1", "00000000000000AB", "+0000000000000ab", "00000000000000abc"] {
            assert_eq!(Instance::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_note_is_read_back_and_rubbish_is_an_empty_one() {
        let note = LockNote {
            pid: 12,
            config: "/home/me/.config/visor".into(),
            host: "here-1".to_owned(),
            claiming: true,
            sockets: vec!["/run/user/1/visor/default.sock".into(), "/tmp/a=b/default.sock".into()],
        };
        let text = note.to_text();
        assert_eq!(LockNote::parse(&text), note);
        assert!(LockNote::is_whole(&text));
        assert!((0..text.len()).all(|cut| !LockNote::is_whole(&text[..cut])));
        assert_eq!(LockNote::parse("\0x\npid=many\nno=thing\n="), LockNote::default());
        let odd = LockNote { config: "/a\nsocket=/b".into(), ..note.clone() };
        assert_eq!(LockNote::parse(&odd.to_text()), LockNote { config: PathBuf::new(), ..note });
    }
}
