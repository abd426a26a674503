//! Rules for every file: unsafe, panics, stubs, sleeping tests, sizes.

use super::source::{Finding, Source, closing, occurrences};
use super::{everywhere, found_in, none_of, source};

/// Longest function, in lines.
const FUNCTION_LINES_MAX: usize = 70;

/// Longest file, in lines.
const FILE_LINES_MAX: usize = 600;

/// How far above an unsafe block its SAFETY comment may begin, in lines.
const SAFETY_REACH: usize = 8;

/// Panics on purpose: `(file, text of the line, why it cannot happen or must end the process)`.
const PANICS: [(&str, &str, &str); 0] = [];

/// Longer than allowed since before the rule: `(file, function)`. Rows go, they do not come.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];

fn unsafe_rule(source: &Source) -> Vec<Finding> {
    let lines: Vec<&str> = source.text.lines().collect();
    let check = |at: usize| -> Option<Finding> {
        if source.path.starts_with("src/") && source.module() != Some("sys") {
            return Some(source.at(at, "unsafe code lives in src/sys only"));
        }
        let finding = source
            .at(at, "unsafe without a `// SAFETY:` comment (a function: a `# Safety` section) above it");
        let first = finding.line.saturating_sub(SAFETY_REACH + 1);
        let explained = lines[first..finding.line]
            .iter()
            .any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
        (!explained).then_some(finding)
    };
    occurrences(&source.code, "unsafe").into_iter().filter_map(check).collect()
}

fn panic_rule(source: &Source) -> Vec<Finding> {
    let why = "no panic on what may happen; return an error, or add the line to PANICS with its reason";
    let allowed = |finding: &Finding| {
        let line = source.text.lines().nth(finding.line - 1).unwrap_or_default();
        PANICS.iter().any(|(path, text, _)| *path == source.path && line.contains(text))
    };
    let mut findings = source.ban(&source.shipped, &[".unwrap()", ".expect(", "panic!", "unreachable!"], why);
    findings.retain(|finding| !allowed(finding));
    findings
}

fn stub_rule(source: &Source) -> Vec<Finding> {
    let mut findings =
        source.ban(&source.code, &["todo!", "unimplemented!", "dbg!"], "nothing half-built is kept");
    if source.module() == Some("sys") {
        let constant = |line: &&(usize, &str)| {
            line.1.contains("ENOSYS")
                && line.1.contains("Err(")
                && !line.1.contains("=>")
                && !line.1.contains("==")
        };
        let lines: Vec<(usize, &str)> = source.shipped.lines().enumerate().collect();
        let what = "a system call that only says ENOSYS is a stub; write the portable back end";
        findings.extend(lines.iter().filter(constant).map(|(index, _)| Finding {
            path: source.path.clone(),
            line: index + 1,
            what: what.to_owned(),
        }));
    }
    findings
}

fn sleep_rule(source: &Source) -> Vec<Finding> {
    source.ban(&source.code, &["thread::sleep"], "wait for an event with a deadline")
}

fn ignore_rule(source: &Source) -> Vec<Finding> {
    source.ban(
        &source.code,
        &["#[ignore"],
        "a test that is not run is no test; say what it needs at run time",
    )
}

fn head_rule(source: &Source) -> Vec<Finding> {
    if source.text.starts_with("//!") {
        Vec::new()
    } else {
        vec![source.at(0, "a file begins with `//!`: what it is for")]
    }
}

fn file_length_rule(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES_MAX {
        Vec::new()
    } else {
        vec![source.at(0, format!("{lines} lines, at most {FILE_LINES_MAX}: split it"))]
    }
}

