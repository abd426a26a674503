//! What an owner grants to others: `[delegate:x]`, its socket and `visorctl --owner`, with real accounts.

use super::account::{Account, run};
use super::hostile::ENDPOINTS;
use super::visitors::{self, BOB, CAROL, DAVE, Visit};
use crate::common::wait::{self, LONG};
use crate::common::{Who, need, proc};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

/// What must never be seen by others: it is in commands, environments, paths and names of what is not granted.
const SECRET: &str = "canary";

/// A program with secrets wherever there can be any.
fn secretive(name: &str, more: &str) -> String {
    format!(
        "[program:{name}]\ncommand=sh -c 'echo spoken && test -n {SECRET} && exec sleep 1000'\nenvironment={SECRET}=\"{SECRET}\"\nstartsecs=0\n\
         stdout_logfile=%(here)s/{SECRET}-{name}.log\n{more}\n"
    )
}

/// Three programs; bob may do everything with `web`, and look at `db`; members of carol's group look at `web`.
fn grants() -> String {
    let all = "status,logs,start,stop,restart,signal,reload";
    format!(
        "[delegate:bob]\nusers={BOB}\nprograms=web\nactions={all}\n[delegate:look]\nusers={BOB}\nprograms=db\n\
         actions=status\n[delegate:ops]\ngroups={}\nprograms=web\n",
        visitors::GROUP
    )
}

/// An account whose programs run, and others who were granted something.
fn account(name: &str, who: Who) -> Option<Account> {
    if !visitors::are_there() {
        return None;
    }
    let account = Account::new_for(name, who);
    for (name, more) in [("web", ""), ("db", ""), ("canary", "")] {
        account.file(name, &secretive(name, more));
    }
    account.file("grants", &grants());
    account.start();
    for name in ["web", "db", "canary"] {
        account.running(name);
    }
    Some(account)
}

/// What each of the three is answered at an endpoint about `web`: bob with all rights, carol who may look, dave.
fn expected(endpoint: &str) -> [u16; 2] {
    match endpoint.split('?').next().unwrap_or_default() {
        "GET /v1/version" | "GET /v1/status" | "HEAD /v1/version" | "HEAD /v1/status" | "POST /v1/wait" => {
            [200, 200]
        }
        "GET /v1/log" | "POST /v1/follow" => [200, 200],
        "POST /v1/start" | "POST /v1/stop" | "POST /v1/restart" | "POST /v1/signal" => [200, 403],
        _ => [403, 403],
    }
}

#[test]
fn every_endpoint_is_refused_unless_it_is_granted() {
    let Some(account) = account("delegates-table", Who::Ordinary) else { return };
    let body = r#"{"names":["web"],"groups":["web"],"signal":"CONT","until":"running"}"#;
    for (who, column) in [(BOB, Some(0)), (CAROL, Some(1)), (DAVE, None)] {
        let told = Visit::of(&account, who).ask(ENDPOINTS, body);
        assert_eq!(told.len(), ENDPOINTS.len(), "{who}: {told:?}");
        for (endpoint, (status, reply)) in ENDPOINTS.iter().zip(told) {
            let wanted = column.map_or(403, |column| expected(endpoint)[column]);
            assert_eq!(status, wanted, "{who}: {endpoint}: {reply}");
            assert!(!reply.contains(SECRET) && !reply.contains(".log"), "{who}: {endpoint}: {reply}");
        }
    }
    assert!(account.running("db") > 0 && account.running("canary") > 0);
    account.shutdown();
    assert!(!visitors::directory(&account).exists(), "nobody is there to be asked");
}

