//! Completion in real shells: what a person types, with the Tab key, and what the daemon is asked then.

use super::bench::Bench;
use super::world::World;
use crate::common::need;
use crate::common::pty::Pty;
use crate::common::wait::{self, LONG};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A shell, how it is started, and what it is told first: `DIR` is where the stubs are. The prompt is not in what is
/// typed, so that it is not taken for its echo.
struct Shell {
    name: &'static str,
    options: &'static [&'static str],
    setup: &'static str,
}

const SHELLS: [Shell; 3] = [
    Shell {
        name: "bash",
        options: &["--norc", "--noprofile", "-i"],
        setup: "source DIR/visorctl.bash; PS1='rea''dy> '\r",
    },
    Shell {
        name: "zsh",
        options: &["-f", "-i"],
        setup: "autoload -U compinit; compinit -D -u; source DIR/_visorctl; PS1='rea''dy> '\r",
    },
    Shell {
        name: "fish",
        options: &["--no-config", "-i"],
        setup: "source DIR/visorctl.fish; function fish_prompt; echo -n 'rea''dy> '; end\r",
    },
];

/// A daemon with a program, and a group whose processes begin alike.
fn daemon() -> Bench {
    let process = |group: &str, name: &str| {
        let namespec = if group == name { name.to_owned() } else { format!("{group}:{name}") };
        json!({"group": group, "name": name, "namespec": namespec, "in_use": true, "autostart": true,
               "group_priority": 999, "priority": 999})
    };
    let avail =
        json!({"processes": [process("solo", "solo"), process("web", "alpha"), process("web", "beta")]});
    let bench = Bench::with(World { replies: vec![("/v1/avail", avail)], ..World::of_states() });
    std::fs::create_dir(bench.dir().join("bin")).expect("a folder");
    symlink(env!("CARGO_BIN_EXE_visorctl"), bench.dir().join("bin/visorctl")).expect("a link");
    bench
}

fn started(shell: &Shell, bench: &Bench) -> Option<Pty> {
    // With the terminal as its own, or it has no line to edit.
    let mut command = bench.program(&need::tool("setsid")?, &["--ctty", "--wait"]);
    command.arg(need::tool(shell.name)?).args(shell.options);
    command.env("PATH", format!("{}:/usr/bin:/bin", bench.dir().join("bin").display()));
    command.env("HISTFILE", "/dev/null").env("XDG_CONFIG_HOME", bench.dir().join("home"));
    let mut session = Pty::start(&mut command);
    let stubs = concat!(env!("CARGO_MANIFEST_DIR"), "/completions");
    session.type_in(&shell.setup.replace("DIR", stubs));
    session.wait_for("ready> ");
    Some(session)
}

/// Types a line, waits for what Tab adds to it, ends it, and returns what the daemon was asked by it.
fn typed(shell: &Shell, line: &str, added: &str, end: &str) -> Option<String> {
    let bench = daemon();
    let mut session = started(shell, &bench)?;
    session.type_in(line);
    session.wait_for(added);
    session.type_in(&format!("{end}\r"));
    let asked =
        wait::until(LONG, "a question", || bench.asked().iter().find(|ask| ask.starts_with("Post")).cloned());
    session.type_in("exit\r");
    session.finish();
    Some(asked)
}

#[test]
fn names_of_the_daemon_are_completed() {
    for shell in &SHELLS {
        if let Some(asked) = typed(shell, "visorctl stop so\t", "lo", "") {
            assert!(
                asked.starts_with("Post /v1/stop") && asked.contains(r#"["solo"]"#),
                "{}: {asked}",
                shell.name
            );
        }
    }
}

#[test]
fn names_with_a_colon_are_completed_whole() {
    for shell in &SHELLS {
        if let Some(asked) = typed(shell, "visorctl stop web:b\t", "eta", "") {
            assert!(asked.contains(r#"["web:beta"]"#), "{}: {asked}", shell.name);
        }
        if let Some(asked) = typed(shell, "visorctl stop solo we\ta\t", "lpha", "") {
            assert!(asked.contains(r#"["solo","web:alpha"]"#), "{}: {asked}", shell.name);
        }
    }
}

#[test]
fn verbs_and_signals_are_completed() {
    for shell in &SHELLS {
        if let Some(asked) = typed(shell, "visorctl sig\tWINC\t", "H", "solo") {
            assert!(asked.contains("WINCH"), "{}: {asked}", shell.name);
        }
    }
}

/// The stub in the tree is what the verb shows, and a shell whose daemon is away gets an empty line.
#[test]
fn the_verb_shows_the_stubs_and_an_absent_daemon_is_not_told_of() {
    let bench = Bench::empty();
    for (shell, file) in [("bash", "visorctl.bash"), ("zsh", "_visorctl"), ("fish", "visorctl.fish")] {
        let said = bench.run(&["completions", shell]);
        let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(file);
        assert_eq!(said.out, std::fs::read_to_string(stub).expect("the stub"), "{shell}");
        assert_eq!((said.err.as_str(), said.code), ("", 0));
    }
    let mut command = bench.command(&["--", "visorctl", "stop", ""]);
    let said = super::bench::said(command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "2"));
    assert_eq!((said.err.as_str(), said.code), ("", 0));
    assert!(!said.out.contains("solo"), "{}", said.out);
}
