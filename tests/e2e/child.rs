//! What a program finds when it starts: environment, descriptors, directory, umask, signals, session, user.

use crate::common::daemon::{Daemon, Setup, ours};
use crate::common::wait::{self, LONG};
use crate::common::{Who, need, proc};

#[test]
fn the_environment_is_the_daemons_then_supervisors_then_the_global_then_the_programs() {
    let daemon = Setup::new("environment")
        .env("INHERITED", "from %s outside")
        .env("BOTH", "outside")
        .main("environment=BOTH=\"global\",GLOBAL=\"1\",TWICE=\"global\",SUPERVISOR_ENABLED=\"no\"")
        .start(
            "[program:web]\ncommand=sleep 1000\nstartsecs=0\nenvironment=TWICE=\"program\",SUPERVISOR_PROCESS_NAME=\"mine\"\n\
             [program:plain]\ncommand=sleep 1000\nprocess_name=one\nstartsecs=0\n",
        );
    let (web, plain) = (daemon.wait_running("web"), daemon.wait_running("one"));
    let outside = [
        format!("HOME={}", daemon.sandbox.dir().display()),
        "LANG=C.UTF-8".into(),
        "INHERITED=from %s outside".into(),
    ];
    let both = ["BOTH=global".to_owned(), "GLOBAL=1".into(), "SUPERVISOR_ENABLED=no".into()];
    let of_web = [
        "TWICE=program".to_owned(),
        "SUPERVISOR_PROCESS_NAME=mine".into(),
        "SUPERVISOR_GROUP_NAME=web".into(),
    ];
    let of_plain = [
        "TWICE=global".to_owned(),
        "SUPERVISOR_PROCESS_NAME=one".into(),
        "SUPERVISOR_GROUP_NAME=plain".into(),
    ];
    for (pid, own) in [(web, of_web), (plain, of_plain)] {
        let found = proc::environment(pid);
        for entry in outside.iter().chain(&both).chain(&own) {
            assert!(found.contains(entry), "no {entry} in {found:?}");
        }
        let mut names: Vec<&str> = found.iter().filter_map(|entry| entry.split('=').next()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "a name stands twice in {found:?}");
        assert!(!names.contains(&"SUPERVISOR_SERVER_URL"), "a server URL without a server");
    }
    daemon.stop();
}

#[test]
fn a_program_has_descriptors_0_to_2_and_no_other() {
    let daemon = Daemon::start(
        "descriptors",
        "[program:a]\ncommand=sleep 1000\nstartsecs=0\n[program:b]\ncommand=sleep 1000\nstartsecs=0\nredirect_stderr=true\n",
    );
    for name in ["a", "b"] {
        let pid = daemon.wait_running(name);
        // Its own start opens files for a moment; what was left open for it would stay.
        let found = wait::until(LONG, "descriptors 0 to 2 and no other", || {
            Some(proc::descriptors(pid)).filter(|found| found.keys().copied().eq(0..=2))
        });
        assert!(found.values().all(|target| target.starts_with("pipe:")), "{name}: {found:?}");
        assert_eq!(found[&1] == found[&2], name == "b", "{name}: {found:?}");
    }
    daemon.stop();
}

#[test]
fn stdin_stays_open_and_silent() {
    let daemon = Daemon::start(
        "stdin",
        "[program:reader]\ncommand=sh -c 'read line; touch ended; exit 1'\nstartsecs=1\n",
    );
    daemon.wait_running("reader");
    assert!(!daemon.sandbox.path("ended").exists(), "stdin was at its end");
    assert_eq!(daemon.count("exited: reader"), 0);
    daemon.stop();
}

#[test]
fn a_program_has_no_signal_blocked_ignored_or_caught() {
    // Ignored by the daemon's parent, as nohup and some shells do.
    let daemon = Setup::new("signals")
        .wrapped(&["sh", "-c", "trap '' HUP USR1 CHLD; exec \"$0\" \"$@\""])
        .start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    let pid = daemon.wait_running("a");
    for field in ["SigBlk", "SigCgt"] {
        assert_eq!(proc::status(pid, field).as_deref(), Some("0000000000000000"), "{field}");
    }
    if ours("ignored signals are reset") {
        assert_eq!(proc::status(pid, "SigIgn").as_deref(), Some("0000000000000000"));
    }
    daemon.stop();
}

