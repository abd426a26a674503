//! What programs may write: anything. The log has every byte of it.

use crate::common::Daemon;
use crate::common::daemon::Setup;
use crate::common::wait::{self, LONG};

/// Runs a Python program whose stdout is logged, waits for its end, and returns the log.
fn logged(name: &str, program: &str, options: &str) -> Vec<u8> {
    let setup = Setup::new(name).file("program.py", program);
    let daemon: Daemon = setup.start(&format!(
        "[program:odd]\ncommand=/usr/bin/python3 program.py\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/odd.log\n{options}\n"
    ));
    daemon.wait_for("exited: odd (exit status 0; expected)");
    let mut seen = usize::MAX;
    let log = wait::until(LONG, "the log to rest", || {
        let log = daemon.sandbox.read_bytes("odd.log");
        let rests = log.len() == seen;
        seen = log.len();
        wait::pass(std::time::Duration::from_millis(100));
        rests.then_some(log)
    });
    daemon.stop();
    log
}

#[test]
fn all_256_byte_values_are_kept_in_order() {
    let log = logged("bytes", "import os\nfor _ in range(100): os.write(1, bytes(range(256)))", "");
    let expected: Vec<u8> = (0..100).flat_map(|_| 0..=255_u8).collect();
    assert!(log == expected, "{} bytes of {}", log.len(), expected.len());
}

#[test]
fn lines_of_a_mebibyte_are_kept_whole() {
    let program = "import sys\nfor i in range(4): sys.stdout.write(chr(97 + i) * (1 << 20) + '\\n')";
    let log = logged("long-lines", program, "stdout_logfile_maxbytes=0");
    let lines: Vec<&[u8]> = log.split_inclusive(|&byte| byte == b'\n').collect();
    assert_eq!(lines.len(), 4);
    for (line, letter) in lines.iter().zip(b'a'..) {
        assert!(
            line.len() == (1 << 20) + 1 && line[..1 << 20].iter().all(|&byte| byte == letter),
            "line {}",
            letter as char
        );
    }
}

#[test]
fn output_without_a_final_newline_is_kept() {
    assert_eq!(logged("no-newline", "import os\nos.write(1, b'the end')", ""), b"the end");
}

#[test]
fn one_byte_writes_are_kept_in_order() {
    let log =
        logged("single-bytes", "import os\nfor i in range(5000): os.write(1, b'%c' % (97 + i % 26))", "");
    let expected: Vec<u8> = (0..5000_u32).map(|i| b'a' + u8::try_from(i % 26).unwrap_or(0)).collect();
    assert!(log == expected, "{} bytes of 5000", log.len());
}

#[test]
fn both_channels_share_a_log_with_redirect_stderr() {
    let log = logged(
        "redirect",
        "import os\nos.write(1, b'out\\n')\nos.write(2, b'err\\n')",
        "redirect_stderr=true",
    );
    assert_eq!(log, b"out\nerr\n");
}

#[test]
fn a_program_that_closes_its_output_is_not_polled_for_ever() {
    let daemon = Daemon::start(
        "closed",
        "[program:mute]\ncommand=bash -c 'exec >&- 2>&-; exec sleep 1000'\nstartsecs=1\n",
    );
    let pid = daemon.wait_running("mute");
    wait::until(LONG, "the closing", || {
        (!crate::common::proc::descriptors(pid).contains_key(&1)).then_some(())
    });
    let daemons: Vec<i32> =
        std::iter::once(daemon.keeper()).chain(crate::common::daemon::reactor_of(daemon.keeper())).collect();
    let before: u64 = daemons.iter().map(|&pid| crate::common::proc::switches(pid)).sum();
    wait::pass(std::time::Duration::from_secs(2));
    let woken = daemons.iter().map(|&pid| crate::common::proc::switches(pid)).sum::<u64>() - before;
    assert!(woken < 20, "{woken} context switches in 2 s for a closed pipe");
    daemon.stop();
}

#[test]
fn ansi_sequences_are_stripped_when_asked_for() {
    let program = "import os\nos.write(1, b'\\x1b[31mred\\x1b[0m plain\\n')";
    assert_eq!(logged("ansi-kept", program, ""), b"\x1b[31mred\x1b[0m plain\n");
    let setup = Setup::new("ansi").main("strip_ansi=true").file("program.py", program);
    let daemon = setup.start("[program:odd]\ncommand=/usr/bin/python3 program.py\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/odd.log\n");
    wait::until(LONG, "the stripped line", || {
        (daemon.sandbox.read_bytes("odd.log") == b"red plain\n").then_some(())
    });
    daemon.stop();
}
