//! A configuration of two files, the second one included by the first: nothing panics, an error and usable settings
//! exclude each other, every place exists, and the same text means the same twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use visor::config::{self, LoadRequest};
use visor::model::host::{Account, Host, Ownership};

/// Parts the input into the two files.
const SEPARATOR: u8 = 0xff;

/// Where the files are.
const DIRECTORY: &str = "/etc/v";

/// A machine on which there is nothing but the two files.
struct Machine<'a> {
    main: &'a [u8],
    included: &'a [u8],
}

impl Host for Machine<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.strip_prefix(DIRECTORY).ok().and_then(Path::to_str) {
            Some("main.conf") => Ok(self.main.to_vec()),
            Some("included.conf") => Ok(self.included.to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        if directory != Path::new(DIRECTORY) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(vec!["main.conf".into(), "included.conf".into()])
    }

    fn ownership(&self, path: &Path) -> io::Result<Ownership> {
        let is_dir = path.extension().is_none();
        Ok(Ownership { uid: 1, mode: if is_dir { 0o755 } else { 0o644 }, is_dir })
    }

    fn account(&self, name: &str) -> Option<Account> {
        (name == "me").then(|| Account { name: name.to_owned(), uid: 1, gid: 1, home: "/home/me".into() })
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "us").then_some(1)
    }

    fn uid(&self) -> u32 {
        1
    }

    fn node_name(&self) -> String {
        "machine".to_owned()
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        Ok(DIRECTORY.into())
    }

    fn environment(&self) -> Vec<(String, String)> {
        vec![("HOME".to_owned(), "/home/me".to_owned()), ("X".to_owned(), "%y;z".to_owned())]
    }

    fn temp_dir(&self) -> PathBuf {
        "/tmp".into()
    }
}

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == SEPARATOR).unwrap_or(data.len());
    let (main, included) = data.split_at(at);
    let machine = Machine { main, included: included.get(1..).unwrap_or_default() };
    let request = LoadRequest::of(format!("{DIRECTORY}/main.conf"));
    let loaded = config::load(&request, &machine);
    assert_eq!(loaded.settings.is_none(), loaded.errors().next().is_some(), "{:?}", loaded.diagnostics);
    for diagnostic in &loaded.diagnostics {
        let text = if diagnostic.place.file.ends_with("included.conf") { machine.included } else { main };
        let lines = text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
        assert!(diagnostic.place.line as usize <= lines, "{diagnostic:?} of {lines} lines");
    }
    let again = config::load(&request, &machine);
    assert_eq!(loaded.settings, again.settings);
    assert_eq!(loaded.diagnostics, again.diagnostics);
});
