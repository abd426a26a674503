//! THE key table: one row for every key of every section, supervisord's and Visor's own.
//!
//! A row says what the key is called, which names its value may use, how it is set, what a change of it costs,
//! and whether it is built. [`super::check`] reads files by it; hints for unknown keys, the comparison of two
//! configurations and the documentation read it as well. Must not open files or know processes.
//!
//! `find(SectionKind::Program, "startsecs")` is the row of that key.

pub mod daemon;
pub mod delegate;
pub mod pools;
pub mod program;
pub mod servers;
pub mod visor;

use super::diagnostic::nearest;
use super::value::{Converted, Value};

/// What a change of a key's value costs; greater is dearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reload {
    /// Nothing: it is applied to the running process.
    Live,
    /// A restart of the process.
    Restart,
    /// A restart of the daemon.
    Daemon,
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// supervisord has it, with the same meaning.
    Supervisor,
    /// supervisord ignores it.
    Visor,
}

/// Whether the key does something yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    /// It does.
    Yes,
    /// It is kept, and a warning names it.
    NotYet,
    /// It is kept, and its program must not run without it: it would be unprotected, in the wrong place, or
    /// not what it is said to be.
    NotYetAndNeeded,
}

/// What everybody may know about a key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Lower case; a `*` at the end stands for the rest of a name.
    pub name: &'static str,
    /// What it means, in one line.
    pub doc: &'static str,
    /// What a change costs.
    pub reload: Reload,
    /// Whose it is.
    pub origin: Origin,
    /// Whether it does something.
    pub built: Built,
}

impl Key {
    /// Whether the row is about the key called `name`.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(stem) => name.len() > stem.len() && name.starts_with(stem),
            None => self.name == name,
        }
    }
}

/// Which names a value may use, and when it is read (supervisor 4.3 options.py).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// None: the text is expanded later, by a rule of its own.
    Raw,
    /// `ENV_*`.
    Environment,
    /// `here` and `ENV_*`.
    Here,
    /// `here`, `program_name` and `ENV_*`.
    Socket,
    /// `here`, `host_node_name`, `program_name`, `group_name` and `ENV_*`; once per section.
    Section,
    /// As `Section`, with `process_num`, `numprocs` and the program's own environment; once per process.
    Instance,
    /// As `Instance`, and what comes out is expanded once more, as upstream does.
    InstanceTwice,
}

impl Scope {
    /// Whether the value belongs to one process instead of its section.
    #[must_use]
    pub fn is_per_process(self) -> bool {
        matches!(self, Scope::Instance | Scope::InstanceTwice)
    }
}

/// Puts a value where it belongs.
pub type Setter<T> = fn(&mut T, Value<'_>) -> Converted<()>;

/// A row of the table for sections that become a `T`.
pub struct Row<T: 'static> {
    /// What everybody may know.
    pub key: Key,
    /// Which names the value may use.
    pub scope: Scope,
    /// How it is set.
    pub set: Setter<T>,
}

/// Returns a row for a key of supervisord.
const fn row<T>(
    name: &'static str,
    scope: Scope,
    reload: Reload,
    doc: &'static str,
    set: Setter<T>,
) -> Row<T> {
    Row { key: Key { name, doc, reload, origin: Origin::Supervisor, built: Built::Yes }, scope, set }
}

/// Returns a row for a key of Visor's own that is built.
const fn own_row<T>(
    name: &'static str,
    scope: Scope,
    reload: Reload,
    doc: &'static str,
    set: Setter<T>,
) -> Row<T> {
    Row { key: Key { name, doc, reload, origin: Origin::Visor, built: Built::Yes }, scope, set }
}

/// The kinds of sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// `[supervisord]`
    Daemon,
    /// `[include]`
    Include,
    /// `[unix_http_server]`
    UnixServer,
    /// `[inet_http_server]`
    InetServer,
    /// `[supervisorctl]`
    Ctl,
    /// `[program:x]`
    Program,
    /// `[group:x]`
    Group,
    /// `[eventlistener:x]`
    Listener,
    /// `[fcgi-program:x]`
    Fcgi,
    /// `[rpcinterface:x]`
    RpcInterface,
    /// `[ctlplugin:x]`
    CtlPlugin,
    /// `[visor]`
    Visor,
    /// `[program-default]`
    ProgramDefault,
    /// `[socket:x]`
    Socket,
    /// `[delegate:x]`
    Delegate,
}

/// How the name of a section tells its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The whole name.
    Exactly,
    /// The beginning of the name, as upstream takes it: `[inet_http_server:second]`.
    Begins,
}

