//! Documents that can be checked: lengths, and lists that must agree with the code.

use std::collections::BTreeSet;
use std::fs;

/// A README that is longer is not read.
const README_LINES_MAX: usize = 250;

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the dependencies in Cargo.toml.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
            names.insert(name.trim().to_owned());
        }
    }
    names
}

/// The first cells, in backquotes, of the table under a heading.
fn first_cells(text: &str, heading: &str) -> BTreeSet<String> {
    let section =
        text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with('#'));
    section.filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

#[test]
fn the_readme_is_short_and_names_the_command_that_ci_runs() {
    let readme = read("README.md");
    let lines = readme.lines().count();
    assert!(lines <= README_LINES_MAX, "{lines} lines, at most {README_LINES_MAX}");
    assert!(
        readme.lines().any(|line| line.trim_start_matches("$ ").starts_with("tests/run")),
        "the README has no test command"
    );
    assert!(read(".ci/run").contains("tests/run"), ".ci/run does not call the README's test command");
}

#[test]
fn every_dependency_has_its_line_in_contributing_and_every_line_its_dependency() {
    let written = first_cells(&read("CONTRIBUTING.md"), "## Dependencies");
    assert_eq!(written, dependencies(&read("Cargo.toml")));
}

#[test]
fn the_changelog_keeps_its_form() {
    let text = read("CHANGELOG.md");
    let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
    assert!(headings.first().is_some_and(|first| *first == "## [Unreleased]"), "{headings:?}");
}

#[test]
fn every_document_that_is_promised_is_there() {
    for path in ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(read(path).len() > 500, "{path} is all but empty");
    }
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut missing = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = read(document);
        let paths = text.split('`').skip(1).step_by(2).filter(|word| is_path_of_ours(word));
        missing.extend(
            paths
                .filter(|path| !std::path::Path::new(path).exists())
                .map(|path| format!("{document}: {path}")),
        );
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

/// A word in backquotes that can only be meant as a file or folder of this project.
fn is_path_of_ours(word: &str) -> bool {
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
    plain && ["src/", "tests/", "benches/", "examples/", ".ci/"].iter().any(|top| word.starts_with(top))
}

#[test]
fn lists_are_read_from_documents_and_manifests() {
    let manifest = "[package]\nname = \"a\"\n[dependencies]\nserde = \"1\"\n[dev-dependencies]\nproptest = { version = \"1\" }\n[lints.rust]\nx = 1\n";
    assert_eq!(dependencies(manifest).into_iter().collect::<Vec<_>>(), ["proptest", "serde"]);
    let text = "## Dependencies\n\n| name | why |\n|---|---|\n| `serde` | x |\n\n## Other\n| `y` | z |\n";
    assert_eq!(first_cells(text, "## Dependencies").into_iter().collect::<Vec<_>>(), ["serde"]);
    assert!(is_path_of_ours("src/core/mod.rs") && !is_path_of_ours("src/{a,b}.rs") && !is_path_of_ours("x"));
}
