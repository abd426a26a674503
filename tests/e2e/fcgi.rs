//! FastCGI programs behind nginx: one socket, shared by all processes of a program, on a path and on a port.

use super::services::{free_port, nginx_answers, nginx_section};
use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, need, proc};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

/// Answers every request with its pid; flup takes descriptor 0 for its listening socket where that is one. Two
/// processes may be woken for one connection, and who comes too late must not wait in accept.
const APP: &str = "\
import os, socket
from flup.server.fcgi import WSGIServer
socket.socket(fileno=os.dup(0)).setblocking(False)
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'served by %d;' % os.getpid()]
WSGIServer(app).run()
";

const PARAMETERS: &str = "\
fastcgi_param REQUEST_METHOD $request_method; fastcgi_param SERVER_PROTOCOL $server_protocol;
fastcgi_param SERVER_NAME $server_name; fastcgi_param SERVER_PORT $server_port;
fastcgi_param SCRIPT_NAME $uri; fastcgi_param QUERY_STRING $query_string;
";

/// A program of two processes, and nginx in front of its socket, called `backend` by nginx.
fn sections(sandbox: &Sandbox, tools: [&Path; 2], port: u16, socket: &str, backend: &str) -> String {
    let [nginx, python] = tools;
    let locations = format!("location / {{ {PARAMETERS} fastcgi_pass {backend}; }}");
    let python = python.display();
    nginx_section(sandbox, nginx, port, &locations)
        + &format!(
            "[fcgi-program:app]\ncommand={python} app.py\nsocket={socket}\nnumprocs=2\n\
             process_name=%(program_name)s_%(process_num)d\n"
        )
}

fn answering_pid(port: u16) -> Option<i32> {
    let answer = nginx_answers(port, ";")?;
    answer.rsplit_once("served by ")?.1.trim_end_matches(';').parse().ok()
}

/// Asks until each of these has answered.
fn all_answer(port: u16, pids: [i32; 2]) {
    let mut seen = BTreeSet::new();
    wait::until(LONG, &format!("an answer of each of {pids:?}"), || {
        seen.extend(answering_pid(port));
        pids.iter().all(|pid| seen.contains(pid)).then_some(())
    });
}

/// Descriptor 0 of a process, which must be a socket.
fn socket_of(pid: i32) -> String {
    let target = proc::descriptors(pid).remove(&0).expect("descriptor 0");
    assert!(target.starts_with("socket:"), "{target}");
    target
}

/// What is promised for both kinds of sockets.
fn serve(setup: Setup, port: u16, sections: &str, group: &str) -> Daemon {
    let name = |number: u8| format!("app_{number}");
    let daemon = setup.file("app.py", APP).start(&(sections.to_owned() + group));
    let [first, second] = [0, 1].map(|number| {
        daemon.wait_for(&format!("success: {} entered RUNNING", name(number)));
        daemon.pid_of(&name(number))
    });
    daemon.wait_running("nginx");
    all_answer(port, [first, second]);
    let socket = socket_of(first);
    assert_eq!(socket_of(second), socket, "the same socket");
    if ours("a reactor") {
        let reactor = daemon.reactor();
        proc::signal(reactor, Signal::SIGKILL);
        daemon.next_reactor(reactor);
        all_answer(port, [first, second]);
    }
    // One of the two is started again, by the new reactor: with the socket that the old one had bound.
    let mark = daemon.mark();
    proc::signal(first, Signal::SIGKILL);
    daemon.wait_after(mark, &format!("success: {} entered RUNNING", name(0)));
    let third = daemon.pid_of(&name(0));
    assert_ne!(third, first);
    assert_eq!(socket_of(third), socket, "the socket outlived a process");
    assert!(proc::alive(second));
    all_answer(port, [third, second]);
    daemon
}

/// The lines of the log about the socket, without time and level.
fn socket_lines(lines: &[String]) -> Vec<String> {
    let found = lines.iter().filter_map(|line| line.split_once(" INFO ").map(|(_, text)| text.to_owned()));
    found.filter(|text| text.contains("ing socket ")).collect()
}

#[test]
fn processes_behind_nginx_share_a_unix_socket_over_a_killed_reactor() {
    let (Some(nginx), Some(python)) = (need::tool("nginx"), need::venv("python3")) else { return };
    let (setup, port) = (Setup::new("fcgi-unix"), free_port());
    let path = setup.sandbox.text("app.sock");
    // A stale socket of an earlier daemon is no hindrance.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    setup.sandbox.own(Path::new(&path));
    let url = format!("unix://{path}");
    let text = sections(
        &setup.sandbox,
        [&nginx, &python],
        port,
        &format!("{url}\nsocket_mode=0660"),
        &format!("unix:{path}"),
    );
    let daemon = serve(setup, port, &text, "");
    let found = std::fs::metadata(&path).expect("the socket");
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o7777, 0o660);
    let lines = socket_lines(&daemon.stop());
    // Tried once when the group comes into force, as supervisord does.
    let expected = ["Creating", "Closing", "Creating", "Closing"].map(|deed| format!("{deed} socket {url}"));
    assert_eq!(lines, expected);
}