/// A row of the table of sections.
#[derive(Clone, Copy, Debug)]
pub struct SectionRow {
    /// The kind.
    pub kind: SectionKind,
    /// Name, or how it begins.
    pub name: &'static str,
    /// Which of both.
    pub naming: Naming,
    /// Whether it does something yet.
    pub built: bool,
}

const fn section(kind: SectionKind, name: &'static str, naming: Naming, built: bool) -> SectionRow {
    SectionRow { kind, name, naming, built }
}

/// The section whose keys hold for every program that does not say otherwise.
pub const PROGRAM_DEFAULT: &str = "program-default";

/// The sections; the first row that covers a name decides.
pub const SECTIONS: [SectionRow; 15] = [
    section(SectionKind::Daemon, "supervisord", Naming::Exactly, true),
    section(SectionKind::Include, "include", Naming::Exactly, true),
    section(SectionKind::UnixServer, "unix_http_server", Naming::Begins, true),
    section(SectionKind::InetServer, "inet_http_server", Naming::Begins, true),
    section(SectionKind::Ctl, "supervisorctl", Naming::Exactly, true),
    section(SectionKind::Program, "program:", Naming::Begins, true),
    section(SectionKind::Group, "group:", Naming::Begins, true),
    section(SectionKind::Listener, "eventlistener:", Naming::Begins, true),
    section(SectionKind::Fcgi, "fcgi-program:", Naming::Begins, true),
    section(SectionKind::RpcInterface, "rpcinterface:", Naming::Begins, true),
    section(SectionKind::CtlPlugin, "ctlplugin:", Naming::Begins, true),
    section(SectionKind::Visor, "visor", Naming::Exactly, true),
    section(SectionKind::ProgramDefault, PROGRAM_DEFAULT, Naming::Exactly, true),
    section(SectionKind::Socket, "socket:", Naming::Begins, false),
    section(SectionKind::Delegate, "delegate:", Naming::Begins, true),
];

/// Returns the row of the section called `name`.
#[must_use]
pub fn section_row(name: &str) -> Option<&'static SectionRow> {
    SECTIONS.iter().find(|row| match row.naming {
        Naming::Exactly => row.name == name,
        Naming::Begins => name.starts_with(row.name),
    })
}

/// Returns the name of a known section that `name` was probably meant to be, with its own part after the colon.
#[must_use]
pub fn section_like(name: &str) -> Option<String> {
    let (stem, tail) = name.split_at(name.find(':').map_or(name.len(), |at| at + 1));
    let stems = SECTIONS.iter().map(|row| row.name);
    nearest(&stem.to_lowercase(), stems).map(|found| format!("{found}{tail}"))
}

/// Returns the rows of a kind of section, supervisord's keys first.
pub fn of(kind: SectionKind) -> impl Iterator<Item = &'static Key> {
    fn keys<T>(rows: &'static [Row<T>]) -> Vec<&'static Key> {
        rows.iter().map(|row| &row.key).collect()
    }
    let supervisor: Vec<Vec<&'static Key>> = match kind {
        SectionKind::Daemon => vec![keys(&daemon::ROWS)],
        SectionKind::Include => vec![keys(&daemon::INCLUDE_ROWS)],
        SectionKind::UnixServer => vec![keys(&servers::UNIX_ROWS), keys(&servers::LOGIN_ROWS)],
        SectionKind::InetServer => vec![keys(&servers::INET_ROWS), keys(&servers::LOGIN_ROWS)],
        SectionKind::Ctl => vec![keys(&servers::CTL_ROWS)],
        SectionKind::Program | SectionKind::ProgramDefault => vec![keys(&program::ROWS)],
        SectionKind::Group => vec![keys(&pools::GROUP_ROWS)],
        SectionKind::Listener => vec![keys(&program::ROWS), keys(&pools::LISTENER_ROWS)],
        SectionKind::Fcgi => vec![keys(&program::ROWS), keys(&pools::FCGI_ROWS)],
        SectionKind::RpcInterface => vec![keys(&servers::RPC_ROWS)],
        SectionKind::CtlPlugin => vec![keys(&servers::CTL_PLUGIN_ROWS)],
        SectionKind::Delegate => vec![keys(&delegate::ROWS)],
        SectionKind::Visor | SectionKind::Socket => vec![],
    };
    supervisor.into_iter().flatten().chain(visor::of(kind).iter().map(|row| &row.key))
}

/// Returns the row of a key in a kind of section.
#[must_use]
pub fn find(kind: SectionKind, name: &str) -> Option<&'static Key> {
    of(kind).find(|key| key.covers(name))
}

