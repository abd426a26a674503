//! HTTP as supervisord's clients speak it, and what they do not have to be told twice.

use super::raw::{self, call, exchange, read_until, status, unix};
use super::world::{Kind, OPEN, World};
use crate::common::wait::{self, LONG};
use std::io::Write as _;

const CLOSE: &str = "Connection: close\r\n";

fn world(name: &str, sections: &str) -> World {
    World::start(Kind::Visord, name, &format!("{OPEN}{sections}")).expect("our own daemon")
}

#[test]
fn a_connection_lives_as_long_as_its_version_and_its_words_say() {
    let world = world("alive", "");
    let socket = world.socket();
    for (request, stays, says) in [
        (call("supervisor.getVersion", "Host: \r\n"), true, ""),
        (call("supervisor.getVersion", CLOSE), false, "Connection: close"),
        (call("supervisor.getVersion", "").replace("HTTP/1.1", "HTTP/1.0"), false, ""),
        (
            call("supervisor.getVersion", "Connection: Keep-Alive\r\n").replace("HTTP/1.1", "HTTP/1.0"),
            true,
            "Connection: Keep-Alive",
        ),
    ] {
        let mut wire = unix(&socket);
        wire.write_all(request.as_bytes()).expect("the daemon reads");
        let reply = read_until(&mut *wire, "</methodResponse>");
        assert_eq!(status(&reply), "200", "{request}: {reply}");
        assert!(reply.contains("Content-Type: text/xml") && reply.contains(says), "{request}: {reply}");
        if stays {
            // An empty line in front of a request is no request.
            wire.write_all(format!("\r\n{}", call("supervisor.getState", CLOSE)).as_bytes())
                .expect("it reads on");
            assert!(read_until(&mut *wire, "</methodResponse>").contains("RUNNING"));
        } else {
            assert_eq!(wire.read(&mut [0; 16]).expect("an end"), 0, "{request}");
        }
    }
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let world = world("pipeline", "");
    let two = call("supervisor.getState", "") + &call("supervisor.getVersion", CLOSE);
    let reply = exchange(unix(&world.socket()), two.as_bytes());
    let (state, version) = (reply.find("statename"), reply.find("<string>3.0</string>"));
    assert!(state.is_some() && state < version, "{reply}");
}

#[test]
fn each_wrong_request_has_the_status_of_supervisord_or_a_better_one() {
    let world = world("wrong", "[program:p]\ncommand=sleep 1000\n");
    let socket = world.socket();
    let with = |line: &str, rest: &str| format!("{line} HTTP/1.1\r\n{CLOSE}{rest}\r\n");
    for (request, expected) in [
        (with("GET /RPC2", ""), "400"),
        (with("PUT /RPC2", ""), "400"),
        (with("POST /RPC2", ""), "411"),
        (with("POST /RPC2", "Transfer-Encoding: chunked\r\n"), "411"),
        // supervisord never answers this one.
        (with("POST /RPC2", "Content-Length: 0\r\n"), "400"),
        (raw::post("not xml", CLOSE), "400"),
        (raw::post("<methodCall></methodCall>", CLOSE), "400"),
        (call("supervisor.getState", CLOSE).replace("/RPC2", "/RPC2foo/bar"), "200"),
        (with("GET /nope", ""), "404"),
        (with("GET /ok.html", ""), "200"),
        (with("POST /ok.html", "Content-Length: 0\r\n"), "400"),
        (with("GET /index.html?action=stopall", ""), "404"),
        (with("GET /?processname=p&action=stop", ""), "404"),
        (with("HEAD /", ""), "404"),
        (with("GET /../../etc/passwd", ""), "404"),
        (with("POST /logtail/p", "Content-Length: 0\r\n"), "400"),
        (with("GET /logtail", ""), "404"),
        (with("GET /logtail/unknown", ""), "404"),
        (with("GET /logtail/p/foo", ""), "404"),
        (with("GET /logtail/p:*", ""), "404"),
        // A server without a name asks nobody, whatever they send.
        (call("supervisor.getState", &format!("{CLOSE}Authorization: Basic Og==\r\n")), "200"),
        (call("supervisor.getState", &format!("{CLOSE}Authorization: Basic !!\r\n")), "200"),
    ] {
        let reply = exchange(unix(&socket), request.as_bytes());
        assert_eq!(status(&reply), expected, "{request}: {reply}");
    }
    let page = exchange(unix(&socket), with("GET /ok.html", "").as_bytes());
    assert!(page.contains("Content-Type: text/plain") && page.ends_with("\r\n\r\nOK"), "{page}");
}

