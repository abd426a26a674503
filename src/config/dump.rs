//! Effective settings as JSON, in the shape of the oracle that asks the real supervisord.
//!
//! `visorctl check --dump` prints it; a test compares it with the oracle over many files. Must not decide
//! anything: it shows what [`super::load()`] found, in upstream's words and units.

use super::load::Loaded;
use crate::model::spec::{
    AutoRestart, FcgiSocketSpec, GroupKind, GroupSpec, LogTarget, MainLog, ProcessSpec, RpcInterfaceSpec,
    ServerAddress, ServerSpec, Settings, StreamSpec,
};
use serde_json::{Value, json};
use std::path::Path;

/// Returns what a configuration came to; `file` is its name as the user gave it.
#[must_use]
pub fn dump(loaded: &Loaded, file: &Path) -> Value {
    let mut out = match &loaded.settings {
        Some(settings) => accepted(loaded, settings),
        None => rejected(loaded),
    };
    out["config"] = json!(file.to_string_lossy());
    out["ctl"] = json!(false);
    out
}

/// Upstream's exit code for a configuration that it refuses.
const EXIT_REFUSED: i32 = 2;

fn rejected(loaded: &Loaded) -> Value {
    let errors: Vec<String> = loaded.errors().map(|error| format!("Error: {error}\n")).collect();
    json!({ "ok": false, "exit": EXIT_REFUSED, "stderr": errors.concat(), "stdout": "" })
}

fn accepted(loaded: &Loaded, settings: &Settings) -> Value {
    json!({
        "ok": true,
        "exit": 0,
        "supervisord": daemon(settings),
        "servers": settings.servers.iter().map(server).collect::<Vec<_>>(),
        "rpcinterfaces": settings.rpc_interfaces.iter().map(rpc_interface).collect::<Vec<_>>(),
        "groups": loaded.defined.iter().map(group).collect::<Vec<_>>(),
        "active": active(&settings.fleet.groups),
        "criticals": loaded.criticals,
        "warnings": loaded.warnings,
        "infos": loaded.infos,
    })
}

fn octal(mode: u32) -> String {
    format!("{mode:o}")
}

fn variables(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}

/// An owner as upstream holds it: -1 leaves the id unchanged.
fn owner(owner: Option<(u32, Option<u32>)>) -> Value {
    match owner {
        None => json!([-1, -1]),
        Some((uid, None)) => json!([uid, -1]),
        Some((uid, Some(gid))) => json!([uid, gid]),
    }
}

fn daemon(settings: &Settings) -> Value {
    let spec = &settings.daemon;
    let logfile = match &spec.logfile {
        MainLog::File(file) => file.to_string_lossy().into_owned(),
        MainLog::Syslog => "syslog".to_owned(),
    };
    json!({
        "minfds": spec.minfds,
        "minprocs": spec.minprocs,
        "directory": spec.directory,
        "user": spec.user.as_ref().map(|user| &user.text),
        "uid": spec.user.as_ref().map(|user| user.uid),
        "gid": spec.user.as_ref().map(|user| user.gid),
        "umask": octal(spec.umask),
        "logfile": logfile,
        "logfile_maxbytes": spec.logfile_maxbytes,
        "logfile_backups": spec.logfile_backups,
        "loglevel": spec.loglevel as i32,
        "pidfile": spec.pidfile,
        "identifier": spec.identifier,
        "nodaemon": spec.nodaemon,
        "silent": spec.silent,
        "childlogdir": spec.childlogdir,
        "nocleanup": spec.nocleanup,
        "strip_ansi": spec.strip_ansi,
        "environment": variables(&spec.environment),
        "serverurl": spec.serverurl,
    })
}

fn server(server: &ServerSpec) -> Value {
    let mut out = json!({
        "name": server.section.split_once(':').map(|(_, name)| name),
        "section": server.section,
        "username": server.username,
        "password": server.password,
    });
    match &server.address {
        ServerAddress::Unix { file, chmod, chown } => {
            out["family"] = json!("unix");
            out["file"] = json!(file);
            out["chmod"] = json!(octal(*chmod));
            out["chown"] = owner(*chown);
        }
        ServerAddress::Inet { host, port } => {
            out["family"] = json!("inet");
            out["host"] = json!(host);
            out["port"] = json!(port);
        }
    }
    out
}

fn rpc_interface(interface: &RpcInterfaceSpec) -> Value {
    json!({ "name": interface.name, "factory": interface.factory, "extra": variables(&interface.extra) })
}

