//! Control servers, `[supervisorctl]` and `[rpcinterface:x]` as settings.

use super::reader::{Names, Reader};
use crate::config::diagnostic::{Diagnostic, quoted};
use crate::config::document::Section;
use crate::config::keys::servers::{
    CTL_FACTORY, CTL_ROWS, INET_ROWS, InetDraft, LOGIN_ROWS, LoginDraft, RPC_FACTORY, RPC_ROWS,
    STOCK_RPC_FACTORY, UNIX_ROWS, UnixDraft, ctl_defaults,
};
use crate::config::keys::{Scope, SectionKind, section_row};
use crate::model::spec::{CtlSpec, RpcInterfaceSpec, ServerAddress, ServerSpec};

/// Reads all control servers, inet ones first.
pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Vec<ServerSpec> {
    let mut servers = Vec::new();
    for kind in [SectionKind::InetServer, SectionKind::UnixServer] {
        let document = reader.document;
        for section in document.sections() {
            if section_row(&section.name).is_some_and(|row| row.kind == kind) {
                servers.extend(server(reader, section, kind));
            }
        }
    }
    servers
}

fn server(reader: &mut Reader<'_>, section: &Section, kind: SectionKind) -> Option<ServerSpec> {
    let mut login = LoginDraft::default();
    let good = reader.apply(section, LOGIN_ROWS.iter(), &Names::default(), &mut login);
    if good && login.username.is_some() != login.password.is_some() {
        let missing = if login.username.is_some() { "password" } else { "username" };
        reader.section_error(section, format!("no {missing} (username and password go together)"));
    }
    let address = if kind == SectionKind::InetServer { inet(reader, section) } else { unix(reader, section) };
    let place = reader.document.place(section);
    let LoginDraft { username, password } = login;
    Some(ServerSpec { section: section.name.clone(), address: address?, username, password, place })
}

fn inet(reader: &mut Reader<'_>, section: &Section) -> Option<ServerAddress> {
    let mut draft = InetDraft::default();
    let good = reader.apply(section, INET_ROWS.iter(), &Names::default(), &mut draft);
    if good && draft.address.is_none() {
        reader.section_error(section, "no port (say port=127.0.0.1:9001, for example)");
    }
    draft.address.map(|(host, port)| ServerAddress::Inet { host, port })
}

fn unix(reader: &mut Reader<'_>, section: &Section) -> Option<ServerAddress> {
    let mut draft = UnixDraft::default();
    let good = reader.apply(section, UNIX_ROWS.iter(), &Names::default(), &mut draft);
    if good && draft.file.is_none() {
        reader.section_error(section, "no file (say file=%(here)s/supervisor.sock, for example)");
    }
    let UnixDraft { file, chmod, chown } = draft;
    file.map(|file| ServerAddress::Unix { file, chmod, chown })
}

/// Returns what `SUPERVISOR_SERVER_URL` is to be: the first unix server, else the last inet one.
pub(in crate::config) fn server_url(servers: &[ServerSpec]) -> Option<String> {
    let unix = servers.iter().find_map(|server| match &server.address {
        ServerAddress::Unix { file, .. } => Some(format!("unix://{}", file.display())),
        ServerAddress::Inet { .. } => None,
    });
    let inet = servers.iter().rev().find_map(|server| match &server.address {
        ServerAddress::Inet { host, port } if host.is_empty() => Some(format!("http://localhost:{port}")),
        ServerAddress::Inet { host, port } => Some(format!("http://{host}:{port}")),
        ServerAddress::Unix { .. } => None,
    });
    unix.or(inet)
}

/// Reads `[supervisorctl]`, and returns nothing when something is wrong with it.
pub(in crate::config) fn ctl(reader: &mut Reader<'_>, section: &Section) -> Option<CtlSpec> {
    let mut ctl = ctl_defaults();
    reader.apply(section, CTL_ROWS.iter(), &Names::default(), &mut ctl).then_some(ctl)
}

/// Reads the `[rpcinterface:x]` sections.
pub(in crate::config) fn rpc_interfaces(reader: &mut Reader<'_>) -> Vec<RpcInterfaceSpec> {
    let document = reader.document;
    let mut interfaces = Vec::new();
    for section in document.sections() {
        let Some(name) = section.name.strip_prefix("rpcinterface:") else { continue };
        let mut factory = String::new();
        let good = reader.apply(section, RPC_ROWS.iter(), &Names::default(), &mut factory);
        if document.get(section, RPC_FACTORY).is_none() {
            reader.section_error(section, format!("no factory (say {RPC_FACTORY} = {STOCK_RPC_FACTORY})"));
        } else if good && factory != STOCK_RPC_FACTORY {
            let factory = quoted(&factory);
            let what =
                format!("{factory} is Python code, which cannot be run here: the interface is left out");
            reader.section_warning(section, what);
        }
        let extra = extra(reader, section);
        if factory == STOCK_RPC_FACTORY && !extra.is_empty() {
            reader.section_warning(
                section,
                "supervisord's own interface takes no further keys: they are ignored",
            );
        }
        interfaces.push(RpcInterfaceSpec { name: name.to_owned(), factory, extra });
    }
    interfaces
}

/// Names the `[ctlplugin:x]` sections: commands of theirs are unknown to our client.
pub(in crate::config) fn tell_ctl_plugins(reader: &mut Reader<'_>) {
    let document = reader.document;
    let is_plugin = |section: &&Section| section.name.starts_with("ctlplugin:");
    for section in document.sections().iter().filter(is_plugin) {
        let factory =
            document.get(section, CTL_FACTORY).map_or_else(|| "it".to_owned(), |entry| quoted(&entry.value));
        let what = format!("{factory} is Python code, which cannot be run here: its commands are unknown");
        reader.section_warning(section, what);
    }
}

/// Returns the arguments of a factory: all other keys of its section.
fn extra(reader: &mut Reader<'_>, section: &Section) -> Vec<(String, String)> {
    let document = reader.document;
    let mut extra = Vec::new();
    for entry in document.entries(section).filter(|entry| entry.key != RPC_FACTORY) {
        match reader.expand(entry, Scope::Environment, &Names::default()) {
            Ok(text) => extra.push((entry.key.clone(), text)),
            Err(what) => {
                let place = document.entry_place(entry);
                reader.report(Diagnostic::error(place, what).section(&section.name).key(&entry.key));
            }
        }
    }
    extra
}
