//! What `visorctl` says and does with a real daemon: texts, exit codes, JSON.

use super::account::Account;
use crate::common::proc;
use crate::common::wait::{self, LONG};
use nix::sys::signal::Signal;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

/// The JSON that a client prints.
fn json(account: &Account, words: &[&str]) -> serde_json::Value {
    let (_, out, err) = account.told(words);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("visorctl {words:?}: {error}: {out}{err}"))
}

/// Asserts exit code, stdout and stderr.
fn expect(account: &Account, words: &[&str], code: i32, out: &str, err: &str) {
    assert_eq!(account.told(words), (code, out.to_owned(), err.to_owned()), "visorctl {words:?}");
}

#[test]
fn new_writes_a_file_starts_the_daemon_and_shows_the_program_and_its_output() {
    let account = Account::new("new");
    let script = "while echo hello; do sleep 1; done";
    let (code, out, err) = account.told(&["new", "greeter", "--", "sh", "-c", script]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.starts_with("wrote ~/.config/visor/conf.d/greeter.conf"), "{out}");
    assert!(out.contains("greeter                          RUNNING   pid "), "{out}");
    assert!(out.contains("  greeter | hello\n"), "{out}");
    assert!(out.contains("logout: ") && out.contains("reboot: "), "{out}");
    assert!(err.starts_with("started visord, pid "), "{err}");
    let text = account.sandbox.read(".config/visor/conf.d/greeter.conf");
    assert!(text.contains("[program:greeter]") && text.contains("command="), "{text}");
    let (code, out, err) = account.told(&["new", "greeter", "--", "sleep", "1"]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("greeter.conf is there already"), "{err}");
    let (code, _, err) = account.told(&["new", "fails", "--", "sh", "-c", "exit 3"]);
    assert_eq!(code, 7, "{err}");
    assert!(err.contains("see why: visorctl why fails"), "{err}");
    account.shutdown();
}

#[test]
fn start_stop_restart_and_signal_say_what_they_did() {
    let account = Account::new("verbs");
    account.program("web", "command=sleep 1000\nstartsecs=0\nautostart=false");
    account
        .program("trap", "command=sh -c 'trap \"echo got\" HUP; while :; do sleep 0.05; done'\nstartsecs=0");
    account.program("odd", "command=/no/such/command\nautostart=false\nstartretries=0");
    account.start();
    account.running("trap");
    expect(&account, &["start", "web"], 0, "web: started\n", "");
    let first = account.pid("web");
    assert!(proc::alive(first));
    expect(&account, &["start", "web"], 0, "", "web: ERROR (already started)\n");
    expect(&account, &["restart", "web"], 0, "web: restarted\n", "");
    let second = account.pid("web");
    assert!(first != second && !proc::alive(first) && proc::alive(second));
    expect(&account, &["stop", "web"], 0, "web: stopped\n", "");
    assert!(!proc::alive(second));
    expect(&account, &["stop", "web"], 0, "", "web: ERROR (not running)\n");
    expect(&account, &["signal", "HUP", "web"], 1, "", "web: ERROR (not running)\n");
    expect(&account, &["signal", "HUP", "trap"], 0, "trap: signalled\n", "");
    wait::until(LONG, "the handler", || account.ok(&["logs", "trap"]).contains("got").then_some(()));
    expect(&account, &["start", "nope"], 4, "", "nope: ERROR (no such process)\n");
    expect(&account, &["stop", "nope:*"], 4, "", "nope:*: ERROR (no such group)\n");
    let (code, out, err) = account.told(&["start", "odd"]);
    assert_eq!((code, out.as_str()), (7, ""), "{err}");
    assert!(err.contains("odd: ERROR (") && err.contains("visorctl why odd"), "{err}");
    let why = account.ok(&["why", "odd"]);
    assert!(why.starts_with("odd does not run: it could not be started\n"), "{why}");
    assert!(why.contains("there is no file /no/such/command"), "{why}");
    assert_eq!(account.told(&["signal", "NOSUCH", "trap"]).0, 2);
    assert_eq!(account.told(&["start"]).0, 2);
    let results = json(&account, &["restart", "--json", "trap"]);
    assert_eq!(results["results"][0]["status"], "done", "{results}");
    assert_eq!(results["results"][0]["process"]["state"], "RUNNING", "{results}");
    account.shutdown();
}

