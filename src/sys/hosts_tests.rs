//! Folders of hosts below a directory of the tests.

use super::*;
use std::path::PathBuf;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Makes a folder with a log, both of this age.
fn folder(hosts: &Path, name: &str, age: Duration) -> PathBuf {
    let folder = hosts.join(name);
    fs::create_dir_all(folder.join("log")).expect("a directory");
    mark(&folder, name).expect("a mark");
    fs::write(folder.join("log/visord.log"), "text").expect("a log");
    set_age(&folder.join("log/visord.log"), age);
    set_age(&folder.join(MARK), age);
    folder
}

fn set_age(file: &Path, age: Duration) {
    let at = SystemTime::now() - age;
    File::options().write(true).open(file).and_then(|file| file.set_modified(at)).expect("utimensat");
}

fn names(hosts: &Path) -> Vec<String> {
    let all = fs::read_dir(hosts).expect("a directory").flatten();
    let mut all: Vec<String> = all.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

#[test]
fn what_no_host_has_used_for_a_month_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let hosts = dir.path();
    let minute = Duration::from_secs(60);
    folder(hosts, "old", UNUSED_MAX + minute);
    folder(hosts, "young", UNUSED_MAX - minute);
    // Its daemon is of a version that marks nothing, or somebody reads its logs: they are written.
    let written = folder(hosts, "written", 2 * UNUSED_MAX);
    set_age(&written.join("log/visord.log"), DAY);
    fs::remove_file(folder(hosts, "unmarked", 2 * UNUSED_MAX).join(MARK)).expect("the mark");
    fs::create_dir(hosts.join(".removed-half")).expect("a directory");
    let elsewhere = dir.path().join("young/precious");
    fs::write(&elsewhere, "x").expect("write");
    symlink(&elsewhere, folder(hosts, "linked", 2 * UNUSED_MAX).join("log/link")).expect("a link");
    set_own_link_age(&hosts.join("linked/log/link"));
    let own = folder(hosts, "own", 2 * UNUSED_MAX);
    let mut words = tend(&own, "own");
    words.sort();
    assert_eq!(words.len(), 2, "{words:?}");
    assert!(words[0].contains("the host linked,") && words[1].contains("the host old,"), "{words:?}");
    assert_eq!(names(hosts), ["own", "unmarked", "written", "young"]);
    assert!(elsewhere.exists(), "a link is not followed");
}

/// Makes a link itself as old as can be.
fn set_own_link_age(link: &Path) {
    let old = nix::sys::time::TimeSpec::new(0, 0);
    let flag = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(nix::fcntl::AT_FDCWD, link, &old, &old, flag).expect("utimensat");
}

#[test]
fn a_folder_that_another_machine_uses_as_well_is_told_of() {
    let dir = tempfile::tempdir().expect("a directory");
    let own = folder(dir.path(), "both", Duration::ZERO);
    let said = tend(&own, "second-1");
    assert!(said.len() == 1 && said[0].contains("in use by the machine both until now"), "{said:?}");
    assert_eq!(tend(&own, "second-1"), [] as [String; 0], "by now it is ours");
    set_age(&own.join(MARK), FRESH_MAX + DAY);
    assert_eq!(tend(&own, "third-1"), [] as [String; 0], "that one does not run any more");
    fs::write(own.join(MARK), "\x1b[2J\n").expect("write");
    assert!(!tend(&own, "third-1").concat().contains('\x1b'));
}

#[test]
fn a_host_gets_its_name_and_its_state_goes_along() {
    let dir = tempfile::tempdir().expect("a directory");
    let hosts = dir.path().join(HOSTS);
    let there = |name: &str| fs::read_to_string(hosts.join(name).join("log")).ok();
    fs::create_dir_all(hosts.join("key")).expect("a directory");
    fs::write(hosts.join("key/log"), "before").expect("write");
    name_in(&hosts, "key", None).expect("nothing to do");
    assert_eq!(names(&hosts), ["key"]);
    for _ in 0..2 {
        name_in(&hosts, "key", Some("login1")).expect("a name");
        assert_eq!(fs::read_link(hosts.join("key")).ok(), Some("login1".into()));
        assert_eq!(
            (there("key"), names(&hosts)),
            (Some("before".into()), vec!["key".into(), "login1".into()])
        );
    }
    name_in(&hosts, "key", Some("login2")).expect("another name");
    assert_eq!((there("key"), there("login1")), (None, Some("before".into())));
    name_in(&hosts, "key", Some("key")).expect("its own name");
    assert_eq!(names(&hosts), ["login1", "login2"]);
    fs::create_dir(hosts.join("key")).expect("a directory");
    name_in(&hosts, "key", Some("login1")).expect("a name that is there");
    assert_eq!(names(&hosts), ["key", "key.before", "login1", "login2"]);
    assert_eq!(there("key"), Some("before".into()));
}
