//! `visorctl config`: keys from the table, settings with their places, and where the files are.

use super::bench::Bench;
use std::fs;

fn machine() -> Bench {
    let bench = Bench::empty();
    let folder = bench.dir().join("home/.config/visor/conf.d");
    fs::create_dir_all(&folder).expect("folders");
    fs::write(folder.join("a.conf"), "[program-default]\nstopsignal=INT\n").expect("a file");
    let text = "[program:web]\ncommand=sleep 9\nstartsecs=5\nenvironment=TOKEN=secret\n";
    fs::write(folder.join("web.conf"), text).expect("a file");
    bench
}

#[test]
fn settings_are_shown_with_the_line_that_says_each() {
    let bench = machine();
    let said = bench.run(&["config", "show", "web"]);
    assert_eq!((said.err.as_str(), said.code), ("", 0));
    let words: Vec<String> =
        said.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(words[0], "web ~/.config/visor/conf.d/web.conf:1");
    for expected in [
        "command = sleep 9 ~/.config/visor/conf.d/web.conf:2",
        "startsecs = 5 ~/.config/visor/conf.d/web.conf:3",
        "environment = TOKEN ~/.config/visor/conf.d/web.conf:4",
        "stopsignal = INT ~/.config/visor/conf.d/a.conf:2 [program-default]",
        "stopwaitsecs = 10 default",
    ] {
        assert!(words.iter().any(|line| line == expected), "{expected}\n{}", said.out);
    }
    assert!(!said.out.contains("secret"));
    let json = bench.run(&["config", "show", "--json", "web"]).out;
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let settings = value["processes"][0]["settings"].as_array().expect("a list");
    let signal = settings.iter().find(|setting| setting["key"] == "stopsignal").expect("a setting");
    assert_eq!((&signal["from"], &signal["line"]), (&"program_default".into(), &2.into()));
    let said = bench.run(&["config", "show", "nobody"]);
    assert_eq!((said.out.as_str(), said.code), ("", 4));
}

#[test]
fn keys_are_those_of_the_table() {
    let bench = machine();
    let said = bench.run(&["config", "keys", "startsecs"]);
    let line = "  startsecs                seconds it must stay up to count as running (live)\n";
    assert!(said.code == 0 && said.out.starts_with(&format!("[program:x]\n{line}")), "{said:?}");
    let all = bench.run(&["config", "keys"]).out;
    assert!(all.contains("\n[supervisord]") || all.starts_with("[supervisord]\n"), "{all}");
    let json: serde_json::Value =
        serde_json::from_str(&bench.run(&["config", "keys", "--json"]).out).expect("JSON");
    assert!(json.as_array().is_some_and(|rows| rows.len() > 100));
    let said = bench.run(&["config", "keys", "no-such"]);
    assert_eq!((said.out.as_str(), said.code), ("", 4));
}

#[test]
fn the_place_of_the_configuration_is_told() {
    let bench = machine();
    let path = |words: &[&str]| bench.masked(&bench.run(&[&["config", "path"], words].concat()).out);
    assert_eq!(path(&[]), "/MACHINE/home/.config/visor\n");
    let folder = "/MACHINE/home/.config/visor/conf.d";
    assert_eq!(path(&["--files"]), format!("{folder}/a.conf\n{folder}/web.conf\n"));
    assert_eq!(path(&["web"]), format!("{folder}/web.conf:1\n"));
}