#[test]
fn status_shows_the_truth_in_words_code_and_json() {
    let account = Account::new("status");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.program("manual", "command=sleep 1000\nautostart=false");
    account.start();
    let web = account.running("web");
    let (code, out, err) = account.told(&["status"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((code, lines.len(), err.as_str()), (0, 2, ""), "{out}");
    assert_eq!(lines[0], "manual                           STOPPED   Not started");
    assert!(
        lines[1].starts_with(&format!("web                              RUNNING   pid {web}, uptime 0:00:"))
    );
    let (code, out, err) = account.told(&["status", "web", "nope"]);
    assert_eq!((code, out.lines().count(), err.as_str()), (4, 1, "nope: ERROR (no such process)\n"));
    let status = json(&account, &["status", "--json", "web"]);
    let process = &status["processes"][0];
    assert_eq!((&process["state"], &process["pid"]), (&"RUNNING".into(), &web.into()), "{status}");
    assert_eq!(status["daemon"]["pid"], account.keeper());
    let daemon = json(&account, &["daemon", "status", "--json"]);
    assert_eq!(daemon["sockets"].as_array().map(Vec::len), Some(2), "{daemon}");
    assert_eq!(daemon["config"]["file"], account.sandbox.text(".config/visor"), "{daemon}");
    assert_eq!(daemon["config"]["files"], 3, "{daemon}");
    account.program("dies", "command=sh -c 'echo my last words >&2; exit 3'\nstartretries=0");
    account.ok(&["update"]);
    account.ok(&["wait", "dies", "--exit", "--timeout", "30s"]);
    assert_eq!(account.told(&["status"]).0, 3, "something that should run does not");
    let why = account.ok(&["why", "dies"]);
    assert!(why.contains("exit status 3") && why.contains("my last words"), "{why}");
    let (code, out, _) = account.told(&["pid", "manual"]);
    assert_eq!((code, out.as_str()), (0, "0\n"), "it is not meant to run");
    assert_eq!(account.told(&["status", "manual"]).0, 0);
    assert_eq!(account.told(&["pid", "dies"]).0, 3);
    account.shutdown();
}

#[test]
fn why_tells_of_a_crash_after_the_restart_and_after_the_reactors_death() {
    let account = Account::new("again");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.start();
    let mut pid = account.running("web");
    assert!(account.ok(&["why", "web"]).contains("all is well"));
    for times in ["once", "2 times"] {
        proc::signal(pid, Signal::SIGKILL);
        let next =
            || account.told(&["pid", "web"]).1.trim().parse().ok().filter(|now| ![0, pid].contains(now));
        pid = wait::until(LONG, "the next run", next);
        account.running("web");
        let why = account.ok(&["why", "web"]);
        let said = format!("  because    it was started again {times}; it last ended at ");
        assert!(why.contains(&said) && why.contains(": it was killed with SIGKILL"), "{why}");
    }
    proc::signal(account.reactor(), Signal::SIGKILL);
    let why = json(&account, &["why", "--json", "web"]);
    assert_eq!((&why["kind"], &why["process"]["restarts"]), (&"restarted".into(), &2.into()), "{why}");
    assert_eq!(why["process"]["previous_exit"]["text"], "terminated by SIGKILL", "{why}");
    // What is asked for is a new beginning.
    account.ok(&["restart", "web"]);
    assert!(account.ok(&["why", "web"]).contains("all is well"));
    account.shutdown();
}

#[test]
fn without_a_daemon_every_verb_says_how_to_start_it_and_starts_none() {
    let account = Account::new("absent");
    for words in [&["status"][..], &["stop", "all"], &["pid"], &["logs"], &["reread"], &["shutdown"]] {
        let (code, out, err) = account.told(words);
        assert_eq!((code, out.as_str()), (4, ""), "{words:?}: {err}");
        assert!(err.contains("visorctl daemon start"), "{words:?}: {err}");
    }
    let mut forbidden = account.client(&["start", "web"]);
    forbidden.env("VISOR_NO_SPAWN", "1");
    assert_eq!(super::account::run(forbidden).status.code(), Some(4));
    let mut in_job = account.client(&["daemon", "start"]);
    in_job.env("SLURM_JOB_ID", "7");
    assert_eq!(super::account::run(in_job).status.code(), Some(1));
    assert!(account.daemons().is_empty());
}

#[test]
fn logs_show_follow_and_clear_what_programs_wrote() {
    let account = Account::new("logs");
    let script = "echo out; echo err >&2; trap \"echo more\" USR1; while :; do sleep 0.05; done";
    account.program("talker", &format!("command=sh -c '{script}'\nstartsecs=0"));
    account.start();
    account.running("talker");
    wait::until(LONG, "the output", || (account.ok(&["logs", "talker"]) == "out\n").then_some(()));
    wait::until(LONG, "the errors", || {
        (account.ok(&["logs", "--stderr", "talker"]) == "err\n").then_some(())
    });
    let mut follower = account.background(&["logs", "-f", "talker"]);
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "out");
    account.ok(&["signal", "USR1", "talker"]);
    assert_eq!(lines.next().expect("a line").expect("text"), "more");
    expect(&account, &["clear", "talker"], 0, "talker: cleared\n", "");
    expect(&account, &["logs", "talker"], 0, "", "");
    account.ok(&["signal", "USR1", "talker"]);
    assert_eq!(lines.next().expect("a line, past the clearing").expect("text"), "more");
    account.shutdown();
    let ended = follower.wait().expect("our own child");
    assert_eq!(ended.code(), Some(4), "logs -f ends with the daemon");
}

#[test]
fn logs_that_are_followed_go_on_over_the_death_of_the_reactor_without_a_gap() {
    let account = Account::new("follow");
    // Small logs: the place where a follower was cut off moves into a backup.
    let script = r#"i=0; echo line $i; while [ ! -e go ]; do sleep 0.01; done; while i=$((i+1)); do echo line $i; [ $((i%100)) = 0 ] && sleep 0.01; done"#;
    let count = format!(
        "command=sh -c '{}'\nstartsecs=0\nautorestart=false\ndirectory={}\n\
         stdout_logfile=%(here)s/count.log\nstdout_logfile_maxbytes=10KB\nstdout_logfile_backups=500",
        script.replace('%', "%%"),
        account.sandbox.text("")
    );
    account.program("count", &count);
    account.start();
    account.running("count");
    let mut all = account.background(&["logs", "-f"]);
    let mut one = account.background(&["tail", "-f", "count"]);
    let read = |child: &mut std::process::Child| BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut readers = [read(&mut all), read(&mut one)];
    let mut next = [0, 0];
    let mut follow = |lines: usize| {
        for (reader, next) in readers.iter_mut().zip(&mut next) {
            for _ in 0..lines {
                let line = reader.next().expect("a line").expect("text");
                assert_eq!(line, format!("line {next}"));
                *next += 1;
            }
        }
    };
    follow(1);
    account.sandbox.write("go", "");
    for _ in 0..3 {
        follow(2000);
        proc::signal(account.reactor(), Signal::SIGKILL);
        follow(2000);
    }
    account.shutdown();
    for child in [all, one] {
        let ended = child.wait_with_output().expect("our own child");
        assert_eq!(ended.status.code(), Some(4));
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "error: visord has ended\n");
    }
}

