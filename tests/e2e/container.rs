//! A container as people build them: an entry point writes the configuration, becomes `supervisord` as PID 1, and a
//! web server, a store, a backend and an admin page run under it.

use super::services::{free_port, nginx_answers, nginx_section, page};
use crate::common::daemon::{Daemon, Setup};
use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, Who, need, proc};
use nix::sys::signal::Signal;
use std::path::Path;

/// Writes a file for each program from what the container was told, then becomes the daemon.
const ENTRY_POINT: &str = "\
#!/bin/sh
set -eu
mkdir -p conf.d log data
printf '[program:redis]\\ncommand=redis-server --port 0 --unixsocket %s/data/redis.sock --save \"\"\\npriority=5\\n' \
  \"$PWD\" >conf.d/redis.conf
printf '[program:backend]\\ncommand=/usr/bin/python3 -u -m http.server --bind 127.0.0.1 %%(ENV_BACKEND_PORT)s\\n%s\\n' \
  'redirect_stderr=true
stdout_events_enabled=true
priority=10
essential=daemon' >conf.d/backend.conf
printf '[program:page]\\ncommand=/usr/bin/python3 -u page.py %%(ENV_PAGE_PORT)s %%(ENV_CLIENTS)s\\n%s\\n' \
  'stderr_events_enabled=true
priority=15' >conf.d/page.conf
exec ./supervisord -n -c ./supervisord.conf
";