fn group(group: &GroupSpec) -> Value {
    let (class, process_class) = match group.kind {
        GroupKind::Program => ("ProcessGroupConfig", "ProcessConfig"),
        GroupKind::Listener { .. } => ("EventListenerPoolConfig", "EventListenerConfig"),
        GroupKind::Fcgi(_) => ("FastCGIGroupConfig", "FastCGIProcessConfig"),
    };
    let mut out = json!({
        "name": group.name,
        "priority": group.priority,
        "class": class,
        "processes": group.processes.iter().map(|one| process(one, process_class)).collect::<Vec<_>>(),
    });
    match &group.kind {
        GroupKind::Program => {}
        GroupKind::Listener { buffer_size, events, result_handler } => {
            out["buffer_size"] = json!(buffer_size);
            out["events"] = json!(events);
            out["result_handler"] = json!(result_handler);
        }
        GroupKind::Fcgi(socket) => out["socket"] = fcgi_socket(socket),
    }
    out
}

fn fcgi_socket(socket: &FcgiSocketSpec) -> Value {
    json!({
        "url": socket.url,
        "backlog": socket.backlog,
        "owner": socket.owner.map(|given| owner(Some(given))),
        "mode": socket.mode.map(octal),
    })
}

pub(super) fn process(process: &ProcessSpec, class: &str) -> Value {
    let stopasgroup = process.stopasgroup.unwrap_or(false);
    let mut out = json!({
        "class": class,
        "name": process.name,
        "uid": process.user.as_ref().map(|user| user.uid),
        "command": process.command,
        "directory": process.directory,
        "umask": process.umask.map(octal),
        "priority": process.priority,
        "autostart": process.autostart,
        "autorestart": match process.autorestart {
            AutoRestart::False => "false",
            AutoRestart::Unexpected => "unexpected",
            AutoRestart::True => "true",
        },
        "startsecs": process.startsecs,
        "startretries": process.startretries,
        "stopsignal": process.stopsignal.0,
        "stopsignal_name": process.stopsignal.name(),
        "stopwaitsecs": process.stopwaitsecs,
        "stopasgroup": stopasgroup,
        "killasgroup": process.killasgroup.unwrap_or(stopasgroup),
        "exitcodes": process.exitcodes,
        "redirect_stderr": process.redirect_stderr,
        "environment": variables(&process.environment),
        "serverurl": process.serverurl,
    });
    stream(&mut out, "stdout", &process.stdout);
    stream(&mut out, "stderr", &process.stderr);
    out
}

fn stream(out: &mut Value, channel: &str, spec: &StreamSpec) {
    out[format!("{channel}_logfile")] = match &spec.logfile {
        LogTarget::None => Value::Null,
        LogTarget::Auto(None) => json!("AUTO"),
        LogTarget::Auto(Some(path)) | LogTarget::File(path) => json!(path),
    };
    out[format!("{channel}_logfile_maxbytes")] = json!(spec.maxbytes);
    out[format!("{channel}_logfile_backups")] = json!(spec.backups);
    out[format!("{channel}_capture_maxbytes")] = json!(spec.capture_maxbytes);
    out[format!("{channel}_events_enabled")] = json!(spec.events_enabled);
    out[format!("{channel}_syslog")] = json!(spec.syslog);
}

/// The orders in which upstream starts, stops and lists what it holds.
fn active(groups: &[GroupSpec]) -> Value {
    let by_priority = |group: &GroupSpec| {
        let mut processes = group.processes.clone();
        processes.sort_by_key(|process| process.priority);
        processes
    };
    let autostart = groups.iter().flat_map(|group| &group.processes).filter(|process| process.autostart);
    let start_all = groups.iter().flat_map(by_priority);
    let shutdown = groups.iter().rev().map(|group| {
        let last_first = by_priority(group).into_iter().rev();
        last_first.map(|process| process.namespec()).collect::<Vec<_>>()
    });
    let mut listed: Vec<(&str, &str, String)> = Vec::new();
    for group in groups {
        let row = |process: &'_ ProcessSpec| process.namespec();
        listed.extend(group.processes.iter().map(|one| (group.name.as_str(), one.name.as_str(), row(one))));
    }
    listed.sort();
    json!({
        "autostart_order": autostart.map(|process| process.namespec()).collect::<Vec<_>>(),
        "start_all_order": start_all.map(|process| process.namespec()).collect::<Vec<_>>(),
        "shutdown_order": shutdown.collect::<Vec<_>>(),
        "status_order": listed.into_iter().map(|(_, _, namespec)| namespec).collect::<Vec<_>>(),
    })
}
