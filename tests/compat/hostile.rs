//! Calls from somebody who means harm: bombs, nests, floods and halves. Each is refused within its limit, and the owner
//! does not notice.

use super::raw::{self, call, exchange, status, unix};
use super::world::{Kind, OPEN, World, printed};
use crate::common::wait::{self, LONG};
use crate::common::{daemon, need, proc};
use nix::sys::signal::Signal;
use std::io::Write as _;
use std::time::{Duration, Instant};

const CLOSE: &str = "Connection: close\r\n";

/// How long an owner waits at most for an answer; more on a machine that builds beside the tests.
const ANSWER_MAX: Duration = Duration::from_secs(1);

fn rss_kb(pid: i32) -> u64 {
    let text = proc::status(pid, "VmRSS").unwrap_or_default();
    text.trim_end_matches(" kB").trim().parse().expect("a size")
}

fn is_answered(world: &World) -> Duration {
    let since = Instant::now();
    let reply = exchange(unix(&world.socket()), call("supervisor.getState", CLOSE).as_bytes());
    assert!(reply.contains("RUNNING"), "{reply}");
    since.elapsed()
}

fn bombs() -> Vec<(&'static str, String, &'static [&'static str])> {
    let wrap = |inside: &str| {
        format!(
            "<methodCall><methodName>supervisor.getState</methodName><params><param><value>{inside}</value></param>\
             </params></methodCall>"
        )
    };
    let laughs: String = (1..10)
        .map(|level| {
            let parts = format!("&l{};", level - 1).repeat(10);
            format!("<!ENTITY l{level} \"{parts}\">")
        })
        .collect();
    let doctype = |inside: &str, entity: &str| {
        format!(
            "<?xml version='1.0'?><!DOCTYPE m [{inside}]>{}",
            wrap(&format!("<string>&{entity};</string>"))
        )
    };
    vec![
        ("a billion laughs", doctype(&format!("<!ENTITY l0 \"lol\">{laughs}"), "l9"), &["400"]),
        (
            "a quadratic blow-up",
            doctype(&format!("<!ENTITY a \"{}\">", "a".repeat(50_000)), &"a;&".repeat(10_000)),
            &["400"],
        ),
        ("a file from outside", doctype("<!ENTITY x SYSTEM \"file:///etc/passwd\">", "x"), &["400"]),
        (
            "a type from outside",
            format!("<!DOCTYPE m SYSTEM \"http://127.0.0.1:1/x.dtd\">{}", wrap("1")),
            &["400"],
        ),
        ("20000 arrays in each other", wrap(&"<array><data><value>".repeat(20_000)), &["400"]),
        (
            "20000 structs in each other",
            wrap(&"<struct><member><name>a</name><value>".repeat(20_000)),
            &["400"],
        ),
        (
            "100000 values",
            wrap(&format!("<array><data>{}</data></array>", "<value/>".repeat(100_000))),
            &["413"],
        ),
        ("a name of a megabyte", format!("<methodCall><methodName>{}", "a.".repeat(500_000)), &["400"]),
        ("unclosed elements", "<methodCall>".repeat(10_000), &["400"]),
        ("an open comment", format!("<methodCall><!--{}", "-".repeat(900_000)), &["400"]),
        ("many attributes", format!("<methodCall {}>", "a='b' ".repeat(100_000)), &["400"]),
        ("bytes that are no text", "\u{0}".repeat(1000), &["400"]),
    ]
}

#[test]
fn bombs_are_refused_at_once_and_cost_no_memory() {
    let world = World::start(Kind::Visord, "bombs", OPEN).expect("our own daemon");
    let reactor = wait::until(LONG, "a reactor", || daemon::reactor_of(world.pid()));
    // The buffers of a first large request stay.
    exchange(unix(&world.socket()), raw::post(&" ".repeat(1_000_000), CLOSE).as_bytes());
    let before = rss_kb(reactor);
    for (what, body, expected) in bombs() {
        let since = Instant::now();
        let reply = exchange(unix(&world.socket()), raw::post(&body, CLOSE).as_bytes());
        let took = since.elapsed();
        assert!(expected.contains(&status(&reply)), "{what}: {reply}");
        assert!(took < ANSWER_MAX, "{what} took {took:?}");
        let after = rss_kb(reactor);
        assert!(after < before + 2048, "{what}: memory grew from {before} kB to {after} kB");
    }
    assert!(is_answered(&world) < ANSWER_MAX);
    assert_eq!(daemon::reactor_of(world.pid()), Some(reactor), "the same reactor");
}

#[test]
fn a_length_that_is_wrong_is_refused_within_its_limits() {
    let world = World::start(Kind::Visord, "lengths", OPEN).expect("our own daemon");
    let body = "<methodCall><methodName>supervisor.getState</methodName></methodCall>";
    let with = |length: &str| format!("POST /RPC2 HTTP/1.1\r\n{CLOSE}Content-Length: {length}\r\n\r\n{body}");
    for (length, expected) in [
        ("314572800", "413"),
        ("99999999999999999999999999", "413"),
        ("-1", "400"),
        ("10, 20", "400"),
        ("abc", "400"),
        // The rest of the body is no request.
        ("10", "400"),
    ] {
        let since = Instant::now();
        let reply = exchange(unix(&world.socket()), with(length).as_bytes());
        assert_eq!(status(&reply), expected, "{length}: {reply}");
        assert!(since.elapsed() < ANSWER_MAX, "{length} took {:?}", since.elapsed());
    }
    // More than comes: waited for as long as a request may take, and no longer.
    let since = Instant::now();
    let reply = exchange(unix(&world.socket()), with("100000").as_bytes());
    assert_eq!(status(&reply), "408", "{reply}");
    assert!(since.elapsed() > Duration::from_secs(9), "given up after {:?}", since.elapsed());
}

#[test]
fn half_sent_calls_hinder_neither_the_owner_nor_a_restart() {
    let programs = "[program:web]\ncommand=sleep 1000\nstartsecs=0\nautorestart=true\n";
    let world = World::start(Kind::Visord, "halves", &format!("{OPEN}{programs}")).expect("our own daemon");
    let pid = || -> i32 {
        let body = "<methodCall><methodName>supervisor.getProcessInfo</methodName><params><param><value>web</value>\
                    </param></params></methodCall>";
        let reply = exchange(unix(&world.socket()), raw::post(body, CLOSE).as_bytes());
        let after = reply.split("<name>pid</name>").nth(1).unwrap_or_else(|| panic!("{reply}"));
        let digits: String =
            after.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    let web = wait::until(LONG, "the program", || Some(pid()).filter(|pid| *pid > 0));
    let halves: Vec<_> = (0..400)
        .map(|_| {
            let mut wire = unix(&world.socket());
            // Some are turned away at once.
            let _ = wire.write_all(b"POST /RPC2 HTTP/1.1\r\nContent-Length: 900000\r\n\r\n<methodCall>");
            wire
        })
        .collect();
    for _ in 0..3 {
        let took = is_answered(&world);
        assert!(took < ANSWER_MAX, "the owner waited {took:?}");
    }
    proc::signal(web, Signal::SIGKILL);
    wait::until(LONG, "the restart", || Some(pid()).filter(|pid| *pid > 0 && *pid != web));
    drop(halves);
}

/// Sends multicalls that are too large in each way.
const STORM: &str = r#"
import sys
from xmlrpc.client import Fault, ServerProxy
from supervisor.xmlrpc import SupervisorTransport
rpc = ServerProxy("http://127.0.0.1/RPC2", transport=SupervisorTransport("", "", "unix://" + sys.argv[1]))
call = {"methodName": "system.multicall", "params": [[{"methodName": "supervisor.getState"}]]}
print([row["faultCode"] for row in rpc.system.multicall([call] * 3)])
good = {"methodName": "supervisor.getState"}
print(len(rpc.system.multicall([good] * 1000)))
try:
    rpc.system.multicall([good] * 1001)
except Fault as fault:
    print(fault.faultCode)
big = {"methodName": "supervisor.readProcessStdoutLog", "params": ["big", 0, 6 << 20]}
rows = rpc.system.multicall([big] * 4)
print([len(row) if isinstance(row, str) else row["faultString"] for row in rows])
"#;

#[test]
fn storms_of_calls_in_one_are_bounded() {
    if need::venv("python3").is_none() {
        return;
    }
    let programs = "[program:big]\ncommand=true\nautostart=false\nstdout_logfile=%(here)s/big.log\n";
    let world = World::start(Kind::Visord, "storm", &format!("{OPEN}{programs}")).expect("our own daemon");
    world.sandbox.write("big.log", "x".repeat(6 << 20));
    let output = world.python(STORM, &[&world.sandbox.text("s.sock")]).expect("python is there");
    let size = 6 << 20;
    let text = "FAILED: the answer is too large to go with the others";
    let expected = format!("[2, 2, 2]\n1000\n3\n[{size}, {size}, '{text}', '{text}']\n");
    assert_eq!(printed(&output), expected);
    assert!(is_answered(&world) < ANSWER_MAX);
}
