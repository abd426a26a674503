//! `visorctl new`: the file that it writes, and what it says.

use super::bench::{Bench, Said};
use super::world::{World, process};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use visor::model::State;

fn world() -> World {
    let mut web = process(State::Running);
    (web.namespec, web.group, web.name) = ("web".into(), "web".into(), "web".into());
    World {
        processes: vec![web],
        log: b"listening\n".to_vec(),
        replies: vec![("/v1/update", json!({"ok": true, "results": [{"group": "web", "action": "added"}]}))],
        ..World::default()
    }
}

#[test]
fn a_program_is_written_started_and_told_about() {
    let bench = Bench::with(world());
    let Said { out, err, code } =
        bench.run(&["new", "web", "--env", "A=b c", "--", "sh", "-c", "sleep 1; echo 100%"]);
    assert_eq!((err.as_str(), code), ("", 0), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "wrote ~/.config/visor/conf.d/web.conf (change it: visorctl edit web)");
    assert_eq!(lines[1], format!("web{}RUNNING   pid 42, uptime 0:00:02", " ".repeat(30)));
    assert_eq!(lines[2], "  web | listening");
    assert!(lines[3].starts_with("logout: ") && lines[3].contains(". reboot: "), "{out}");
    let file = bench.dir().join("home/.config/visor/conf.d/web.conf");
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    let text = bench.masked(&fs::read_to_string(&file).expect("the file"));
    let expected = "\n[program:web]\ncommand=/usr/bin/sh -c 'sleep 1; echo 100%%'\ndirectory=/MACHINE\nenvironment=A=\"b c\"";
    assert!(
        text.contains(
            &expected
                .replace("/usr/bin/sh", if text.contains("/usr/bin/sh") { "/usr/bin/sh" } else { "/bin/sh" })
        ),
        "{text}"
    );
    let asked = bench.asked();
    assert!(asked.contains(&r#"Post /v1/update  {"groups":["web"]}"#.to_owned()), "{asked:?}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_written() {
    let bench = Bench::with(world());
    for (words, text) in [
        (&["new", "web"][..], "required"),
        (&["new", "a b", "--", "true"], "no name"),
        (&["new", "all", "--", "true"], "every program"),
        (
            &["new", "web", "--", "no-such-command-here"],
            "there is no command no-such-command-here in your PATH",
        ),
        (&["new", "web", "--", "sleep 1 | cat"], "--shell"),
        (&["new", "web", "--directory", "/no/such", "--", "true"], "cannot use /no/such"),
        (&["new", "web", "--env", "A", "--", "true"], "NAME=VALUE"),
        (&["new", "web", "--", "echo", "a\nb"], "line break"),
        (&["-c", "x.conf", "new", "web", "--", "true"], "your own daemon"),
    ] {
        let said = bench.run(words);
        assert_eq!((said.out.as_str(), said.code), ("", 2), "{words:?}");
        assert!(said.err.contains(text), "{words:?}: {}", said.err);
    }
    assert!(!bench.dir().join("home/.config").exists());
}

#[test]
fn a_program_that_is_there_stays_as_it_is() {
    let bench = Bench::with(world());
    let words = ["new", "web", "--no-start", "--shell", "--", "sleep 1 | cat"];
    assert_eq!(bench.run(&words).code, 0);
    let said = bench.run(&words);
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: ~/.config/visor/conf.d/web.conf is there already (change it: visorctl edit web)\n"
    );
    assert!(bench.asked().is_empty());
}

#[test]
fn a_name_that_another_file_defines_is_refused_with_its_place() {
    let bench = Bench::with(world());
    let root = bench.dir().join("home/.config/visor");
    fs::create_dir_all(root.join("conf.d")).expect("folders");
    fs::write(root.join("visor.conf"), "; all of mine\n[group:pool]\nprograms=api\n").expect("a file");
    fs::write(root.join("conf.d/site.conf"), "[program:api]\ncommand=cat\n\n[program:web]\n")
        .expect("a file");
    for (name, place) in
        [("pool", "visor.conf:2"), ("api", "conf.d/site.conf:1"), ("web", "conf.d/site.conf:4")]
    {
        let said = bench.run(&["new", name, "--", "sleep", "1"]);
        let expected = format!(
            "error: {name} is defined in ~/.config/visor/{place} already (change it there, or choose another name)\n"
        );
        assert_eq!((said.out.as_str(), said.err, said.code), ("", expected, 1));
        assert!(!root.join(format!("conf.d/{name}.conf")).exists());
    }
    assert_eq!(bench.run(&["new", "site2", "--no-start", "--", "sleep", "1"]).code, 0);
    assert!(bench.asked().is_empty());
}

#[test]
fn a_program_that_does_not_run_is_told_with_the_next_step() {
    let mut world = world();
    world.processes = vec![process(State::Fatal)];
    let bench = Bench::with(world);
    let said = bench.run(&["new", "fatal", "--", "true"]);
    assert_eq!((said.code, said.err.as_str()), (7, "see why: visorctl why fatal\n"));
    assert!(
        said.out.contains("FATAL     can't find command") && !said.out.contains("logout:"),
        "{}",
        said.out
    );
}
