//! The XML-RPC interface beside the real one: the same calls, the same answers.

use super::raw::{exchange, post, unix};
use super::world::{Kind, OPEN, World, printed};
use crate::common::wait::{self, LONG};
use std::io::Write as _;

/// Calls everything and prints what comes back.
const SCRIPT: &str = include_str!("script.py");

/// Programs in every state that a call can meet.
const PROGRAMS: &str = "[program:cat]
command=/bin/cat
[program:zero]
command=/bin/true
startsecs=0
autorestart=false
[program:nf]
command=/no/such/cmd
startretries=0
[program:quick]
command=/bin/true
startretries=0
startsecs=3
[program:dir]
command=/tmp
autostart=false
startretries=0
[program:empty]
command=
autostart=false
startretries=0
[program:man]
command=/bin/sleep 1000
autostart=false
stopsignal=KILL
exitcodes=0,2
directory=/
[program:gone]
command=%(here)s/gone 1000
autostart=false
startretries=0
[program:say]
command=/bin/sh -c 'printf \"x\\nhéllo\\n\"; exec sleep 1000'
priority=5
[program:slow]
command=/bin/sh -c 'trap \"sleep 2; exit\" TERM; while :; do sleep 0.1; done'
stopwaitsecs=20
[program:nolog]
command=/bin/sleep 1000
autostart=false
stdout_logfile=NONE
stderr_logfile=NONE
[program:missing]
command=/bin/sleep 1000
autostart=false
stdout_logfile=%(here)s/log/never-there
[group:grp]
programs=ga,gb
[program:ga]
command=/bin/sleep 1000
stdout_logfile_maxbytes=1MB
serverurl=unix:///elsewhere
[program:gb]
command=/bin/sleep 1000
redirect_stderr=true
";

#[test]
fn every_call_is_answered_as_supervisord_answers_it() {
    let run = |kind| -> Option<String> {
        let mut world = World::start(kind, "rpc", &format!("{OPEN}{PROGRAMS}"))?;
        let (socket, directory) = (world.sandbox.text("s.sock"), world.sandbox.dir().display().to_string());
        let text = printed(&world.python(SCRIPT, &[&socket, &directory])?);
        world.wait_exit();
        Some(text)
    };
    let (Some(theirs), Some(ours)) = (run(Kind::Supervisord), run(Kind::Visord)) else { return };
    let differing: Vec<String> = theirs
        .lines()
        .zip(ours.lines())
        .filter(|(theirs, ours)| theirs != ours)
        .map(|(theirs, ours)| format!("supervisord: {theirs}\n     visord: {ours}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!(theirs.lines().count(), ours.lines().count());
    assert!(ours.lines().count() > 150, "the script said little: {ours}");
}

/// Calls a method with one string, or none.
fn called(world: &World, method: &str, parameter: Option<&str>) -> String {
    let parameter = parameter.map(|text| format!("<params><param><value>{text}</value></param></params>"));
    let parameter = parameter.unwrap_or_default();
    let body = format!("<methodCall><methodName>supervisor.{method}</methodName>{parameter}</methodCall>");
    exchange(unix(&world.socket()), post(&body, "Connection: close\r\n").as_bytes())
}

#[test]
fn a_group_whose_socket_cannot_be_opened_is_not_added_until_it_can() {
    let world = World::start(Kind::Visord, "rpc-fcgi", OPEN).expect("our own daemon");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port of the system's choice");
    let port = taken.local_addr().expect("its address").port();
    let mut config =
        std::fs::File::options().append(true).open(world.sandbox.path("visord.conf")).expect("it");
    write!(
        config,
        "[fcgi-program:file]\ncommand=sleep 1000\nstartsecs=0\nsocket=unix://%(here)s/later/s\n\
         [fcgi-program:port]\ncommand=sleep 1000\nstartsecs=0\nsocket=tcp://127.0.0.1:{port}\n"
    )
    .expect("written");
    assert!(called(&world, "reloadConfig", None).contains("<string>file</string>"));
    for (group, why) in [("file", "No such file or directory"), ("port", "Address already in use")] {
        // Nothing is left of the first attempt.
        for _ in 0..2 {
            let reply = called(&world, "addProcessGroup", Some(group));
            let words = "FAILED: Could not create FastCGI socket ";
            assert!(reply.contains("<int>30</int>") && reply.contains(words), "{reply}");
            assert!(reply.contains(why), "{reply}");
        }
        assert!(called(&world, "getProcessInfo", Some(group)).contains("BAD_NAME"));
    }
    drop(taken);
    world.sandbox.mkdir("later");
    for group in ["file", "port"] {
        // The second time round the socket of the first was closed just before.
        for _ in 0..2 {
            let reply = called(&world, "addProcessGroup", Some(group));
            assert!(reply.contains("<boolean>1</boolean>"), "{reply}");
            wait::until(LONG, "it runs", || {
                called(&world, "getProcessInfo", Some(group)).contains("RUNNING").then_some(())
            });
            assert!(called(&world, "stopProcessGroup", Some(group)).contains("<int>80</int>"));
            let reply = called(&world, "removeProcessGroup", Some(group));
            assert!(reply.contains("<boolean>1</boolean>"), "{reply}");
        }
    }
}
