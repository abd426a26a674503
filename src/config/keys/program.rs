//! Rows of `[program:x]`, which `[eventlistener:x]` and `[fcgi-program:x]` have too.
//!
//! `ROWS` sets a [`ProgramDraft`]; the per-process rows are applied again for each of its processes.

use super::{Reload, Row, Scope, own_row, row};
use crate::config::diagnostic::quoted;
use crate::config::path;
use crate::config::value::{self, Converted, LogSetting, Value, boolean, byte_size, integer, octal};
use crate::model::spec::{AutoRestart, EnvFile, Essential, LogTarget, Place, ProcessSpec, StreamSpec};

/// A program-like section while it is being read.
#[derive(Clone)]
pub struct ProgramDraft {
    /// What every process of it will look like.
    pub process: ProcessSpec,
    /// Whether `command` was given.
    pub has_command: bool,
    /// The name of a process, not expanded.
    pub process_name: String,
    /// How many processes.
    pub numprocs: i64,
    /// `process_num` of the first.
    pub numprocs_start: i64,
    /// The program's own environment, not expanded.
    pub environment: String,
    /// Whether `stdout_logfile`, `stderr_logfile` is the deprecated word `syslog`.
    pub syslog_words: [bool; 2],
}

impl ProgramDraft {
    /// Returns supervisord's defaults for a program of `group`.
    #[must_use]
    pub fn new(group: &str, place: Place) -> ProgramDraft {
        let process = ProcessSpec::new(group, "", "", place);
        ProgramDraft {
            process,
            has_command: false,
            process_name: "%(program_name)s".to_owned(),
            numprocs: 1,
            numprocs_start: 0,
            environment: String::new(),
            syslog_words: [false; 2],
        }
    }
}

fn autorestart(text: &str) -> Converted<AutoRestart> {
    match boolean(text) {
        Ok(true) => Ok(AutoRestart::True),
        Ok(false) => Ok(AutoRestart::False),
        Err(_) if text.eq_ignore_ascii_case("unexpected") => Ok(AutoRestart::Unexpected),
        Err(error) => Err(format!("{error} (nor `unexpected`)")),
    }
}

/// Sets a log target and returns whether it is the deprecated word `syslog`.
fn set_log(stream: &mut StreamSpec, v: Value<'_>) -> Converted<bool> {
    let setting = v.log_setting()?;
    let is_syslog = setting == LogSetting::Syslog;
    stream.logfile = match setting {
        LogSetting::Target(target) => target,
        LogSetting::Syslog => LogTarget::None,
    };
    Ok(is_syslog)
}

/// Reads the names of files, one a line or with commas between; a dash before one allows it to be missing.
fn env_files(v: Value<'_>) -> Converted<Vec<EnvFile>> {
    let file = |word: &str| {
        let (optional, name) = word.strip_prefix('-').map_or((false, word), |name| (true, name));
        if name.is_empty() {
            return Err("a dash without a file behind it".to_owned());
        }
        Ok(EnvFile { path: path::expand_user(name, v.host).into(), optional })
    };
    list(v.text).map(file).collect()
}

/// Reads names of variables, in which `*`, `?` and `[...]` stand for letters.
fn variable_names(text: &str) -> Converted<Vec<String>> {
    let name = |word: &str| match word.contains('=') || word.contains(char::is_whitespace) {
        true => Err(format!("{} is no variable's name (say NAME, or NAME*; commas between)", quoted(word))),
        false => Ok(word.to_owned()),
    };
    list(text).map(name).collect()
}

fn words(text: &str) -> Vec<String> {
    list(text).map(str::to_owned).collect()
}

/// Splits at commas and line ends.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty())
}

const LIVE: Reload = Reload::Live;
const RESTART: Reload = Reload::Restart;

