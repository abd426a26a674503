//! `visorctl edit`: what the editor leaves counts only when it has no mistake.

use super::bench::{Bench, Said, said};
use super::world::World;
use crate::common::pty::Pty;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

const TEXT: &str = "; mine\n[program:web]\ncommand=sleep 9\n";

/// A machine with one program, and where its file is.
fn machine() -> (Bench, PathBuf) {
    let bench = Bench::empty();
    let folder = bench.dir().join("home/.config/visor/conf.d");
    fs::create_dir_all(&folder).expect("folders");
    let file = folder.join("web.conf");
    fs::write(&file, TEXT).expect("a file");
    (bench, file)
}

/// Runs `edit` with a shell command as the editor, which finds the copy in `$1`, or `$2` behind the line.
fn edit(bench: &Bench, name: &str, editor: &str) -> Said {
    let script = bench.dir().join("my editor");
    fs::write(&script, format!("#!/bin/sh\nfor copy; do :; done\n{editor}\n")).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("chmod");
    let quoted = format!("'{}' -w", script.display());
    said(bench.command(&["edit", name]).env("EDITOR", quoted).env("TMPDIR", bench.dir().join("tmp")))
}

#[test]
fn a_good_text_replaces_the_file_and_keeps_its_mode_and_its_link() {
    let (bench, file) = machine();
    let real = bench.dir().join("dotfiles.conf");
    fs::rename(&file, &real).expect("moved");
    symlink(&real, &file).expect("a link");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("chmod");
    let said = edit(&bench, "web", "echo startsecs=5 >> \"$copy\"");
    assert_eq!((said.err.as_str(), said.code), ("", 0), "{}", said.out);
    assert_eq!(said.out, "wrote ~/.config/visor/conf.d/web.conf\n");
    assert_eq!(fs::read_to_string(&real).expect("the file"), format!("{TEXT}startsecs=5\n"));
    assert!(fs::symlink_metadata(&file).expect("a link").is_symlink());
    assert_eq!(fs::metadata(&real).expect("the file").permissions().mode() & 0o777, 0o640);
    let left: Vec<_> = fs::read_dir(bench.dir().join("tmp")).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_text_with_mistakes_changes_nothing_and_is_kept() {
    let (bench, file) = machine();
    let said = edit(&bench, "web", "echo startsecs=soon >> \"$copy\"");
    assert_eq!((said.out.as_str(), said.code), ("", 1));
    assert!(said.err.contains("web.conf:4: error: [program:web] startsecs: "), "{}", said.err);
    assert_eq!(fs::read_to_string(&file).expect("the file"), TEXT);
    let (_, kept) =
        said.err.trim_end().split_once("stays as it was; your text is kept in ").expect("a place");
    assert_eq!(fs::read_to_string(kept).expect("the copy"), format!("{TEXT}startsecs=soon\n"));
}

#[test]
fn an_editor_that_fails_or_changes_nothing_changes_nothing() {
    let (bench, file) = machine();
    for (editor, code, text) in [
        ("true", 0, "is as it was"),
        ("echo x=y >> \"$copy\"; exit 3", 1, "the editor ended with exit status: 3"),
        ("exit 127", 1, "there is no editor: set EDITOR"),
        ("rm \"$copy\"", 1, "the editor left nothing"),
        (
            &format!("echo theirs > '{}'; echo x=y >> \"$copy\"", file.display()),
            1,
            "somebody else has changed it",
        ),
    ] {
        fs::write(&file, TEXT).expect("a file");
        let said = edit(&bench, "web", editor);
        assert_eq!(said.code, code, "{editor}: {said:?}");
        assert!(format!("{}{}", said.out, said.err).contains(text), "{editor}: {said:?}");
        let now = fs::read_to_string(&file).expect("the file");
        assert!(now == TEXT || now == "theirs\n", "{editor}: {now}");
    }
    let said = edit(&bench, "nobody", "true");
    assert_eq!(
        (said.code, said.err.as_str()),
        (4, "error: there is no program nobody (visorctl avail lists)\n")
    );
}

#[test]
fn the_file_is_the_one_that_the_daemon_names() {
    let mut world = World::of_states();
    let (bench, _) = machine();
    let other = bench.dir().join("elsewhere.conf");
    fs::write(&other, "[program:running]\ncommand=cat\n").expect("a file");
    for process in &mut world.processes {
        process.config_file = other.display().to_string();
        process.config_line = 1;
    }
    let bench = bench.serving(world);
    let said = edit(&bench, "running", "echo stdout_logfile=NONE >> \"$copy\"");
    assert_eq!((said.err.as_str(), said.code), ("", 0));
    assert!(said.out.ends_with("elsewhere.conf (it counts after: visorctl update)\n"), "{}", said.out);
    assert!(fs::read_to_string(&other).expect("the file").ends_with("NONE\n"));
}

#[test]
fn a_person_at_a_terminal_may_try_again() {
    let (bench, file) = machine();
    let script = bench.dir().join("vi");
    let text = "#!/bin/sh\necho called $1\nif grep -q soon \"$2\"; then sed -i s/soon/7/ \"$2\"; \
                else echo startsecs=soon >> \"$2\"; fi\n";
    fs::write(&script, text).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("chmod");
    let start = || {
        Pty::start(
            bench.command(&["edit", "web"]).env("VISUAL", &script).env("TMPDIR", bench.dir().join("tmp")),
        )
    };
    let mut session = start();
    let asked = session.wait_for("edit again? [Y/n] ");
    session.type_in("n\n");
    let (answered, code) = session.finish();
    let shown = asked + &answered;
    assert!(shown.contains("called +2") && shown.contains("startsecs: ") && code == Some(1), "{shown}");
    assert_eq!(fs::read_to_string(&file).expect("the file"), TEXT);
    let mut session = start();
    session.wait_for("edit again? [Y/n] ");
    session.type_in("\n");
    let (shown, code) = session.finish();
    assert!(shown.contains("wrote ") && code == Some(0), "{shown}");
    assert_eq!(fs::read_to_string(&file).expect("the file"), format!("{TEXT}startsecs=7\n"));
}
