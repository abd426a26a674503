//! Event listeners: each event reaches them once they ask, whatever they do and whoever dies meanwhile.

use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::recorder::{self, Noted};
use crate::common::wait::{self, LONG};
use crate::common::{Sandbox, proc};
use nix::sys::signal::Signal;
use std::time::Duration;

const PYTHON: &str = "/usr/bin/python3";

/// Returns the section of a pool with one recorder.
fn listener(sandbox: &Sandbox, name: &str, events: &str, words: &str) -> String {
    let command = recorder::command(sandbox, PYTHON, &format!("{name}.notes"), words);
    format!("[eventlistener:{name}]\ncommand={command}\nevents={events}\nstartsecs=0\nbuffer_size=1000\n")
}

fn notes(daemon: &Daemon, name: &str) -> Vec<Noted> {
    recorder::notes(&daemon.sandbox, &format!("{name}.notes"))
}

fn wait_for(daemon: &Daemon, name: &str, event: &str, payload: &str) -> Noted {
    recorder::wait_for(&daemon.sandbox, &format!("{name}.notes"), event, payload)
}

/// Reads the notes of a pool, which must have each number once, up to the last.
fn each_once(daemon: &Daemon, name: &str) -> usize {
    let mut serials: Vec<u64> = notes(daemon, name).iter().map(Noted::pool_serial).collect();
    serials.sort_unstable();
    assert_eq!(serials, (0..serials.len() as u64).collect::<Vec<_>>(), "numbers noted by {name}");
    serials.len()
}

