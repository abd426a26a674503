//! Those who must not get in: other users. Those who must not get in the way: half-open, silent, never-reading and
//! oversized clients, and clients that send garbage.

use super::account::{Account, allowed, run};
use super::raw;
use crate::common::wait::{self, LONG};
use crate::common::{need, proc};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A user who is neither root nor the owner.
const STRANGER: u32 = 61_997;

/// Every endpoint: method and target.
pub(super) const ENDPOINTS: &[&str] = &[
    "GET /ok.html",
    "GET /v1/version",
    "GET /v1/status",
    "GET /v1/avail",
    "GET /v1/env?name=web",
    "POST /v1/login-env",
    "GET /v1/events",
    "GET /v1/history",
    "GET /v1/log?name=web",
    "GET /v1/log?name=web&follow=1",
    "GET /v1/mainlog",
    "POST /v1/follow",
    "POST /v1/start",
    "POST /v1/stop",
    "POST /v1/restart",
    "POST /v1/signal",
    "POST /v1/wait",
    "POST /v1/enable",
    "POST /v1/disable",
    "POST /v1/clear",
    "POST /v1/reread",
    "POST /v1/update",
    "POST /v1/apply",
    "POST /v1/add",
    "POST /v1/remove",
    "POST /v1/stdin?name=web",
    "POST /v1/shutdown",
    "HEAD /v1/version",
    "HEAD /v1/status",
    "POST /RPC2",
    "GET /logtail",
    "GET /mainlogtail",
];

/// What the daemon's table of routes says: method and path of each row.
fn routes() -> BTreeSet<String> {
    let read = |path: &str| fs::read_to_string(path).expect("a source file");
    let (table, paths) = (read("src/daemon/control/route.rs"), read("src/api/v1.rs"));
    let path_of = |name: &str| {
        let line = format!("pub const {name}: &str = \"");
        let path = paths.lines().find_map(|found| found.trim().strip_prefix(&line)?.strip_suffix("\";"));
        path.unwrap_or_else(|| panic!("no path called {name}")).to_owned()
    };
    let rows = table.lines().filter_map(|line| line.trim().strip_prefix("(Method::"));
    rows.filter_map(|row| row.split_once(", "))
        .map(|(method, rest)| {
            let path = rest.split_once(',').map_or(rest, |(path, _)| path);
            let path = path.strip_prefix("path::").map_or_else(|| path.trim_matches('"').to_owned(), path_of);
            let path = path.replace("OK_PAGE", "/ok.html");
            format!("{} {path}", method.to_uppercase())
        })
        .collect()
}

#[test]
fn every_route_is_among_the_endpoints() {
    let known: BTreeSet<String> =
        ENDPOINTS.iter().filter_map(|endpoint| endpoint.split('?').next()).map(str::to_owned).collect();
    assert_eq!(known, routes());
}

/// Sends each line of its arguments as a request with a body that every verb takes, and prints the status lines.
const ASKER: &str = r#"
import socket, sys
body = b'{"names":["all"],"groups":[],"signal":"KILL"}'
for line in sys.argv[2:]:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(sys.argv[1])
    reply = b""
    try:
        s.sendall(line.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    except OSError:
        pass
    try:
        while True:
            piece = s.recv(4096)
            if not piece: break
            reply += piece
    except ConnectionResetError:
        pass
    print(line, "=>", reply.split(b"\r\n")[0].decode(), flush=True)
"#;

#[test]
fn another_user_is_refused_at_every_endpoint_even_with_an_open_socket() {
    if !need::root() {
        return;
    }
    let account = Account::new("stranger");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.start();
    let (web, socket) = (account.running("web"), account.socket());
    // Its directory stays closed, or the daemon would not use it any more.
    let public = account.sandbox.path("public.sock");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("chmod by root");
    fs::hard_link(&socket, &public).expect("a second name for the socket");
    let as_stranger = |program: &std::path::Path| {
        let mut command = Command::new(program);
        command.current_dir("/").uid(STRANGER).gid(STRANGER);
        command
    };
    let mut asker = as_stranger("/usr/bin/python3".as_ref());
    asker.args(["-c", ASKER]).arg(&public).args(ENDPOINTS);
    let output = run(asker);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.lines().count(), ENDPOINTS.len(), "{output:?}");
    assert!(text.lines().all(|line| line.contains("=> HTTP/1.1 403")), "{text}");
    let mut client = as_stranger(&account.visorctl());
    client.arg("--socket").arg(&public).arg("status");
    let refused = run(client);
    assert_eq!(refused.status.code(), Some(4), "the client does not talk to a stranger either: {refused:?}");
    account.wait_log(&format!("of user {STRANGER}"));
    assert_eq!(account.running("web"), web);
    account.shutdown();
}