fn function_length_rule(source: &Source) -> Vec<Finding> {
    let too_long = |&at: &usize| -> Option<Finding> {
        let name: String = source.code[at + 2..]
            .trim_start()
            .chars()
            .take_while(|&letter| letter.is_alphanumeric() || letter == '_')
            .collect();
        let body = body_of(&source.code, at)?;
        let lines = 1 + source.code[at..closing(&source.code, body)].matches('\n').count();
        let is_known = LONG_FUNCTIONS.contains(&(source.path.as_str(), name.as_str()));
        (lines > FUNCTION_LINES_MAX && !is_known)
            .then(|| source.at(at, format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}")))
    };
    occurrences(&source.code, "fn").iter().filter_map(too_long).collect()
}

/// The opening brace of the function at `at`, or nothing for a mere signature or a type.
fn body_of(code: &str, at: usize) -> Option<usize> {
    let is_type = code[at + 2..].starts_with('(');
    let mut depth = 0_i32;
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return (!is_type).then_some(offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn unsafe_is_fenced_and_explained() {
    none_of(everywhere(unsafe_rule));
}

#[test]
fn shipped_code_does_not_panic_on_what_may_happen() {
    none_of(everywhere(panic_rule));
}

#[test]
fn there_are_no_stubs() {
    none_of(everywhere(stub_rule));
}

#[test]
fn nothing_sleeps() {
    none_of(everywhere(sleep_rule));
}

#[test]
fn no_test_is_ignored() {
    none_of(everywhere(ignore_rule));
}

#[test]
fn every_file_says_what_it_is_for() {
    none_of(everywhere(head_rule));
}

#[test]
fn files_and_functions_are_short() {
    none_of(everywhere(file_length_rule));
    none_of(everywhere(function_length_rule));
}

#[test]
fn every_allowance_is_still_needed() {
    let sources = source::all();
    let has = |path: &str, text: &str| {
        sources.iter().any(|source| source.path == path && source.text.contains(text))
    };
    let stale: Vec<_> =
        PANICS.iter().filter(|(path, text, why)| !has(path, text) || why.is_empty()).collect();
    assert!(stale.is_empty(), "{stale:?}");
    let stale: Vec<_> =
        LONG_FUNCTIONS.iter().filter(|(path, name)| !has(path, &format!("fn {name}"))).collect();
    assert!(stale.is_empty(), "{stale:?}");
}

#[test]
fn unsafe_elsewhere_or_unexplained_is_found() {
    assert_eq!(found_in("src/logs/a.rs", "// SAFETY: none\nunsafe { f() }", unsafe_rule), [2]);
    assert_eq!(found_in("src/sys/a.rs", "let a = 1;\nunsafe { f() }", unsafe_rule), [2]);
    assert_eq!(
        found_in("src/sys/a.rs", "// SAFETY: f has no precondition.\nunsafe { f() }", unsafe_rule),
        []
    );
    assert_eq!(found_in("src/logs/a.rs", "#![forbid(unsafe_code)] // unsafe", unsafe_rule), []);
}

#[test]
fn a_panic_is_found_outside_tests_only() {
    let text = "fn a() { b.unwrap(); c.expect(\"d\"); e.unwrap_or(f) }\n#[cfg(test)]\nmod tests { fn g() { h.unwrap() } }";
    assert_eq!(found_in("src/cli/a.rs", text, panic_rule), [1, 1]);
    assert_eq!(found_in("tests/a.rs", text, panic_rule), []);
}

#[test]
fn a_stub_is_found() {
    assert_eq!(found_in("src/cli/a.rs", "fn a() {\n    todo!()\n}", stub_rule), [2]);
    assert_eq!(found_in("src/sys/macos/a.rs", "fn a() -> R { Err(Errno::ENOSYS) }", stub_rule), [1]);
    assert_eq!(found_in("src/sys/a.rs", "match a { Err(Errno::ENOSYS) => b }", stub_rule), []);
}

#[test]
fn a_sleep_and_an_ignored_test_are_found() {
    assert_eq!(found_in("tests/a.rs", "fn a() { std::thread::sleep(b) } // thread::sleep", sleep_rule), [1]);
    assert_eq!(found_in("tests/a.rs", "#[test]\n#[ignore]\nfn a() {}", ignore_rule), [2]);
    assert_eq!(found_in("tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}", ignore_rule), [2]);
}

#[test]
fn what_is_too_long_or_has_no_head_is_found() {
    let lines = |count: usize| "    a();\n".repeat(count);
    let function =
        |count: usize| format!("//! Head.\nfn long<F: Fn(u8) -> u8>(f: F) -> u8 {{\n{}}}\n", lines(count));
    assert_eq!(found_in("src/cli/a.rs", &function(FUNCTION_LINES_MAX - 2), function_length_rule), []);
    assert_eq!(found_in("src/cli/a.rs", &function(FUNCTION_LINES_MAX - 1), function_length_rule), [2]);
    assert_eq!(found_in("src/cli/a.rs", &lines(FILE_LINES_MAX), file_length_rule), []);
    assert_eq!(found_in("src/cli/a.rs", &lines(FILE_LINES_MAX + 1), file_length_rule), [1]);
    assert_eq!(found_in("src/cli/a.rs", "use std::fmt;", head_rule), [1]);
}
