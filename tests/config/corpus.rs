//! Every real file, and every case that the oracle was tried on.

use crate::compare::{Deviation, assert_same};
use crate::oracle::Interop;
use std::fs;
use std::path::{Path, PathBuf};

/// Why files of awx are accepted.
const STDOUT_HANDLER: &str =
    "the handler of supervisor-stdout is built in, upstream needs its Python package";

/// Differences that are meant.
const DEVIATIONS: [Deviation; 3] = [
    Deviation { file: "14-err-bom.conf", reason: "a byte order mark is accepted: editors write it" },
    Deviation { file: "047-awx.conf", reason: STDOUT_HANDLER },
    Deviation { file: "048-awx.conf", reason: STDOUT_HANDLER },
];

/// Copies a folder of files to a place that is ours, so that the test of ownership has nothing to say.
fn copied(from: &Path, to: &Path) -> Vec<PathBuf> {
    fs::create_dir_all(to).expect("the test's own directory");
    let mut files = Vec::new();
    for entry in fs::read_dir(from).expect("the shared material").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &target);
        } else {
            fs::write(&target, fs::read(entry.path()).expect("a shared file")).expect("a copy");
            files.push(target);
        }
    }
    files.sort();
    files
}

#[test]
fn every_file_gives_what_supervisord_gives() {
    let Some(interop) = Interop::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = copied(&interop.shared.join("corpus/supervisor"), &directory.path().join("corpus"));
    files.extend(copied(&interop.shared.join("interop/oracle-cases"), &directory.path().join("cases")));
    assert!(files.len() > 200, "{} files", files.len());
    assert_same(&interop.upstream(&files), &interop.visor(&files), &DEVIATIONS);
}

#[test]
fn every_fragment_gives_what_supervisord_gives_when_included() {
    let Some(interop) = Interop::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let mut wrappers = Vec::new();
    for file in copied(&interop.shared.join("corpus/supervisor"), &directory.path().join("corpus")) {
        if fs::read_to_string(&file).expect("a text").contains("\n[supervisord]") {
            continue;
        }
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let wrapper = directory.path().join(format!("wrapper-{name}"));
        fs::write(&wrapper, format!("[supervisord]\n[include]\nfiles = corpus/{name}\n")).expect("a wrapper");
        wrappers.push(wrapper);
    }
    assert!(wrappers.len() > 50, "{} fragments", wrappers.len());
    assert_same(&interop.upstream(&wrappers), &interop.visor(&wrappers), &DEVIATIONS[1..]);
}
