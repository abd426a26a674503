//! What the keys `env_file env_pass env_unset env_clear env_login` make of a program's environment.

use crate::common::daemon::{Daemon, Setup};
use crate::common::wait::{self, LONG};
use crate::common::{Who, need, proc};
use nix::sys::signal::Signal;

/// The value of a variable of a program, by the kernel.
fn value(pid: i32, name: &str) -> Option<String> {
    let begin = format!("{name}=");
    proc::environment(pid).iter().find_map(|entry| entry.strip_prefix(&begin).map(str::to_owned))
}

fn program(name: &str, lines: &str) -> String {
    format!("[program:{name}]\ncommand=sleep 1000\nstartsecs=0\n{lines}\n")
}

#[test]
fn a_file_stands_between_the_global_and_the_programs_own_variables() {
    let setup = Setup::new("env-file")
        .env("INHERITED", "outside")
        .main("environment=GLOBAL=\"global\",BOTH=\"global\",ALL=\"global\"")
        .file("one.env", "BOTH=file # c\nALL=file\nINHERITED='from file'\nTWICE=1\nPCT=100%\n")
        .file("two.env", "export TWICE=\"2\\n\"\n");
    let daemon = setup
        .start(&program("web", "env_file=%(here)s/one.env, two.env,\n  -none.env\nenvironment=ALL=\"own\""));
    let pid = daemon.wait_running("web");
    for (name, expected) in [
        ("GLOBAL", "global"),
        ("BOTH", "file"),
        ("ALL", "own"),
        ("INHERITED", "from file"),
        ("TWICE", "2\n"),
        ("PCT", "100%"),
        ("SUPERVISOR_PROCESS_NAME", "web"),
    ] {
        assert_eq!(value(pid, name).as_deref(), Some(expected), "{name}");
    }
    daemon.stop();
}

/// Kills a program and returns the pid of its next run.
fn next_run(daemon: &Daemon, pid: i32) -> i32 {
    let mark = daemon.mark();
    proc::signal(pid, Signal::SIGKILL);
    daemon.wait_after(mark, "success: web entered RUNNING state");
    wait::until(LONG, "the next run", || {
        let next = daemon.pid_of("web");
        (next != pid && value(next, "SUPERVISOR_PROCESS_NAME").is_some()).then_some(next)
    })
}

#[test]
fn each_start_reads_the_file_as_it_is_then() {
    let setup = Setup::new("env-again").file("web.env", "A=1\n");
    let daemon = setup.start(&program("web", "env_file=web.env\nautorestart=true"));
    let pid = daemon.wait_running("web");
    assert_eq!(value(pid, "A").as_deref(), Some("1"));
    daemon.sandbox.write("web.env", "A=2\n");
    let pid = next_run(&daemon, pid);
    assert_eq!(value(pid, "A").as_deref(), Some("2"));
    daemon.stop();
}

#[test]
fn a_start_without_its_file_fails_in_words_and_goes_on_when_the_file_is_there() {
    let setup = Setup::new("env-gone");
    let path = setup.sandbox.text("web.env");
    let daemon = setup.start(&program("web", "env_file=web.env\nstartretries=1000"));
    daemon.wait_for(&format!(
        "cannot read env_file {path}: there is no such file (-FILE says that it may be missing)"
    ));
    daemon.sandbox.write("web.env", "TOKEN s3cret\n");
    daemon.wait_for(&format!("cannot use env_file {path}, line 1: there is no `=`"));
    daemon.sandbox.write("web.env", "TOKEN=s3cret\n");
    let pid = daemon.wait_running("web");
    assert_eq!(value(pid, "TOKEN").as_deref(), Some("s3cret"));
    assert_eq!(daemon.count("s3cret"), 0, "a secret is in the log");
    daemon.stop();
}

#[test]
fn a_path_from_a_file_finds_the_command_and_a_cleared_one_is_gone() {
    let setup = Setup::new("env-path");
    let bin = setup.sandbox.mkdir("bin");
    setup.sandbox.script("bin/only-here", "#!/bin/sh\nexec sleep 1000\n");
    setup.sandbox.write("path.env", format!("PATH={}:/usr/bin:/bin\n", bin.display()));
    let sections = [
        "[program:found]\ncommand=only-here\nstartsecs=0\nenv_file=path.env\n".to_owned(),
        program("cleared", "env_clear=yes\nenv_pass=LANG,KEPT*\nenvironment=OWN=\"1\""),
        program("unset", "env_unset=KEPT*,SUPERVISOR_*\nenvironment=KEPT_OWN=\"1\""),
    ];
    let daemon = setup.env("KEPT_A", "1").env("LOST", "1").start(&sections.concat());
    let found = daemon.wait_running("found");
    assert!(value(found, "PATH").is_some_and(|path| path.starts_with(&bin.display().to_string())));
    let names = |name: &str| {
        let all = proc::environment(daemon.wait_running(name));
        let names = all.iter().filter_map(|entry| entry.split('=').next().map(str::to_owned));
        names.filter(|name| name != "VISOR_RUN").collect::<std::collections::BTreeSet<_>>()
    };
    let expected =
        ["KEPT_A", "LANG", "OWN", "SUPERVISOR_ENABLED", "SUPERVISOR_GROUP_NAME", "SUPERVISOR_PROCESS_NAME"];
    assert_eq!(names("cleared").into_iter().collect::<Vec<_>>(), expected);
    let unset = names("unset");
    assert!(unset.contains("LOST") && unset.contains("PATH"), "{unset:?}");
    assert!(
        unset.iter().all(|name| !name.starts_with("KEPT") && !name.starts_with("SUPERVISOR_")),
        "{unset:?}"
    );
    daemon.stop();
}

#[test]
fn a_program_that_asks_for_it_begins_with_a_login_and_after_a_dead_reactor_with_the_same() {
    let setup = Setup::of("env-login", Who::Ordinary);
    let account = nix::unistd::User::from_uid(setup.sandbox.uid().into()).ok().flatten();
    if account.is_none_or(|account| {
        !["/bin/sh", "/bin/bash", "/usr/bin/bash"].iter().any(|sh| account.shell.as_os_str() == *sh)
    }) {
        need::not_run("an account with a shell (tests/run makes one)");
        return;
    }
    setup.sandbox.write(".profile", "echo noise\nexport FROM_LOGIN=one\n");
    setup.sandbox.write(".bash_profile", "export FROM_LOGIN=one\n");
    let sections =
        [program("web", "env_login=yes\nenv_pass=FROM_DAEMON\nautorestart=true"), program("plain", "")];
    let daemon = setup.env("FROM_DAEMON", "1").env("CALLER", "1").start(&sections.concat());
    let (web, plain) = (daemon.wait_running("web"), daemon.wait_running("plain"));
    let of = |pid| ["FROM_LOGIN", "FROM_DAEMON", "CALLER"].map(|name| value(pid, name));
    let yes = |text: &str| Some(text.to_owned());
    assert_eq!(of(web), [yes("one"), yes("1"), None]);
    assert_eq!(of(plain), [None, yes("1"), yes("1")]);
    // Captured once: the file says something else by now, and another reactor starts the next run.
    daemon.sandbox.write(".profile", "export FROM_LOGIN=two\n");
    daemon.sandbox.write(".bash_profile", "export FROM_LOGIN=two\n");
    let reactor = daemon.reactor();
    proc::signal(reactor, Signal::SIGKILL);
    daemon.next_reactor(reactor);
    daemon.wait_for("the programs did not notice");
    assert_eq!(of(next_run(&daemon, web)), [yes("one"), yes("1"), None]);
    daemon.stop();
}
