//! What the configuration asks of the machine it is read on.
//!
//! `config` never touches the system itself: it is given a [`Host`], which `sys` implements for the real
//! machine and tests implement for an imagined one.

use std::io;
use std::path::{Path, PathBuf};

/// Largest configuration file in bytes: 50 times a real fleet of 1,000 programs, and no read without end.
pub const FILE_SIZE_MAX: usize = 16 * 1024 * 1024;

/// Who owns a file, and who may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The owner's user id.
    pub uid: u32,
    /// Permission bits with the file type masked off; 0o1777 for a sticky directory.
    pub mode: u32,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// An account of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
}

/// The machine as the configuration needs to see it.
pub trait Host {
    /// Reads a whole file.
    ///
    /// # Errors
    /// As open(2) and read(2); files beyond [`FILE_SIZE_MAX`] fail as well.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Returns the names in a directory, in no order.
    ///
    /// # Errors
    /// As opendir(3).
    fn list(&self, directory: &Path) -> io::Result<Vec<std::ffi::OsString>>;
    /// Returns owner and permissions of what `path` leads to, symbolic links followed.
    ///
    /// # Errors
    /// As stat(2).
    fn ownership(&self, path: &Path) -> io::Result<Ownership>;
    /// Returns `path` absolute and with all symbolic links followed. The imagined machines of most tests have
    /// no links, so there it is the path itself.
    ///
    /// # Errors
    /// As realpath(3).
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }
    /// Returns the account called `name`, or with that number when `name` is all digits.
    fn account(&self, name: &str) -> Option<Account>;
    /// Returns the id of the group called `name`, or with that number when `name` is all digits.
    fn group(&self, name: &str) -> Option<u32>;
    /// Returns the effective user id of this process.
    fn uid(&self) -> u32;
    /// Returns the name of the machine, as uname(2) gives it.
    fn node_name(&self) -> String;
    /// Returns the current directory.
    ///
    /// # Errors
    /// As getcwd(3).
    fn current_dir(&self) -> io::Result<PathBuf>;
    /// Returns the environment variables that are valid UTF-8.
    fn environment(&self) -> Vec<(String, String)>;
    /// Returns the first usable directory for temporary files, in the order that supervisord tries them:
    /// `TMPDIR`, `TEMP`, `TMP`, `/tmp`, `/var/tmp`, `/usr/tmp`, the current directory.
    fn temp_dir(&self) -> PathBuf;
}