#[test]
fn more_programs_are_followed_at_once_than_streams_are_served() {
    let account = Account::new("many");
    let script = "echo first; trap \"echo more\" USR1; while :; do sleep 0.05; done";
    let lines = format!("command=sh -c '{script}'\nstartsecs=0\nnumprocs=60\nprocess_name=%(process_num)02d");
    account.program("many", &lines);
    account.start();
    account.ok(&["wait", "all", "--timeout", "30s"]);
    let reactor = account.reactor();
    let descriptors = || std::fs::read_dir(format!("/proc/{reactor}/fd")).map_or(0, Iterator::count);
    wait::until(LONG, "all logs", || (account.ok(&["logs"]).lines().count() == 60).then_some(()));
    let before = descriptors();
    let mut follower = account.background(&["logs", "-f", "many:*"]);
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let mut names = |what: &str| {
        let mut names: Vec<String> = Vec::new();
        for line in lines.by_ref().take(60) {
            let line = line.expect("text");
            let (name, rest) = line.split_once(" | ").unwrap_or_else(|| panic!("{line}"));
            assert_eq!(rest, what);
            names.push(name.to_owned());
        }
        names.sort();
        names.dedup();
        names.len()
    };
    assert_eq!(names("first"), 60);
    // Files that are followed hold at most as many descriptors as streams do.
    let held = descriptors() - before;
    assert!(held < 60, "{held} descriptors for 60 logs");
    account.ok(&["signal", "USR1", "many:*"]);
    assert_eq!(names("more"), 60);
    account.shutdown();
    assert_eq!(follower.wait().expect("our own child").code(), Some(4));
}

