//! Clients that wait for what does not come, and go: nothing of them stays, and what they began is finished.

use super::account::Account;
use super::raw;
use crate::common::proc;
use crate::common::wait::{self, LONG};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// More than the daemon serves at once (`CONNECTIONS_MAX`).
const WAITERS: usize = 200;
/// Names in one request that stand for nothing: the daemon keeps an answer to each until the request is answered.
const STRANGE_NAMES: usize = 1000;
/// Clients that leave such a request behind.
const LEAVERS: usize = 400;

/// Sends a request with a body.
fn post(socket: &Path, path: &str, body: &str) -> UnixStream {
    let mut stream = raw::connect(socket);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    sent.expect("the daemon reads");
    stream
}

fn reply(mut stream: UnixStream) -> String {
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("an answer, and the end");
    reply
}

#[test]
fn who_waits_and_goes_leaves_room_for_others() {
    let account = Account::new("waiters");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.start();
    account.running("web");
    let wait = r#"{"names":["web"],"until":"stopped"}"#;
    for _ in 0..WAITERS {
        drop(post(&account.socket(), "/v1/wait", wait));
    }
    assert!(raw::get(&account.socket(), "/v1/version").contains("\"api\":1"));
    // Who says that nothing more is sent still waits for the answer.
    let half_closed = post(&account.socket(), "/v1/wait", wait);
    half_closed.shutdown(Shutdown::Write).expect("a half-close");
    assert!(raw::get(&account.socket(), "/v1/version").contains("\"api\":1"));
    account.ok(&["stop", "web"]);
    let reply = reply(half_closed);
    assert_eq!(raw::status(&reply), "200", "{reply}");
    account.shutdown();
}

#[test]
fn nothing_is_kept_of_clients_that_have_gone() {
    let account = Account::new("leavers");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.start();
    account.running("web");
    let (socket, reactor) = (account.socket(), account.reactor());
    let memory = || -> u64 {
        let text = proc::status(reactor, "VmRSS").unwrap_or_default();
        text.trim_end_matches(" kB").trim().parse().expect("a size")
    };
    let strange: String = (0..STRANGE_NAMES).map(|number| format!(r#","no{number}""#)).collect();
    let wait = format!(r#"{{"names":["web"{strange}],"until":"stopped"}}"#);
    let leave = || {
        drop(post(&socket, "/v1/wait", &wait));
        // One after the other, so that each is served.
        assert!(raw::get(&socket, "/v1/version").contains("\"api\":1"));
    };
    (0..20).for_each(|_| leave());
    let before = memory();
    (0..LEAVERS).for_each(|_| leave());
    let now = memory();
    assert!(now < before + 16 * 1024, "grew from {before} kB to {now} kB");
    account.shutdown();
}

#[test]
fn a_restart_is_finished_though_nobody_waits_for_it_any_more() {
    let account = Account::new("forsaken");
    // Ends when the test says so, by a file.
    let end = account.sandbox.path("end");
    let script = format!(
        "trap 'while ! [ -e {0} ]; do sleep 0.05; done; rm {0}; exit' TERM; echo up; while :; do sleep 0.05; done",
        end.display()
    );
    let path = account.sandbox.text("slow.sh");
    account.sandbox.write("slow.sh", &script);
    account.program(
        "slow",
        &format!("command=/bin/sh {path}\nstartsecs=0\nstopwaitsecs=1000\nkillasgroup=false"),
    );
    account.start();
    let mut pid = account.running("slow");
    let socket = account.socket();
    for timeout in [r#","timeout_ms":1"#, ""] {
        wait::until(LONG, "the trap", || account.ok(&["tail", "slow"]).ends_with("up\n").then_some(()));
        let restart = post(&socket, "/v1/restart", &format!(r#"{{"names":["slow"],"wait":true{timeout}}}"#));
        if timeout.is_empty() {
            wait::until(LONG, "the stop", || {
                account.told(&["status", "slow"]).1.contains("STOPPING").then_some(())
            });
            drop(restart);
            assert!(raw::get(&socket, "/v1/version").contains("\"api\":1"));
        } else {
            let reply = reply(restart);
            assert!(reply.contains("timed_out"), "{reply}");
        }
        std::fs::write(&end, "").expect("our own file");
        let next = account.running("slow");
        assert_ne!(next, pid);
        pid = next;
    }
    std::fs::write(&end, "").expect("our own file");
    account.shutdown();
}
