//! The servers that a configuration asks for: `[unix_http_server]` and `[inet_http_server]`, beside the user's own
//! sockets.
//!
//! Opened when a configuration comes into force, held by the keeper over a reactor's death, and closed at the end. Who
//! may come in is [`Door`]'s business. Example: `reactor.open_servers(Vec::new())` at the start; an error there is one
//! of the daemon.

use super::control::{Door, Listener, SERVERS};
use super::reactor::Reactor;
use crate::api::http::basic::Login;
use crate::api::v1;
use crate::keeper::protocol::Request;
use crate::model::Level;
use crate::model::spec::{ServerAddress, ServerSpec};
use crate::sys::runtime_dir::FileId;
use crate::sys::{listen, tcp};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::rc::Rc;

/// Most servers of a configuration: each costs descriptors here and in the keeper.
const SERVERS_MAX: usize = 16;

/// First of the keys under which the keeper holds the listeners, in the order of the settings.
const KEYS_BEGIN: u64 = 0x6000;

/// The mode of a socket for which none is given: only its owner may connect.
const OWNERS_MODE: u32 = 0o700;

/// What listens for a server.
enum Socket {
    File(UnixListener, FileId),
    Port(TcpListener),
}

/// A server of the configuration, open or not.
struct Server {
    spec: ServerSpec,
    socket: Result<Socket, String>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Servers(Vec<Server>);

/// Takes what is ours out of the descriptors that the keeper handed over.
pub(super) fn take_held(handed: &mut Vec<(u64, OwnedFd)>) -> Vec<(u64, OwnedFd)> {
    let keys = KEYS_BEGIN..KEYS_BEGIN + SERVERS_MAX as u64;
    handed.extract_if(.., |(key, _)| keys.contains(key)).collect()
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::File(listener, _) => listener.as_fd(),
            Socket::Port(listener) => listener.as_fd(),
        }
    }
}

impl Socket {
    fn open(spec: &ServerSpec) -> io::Result<Socket> {
        match &spec.address {
            ServerAddress::Unix { file, chmod, chown } => {
                let bound = listen::bind_file(file, *chmod, *chown)?;
                Ok(Socket::File(bound.listener, bound.id))
            }
            ServerAddress::Inet { host, port } => Ok(Socket::Port(tcp::listen(tcp::resolve(host, *port)?)?)),
        }
    }

    /// Goes on with a socket that was bound by a reactor that died.
    fn adopt(spec: &ServerSpec, fd: OwnedFd) -> Option<Socket> {
        match &spec.address {
            ServerAddress::Unix { file, .. } => Some(Socket::File(fd.into(), listen::id_at(file)?)),
            ServerAddress::Inet { .. } => Some(Socket::Port(fd.into())),
        }
    }

    fn listener(&self) -> io::Result<Listener> {
        Ok(match self {
            Socket::File(listener, _) => Listener::Unix(listener.try_clone()?),
            Socket::Port(listener) => Listener::Tcp(listener.try_clone()?),
        })
    }

    /// Whether everybody on the network could connect.
    fn is_exposed(&self) -> bool {
        match self {
            Socket::File(..) => false,
            Socket::Port(listener) => !listener.local_addr().is_ok_and(|address| address.ip().is_loopback()),
        }
    }
}

fn shown(address: &ServerAddress) -> String {
    match address {
        ServerAddress::Unix { file, .. } => file.display().to_string(),
        ServerAddress::Inet { host, port } if host.is_empty() => format!("*:{port}"),
        ServerAddress::Inet { host, port } => format!("{host}:{port}"),
    }
}

fn login(spec: &ServerSpec) -> Option<Login> {
    Login::new(spec.username.as_deref(), spec.password.as_deref())
}

fn door(spec: &ServerSpec) -> Door {
    match &spec.address {
        ServerAddress::Unix { chmod, chown, .. } => {
            Door::of_file(login(spec), *chmod != OWNERS_MODE || chown.is_some())
        }
        ServerAddress::Inet { host, .. } => {
            let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
            Door::of_port(login(spec), &[host.as_str(), name.as_deref().unwrap_or_default()])
        }
    }
}