/// The keys of a program.
pub static ROWS: [Row<ProgramDraft>; 46] = [
    row("command", Scope::Instance, RESTART, "program and arguments, required", |d, v| {
        d.has_command = true;
        d.process.command = v.text.to_owned();
        Ok(())
    }),
    row("process_name", Scope::Raw, RESTART, "name of each process", |d, v| {
        d.process_name = value::name(v.text)?.to_owned();
        Ok(())
    }),
    row("numprocs", Scope::Section, RESTART, "how many processes", |d, v| {
        d.numprocs = integer(v.text)?;
        Ok(())
    }),
    row("numprocs_start", Scope::Section, RESTART, "number of the first process", |d, v| {
        d.numprocs_start = integer(v.text)?;
        Ok(())
    }),
    row("priority", Scope::Section, LIVE, "lower starts earlier and stops later", |d, v| {
        d.process.priority = integer(v.text)?;
        Ok(())
    }),
    row("autostart", Scope::Section, LIVE, "start with the daemon", |d, v| {
        d.process.autostart = boolean(v.text)?;
        Ok(())
    }),
    row("autorestart", Scope::Section, LIVE, "start again after an exit: yes, no or unexpected", |d, v| {
        d.process.autorestart = autorestart(v.text)?;
        Ok(())
    }),
    row("startsecs", Scope::Section, LIVE, "seconds it must stay up to count as running", |d, v| {
        d.process.startsecs = integer(v.text)?;
        Ok(())
    }),
    row("startretries", Scope::Section, LIVE, "failed starts in a row before it is given up", |d, v| {
        d.process.startretries = integer(v.text)?;
        Ok(())
    }),
    row("exitcodes", Scope::Section, LIVE, "exit codes that are expected", |d, v| {
        d.process.exitcodes = value::exit_codes(v.text)?;
        Ok(())
    }),
    row("stopsignal", Scope::Section, LIVE, "signal that asks it to stop", |d, v| {
        d.process.stopsignal = value::signal(v.text)?;
        Ok(())
    }),
    row("stopwaitsecs", Scope::Section, LIVE, "seconds between the stop signal and SIGKILL", |d, v| {
        d.process.stopwaitsecs = integer(v.text)?;
        Ok(())
    }),
    row("stopasgroup", Scope::Section, LIVE, "send the stop signal to its process group", |d, v| {
        d.process.stopasgroup = Some(boolean(v.text)?);
        Ok(())
    }),
    row("killasgroup", Scope::Section, LIVE, "send SIGKILL to its process group", |d, v| {
        d.process.killasgroup = Some(boolean(v.text)?);
        Ok(())
    }),
    row("user", Scope::Section, RESTART, "user it runs as", |d, v| {
        d.process.user = Some(v.user()?);
        Ok(())
    }),
    row("umask", Scope::Section, RESTART, "file creation mask", |d, v| {
        d.process.umask = Some(octal(v.text)?);
        Ok(())
    }),
    row("directory", Scope::Instance, RESTART, "working directory", |d, v| {
        d.process.directory = Some(v.text.into());
        Ok(())
    }),
    row("environment", Scope::Raw, RESTART, "its own variables", |d, v| {
        d.environment = v.text.to_owned();
        Ok(())
    }),
    row("serverurl", Scope::Section, RESTART, "SUPERVISOR_SERVER_URL for it, or AUTO", |d, v| {
        let auto = v.text.trim().eq_ignore_ascii_case("auto");
        d.process.serverurl = (!auto).then(|| v.text.to_owned());
        Ok(())
    }),
    row("redirect_stderr", Scope::Section, RESTART, "send its stderr where its stdout goes", |d, v| {
        d.process.redirect_stderr = boolean(v.text)?;
        Ok(())
    }),
    row(
        "stdout_logfile",
        Scope::InstanceTwice,
        RESTART,
        "log of its stdout: a path, AUTO or NONE",
        |d, v| {
            d.syslog_words[0] = set_log(&mut d.process.stdout, v)?;
            Ok(())
        },
    ),
    row(
        "stderr_logfile",
        Scope::InstanceTwice,
        RESTART,
        "log of its stderr: a path, AUTO or NONE",
        |d, v| {
            d.syslog_words[1] = set_log(&mut d.process.stderr, v)?;
            Ok(())
        },
    ),
    row("stdout_logfile_maxbytes", Scope::Instance, LIVE, "size at which it is rotated; 0 never", |d, v| {
        d.process.stdout.maxbytes = byte_size(v.text)?;
        Ok(())
    }),
    row("stderr_logfile_maxbytes", Scope::Instance, LIVE, "size at which it is rotated; 0 never", |d, v| {
        d.process.stderr.maxbytes = byte_size(v.text)?;
        Ok(())
    }),
    row("stdout_logfile_backups", Scope::Instance, LIVE, "rotated files that are kept", |d, v| {
        d.process.stdout.backups = integer(v.text)?;
        Ok(())
    }),
    row("stderr_logfile_backups", Scope::Instance, LIVE, "rotated files that are kept", |d, v| {
        d.process.stderr.backups = integer(v.text)?;
        Ok(())
    }),
    row(
        "stdout_capture_maxbytes",
        Scope::Section,
        RESTART,
        "size of the capture buffer; 0 is off",
        |d, v| {
            d.process.stdout.capture_maxbytes = byte_size(v.text)?;
            Ok(())
        },
    ),
    row(
        "stderr_capture_maxbytes",
        Scope::Section,
        RESTART,
        "size of the capture buffer; 0 is off",
        |d, v| {
            d.process.stderr.capture_maxbytes = byte_size(v.text)?;
            Ok(())
        },
    ),
    row("stdout_events_enabled", Scope::Section, LIVE, "send PROCESS_LOG_STDOUT events", |d, v| {
        d.process.stdout.events_enabled = boolean(v.text)?;
        Ok(())
    }),
    row("stderr_events_enabled", Scope::Section, LIVE, "send PROCESS_LOG_STDERR events", |d, v| {
        d.process.stderr.events_enabled = boolean(v.text)?;
        Ok(())
    }),
    row("stdout_syslog", Scope::Instance, LIVE, "send its stdout to the system log too", |d, v| {
        d.process.stdout.syslog = boolean(v.text)?;
        Ok(())
    }),
    own_row("essential", Scope::Section, LIVE, "what ends with it: daemon or group", |d, v| {
        d.process.essential = match v.text.to_lowercase().as_str() {
            "" => None,
            "daemon" => Some(Essential::Daemon),
            "group" => Some(Essential::Group),
            _ => return Err(format!("{} is neither daemon nor group", quoted(v.text))),
        };
        Ok(())
    }),
    own_row(
        "condition_host",
        Scope::Section,
        RESTART,
        "hosts on which it runs, !HOST where it does not",
        |d, v| {
            d.process.condition_host = words(v.text);
            Ok(())
        },
    ),
    own_row("condition_os", Scope::Section, RESTART, "systems on which it runs: linux, macos", |d, v| {
        d.process.condition_os = words(v.text);
        Ok(())
    }),
    own_row(
        "condition_arch",
        Scope::Section,
        RESTART,
        "processors on which it runs: x86_64, aarch64",
        |d, v| {
            d.process.condition_arch = words(v.text);
            Ok(())
        },
    ),
    own_row(
        "condition_path",
        Scope::Section,
        RESTART,
        "paths that must exist, !PATH that must not",
        |d, v| {
            d.process.condition_path = words(v.text);
            Ok(())
        },
    ),
    own_row(
        "condition_env",
        Scope::Section,
        RESTART,
        "variables that must be set: NAME, NAME=VALUE, !NAME",
        |d, v| {
            d.process.condition_env = words(v.text);
            Ok(())
        },
    ),
    own_row("condition_command", Scope::Section, RESTART, "line for a shell that must end well", |d, v| {
        d.process.condition_command = (!v.text.trim().is_empty()).then(|| v.text.to_owned());
        Ok(())
    }),
    own_row(
        "env_file",
        Scope::Instance,
        RESTART,
        "files with variables, -FILE if it may be missing",
        |d, v| {
            d.process.env_file = env_files(v)?;
            Ok(())
        },
    ),
    own_row(
        "envfiles",
        Scope::Instance,
        RESTART,
        "the same as supervisord's Go port says it: files that may be missing",
        |d, v| {
            let files = env_files(v)?.into_iter();
            d.process.env_file = files.map(|file| EnvFile { optional: true, ..file }).collect();
            Ok(())
        },
    ),
    own_row(
        "env_pass",
        Scope::Section,
        RESTART,
        "variables from outside that it gets all the same",
        |d, v| {
            d.process.env_pass = variable_names(v.text)?;
            Ok(())
        },
    ),
    own_row("env_unset", Scope::Section, RESTART, "variables that it does not get", |d, v| {
        d.process.env_unset = variable_names(v.text)?;
        Ok(())
    }),
    own_row("env_clear", Scope::Section, RESTART, "begin with no variables from outside", |d, v| {
        d.process.env_clear = boolean(v.text)?;
        Ok(())
    }),
    own_row(
        "env_login",
        Scope::Section,
        RESTART,
        "begin with the variables of a login: yes or no",
        |d, v| {
            d.process.env_login = Some(boolean(v.text)?);
            Ok(())
        },
    ),
    own_row(
        "restart_on_change",
        Scope::Section,
        LIVE,
        "restart it when its configuration changes",
        |d, v| {
            d.process.restart_on_change = boolean(v.text)?;
            Ok(())
        },
    ),
    row("stderr_syslog", Scope::Instance, LIVE, "send its stderr to the system log too", |d, v| {
        d.process.stderr.syslog = boolean(v.text)?;
        Ok(())
    }),
];