#[test]
fn wait_returns_when_it_is_so_and_not_before_its_time_is_over() {
    let account = Account::new("wait");
    account.program("slow", "command=sleep 1000\nstartsecs=1");
    account.program("short", "command=sh -c 'sleep 1; exit 0'\nstartsecs=0\nautorestart=false");
    account.start();
    expect(&account, &["wait", "slow"], 0, "slow: running\n", "");
    expect(&account, &["wait", "short", "--exit"], 0, "short: exited\n", "");
    let (code, _, err) = account.told(&["wait", "slow", "--exit", "--timeout", "200ms"]);
    assert_eq!(code, 6, "{err}");
    assert_eq!(account.told(&["wait", "nope"]).0, 4);
    account.ok(&["stop", "slow"]);
    expect(&account, &["wait", "slow"], 1, "", "slow: ERROR (not running)\n");
    account.shutdown();
}

#[test]
fn shutdown_ends_everything_and_daemon_restart_begins_anew() {
    let account = Account::new("shutdown");
    account.program("web", "command=sleep 1000\nstartsecs=0");
    account.start();
    let (web, keeper) = (account.running("web"), account.keeper());
    assert_eq!(account.told(&["daemon", "start"]).0, 0);
    account.ok(&["daemon", "restart"]);
    assert_ne!(account.keeper(), keeper);
    assert!(!proc::alive(web));
    let web = account.running("web");
    expect(&account, &["shutdown"], 0, "Shut down\n", "");
    wait::until(LONG, "the end of everything", || account.sandbox.processes().is_empty().then_some(()));
    assert!(!proc::alive(web));
}

#[test]
fn clear_answers_for_each_program_and_says_what_it_could_not_do() {
    let account = Account::new("clear");
    account.program("mute", "command=sleep 1000\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE");
    account.program("voice", "command=sleep 1000\nstartsecs=0");
    let gone = account.sandbox.mkdir("gone");
    let lost = format!("command=sleep 1000\nautostart=false\nstdout_logfile={}/log", gone.display());
    account.program("lost", &lost);
    account.start();
    std::fs::remove_dir(gone).expect("our own directory");
    account.running("voice");
    expect(&account, &["clear", "mute", "voice"], 0, "mute: cleared\nvoice: cleared\n", "");
    let (code, out, err) = account.told(&["clear", "lost", "voice"]);
    assert_eq!((code, out.as_str()), (1, "voice: cleared\n"), "{err}");
    assert!(err.starts_with("lost: ERROR"), "{err}");
    account.shutdown();
}

#[test]
fn who_is_about_to_be_restarted_does_not_stay_down() {
    let account = Account::new("wait-down");
    account.program("flips", "command=sleep 0.05\nstartsecs=0\nautorestart=true");
    account.start();
    let exits = || account.log().matches("exited: flips").count();
    let before = exits();
    let mut waiter = account.background(&["wait", "flips", "--stopped"]);
    wait::until(LONG, "some exits", || (exits() > before + 10).then_some(()));
    assert!(waiter.try_wait().expect("our own child").is_none(), "it does not stay down");
    account.ok(&["stop", "flips"]);
    let ended = waiter.wait_with_output().expect("our own child");
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "flips: stopped\n", "{ended:?}");
    account.shutdown();
}

