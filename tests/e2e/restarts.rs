//! When a program that ended is started again, and when not.

use crate::common::Daemon;
use crate::common::wait;
use std::time::Duration;

/// How late a retry may come: supervisord looks once a second, we need a scheduled moment of a busy machine.
const LATE: Duration = Duration::from_millis(1900);

#[test]
fn a_program_that_always_fails_is_retried_after_1_2_and_3_seconds_and_then_given_up() {
    let daemon =
        Daemon::start("fatal", "[program:bad]\ncommand=sh -c 'exit 3'\nstartsecs=10\nstartretries=3");
    let end = daemon.wait_for("gave up: bad entered FATAL state, too many start retries too quickly");
    let lines = daemon.lines();
    let index = |text: &str| -> Vec<usize> { (0..=end).filter(|&line| lines[line].contains(text)).collect() };
    let spawned = index("spawned: 'bad' with pid");
    let exited = index("exited: bad (exit status 3; not expected)");
    assert_eq!((spawned.len(), exited.len()), (4, 4), "startretries=3 makes four attempts");
    for attempt in 1..4 {
        let waited = daemon.came(spawned[attempt]) - daemon.came(exited[attempt - 1]);
        let due = Duration::from_secs(attempt as u64);
        assert!(
            waited + Duration::from_millis(20) >= due,
            "attempt {attempt} came after {waited:?}, too early"
        );
        assert!(waited <= due + LATE, "attempt {attempt} came after {waited:?}, too late");
    }
    daemon.stop();
}

#[test]
fn a_program_killed_by_a_signal_is_started_again() {
    let daemon = Daemon::start("killed", "[program:victim]\ncommand=sleep 1000\nstartsecs=0");
    let first = daemon.wait_running("victim");
    crate::common::proc::signal(first, nix::sys::signal::Signal::SIGKILL);
    let told = daemon.wait_for("exited: victim (terminated by SIGKILL; not expected)");
    let again = daemon.wait_after(told, "spawned: 'victim' with pid");
    daemon.wait_after(
        again,
        "success: victim entered RUNNING state, process has stayed up for > than 0 seconds (startsecs)",
    );
    assert_ne!(daemon.pid_of("victim"), first);
    daemon.stop();
}

#[test]
fn an_expected_exit_stays_exited_and_an_unexpected_one_is_restarted() {
    let daemon = Daemon::start(
        "expected",
        "[program:fine]\ncommand=sh -c 'exit 4'\nstartsecs=0\nexitcodes=0,4\n\
         [program:unlucky]\ncommand=sh -c 'test -e again && exec sleep 1000; touch again; exit 5'\nstartsecs=0\n\
         [program:never]\ncommand=sh -c 'exit 6'\nstartsecs=0\nautorestart=false",
    );
    daemon.wait_for("exited: fine (exit status 4; expected)");
    daemon.wait_for("exited: never (exit status 6; not expected)");
    let told = daemon.wait_for("exited: unlucky (exit status 5; not expected)");
    daemon.wait_after(told, "success: unlucky entered RUNNING state");
    wait::throughout(Duration::from_millis(1500), || {
        let spawned = (daemon.count("spawned: 'fine'"), daemon.count("spawned: 'never'"));
        (spawned != (1, 1)).then(|| format!("started again: fine and never were spawned {spawned:?} times"))
    });
    daemon.stop();
}

#[test]
fn running_is_entered_only_after_startsecs() {
    let daemon = Daemon::start("startsecs", "[program:slow]\ncommand=sleep 1000\nstartsecs=2");
    let spawned = daemon.wait_for("spawned: 'slow' with pid");
    let success = daemon.wait_for(
        "success: slow entered RUNNING state, process has stayed up for > than 2 seconds (startsecs)",
    );
    let took = daemon.came(success) - daemon.came(spawned);
    assert!(took + Duration::from_millis(20) >= Duration::from_secs(2), "RUNNING after {took:?}");
    assert!(took <= Duration::from_secs(2) + LATE, "RUNNING only after {took:?}");
    daemon.stop();
}

#[test]
fn startsecs_0_is_running_before_it_is_exited() {
    let daemon = Daemon::start("oneshot", "[program:once]\ncommand=true\nstartsecs=0\nautorestart=false");
    let exited = daemon.wait_for("exited: once (exit status 0; expected)");
    assert!(daemon.wait_for("success: once entered RUNNING state") < exited);
    daemon.stop();
}

#[test]
fn programs_start_in_the_order_of_their_priorities() {
    let program = |name: &str, priority: u32| {
        format!("[program:{name}]\ncommand=sleep 1000\nstartsecs=0\npriority={priority}\n")
    };
    let daemon =
        Daemon::start("order", &[program("last", 30), program("first", 10), program("middle", 20)].concat());
    let at = ["first", "middle", "last"].map(|name| daemon.wait_for(&format!("spawned: '{name}' with pid")));
    assert!(at.is_sorted(), "spawned in another order: {:?}", daemon.lines());
    daemon.stop();
}