#[test]
fn a_name_that_may_not_be_known_is_like_one_of_nothing() {
    let Some(account) = account("delegates-names", Who::Ordinary) else { return };
    let (bob, pid) = (Visit::of(&account, BOB), account.pid("canary"));
    for words in [
        &["start"][..],
        &["stop"],
        &["restart"],
        &["signal", "HUP"],
        &["status"],
        &["wait"],
        &["pid"],
        &["tail"],
        &["logs"],
        &["why"],
    ] {
        let told = |name: &str| {
            let (code, out, err) = bob.ctl(&[words, &[name]].concat());
            (code, out.replace(name, "NAME"), err.replace(name, "NAME"))
        };
        assert_eq!(told("canary"), told("nothng"), "{words:?}");
        assert_eq!(told("canary").0, 4, "{words:?}: {:?}", told("canary"));
    }
    for endpoint in ["GET /v1/status?name=NAME", "GET /v1/log?name=NAME", "GET /v1/log?name=NAME&follow=1"] {
        let [known, nothing] = ["canary", "nothng"].map(|name| {
            let (status, reply) = bob.ask(&[&endpoint.replace("NAME", name)], "").remove(0);
            (status, reply.replace(name, "NAME"))
        });
        assert_eq!(known, nothing, "{endpoint}");
    }
    let listed = bob.ctl(&["status"]).1;
    assert!(listed.contains("web") && listed.contains("db") && !listed.contains("canary"), "{listed}");
    assert_eq!(account.pid("canary"), pid);
    account.shutdown();
}

#[test]
fn a_delegate_restarts_what_it_may_and_is_refused_the_rest_in_words() {
    let Some(account) = account("delegates-verbs", Who::Ordinary) else { return };
    let (bob, carol, dave) =
        (Visit::of(&account, BOB), Visit::of(&account, CAROL), Visit::of(&account, DAVE));
    let before = account.pid("web");
    assert_eq!(bob.ctl(&["restart", "web"]), (0, "web: restarted\n".into(), String::new()));
    assert_ne!(account.pid("web"), before);
    let by = format!("by {BOB} (uid {})", visitors::uid(BOB));
    account.wait_log(&format!("restart of web asked for {by}"));
    let db = account.pid("db");
    for verb in ["start", "stop", "restart"] {
        let (code, out, err) = bob.ctl(&[verb, "db"]);
        let refused =
            format!("db: ERROR ({verb} of db is not granted to you (user {}))\n", visitors::uid(BOB));
        assert_eq!((code, out.as_str(), err.as_str()), (1, "", refused.as_str()));
        let (code, _, err) = carol.ctl(&[verb, "web"]);
        assert!(code == 1 && err.contains(&format!("{verb} is not granted to you")), "{code} {err}");
        let (code, _, err) = dave.ctl(&[verb, "web"]);
        assert!(code == 1 && err.contains("nothing of this daemon is granted to you"), "{code} {err}");
    }
    account
        .wait_log(&format!("{BOB} (uid {}) asked for start of db, which is not granted", visitors::uid(BOB)));
    // All of it means all that is granted.
    assert_eq!(bob.ctl(&["stop", "all"]).1, "web: stopped\n");
    assert!(account.told(&["status"]).1.contains("STOPPED"));
    assert!(account.ok(&["why", "web"]).contains(&format!("it was stopped {by}")));
    assert_eq!(bob.ctl(&["start", "web"]).0, 0);
    assert_eq!(account.pid("db"), db);
    assert_eq!(carol.ctl(&["status", "web"]).0, 0);
    for verb in [
        "update", "reread", "shutdown", "clear", "add", "remove", "avail", "new", "daemon", "reload", "check",
    ] {
        let words: &[&str] = match verb {
            "clear" | "add" | "remove" => &[verb, "web"],
            "new" => &[verb, "x", "--", "true"],
            "daemon" => &[verb, "status"],
            _ => &[verb],
        };
        let (code, _, err) = bob.ctl(words);
        assert!(code == 2 && err.contains("it cannot be granted"), "{verb}: {code} {err}");
    }
    account.shutdown();
}

