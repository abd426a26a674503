//! systemd: a real user manager, started at each boot of the machine as lingering does; loginctl is a script, because
//! there is no logind here.

use super::machine::{BIN, HOME, Machine, USER};
use crate::common::need;
use crate::common::wait::{self, LONG};
use std::path::Path;

/// The user's service manager, with what pam_systemd and logind give it: a runtime directory and a control group.
const MANAGER: &str = r#"
uid=$(id -u visortest); run=/run/user/$uid
mkdir -p "$run" /run/systemd/system; chown visortest "$run"; chmod 700 "$run"
for kind in systemd unified ''; do
    group=/sys/fs/cgroup/$kind/$GROUP
    [ -e "/sys/fs/cgroup/$kind/cgroup.procs" ] || continue
    mkdir -p "$group"; chown -R visortest "$group"
done
(for kind in systemd unified ''; do
    group=/sys/fs/cgroup/$kind/$GROUP
    [ ! -d "$group" ] || echo 0 >"$group/cgroup.procs"
 done
 cd /; exec setpriv --reuid visortest --regid visortest --clear-groups env -i HOME=/home/visortest USER=visortest \
    PATH=/usr/bin:/bin XDG_RUNTIME_DIR="$run" SYSTEMD_LOG_TARGET=console /lib/systemd/systemd --user >/tmp/manager 2>&1) &
n=0; until env XDG_RUNTIME_DIR=$run setpriv --reuid visortest --regid visortest --clear-groups systemctl --user is-active default.target >/dev/null 2>&1; do
    n=$((n+1)); [ $n -lt 300 ] || { cat /tmp/manager >&2; exit 1; }; sleep 0.1
done
"#;

/// loginctl of a machine on which users may linger, or not.
const LOGINCTL: &str = "#!/bin/sh\n\
case $2 in\n\
  enable-linger) touch /var/lib/systemd/linger/visortest ;;\n\
  disable-linger) rm /var/lib/systemd/linger/visortest ;;\nesac\n";
const LOGINCTL_REFUSES: &str = "#!/bin/sh\necho 'Could not enable linger: Access denied' >&2; exit 1\n";

fn manager(machine: &Machine) -> String {
    format!("GROUP={}\n{MANAGER}", machine.control_group())
}

fn machine(name: &str, loginctl: &str) -> Option<Machine> {
    if !Path::new("/lib/systemd/systemd").exists() {
        need::not_run("/lib/systemd/systemd");
        return None;
    }
    let mut machine = Machine::new(name, "/bin/sh")?;
    machine.write("mnt/bin/loginctl", loginctl);
    machine.root(&format!("chmod 755 {BIN}/loginctl; chown {USER} /var/lib/systemd/linger"));
    let manager = manager(&machine);
    machine.reboot(&manager);
    Some(machine)
}

/// visorctl where that loginctl comes first.
fn visorctl(machine: &Machine, words: &str) -> super::machine::Said {
    machine.user(&format!("PATH={BIN}:$PATH visorctl {words}"))
}

fn systemctl(machine: &Machine, words: &str) -> super::machine::Said {
    machine.user(&format!("XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user {words}"))
}

#[test]
fn a_reboot_starts_visord_by_a_unit_of_the_user() {
    let Some(mut machine) = machine("systemd", LOGINCTL) else { return };
    let said = visorctl(&machine, "boot enable");
    assert_eq!(said.out, "boot: enabled: a systemd user unit starts visord at boot\n", "{said:?}");
    assert_eq!(systemctl(&machine, "is-enabled visord.service").out, "enabled\n");
    assert_eq!(machine.daemons(), 0);
    let again = visorctl(&machine, "boot enable").out;
    assert_eq!(again, "boot: already enabled: a systemd user unit starts visord at boot\n");

    let services = manager(&machine);
    machine.reboot(&services);
    machine.until_running("clock");
    assert_eq!(machine.boot_status()["last"]["method"], "systemd");
    assert_eq!(systemctl(&machine, "is-active visord.service").out, "active\n");

    // A killed keeper is no end of the unit: its programs go on.
    let clock = machine.ok("pid clock");
    let keeper = machine.ok("pid");
    machine.root(&format!("kill -9 {keeper}"));
    wait::until(LONG, "a new keeper", || {
        let said = machine.visorctl("pid");
        (said.code == 0 && said.out != keeper).then_some(())
    });
    assert_eq!(machine.ok("pid clock"), clock);
    assert_eq!(systemctl(&machine, "is-active visord.service").out, "active\n");

    // The unit can be stopped and started as any other.
    assert_eq!(systemctl(&machine, "stop visord.service").code, 0);
    assert_eq!(machine.daemons(), 0);
    assert_eq!(systemctl(&machine, "start visord.service").code, 0);
    machine.until_running("clock");

    assert_eq!(visorctl(&machine, "boot disable").out, "boot: systemd disabled\n");
    assert_eq!(machine.daemons(), 1, "what runs goes on");
    assert_eq!(machine.read("home/.config/systemd/user/visord.service"), None);
    assert!(machine.read("linger/visortest").is_none(), "lingering was ours");
    machine.ok("shutdown");
}

#[test]
fn who_may_not_linger_gets_the_next_best_and_is_told_whom_to_ask() {
    let Some(machine) = machine("systemd-no-linger", LOGINCTL_REFUSES) else { return };
    let said = visorctl(&machine, "boot enable");
    let ask = format!("ask the administrator to run loginctl enable-linger {USER}");
    assert!(
        said.out.starts_with("boot: not by systemd: you may not linger") && said.out.contains(&ask),
        "{said:?}"
    );
    assert!(
        said.out.ends_with("boot: enabled: a login hook of sh starts visord at your next login\n"),
        "{said:?}"
    );
    assert_eq!(machine.read("home/.config/systemd/user/visord.service"), None, "nothing of it is left");
    let said = visorctl(&machine, "boot enable --method systemd");
    assert!(
        said.out.starts_with("boot: enabled: a systemd user unit starts visord at your next login\n"),
        "{said:?}"
    );
    assert!(said.out.contains(&ask) && machine.read("home/.profile").is_none(), "{said:?}");
}

#[test]
fn a_unit_of_somebody_else_and_lingering_that_was_there_stay() {
    let Some(machine) = machine("systemd-foreign", LOGINCTL) else { return };
    machine.write_own("linger/visortest", "");
    machine.user(&format!("mkdir -p {HOME}/.config/systemd/user"));
    machine.write_own("home/.config/systemd/user/visord.service", "[Service]\nExecStart=/bin/true\n");
    let said = visorctl(&machine, "boot enable --method systemd");
    assert!(said.code == 1 && said.err.contains("is there and not ours"), "{said:?}");
    machine.user(&format!("rm {HOME}/.config/systemd/user/visord.service"));
    assert_eq!(visorctl(&machine, "boot enable --method systemd").code, 0);
    assert_eq!(visorctl(&machine, "boot disable").code, 0);
    assert!(machine.read("linger/visortest").is_some(), "it was there before");
}
