//! Directories for sockets on a machine below a directory of the tests.

use super::*;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

/// A user id that is neither ours nor root's.
const STRANGER: u32 = 61_996;

/// A machine with an empty `/tmp` and `/run/user`.
fn machine() -> (tempfile::TempDir, Ambient) {
    let dir = tempfile::tempdir().expect("a directory");
    let uid = crate::sys::identity::uid();
    let ambient = Ambient { uid, name_uid: uid, root: dir.path().into(), ..Ambient::default() };
    for place in [ambient.temp_dir(), ambient.run_user().join(ambient.uid.to_string())] {
        std::fs::create_dir_all(&place).expect("a directory");
    }
    chmod(&ambient.temp_dir(), 0o1777);
    (dir, ambient)
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("metadata").permissions().mode() & 0o7777
}

fn temp(ambient: &Ambient) -> Candidate {
    let all = ambient.runtime_candidates();
    all.into_iter().find(|c| c.origin == Origin::Temp).expect("it is always there")
}

fn why(candidate: &Candidate, ambient: &Ambient) -> String {
    open(candidate, ambient, Missing::Make).err().map(|refused| refused.why).unwrap_or_default()
}

#[test]
fn missing_directories_are_made_for_us_alone() {
    let (_dir, ambient) = machine();
    let found = survey(&ambient.runtime_candidates(), &ambient, Missing::Make);
    let origins: Vec<Origin> = found.usable.iter().map(|dir| dir.origin).collect();
    assert_eq!(origins, [Origin::RunUser, Origin::Temp], "{:?}", found.refused);
    for dir in &found.usable {
        assert_eq!(mode(&dir.path), 0o700);
    }
}

#[test]
fn a_client_makes_nothing() {
    let (_dir, ambient) = machine();
    let found = survey(&ambient.runtime_candidates(), &ambient, Missing::Leave);
    assert!(found.usable.is_empty() && found.refused.iter().all(|refused| refused.absent));
    assert!(!temp(&ambient).path.exists());
    let gone = Ambient { root: "/no/such/machine".into(), ..ambient };
    let found = survey(&gone.runtime_candidates(), &gone, Missing::Make);
    assert!(found.usable.is_empty() && found.refused.iter().all(|refused| refused.absent));
}

#[test]
fn one_directory_by_two_paths_counts_once() {
    let (dir, mut ambient) = machine();
    let session = ambient.run_user().join(ambient.uid.to_string());
    symlink(&session, dir.path().join("link")).expect("link");
    ambient.variables = vec![("XDG_RUNTIME_DIR".into(), dir.path().join("link").into())];
    let found = survey(&ambient.runtime_candidates(), &ambient, Missing::Make);
    let origins: Vec<Origin> = found.usable.iter().map(|dir| dir.origin).collect();
    assert_eq!(origins, [Origin::Session, Origin::Temp]);
}

#[test]
fn squatters_are_named_and_left_alone() {
    let (_dir, ambient) = machine();
    let candidate = temp(&ambient);
    let path = &candidate.path;
    std::fs::write(path, "file").expect("write");
    assert_eq!(why(&candidate, &ambient), "it is a file and not a directory");
    std::fs::remove_file(path).expect("remove");
    nix::unistd::mkfifo(path, Mode::S_IRWXU).expect("pipe");
    assert_eq!(why(&candidate, &ambient), "it is a pipe and not a directory");
    std::fs::remove_file(path).expect("remove");
    let _socket = std::os::unix::net::UnixListener::bind(path).expect("socket");
    assert_eq!(why(&candidate, &ambient), "it is a socket and not a directory");
    std::fs::remove_file(path).expect("remove");
    let elsewhere = ambient.root.join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a directory");
    chmod(&elsewhere, 0o700);
    symlink(&elsewhere, path).expect("link");
    assert!(why(&candidate, &ambient).contains("symbolic link"));
    assert_eq!(std::fs::read_dir(&elsewhere).expect("list").count(), 0);
    std::fs::remove_file(path).expect("remove");
    symlink("dangling", path).expect("link");
    assert!(why(&candidate, &ambient).contains("symbolic link"));
    std::fs::remove_file(path).expect("remove");
    for (bits, refused) in [(0o755, true), (0o710, true), (0o500, true), (0o1700, false), (0o700, false)] {
        std::fs::create_dir_all(path).expect("a directory");
        chmod(path, bits);
        assert_eq!(!why(&candidate, &ambient).is_empty(), refused, "{bits:o}");
        assert_eq!(mode(path), bits, "it was changed");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_not_used() {
    let (_dir, ambient) = machine();
    if ambient.uid != 0 {
        // Files cannot be given away without root's rights: then we are somebody else to our own files.
        let stranger = Ambient { uid: STRANGER, ..ambient };
        let candidate = Candidate { origin: Origin::Temp, path: stranger.root.join("tmp/x") };
        assert!(why(&candidate, &stranger).contains("belongs to user"));
        return;
    }
    let candidate = temp(&ambient);
    std::fs::create_dir(&candidate.path).expect("a directory");
    chmod(&candidate.path, 0o700);
    chown(&candidate.path, Some(STRANGER), None).expect("chown");
    assert_eq!(why(&candidate, &ambient), format!("it belongs to user {STRANGER}"));
    let session = ambient.run_user().join("0");
    chown(&session, Some(STRANGER), None).expect("chown");
    let session = Candidate { origin: Origin::RunUser, path: session.join("visor") };
    assert!(why(&session, &ambient).contains("session directory of user"), "{}", why(&session, &ambient));
    assert!(!session.path.exists());
    let named = Candidate { origin: Origin::Named, ..session };
    assert!(why(&named, &ambient).contains("who could put another"), "{}", why(&named, &ambient));
}

#[test]
fn a_parent_in_which_everybody_renames_is_refused() {
    let (_dir, ambient) = machine();
    chmod(&ambient.temp_dir(), 0o777);
    assert!(why(&temp(&ambient), &ambient).contains("everybody can rename"));
    assert!(!temp(&ambient).path.exists());
}

#[test]
fn the_creation_mask_takes_nothing_from_us() {
    let (_dir, ambient) = machine();
    // Not the mask itself, which belongs to all threads: what a mask of 0777 leaves behind is repaired.
    let parent = open_path(&ambient.temp_dir(), parent_flags(), Mode::empty()).expect("open");
    make(&parent, OsStr::new("d"), OWN).expect("mkdir");
    assert_eq!(mode(&ambient.temp_dir().join("d")), 0o700);
    make(&parent, OsStr::new("d"), OWN).expect("somebody was faster");
}

#[test]
fn network_file_systems_are_refused() {
    let (_dir, ambient) = machine();
    let ambient = Ambient { network: vec![ambient.temp_dir()], ..ambient };
    assert!(why(&temp(&ambient), &ambient).contains("network file system"));
}
