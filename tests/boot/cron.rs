//! cron: a real daemon, a real crontab(1), and an account that boots with them.

use super::machine::{BIN, HOME, Machine, USER};
use crate::common::wait::{self, LONG};

/// A crontab of somebody who has one.
const OWN: &str = "# mine\nSHELL=/bin/bash\nMAILTO=\"\"\n\n0 5 * * * echo 100\\% >/dev/null\n@reboot true";

fn install(machine: &Machine, text: &str) {
    machine.write_own("home/mine", text);
    assert_eq!(machine.user(&format!("crontab {HOME}/mine")).code, 0);
}

fn crontab(machine: &Machine) -> String {
    machine.user("crontab -l").out
}

#[test]
fn a_reboot_starts_visord_by_cron() {
    let Some(mut machine) = Machine::new("cron", "/bin/sh") else { return };
    machine.root("cron");
    let own = format!("{OWN}\n");
    install(&machine, &own);
    assert_eq!(machine.boot_status()["in_force"], serde_json::Value::Null);
    assert_eq!(machine.ok("boot enable"), "boot: enabled: cron @reboot starts visord at boot\n");
    assert_eq!(machine.ok("startup enable"), "boot: already enabled: cron @reboot starts visord at boot\n");
    let with_block = crontab(&machine);
    assert!(
        with_block.ends_with(&own) && with_block.matches("visorctl boot run").count() == 1,
        "{with_block}"
    );
    assert_eq!((machine.daemons(), machine.boot_status()["last"].clone()), (0, serde_json::Value::Null));

    machine.reboot("cron");
    machine.until_running("clock");
    let status = machine.boot_status();
    assert_eq!((&status["in_force"], &status["starts"]), (&"cron".into(), &"boot".into()));
    let last = &status["last"];
    assert_eq!(
        (&last["method"], &last["outcome"], &last["boot"]),
        (&"cron".into(), &"started".into(), &status["boot"])
    );
    assert_eq!(machine.daemons(), 1);
    // Programs get the environment of a login, not cron's.
    let environment = machine.user("tr '\\0' '\\n' </proc/$(visorctl pid clock)/environ").out;
    assert!(
        environment.contains(&format!("LOGNAME={USER}")) && !environment.contains("VISOR_STARTED"),
        "{environment}"
    );

    assert_eq!(machine.ok("boot disable"), "boot: cron disabled\n");
    assert_eq!(crontab(&machine), own, "every byte of the rest is left");
    assert_eq!(machine.ok("boot disable"), "boot: was not enabled\n");
    assert_eq!(machine.visorctl("boot status").code, 1);
    assert_eq!(machine.daemons(), 1, "what runs goes on");
}

#[test]
fn a_home_and_a_program_that_come_late_are_waited_for() {
    let Some(mut machine) = Machine::new("cron-late", "/bin/sh") else { return };
    machine.root("cron");
    machine.ok("boot enable");
    machine.reboot_without_home("cron");
    let waits = |what: &str| {
        wait::until(LONG, what, || machine.root("ps -eo args").out.contains(what).then_some(()));
    };
    waits(&format!("{BIN}/visorctl boot run --method cron"));
    assert_eq!(machine.daemons(), 0);
    machine.mount_home();
    machine.until_running("clock");
    let last = &machine.boot_status()["last"];
    assert!(last["waited_ms"].as_u64().is_some_and(|waited| waited >= 500), "{last}");
}

#[test]
fn a_program_in_a_late_home_is_waited_for_by_the_line_itself() {
    let Some(mut machine) = Machine::new("cron-late-program", "/bin/sh") else { return };
    machine.root("cron");
    machine.user(&format!(
        "mkdir {HOME}/own; cp {BIN}/* {HOME}/own; PATH={HOME}/own:$PATH visorctl boot enable"
    ));
    assert!(crontab(&machine).contains(&format!("until test -x {HOME}/own/visorctl")));
    machine.reboot_without_home("cron");
    let sleeps = || machine.root("ps -eo args").out.contains("sleep 5").then_some(());
    wait::until(LONG, "the line to wait", sleeps);
    machine.mount_home();
    machine.until_running("clock");
}

#[test]
fn who_may_not_use_cron_is_told_whom_to_ask() {
    let Some(machine) = Machine::new("cron-forbidden", "/bin/sh") else { return };
    machine.root("cron");
    machine.write("etc/cron.allow", "somebody\n");
    let said = machine.visorctl("boot enable --method cron");
    assert!(said.code == 1 && said.err.contains(&format!("add {USER} to /etc/cron.allow")), "{said:?}");
    // The next best is used.
    assert_eq!(
        machine.ok("boot enable"),
        "boot: enabled: a login hook of sh starts visord at your next login\n"
    );
    machine.root("rm /etc/cron.allow");
    let moved = machine.ok("boot enable");
    assert_eq!(
        moved,
        "boot: enabled: cron @reboot starts visord at boot\nboot: login is not used any more\n"
    );
    assert_eq!(machine.read("home/.profile"), None);
}

#[test]
fn without_a_cron_daemon_nothing_is_written() {
    let Some(machine) = Machine::new("cron-none", "/bin/sh") else { return };
    install(&machine, "0 5 * * * true\n");
    let said = machine.visorctl("boot enable --method cron --json");
    assert!(said.code == 1 && said.out.contains("no cron daemon runs here"), "{said:?}");
    assert_eq!(crontab(&machine), "0 5 * * * true\n");
}

#[test]
fn a_crontab_with_half_a_block_is_left_alone() {
    let Some(machine) = Machine::new("cron-half", "/bin/sh") else { return };
    machine.root("cron");
    let half = "# >>> visor: x\n0 5 * * * true\n";
    install(&machine, half);
    for words in ["boot enable --method cron", "boot disable"] {
        let said = machine.visorctl(words);
        assert!(
            said.code == 1 && said.err.contains("your crontab: the block of visor in it does not end"),
            "{said:?}"
        );
    }
    assert_eq!(crontab(&machine), half);
}
