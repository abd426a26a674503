//! `reread`, `update`, `add`, `remove` and `avail`: only what changed is touched.

use super::account::Account;
use super::raw;
use crate::common::wait::{self, LONG};
use crate::common::{daemon, proc};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

const WEB: &str = "command=sleep 1000\nstartsecs=0";

fn started(name: &str) -> Account {
    let account = Account::new(name);
    account.program("web", WEB);
    account.program("db", "command=sleep 2000\nstartsecs=0");
    account.start();
    account.ok(&["wait", "all"]);
    account
}

#[test]
fn a_key_that_needs_no_restart_needs_none_beside_one_that_does() {
    let account = started("beside");
    let before = (account.pid("web"), account.pid("db"));
    account.program("web", &format!("{WEB}\nstdout_logfile_maxbytes=1MB"));
    account.program("db", "command=sleep 1003\nstartsecs=0");
    let said = account.ok(&["update"]);
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["db: updated process group", "web: changed without a restart"]);
    assert_eq!(account.pid("web"), before.0);
    assert_ne!(account.pid("db"), before.1);
    assert_eq!(account.ok(&["reread"]), "No config updates to processes\n");
    account.shutdown();
}

#[test]
fn a_key_that_needs_no_restart_is_taken_over_while_the_program_runs() {
    let account = started("live");
    let before = (account.pid("web"), account.pid("db"));
    account.program("web", &format!("{WEB}\nstdout_logfile_maxbytes=1MB\nautorestart=false"));
    assert_eq!(account.told(&["reread"]), (0, "web: changed\n".into(), String::new()));
    assert_eq!(account.told(&["update"]), (0, "web: changed without a restart\n".into(), String::new()));
    assert_eq!((account.pid("web"), account.pid("db")), before);
    assert_eq!(account.ok(&["reread"]), "No config updates to processes\n");
    // autorestart=false is in force.
    proc::signal(before.0, nix::sys::signal::Signal::SIGKILL);
    account.ok(&["wait", "web", "--exit", "--timeout", "30s"]);
    assert!(account.told(&["status", "web"]).1.contains("EXITED"));
    account.shutdown();
}

#[test]
fn startsecs_of_a_program_that_is_coming_up_can_be_changed() {
    let account = Account::new("coming-up");
    account.program("web", "command=sleep 1000\nstartsecs=300");
    account.start();
    wait::until(LONG, "the program", || account.told(&["pid", "web"]).0.eq(&0).then_some(()));
    let pid = account.pid("web");
    for startsecs in [600, 1] {
        account.program("web", &format!("command=sleep 1000\nstartsecs={startsecs}"));
        assert_eq!(account.ok(&["update"]), "web: changed without a restart\n");
    }
    assert_eq!(account.running("web"), pid);
    account.shutdown();
}

#[test]
fn a_changed_command_restarts_its_group_only() {
    let account = started("command");
    let (web, db) = (account.pid("web"), account.pid("db"));
    account.program("web", "command=sleep 3000\nstartsecs=0");
    let out = account.ok(&["update"]);
    assert!(out.ends_with("web: updated process group\n") && !out.contains("db"), "{out}");
    let now = account.running("web");
    assert!(now != web && !proc::alive(web));
    assert_eq!(proc::command_line(now), ["sleep", "3000"]);
    assert_eq!(account.pid("db"), db);
    account.shutdown();
}

#[test]
fn a_bad_file_changes_nothing_and_status_says_so() {
    let account = started("bad");
    let before = (account.pid("web"), account.pid("db"));
    account.program("web", "command=sleep 3000\nstartsecs=soon");
    for verb in ["reread", "update"] {
        let (code, out, err) = account.told(&[verb]);
        assert_eq!((code, out.as_str()), (1, ""), "{verb}: {err}");
        assert!(err.contains("web.conf:3") && err.contains("startsecs"), "{verb}: {err}");
    }
    let (code, _, err) = account.told(&["status"]);
    assert_eq!(code, 0);
    assert!(err.contains("the configuration has mistakes") && err.contains("web.conf:3"), "{err}");
    let (code, out, _) = account.told(&["daemon", "status"]);
    assert!(code == 1 && out.contains("startsecs"), "{out}");
    assert_eq!((account.pid("web"), account.pid("db")), before);
    account.program("web", WEB);
    account.ok(&["update"]);
    assert_eq!(account.told(&["status"]).2, "");
    assert_eq!((account.pid("web"), account.pid("db")), before);
    account.shutdown();
}

#[test]
fn a_signal_to_read_a_bad_file_logs_what_is_wrong_with_it() {
    let account = started("bad-hup");
    account.program("web", "command=sleep 3000\nstartsecs=soon");
    proc::signal(account.keeper(), nix::sys::signal::Signal::SIGHUP);
    account.wait_log("web.conf:3: error: [program:web] startsecs: not a whole number");
    account.wait_log("nothing was changed");
    account.shutdown();
}

