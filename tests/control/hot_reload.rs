//! Files that change take effect by themselves, and nothing is stopped by accident.

use super::account::{Account, MAIN_FILE};
use crate::common::wait::{self, LONG};
use crate::common::{daemon, need, proc};
use nix::sys::signal::Signal;
use std::fs;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

const SLEEP: &str = "command=sleep 1000\nstartsecs=0";

/// A daemon that watches its files, with programs of these names, each in a file of its own.
fn watched(name: &str, programs: &[&str]) -> Account {
    let account = Account::watched(name);
    programs.iter().for_each(|program| account.program(program, SLEEP));
    account.start();
    account.ok(&["wait", "all"]);
    wait_watched(&account);
    account
}

/// Waits until the files are watched: a further program comes by itself.
fn wait_watched(account: &Account) {
    account.program("probe", "command=sleep 5\nautostart=false");
    wait_for(account, "probe", "STOPPED");
}

fn wait_for(account: &Account, program: &str, state: &str) {
    let shows = || account.told(&["status", program]).1.contains(state).then_some(());
    wait::until(LONG, &format!("{program} to be {state}"), shows);
}

/// Waits until a program is not there any more.
fn wait_gone(account: &Account, program: &str) {
    let is_gone = || (account.told(&["status", program]).0 == 4).then_some(());
    wait::until(LONG, &format!("the end of {program}"), is_gone);
}

fn pids(account: &Account, programs: &[&str]) -> Vec<i32> {
    programs.iter().map(|program| account.pid(program)).collect()
}

/// What `status` says beside the list.
fn remarks(account: &Account) -> String {
    account.told(&["status"]).2
}

fn wait_remark(account: &Account, text: &str) {
    wait::until(LONG, &format!("status to say: {text}"), || remarks(account).contains(text).then_some(()));
}

#[test]
fn programs_come_change_and_go_with_their_files() {
    let account = watched("comes", &["web", "db"]);
    let db = account.pid("db");
    account.program("third", SLEEP);
    account.running("third");
    let web = account.pid("web");
    account.program("web", "command=sleep 3000\nstartsecs=0");
    wait::until(LONG, "the restart", || (account.running("web") != web).then_some(()));
    assert_eq!(proc::command_line(account.running("web")), ["sleep", "3000"]);
    // Gone for a moment is not gone.
    let third = account.pid("third");
    account.remove_file("third");
    wait_remark(&account, "third: its file has just gone");
    account.program("third", SLEEP);
    wait::until(LONG, "it to be forgotten", || remarks(&account).is_empty().then_some(()));
    assert_eq!(account.pid("third"), third);
    account.remove_file("third");
    wait_gone(&account, "third");
    assert!(!proc::alive(third) && account.pid("db") == db);
    account.shutdown();
}

#[test]
fn a_key_that_needs_no_restart_is_taken_over_and_a_group_changes_in_part() {
    let account = watched("part", &["web"]);
    let team = |a: &str, b: &str, members: &str| {
        let program = |name: &str, line: &str| format!("[program:{name}]\nstartsecs=0\n{line}\n");
        let group = format!("[group:team]\nprograms={members}\n");
        account.file("team", &format!("{}{}{group}", program("a", a), program("b", b)));
    };
    team("command=sleep 1", "command=sleep 2000", "b");
    team("command=sleep 1000", "command=sleep 2000", "a,b");
    let (a, b) = (account.running("team:a"), account.running("team:b"));
    let web = account.pid("web");
    account.program("web", &format!("{SLEEP}\nstdout_logfile_maxbytes=1MB"));
    account.wait_log("the configuration changed: web: change live (stdout_logfile_maxbytes)");
    team("command=sleep 1000\nstartretries=9", "command=sleep 3000", "a,b");
    wait::until(LONG, "the restart of b", || (account.running("team:b") != b).then_some(()));
    assert_eq!(account.pid("team:a"), a, "only what changed is restarted");
    team("command=sleep 1000\nstartretries=9", "command=sleep 3000", "a");
    wait_gone(&account, "team:b");
    assert_eq!((account.pid("team:a"), account.pid("web")), (a, web));
    wait::until(LONG, "all to be in force", || remarks(&account).is_empty().then_some(()));
    account.shutdown();
}

