//! The real machine with the environment that the oracle is given.

use crate::oracle::ENVIRONMENT;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use visor::model::Host;
use visor::model::host::{Account, Ownership};
use visor::sys::host::RealHost;

/// The machine.
pub(crate) struct Clean;

impl Host for Clean {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealHost.read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        RealHost.list(directory)
    }

    fn ownership(&self, path: &Path) -> io::Result<Ownership> {
        RealHost.ownership(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        RealHost.canonical(path)
    }

    fn account(&self, name: &str) -> Option<Account> {
        RealHost.account(name)
    }

    fn group(&self, name: &str) -> Option<u32> {
        RealHost.group(name)
    }

    fn uid(&self) -> u32 {
        RealHost.uid()
    }

    fn node_name(&self) -> String {
        RealHost.node_name()
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        RealHost.current_dir()
    }

    fn environment(&self) -> Vec<(String, String)> {
        ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    fn temp_dir(&self) -> PathBuf {
        "/tmp".into()
    }
}
