//! Two configurations and a command line against the real supervisord: what a reread finds changed, and what
//! options do to settings.

use crate::clean::Clean;
use crate::oracle::Interop;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use visor::config::diff::between;
use visor::config::dump::dump;
use visor::config::{LoadRequest, load};
use visor::daemon::options;

/// What changes between two sets of sections, and whether upstream overlooks it.
struct Step(&'static str, &'static str, Sees);

/// Who finds the change.
#[derive(PartialEq)]
enum Sees {
    Both,
    OnlyVisor,
}

const A: &str = "[program:a]\ncommand=a\n";

const STEPS: &[Step] = &[
    Step(A, A, Sees::Both),
    Step(A, "[program:a]\ncommand=b\n", Sees::Both),
    Step(A, "[program:b]\ncommand=a\n", Sees::Both),
    Step(A, "[program:a]\ncommand=a\npriority=5\n", Sees::Both),
    Step(A, "[program:a]\ncommand=a\nnumprocs=2\nprocess_name=%(process_num)d\n", Sees::Both),
    Step(
        "[program:a]\ncommand=a\nstdout_logfile=NONE\n",
        "[program:a]\ncommand=a\nstdout_logfile=/tmp/l\n",
        Sees::Both,
    ),
    Step("[program:a]\ncommand=a\nstdout_logfile=/tmp/l\n", A, Sees::OnlyVisor),
    // Upstream compares a file name of its own with a path here, and finds them different.
    Step(A, "[program:a]\ncommand=a\nstdout_logfile=/tmp/l\n", Sees::Both),
    Step(A, "[program:a]\ncommand=a\n[group:g]\nprograms=a\n", Sees::Both),
    Step("[program:a]\ncommand=a\n[group:g]\nprograms=a\n", A, Sees::Both),
    Step("[program:a]\ncommand=a\nuser=root\n", "[program:a]\ncommand=a\nuser=0\n", Sees::Both),
    Step("[supervisord]\nenvironment=A=1\n[program:a]\ncommand=a\n", "[program:a]\ncommand=a\n", Sees::Both),
    Step(
        "[eventlistener:e]\ncommand=e\nevents=TICK_5,TICK_60\n",
        "[eventlistener:e]\ncommand=e\nevents=TICK_5\nbuffer_size=10\n",
        Sees::Both,
    ),
    Step("[eventlistener:a]\ncommand=a\nevents=TICK_5\npriority=999\n", A, Sees::Both),
    Step(
        "[fcgi-program:f]\ncommand=f\nsocket=unix:///s\n",
        "[fcgi-program:f]\ncommand=f\nsocket=unix:///s\nsocket_mode=0777\n",
        Sees::OnlyVisor,
    ),
];

fn written(directory: &Path, name: &str, sections: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, format!("[supervisord]\n{sections}")).expect("a file");
    path
}

#[test]
fn a_reread_finds_what_supervisord_finds_and_more() {
    let Some(interop) = Interop::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    for (number, Step(old, new, sees)) in STEPS.iter().enumerate() {
        let old_file = written(directory.path(), &format!("{number}-old.conf"), old);
        let new_file = written(directory.path(), &format!("{number}-new.conf"), new);
        let extra = ["--reread".to_owned(), new_file.display().to_string()];
        let upstream = &interop.upstream_with(&extra, std::slice::from_ref(&old_file), &[])[0]["reread"];
        let fleet = |file: &Path| load(&LoadRequest::of(file), &Clean).settings.expect("settings").fleet;
        let diff = between(&fleet(&old_file), &fleet(&new_file));
        let changed: Vec<&String> = diff.changed.iter().map(|change| &change.name).collect();
        let ours = json!([diff.added, changed, diff.removed]);
        let theirs = json!([upstream["added"], upstream["changed"], upstream["removed"]]);
        assert_eq!(ours == theirs, *sees == Sees::Both, "{old:?} -> {new:?}: {ours} and upstream {theirs}");
    }
}

const LINES: &[&str] = &[
    "",
    "-n -s -t -k",
    "-l /tmp/x.log -y 1MB -z 3 -e debug",
    "--logfile=~/x --pidfile=p.pid --identifier=%(x)s",
    "-l syslog -j /tmp/../p",
    "-q /tmp -d / -m 077 -a 9 --minprocs=3",
    "-u root",
    "-u no-such-user",
    "-m 9",
    "-l /no/such/x",
    "-q /no/such",
    "-e loud",
    "-y 1G",
    "-z x",
    "-n -n",
    "--log x",
    "--nodae --ident me",
    "stray",
    "-x",
    "-l",
    "--nodaemon=1",
];

#[test]
fn options_give_what_supervisord_gives() {
    let Some(interop) = Interop::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let file = written(directory.path(), "v.conf", "logfile=main.log\nuser=root\nidentifier=file\n");
    let mut wrong = Vec::new();
    for line in LINES {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let upstream = &interop.upstream_with(&[], std::slice::from_ref(&file), &words)[0];
        let ours = match options::parse(&words) {
            Ok(options) => dump(&load(&options.load_request(file.clone()), &Clean), &file),
            Err(text) => json!({ "ok": false, "stderr": text }),
        };
        let refused = upstream["ok"] == Value::Bool(false);
        let difference = crate::compare::difference(upstream, &ours);
        wrong.extend(difference.map(|difference| format!("{line:?} (refused: {refused}): {difference}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
