//! Real event listeners: the same recorder on supervisord and on visord, and superlance's programs at their jobs.

use crate::common::daemon::Setup;
use crate::common::recorder::{self, Noted};
use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, need};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

/// Programs whose lives are told by events, and what is waited for at the end of each.
const PROGRAMS: &str = "[program:good]\ncommand=sh -c 'sleep 1.5; exit 0'\nautorestart=unexpected\n\
     [program:bad]\ncommand=sh -c 'sleep 1.5; exit 3'\nautorestart=false\n\
     [program:short]\ncommand=sh -c 'exit 1'\nstartretries=1\n\
     [program:absent]\ncommand=/no/such/command\nstartretries=1\n\
     [program:steady]\ncommand=sleep 1000\nstartsecs=0\n\
     [group:pair]\nprograms=one,two\n[program:one]\ncommand=sleep 1000\n[program:two]\ncommand=sleep 1000\n\
     [program:talker]\ncommand=sh talker.sh\nautorestart=false\nstdout_events_enabled=true\n\
     stderr_events_enabled=true\n\
     [program:capture]\ncommand=sh capture.sh\nautorestart=false\nstdout_capture_maxbytes=1000\n";

/// Writes with pauses, so that each piece is read for itself, and after it is RUNNING, which supervisord may notice a
/// second late; with letters, and with what is no text.
const TALKER: &str = "sleep 2.5; echo first; sleep 0.5; printf 'h\\303\\251\\n'; sleep 0.5; echo error >&2; sleep 0.5\n\
     printf '\\377\\n'; sleep 0.5\n";

const CAPTURE: &str = "sleep 2.5; printf '<!--XSUPERVISOR:BEGIN-->h\\303\\251<!--XSUPERVISOR:END-->\\n'; sleep 0.5\n\
     printf '<!--XSUPERVISOR:BEGIN-->\\377<!--XSUPERVISOR:END-->and more behind it\\n'; sleep 0.5\n";

/// The last event of each program.
const LAST: [(&str, &str); 9] = [
    ("PROCESS_STATE_EXITED", "processname:good"),
    ("PROCESS_STATE_EXITED", "processname:bad"),
    ("PROCESS_STATE_FATAL", "processname:short"),
    ("PROCESS_STATE_FATAL", "processname:absent"),
    ("PROCESS_STATE_RUNNING", "processname:steady"),
    ("PROCESS_STATE_RUNNING", "processname:one"),
    ("PROCESS_STATE_RUNNING", "processname:two"),
    ("PROCESS_STATE_EXITED", "processname:talker"),
    ("PROCESS_STATE_EXITED", "processname:capture"),
];

fn sections(sandbox: &Sandbox, python: &str) -> String {
    let command = recorder::command(sandbox, python, "notes", "");
    sandbox.write("talker.sh", TALKER);
    sandbox.write("capture.sh", CAPTURE);
    format!("{PROGRAMS}[eventlistener:rec]\ncommand={command}\nevents=EVENT\nbuffer_size=1000\n")
}

/// Returns, by program or else by name, what was told of it: process ids, numbers and times masked.
fn told(notes: &[Noted]) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for note in notes.iter().filter(|note| !note.value("eventname").starts_with("TICK")) {
        let name = note.payload.split_whitespace().find_map(|word| word.strip_prefix("processname:"));
        let words: Vec<String> = note.payload.split(' ').map(masked).collect();
        let keys: Vec<&str> = note.header.iter().map(|(key, _)| key.as_str()).collect();
        let line = format!("{} {} {}", keys.join(","), note.value("eventname"), words.join(" "));
        told.entry(name.unwrap_or_default().to_owned()).or_default().push(line);
    }
    told
}

/// A pid may be followed by the payload's data, as `\n` and the rest.
fn masked(word: &str) -> String {
    match word.strip_prefix("pid:").map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit())) {
        Some(rest) => format!("pid:N{rest}"),
        None => word.to_owned(),
    }
}

fn wait_for_all(sandbox: &Sandbox) -> BTreeMap<String, Vec<String>> {
    for (event, payload) in LAST {
        recorder::wait_for(sandbox, "notes", event, payload);
    }
    told(&recorder::notes(sandbox, "notes"))
}

/// A program of ours that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_same_listener_hears_the_same_of_each_program_from_supervisord_and_from_visord() {
    let (Some(python), Some(supervisord)) = (need::venv("python3"), need::venv("supervisord")) else {
        return;
    };
    let python = python.display().to_string();
    let setup = Setup::new("record-ours");
    let theirs = Setup::new("record-theirs").sandbox;
    theirs.config("", &sections(&theirs, &python));
    let mut command = theirs.command(&python);
    command.arg(supervisord).args(["-n", "-c", "visord.conf"]);
    let _reference = Ended(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("supervisord"));
    let sections = sections(&setup.sandbox, &python);
    let daemon = setup.start(&sections);
    let (ours, theirs) = (wait_for_all(&daemon.sandbox), wait_for_all(&theirs));
    assert_eq!(ours, theirs);
    daemon.stop();
}

#[test]
fn superlances_crashmail_reports_a_crash() {
    let Some(crashmail) = need::venv("crashmail") else { return };
    let setup = Setup::new("crashmail");
    let mail = setup.sandbox.text("mail");
    let section = format!(
        "[unix_http_server]\nfile=%(here)s/sock\n\
         [eventlistener:crashmail]\ncommand={} -a -m root@localhost -s \"/bin/sh -c 'cat >> {mail}'\"\n\
         events=PROCESS_STATE_EXITED\n[program:web]\ncommand=sh -c 'sleep 1.2; exit 5'\nautorestart=false\n",
        crashmail.display()
    );
    let daemon = setup.start(&section);
    let sent = || Some(daemon.sandbox.read("mail")).filter(|text| text.contains("exited unexpectedly"));
    let text = wait::until(LONG, "a mail", sent);
    let pid = daemon.pid_of("web");
    assert!(text.contains("To: root@localhost") && text.contains(&format!("(pid {pid})")), "{text}");
    assert_eq!(daemon.count("crashmail: has entered the UNKNOWN state"), 0);
    daemon.stop();
}