#[test]
fn half_open_clients_hinder_neither_the_owner_nor_a_restart() {
    let account = Account::new("half-open");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    let mut start = account.sandbox.command("prlimit");
    start.arg("--nofile=256:256").arg(account.visorctl()).args(["daemon", "start"]);
    assert!(run(start).status.success());
    let (web, socket) = (account.running("web"), account.socket());
    let limit = allowed(&account, Duration::from_secs(1));
    let half_open: Vec<UnixStream> = (0..400)
        .map(|_| {
            let mut stream = raw::connect(&socket);
            // Some are turned away at once.
            let _ = stream.write_all(b"GET /v1/status HT");
            stream
        })
        .collect();
    for _ in 0..3 {
        let since = Instant::now();
        assert_eq!(account.pid("web"), web);
        let took = since.elapsed();
        eprintln!("the owner was answered after {took:?} (allowed {limit:?})");
        assert!(took < limit, "the owner waited {took:?}");
    }
    proc::signal(web, Signal::SIGKILL);
    wait::until(LONG, "the restart", || (account.running("web") != web).then_some(()));
    drop(half_open);
    account.shutdown();
}

/// Processor time that a process has used, in hundredths of a second as the kernel counts it for users.
fn cpu_ticks(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    // utime and stime (proc(5)).
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Holds as many connections as it is told with half a request each, makes every one anew 50 ms after it was closed, and
/// says every second how many there have been; until it is killed.
const CROWD: &str = r#"
import selectors, socket, sys, time
path, size = sys.argv[1], int(sys.argv[2])
selector, due, made, told = selectors.DefaultSelector(), [0.0] * size, 0, time.monotonic()
while True:
    now = time.monotonic()
    if now > told + 1:
        print(made, flush=True)
        told = now
    while due and due[0] <= now:
        due.pop(0)
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(path)
            s.send(b"GET /v1/status HT")
            selector.register(s, selectors.EVENT_READ)
            made += 1
        except OSError:
            s.close()
            due.append(now + 0.05)
    for key, _ in selector.select(0.01):
        selector.unregister(key.fileobj)
        key.fileobj.close()
        due.append(time.monotonic() + 0.05)
"#;

#[test]
fn a_crowd_that_connects_again_and_again_keeps_nobody_out() {
    let account = Account::new("crowd");
    let mut start = account.sandbox.command("prlimit");
    start.arg("--nofile=256:256").arg(account.visorctl()).args(["daemon", "start"]);
    assert!(run(start).status.success());
    let (keeper, reactor) = (account.keeper(), account.reactor());
    let limit = allowed(&account, Duration::from_secs(1));
    let mut crowd = account.sandbox.command("/usr/bin/python3");
    crowd.args(["-c", CROWD]).arg(account.socket()).arg("400").stdout(Stdio::piped());
    let mut crowd = crowd.spawn().expect("python runs");
    let mut words = BufReader::new(crowd.stdout.take().expect("a pipe"));
    let mut made = || {
        let mut line = String::new();
        words.read_line(&mut line).expect("a line");
        line.trim().parse::<u64>().expect("a count")
    };
    let (before, since) = (made(), Instant::now());
    let ticks = || cpu_ticks(keeper) + cpu_ticks(reactor);
    let ticks_before = ticks();
    for _ in 0..need::by_ring(40, 200) {
        let asked = Instant::now();
        assert_eq!(account.keeper(), keeper);
        let took = asked.elapsed();
        assert!(took < limit, "the owner waited {took:?} (allowed {limit:?})");
    }
    let (after, spent, seconds) = (made(), ticks() - ticks_before, since.elapsed().as_secs_f64());
    crowd.kill().expect("our own child");
    crowd.wait().expect("our own child");
    let (rate, share) = ((after - before) as f64 / seconds, spent as f64 / seconds);
    eprintln!("{rate:.0} connections and {share:.1} % of a processor a second");
    // 48 within 50 ms, and the owner's own.
    assert!(rate < 1500.0, "{rate:.0} connections a second were taken");
    account.shutdown();
}

#[test]
fn who_has_asked_before_keeps_the_connection_while_others_ask_for_nothing() {
    let account = Account::new("regular");
    account.start();
    let socket = account.socket();
    let mut regular = raw::connect(&socket);
    let mut ask = || {
        regular.write_all(b"GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n").expect("a daemon that reads");
        let (mut reply, mut piece) = (String::new(), [0; 4096]);
        while !reply.contains("\"instance\"") {
            let count = regular.read(&mut piece).expect("its answer");
            assert_ne!(count, 0, "the connection was closed after: {reply}");
            reply.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    };
    ask();
    let silent: Vec<UnixStream> = (0..200).map(|_| raw::connect(&socket)).collect();
    // Answered behind all of them.
    assert!(raw::get(&socket, "/v1/version").contains("\"api\":1"));
    ask();
    drop(silent);
    account.shutdown();
}

#[test]
fn without_descriptors_nothing_spins_and_who_waits_is_served_later() {
    let account = Account::new("no-descriptors");
    account.start();
    let (socket, reactor) = (account.socket(), account.reactor());
    let limit = |most: u64| {
        let mut command = account.sandbox.command("prlimit");
        command.args(["--pid", &reactor.to_string(), &format!("--nofile={most}:1024")]);
        let output = run(command);
        assert!(output.status.success(), "{output:?}");
    };
    limit(3);
    let mut waiting = raw::connect(&socket);
    waiting
        .write_all(b"GET /v1/version HTTP/1.1\r\nConnection: close\r\n\r\n")
        .expect("it is in the backlog");
    let before = cpu_ticks(reactor);
    wait::pass(Duration::from_secs(2));
    let spent = cpu_ticks(reactor) - before;
    assert!(spent < 20, "{spent} hundredths of a second of 200");
    limit(1024);
    let mut reply = String::new();
    waiting.read_to_string(&mut reply).expect("an answer, and the end");
    assert_eq!(raw::status(&reply), "200", "{reply}");
    account.shutdown();
}

#[test]
fn a_client_that_never_reads_costs_no_memory() {
    let account = Account::new("unread");
    account
        .program("flood", "command=yes\nstartsecs=0\nstdout_logfile_maxbytes=1MB\nstdout_logfile_backups=1");
    account.start();
    account.running("flood");
    let reactor = account.reactor();
    let memory = || -> u64 {
        let text = proc::status(reactor, "VmRSS").unwrap_or_default();
        text.trim_end_matches(" kB").trim().parse().expect("a size")
    };
    let _unread = raw::stream(&account.socket(), "/v1/log?name=flood&follow=1");
    // It has taken what it may hold for a slow reader by then.
    wait::pass(Duration::from_secs(1));
    let before = memory();
    wait::throughout(Duration::from_secs(need::by_ring(3, 30)), || {
        let now = memory();
        (now > before + 4096).then(|| format!("grew from {before} kB to {now} kB"))
    });
    assert_eq!(account.told(&["pid"]).0, 0);
    account.shutdown();
}

#[test]
fn who_has_many_streams_open_is_still_answered() {
    /// As `STREAMS_MAX` of the daemon and visor-api(7) have it.
    const STREAMS_MAX: usize = 48;
    let account = Account::new("streams");
    account.start();
    let socket = account.socket();
    let open: Vec<_> = (0..STREAMS_MAX).map(|_| raw::stream(&socket, "/v1/events")).collect();
    let refused = raw::exchange(&socket, b"GET /v1/events HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(raw::status(&refused), "503", "{refused}");
    assert_eq!(account.told(&["pid"]).0, 0);
    drop(open);
    wait::until(LONG, "room", || {
        let mut stream = raw::connect(&socket);
        stream.write_all(b"GET /v1/events HTTP/1.1\r\n\r\n").ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).ok()?;
        (&head == b"HTTP/1.1 200").then_some(())
    });
    account.shutdown();
}

#[test]
fn what_is_no_request_is_refused_on_a_connection_that_was_quiet() {
    let account = Account::new("quiet");
    account.start();
    let mut stream = raw::connect(&account.socket());
    stream.write_all(b"GET /v1/version HTTP/1.1\r\n\r\n").expect("a daemon that reads");
    let mut reply = String::new();
    let mut piece = [0; 4096];
    while !reply.contains("\"instance\"") {
        let count = stream.read(&mut piece).expect("its answer");
        reply.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    // One message, all of it there when the daemon wakes: nothing comes later that would wake it again.
    stream.write_all(b"\x16\x03\x01\x02\r\n\r\n").expect("a daemon that reads");
    let mut refusal = String::new();
    stream.read_to_string(&mut refusal).expect("a refusal, and the end");
    assert_eq!(raw::status(&refusal), "400", "{refusal}");
    account.shutdown();
}

#[test]
fn what_is_too_large_or_no_request_is_refused_and_closed() {
    let account = Account::new("garbage");
    account.start();
    let socket = account.socket();
    let long_head = format!("GET /v1/status HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many_heads = format!("GET /v1/status HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1 << 14));
    let long_body = "POST /v1/start HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{".to_owned();
    let half_chunk =
        "POST /v1/start HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned();
    for (bytes, expected) in [
        (long_head, "431"),
        (many_heads, "431"),
        (long_body, "413"),
        (half_chunk, "411"),
        ("\x16\x03\x01\x02\r\n\r\n".to_owned(), "400"),
        ("GET /v1/status\r\n\r\n".to_owned(), "400"),
        ("GET /v1/nothing HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), "404"),
        ("POST /v1/start HTTP/1.1\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{".to_owned(), "400"),
    ] {
        let reply = raw::exchange(&socket, bytes.as_bytes());
        assert_eq!(raw::status(&reply), expected, "{:?}: {reply}", &bytes[..40.min(bytes.len())]);
        assert!(reply.contains("\"error\""), "{reply}");
    }
    assert!(raw::get(&socket, "/v1/version").contains("\"api\":1"));
    account.shutdown();
}

#[test]
fn a_request_that_never_ends_is_given_up_and_idle_connections_are_not() {
    let account = Account::new("slow");
    account.start();
    let socket = account.socket();
    let _idle = raw::connect(&socket);
    let since = Instant::now();
    let reply = raw::exchange(&socket, b"GET /v1/status HTTP/1.1\r\nHost:");
    assert_eq!(raw::status(&reply), "408", "after {:?}: {reply}", since.elapsed());
    assert!(since.elapsed() > Duration::from_secs(9), "closed after {:?}", since.elapsed());
    account.shutdown();
}

/// Answers every connection with what the daemon would say, until it is killed.
const IMPOSTOR: &str = r#"
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen()
print("ready", flush=True)
while True:
    c = s.accept()[0]
    body = b'{"version":"0.1.0","api":1,"pid":1,"reactor_pid":1,"instance":"default"}'
    try: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    except OSError: pass
    c.close()
"#;

#[test]
fn a_server_of_another_user_is_not_believed() {
    if !need::root() {
        return;
    }
    let account = Account::new("impostor");
    let socket = account.sandbox.text("tmp/impostor.sock");
    let mut server = account.sandbox.root_command("/usr/bin/python3");
    server.uid(STRANGER).gid(STRANGER).args(["-c", IMPOSTOR, &socket]);
    let mut server = server.stdout(Stdio::piped()).spawn().expect("python runs");
    let mut ready = String::new();
    BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut ready).expect("a line");
    let (code, out, err) = account.told(&["--socket", &socket, "pid"]);
    server.kill().expect("our own child");
    server.wait().expect("our own child");
    assert_eq!((code, out.as_str()), (4, ""), "{err}");
    assert!(err.contains(&STRANGER.to_string()), "{err}");
}
