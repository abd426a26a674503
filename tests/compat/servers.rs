//! `[unix_http_server]` and `[inet_http_server]`: who comes in, who does not, and that they outlive the reactor.

use super::raw::{self, call, exchange, status, tcp, unix};
use super::world::{Kind, OPEN, World, printed};
use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, Who, daemon, need, proc};
use nix::sys::signal::Signal;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

const CLOSE: &str = "Connection: close\r\n";

/// A user who is neither root nor the owner.
const STRANGER: u32 = 61_996;

/// SHA-1 of `123`.
const DIGEST: &str = "{SHA}40bd001563085fc35165329ea1ff5c5ecbdbbeef";

/// `user:123` as a header.
const RIGHT: &str = "Authorization: Basic dXNlcjoxMjM=\r\n";

/// Every path that answers something.
const PATHS: [&str; 10] = [
    "POST /RPC2",
    "GET /RPC2",
    "GET /logtail/web",
    "GET /mainlogtail",
    "GET /v1/status",
    "GET /v1/events",
    "GET /v1/log?name=web",
    "POST /v1/shutdown",
    "GET /ok.html",
    "GET /nothing",
];

/// Returns a port at which nobody listens.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port of the system's choice");
    listener.local_addr().expect("its address").port()
}

fn inet(port: u16, more: &str) -> String {
    format!("{OPEN}[inet_http_server]\nport=127.0.0.1:{port}\n{more}")
}

fn start(name: &str, sections: &str) -> World {
    World::start(Kind::Visord, name, sections).expect("our own daemon")
}

/// Sends a request as another user, and returns the status; nothing where it cannot connect.
const ASKER: &str = r#"
import socket, sys
place, request = sys.argv[1:3]
s = socket.create_connection(("127.0.0.1", int(place))) if place.isdigit() else socket.socket(socket.AF_UNIX)
try:
    if not place.isdigit(): s.connect(place)
except PermissionError:
    print("no way in")
    sys.exit()
try:
    s.sendall(request.encode())
except OSError:
    pass
reply = b""
while b"\r\n" not in reply:
    piece = s.recv(4096)
    if not piece: break
    reply += piece
print(reply.split(b" ")[1].decode() if reply else "closed")
"#;

fn as_stranger(place: &str, request: &str) -> String {
    let mut command = Command::new("/usr/bin/python3");
    command.current_dir("/").uid(STRANGER).gid(STRANGER).args(["-c", ASKER, place, request]);
    printed(&command.output().expect("python runs")).trim().to_owned()
}

#[test]
fn a_password_plain_or_digested_is_wanted_for_every_path() {
    for (name, password) in [("plain", "123"), ("digest", DIGEST)] {
        let port = free_port();
        let login = format!("username=user\npassword={password}\n");
        let world = start(
            name,
            &format!(
                "[unix_http_server]\nfile=%(here)s/s.sock\n{login}[inet_http_server]\nport={port}\n{login}"
            ),
        );
        let socket = world.socket();
        let wires = [|socket: &std::path::Path, _| unix(socket), |_: &std::path::Path, port| tcp(port)];
        for wire in wires {
            for path in PATHS {
                for header in ["", "Authorization: Basic dXNlcjp4\r\n", "Authorization: Basic Og==\r\n"] {
                    let request = format!("{path} HTTP/1.1\r\n{CLOSE}{header}Content-Length: 0\r\n\r\n");
                    let reply = exchange(wire(&socket, port), request.as_bytes());
                    assert_eq!(status(&reply), "401", "{path} {header}: {reply}");
                }
            }
            let reply = exchange(
                wire(&socket, port),
                call("supervisor.getState", &format!("{CLOSE}{RIGHT}")).as_bytes(),
            );
            assert_eq!(status(&reply), "200", "{reply}");
        }
        for (words, expected) in [
            (["-u", "user", "-p", "123", "version"], "4.3.0\n"),
            (["-u", "user", "-p", "124", "version"], "Server requires authentication\n"),
        ] {
            let Some(output) = world.ctl(&words) else { continue };
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains(expected), "{words:?}: {text}");
        }
    }
}