#[test]
fn a_log_that_is_not_there_is_not_an_empty_one() {
    let account = Account::new("no-log");
    account.program("idle", "command=sleep 1000\nautostart=false");
    account.program("web", "command=sleep 1000\nstartsecs=0\nstdout_logfile=%(here)s/web.log");
    account.start();
    account.running("web");
    expect(&account, &["tail", "web"], 0, "", "");
    expect(&account, &["tail", "idle"], 1, "", "idle: ERROR (no log file)\n");
    expect(&account, &["logs"], 0, "", "");
    account.shutdown();
}

#[test]
fn the_same_name_ten_thousand_times_is_one_name() {
    let account = Account::new("names");
    account
        .program("crew", "command=sleep 1000\nautostart=false\nnumprocs=500\nprocess_name=%(process_num)d");
    account.start();
    let names = vec![r#""all""#; 10_000].join(",");
    let body = format!(r#"{{"names":[{names}],"signal":"USR1"}}"#);
    let head =
        format!("POST /v1/signal HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let limit = super::account::allowed(&account, std::time::Duration::from_secs(1));
    let since = std::time::Instant::now();
    let reply = super::raw::exchange(&account.socket(), (head + &body).as_bytes());
    let took = since.elapsed();
    assert_eq!(super::raw::status(&reply), "200", "{reply}");
    assert!(took < limit, "it took {took:?} (allowed {limit:?})");
    account.shutdown();
}

#[test]
fn a_daemon_that_is_just_ending_is_waited_for() {
    let account = Account::new("ending");
    account.start();
    let keeper = account.keeper();
    let both = account.sandbox.processes();
    // The reactor ends and takes the sockets along; the locks stay with the keeper for as long as we like.
    proc::signal(keeper, Signal::SIGSTOP);
    let mut shutdown = account.background(&["shutdown"]);
    wait::until(LONG, "the end of the sockets", || (!account.socket().exists()).then_some(()));
    let start = account.background(&["daemon", "start"]);
    let is_new = |pid: &i32| {
        !both.contains(pid) && proc::command_line(*pid).iter().any(|word| word.ends_with("visord"))
    };
    wait::until(LONG, "the new daemon to look around", || {
        account.sandbox.processes().iter().any(is_new).then_some(())
    });
    assert!(
        shutdown.try_wait().expect("our own child").is_none(),
        "said to be shut down while its keeper has the locks"
    );
    proc::signal(keeper, Signal::SIGCONT);
    for client in [shutdown, start] {
        let output = client.wait_with_output().expect("our own child");
        assert!(output.status.success(), "{output:?}");
    }
    assert_ne!(account.keeper(), keeper);
    account.shutdown();
}

#[test]
fn programs_get_the_environment_of_a_login_and_not_that_of_whoever_was_first() {
    let account = Account::new("login");
    account.sandbox.write(".profile", "export FROM_PROFILE=yes\n");
    account.program(
        "shown",
        "command=sh -c 'env; exec sleep 1000'\nstartsecs=0\nenvironment=GIVEN=\"%(ENV_FROM_PROFILE)s\"",
    );
    let mut first = account.client(&["daemon", "start"]);
    first.env("PATH", "/first:/usr/bin:/bin").env("SECRET", "x");
    let started = first.output().expect("visorctl runs");
    assert!(started.status.success(), "{started:?}");
    let shown = || {
        let text = account.ok(&["logs", "-n", "1000", "shown"]);
        text.contains("SUPERVISOR_PROCESS_NAME").then_some(text)
    };
    let check = |text: &str| {
        let has = |start: &str| text.lines().any(|line| line.starts_with(start));
        assert!(has("FROM_PROFILE=yes") && has("GIVEN=yes"), "{text}");
        assert!(!has("SECRET=") && !has("VISOR_STARTED_BY_CLIENT=") && !text.contains("/first"), "{text}");
    };
    check(&wait::until(LONG, "the environment", shown));
    // The next reactor knows it too.
    let reactor = json(&account, &["daemon", "status", "--json"])["reactor_pid"].as_i64().expect("a pid");
    proc::signal(i32::try_from(reactor).expect("a pid"), Signal::SIGKILL);
    account.ok(&["clear", "shown"]);
    account.ok(&["restart", "shown"]);
    check(&wait::until(LONG, "the environment", shown));
    account.ok(&["reread"]);
    account.shutdown();
}

#[test]
fn what_does_not_fit_into_the_pipe_to_a_program_follows_when_it_reads() {
    let account = Account::new("stdin");
    let script = "while [ ! -e go ]; do sleep 0.05; done; exec head -c 300000 >got";
    let directory = account.sandbox.dir().display();
    account.program(
        "late",
        &format!("command=sh -c '{script}'\ndirectory={directory}\nstartsecs=0\nautorestart=false"),
    );
    account.start();
    account.running("late");
    let send = |bytes: usize| {
        let mut stream = std::os::unix::net::UnixStream::connect(account.socket()).expect("a socket");
        let head = format!(
            "POST /v1/stdin?name=late HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n"
        );
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&vec![b'x'; bytes]))
            .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    for bytes in [200_000, 100_000] {
        assert!(send(bytes).contains(r#""status":"done""#));
    }
    let refused = send(1024 * 1024);
    assert!(
        refused.contains("the program does not read") && refused.contains("bytes wait for it already"),
        "{refused}"
    );
    account.sandbox.write("go", "");
    wait::until(LONG, "all of it", || (account.sandbox.read_bytes("got").len() == 300_000).then_some(()));
    account.shutdown();
}

#[test]
fn ctrl_c_in_a_command_that_waits_cancels_nothing() {
    let account = Account::new("ctrl-c");
    account.program("slow", "command=sleep 1000\nstartsecs=4\nautostart=false");
    account.start();
    let start = account.background(&["start", "slow"]);
    wait::until(LONG, "the start", || account.ok(&["status"]).contains("STARTING").then_some(()));
    proc::signal(start.id().cast_signed(), Signal::SIGINT);
    let output = start.wait_with_output().expect("our own child");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && err.contains("background"), "{output:?}");
    assert!(account.running("slow") > 0);
    account.shutdown();
}

/// A program that takes five seconds to end.
fn slow(account: &Account) -> i32 {
    account.sandbox.write("slow.sh", "trap 'sleep 5; exit 0' TERM; touch up; while :; do sleep 0.05; done");
    let home = account.sandbox.path("");
    account.program("slow", &format!("directory={}\ncommand=bash slow.sh\nstartsecs=0", home.display()));
    account.start();
    let up = account.sandbox.path("up");
    wait::until(LONG, "the program", || up.exists().then_some(()));
    std::fs::remove_file(up).expect("our own file");
    account.running("slow")
}

/// Waits until the program runs that took the place of another.
fn next_of(account: &Account, before: i32) -> i32 {
    wait::until(LONG, "the next run", || {
        let pid = account.told(&["pid", "slow"]).1.trim().parse().ok()?;
        (![0, before].contains(&pid)).then_some(pid)
    })
}

#[test]
fn a_restart_is_brought_to_its_end_whoever_goes_meanwhile() {
    let account = Account::new("restart");
    let first = slow(&account);
    // Its time is over before the program has ended.
    assert_eq!(account.told(&["restart", "--timeout", "1s", "slow"]).0, 6);
    assert!(proc::alive(first));
    let second = next_of(&account, first);
    wait::until(LONG, "the trap", || account.sandbox.path("up").exists().then_some(()));
    assert_eq!(account.ok(&["restart", "--no-wait", "slow"]), "slow: restarted\n");
    assert!(proc::alive(second), "nobody waited for its end");
    assert_eq!(json(&account, &["status", "--json", "slow"])["processes"][0]["wanted"], true);
    proc::signal(account.reactor(), Signal::SIGKILL);
    let third = next_of(&account, second);
    assert!(!proc::alive(second) && proc::alive(third));
    account.shutdown();
}

#[test]
fn a_stop_beats_a_restart_that_is_under_way() {
    let account = Account::new("beaten");
    let first = slow(&account);
    account.ok(&["restart", "--no-wait", "slow"]);
    assert_eq!(account.ok(&["stop", "slow"]), "slow: stopped\n");
    assert!(!proc::alive(first));
    let status = json(&account, &["status", "--json", "slow"]);
    assert_eq!(
        (&status["processes"][0]["state"], &status["processes"][0]["wanted"]),
        (&"STOPPED".into(), &false.into())
    );
    account.shutdown();
}