#[test]
fn to_reload_is_hup_and_no_other_signal() {
    let Some(account) = account("delegates-reload", Who::Ordinary) else { return };
    let grant = format!("[delegate:bob]\nusers={}\nprograms=w*\nactions=reload\n", visitors::uid(BOB));
    account.file("grants", &grant);
    account.file("web", &secretive("web", "").replace("exec sleep", "trap \"\" HUP; exec sleep"));
    account.ok(&["update"]);
    let (bob, web) = (Visit::of(&account, BOB), account.running("web"));
    assert_eq!(bob.ctl(&["signal", "HUP", "web"]).0, 0);
    for signal in ["TERM", "KILL", "0"] {
        assert_eq!(bob.ctl(&["signal", signal, "web"]).0, if signal == "0" { 2 } else { 1 }, "{signal}");
    }
    assert_eq!(bob.ctl(&["status"]).0, 1);
    assert_eq!(account.running("web"), web);
    account.shutdown();
}

#[test]
fn a_change_of_the_grants_is_in_force_at_once() {
    let Some(account) = account("delegates-live", Who::Ordinary) else { return };
    let (bob, dave, web) = (Visit::of(&account, BOB), Visit::of(&account, DAVE), account.pid("web"));
    let mut follower = bob.background(&["logs", "-f", "web"]);
    let mut said = [0; 6];
    let stdout = follower.stdout.as_mut().expect("stdout is piped");
    std::io::Read::read_exact(stdout, &mut said).expect("what the program said");
    account.file("grants", &format!("[delegate:dave]\nusers={DAVE}\nprograms=web\nactions=status\n"));
    assert!(account.told(&["reread"]).2.contains("[delegate:*]"), "{:?}", account.told(&["reread"]));
    assert_eq!(bob.ctl(&["status", "web"]).0, 0, "reread changes nothing");
    account.ok(&["update"]);
    assert_eq!((bob.ctl(&["status", "web"]).0, dave.ctl(&["status", "web"]).0), (1, 0));
    let ended =
        wait::until(LONG, "the end of what bob followed", || follower.try_wait().expect("our own child"));
    assert!(!ended.success());
    // Nothing granted: no socket.
    account.remove_file("grants");
    account.ok(&["update"]);
    assert!(!visitors::directory(&account).exists());
    assert_eq!(dave.ctl(&["status", "web"]).0, 4);
    account.file("grants", &grants());
    proc::signal(account.keeper(), Signal::SIGHUP);
    wait::until(LONG, "the grants after a HUP", || (bob.ctl(&["status", "web"]).0 == 0).then_some(()));
    assert_eq!(account.pid("web"), web, "no program was touched");
    account.shutdown();
}

#[test]
fn a_file_with_grants_that_changes_takes_effect_by_itself() {
    if !visitors::are_there() {
        return;
    }
    let account = Account::watched("delegates-hot");
    account.file("web", &secretive("web", ""));
    account.start();
    let (bob, web) = (Visit::of(&account, BOB), account.running("web"));
    let until = |code: i32| {
        wait::until(LONG, &format!("exit code {code}"), || {
            (bob.ctl(&["status", "web"]).0 == code).then_some(())
        });
    };
    until(4);
    account.file("grants", &format!("[delegate:bob]\nusers={BOB}\nprograms=web\n"));
    until(0);
    account.file("grants", &format!("[delegate:dave]\nusers={DAVE}\nprograms=web\n"));
    until(1);
    account.remove_file("grants");
    until(4);
    assert_eq!(account.pid("web"), web);
    account.shutdown();
}

#[test]
fn the_socket_outlives_the_reactor_and_comes_back_when_it_is_wiped() {
    let Some(account) = account("delegates-back", Who::Ordinary) else { return };
    let (bob, directory) = (Visit::of(&account, BOB), visitors::directory(&account));
    let modes = |path: &std::path::Path| fs::metadata(path).map(|found| found.mode() & 0o7777).ok();
    assert_eq!((modes(&directory), modes(&directory.join("control.sock"))), (Some(0o711), Some(0o666)));
    let reactor = account.reactor();
    proc::signal(reactor, Signal::SIGKILL);
    wait::until(LONG, "the next reactor", || (account.reactor() != reactor).then_some(()));
    assert_eq!(bob.ctl(&["restart", "web"]).0, 0);
    assert_eq!(bob.ctl(&["restart", "db"]).0, 1);
    for _ in 0..2 {
        fs::remove_dir_all(&directory).expect("our own directory");
        wait::until(LONG, "the socket to come back", || (bob.ctl(&["status", "web"]).0 == 0).then_some(()));
    }
    account.shutdown();
}