#[test]
fn a_socket_has_the_mode_that_was_asked_for_and_other_users_what_it_gives() {
    if !need::root() {
        return;
    }
    for (lines, mode, expected) in [
        ("", 0o700, "no way in"),
        ("chmod=0777\n", 0o777, "200"),
        ("chmod=0770\n", 0o770, "no way in"),
        ("chmod=0777\nusername=user\npassword=123\n", 0o777, "401"),
        ("chown=STRANGER\n", 0o700, "200"),
    ] {
        // Only root may give a file away, so root's daemon it is.
        let who = if lines.contains("chown") { Who::Root } else { Who::Ordinary };
        let lines = lines.replace("STRANGER", &STRANGER.to_string());
        let is_known =
            nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(STRANGER)).ok().flatten().is_some();
        if lines.contains("chown") && !is_known {
            continue;
        }
        let world = World::start_for(Kind::Visord, who, "mode", &format!("{OPEN}{lines}"), &[])
            .expect("our own daemon");
        let socket = world.socket();
        let found = std::fs::symlink_metadata(&socket).expect("the socket").permissions().mode() & 0o777;
        assert_eq!(found, mode, "{lines}");
        let said = as_stranger(&world.sandbox.text("s.sock"), &call("supervisor.getState", CLOSE));
        assert_eq!(said, expected, "{lines}");
    }
}

#[test]
fn a_port_without_a_password_answers_its_owner_alone() {
    let port = free_port();
    let world = start("loopback", &inet(port, "[program:web]\ncommand=sleep 1000\n"));
    if need::root() {
        for path in PATHS {
            let said = as_stranger(
                &port.to_string(),
                &format!("{path} HTTP/1.1\r\n{CLOSE}Content-Length: 0\r\n\r\n"),
            );
            assert_eq!(said, "403", "{path}");
        }
    }
    for (headers, expected) in [
        ("", "200"),
        ("Host: evil.example\r\n", "421"),
        ("Host: localhost\r\nOrigin: http://evil.example\r\n", "403"),
        ("Content-Type: text/plain\r\n", "403"),
        ("Content-Type: text/xml\r\n", "200"),
    ] {
        let reply = exchange(tcp(port), call("supervisor.getState", &format!("{CLOSE}{headers}")).as_bytes());
        assert_eq!(status(&reply), expected, "{headers}: {reply}");
    }
    let url = format!("http://localhost:{port}");
    if let Some(output) = world.ctl(&["-s", &url, "status"]) {
        assert!(printed(&output).contains("web"), "{output:?}");
    }
}

#[test]
fn a_port_that_others_reach_stays_closed_without_a_password_and_programs_run() {
    let port = free_port();
    let sections =
        format!("{OPEN}[inet_http_server]\nport=*:{port}\n[program:web]\ncommand=sleep 1000\nstartsecs=0\n");
    let world = start("exposed", &sections);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let reply = exchange(unix(&world.socket()), format!("GET /v1/status HTTP/1.1\r\n{CLOSE}\r\n").as_bytes());
    let expected = format!(
        "{{\"section\":\"inet_http_server\",\"address\":\"*:{port}\",\"open\":false,\"text\":\"it needs username= and password=\"}}"
    );
    assert!(reply.contains(&expected), "{reply}");
    wait::until(LONG, "the line", || {
        world.sandbox.read("visord.log").contains("CRIT [inet_http_server] stays closed").then_some(())
    });
    wait::until(LONG, "the program", || {
        world.sandbox.read("visord.log").contains("success: web").then_some(())
    });
}