#[test]
fn a_client_that_waits_for_leave_gets_it_and_one_without_the_password_does_not() {
    let locked = "[unix_http_server]\nfile=%(here)s/s.sock\nusername=user\npassword=123\n";
    let world = World::start(Kind::Visord, "leave", locked).expect("our own daemon");
    let head = "POST /RPC2 HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 70\r\n";
    let refused = exchange(unix(&world.socket()), format!("{head}\r\n").as_bytes());
    assert_eq!(status(&refused), "401", "{refused}");
    assert!(refused.contains("WWW-Authenticate: Basic realm=\"default\""), "{refused}");
    let mut wire = unix(&world.socket());
    wire.write_all(format!("{head}Authorization: Basic dXNlcjoxMjM=\r\n\r\n").as_bytes()).expect("it reads");
    read_until(&mut *wire, "HTTP/1.1 100 Continue\r\n\r\n");
    let body = "<methodCall><methodName>supervisor.getVersion</methodName></methodCall>";
    wire.write_all(&body.as_bytes()[..70]).expect("it reads");
    let reply = read_until(&mut *wire, "\r\n\r\n");
    // One byte of the call was kept back: it is no XML.
    assert_eq!((status(&reply), body.len()), ("400", 71), "{reply}");
}

#[test]
fn a_log_is_streamed_from_its_end_through_its_clearing() {
    let programs = "[program:öäü]\ncommand=cat\nstdout_logfile=%(here)s/p.log\n[program:silent]\ncommand=cat\n\
                    stdout_logfile=NONE\n";
    let log = "x".repeat(2000) + "…\n";
    let world = World::start_with(Kind::Visord, "logtail", &format!("{OPEN}{programs}"), &[("p.log", &log)]);
    let world = world.expect("our own daemon");
    for target in ["/logtail/öäü", "/logtail/öäü/stdout", "/logtail/%C3%B6%C3%A4%C3%BC%3A%C3%B6%C3%A4%C3%BC"]
    {
        let mut wire = unix(&world.socket());
        // As supervisorctl's client asks: no host, and one line end too many.
        wire.write_all(format!("GET {target} HTTP/1.1\r\nHost: \r\n\r\n\r\n").as_bytes()).expect("it reads");
        let begin = read_until(&mut *wire, "…\n");
        assert_eq!(status(&begin), "200", "{begin}");
        for header in
            ["Content-Type: text/plain;charset=utf-8", "Transfer-Encoding: chunked", "X-Accel-Buffering: no"]
        {
            assert!(begin.contains(header), "{begin}");
        }
        let body = begin.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        assert_eq!(body.matches('x').count(), 1024 - "…\n".len(), "the last 1024 bytes");
    }
    let mut wire = unix(&world.socket());
    wire.write_all("GET /logtail/öäü HTTP/1.0\r\n\r\n".as_bytes()).expect("it reads");
    let begin = read_until(&mut *wire, "…\n");
    assert!(begin.starts_with("HTTP/1.0 200") && !begin.contains("chunked"), "{begin}");
    std::fs::File::options().write(true).truncate(true).open(world.sandbox.path("p.log")).expect("the log");
    let body = "<methodCall><methodName>supervisor.sendProcessStdin</methodName><params><param><value>öäü</value></param>\
                <param><value>again\n</value></param></params></methodCall>";
    wait::until(LONG, "a program that reads", || {
        let reply = exchange(unix(&world.socket()), raw::post(body, CLOSE).as_bytes());
        reply.contains("<boolean>1</boolean>").then_some(())
    });
    assert!(read_until(&mut *wire, "again\n").contains("==> File truncated <==\n"));
    let mut main = unix(&world.socket());
    main.write_all(b"GET /mainlogtail HTTP/1.1\r\n\r\n").expect("it reads");
    assert!(!read_until(&mut *main, "spawned: 'silent'").contains("X-Accel-Buffering"));
    let none =
        exchange(unix(&world.socket()), format!("GET /logtail/silent HTTP/1.1\r\n{CLOSE}\r\n").as_bytes());
    assert_eq!(status(&none), "404", "{none}");
}

#[test]
fn who_sends_head_and_body_apart_is_told_why_it_is_refused() {
    let locked = "[unix_http_server]\nfile=%(here)s/s.sock\nusername=user\npassword=123\n";
    let world = World::start(Kind::Visord, "apart", locked).expect("our own daemon");
    let request = call("supervisor.getState", "");
    let (head, body) = request.split_at(request.find("<?xml").expect("a body"));
    let mut wire = unix(&world.socket());
    wire.write_all(head.as_bytes()).expect("it reads");
    // The head has been read by the time that another request was answered.
    exchange(unix(&world.socket()), call("supervisor.getState", CLOSE).as_bytes());
    wire.write_all(body.as_bytes()).expect("it is heard out");
    assert_eq!(status(&read_until(&mut *wire, "\r\n\r\n")), "401");
    // More than a call needs is not waited for.
    let large = "POST /RPC2 HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(status(&exchange(unix(&world.socket()), large.as_bytes())), "401");
}
