//! The layout of a user's own daemon on a real file system: what is made, and how its configuration is read.

use super::machine::Machine;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use visor::config::{LoadRequest, Loaded, load};
use visor::daemon::instance::{Claim, Outcome, Who, claim};
use visor::model::spec::MainLog;
use visor::sys::ambient::Ambient;
use visor::sys::host::RealHost;

fn claimed(machine: &Machine) -> Box<Claim> {
    let ambient = Ambient {
        uid: machine.uid,
        name_uid: machine.uid,
        variables: vec![("HOME".into(), machine.home().into())],
        root: machine.root().into(),
        ..Ambient::default()
    };
    match claim(&Who::xdg(ambient, 1).expect("a home")) {
        Outcome::Start(claim) => claim,
        Outcome::AlreadyRunning(other) => panic!("{other:?}"),
    }
}

fn loaded(machine: &Machine) -> Loaded {
    let roots = claimed(machine).xdg_roots().expect("a state directory");
    load(&LoadRequest::xdg(roots), &RealHost)
}

#[test]
fn a_fresh_account_needs_no_file() {
    let machine = Machine::new();
    let settings = loaded(&machine).settings.expect("settings");
    let state = machine.home().join(".local/state/visor");
    assert_eq!(settings.daemon.logfile, MainLog::File(state.join("log/visord.log")));
    assert_eq!(settings.daemon.pidfile, machine.temp().join("visord.pid"));
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&machine.temp())), (0o700, 0o700));
    assert!(!machine.home().join(".config").exists(), "nothing is written that a person writes");
}

#[test]
fn conf_d_is_read_and_what_cannot_be_read_is_an_error() {
    let machine = Machine::new();
    let conf = machine.home().join(".config/visor/conf.d");
    fs::create_dir_all(&conf).expect("a directory");
    fs::write(conf.join("web.conf"), "[program:web]\ncommand=sleep 1000\n").expect("write");
    let settings = loaded(&machine).settings.expect("settings");
    assert_eq!(settings.fleet.groups[0].name, "web");
    fs::remove_dir_all(&conf).expect("remove");
    fs::write(&conf, "no directory").expect("write");
    let loaded = loaded(&machine);
    assert!(loaded.settings.is_none(), "its programs would be taken for removed");
    assert!(loaded.errors().any(|error| error.to_string().contains("conf.d")), "{:?}", loaded.diagnostics);
}
