//! Rows of the control servers, of `[supervisorctl]` and of the Python plug-ins.

use super::{Reload, Row, Scope, row};
use crate::config::ini::strip;
use crate::config::path;
use crate::config::value::{inet_address, octal};
use crate::model::spec::CtlSpec;
use std::path::PathBuf;

/// Name and password of a server while they are being read.
#[derive(Default)]
pub struct LoginDraft {
    /// User name.
    pub username: Option<String>,
    /// Password, plain or `{SHA}`.
    pub password: Option<String>,
}

const DAEMON: Reload = Reload::Daemon;

/// The keys that both kinds of servers have.
pub static LOGIN_ROWS: [Row<LoginDraft>; 2] = [
    row("username", Scope::Environment, DAEMON, "name that clients must give", |d, v| {
        d.username = Some(v.text.to_owned());
        Ok(())
    }),
    row("password", Scope::Environment, DAEMON, "password that clients must give, plain or {SHA}", |d, v| {
        d.password = Some(v.text.to_owned());
        Ok(())
    }),
];

/// `[unix_http_server]` while it is being read.
pub struct UnixDraft {
    /// Absolute path, where given.
    pub file: Option<PathBuf>,
    /// Permission bits.
    pub chmod: u32,
    /// Owner and group.
    pub chown: Option<(u32, Option<u32>)>,
}

impl Default for UnixDraft {
    fn default() -> UnixDraft {
        UnixDraft { file: None, chmod: 0o700, chown: None }
    }
}

/// The keys of `[unix_http_server]`.
pub static UNIX_ROWS: [Row<UnixDraft>; 3] = [
    row("file", Scope::Here, DAEMON, "path of the control socket, required", |d, v| {
        d.file = Some(path::normalised(strip(v.text), v.host));
        Ok(())
    }),
    row("chmod", Scope::Environment, DAEMON, "permissions of the control socket", |d, v| {
        d.chmod = octal(v.text)?;
        Ok(())
    }),
    row("chown", Scope::Environment, DAEMON, "owner of the control socket, USER or USER:GROUP", |d, v| {
        d.chown = Some(v.owner()?);
        Ok(())
    }),
];

/// `[inet_http_server]` while it is being read.
#[derive(Default)]
pub struct InetDraft {
    /// Host and port, where given.
    pub address: Option<(String, u16)>,
}

/// The keys of `[inet_http_server]`.
pub static INET_ROWS: [Row<InetDraft>; 1] =
    [row("port", Scope::Environment, DAEMON, "HOST:PORT, *:PORT or PORT to listen at, required", |d, v| {
        d.address = Some(inet_address(v.text)?);
        Ok(())
    })];

/// Where supervisorctl looks for the daemon when nothing says otherwise.
pub const DEFAULT_SERVERURL: &str = "http://localhost:9001";

/// Returns supervisorctl's defaults.
#[must_use]
pub fn ctl_defaults() -> CtlSpec {
    CtlSpec {
        serverurl: DEFAULT_SERVERURL.to_owned(),
        username: None,
        password: None,
        prompt: "supervisor".to_owned(),
        history_file: None,
    }
}

/// The keys of `[supervisorctl]`.
pub static CTL_ROWS: [Row<CtlSpec>; 5] = [
    row("serverurl", Scope::Here, Reload::Live, "where the daemon is reached", |d, v| {
        d.serverurl = match v.text.strip_prefix("unix://") {
            Some(file) => format!("unix://{}", path::normalised(file, v.host).display()),
            None => v.text.to_owned(),
        };
        Ok(())
    }),
    row("username", Scope::Environment, Reload::Live, "name to give to the daemon", |d, v| {
        d.username = Some(v.text.to_owned());
        Ok(())
    }),
    row("password", Scope::Environment, Reload::Live, "password to give to the daemon", |d, v| {
        d.password = Some(v.text.to_owned());
        Ok(())
    }),
    row("prompt", Scope::Environment, Reload::Live, "prompt of the shell", |d, v| {
        d.prompt = v.text.to_owned();
        Ok(())
    }),
    row("history_file", Scope::Here, Reload::Live, "file that remembers the shell's lines", |d, v| {
        d.history_file = (!v.text.is_empty()).then(|| path::normalised(v.text, v.host));
        Ok(())
    }),
];

/// The key that names the Python code behind a plug-in section.
pub const RPC_FACTORY: &str = "supervisor.rpcinterface_factory";

/// supervisord's own interface, the only one that needs no Python.
pub const STOCK_RPC_FACTORY: &str = "supervisor.rpcinterface:make_main_rpcinterface";

/// The key of `[rpcinterface:x]`; its other keys are arguments.
pub static RPC_ROWS: [Row<String>; 1] =
    [row(RPC_FACTORY, Scope::Environment, DAEMON, "Python factory of the interface, required", |d, v| {
        v.text.clone_into(d);
        Ok(())
    })];

/// The key that names the Python function behind commands of supervisorctl.
pub const CTL_FACTORY: &str = "supervisor.ctl_factory";

/// The key of `[ctlplugin:x]`, which only Python's supervisorctl can use.
pub static CTL_PLUGIN_ROWS: [Row<String>; 1] =
    [row(CTL_FACTORY, Scope::Environment, Reload::Live, "Python factory of the plug-in", |d, v| {
        v.text.clone_into(d);
        Ok(())
    })];
