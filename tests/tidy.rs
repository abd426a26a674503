//! The style of this project as tests: layers, bans, sizes, and documents that stay true.
//!
//! Each rule is a function from a file to what is wrong in it, and has a test that feeds it a bad file. What a rule
//! must let pass stands in a table beside it, with the reason; a row that lets nothing pass any more is a failure too.

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use source::{Finding, Source};

/// Fails with the list, one finding a line, when there is any.
fn none_of(findings: Vec<Finding>) {
    let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "\n{}\n", list.join("\n"));
}

/// Applies a rule to every Rust file of the project.
fn everywhere(rule: impl Fn(&Source) -> Vec<Finding>) -> Vec<Finding> {
    source::all().iter().flat_map(rule).collect()
}

/// What a rule finds in a file that only exists here.
fn found_in(path: &str, text: &str, rule: impl Fn(&Source) -> Vec<Finding>) -> Vec<usize> {
    rule(&Source::new(path, text)).iter().map(|finding| finding.line).collect()
}
