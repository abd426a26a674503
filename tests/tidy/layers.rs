//! Which module may import which. The table in ARCHITECTURE.md is compared with this one.

use super::source::{Finding, Source, closing, occurrences};
use super::{everywhere, found_in, none_of};
use std::fs;

/// What each module may import, besides itself.
const LAYERS: [(&str, &[&str]); 12] = [
    ("model", &[]),
    ("config", &["model"]),
    ("core", &["model"]),
    ("api", &["model"]),
    ("sys", &["model"]),
    ("keeper", &["model", "sys"]),
    ("logs", &["model", "sys"]),
    ("daemon", &["model", "config", "core", "api", "sys", "keeper", "logs"]),
    ("client", &["model", "api", "sys"]),
    ("cli", &["model", "config", "api", "sys", "client", "import"]),
    ("tui", &["model", "config", "api", "sys", "client", "import"]),
    ("import", &["model", "config"]),
];

/// Crates beyond `std` that the pure modules may use.
const PURE: [(&str, &[&str]); 2] = [("model", &["serde"]), ("core", &["serde"])];

/// The world: what the pure modules must not reach for.
const WORLD: [&str; 18] = [
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "std::os",
    "std::io::stdout",
    "std::io::stderr",
    "Instant::now",
    "SystemTime",
    "nix::",
    "mio::",
    "libc::",
    "OwnedFd",
    "RawFd",
    "HashMap",
    "println!",
    "eprintln!",
];

/// `(module, what it must not name, why)`.
const BANS: [(&str, &[&str], &str); 3] = [
    (
        "core",
        &WORLD,
        "the core has no clock, no descriptor, no I/O and no order by chance; it gets facts as inputs",
    ),
    ("model", &WORLD, "the model is plain data"),
    (
        "config",
        &["std::fs", "std::env", "std::process", "std::net", "nix::", "libc::"],
        "config reaches the system through model::host::Host",
    ),
];

/// The modules of this crate that a file names, with the places.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let code = &source.shipped;
    let mut found = Vec::new();
    for start in occurrences(code, "crate") {
        found.extend(heads(code, start + "crate".len()));
    }
    for start in occurrences(code, "super") {
        let mut end = start + "super".len();
        let is_continued = code[..start].trim_end().ends_with("super::");
        let mut steps = 1;
        while code[end..].starts_with("::super") {
            (steps, end) = (steps + 1, end + "::super".len());
        }
        if !is_continued && steps >= depth(source, start) {
            found.extend(heads(code, end));
        }
    }
    found
}

/// The first names behind `::` at `at`, each of a group `{a, b::c}` with its own.
fn heads(code: &str, at: usize) -> Vec<(usize, String)> {
    let Some(rest) = code[at..].strip_prefix("::") else { return Vec::new() };
    let start = at + 2;
    let group = if rest.starts_with('{') { &code[start + 1..closing(code, start) - 1] } else { rest };
    let name = |part: &str| -> String {
        part.trim_start().chars().take_while(|&letter| letter.is_alphanumeric() || letter == '_').collect()
    };
    let parts = if rest.starts_with('{') { top_level_parts(group) } else { vec![group] };
    parts.into_iter().map(|part| (start, name(part))).filter(|(_, name)| !name.is_empty()).collect()
}

/// The parts of a group between the commas that are not inside a bracket.
fn top_level_parts(group: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    group
        .split(|letter| {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            letter == ',' && depth == 0
        })
        .collect()
}

/// How many `super`s lead from this place to the crate root: the file's own depth and the inline modules around.
fn depth(source: &Source, at: usize) -> usize {
    let path = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let around = occurrences(&source.shipped[..at], "mod").into_iter().filter(|&start| {
        let body = source.shipped[start..].find(['{', ';']).map(|offset| start + offset);
        body.is_some_and(|body| {
            source.shipped[body..].starts_with('{') && body < at && closing(&source.shipped, body) > at
        })
    });
    path.split('/').count() + around.count()
}

fn layer_rule(source: &Source) -> Vec<Finding> {
    let Some(module) = source.module() else { return Vec::new() };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
        return vec![source.at(0, format!("module `{module}` is not in the table of layers"))];
    };
    let is_module = |name: &str| LAYERS.iter().any(|(module, _)| *module == name);
    let wrong = imports(source)
        .into_iter()
        .filter(|(_, name)| is_module(name) && name != module && !allowed.contains(&name.as_str()));
    wrong.map(|(at, name)| source.at(at, format!("`{module}` must not import `{name}`"))).collect()
}

