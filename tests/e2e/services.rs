//! The fleet that people really have: Redis, nginx, a group of workers, Celery; as an ordinary user.

use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, need, proc};
use nix::sys::signal::Signal;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A request must be answered within this, once the service is RUNNING.
const ANSWER: Duration = Duration::from_secs(5);

fn redis_section(sandbox: &Sandbox, redis: &Path) -> String {
    let socket = sandbox.text("redis.sock");
    let (redis, dir) = (redis.display(), sandbox.dir().display());
    format!(
        "[program:redis]\ncommand={redis} --port 0 --unixsocket {socket} --dir {dir} --save '' --appendonly no\nstartsecs=1\npriority=10\n"
    )
}

/// nginx at a port, with these locations.
pub(super) fn nginx_section(sandbox: &Sandbox, nginx: &Path, port: u16, locations: &str) -> String {
    sandbox.mkdir("nginx");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path nginx/{kind};\n"))
        .concat();
    let text = format!(
        "daemon off;\nworker_processes 1;\npid nginx/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{temporary}\
         access_log off;\nserver {{ listen 127.0.0.1:{port}; {locations} }}\n}}\n"
    );
    let config = sandbox.write("nginx.conf", text);
    let (nginx, dir, config) = (nginx.display(), sandbox.dir().display(), config.display());
    format!("[program:nginx]\ncommand={nginx} -e stderr -p {dir}/ -c {config}\nstartsecs=1\n")
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Sends `question` and returns what comes back until `enough`.
fn ask(mut stream: impl std::io::Read + std::io::Write, question: &[u8], enough: &str) -> Option<String> {
    stream.write_all(question).ok()?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains(enough) {
        match stream.read(&mut part).ok()? {
            0 => return None,
            count => answer.extend_from_slice(&part[..count]),
        }
    }
    String::from_utf8(answer).ok()
}

fn redis_answers(sandbox: &Sandbox) -> Option<String> {
    let stream = UnixStream::connect(sandbox.path("redis.sock")).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    ask(stream, b"PING\r\n", "+PONG")
}

/// Returns the answer of nginx up to `enough`.
pub(super) fn nginx_answers(port: u16, enough: &str) -> Option<String> {
    page(port, "/", ANSWER, enough)
}

/// Asks for a page, and returns the answer up to `enough`.
pub(super) fn page(port: u16, path: &str, limit: Duration, enough: &str) -> Option<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    ask(stream, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes(), enough)
}

/// Kills a service the hard way and waits until its successor runs.
fn kill_and_await(daemon: &Daemon, name: &str) {
    let old = daemon.pid_of(name);
    proc::signal(old, Signal::SIGKILL);
    let told = daemon.wait_for(&format!("exited: {name} (terminated by SIGKILL; not expected)"));
    daemon.wait_after(told, &format!("success: {name} entered RUNNING state"));
    assert_ne!(daemon.pid_of(name), old);
}

#[test]
fn redis_nginx_and_a_worker_group_run_crash_and_come_back_as_an_ordinary_user() {
    let (Some(redis), Some(nginx)) = (need::tool("redis-server"), need::tool("nginx")) else { return };
    let port = free_port();
    let setup = Setup::new("services");
    let sections = [
        redis_section(&setup.sandbox, &redis),
        nginx_section(&setup.sandbox, &nginx, port, "location / { return 200 'served'; }"),
        "[program:worker]\ncommand=/usr/bin/python3 -uc \"import time; print('worker up'); time.sleep(1000)\"\n\
         process_name=%(program_name)s_%(process_num)d\nnumprocs=3\n"
            .to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    for name in ["redis", "nginx", "worker_0", "worker_1", "worker_2"] {
        let pid = daemon.wait_running(name);
        assert!(proc::alive(pid), "{name}");
    }
    wait::until(ANSWER, "an answer of redis", || redis_answers(&daemon.sandbox));
    wait::until(ANSWER, "an answer of nginx", || nginx_answers(port, "served"));

    let others = ["worker_0", "worker_2"].map(|name| daemon.pid_of(name));
    kill_and_await(&daemon, "redis");
    kill_and_await(&daemon, "worker_1");
    wait::until(ANSWER, "an answer of the second redis", || redis_answers(&daemon.sandbox));
    assert_eq!(["worker_0", "worker_2"].map(|name| daemon.pid_of(name)), others, "a sibling was restarted");
    // Its worker outlives a killed nginx and holds the port: it is cleaned away before the next start.
    if ours("left-overs are cleaned before a restart") {
        kill_and_await(&daemon, "nginx");
        wait::until(ANSWER, "an answer of the second nginx", || nginx_answers(port, "served"));
    }
    daemon.stop();
}

const TASKS: &str = "\
import pathlib, time
from celery import Celery
here = pathlib.Path(__file__).parent
app = Celery('tasks', broker='redis+socket://%s/redis.sock' % here)
app.conf.broker_connection_retry_on_startup = True
@app.task
def slow(name):
    (here / (name + '.started')).write_text('')
    time.sleep(4)
    (here / (name + '.done')).write_text('')
";

/// Gives the worker a task, and waits until it works on it.
fn begin_task(sandbox: &Sandbox, celery: &str, name: &str) {
    let arguments = format!("[\"{name}\"]");
    let words = ["-A", "tasks", "call", "tasks.slow", "--args", &arguments];
    let call = sandbox.command(celery).args(words).output().expect("celery call");
    assert!(call.status.success(), "{call:?}");
    let started = || sandbox.path(&format!("{name}.started")).exists().then_some(());
    wait::until(LONG, "the task to begin", started);
}

fn assert_done(sandbox: &Sandbox, name: &str) {
    let is_done = sandbox.path(&format!("{name}.done")).exists();
    assert!(is_done, "{name} was cut off:\n{}", sandbox.read("celery.log"));
}

#[test]
fn a_running_celery_task_is_finished_when_everything_restarts_and_when_the_daemon_stops() {
    let (Some(redis), Some(celery)) = (need::tool("redis-server"), need::venv("celery")) else { return };
    let setup = Setup::new("celery");
    setup.sandbox.write("tasks.py", TASKS);
    let celery = celery.display().to_string();
    // redis goes last: its priority is the lower one.
    let worker = format!(
        "[program:celery]\ncommand={celery} -A tasks worker --concurrency=2 --loglevel=info\nstopwaitsecs=600\nstartsecs=2\n\
         redirect_stderr=true\nstdout_logfile=%(here)s/celery.log\n"
    );
    let redis = redis_section(&setup.sandbox, &redis);
    let mut daemon = setup.start(&(redis + &worker));
    let entered = "success: celery entered RUNNING state";
    let first = daemon.wait_for(entered);
    begin_task(&daemon.sandbox, &celery, "restarted");
    daemon.signal(Signal::SIGHUP);
    let stopped = daemon.wait_long(first, Duration::from_secs(60), "stopped: celery (exit status 0)");
    assert_done(&daemon.sandbox, "restarted");

    daemon.wait_after(stopped, entered);
    begin_task(&daemon.sandbox, &celery, "stopped");
    daemon.signal(Signal::SIGTERM);
    daemon.wait_exit(Duration::from_secs(60));
    assert_done(&daemon.sandbox, "stopped");
    assert!(daemon.sandbox.processes().is_empty(), "left behind: {:?}", daemon.sandbox.processes());
}
