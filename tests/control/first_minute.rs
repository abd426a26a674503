//! From a command to a program and back: what people do with `visorctl` in their first minutes, with a real daemon.

use super::account::Account;
use crate::common::proc;
use crate::common::wait::{self, LONG};
use std::fs;

const CONF_D: &str = ".config/visor/conf.d";

#[test]
fn a_program_that_is_deleted_is_stopped_and_comes_back_by_undo() {
    let account = Account::new("delete");
    account.start();
    account.ok(&["new", "web", "--", "sleep", "1000"]);
    let pid = account.running("web");
    let file = account.sandbox.path(&format!("{CONF_D}/web.conf"));
    let text = fs::read_to_string(&file).expect("the file");
    let out = account.ok(&["delete", "web"]);
    let expected =
        "stopped web; deleted ~/.config/visor/conf.d/web.conf (bring it back: visorctl delete --undo web)\n";
    assert_eq!(out, expected);
    assert!(!file.exists() && !proc::alive(pid));
    assert_eq!(account.told(&["status", "web"]).0, 4);
    let (code, _, err) = account.told(&["delete", "web"]);
    assert_eq!((code, err.as_str()), (4, "error: there is no program web (visorctl avail lists)\n"));
    assert_eq!(account.ok(&["delete", "--undo"]), "~/.config/visor/conf.d/web.conf is back\n");
    assert_eq!(fs::read_to_string(&file).expect("the file"), text);
    account.running("web");
    let (code, _, err) = account.told(&["delete", "--undo"]);
    assert_eq!((code, err.as_str()), (4, "error: nothing was deleted here\n"));
    account.shutdown();
}

#[test]
fn only_what_visorctl_wrote_and_nothing_else_needs_is_deleted() {
    let account = Account::new("delete-not");
    account.start();
    for name in ["one", "two", "three"] {
        account.ok(&["new", name, "--no-start", "--", "sleep", "1000"]);
    }
    account.program("mine", "command=sleep 1000");
    account.file("pool", "[group:pool]\nprograms=one\n");
    let two = account.sandbox.path(&format!("{CONF_D}/two.conf"));
    let more = fs::read_to_string(&two).expect("the file") + "[program:also]\ncommand=sleep 1000\n";
    fs::write(&two, more).expect("our own file");
    account.ok(&["update"]);
    for (name, why) in [
        ("mine", "mine.conf was not made by visorctl new or import: remove [program:mine] by hand"),
        ("two", "two.conf has [program:also] too: remove [program:two] by hand"),
        ("pool:one", "remove [program:pool:one] by hand"),
    ] {
        let (code, out, err) = account.told(&["delete", name]);
        assert_eq!((code, out.as_str()), (1, ""), "{name}: {err}");
        assert!(err.contains(why), "{name}: {err}");
    }
    account.running("mine");
    account.running("two");
    account.running("pool:one");
    // A mistake in another file keeps nobody from taking a program away.
    account.file("bad", "[program:bad]\n");
    account.ok(&["delete", "three"]);
    wait::until(LONG, "three to go", || (account.told(&["status", "three"]).0 == 4).then_some(()));
    fs::remove_file(account.sandbox.path(&format!("{CONF_D}/bad.conf"))).expect("our own file");
    account.ok(&["delete", "--undo", "three"]);
    account.running("three");
    account.shutdown();
}

#[test]
fn without_a_daemon_only_the_file_goes_and_comes() {
    let account = Account::new("delete-file");
    account.ok(&["new", "web", "--no-start", "--", "sleep", "1000"]);
    account.file("pool", "[group:pool]\nprograms=web\n");
    let (code, _, err) = account.told(&["delete", "web"]);
    assert!(code == 1 && err.contains("something else needs web: "), "{err}");
    account.remove_file("pool");
    account.ok(&["delete", "web"]);
    account.ok(&["new", "web", "--no-start", "--", "cat"]);
    let (code, _, err) = account.told(&["delete", "--undo", "web"]);
    assert_eq!((code, err.as_str()), (1, "error: web is there again in ~/.config/visor/conf.d/web.conf\n"));
    assert!(account.daemons().is_empty());
}

#[test]
fn what_is_disabled_does_not_start_by_itself_until_it_is_enabled() {
    let account = Account::new("disable");
    account.program("web", "command=sleep 1000");
    account.program("db", "command=sleep 1000");
    account.start();
    let pid = account.running("web");
    assert_eq!(account.ok(&["disable", "web"]), "web: disabled\n");
    assert_eq!(account.pid("web"), pid, "what runs is not touched");
    assert!(account.ok(&["status", "web"]).trim_end().ends_with(", disabled"));
    assert_eq!(account.ok(&["disable", "--now", "db"]), "db: disabled\ndb: stopped\n");
    account.ok(&["daemon", "stop"]);
    account.start();
    let shown = account.ok(&["status"]);
    assert_eq!(shown.matches("STOPPED   Not started, disabled").count(), 2, "{shown}");
    let (_, out, _) = account.told(&["why", "web"]);
    assert!(
        out.contains("it was disabled on this host at ") && out.contains("visorctl enable --now web"),
        "{out}"
    );
    // Neither a change of its configuration nor the death of a reactor starts it.
    account.program("web", "command=sleep 1001");
    account.ok(&["update"]);
    proc::signal(account.reactor(), nix::sys::signal::Signal::SIGKILL);
    account.wait_log("the reactor died and was replaced");
    account.program("web", "command=sleep 1002");
    account.ok(&["update"]);
    assert!(account.ok(&["status", "web"]).contains("STOPPED   Not started, disabled"));
    let (code, out, err) = account.told(&["start", "web"]);
    assert_eq!((code, out.as_str()), (0, "web: started\n"));
    assert_eq!(err, "web is disabled: it runs now, and does not start by itself (visorctl enable web)\n");
    assert_eq!(account.ok(&["enable", "--now", "db"]), "db: enabled\ndb: started\n");
    account.ok(&["enable", "web"]);
    assert!(!account.ok(&["status"]).contains("disabled"));
    account.ok(&["daemon", "stop"]);
    account.start();
    account.running("web");
    account.running("db");
    account.shutdown();
}