#[test]
fn processes_behind_nginx_share_a_port_inside_a_group() {
    // supervisord gives a program of a group no socket.
    if !ours("fcgi-programs in groups") {
        return;
    }
    let (Some(nginx), Some(python)) = (need::tool("nginx"), need::venv("python3")) else { return };
    let (setup, port, backend) = (Setup::new("fcgi-tcp"), free_port(), free_port());
    let place = format!("127.0.0.1:{backend}");
    let text = sections(&setup.sandbox, [&nginx, &python], port, &format!("tcp://{place}"), &place);
    let daemon = serve(setup, port, &text, "[group:site]\nprograms=nginx,app\n");
    daemon.stop();
}

#[test]
fn php_behind_nginx_takes_the_socket_as_descriptor_0() {
    let (Some(nginx), Some(php)) = (need::tool("nginx"), need::tool("php-cgi")) else { return };
    let (setup, port) = (Setup::new("fcgi-php"), free_port());
    let (backend, page) = (setup.sandbox.text("php.sock"), setup.sandbox.text("index.php"));
    let locations = format!(
        "location / {{ {PARAMETERS} fastcgi_param SCRIPT_FILENAME {page}; fastcgi_pass unix:{backend}; }}"
    );
    let text = nginx_section(&setup.sandbox, &nginx, port, &locations)
        + &format!(
            "[fcgi-program:php]\ncommand={}\nsocket=unix://{backend}\nsocket_mode=0600\nnumprocs=2\n\
             process_name=%(program_name)s_%(process_num)d\n",
            php.display()
        );
    let daemon = setup.file("index.php", "<?php echo 'served by ', getmypid(), ';';").start(&text);
    let pids = ["php_0", "php_1"].map(|name| {
        daemon.wait_for(&format!("success: {name} entered RUNNING"));
        daemon.pid_of(name)
    });
    daemon.wait_running("nginx");
    wait::until(LONG, "an answer", || answering_pid(port));
    assert!(answering_pid(port).is_some_and(|pid| pids.contains(&pid)), "one of {pids:?}");
    // The one that comes anew has the socket too: it alone can answer while the other one is stopped.
    let mark = daemon.mark();
    proc::signal(pids[1], Signal::SIGSTOP);
    proc::signal(pids[0], Signal::SIGKILL);
    daemon.wait_after(mark, "success: php_0 entered RUNNING");
    let again = daemon.pid_of("php_0");
    wait::until(LONG, "an answer of the new one", || answering_pid(port).filter(|found| *found == again));
    proc::signal(pids[1], Signal::SIGCONT);
    daemon.stop();
}

#[test]
fn a_socket_that_cannot_be_opened_ends_the_start_with_words() {
    let setup = Setup::new("fcgi-bad");
    let socket = format!("unix://{}", setup.sandbox.text("no/such/directory/s"));
    setup.sandbox.config("", &format!("[fcgi-program:app]\ncommand=cat\nsocket={socket}\n"));
    if !ours("exit codes of bad sockets") {
        return;
    }
    let output = setup.run(&["-n", "-c", "visord.conf"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let words = format!("Error: Could not create FastCGI socket {socket}: cannot bind ");
    assert!(said.contains(&words) && said.contains("No such file or directory"), "{said}");
}

#[test]
fn a_socket_that_is_lost_later_is_a_failed_start_that_is_tried_again() {
    if !ours("the text of a failed bind") {
        return;
    }
    let setup = Setup::new("fcgi-late");
    setup.sandbox.mkdir("sockets");
    let socket = format!("unix://{}", setup.sandbox.text("sockets/s"));
    let daemon = setup.start(&format!(
        "[fcgi-program:app]\ncommand=sleep 1000\nsocket={socket}\nautorestart=true\nstartretries=100\n"
    ));
    let first = daemon.wait_running("app");
    std::fs::remove_dir_all(daemon.sandbox.path("sockets")).expect("removed");
    proc::signal(first, Signal::SIGKILL);
    let told = daemon.wait_for(&format!("spawnerr: Could not create FastCGI socket {socket}"));
    daemon.sandbox.mkdir("sockets");
    daemon.wait_after(told, "success: app entered RUNNING state");
    socket_of(daemon.pid_of("app"));
    daemon.stop();
}
