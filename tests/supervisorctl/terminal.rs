//! The shell on a terminal: editing, completion, history, questions, Ctrl-C, and nothing raw of what others wrote.

use super::upstream::Upstream;
use crate::common::need;
use crate::common::pty::Pty;

const PROGRAMS: &str = "
[program:cat]
command=/bin/cat
startsecs=0
[program:pair]
command=/bin/cat
process_name=%(process_num)d
numprocs=2
startsecs=0
[program:hostile]
command=/bin/sh -c 'printf \"\\033[31mred\\033[0m \\033[2J\\n\"; exec sleep 1000'
startsecs=0
";

const PROMPT: &str = "supervisor> ";
const TAB: &str = "\t";
const UP: &str = "\x1b[A";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

fn daemon(name: &str, server: &str) -> Option<Upstream> {
    let daemon = Upstream::start(name, server, PROGRAMS)?;
    daemon.wait_for("entered RUNNING state", 4);
    Some(daemon)
}

fn shell(daemon: &Upstream) -> Pty {
    let mut shell = Pty::start(&mut daemon.command(&daemon.ours(), &[]));
    shell.wait_for("pair:1");
    shell.wait_for(PROMPT);
    shell
}

#[test]
fn names_are_completed_and_lines_edited() {
    let Some(daemon) = daemon("sctl-tab", "") else { return };
    let mut shell = shell(&daemon);
    for (typed, shown) in [
        (&["vers", TAB, "\r"][..], "4.3.0\r\n"),
        (&["stop c", TAB, "\r"], "cat: stopped\r\n"),
        (&["start pair:1 ca", TAB, "\r"], "cat: started\r\n"),
        (&["remove h", TAB, "\r"], "still running: hostile\r\n"),
        (&["hepl\x7f\x7flp nope\r"], "*** No help on nope\r\n"),
    ] {
        typed.iter().for_each(|keys| shell.type_in(keys));
        shell.wait_for(shown);
        shell.wait_for(PROMPT);
    }
    shell.type_in("stop pair:");
    shell.type_in(TAB);
    shell.type_in(TAB);
    shell.wait_for("pair:*");
    shell.type_in("*\r");
    shell.wait_for(": stopped\r\n");
    shell.wait_for(": stopped\r\n");
    shell.wait_for(PROMPT);
    shell.type_in(CTRL_D);
    let (rest, code) = shell.finish();
    assert!(rest.ends_with("\r\n"), "{rest:?}");
    assert_eq!(code, Some(0));
}

#[test]
fn lines_are_remembered_between_sessions() {
    let Some(daemon) = daemon("sctl-history", "history_file=%(here)s/history") else { return };
    let mut first = shell(&daemon);
    first.type_in("pid nope\r");
    first.wait_for("No such process nope");
    first.wait_for(PROMPT);
    first.type_in("quit\r");
    assert_eq!(first.finish().1, Some(0));
    assert_eq!(daemon.sandbox.read("history"), "pid nope\nquit\n");
    let mut second = shell(&daemon);
    second.type_in(UP);
    second.type_in(UP);
    second.type_in("\r");
    second.wait_for("No such process nope");
    second.wait_for(PROMPT);
    second.type_in(CTRL_C);
    assert_eq!(second.finish().1, Some(0), "a shell has no other exit code");
}

#[test]
fn what_cannot_be_taken_back_is_asked_about() {
    let Some(daemon) = daemon("sctl-ask", "") else { return };
    let mut shell = shell(&daemon);
    for answer in ["n\r", "\r"] {
        shell.type_in("shutdown\r");
        shell.wait_for("y/N? ");
        shell.type_in(answer);
        shell.wait_for(PROMPT);
    }
    assert_eq!(daemon.run(&["status", "cat"]).code, Some(0));
    shell.type_in("shutdown\r");
    shell.wait_for("y/N? ");
    shell.type_in("yes\r");
    shell.wait_for("Shut down\r\n");
    daemon.wait_gone();
    shell.type_in("status\r");
    shell.wait_for("s.sock no such file\r\n");
    shell.type_in("quit\r");
    assert_eq!(shell.finish().1, Some(0));
}

#[test]
fn a_daemon_that_wants_a_password_is_given_what_is_typed_and_nobody_sees_it() {
    let (Some(daemon), Some(setsid)) =
        (daemon("sctl-login", "username=me\npassword=word"), need::tool("setsid"))
    else {
        return;
    };
    let url = format!("unix://{}", daemon.sandbox.text("s.sock"));
    // In a session of its own, whose terminal it is: there passwords are asked for.
    let mut command = daemon.sandbox.command(setsid);
    command.arg("-c").arg(daemon.ours()).args(["-s", &url]);
    let mut shell = Pty::start(&mut command);
    for word in ["wrong", "word"] {
        shell.wait_for("Server requires authentication\r\nUsername:");
        shell.type_in("me\r");
        shell.wait_for("Password:");
        shell.type_in(&format!("{word}\r"));
    }
    shell.wait_for("RUNNING");
    shell.wait_for(PROMPT);
    shell.type_in("version\r");
    shell.wait_for("4.3.0");
    shell.type_in("exit\r");
    let (rest, code) = shell.finish();
    assert!(!rest.contains("word"), "{rest:?}");
    assert_eq!(code, Some(0));
    let said = daemon.run(&["-s", &url, "-p", "bad", "status"]);
    assert_eq!((said.code, said.out.lines().next()), (Some(1), Some("Server requires authentication")));
}

#[test]
fn nothing_that_a_program_wrote_reaches_a_terminal_raw() {
    let Some(daemon) = daemon("sctl-raw", "") else { return };
    let (text, code) = Pty::start(&mut daemon.command(&daemon.ours(), &["tail", "hostile"])).finish();
    // XML cannot carry ESC: what supervisord sends of it is no XML, and is taken all the same or told.
    assert!(!text.contains("\x1b[2J"), "{text:?}");
    assert!(code.is_some());
    let mut follower = Pty::start(&mut daemon.command(&daemon.ours(), &["tail", "-f", "hostile"]));
    follower.wait_for("\x1b[31mred\x1b[0m \\x1b[2J\r\n");
    follower.type_in("x");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(follower.child.id().cast_signed()),
        nix::sys::signal::Signal::SIGINT,
    )
    .expect("it follows");
    assert_eq!(follower.finish().1, Some(0));
    let mut raw = daemon.command(&daemon.ours(), &["tail", "-f", "hostile"]);
    let mut raw = raw.stdout(std::process::Stdio::piped()).spawn().expect("a client");
    let mut stdout = raw.stdout.take().expect("a pipe");
    let mut seen = Vec::new();
    while !seen.ends_with(b"\x1b[2J\n") {
        let mut byte = [0];
        std::io::Read::read_exact(&mut stdout, &mut byte).expect("what the program wrote");
        seen.push(byte[0]);
    }
    raw.kill().expect("it follows");
    raw.wait().expect("it ends");
}