#[test]
fn restart_on_change_and_what_people_stopped_are_obeyed() {
    let account = watched("stays", &["web", "db"]);
    account.ok(&["stop", "db"]);
    account.program("web", &format!("{SLEEP}\nrestart_on_change=false"));
    account.wait_log("web: change live (restart_on_change)");
    let web = account.pid("web");
    account.program("web", "command=sleep 3000\nstartsecs=0\nrestart_on_change=false");
    account.program("db", "command=sleep 3000\nstartsecs=0");
    account.wait_log("web: change with its next start (command)");
    account.wait_log("db: restart (command)");
    wait::until(LONG, "all to be in force", || remarks(&account).is_empty().then_some(()));
    assert!(account.pid("web") == web && account.told(&["status", "db"]).1.contains("STOPPED"));
    account.ok(&["restart", "web"]);
    assert_eq!(proc::command_line(account.running("web")), ["sleep", "3000"]);
    account.shutdown();
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_until_it_is_good() {
    let account = watched("bad", &["web"]);
    let web = account.pid("web");
    account.program("web", "command=sleep 3000\nstartsecs=soon");
    wait_remark(&account, "web.conf:3");
    assert!(remarks(&account).contains("since "), "{}", remarks(&account));
    account.program("more", SLEEP);
    account.wait_log("startsecs: not a whole number");
    wait::throughout(Duration::from_millis(900), || {
        let said = account.log().matches("startsecs: not a whole number").count();
        (said != 1).then(|| format!("the mistake was logged {said} times"))
    });
    assert!(account.pid("web") == web && account.told(&["status", "more"]).0 == 4);
    account.program("web", SLEEP);
    account.running("more");
    assert_eq!((account.pid("web"), remarks(&account).as_str()), (web, ""));
    account.shutdown();
}

#[test]
fn an_emptied_or_vanished_directory_stops_nothing() {
    let names = ["web", "db"];
    let account = watched("emptied", &names);
    let before = pids(&account, &names);
    let conf_d = account.sandbox.path(".config/visor/conf.d");
    let saved = account.sandbox.path("saved");
    let done = account.sandbox.command("cp").arg("-a").args([&conf_d, &saved]).status();
    assert!(done.is_ok_and(|status| status.success()));
    for entry in fs::read_dir(&conf_d).expect("our own directory") {
        fs::remove_file(entry.expect("an entry").path()).expect("our own file");
    }
    wait_remark(&account, "has no configuration any more");
    fs::remove_dir(&conf_d).expect("our own directory");
    // Longer than a file must be gone.
    wait::throughout(Duration::from_secs(6), || {
        (!before.iter().all(|&pid| proc::alive(pid))).then(|| "a program was stopped".to_owned())
    });
    fs::rename(&saved, &conf_d).expect("our own directory");
    wait::until(LONG, "all to be as before", || remarks(&account).is_empty().then_some(()));
    assert_eq!(pids(&account, &names), before);
    account.program("web", "command=sleep 3000\nstartsecs=0");
    wait::until(LONG, "the new directory to be watched", || {
        (account.running("web") != before[0]).then_some(())
    });
    account.shutdown();
}

#[test]
fn a_change_that_would_stop_most_programs_waits_for_apply() {
    let names = ["a", "b", "c", "d"];
    let account = watched("many", &names);
    let before = pids(&account, &names);
    for name in &names[..3] {
        account.program(name, "command=sleep 3000\nstartsecs=0");
    }
    wait_remark(&account, "a b c: 3 of 4 running programs would be stopped");
    account.program("new", SLEEP);
    account.running("new");
    assert_eq!(pids(&account, &names), before, "what is new comes all the same");
    let plan = account.ok(&["apply", "--dry-run"]);
    assert_eq!(plan.lines().count(), 3, "{plan}");
    assert!(plan.contains("a: restart (command); waits: 3 of"), "{plan}");
    assert_eq!(pids(&account, &names), before);
    let plan = account.ok(&["apply"]);
    assert!(plan.contains("c: restart (command)\n") && !plan.contains("waits"), "{plan}");
    for (name, old) in names.iter().zip(&before) {
        assert_eq!(account.running(name) == *old, *name == "d", "{name}");
    }
    assert_eq!(account.ok(&["apply"]), "everything is in force\n");
    assert_eq!(remarks(&account), "");
    account.shutdown();
}

#[test]
fn who_asks_while_a_saved_file_takes_effect_waits_for_it() {
    let account = watched("meanwhile", &["db"]);
    let slow = "trap 'touch told; while [ ! -e go ]; do sleep 0.05; done; exit 0' TERM
touch up
while :; do sleep 0.05; done";
    account.sandbox.write("slow.sh", slow);
    let home = account.sandbox.path("");
    let web = format!("directory={}\nstartsecs=0\nstopwaitsecs=3000\ncommand=", home.display());
    account.program("web", &format!("{web}bash slow.sh"));
    wait::until(LONG, "the program", || account.sandbox.path("up").exists().then_some(()));
    account.program("web", &format!("{web}sleep 3000"));
    wait::until(LONG, "the program to hear", || account.sandbox.path("told").exists().then_some(()));
    account.program("third", SLEEP);
    let update = account.background(&["update"]);
    let plan = account.ok(&["apply", "--dry-run"]);
    assert!(plan.contains("third: add"), "{plan}");
    account.sandbox.write("go", "");
    let update = update.wait_with_output().expect("our own child");
    assert!(update.status.success(), "{update:?}");
    account.running("third");
    assert_eq!(proc::command_line(account.running("web")), ["sleep", "3000"]);
    account.shutdown();
}

#[test]
fn the_modes_are_taken_over_while_the_daemon_runs() {
    let account = watched("modes", &["web", "db"]);
    let web = account.pid("web");
    account.sandbox.write(MAIN_FILE, "[visor]\napply=live\n");
    account.program("web", "command=sleep 3000\nstartsecs=0");
    wait_remark(&account, "web: running programs would be touched (apply=live)");
    account.program("third", SLEEP);
    account.running("third");
    assert_eq!(account.pid("web"), web);
    account.sandbox.write(MAIN_FILE, "[visor]\napply=manual\n");
    wait_remark(&account, "visorctl update");
    account.program("fourth", SLEEP);
    wait::throughout(Duration::from_millis(900), || {
        (account.told(&["status", "fourth"]).0 != 4).then(|| "it came by itself".to_owned())
    });
    account.sandbox.write(MAIN_FILE, "");
    account.ok(&["update"]);
    account.running("fourth");
    account.program("fifth", SLEEP);
    account.running("fifth");
    account.shutdown();
}

#[test]
fn a_change_is_taken_over_after_the_death_of_the_reactor() {
    let account = watched("death", &["web", "db"]);
    let (keeper, reactor, db) = (account.keeper(), account.reactor(), account.pid("db"));
    proc::signal(reactor, Signal::SIGKILL);
    account.program("web", "command=sleep 3000\nstartsecs=0");
    wait::until(LONG, "another reactor", || daemon::reactor_of(keeper).filter(|pid| *pid != reactor));
    wait::until(LONG, "the new program", || {
        (proc::command_line(account.running("web")) == ["sleep", "3000"]).then_some(())
    });
    assert_eq!(account.pid("db"), db);
    account.shutdown();
}

#[test]
fn a_flood_of_changes_while_it_stands_still_ends_in_the_right_state() {
    let account = watched("flood", &["web", "db"]);
    let (reactor, db) = (account.reactor(), account.pid("db"));
    let conf_d = account.sandbox.path(".config/visor/conf.d");
    proc::signal(reactor, Signal::SIGSTOP);
    // Two names in turn, or the kernel would make one event of many.
    for round in 0..50_000 {
        for name in ["one.conf~", "two.conf~"] {
            let file = fs::File::create(conf_d.join(name)).expect("our own file");
            drop(file);
        }
        if round == 25_000 {
            account.program("new", SLEEP);
            account.program("web", "command=sleep 3000\nstartsecs=0");
        }
    }
    proc::signal(reactor, Signal::SIGCONT);
    account.running("new");
    wait::until(LONG, "the change", || {
        (proc::command_line(account.running("web")) == ["sleep", "3000"]).then_some(())
    });
    assert_eq!(account.pid("db"), db);
    // What was lost with the flood is watched again.
    account.program("later", SLEEP);
    account.running("later");
    account.shutdown();
}

/// Starts a daemon in a user name space of its own with one of its limits at 0, all users being who they are.
fn start_limited(account: &Account, limit: &str) -> Child {
    let (uid, gid) = account.ids();
    let visord = account.sandbox.daemon_binary().display().to_string();
    let drop = format!("setpriv --reuid {uid} --regid {gid} --clear-groups");
    // The first shell has lost its rights by not being anybody yet; the second one is root of the name space.
    let limited = format!("echo 0 > /proc/sys/user/{limit} && exec {drop} {visord} -n");
    let script = format!("read go && exec sh -c '{limited}'");
    let mut command = account.sandbox.root_command("unshare");
    command.args(["-U", "sh", "-c", &script]).env("XDG_RUNTIME_DIR", account.run_user());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("unshare starts");
    let own = fs::read_link("/proc/self/ns/user").expect("our own name space");
    let space = format!("/proc/{}", child.id());
    let is_apart = || (fs::read_link(format!("{space}/ns/user")).ok()? != own).then_some(());
    wait::until(LONG, "another name space", is_apart);
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("{space}/{map}"), "0 0 100000\n").expect("root may map users");
    }
    child.stdin.take().expect("it is piped").write_all(b"go\n").expect("the shell reads");
    child
}