fn ban_rule(source: &Source) -> Vec<Finding> {
    let bans = BANS.iter().filter(|(module, ..)| source.module() == Some(module));
    bans.flat_map(|(_, words, why)| {
        let mut findings = source.ban(&source.shipped, words, why);
        // `use std::{fs, env}` names them too.
        for at in occurrences(&source.shipped, "std") {
            let names = heads(&source.shipped, at + 3)
                .into_iter()
                .map(|(start, name)| (start, format!("std::{name}")));
            let banned = names.filter(|(start, name)| {
                source.shipped[*start..].starts_with('{') && words.contains(&name.as_str())
            });
            findings.extend(banned.map(|(start, name)| source.at(start, format!("`{name}`: {why}"))));
        }
        findings
    })
    .collect()
}

fn crate_rule(source: &Source) -> Vec<Finding> {
    let Some((module, allowed)) = PURE.iter().find(|(module, _)| source.module() == Some(module)) else {
        return Vec::new();
    };
    let ours = ["std", "core", "alloc", "crate", "super", "self"];
    let uses = occurrences(&source.shipped, "use").into_iter().filter_map(|at| {
        let name: String = source.shipped[at + 3..]
            .trim_start()
            .chars()
            .take_while(|&letter| letter.is_alphanumeric() || letter == '_')
            .collect();
        let is_local = source.shipped.contains(&format!("mod {name};"))
            || name.chars().next().is_none_or(char::is_uppercase);
        (!is_local && !ours.contains(&name.as_str()) && !allowed.contains(&name.as_str()))
            .then_some((at, name))
    });
    uses.map(|(at, name)| source.at(at, format!("`{module}` must not use the crate `{name}`"))).collect()
}

#[test]
fn every_module_imports_only_what_the_table_allows() {
    none_of(everywhere(layer_rule));
}

#[test]
fn the_pure_modules_do_not_touch_the_world() {
    none_of(everywhere(ban_rule));
}

#[test]
fn the_pure_modules_use_no_other_crate() {
    none_of(everywhere(crate_rule));
}

#[test]
fn the_table_in_architecture_md_is_the_one_that_is_enforced() {
    let text = fs::read_to_string("ARCHITECTURE.md").expect("ARCHITECTURE.md");
    let rows = text
        .lines()
        .skip_while(|line| *line != "| module | may import |")
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let row = |line: &str| -> Option<(String, Vec<String>)> {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (module, list) = (cells.next()?, cells.next()?);
        let names = list.split(", ").filter(|name| *name != "nothing").map(str::to_owned).collect();
        Some((module.trim_matches('`').to_owned(), names))
    };
    let written: Vec<_> = rows.filter_map(row).collect();
    let enforced: Vec<_> = LAYERS
        .iter()
        .map(|(module, allowed)| {
            ((*module).to_owned(), allowed.iter().map(|name| (*name).to_owned()).collect())
        })
        .collect();
    assert_eq!(written, enforced);
}

#[test]
fn a_forbidden_import_is_found_however_it_is_spelled() {
    let found = |text: &str| found_in("src/logs/pump.rs", text, layer_rule).len();
    assert_eq!(found("use crate::daemon::Reactor;"), 1);
    assert_eq!(found("use crate::{model::Pid, core::{Core, input}, sys};"), 1);
    assert_eq!(found("use super::super::daemon;"), 1);
    assert_eq!(found("mod inner { use super::super::super::daemon; use super::super::daemon; }"), 1);
    assert_eq!(found("fn f() { crate::config::load(); }"), 1);
    assert_eq!(
        found(
            "use super::daemon;\nuse crate::sys::fd;\n// use crate::daemon;\n#[cfg(test)]\nmod tests { use crate::core::Core; }"
        ),
        0
    );
    assert_eq!(found_in("src/logs/mod.rs", "use super::daemon;", layer_rule), [1]);
    assert_eq!(found_in("src/stray/mod.rs", "", layer_rule), [1]);
}

#[test]
fn a_touch_of_the_world_is_found_in_the_core() {
    let found = |text: &str| found_in("src/core/process.rs", text, ban_rule).len();
    for bad in [
        "use std::fs;",
        "use std::{fmt, env};",
        "let t = Instant::now();",
        "use std::collections::HashMap;",
        "nix::unistd::getpid();",
    ] {
        assert_eq!(found(bad), 1, "{bad}");
    }
    assert_eq!(found("use std::collections::BTreeMap; // not HashMap"), 0);
    assert_eq!(found_in("src/config/ini.rs", "let x = std::env::var(NAME);", ban_rule), [1]);
    assert_eq!(found_in("src/core/mod.rs", "use nix::libc;", crate_rule), [1]);
}