/// The style of such images: variables everywhere, a port for an admin page, output through a listener.
const CONFIGURATION: &str = "\
[supervisord]
nodaemon=true
logfile=%(ENV_LOG_DIR)s/supervisord.log
pidfile=%(ENV_LOG_DIR)s/supervisord.pid
childlogdir=%(ENV_LOG_DIR)s
loglevel=info
[inet_http_server]
port=127.0.0.1:%(ENV_ADMIN_PORT)s
username=%(ENV_ADMIN_USER)s
password=%(ENV_ADMIN_PASSWORD)s
[supervisorctl]
serverurl=http://127.0.0.1:%(ENV_ADMIN_PORT)s
username=%(ENV_ADMIN_USER)s
password=%(ENV_ADMIN_PASSWORD)s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[eventlistener:stdout]
command=supervisor_stdout
buffer_size=100
events=PROCESS_LOG
result_handler=supervisor_stdout:event_handler
[include]
files=conf.d/*.conf nginx.ini
";

/// What the package of that name does: it answers an event with the event. The published one is for Python 2.
const SUPERVISOR_STDOUT: &str = "\
#!/usr/bin/python3
import sys
while True:
    print('READY', flush=True)
    head = dict(word.split(':', 1) for word in sys.stdin.readline().split())
    if not head:
        break
    data = sys.stdin.read(int(head['len']))
    sys.stdout.write('RESULT %d\\n%s' % (len(data.encode()), data))
";

/// An admin page that restarts the backend with each of the clients that it is told.
const PAGE: &str = "\
import http.server, subprocess, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        for client in sys.argv[2:]:
            words = [client, '-c', 'supervisord.conf', 'restart', 'backend']
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.wfile.write(done.stdout + b'exit %d\\n' % done.returncode)
        self.wfile.write(b'over;')
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Page).serve_forever()
";

const PROGRAMS: [&str; 5] = ["redis", "backend", "page", "nginx", "stdout"];

/// Everything that is copied into the image.
fn image(sandbox: &Sandbox, nginx: &Path, ports: [u16; 3]) {
    let [front, backend, page] = ports;
    let locations = format!(
        "location / {{ proxy_pass http://127.0.0.1:{backend}; }}\n\
         location /admin {{ proxy_pass http://127.0.0.1:{page}; }}"
    );
    sandbox.write("nginx.ini", nginx_section(sandbox, nginx, front, &locations) + "priority=20\n");
    sandbox.write("supervisord.conf", CONFIGURATION);
    sandbox.write("index.html", "page of the backend;");
    sandbox.write("page.py", PAGE);
    sandbox.script("entry.sh", ENTRY_POINT);
    sandbox.script("supervisor_stdout", SUPERVISOR_STDOUT);
    sandbox.linked(&sandbox.client_binary(), "supervisorctl");
    std::fs::hard_link(sandbox.daemon_binary(), sandbox.path("supervisord")).expect("a link");
}

/// Starts the image in a PID namespace, with the clients that its admin page calls.
fn start(setup: Setup, ports: [u16; 3], clients: &str) -> Daemon {
    let [admin, backend, page] = ports.map(|port| port.to_string());
    let sandbox = &setup.sandbox;
    let (uid, gid) = Who::Ordinary.ids().expect("the tests run as root");
    let (uid, gid, log) = (uid.to_string(), gid.to_string(), sandbox.text("log"));
    let path = format!("{}:{}", sandbox.dir().display(), std::env::var("PATH").unwrap_or_default());
    let words = ["unshare", "--pid", "--fork", "--mount-proc", "setpriv", "--clear-groups", "--reuid", &uid];
    // The wrapper runs the daemon by itself.
    setup
        .wrapped_by_root(&[&words[..], &["--regid", &gid, "./entry.sh"]].concat())
        .env("PATH", &path)
        .env("LOG_DIR", &log)
        .env("ADMIN_PORT", &admin)
        .env("ADMIN_USER", "admin")
        .env("ADMIN_PASSWORD", "secret")
        .env("BACKEND_PORT", &backend)
        .env("PAGE_PORT", &page)
        .env("CLIENTS", clients)
        .start_with(&[])
}

/// The backend, as the machine knows it.
fn backend_of(init: i32) -> Option<i32> {
    let is_backend = |pid: &i32| proc::command_line(*pid).iter().any(|word| word == "http.server");
    proc::children(init).into_iter().find(is_backend)
}

#[test]
fn an_image_runs_as_pid_1_shows_output_and_its_admin_page_restarts_its_backend() {
    if !need::root() {
        return;
    }
    let (Some(_), Some(nginx)) = (need::tool("redis-server"), need::tool("nginx")) else { return };
    let setup = Setup::of("container", Who::Ordinary);
    let [front, backend, page_port, admin] = [(); 4].map(|()| free_port());
    image(&setup.sandbox, &nginx, [front, backend, page_port]);
    // Ours by its name, and the real one where there is one.
    let theirs = need::venv("supervisorctl").map(|client| client.display().to_string());
    let clients: Vec<&str> = std::iter::once("supervisorctl").chain(theirs.as_deref()).collect();
    let mut daemon = start(setup, [admin, backend, page_port], &clients.join(" "));
    daemon.wait_for("supervisord started with pid 1");
    for name in PROGRAMS {
        daemon.wait_for(&format!("success: {name} entered RUNNING state"));
    }
    wait::until(LONG, "a page through nginx", || nginx_answers(front, "page of the backend;"));
    let shown = |text: &str| daemon.errors().iter().any(|line| line.contains(text)).then_some(());
    wait::until(LONG, "the backend's output", || shown("backend stdout | 127.0.0.1 - - ["));

    let init = proc::children(daemon.keeper())[0];
    let running = wait::until(LONG, "the backend", || backend_of(init));
    // Its server may still be coming up: nginx says so at once, and nothing was restarted then.
    let told = wait::until(LONG, "a page of the admin", || page(front, "/admin", LONG, "over;"));
    let each = "backend: stopped\nbackend: started\nexit 0\n";
    assert!(told.ends_with(&(each.repeat(clients.len()) + "over;")), "{told}");
    let restarted = wait::until(LONG, "the new backend", || backend_of(init));
    assert_ne!(restarted, running);
    wait::until(LONG, "the page's output", || shown("page stderr | 127.0.0.1 - - ["));

    // An unexpected end is followed by a restart, as without essential=.
    let mark = daemon.mark();
    proc::signal(restarted, Signal::SIGKILL);
    daemon.wait_after(mark, "success: backend entered RUNNING state");
    wait::until(LONG, "a page after the restart", || nginx_answers(front, "page of the backend;"));
    // `docker stop`.
    proc::signal(init, Signal::SIGTERM);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
    for name in PROGRAMS {
        daemon.wait_for(&format!("stopped: {name} ("));
    }
}