#[test]
fn a_squatter_is_left_alone_and_nobody_talks_to_them() {
    if !visitors::are_there() {
        return;
    }
    let account = Account::new("delegates-squat");
    account.file("web", &secretive("web", ""));
    account.file("grants", &grants());
    let directory = visitors::directory(&account);
    fs::create_dir(&directory).expect("a directory");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o711)).expect("chmod");
    std::os::unix::fs::chown(&directory, Some(visitors::uid(DAVE)), None).expect("chown by root");
    account.start();
    account.wait_log("for the control socket of others: it belongs to user");
    assert_eq!(fs::read_dir(&directory).expect("list").count(), 0, "nothing was put there");
    let mut fake = Visit::of(&account, DAVE).listen(&directory.join("control.sock"));
    let (code, _, err) = Visit::of(&account, BOB).ctl(&["status", "web"]);
    assert!(code == 4 && err.contains("listens there, who is neither"), "{code} {err}");
    fake.kill().and_then(|()| fake.wait()).expect("our own child");
    fs::remove_dir_all(&directory).expect("the squatter goes");
    wait::until(LONG, "the socket", || {
        (Visit::of(&account, BOB).ctl(&["status", "web"]).0 == 0).then_some(())
    });
    account.shutdown();
}

#[test]
fn a_crowd_at_the_socket_shuts_nobody_else_out() {
    let Some(account) = account("delegates-crowd", Who::Ordinary) else { return };
    let (bob, carol, dave) =
        (Visit::of(&account, BOB), Visit::of(&account, CAROL), Visit::of(&account, DAVE));
    // Half-open ones of bob, and those of a stranger who comes again and again.
    let mut crowd = [bob.crowd(60), dave.crowd(60)];
    wait::until(LONG, "bob's crowd", || (bob.connections() == 8).then_some(()));
    for _ in 0..20 {
        account.ok(&["status"]);
        assert_eq!(carol.ctl(&["status", "web"]).0, 0);
        assert_eq!(bob.ctl(&["status", "web"]).0, 0, "their own oldest gives way");
        assert!(bob.connections() <= 8, "{}", bob.connections());
    }
    account.wait_log(&format!("of user {}", visitors::uid(DAVE)));
    let lines = || account.log().lines().filter(|line| line.contains("connection(s) to the control")).count();
    assert!(lines() < 20, "{} lines about a crowd", lines());
    crowd
        .iter_mut()
        .for_each(|child| child.kill().and_then(|()| child.wait()).map(drop).expect("our own child"));
    account.shutdown();
}

#[test]
fn the_daemon_of_root_grants_too() {
    let Some(account) = account("delegates-root", Who::Root) else { return };
    let bob = Visit::of(&account, BOB);
    let before = account.pid("web");
    assert_eq!(bob.ctl(&["restart", "web"]).0, 0);
    assert_ne!(account.pid("web"), before);
    assert_eq!(bob.ctl(&["restart", "db"]).0, 1);
    assert_eq!(Visit::of(&account, DAVE).ctl(&["restart", "web"]).0, 1);
    let all = run(account.client(&["--owner", "root", "status"]));
    assert!(String::from_utf8_lossy(&all.stdout).contains("canary"), "root sees everything: {all:?}");
    account.shutdown();
}

#[test]
fn an_owner_who_is_nobody_or_grants_nothing_is_told() {
    if !need::root() {
        return;
    }
    let account = Account::new("delegates-none");
    let (code, _, err) = account.told(&["--owner", "no-such-user", "status"]);
    assert_eq!((code, err.as_str()), (2, "error: there is no user no-such-user\n"));
    let (code, _, err) = account.told(&["--owner", &account.uid().to_string(), "status"]);
    assert!(code == 4 && err.contains("grants anything to others"), "{code} {err}");
    let (code, _, _) = account.told(&["--owner", "root", "-c", "x.conf", "status"]);
    assert_eq!(code, 2, "one daemon is meant");
}
