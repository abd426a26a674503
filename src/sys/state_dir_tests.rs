//! State directories on a machine below a directory of the tests.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

fn machine() -> (tempfile::TempDir, Ambient) {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().to_path_buf();
    let ambient = Ambient {
        uid: crate::sys::identity::uid(),
        variables: vec![("HOME".into(), root.join("home").into())],
        node_name: "here".to_owned(),
        root,
        ..Ambient::default()
    };
    std::fs::create_dir_all(ambient.root.join("home")).expect("a directory");
    std::fs::create_dir_all(ambient.temp_dir()).expect("a directory");
    (dir, ambient)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

#[test]
fn it_is_made_private_with_all_above_it() {
    let (_dir, ambient) = machine();
    assert!(open(&ambient, Missing::Leave).err().is_some_and(|refused| refused[0].absent));
    let state = open(&ambient, Missing::Make).expect("a state directory");
    assert_eq!(state.path, ambient.root.join("home/.local/state/visor"));
    assert_eq!((mode(&state.path), mode(&ambient.root.join("home/.local"))), (0o700, 0o700));
    assert_eq!(open(&ambient, Missing::Leave).expect("it is there").id, state.id);
}

#[test]
fn the_next_one_is_used_where_one_cannot_be() {
    let (_dir, mut ambient) = machine();
    std::fs::write(ambient.root.join("file"), "").expect("write");
    ambient.variables.push(("VISOR_STATE_DIR".into(), ambient.root.join("file").into()));
    ambient.variables.push(("XDG_STATE_HOME".into(), ambient.root.join("open").into()));
    std::fs::create_dir_all(ambient.root.join("open/visor")).expect("a directory");
    std::fs::set_permissions(ambient.root.join("open/visor"), std::fs::Permissions::from_mode(0o770))
        .expect("chmod");
    assert!(open(&ambient, Missing::Make).expect("the third").path.ends_with("home/.local/state/visor"));
    let homeless = Ambient { variables: Vec::new(), ..ambient };
    assert_eq!(open(&homeless, Missing::Make).err(), Some(Vec::new()));
}

#[test]
fn a_link_to_another_disk_is_followed() {
    let (_dir, ambient) = machine();
    std::fs::create_dir_all(ambient.root.join("home/.local/state")).expect("a directory");
    std::fs::create_dir(ambient.root.join("scratch")).expect("a directory");
    symlink(ambient.root.join("scratch"), ambient.root.join("home/.local/state/visor")).expect("link");
    assert!(open(&ambient, Missing::Make).is_ok());
}

#[test]
fn hosts_that_share_a_home_have_folders_of_their_own() {
    let (_dir, ambient) = machine();
    let here = Ambient { network: vec![ambient.root.join("home")], ..ambient };
    let there = Ambient { node_name: "there".to_owned(), ..here.clone() };
    let folders = [&here, &there].map(|host| {
        let state = open(host, Missing::Make).expect("a state directory");
        assert_eq!(state.network.as_deref(), Some("test"));
        state.path
    });
    assert!(folders[0].starts_with(here.root.join("home/.local/state/visor/hosts")), "{folders:?}");
    assert_ne!(folders[0], folders[1]);
}

#[test]
fn the_private_directory_is_remembered_for_this_host_only() {
    let (_dir, ambient) = machine();
    let state = open(&ambient, Missing::Make).expect("a state directory");
    assert_eq!(private_candidate(&state, &ambient), None);
    let made = make_private(&state, &ambient).expect("a directory");
    assert_eq!(mode(&made.path), 0o700);
    assert_eq!(private_candidate(&state, &ambient), Some(made.clone()));
    let other = Ambient { node_name: "there".to_owned(), ..ambient.clone() };
    assert_eq!(private_candidate(&state, &other), None);
    let second = make_private(&state, &ambient).expect("another one");
    assert_ne!(made, second);
    assert_eq!(private_candidate(&state, &ambient), Some(second));
}

#[test]
fn what_is_remembered_is_not_believed_when_somebody_else_wrote_it() {
    let (_dir, ambient) = machine();
    let state = open(&ambient, Missing::Make).expect("a state directory");
    let temp = ambient.temp_dir();
    let prefix = private_prefix(&ambient);
    for text in [
        "",
        "/etc",
        "relative",
        "\0",
        &format!("/elsewhere/{prefix}1"),
        &format!("{}/visor-9-1", temp.display()),
    ] {
        std::fs::write(record(&state, &ambient), text).expect("write");
        assert_eq!(private_candidate(&state, &ambient), None, "{text:?}");
    }
}