#[test]
fn a_program_leads_a_session_of_its_own() {
    if !ours("setsid always") {
        return;
    }
    let daemon = Daemon::start("session", "[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    let pid = daemon.wait_running("a");
    assert_eq!((proc::session(pid), proc::group(pid)), (Some(pid), Some(pid)));
    assert_eq!(proc::parent(pid), Some(daemon.keeper()), "the keeper is its parent");
    daemon.stop();
}

#[test]
fn directory_and_umask_are_obeyed_and_default_to_the_daemons() {
    let setup = Setup::new("places").main("umask=027");
    setup.sandbox.mkdir("inner");
    let daemon = setup.start(
        "[program:own]\ncommand=sleep 1000\nstartsecs=0\ndirectory=%(here)s/inner\numask=077\n\
         [program:plain]\ncommand=sleep 1000\nstartsecs=0\n",
    );
    let (own, plain) = (daemon.wait_running("own"), daemon.wait_running("plain"));
    assert_eq!(proc::directory(own), Some(daemon.sandbox.text("inner")));
    assert_eq!(proc::directory(plain), Some(daemon.sandbox.dir().display().to_string()));
    assert_eq!(proc::status(own, "Umask").as_deref(), Some("0077"));
    daemon.stop();
}

#[test]
fn argv_is_split_as_a_shell_would_without_being_a_shell() {
    let daemon = Daemon::start(
        "argv",
        "[program:a]\ncommand=sh -c \"exec sleep 1000\" 'a b' \"c\\\"d\" e\\ f $HOME * #g\nstartsecs=0\n",
    );
    let pid = daemon.wait_running("a");
    wait::until(LONG, "the exec", || (proc::command_line(pid) == ["sleep", "1000"]).then_some(()));
    daemon.stop();
    let daemon = Daemon::start(
        "argv",
        "[program:a]\ncommand=bash -c \"sleep 1000; :\" 'a b' \"c\\\"d\" e\\ f $HOME * g#h\nstartsecs=0\nstopasgroup=true\n",
    );
    let words = proc::command_line(daemon.wait_running("a"));
    assert_eq!(words, ["bash", "-c", "sleep 1000; :", "a b", "c\"d", "e f", "$HOME", "*", "g#h"]);
    daemon.stop();
}

/// A program whose set-up fails in the child: its log has supervisord's words, and it exited with 127.
fn fails_in_the_child(name: &str, section: &str, text: &str) {
    let setup = Setup::new(name);
    setup.sandbox.script("no-interpreter", "echo never\n");
    let daemon = setup.start(&format!(
        "[program:odd]\n{section}\nstartretries=0\nautorestart=false\nstderr_logfile=%(here)s/odd.err\n"
    ));
    daemon.wait_for("spawned: 'odd' with pid");
    daemon.wait_for("exited: odd (exit status 127; not expected)");
    let told =
        || Some(daemon.sandbox.read("odd.err")).filter(|log| log.contains("child process was not spawned"));
    let log = wait::until(LONG, "the words in the log", told);
    let text = text.replace("HERE", &daemon.sandbox.dir().display().to_string());
    assert_eq!(log, format!("{text}\nsupervisor: child process was not spawned\n"));
    daemon.stop();
}

#[test]
fn an_exec_that_fails_exits_127_with_upstreams_words_in_the_stderr_log() {
    fails_in_the_child(
        "exec",
        "command=%(here)s/no-interpreter",
        "supervisor: couldn't exec HERE/no-interpreter: ENOEXEC",
    );
}

#[test]
fn a_missing_directory_exits_127_with_upstreams_words_in_the_stderr_log() {
    fails_in_the_child(
        "chdir",
        "command=sleep 1000\ndirectory=/no/such/place",
        "supervisor: couldn't chdir to /no/such/place: ENOENT",
    );
}

#[test]
fn another_user_without_root_exits_127_with_upstreams_words_in_the_stderr_log() {
    fails_in_the_child(
        "other-user",
        "command=sleep 1000\nuser=daemon",
        "supervisor: couldn't setuid to 1: Can't drop privilege as nonroot user",
    );
}

#[test]
fn a_root_daemon_runs_a_program_as_its_user() {
    if !need::root() {
        return;
    }
    let daemon = Setup::of("user", Who::Root)
        .main("user=root")
        .start("[program:a]\ncommand=sleep 1000\nstartsecs=0\nuser=daemon\n");
    let pid = daemon.wait_running("a");
    assert_eq!(proc::status(pid, "Uid").as_deref(), Some("1\t1\t1\t1"));
    assert_eq!(proc::status(pid, "Gid").as_deref(), Some("1\t1\t1\t1"));
    assert_eq!(proc::status(pid, "Groups").as_deref().map(str::trim), Some("1"));
    daemon.stop();
}

#[test]
fn a_daemon_with_user_drops_root_before_it_supervises() {
    if !need::root() {
        return;
    }
    let setup = Setup::of("drop", Who::Root);
    // Logs and pidfile are written by the user it becomes; the configuration stays root's.
    std::os::unix::fs::chown(setup.sandbox.mkdir("home"), Some(1), Some(1)).expect("chown by root");
    setup.sandbox.write(
        "visord.conf",
        "[supervisord]\nuser=daemon\nlogfile=%(here)s/home/log\npidfile=%(here)s/home/pid\nchildlogdir=%(here)s/home\n\
         [program:a]\ncommand=sleep 1000\nstartsecs=0\n",
    );
    let daemon = setup.start_with(&["-n", "-c", "visord.conf"]);
    let pid = daemon.wait_running("a");
    assert_eq!(proc::status(pid, "Uid").as_deref(), Some("1\t1\t1\t1"));
    if ours("keeper and reactor") {
        let places: Vec<String> =
            daemon.sandbox.names("tmp").into_iter().filter(|n| n.starts_with("visor-")).collect();
        assert_eq!(places, ["visor-1"], "a socket for root, and none for the user it became");
        let again =
            daemon.sandbox.root_command(daemon.sandbox.daemon_binary()).args(["-c", "visord.conf"]).output();
        let again = again.expect("visord runs");
        let said = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(
            again.status.code() == Some(2) && said.contains("already runs"),
            "a second one started: {again:?}"
        );
        assert_eq!(
            proc::status(daemon.keeper(), "Uid").as_deref(),
            Some("1\t1\t1\t1"),
            "the keeper kept root"
        );
        assert_eq!(
            proc::status(daemon.reactor(), "Uid").as_deref(),
            Some("1\t1\t1\t1"),
            "the reactor kept root"
        );
    }
    daemon.stop();
}