#[test]
fn programs_are_disabled_without_a_daemon_and_by_group() {
    let account = Account::new("disable-group");
    account.program("pool", "command=sleep 1000\nnumprocs=2\nprocess_name=p%(process_num)d");
    account.program("web", "command=sleep 1000");
    assert_eq!(account.ok(&["disable", "pool:*"]), "pool:*: disabled\n");
    let (code, _, err) = account.told(&["disable", "nobody", "pool"]);
    assert_eq!((code, err.as_str()), (4, "nobody: ERROR (no such process)\npool: ERROR (no such process)\n"));
    account.start();
    account.running("web");
    assert_eq!(account.ok(&["status", "pool:*"]).matches("disabled").count(), 2);
    let (code, _, err) = account.told(&["enable", "pool:p0"]);
    assert!(code == 1 && err.contains("the whole group pool is disabled (visorctl enable pool:*)"), "{err}");
    let (code, _, err) = account.told(&["disable", "web", "nobody"]);
    assert_eq!((code, err.as_str()), (4, "nobody: ERROR (no such process)\n"));
    account.ok(&["enable", "all"]);
    assert!(!account.ok(&["status"]).contains("disabled"));
    // A new program is not disabled because one of its name was.
    account.ok(&["new", "other", "--", "sleep", "1000"]);
    account.ok(&["disable", "other"]);
    account.ok(&["delete", "other"]);
    account.ok(&["new", "other", "--", "sleep", "1000"]);
    account.running("other");
    account.shutdown();
}

#[test]
fn a_mark_that_cannot_be_kept_is_refused_and_not_in_force() {
    let account = Account::new("disable-not");
    account.program("web", "command=sleep 1000");
    account.start();
    account.running("web");
    account.sandbox.mkdir(".local/state/visor/disabled.default");
    let (code, out, err) = account.told(&["disable", "web"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("nothing is changed: "), "{err}");
    assert!(!account.ok(&["status"]).contains("disabled"));
    account.shutdown();
}

#[test]
fn a_program_whose_condition_does_not_hold_is_not_started_and_says_why() {
    let account = Account::new("condition");
    let mark = account.sandbox.path("mark").display().to_string();
    account.program(
        "here",
        "command=sleep 1000\ncondition_host=*\ncondition_os=linux,macos\ncondition_env=!NO_SUCH",
    );
    account.program("elsewhere", "command=sleep 1000\ncondition_host=no-such-host");
    account.program("marked", &format!("command=sleep 1000\ncondition_path={mark}"));
    account.program("asked", &format!("command=sleep 1000\ncondition_command=test -e {mark}"));
    account.start();
    account.running("here");
    let expect = |name: &str, words: &str| {
        let shown = wait::until(LONG, &format!("{name} to be left alone"), || {
            Some(account.ok(&["status", name])).filter(|shown| shown.contains("condition_"))
        });
        assert!(shown.contains("STOPPED   Not started, ") && shown.contains(words), "{shown}");
        let (code, out, err) = account.told(&["start", name]);
        assert_eq!((code, out.as_str()), (7, ""), "{err}");
        assert!(err.contains(words), "{err}");
        let (_, out, _) = account.told(&["why", name]);
        assert!(out.contains("it is not meant to run here now") && out.contains(words), "{out}");
    };
    expect("elsewhere", "condition_host=no-such-host does not hold: this host is ");
    expect("marked", &format!("condition_path={mark} does not hold: it is not there"));
    expect("asked", &format!("condition_command=test -e {mark} does not hold: it ended with exit status 1"));
    // It is told after the death of a reactor too, and judged anew at the next start.
    proc::signal(account.reactor(), nix::sys::signal::Signal::SIGKILL);
    account.wait_log("the reactor died and was replaced");
    account.ok(&["status", "elsewhere"]);
    fs::write(&mark, "").expect("our own file");
    account.ok(&["start", "marked", "asked"]);
    fs::remove_file(&mark).expect("our own file");
    let (code, _, err) = account.told(&["restart", "marked"]);
    assert!(code == 7 && err.contains("it is not there"), "{err}");
    account.program("elsewhere", "command=sleep 1000\ncondition_host=!no-such-host");
    account.ok(&["update"]);
    account.running("elsewhere");
    account.shutdown();
}

#[test]
fn on_a_network_home_a_new_program_is_for_this_host() {
    let account = Account::new("network-home");
    let home = account.sandbox.path(".config").display().to_string();
    let mut command = account.client(&["new", "web", "--no-start", "--", "sleep", "1000"]);
    let output = super::account::run({
        command.env("VISOR_TEST_NETWORK", &home);
        command
    });
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let node = nix::sys::utsname::uname().expect("a name").nodename().to_string_lossy().into_owned();
    let told =
        format!("it runs on {node} only: the home is on a network file system (condition_host={node})");
    assert!(output.status.success() && out.contains(&told), "{out}");
    let text = account.sandbox.read(&format!("{CONF_D}/web.conf"));
    assert!(text.contains(&format!("\ncondition_host={node}\n")), "{text}");
    account.start();
    account.running("web");
    account.shutdown();
}
