//! The layers of an environment, each above the one before.

use super::*;
use crate::model::spec::Place;

fn pairs(list: &[(&str, &str)]) -> Environment {
    list.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn texts(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn spec() -> ProcessSpec {
    ProcessSpec::new("g", "p", "c", Place::default())
}

/// The variables but those that every program gets, sorted, with their sources.
fn shown(layers: &Layers<'_>) -> String {
    let all = layers.variables().into_iter().filter(|one| one.source != Source::Supervisor);
    let text = |one: Variable| format!("{}={} {:?}", one.name.display(), one.value.display(), one.source);
    let mut all: Vec<String> = all.map(text).collect();
    all.sort();
    all.join(", ")
}

#[test]
fn each_layer_beats_the_one_below() {
    let own = pairs(&[("A", "0"), ("B", "0"), ("C", "0"), ("D", "0"), ("SUPERVISOR_ENABLED", "0")]);
    let files =
        [(0, "C".to_owned(), "2".to_owned()), (0, "D".to_owned(), "2".into()), (1, "C".into(), "3".into())];
    let mut spec = spec();
    spec.environment = texts(&[("B", "1"), ("C", "1"), ("D", "4")]);
    spec.environment_shared = names(&["B", "C"]);
    let layers = Layers { spec: &spec, own: &own, login: None, server_url: Some("u"), files: &files };
    assert_eq!(shown(&layers), "A=0 Daemon, B=1 Shared, C=3 File(1), D=4 Own");
    assert_eq!(layers.value("SUPERVISOR_ENABLED"), Some("1".into()));
    assert_eq!(layers.value("SUPERVISOR_SERVER_URL"), Some("u".into()));
    assert_eq!(layers.value("SUPERVISOR_GROUP_NAME"), Some("g".into()));
    assert_eq!(layers.value("E"), None);
    // supervisord's order: what a user says of these names counts (compat 3.4).
    let mut spec = spec.clone();
    spec.environment.push(("SUPERVISOR_ENABLED".into(), "mine".into()));
    let layers = Layers { spec: &spec, ..layers };
    assert_eq!(layers.value("SUPERVISOR_ENABLED"), Some("mine".into()));
}

#[test]
fn a_login_takes_the_place_of_our_own_variables() {
    let (own, login) = (pairs(&[("A", "own"), ("B", "own"), ("BC", "own")]), pairs(&[("A", "login")]));
    let mut spec = spec();
    let of = |spec: &ProcessSpec| {
        shown(&Layers { spec, own: &own, login: Some(&login), server_url: None, files: &[] })
    };
    assert_eq!(of(&spec), "A=login Login");
    spec.env_pass = names(&["A", "B"]);
    assert_eq!(of(&spec), "A=login Login, B=own Daemon");
    spec.env_pass = names(&["B*"]);
    assert_eq!(of(&spec), "A=login Login, B=own Daemon, BC=own Daemon");
    spec.env_clear = true;
    assert_eq!(of(&spec), "B=own Daemon, BC=own Daemon");
}

#[test]
fn what_is_cleared_passed_and_unset() {
    let own = pairs(&[("A", "1"), ("LC_ALL", "2"), ("LC_TIME", "3"), ("É", "4")]);
    let mut spec = spec();
    spec.environment = texts(&[("X", "5")]);
    let of =
        |spec: &ProcessSpec| shown(&Layers { spec, own: &own, login: None, server_url: None, files: &[] });
    spec.env_clear = true;
    assert_eq!(of(&spec), "X=5 Own");
    spec.env_pass = names(&["LC_*", "A?"]);
    assert_eq!(of(&spec), "LC_ALL=2 Daemon, LC_TIME=3 Daemon, X=5 Own");
    spec.env_unset = names(&["LC_[!A]*", "X", "SUPERVISOR_*"]);
    assert_eq!(of(&spec), "LC_ALL=2 Daemon");
    let layers = Layers { spec: &spec, own: &own, login: None, server_url: None, files: &[] };
    assert_eq!(layers.value("SUPERVISOR_ENABLED"), None, "env_unset takes away whatever it was");
    spec.env_clear = false;
    assert_eq!(of(&spec), "A=1 Daemon, LC_ALL=2 Daemon, É=4 Daemon", "without env_clear nothing is lost");
}

#[test]
fn files_are_read_in_their_order_and_faults_name_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &[u8]| {
        std::fs::write(dir.path().join(name), text).expect("write");
    };
    write("one", b"A=1\nB=1\n");
    write("two", b"B='2'\n");
    write("bad", b"A=1\nTOKEN: s3cret\n");
    write("latin", b"A=\xe9\n");
    write("great", &vec![b'#'; env_file::FILE_SIZE_MAX + 1]);
    write("full", &vec![b'#'; env_file::FILE_SIZE_MAX]);
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let read = |list: &[&str]| {
        let file = |word: &&str| {
            let (optional, name) = word.strip_prefix('-').map_or((false, *word), |name| (true, name));
            EnvFile { path: dir.path().join(name), optional }
        };
        read_files(&list.iter().map(file).collect::<Vec<_>>()).map_err(|error| error.to_string())
    };
    let values = read(&["one", "-gone", "two"]).expect("variables");
    let values: Vec<_> =
        values.iter().map(|(at, name, value)| (*at, name.as_str(), value.as_str())).collect();
    assert_eq!(values, [(0, "A", "1"), (0, "B", "1"), (2, "B", "2")]);
    assert_eq!(read(&["full"]), Ok(Vec::new()));
    for (file, part) in [
        ("gone", "gone: there is no such file (-FILE says that it may be missing)"),
        ("bad", "bad, line 2: there is no `=`"),
        ("-bad", "bad, line 2: there is no `=`"),
        ("latin", "it is not UTF-8"),
        ("great", "it has more than 1048576 bytes"),
        ("pipe", "it is no regular file"),
        (".", "it is no regular file"),
    ] {
        let error = read(&[file]).expect_err(file);
        assert!(error.contains(part) && !error.contains("s3cret"), "{file}: {error}");
    }
}
