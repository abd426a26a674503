//! A container as people build them: an entry point writes the configuration, becomes `supervisord` as PID 1, and a
//! web server, a store and a backend run under it.

use super::services::{free_port, nginx_answers, nginx_section};
use crate::common::daemon::Setup;
use crate::common::wait::{self, LONG};
use crate::common::{Who, need, proc};
use nix::sys::signal::Signal;
use std::fmt::Write as _;

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
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[eventlistener:stdout]
command=/usr/bin/python3 -c \"import sys; print('READY', flush=True); sys.stdin.read()\"
buffer_size=1000
events=PROCESS_LOG
result_handler=supervisor_stdout:event_handler
[include]
files=conf.d/*.conf nginx.ini
";

#[test]
fn an_image_with_its_entry_point_runs_as_pid_1_and_ends_with_its_backend() {
    if !need::root() {
        return;
    }
    let (Some(_), Some(nginx)) = (need::tool("redis-server"), need::tool("nginx")) else { return };
    let setup = Setup::of("container", Who::Ordinary);
    let [front, backend, admin] = [free_port(), free_port(), free_port()];
    let sandbox = &setup.sandbox;
    // nginx passes requests on to the backend.
    let locations = format!("location / {{ proxy_pass http://127.0.0.1:{backend}; }}");
    sandbox.write("nginx.ini", nginx_section(sandbox, &nginx, front, &locations) + "priority=20\n");
    sandbox.write("supervisord.conf", CONFIGURATION);
    sandbox.write("index.html", "page of the backend;");
    sandbox.script("entry.sh", ENTRY_POINT);
    std::fs::hard_link(sandbox.daemon_binary(), sandbox.path("supervisord")).expect("a link");
    let (uid, gid) = Who::Ordinary.ids().expect("the tests run as root");
    let log = sandbox.text("log");
    let mut words = String::from("unshare --pid --fork --mount-proc setpriv --clear-groups");
    let _ =
        write!(words, " --reuid {uid} --regid {gid} env LOG_DIR={log} ADMIN_PORT={admin} ADMIN_USER=admin");
    let _ = write!(words, " ADMIN_PASSWORD=secret BACKEND_PORT={backend} ./entry.sh");
    let words: Vec<&str> = words.split(' ').collect();
    // The wrapper runs the daemon by itself.
    let mut daemon = setup.wrapped_by_root(&words).start_with(&[]);
    daemon.wait_for("supervisord started with pid 1");
    for name in ["redis", "backend", "nginx", "stdout"] {
        daemon.wait_for(&format!("success: {name} entered RUNNING state"));
    }
    wait::until(LONG, "a page through nginx", || nginx_answers(front, "page of the backend;"));
    let init = proc::children(daemon.keeper())[0];
    let is_backend = |pid: &i32| proc::command_line(*pid).iter().any(|word| word == "http.server");
    let running = proc::children(init).into_iter().find(is_backend).expect("the backend");
    // An unexpected end is followed by a restart, as without essential=.
    let mark = daemon.mark();
    proc::signal(running, Signal::SIGKILL);
    daemon.wait_after(mark, "success: backend entered RUNNING state");
    wait::until(LONG, "a page after the restart", || nginx_answers(front, "page of the backend;"));
    // `docker stop`.
    proc::signal(init, Signal::SIGTERM);
    assert_eq!(daemon.wait_exit(LONG).code(), Some(0));
    for name in ["redis", "backend", "nginx", "stdout"] {
        daemon.wait_for(&format!("stopped: {name} ("));
    }
}