/// A mail server that writes what it gets into a file, and its port into another.
const MAIL_SERVER: &str = r#"
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(server.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    client, _ = server.accept()
    lines, in_data = client.makefile("rw", newline="\r\n"), False
    def say(text):
        lines.write(text + "\r\n"); lines.flush()
    say("220 here")
    for line in lines:
        word = line[:4].upper().strip()
        if in_data:
            with open(sys.argv[2], "a") as file:
                file.write(line.replace("\r\n", "\n"))
            if line == ".\r\n":
                in_data = False
                say("250 taken")
        elif word == "DATA":
            in_data = True
            say("354 go on")
        elif word == "QUIT":
            say("221 bye"); break
        else:
            say("250 fine")
    client.close()
"#;

fn batch_mail(program: &str, subject: &str, section: &str, words: &[&str]) {
    let Some(monitor) = need::venv(program) else { return };
    let setup = Setup::new(program);
    let script = setup.sandbox.write("mail_server.py", MAIL_SERVER);
    let mut command: Command = setup.sandbox.command("/usr/bin/python3");
    let server = Ended(command.arg(script).args(["port", "mail"]).spawn().expect("python3"));
    let port =
        wait::until(LONG, "a port", || Some(setup.sandbox.read("port")).filter(|port| !port.is_empty()));
    let sections = format!(
        "[unix_http_server]\nfile=%(here)s/sock\n\
         [eventlistener:monitor]\ncommand={} --toEmail=you@localhost --fromEmail=me@localhost --smtpHost=127.0.0.1:{port} \
         --tickEvent=TICK_5 --interval=0.05\nevents=PROCESS_STATE,TICK_5\nbuffer_size=100\n{section}",
        monitor.display()
    );
    let daemon = setup.start(&sections);
    let sent = || {
        let text = daemon.sandbox.read("mail");
        (text.contains(subject) && words.iter().all(|word| text.contains(word))).then_some(())
    };
    wait::until(LONG, &format!("a mail with {subject}, {words:?}"), sent);
    assert_eq!(daemon.count("monitor: has entered the UNKNOWN state"), 0);
    drop(server);
    daemon.stop();
}

#[test]
fn superlances_crashmailbatch_reports_crashes_together() {
    let programs = "[program:one]\ncommand=sh -c 'sleep 1.2; exit 5'\nautorestart=false\n\
                    [program:two]\ncommand=sh -c 'sleep 1.2; exit 6'\nautorestart=false\n";
    batch_mail("crashmailbatch", "Subject: Crash alert", programs, &["Process one:one", "Process two:two"]);
}

#[test]
fn superlances_fatalmailbatch_reports_programs_that_are_given_up() {
    let program = "[program:lost]\ncommand=sh -c 'exit 1'\nstartretries=0\n";
    batch_mail(
        "fatalmailbatch",
        "Subject: Fatal start alert",
        program,
        &["Process lost:lost failed to start"],
    );
}

/// Runs a monitor of superlance that is to restart `web`, over XML-RPC.
fn restarts_web(program: &str, words: &str) {
    let Some(monitor) = need::venv(program) else { return };
    let setup = Setup::new(program);
    let sections = format!(
        "[unix_http_server]\nfile=%(here)s/sock\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [eventlistener:monitor]\ncommand={} {words}\nevents=TICK_5\n[program:web]\ncommand=sleep 1000\n",
        monitor.display()
    );
    let daemon = setup.start(&sections);
    let stopped = daemon.wait_for("stopped: web (terminated by SIGTERM)");
    daemon.wait_after(stopped, "success: web entered RUNNING state");
    assert_eq!(daemon.count("monitor: has entered the UNKNOWN state"), 0);
    daemon.stop();
}

#[test]
fn superlances_memmon_restarts_a_program_that_takes_too_much_memory() {
    restarts_web("memmon", "-p web=1KB");
}

#[test]
fn superlances_httpok_restarts_a_program_that_does_not_answer() {
    restarts_web("httpok", "-p web -t 1 -e http://127.0.0.1:1/");
}

#[test]
fn an_event_that_a_client_sends_reaches_listeners() {
    let Some(python) = need::venv("python3") else { return };
    let python = python.display().to_string();
    let setup = Setup::new("remote");
    setup.sandbox.write(
        "send.py",
        "import os\nfrom supervisor import childutils\n\
         print(childutils.getRPCInterface(os.environ).supervisor.sendRemoteCommEvent('greeting', 'h\u{e9}llo'))\n",
    );
    let command = recorder::command(&setup.sandbox, &python, "notes", "");
    let sections = format!(
        "[unix_http_server]\nfile=%(here)s/sock\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [eventlistener:rec]\ncommand={command}\nevents=REMOTE_COMMUNICATION\n\
         [program:send]\ncommand={python} send.py\ndirectory=%(here)s\nstartsecs=0\nautorestart=false\n"
    );
    let daemon = setup.start(&sections);
    let noted = recorder::wait_for(&daemon.sandbox, "notes", "REMOTE_COMMUNICATION", "greeting");
    assert_eq!((noted.payload.as_str(), noted.value("len")), ("type:greeting\\nh\u{e9}llo", "19"));
    daemon.stop();
}