/// Whether sections of this kind take any key.
#[must_use]
pub fn takes_any(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::RpcInterface | SectionKind::CtlPlugin)
}

/// Keys of supervisord's Go port (ochinchina/supervisord), which supervisord itself ignores, and Visor's words for the
/// same; a `*` stands for the rest of a name.
static GO_PORT: [(&str, &str); 11] = [
    ("restartpause", "restart_delay"),
    ("pre_start_hook", "pre_start"),
    ("pre_stop_hook", "pre_stop"),
    ("restart_when_binary_changed", "watch"),
    ("restart_directory_monitor", "watch"),
    ("restart_file_pattern", "watch"),
    ("restart_cmd_when_binary_changed", "watch_action"),
    ("restart_cmd_when_file_changed", "watch_action"),
    ("restart_signal_when_binary_changed", "watch_action"),
    ("restart_signal_when_file_changed", "watch_action"),
    ("liveness_check_*", "health"),
];

fn of_go_port(kind: SectionKind, name: &str) -> Option<&'static str> {
    let covers = |known: &str| match known.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => known == name,
    };
    let (_, own) = GO_PORT.iter().find(|(known, _)| covers(known))?;
    of(kind).any(|key| key.name == *own).then_some(own)
}

/// Returns what to do about an unknown key: the key that was probably meant, or the section it belongs to.
#[must_use]
pub fn hint(kind: SectionKind, name: &str) -> Option<String> {
    if let Some(own) = of_go_port(kind, name) {
        return Some(format!("that is a key of supervisord's Go port; Visor's is `{own}`"));
    }
    if let Some(found) = nearest(name, of(kind).map(|key| key.name)) {
        return Some(format!("did you mean `{found}`?"));
    }
    let elsewhere =
        SECTIONS.iter().find(|row| row.kind != kind && of(row.kind).any(|key| key.name == name))?;
    let example = if elsewhere.name.ends_with(':') { "x" } else { "" };
    Some(format!("it belongs into [{}{example}]", elsewhere.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_section_has_one_row_with_words() {
        for row in &SECTIONS {
            let keys: Vec<&Key> = of(row.kind).collect();
            for (index, key) in keys.iter().enumerate() {
                assert!(keys[..index].iter().all(|other| other.name != key.name), "{} twice", key.name);
                assert_eq!(key.name, key.name.to_lowercase());
                assert!(!key.doc.is_empty() && !key.doc.ends_with('.'), "{}: {}", key.name, key.doc);
            }
        }
    }

    #[test]
    fn only_visors_keys_are_unbuilt() {
        for key in SECTIONS.iter().flat_map(|row| of(row.kind)) {
            assert!(key.origin == Origin::Visor || key.built == Built::Yes, "{}", key.name);
        }
    }

    #[test]
    fn sections_are_told_by_name_or_beginning() {
        for (name, kind) in [
            ("supervisord", Some(SectionKind::Daemon)),
            ("Supervisord", None),
            ("program:x", Some(SectionKind::Program)),
            ("program", None),
            ("inet_http_serverfoo", Some(SectionKind::InetServer)),
            ("supervisorctl2", None),
        ] {
            assert_eq!(section_row(name).map(|row| row.kind), kind, "{name}");
        }
    }

    #[test]
    fn hints_name_the_nearest_key_or_its_section() {
        assert_eq!(hint(SectionKind::Program, "comand").as_deref(), Some("did you mean `command`?"));
        assert_eq!(
            hint(SectionKind::Program, "childlogdir").as_deref(),
            Some("it belongs into [supervisord]")
        );
        assert_eq!(hint(SectionKind::Daemon, "startsecs").as_deref(), Some("it belongs into [program:x]"));
        assert_eq!(hint(SectionKind::Program, "colour"), None);
        for (known, own) in GO_PORT {
            let name = known.replace('*', "timeout");
            assert_eq!(of_go_port(SectionKind::Program, &name), Some(own));
            assert!(find(SectionKind::Program, &name).is_none(), "{name} needs no hint");
        }
        assert_eq!(of_go_port(SectionKind::Daemon, "restartpause"), None);
        assert_eq!(section_like("programm:web").as_deref(), Some("program:web"));
        assert_eq!(section_like("Supervisord").as_deref(), Some("supervisord"));
        assert_eq!(section_like("my-notes"), None);
    }

    #[test]
    fn a_star_stands_for_the_rest_of_a_name() {
        assert!(find(SectionKind::Program, "limit_nofile").is_some());
        assert!(find(SectionKind::Program, "environment.prod").is_some());
        assert!(find(SectionKind::Program, "limit_").is_none());
    }
}
