//! Where a daemon's control socket may be.
//!
//! Only names paths; [`super::find`] tries them. Example: without `XDG_RUNTIME_DIR`, the default instance of user
//! 1000 is looked for at `/run/user/1000/visor/default.sock` and `/tmp/visor-1000/default.sock`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// The instance that is not bound to a configuration file.
pub const DEFAULT: &str = "default";

/// Most bytes of the file that records the private directory; a path is shorter.
const RECORD_BYTES_MAX: usize = 8 * 1024;

/// Name of that file in the state directory.
pub const PRIVATE_RECORD: &str = "runtime-dir";

/// What decides where things are.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Our user id.
    pub uid: u32,
    /// The environment.
    pub variables: Vec<(OsString, OsString)>,
}

impl Surroundings {
    /// Returns those of this process.
    #[must_use]
    pub fn real() -> Surroundings {
        Surroundings { uid: crate::sys::identity::uid(), variables: std::env::vars_os().collect() }
    }

    fn get(&self, name: &str) -> Option<&OsStr> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str()).filter(|value| !value.is_empty())
    }

    /// Returns a variable that holds an absolute path; others are ignored, as the XDG rules ask.
    fn directory(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Returns `$XDG_CONFIG_HOME/visor`, else `~/.config/visor`.
    #[must_use]
    pub fn config_dir(&self) -> Option<PathBuf> {
        let base =
            self.directory("XDG_CONFIG_HOME").or_else(|| Some(self.directory("HOME")?.join(".config")))?;
        Some(base.join("visor"))
    }

    /// Returns the directory for what outlives the daemon.
    #[must_use]
    pub fn state_dir(&self) -> Option<PathBuf> {
        let xdg = || self.directory("XDG_STATE_HOME").map(|base| base.join("visor"));
        let home = || self.directory("HOME").map(|home| home.join(".local/state/visor"));
        self.directory("VISOR_STATE_DIR").or_else(xdg).or_else(home)
    }
}

/// Returns the sockets at which a daemon of `instance` may listen, best first, each once.
#[must_use]
pub fn candidates(instance: &str, surroundings: &Surroundings) -> Vec<PathBuf> {
    let of_uid = format!("visor-{}", surroundings.uid);
    let mut directories = vec![
        surroundings.directory("VISOR_RUNTIME_DIR"),
        surroundings.directory("XDG_RUNTIME_DIR").map(|dir| dir.join("visor")),
        Some(PathBuf::from(format!("/run/user/{}/visor", surroundings.uid))),
        Some(Path::new("/tmp").join(of_uid)),
    ];
    directories.push(recorded(surroundings));
    let mut sockets: Vec<PathBuf> = Vec::new();
    for directory in directories.into_iter().flatten() {
        let socket = directory.join(format!("{instance}.sock"));
        if !sockets.contains(&socket) {
            sockets.push(socket);
        }
    }
    sockets
}

/// Returns the private directory that a daemon made because every other was squatted.
fn recorded(surroundings: &Surroundings) -> Option<PathBuf> {
    let record = std::fs::read_to_string(surroundings.state_dir()?.join(PRIVATE_RECORD)).ok()?;
    let line = record.lines().next().filter(|line| line.len() <= RECORD_BYTES_MAX)?;
    Some(PathBuf::from(line)).filter(|path| path.is_absolute())
}

/// Returns the instance of a configuration file: a hash of its canonical path.
///
/// # Errors
/// As realpath(3): the file must be there.
pub fn instance_of(file: &Path) -> io::Result<String> {
    let canonical = file.canonicalize()?;
    Ok(format!("{:016x}", fnv1a(canonical.as_os_str().as_encoded_bytes())))
}

/// FNV-1a, 64 bits: a stable name, not a secret.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Surroundings { uid: 1000, variables }
    }

    fn texts(paths: &[PathBuf]) -> Vec<String> {
        paths.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn every_place_is_looked_at_once_in_order() {
        let bare = candidates(DEFAULT, &surroundings(&[]));
        assert_eq!(texts(&bare), ["/run/user/1000/visor/default.sock", "/tmp/visor-1000/default.sock"]);
        let all = [("VISOR_RUNTIME_DIR", "/v"), ("XDG_RUNTIME_DIR", "/x")];
        assert_eq!(texts(&candidates("a", &surroundings(&all)))[..2], ["/v/a.sock", "/x/visor/a.sock"]);
        let same = candidates(DEFAULT, &surroundings(&[("XDG_RUNTIME_DIR", "/run/user/1000")]));
        assert_eq!(same, bare);
        let odd =
            candidates(DEFAULT, &surroundings(&[("XDG_RUNTIME_DIR", "relative"), ("VISOR_RUNTIME_DIR", "")]));
        assert_eq!(odd, bare);
    }

    #[test]
    fn the_recorded_private_directory_comes_last() -> io::Result<()> {
        let state = tempfile::tempdir()?;
        let path = state.path().display().to_string();
        std::fs::write(state.path().join(PRIVATE_RECORD), "/tmp/visor-1000-abc\n")?;
        let found = candidates(DEFAULT, &surroundings(&[("VISOR_STATE_DIR", &path)]));
        assert_eq!(texts(&found).last().map(String::as_str), Some("/tmp/visor-1000-abc/default.sock"));
        Ok(())
    }

    #[test]
    fn an_instance_is_known_by_where_its_file_really_is() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (file, link) = (dir.path().join("a.conf"), dir.path().join("b.conf"));
        std::fs::write(&file, "")?;
        std::os::unix::fs::symlink(&file, &link)?;
        assert_eq!(instance_of(&file)?, instance_of(&link)?);
        assert_eq!(instance_of(&file)?.len(), 16);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert!(instance_of(&dir.path().join("missing")).is_err());
        Ok(())
    }
}
