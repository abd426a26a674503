//! Rows of `[supervisord]` and `[include]`.
//!
//! The same rows set what the command line gives: `--loglevel debug` is the row `loglevel`.

use super::{Reload, Row, Scope, row};
use crate::config::path;
use crate::config::value::{boolean, byte_size, integer, level, octal};
use crate::model::spec::{DaemonSpec, MainLog};
use crate::model::{Host, Level};
use std::path::PathBuf;

/// `[supervisord]` while it is being read: some keys have their meaning only when all are known.
pub struct DaemonDraft {
    /// What is read so far.
    pub spec: DaemonSpec,
    /// The user as written.
    pub user: Option<String>,
    /// The environment as written.
    pub environment: String,
}

impl DaemonDraft {
    /// Returns supervisord's defaults on this machine.
    #[must_use]
    pub fn new(host: &dyn Host) -> DaemonDraft {
        let spec = DaemonSpec {
            logfile: MainLog::File("supervisord.log".into()),
            logfile_maxbytes: 50 << 20,
            logfile_backups: 10,
            loglevel: Level::Info,
            pidfile: "supervisord.pid".into(),
            umask: 0o22,
            nodaemon: false,
            silent: false,
            minfds: 1024,
            minprocs: 200,
            nocleanup: false,
            childlogdir: host.temp_dir(),
            user: None,
            directory: None,
            strip_ansi: false,
            private_files: false,
            environment: Vec::new(),
            identifier: "supervisor".to_owned(),
            serverurl: None,
            delegates: Vec::new(),
        };
        DaemonDraft { spec, user: None, environment: String::new() }
    }

    /// Makes the paths absolute, once every source of values has been read.
    pub fn settle_paths(&mut self, host: &dyn Host) {
        if let MainLog::File(file) = &mut self.spec.logfile {
            *file = path::absolute(file, host);
        }
        self.spec.pidfile = path::absolute(&self.spec.pidfile, host);
    }
}

/// The word that means the system log; any other spelling is a file.
const SYSLOG: &str = "syslog";

const DAEMON: Reload = Reload::Daemon;
const LIVE: Reload = Reload::Live;

/// The keys of `[supervisord]`.
pub static ROWS: [Row<DaemonDraft>; 17] = [
    row("logfile", Scope::Here, DAEMON, "path of the activity log, or syslog", |d, v| {
        let path = v.path_in_directory()?;
        d.spec.logfile = if path.as_os_str() == SYSLOG { MainLog::Syslog } else { MainLog::File(path) };
        Ok(())
    }),
    row(
        "logfile_maxbytes",
        Scope::Here,
        DAEMON,
        "size at which the activity log is rotated; 0 never",
        |d, v| {
            d.spec.logfile_maxbytes = byte_size(v.text)?;
            Ok(())
        },
    ),
    row("logfile_backups", Scope::Here, DAEMON, "rotated activity logs that are kept", |d, v| {
        d.spec.logfile_backups = integer(v.text)?;
        Ok(())
    }),
    row("loglevel", Scope::Here, LIVE, "least level that is logged", |d, v| {
        d.spec.loglevel = level(v.text)?;
        Ok(())
    }),
    row("pidfile", Scope::Here, DAEMON, "path of the file with the daemon's pid", |d, v| {
        d.spec.pidfile = v.path_in_directory()?;
        Ok(())
    }),
    row("umask", Scope::Here, DAEMON, "file creation mask, applied when daemonizing", |d, v| {
        d.spec.umask = octal(v.text)?;
        Ok(())
    }),
    row("nodaemon", Scope::Here, DAEMON, "stay in the foreground", |d, v| {
        d.spec.nodaemon = boolean(v.text)?;
        Ok(())
    }),
    row("silent", Scope::Here, DAEMON, "with nodaemon: do not echo the activity log", |d, v| {
        d.spec.silent = boolean(v.text)?;
        Ok(())
    }),
    row("minfds", Scope::Here, DAEMON, "least number of open files the daemon needs", |d, v| {
        d.spec.minfds = integer(v.text)?;
        Ok(())
    }),
    row("minprocs", Scope::Here, DAEMON, "least number of processes the daemon needs", |d, v| {
        d.spec.minprocs = integer(v.text)?;
        Ok(())
    }),
    row("nocleanup", Scope::Here, DAEMON, "keep old AUTO logs at start", |d, v| {
        d.spec.nocleanup = boolean(v.text)?;
        Ok(())
    }),
    row("childlogdir", Scope::Here, DAEMON, "directory of AUTO logs", |d, v| {
        d.spec.childlogdir = v.existing_directory()?;
        Ok(())
    }),
    row("user", Scope::Here, DAEMON, "user to become at start, when root", |d, v| {
        d.user = Some(v.text.to_owned());
        Ok(())
    }),
    row("directory", Scope::Here, DAEMON, "directory to change to when daemonizing", |d, v| {
        d.spec.directory = Some(v.existing_directory()?);
        Ok(())
    }),
    row("strip_ansi", Scope::Here, DAEMON, "remove ANSI escape sequences from child logs", |d, v| {
        d.spec.strip_ansi = boolean(v.text)?;
        Ok(())
    }),
    row("environment", Scope::Here, Reload::Restart, "variables for every program", |d, v| {
        d.environment = v.text.to_owned();
        Ok(())
    }),
    row("identifier", Scope::Here, DAEMON, "name of this daemon in events and AUTO logs", |d, v| {
        d.spec.identifier = v.text.to_owned();
        Ok(())
    }),
];

/// The key of `[include]`; it is read by a rule of its own, before everything else.
pub static INCLUDE_ROWS: [Row<PathBuf>; 1] =
    [row("files", Scope::Raw, DAEMON, "patterns of files to read as well", |_, _| Ok(()))];