#[test]
fn without_inotify_files_are_looked_at_and_that_is_said_once() {
    if !need::root() || need::tool("unshare").is_none() || need::tool("setpriv").is_none() {
        return;
    }
    for limit in ["max_inotify_watches", "max_inotify_instances"] {
        let account = Account::watched(&format!("blind-{limit}"));
        account.program("web", SLEEP);
        let mut child = start_limited(&account, limit);
        let said = "the configuration is looked at every 2 s instead";
        account.wait_log(said);
        account.program("new", SLEEP);
        account.wait_log("spawned: 'new'");
        account.program("new", "command=sleep 2000\nstartsecs=0");
        account.wait_log("the configuration changed: new: restart (command)");
        assert_eq!(account.log().matches(said).count(), 1, "{limit}");
        proc::signal(child.id().cast_signed(), Signal::SIGTERM);
        wait::until(LONG, "the end of everything", || {
            drop(child.try_wait());
            account.sandbox.processes().is_empty().then_some(())
        });
    }
}

#[test]
fn one_changed_file_of_many_touches_its_program_only() {
    let account = Account::watched("thousand");
    let count = need::by_ring(300, 1000);
    for number in 0..count {
        account.program(&format!("p{number}"), "command=sleep 1000\nautostart=false");
    }
    account.program("web", SLEEP);
    account.program("db", SLEEP);
    account.start();
    account.running("web");
    let db = account.running("db");
    wait_watched(&account);
    let web = account.pid("web");
    let spawned = account.log().matches("spawned: ").count();
    account.program("web", "command=sleep 3000\nstartsecs=0");
    wait::until(LONG, "the restart", || (account.running("web") != web).then_some(()));
    assert_eq!((account.pid("db"), account.log().matches("spawned: ").count()), (db, spawned + 1));
    assert_eq!(account.log().matches("the configuration changed: web").count(), 1);
    account.shutdown();
}