impl Reactor {
    /// Opens what the settings ask for, and closes what they do not ask for any more; `held` is what the keeper kept.
    ///
    /// # Errors
    /// The first server that cannot listen, in words; the others are open all the same.
    pub(super) fn open_servers(&mut self, held: Vec<(u64, OwnedFd)>) -> Result<(), String> {
        let wanted = self.settings.servers.clone();
        let mut before = std::mem::take(&mut self.servers).0;
        for index in 0..before.len() {
            self.control.unlisten(SERVERS + index);
            self.link.send(Request::Drop { key: KEYS_BEGIN + index as u64 }, Vec::new());
        }
        let mut held: Vec<_> = held.into_iter().map(|(key, fd)| (key, Some(fd))).collect();
        let mut kept = Vec::new();
        for (index, spec) in wanted.iter().enumerate() {
            let key = KEYS_BEGIN + index as u64;
            let fd = held.iter_mut().find(|(known, _)| *known == key).and_then(|(_, fd)| fd.take());
            let same = before.iter().position(|old| old.spec.address == spec.address && old.socket.is_ok());
            let old = same.and_then(|at| before.swap_remove(at).socket.ok());
            kept.push(old.or_else(|| fd.and_then(|fd| Socket::adopt(spec, fd))));
        }
        // Before new ones are opened: a changed mode or owner is another server at the same path.
        before.into_iter().for_each(Server::close);
        let mut failure = None;
        for (index, (spec, old)) in wanted.into_iter().zip(kept).enumerate() {
            let server = self.open_server(index, spec.clone(), old).unwrap_or_else(|why| {
                let (section, shown) = (&spec.section, shown(&spec.address));
                failure.get_or_insert(format!("[{section}] cannot listen at {shown}: {why}"));
                Server { spec, socket: Err(why) }
            });
            self.servers.0.push(server);
        }
        self.hold_servers();
        failure.map_or(Ok(()), Err)
    }

    fn open_server(&mut self, index: usize, spec: ServerSpec, old: Option<Socket>) -> Result<Server, String> {
        if index >= SERVERS_MAX {
            return Err(format!("there are more than {SERVERS_MAX} servers"));
        }
        let socket = old.map_or_else(|| Socket::open(&spec), Ok).map_err(|error| in_words(&error))?;
        if self.must_stay_closed(&spec, &socket) {
            return Ok(Server { spec, socket: Err("it needs username= and password=".to_owned()) });
        }
        let door = Rc::new(door(&spec));
        let opened =
            socket.listener().and_then(|listener| self.control.open(SERVERS + index, listener, door));
        opened.map_err(|error| error.to_string())?;
        Ok(Server { spec, socket: Ok(socket) })
    }

    /// Whether anybody on the network could use a port to run programs; tells of one that is open to them.
    fn must_stay_closed(&mut self, spec: &ServerSpec, socket: &Socket) -> bool {
        let (section, shown, has_login) = (&spec.section, shown(&spec.address), login(spec).is_some());
        let (level, text) = match (socket, socket.is_exposed(), has_login) {
            (Socket::File(..), ..) | (_, false, true) => return false,
            (_, true, false) => {
                let text = format!(
                    "[{section}] stays closed: whoever reaches {shown} could run programs here; set username= and \
                     password=, or port=127.0.0.1:PORT"
                );
                (Level::Critical, text)
            }
            (_, true, true) => {
                let text = format!(
                    "[{section}] listens at {shown}, which is not this machine's own: names, passwords and logs go \
                     over the network in the clear"
                );
                (Level::Warn, text)
            }
            (_, false, false) => {
                (Level::Warn, format!("[{section}] has no password: it answers only you and root"))
            }
        };
        self.log(level, &text);
        level == Level::Critical
    }

    /// Has the keeper hold the listeners over our death.
    pub(super) fn hold_servers(&mut self) {
        for (index, server) in self.servers.0.iter().enumerate() {
            let Ok(socket) = &server.socket else { continue };
            // Without a spare descriptor the keeper goes without: they are bound anew then.
            if let Ok(fd) = socket.as_fd().try_clone_to_owned() {
                self.link.send(Request::Hold { key: KEYS_BEGIN + index as u64 }, vec![fd]);
            }
        }
    }

    /// Opens servers where nothing may end because one cannot be: that is said, and shown in the status.
    pub(super) fn open_servers_or_say(&mut self, held: Vec<(u64, OwnedFd)>) {
        if let Err(why) = self.open_servers(held) {
            self.log(Level::Critical, &why);
        }
    }

    /// Returns what `status` says about them.
    pub(super) fn shown_servers(&self) -> Vec<v1::Server> {
        let view = |server: &Server| v1::Server {
            section: server.spec.section.clone(),
            address: shown(&server.spec.address),
            open: server.socket.is_ok(),
            text: server.socket.as_ref().err().cloned().unwrap_or_default(),
        };
        self.servers.0.iter().map(view).collect()
    }
}

impl Server {
    /// Removes the socket if it is still ours.
    fn close(self) {
        if let (ServerAddress::Unix { file, .. }, Ok(Socket::File(_, id))) =
            (&self.spec.address, &self.socket)
        {
            listen::remove_file(file, *id);
        }
    }
}

impl Servers {
    /// Removes what is in the file system, as the daemon's last act.
    pub(super) fn close(self) {
        self.0.into_iter().for_each(Server::close);
    }
}

fn in_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            "another program listens there already: stop it, or name another place".to_owned()
        }
        Some(libc::EEXIST) => {
            "there is a file that is no socket: remove it, or name another place".to_owned()
        }
        _ => error.to_string(),
    }
}