#[test]
fn changes_of_the_daemon_itself_are_told_and_wait_for_its_restart() {
    let account = started("daemon-keys");
    let main = |text: &str| account.sandbox.write(".config/visor/visor.conf", text);
    main("[visor]\napply=manual\n[supervisord]\nloglevel=debug\nlogfile_backups=3\n");
    let both = "[supervisord] logfile_backups: changed, waits for visorctl daemon restart";
    let (code, out, err) = account.told(&["reread"]);
    assert_eq!((code, out.as_str()), (0, "No config updates to processes\n"), "{err}");
    assert!(
        err.contains(both) && err.contains("[supervisord] loglevel: changed, without a restart"),
        "{err}"
    );
    let status = account.told(&["daemon", "status"]).1;
    assert!(status.contains("waits for visorctl update and for a restart of visord"), "{status}");
    let (code, _, err) = account.told(&["update"]);
    assert!(code == 0 && err.contains(both), "{err}");
    assert!(err.contains("[supervisord] loglevel: changed without a restart"), "{err}");
    account.ok(&["restart", "web"]);
    account.wait_log(" DEBG ");
    let (_, out, err) = account.told(&["status"]);
    assert!(err.contains("[supervisord] logfile_backups waits for visorctl daemon restart"), "{out}{err}");
    assert!(!err.contains("visorctl update"), "{err}");
    account.ok(&["daemon", "restart"]);
    assert_eq!(account.told(&["status"]).2, "");
    assert!(account.ok(&["daemon", "status"]).contains("in force"));
    account.shutdown();
}

#[test]
fn groups_are_added_and_removed_by_name_and_by_update() {
    let account = started("groups");
    account.program("third", WEB);
    assert_eq!(account.ok(&["reread"]), "third: available\n");
    let avail = account.ok(&["avail"]);
    let row = |name: &str| avail.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    assert!(row("third").is_some_and(|line| line.contains("avail ")), "{avail}");
    assert!(row("web").is_some_and(|line| line.contains("in use")), "{avail}");
    assert_eq!(account.ok(&["add", "third"]), "third: added process group\n");
    account.running("third");
    let (code, _, err) = account.told(&["remove", "third"]);
    assert_eq!(code, 1);
    assert!(err.contains("still running"), "{err}");
    account.ok(&["stop", "third"]);
    assert_eq!(account.ok(&["remove", "third"]), "third: removed process group\n");
    let (code, _, err) = account.told(&["add", "nope"]);
    assert!(code == 4 && err.contains("nope"), "{err}");
    let db = account.pid("db");
    account.remove_file("db");
    account.remove_file("third");
    let out = account.ok(&["update"]);
    assert!(out.ends_with("db: removed process group\n"), "{out}");
    assert!(!proc::alive(db));
    assert_eq!(account.ok(&["status"]).lines().count(), 1);
    account.shutdown();
}

#[test]
fn an_update_goes_on_after_the_death_of_the_reactor() {
    let account = Account::new("update-death");
    account
        .sandbox
        .write("slow.sh", "trap 'touch told; sleep 2; exit 0' TERM; touch up; while :; do sleep 0.05; done");
    let home = account.sandbox.path("");
    let web = format!("directory={}\nstartsecs=0\ncommand=", home.display());
    account.program("web", &format!("{web}bash slow.sh"));
    account.program("db", "command=sleep 2000\nstartsecs=0");
    account.start();
    wait::until(LONG, "the program", || account.sandbox.path("up").exists().then_some(()));
    let db = account.running("db");
    account.program("web", &format!("{web}sleep 3000"));
    let (reactor, keeper) = (account.reactor(), account.keeper());
    let client = account.background(&["update"]);
    wait::until(LONG, "the program to hear", || account.sandbox.path("told").exists().then_some(()));
    proc::signal(reactor, nix::sys::signal::Signal::SIGKILL);
    let told = client.wait_with_output().expect("our own child");
    assert!(!told.status.success(), "nobody said that it is done: {told:?}");
    let is_new = || daemon::reactor_of(keeper).filter(|pid| *pid != reactor);
    wait::until(LONG, "another reactor", is_new);
    wait::until(LONG, "the new program", || {
        let pid = account.told(&["pid", "web"]).1.trim().parse().ok()?;
        (proc::command_line(pid) == ["sleep", "3000"]).then_some(())
    });
    account.running("web");
    assert_eq!(account.pid("db"), db);
    assert_eq!(account.ok(&["reread"]), "No config updates to processes\n");
    let said = account.ok(&["status"]);
    assert!(said.lines().count() == 2 && said.matches("RUNNING").count() == 2, "{said}");
    account.shutdown();
}

#[test]
fn the_last_change_of_what_is_removed_is_told_and_ends_every_wait_for_it() {
    let account = started("removed");
    let mut events = BufReader::new(raw::stream(&account.socket(), "/v1/events")).lines();
    let mut waiting = raw::connect(&account.socket());
    let body = r#"{"names":["web"],"until":"exited"}"#;
    let head =
        format!("POST /v1/wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}", body.len());
    waiting.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).expect("the daemon reads");
    account.remove_file("web");
    account.ok(&["update"]);
    let mut reply = String::new();
    waiting.read_to_string(&mut reply).expect("an answer");
    assert!(reply.contains("\"namespec\":\"web\",\"status\":\"done\""), "{reply}");
    let mut serials = Vec::new();
    let last = events.find_map(|line| {
        let line = line.expect("the daemon goes on");
        serials.extend(line.strip_prefix("id: ").and_then(|serial| serial.parse::<u64>().ok()));
        (line.contains("\"web\"") && line.contains("\"STOPPED\"")).then_some(line)
    });
    assert!(last.is_some_and(|line| line.contains("\"from\":\"STOPPING\"")));
    assert!(serials.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{serials:?}");
    account.shutdown();
}
