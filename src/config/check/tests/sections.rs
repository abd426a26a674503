//! Sections of a file, and the settings or diagnostics they come to.

use super::Imagined;
use crate::config::{LoadRequest, Loaded, load};
use crate::model::spec::{GroupKind, ProcessSpec, Settings};

const MAIN: &str = "/etc/v.conf";

fn loaded(text: &str) -> Loaded {
    load(&LoadRequest::of(MAIN), &Imagined::default().file(MAIN, text).directory("/cwd"))
}

fn settings(text: &str) -> Settings {
    let loaded = loaded(text);
    loaded.settings.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics))
}

fn program(text: &str) -> ProcessSpec {
    let text = format!("[supervisord]\n[program:x]\ncommand=c\n{text}");
    ProcessSpec::clone(&settings(&text).fleet.groups[0].processes[0])
}

#[test]
fn an_empty_supervisord_section_is_a_configuration() {
    let settings = settings("[supervisord]\n");
    assert_eq!(settings.daemon.pidfile.to_str(), Some("/cwd/supervisord.pid"));
    assert_eq!(settings.fleet.groups.len(), 0);
}

#[test]
fn a_program_reads_itself() {
    let process = program("startsecs=2\nenvironment=A=1\nstdout_logfile=NONE\n");
    assert_eq!((process.startsecs, process.name.as_str()), (2, "x"));
    assert_eq!(process.environment, [("A".to_owned(), "1".to_owned())]);
    assert_eq!(settings("[supervisord]\n[group:g]\n").fleet.groups[0].kind, GroupKind::Program);
}

#[test]
fn users_and_directories_must_exist() {
    let text = "[supervisord]\nlogfile=/no/such/x.log\n[program:x]\ncommand=c\nuser=nobody-here\n";
    let errors: Vec<String> = loaded(text).errors().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    let host = Imagined::default().file(MAIN, text).agreeable();
    assert!(load(&LoadRequest::of(MAIN), &host).settings.is_some());
}