#[test]
fn listeners_hear_of_everything_they_subscribed_to_and_of_nothing_else() {
    let setup = Setup::new("subscribed");
    let sections = [
        listener(&setup.sandbox, "all", "EVENT,process_state_exited", ""),
        listener(&setup.sandbox, "ends", "PROCESS_STATE_EXITED", ""),
        "[program:web]\ncommand=sh -c 'sleep 0.2; exit 3'\nstartsecs=0\nautorestart=false\n".to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    let exit = wait_for(&daemon, "ends", "PROCESS_STATE_EXITED", "processname:web");
    let pid = daemon.pid_of("web");
    assert_eq!(
        exit.payload,
        format!("processname:web groupname:web from_state:RUNNING expected:0 pid:{pid}")
    );
    assert_eq!((exit.value("pool"), exit.pool_serial()), ("ends", 0));
    let other = wait_for(&daemon, "all", "PROCESS_STATE_EXITED", "processname:web");
    assert_eq!(other.value("serial"), exit.value("serial"), "one event has one number");
    wait_for(&daemon, "all", "TICK_5", "when:");
    let names: Vec<String> =
        notes(&daemon, "all").iter().map(|note| note.value("eventname").to_owned()).collect();
    assert!(names.contains(&"SUPERVISOR_STATE_CHANGE_RUNNING".to_owned()), "{names:?}");
    daemon.signal(Signal::SIGTERM);
    wait_for(&daemon, "all", "SUPERVISOR_STATE_CHANGE_STOPPING", "");
    each_once(&daemon, "all");
    assert_eq!(notes(&daemon, "ends").len(), 1);
    daemon.stop();
}

#[test]
fn what_stands_between_the_tags_is_an_event_and_not_in_the_log() {
    let setup = Setup::new("capture");
    let script = "printf 'a<!--XSUPERVISOR:BEG'; sleep 0.1; printf 'IN-->one'; sleep 0.1\n\
                  printf ' two<!--XSUPERVISOR:END--'; sleep 0.1; printf '>b\\n'; printf 'end<!--XSUP'\n";
    let sections = [
        listener(&setup.sandbox, "said", "PROCESS_COMMUNICATION,PROCESS_LOG", ""),
        "[program:talker]\ncommand=sh talker.sh\nstartsecs=0\nautorestart=false\nstdout_capture_maxbytes=100\n\
         stdout_events_enabled=true\nstdout_logfile=%(here)s/talker.log\n"
            .to_owned(),
    ];
    let daemon = setup.file("talker.sh", script).start(&sections.concat());
    let said = wait_for(&daemon, "said", "PROCESS_COMMUNICATION_STDOUT", "");
    let pid = daemon.pid_of("talker");
    assert_eq!(said.payload, format!("processname:talker groupname:talker pid:{pid}\\none two"));
    wait_for(&daemon, "said", "PROCESS_LOG_STDOUT", "<!--XSUP");
    let logged = || (daemon.sandbox.read("talker.log") == "ab\nend<!--XSUP").then_some(());
    wait::until(LONG, "the log without the passage", logged);
    let plain: String = notes(&daemon, "said")
        .iter()
        .filter(|note| note.value("eventname") == "PROCESS_LOG_STDOUT")
        .filter_map(|note| note.payload.split_once("\\n").map(|(_, data)| data.to_owned()))
        .collect();
    assert_eq!(plain, "ab\\nend<!--XSUP", "captured text is no output");
    daemon.stop();
}

#[test]
fn an_event_that_is_rejected_is_sent_again_to_its_own_pool_only() {
    if !ours("supervisord hands it to every pool of the same priority") {
        return;
    }
    let setup = Setup::new("rejected");
    let fails = format!("fail={}", setup.sandbox.text("failed"));
    let sections = [
        listener(&setup.sandbox, "picky", "PROCESS_STATE_EXITED", &fails),
        listener(&setup.sandbox, "other", "PROCESS_STATE_EXITED", ""),
        "[program:web]\ncommand=sleep 0.1\nstartsecs=0\nautorestart=false\n".to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    daemon.wait_for("picky: event was rejected");
    let again = wait_for(&daemon, "picky", "PROCESS_STATE_EXITED", "processname:web");
    assert_eq!(again.pool_serial(), 0);
    wait_for(&daemon, "other", "PROCESS_STATE_EXITED", "processname:web");
    assert_eq!(notes(&daemon, "other").len(), 1);
    daemon.stop();
}

#[test]
fn a_listener_that_breaks_the_protocol_is_restarted_and_gets_its_event() {
    if !ours("supervisord leaves it alone for ever") {
        return;
    }
    let setup = Setup::new("noise");
    let noise = format!("noise={}", setup.sandbox.text("noised"));
    let sections = [
        listener(&setup.sandbox, "loud", "PROCESS_STATE_EXITED", &noise),
        "[program:web]\ncommand=sleep 0.1\nstartsecs=0\nautorestart=false\n".to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    daemon.wait_for("loud: bad result line: 'this is no answer'");
    daemon.wait_for("loud: has entered the UNKNOWN state and will no longer receive events");
    daemon.wait_for("loud: restarting it, so that it receives events again");
    wait_for(&daemon, "loud", "PROCESS_STATE_EXITED", "processname:web");
    assert_eq!(daemon.count("spawned: 'loud'"), 2);
    daemon.stop();
}

#[test]
fn the_event_of_a_listener_that_ends_goes_to_the_next_one() {
    let setup = Setup::new("dies");
    let dies = format!("die={}", setup.sandbox.text("died"));
    let sections = [
        listener(&setup.sandbox, "frail", "PROCESS_STATE_EXITED", &dies)
            + "numprocs=2\nprocess_name=frail_%(process_num)d\n",
        "[program:web]\ncommand=sleep 0.3\nstartsecs=0\nautorestart=false\n".to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    daemon.wait_for("(exit status 7; not expected)");
    wait_for(&daemon, "frail", "PROCESS_STATE_EXITED", "processname:web");
    daemon.stop();
}

#[test]
fn a_pool_that_overflows_says_which_event_it_discards() {
    let setup = Setup::new("overflow");
    let wait = format!("wait={}", setup.sandbox.text("go"));
    let section = listener(&setup.sandbox, "slow", "PROCESS_STATE", &wait);
    let sections = [
        section.replace("buffer_size=1000", "buffer_size=2"),
        "[program:web]\ncommand=sleep 1000\nstartsecs=0\n".to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    daemon.wait_for("pool slow event buffer overflowed, discarding event 0");
    daemon.wait_running("web");
    daemon.sandbox.write("go", "");
    let discarded = daemon.count("pool slow event buffer overflowed");
    wait_for(&daemon, "slow", "PROCESS_STATE", "");
    let first = notes(&daemon, "slow")[0].pool_serial();
    assert!(first >= 1 && first <= discarded as u64, "{first} comes first, {discarded} were discarded");
    daemon.stop();
}

#[test]
fn a_listener_that_does_not_read_holds_up_nobody() {
    let setup = Setup::new("deaf");
    let deaf = format!("deaf={}", setup.sandbox.text("go"));
    let sections = [
        listener(&setup.sandbox, "deaf", "PROCESS_LOG", &deaf),
        "[program:talker]\ncommand=sh -c 'head -c 200000 /dev/zero | tr \"\\0\" x; exec sleep 1000'\nstartsecs=0\n\
         stdout_events_enabled=true\n"
            .to_owned(),
        "[program:web]\ncommand=sleep 1000\nstartsecs=0\n".to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    let web = daemon.wait_running("web");
    proc::signal(web, Signal::SIGKILL);
    let ended = daemon.wait_for("exited: web (terminated by SIGKILL; not expected)");
    daemon.wait_after(ended, "success: web entered RUNNING state");
    daemon.sandbox.write("go", "");
    let said = || {
        let lengths =
            notes(&daemon, "deaf").iter().map(|note| note.payload.matches('x').count()).sum::<usize>();
        (lengths >= 200_000).then_some(())
    };
    wait::until(LONG, "all of the output", said);
    each_once(&daemon, "deaf");
    daemon.stop();
}

#[test]
fn events_that_wait_survive_the_death_of_the_reactor() {
    if !ours("keeper and reactor") {
        return;
    }
    let setup = Setup::new("kept");
    let wait = format!("wait={}", setup.sandbox.text("go"));
    let sections = [
        listener(&setup.sandbox, "late", "EVENT", &wait),
        listener(&setup.sandbox, "idle", "PROCESS_STATE_FATAL", ""),
        "[program:web]\ncommand=sleep 1000\nstartsecs=0\n".to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    daemon.wait_running("web");
    let pids = [daemon.wait_running("late"), daemon.wait_running("idle")];
    let reactor = daemon.reactor();
    proc::signal(reactor, Signal::SIGKILL);
    daemon.next_reactor(reactor);
    daemon.wait_for("the reactor died and was replaced");
    daemon.sandbox.write("go", "");
    wait_for(&daemon, "late", "PROCESS_STATE_RUNNING", "processname:web");
    assert!(each_once(&daemon, "late") > 5);
    proc::signal(daemon.pid_of("web"), Signal::SIGKILL);
    wait_for(&daemon, "late", "PROCESS_STATE_EXITED", "processname:web");
    assert_eq!([daemon.pid_of("late"), daemon.pid_of("idle")], pids, "quiet listeners are not touched");
    daemon.stop();
}

#[test]
fn reactors_killed_in_the_middle_of_a_conversation_lose_no_event_and_leave_no_listener_stuck() {
    if !ours("keeper and reactor") {
        return;
    }
    let setup = Setup::new("shot-talk");
    let sections = [
        listener(&setup.sandbox, "notes", "PROCESS_COMMUNICATION,PROCESS_STATE", ""),
        "[program:talker]\ncommand=sh talker.sh\nstartsecs=0\nstdout_capture_maxbytes=100\n".to_owned(),
    ];
    let script =
        "while :; do echo '<!--XSUPERVISOR:BEGIN-->message<!--XSUPERVISOR:END-->'; sleep 0.002; done\n";
    let daemon = setup.file("talker.sh", script).start(&sections.concat());
    for _ in 0..4 {
        let before = notes(&daemon, "notes").len();
        let more = || (notes(&daemon, "notes").len() > before + 200).then_some(());
        wait::until(LONG, "more events", more);
        let reactor = daemon.reactor();
        proc::signal(reactor, Signal::SIGKILL);
        daemon.next_reactor(reactor);
        wait::pass(Duration::from_millis(2500));
    }
    let last = notes(&daemon, "notes").iter().map(Noted::pool_serial).max().unwrap_or(0);
    let later = || notes(&daemon, "notes").iter().any(|note| note.pool_serial() > last + 100).then_some(());
    wait::until(LONG, "events after the last death", later);
    let mut serials: Vec<u64> = notes(&daemon, "notes").iter().map(Noted::pool_serial).collect();
    serials.sort_unstable();
    serials.dedup();
    let missing: Vec<u64> = (0..=last).filter(|serial| serials.binary_search(serial).is_err()).collect();
    assert!(missing.is_empty(), "events that were numbered and never noted: {missing:?}");
    daemon.stop();
}

#[test]
fn supervisor_stdouts_handler_is_built_in() {
    if !ours("supervisord needs the package") {
        return;
    }
    let setup = Setup::new("stdout-handler");
    let sections = [
        listener(&setup.sandbox, "stdout", "PROCESS_LOG", "result=payload")
            + "result_handler=supervisor_stdout:event_handler\n",
        "[program:web]\ncommand=sh -c 'echo hello; echo trouble >&2; exec sleep 1000'\nstartsecs=0\n\
         stdout_events_enabled=true\nstderr_events_enabled=true\n"
            .to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    for line in ["web stdout | hello", "web stderr | trouble"] {
        wait::until(LONG, line, || daemon.errors().iter().any(|shown| shown == line).then_some(()));
    }
    daemon.stop();
}

#[test]
fn a_result_handler_that_is_not_here_is_named_and_every_result_acknowledges() {
    if !ours("supervisord refuses to start") {
        return;
    }
    let setup = Setup::new("absent-handler");
    let sections = [
        listener(&setup.sandbox, "odd", "PROCESS_STATE_EXITED", "result=WHATEVER")
            + "result_handler=my.package:judge\n",
        "[program:web]\ncommand=sleep 0.1\nstartsecs=0\nautorestart=true\n".to_owned(),
    ];
    let daemon = setup.start(&sections.concat());
    wait::until(LONG, "two events", || (notes(&daemon, "odd").len() >= 2).then_some(()));
    each_once(&daemon, "odd");
    assert!(daemon.errors().iter().any(|line| line.contains("my.package:judge")), "{:?}", daemon.errors());
    daemon.stop();
}
