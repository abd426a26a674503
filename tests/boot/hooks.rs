//! Hooks of the login shell, in real shells: the first login starts visord, every other costs next to nothing.

use super::machine::{HOME, Machine, USER};
use crate::common::need;
use std::time::Duration;

/// What a login may cost where visord runs.
const COST_MAX: Duration = Duration::from_millis(5);

/// Times that a hook is run for a measurement.
const ROUNDS: u32 = 200;

/// A shell, its file, and how it runs a file many times in one process.
struct Shell {
    path: &'static str,
    file: &'static str,
    rounds: &'static str,
    /// Processes that it needs to find out that nothing is to be done.
    forks_max: usize,
}

/// The shells with a hook. A plain sh does not know its user, and asks id(1).
const SHELLS: [Shell; 4] = [
    Shell {
        path: "/bin/bash",
        file: ".profile",
        rounds: "for ((i = 0; i < N; i++)); do . FILE; done",
        forks_max: 0,
    },
    Shell { path: "/usr/bin/zsh", file: ".zprofile", rounds: "repeat N; do . FILE; done", forks_max: 0 },
    Shell {
        path: "/usr/bin/fish",
        file: ".config/fish/conf.d/visor.fish",
        rounds: "for i in (seq N); source FILE; end",
        forks_max: 0,
    },
    Shell {
        path: "/bin/dash",
        file: ".profile",
        rounds: "i=0; while [ $i -lt N ]; do . FILE; i=$((i+1)); done",
        forks_max: 1,
    },
];

/// A login of the user with this command, as sshd and login make one.
fn login(machine: &Machine, command: &str) -> super::machine::Said {
    machine.root(&format!("su - {USER} -c '{command}'"))
}

fn check(shell: &Shell) {
    let name = shell.path.rsplit('/').next().unwrap_or_default();
    let Some(mut machine) = Machine::new(&format!("hook-{name}"), shell.path) else { return };
    machine.ok("boot enable --method login");
    machine.reboot("");
    // Whatever a login prints ends up in the data of scp and rsync.
    let first = login(&machine, "true");
    assert_eq!((first.out.as_str(), first.err.as_str(), first.code), ("", "", 0), "{name}");
    machine.until_running("clock");
    assert_eq!(machine.boot_status()["last"]["method"], "login", "{name}");
    assert_eq!(login(&machine, "true").code, 0);
    assert_eq!(machine.daemons(), 1, "{name}");

    // The system's own files may need some too.
    let (with, without) = (forks(&machine, shell, ""), forks(&machine, shell, "VISOR_NO_SPAWN=1"));
    assert!(with.len() <= without.len() + shell.forks_max, "{name}: {with:#?} {without:#?}");
    let cost = cost(&machine, shell);
    assert!(cost < COST_MAX, "{name}: {cost:?}");
    eprintln!("{name}: {cost:?} a login while visord runs");

    // A killed daemon leaves its socket and lock behind; neither is believed.
    machine.root("pkill -KILL -x visord; pkill -KILL sleep");
    login(&machine, "true");
    machine.until_running("clock");
    machine.ok("shutdown");
    machine.ok("boot disable");
    assert_eq!(machine.read(&format!("home/{}", shell.file)), None, "{name}");
    login(&machine, "true");
    assert_eq!(machine.daemons(), 0, "{name}");
}

/// The processes that a login shell starts.
fn forks(machine: &Machine, shell: &Shell, variable: &str) -> Vec<String> {
    if need::tool("strace").is_none() {
        return Vec::new();
    }
    // `-c :` is executed by the shell itself.
    let script = format!(
        "cd {HOME}; {variable} HOME={HOME} strace -f -o /tmp/trace -e trace=clone,clone3,fork,vfork setpriv --reuid {USER} --regid {USER} --clear-groups {} -l -c :",
        shell.path
    );
    let said = machine.root(&script);
    assert_eq!(said.code, 0, "{said:?}");
    let trace = machine.root("cat /tmp/trace").out;
    // Threads of the shell are no processes.
    let is_fork = |line: &&str| line.contains('(') && !line.contains("CLONE_THREAD") && !line.contains("+++");
    trace.lines().filter(is_fork).map(str::to_owned).collect()
}

/// What the hook takes of a login, with a part of what the shell itself takes; the best of a few measurements,
/// because the machine is shared.
fn cost(machine: &Machine, shell: &Shell) -> Duration {
    let file = format!("{HOME}/{}", shell.file);
    let script = shell.rounds.replace('N', &ROUNDS.to_string()).replace("FILE", &file);
    let one = || {
        let since = std::time::Instant::now();
        let said = machine.user(&format!("{} -l -c '{script}'", shell.path));
        assert_eq!((said.err.as_str(), said.code), ("", 0));
        since.elapsed() / ROUNDS
    };
    (0..3).map(|_| one()).min().unwrap_or(Duration::MAX)
}

#[test]
fn bash_starts_visord_at_the_first_login_only() {
    check(&SHELLS[0]);
}

#[test]
fn zsh_starts_visord_at_the_first_login_only() {
    check(&SHELLS[1]);
}

#[test]
fn fish_starts_visord_at_the_first_login_only() {
    check(&SHELLS[2]);
}

#[test]
fn a_plain_shell_starts_visord_at_the_first_login_only() {
    check(&SHELLS[3]);
}

#[test]
fn what_is_in_the_users_file_stays_and_cannot_stop_the_hook() {
    let Some(mut machine) = Machine::new("hook-file", "/bin/bash") else { return };
    // A file that leaves early, as many do for shells that nobody looks at.
    let own = "case $- in *i*) ;; *) return ;; esac\nexec /bin/false";
    machine.write_own("home/.bash_profile", own);
    machine.ok("boot enable --method login");
    assert_eq!(machine.read("home/.profile"), None, "bash reads the other one");
    machine.reboot("");
    login(&machine, "true");
    machine.until_running("clock");
    machine.ok("boot disable");
    assert_eq!(machine.read("home/.bash_profile").as_deref(), Some(own));
}

#[test]
fn a_shell_without_a_hook_is_named() {
    let Some(machine) = Machine::new("hook-none", "/usr/bin/python3") else { return };
    let said = machine.visorctl("boot enable");
    assert!(
        said.code == 1 && said.err.starts_with("error: visord will not be started at boot\n"),
        "{said:?}"
    );
    for words in [
        "systemd    ",
        "cron       no cron daemon runs here",
        "login      there is no hook for the login shell \"python3\"",
    ] {
        assert!(said.err.contains(&format!("\n  {words}")), "{words}: {said:?}");
    }
}