#[test]
fn nothing_listens_on_a_network_unless_it_is_asked_for() {
    let world = start("quiet", OPEN);
    let reactor = wait::until(LONG, "a reactor", || daemon::reactor_of(world.pid()));
    let sockets: Vec<String> = proc::descriptors(reactor)
        .into_values()
        .filter_map(|target| Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = std::fs::read_to_string(format!("/proc/{reactor}/net/{table}")).unwrap_or_default();
        let is_ours = |row: &&str| {
            row.split_ascii_whitespace().nth(9).is_some_and(|inode| sockets.iter().any(|own| own == inode))
        };
        assert_eq!(text.lines().skip(1).find(is_ours), None, "{table}");
    }
}

#[test]
fn servers_outlive_the_reactor_and_serve_who_came_meanwhile() {
    let port = free_port();
    let world = start("outlive", &inet(port, "username=user\npassword=123\n"));
    let old = wait::until(LONG, "a reactor", || daemon::reactor_of(world.pid()));
    let inode =
        std::fs::symlink_metadata(world.socket()).map(|found| std::os::unix::fs::MetadataExt::ino(&found));
    proc::signal(old, Signal::SIGKILL);
    // They connect while nobody is there, or at once afterwards: both are answered.
    for _ in 0..5 {
        let reply = exchange(unix(&world.socket()), call("supervisor.getState", CLOSE).as_bytes());
        assert_eq!(status(&reply), "200", "{reply}");
        let reply = exchange(tcp(port), call("supervisor.getState", &format!("{CLOSE}{RIGHT}")).as_bytes());
        assert_eq!(status(&reply), "200", "{reply}");
    }
    let now =
        std::fs::symlink_metadata(world.socket()).map(|found| std::os::unix::fs::MetadataExt::ino(&found));
    assert_eq!(now.ok(), inode.ok(), "the socket was never bound anew");
    let refused = exchange(tcp(port), call("supervisor.getState", CLOSE).as_bytes());
    assert_eq!(status(&refused), "401", "the next reactor wants the password too");
}

#[test]
fn a_place_that_is_taken_ends_the_start_with_words() {
    let port = free_port();
    let _other = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    for (section, words) in [
        (format!("[inet_http_server]\nport=127.0.0.1:{port}\n"), "another program listens there already"),
        ("[unix_http_server]\nfile=%(here)s/precious\n".to_owned(), "a file that is no socket"),
        ("[unix_http_server]\nfile=%(here)s/no/such/dir/s.sock\n".to_owned(), "No such file or directory"),
    ] {
        let sandbox = Sandbox::new("taken", Who::Ordinary);
        sandbox.write("precious", "mine");
        sandbox.config("", &section);
        let mut command = sandbox.command(sandbox.daemon_binary());
        let output = command.args(["-n", "-c", "visord.conf"]).output().expect("the daemon runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(words), "{error}");
        assert_eq!(sandbox.read("precious"), "mine");
    }
}

#[test]
fn a_reload_opens_what_is_new_and_closes_what_is_gone() {
    let (first, second) = (free_port(), free_port());
    let world = start("reload", &inet(first, ""));
    let config = world.sandbox.read("visord.conf");
    world.sandbox.write("visord.conf", config.replace(&format!(":{first}"), &format!(":{second}")));
    let reply = exchange(tcp(first), call("supervisor.restart", CLOSE).as_bytes());
    assert!(reply.contains("<boolean>1</boolean>"), "{reply}");
    wait::until(LONG, "the new port", || TcpStream::connect(("127.0.0.1", second)).ok());
    let reply = exchange(tcp(second), raw::call("supervisor.getState", CLOSE).as_bytes());
    assert_eq!(status(&reply), "200", "{reply}");
    assert!(TcpStream::connect(("127.0.0.1", first)).is_err());
    let reply = exchange(unix(&world.socket()), call("supervisor.getState", CLOSE).as_bytes());
    assert_eq!(status(&reply), "200", "{reply}");
}
