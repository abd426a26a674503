//! Configurations of several files against the real supervisord.

use crate::compare::{Deviation, assert_same};
use crate::oracle::Interop;
use std::path::PathBuf;

/// A directory of files; the first is the main one.
struct Tree(&'static str, &'static [(&'static str, &'static str)]);

const TREES: &[Tree] = &[
    Tree(
        "override",
        &[
            (
                "m.conf",
                "[include]\nfiles=d/*.conf\n[supervisord]\nidentifier=main\n[program:a]\ncommand=main\npriority=3\n",
            ),
            ("d/b.conf", "[program:a]\ncommand=late %(here)s\n[supervisord]\nidentifier=late\n"),
            ("d/a.conf", "[program:a]\ncommand=early\nstartsecs=9\n[program:z]\ncommand=z\n"),
        ],
    ),
    Tree(
        "only-included-daemon",
        &[
            ("m.conf", "[include]\nfiles=x.ini\n"),
            (
                "x.ini",
                "[supervisord]\nlogfile=%(here)s/l\n[unix_http_server]\nfile=/tmp/x\nusername=%(here)s\npassword=p\n",
            ),
        ],
    ),
    Tree(
        "here-is-the-files-own",
        &[
            (
                "m.conf",
                "[supervisord]\n[include]\nfiles=d/x.ini %(here)s/e/*.ini /dev/null\n[program:m]\ncommand=%(here)s/m\n",
            ),
            (
                "d/x.ini",
                "[program:d]\ncommand=%(here)s/d\ndirectory=%(here)s\n[program:m]\nstdout_logfile=%(here)s/x\n",
            ),
            (
                "e/y.ini",
                "[eventlistener:e]\ncommand=%(here)s/e\nevents=TICK_5\n[program:d]\nserverurl=%(here)s\n",
            ),
        ],
    ),
    Tree(
        "patterns",
        &[
            ("m.conf", "[supervisord]\n[include]\nfiles = [ab]*.ini ?x.i*\n  **/c.ini no*.ini\td/*/ .h*\n"),
            ("a.ini", "[program:a]\ncommand=a\n"),
            ("bx.ini", "[program:b]\ncommand=b\n"),
            (".hidden.ini", "[program:hidden]\ncommand=h\n"),
            ("d/c.ini", "[program:c]\ncommand=c\n"),
            ("d/.c.ini", "[program:dot]\ncommand=c\n"),
            ("d/e/f.ini", "[program:f]\ncommand=c\n"),
        ],
    ),
    Tree(
        "not-recursive",
        &[
            ("m.conf", "[supervisord]\n[include]\nfiles=a.ini\n"),
            ("a.ini", "[include]\nfiles=b.ini\n[program:a]\ncommand=a\n"),
            ("b.ini", "[program:b]\ncommand=b\n"),
        ],
    ),
    Tree(
        "a-directory-matches",
        &[
            ("m.conf", "[supervisord]\n[include]\nfiles=d*\n"),
            ("d1/x", ""),
            ("d2", "[program:x]\ncommand=x\n"),
        ],
    ),
    Tree("no-files", &[("m.conf", "[supervisord]\n[include]\n")]),
    Tree("empty-files", &[("m.conf", "[supervisord]\n[include]\nfiles=\n")]),
    Tree("unknown-name", &[("m.conf", "[supervisord]\n[include]\nfiles=%(program_name)s\n")]),
    Tree(
        "names",
        &[
            (
                "m.conf",
                "[supervisord]\n[include]\nfiles=%(ENV_NUM)s-%(host_node_name)s.ini %(ENV_NUM)s.ini\n",
            ),
            ("4.ini", "[program:four]\ncommand=four\n"),
        ],
    ),
    Tree(
        "syntax-in-an-included-file",
        &[("m.conf", "[supervisord]\n[include]\nfiles=a.ini\n"), ("a.ini", "junk\n")],
    ),
    Tree(
        "default",
        &[
            (
                "m.conf",
                "[DEFAULT]\nstartsecs=4\n[supervisord]\n[include]\nfiles=a.ini\n[program:m]\ncommand=m\n",
            ),
            ("a.ini", "[DEFAULT]\npriority=4\n[program:a]\ncommand=a\nstartsecs=5\n"),
        ],
    ),
    Tree(
        "groups-over-files",
        &[
            ("m.conf", "[supervisord]\n[include]\nfiles=*.ini\n"),
            ("a.ini", "[group:g]\nprograms=b,c\n"),
            ("b.ini", "[program:b]\ncommand=b\n[program:d]\ncommand=d\n"),
            ("c.ini", "[program:c]\ncommand=c\nnumprocs=2\nprocess_name=c%(process_num)d\n"),
        ],
    ),
    Tree("escaped-here", &[("m.conf", "[supervisord]\n[include]\nfiles=\n[program:a]\ncommand=%%(here)s\n")]),
];

/// Differences that are meant.
const DEVIATIONS: [Deviation; 1] = [Deviation {
    file: "escaped-here/m.conf",
    reason: "%% is read first, upstream makes a broken %/... of it",
}];

#[test]
fn several_files_give_what_supervisord_gives() {
    let Some(interop) = Interop::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let mut mains: Vec<PathBuf> = Vec::new();
    for Tree(name, files) in TREES {
        for (file, text) in *files {
            let path = directory.path().join(name).join(file);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        mains.push(directory.path().join(name).join("m.conf"));
    }
    assert_same(&interop.upstream(&mains), &interop.visor(&mains), &DEVIATIONS);
}
