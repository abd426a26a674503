//! What systemd does with this session's processes, and how to get a scope of one's own from it.
//!
//! Gathers facts for [`crate::model::detach::decide`]; must not decide. Example:
//! `decide(&scope::facts(&Ambient::real()))`.

use super::ambient::Ambient;
use crate::model::detach::SessionFacts;
use nix::unistd::{Uid, User};
use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Directories of logind's settings, the strongest first.
const SETTINGS: [&str; 4] = ["etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"];

/// Where systemd-run may be.
const PROGRAMS: [&str; 2] = ["usr/bin/systemd-run", "bin/systemd-run"];

/// Returns what can be found out without asking any daemon.
#[must_use]
pub fn facts(ambient: &Ambient) -> SessionFacts {
    let name = User::from_uid(Uid::from_raw(ambient.uid)).ok().flatten().map(|user| user.name);
    let name = name.unwrap_or_default();
    let cgroup = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let linger = !name.is_empty() && ambient.root.join("var/lib/systemd/linger").join(&name).exists();
    SessionFacts {
        cgroup: own_group(&cgroup).to_owned(),
        linger,
        kill_user_processes: kills(&texts_of(&settings_files(&ambient.root)), &name),
        user_manager: program(ambient).is_some() && has_manager(ambient),
    }
}

/// Returns the words that run `command` in a scope of its own, and the variable that leads to the user's service
/// manager; nothing where there is no systemd-run.
#[must_use]
pub fn command(
    ambient: &Ambient,
    unit: &str,
    command: &[OsString],
) -> Option<(Vec<OsString>, (OsString, OsString))> {
    let mut words: Vec<OsString> = vec![program(ambient)?.into()];
    let fixed =
        ["--user", "--scope", "--quiet", "--collect", "--description=Visor, per-user service manager"];
    words.extend(fixed.map(OsString::from));
    words.push(format!("--unit={unit}").into());
    words.push("--".into());
    words.extend(command.iter().cloned());
    Some((words, ("XDG_RUNTIME_DIR".into(), session_dir(ambient).into())))
}

fn program(ambient: &Ambient) -> Option<PathBuf> {
    PROGRAMS.iter().map(|path| ambient.root.join(path)).find(|path| path.is_file())
}

fn session_dir(ambient: &Ambient) -> PathBuf {
    ambient.run_user().join(ambient.name_uid.to_string())
}

/// Whether the user's service manager listens.
fn has_manager(ambient: &Ambient) -> bool {
    let socket = session_dir(ambient).join("systemd/private");
    std::fs::metadata(socket).is_ok_and(|found| found.file_type().is_socket())
}

/// Returns the control group in the text of /proc/self/cgroup: that of version 2, else the one systemd names.
pub(super) fn own_group(text: &str) -> &str {
    let of = |prefix: &str| text.lines().find_map(|line| line.split_once(prefix).map(|(_, path)| path));
    of("0::").filter(|path| *path != "/").or_else(|| of(":name=systemd:")).or_else(|| of("0::")).unwrap_or("")
}

/// Returns where logind is told to kill what a session leaves behind, `file:line`: the line that counts is the last.
#[must_use]
pub fn kill_place(ambient: &Ambient) -> Option<String> {
    let places = settings_files(&ambient.root).into_iter().flat_map(|file| {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let line = text
            .lines()
            .position(|line| line.split_once('=').is_some_and(|(key, _)| key.trim() == "KillUserProcesses"));
        line.map(|line| format!("{}:{}", file.display(), line + 1))
    });
    places.last()
}

fn texts_of(files: &[PathBuf]) -> Vec<String> {
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

/// Returns logind's settings files, the weakest first: the main file, then the additions by name.
fn settings_files(root: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mains = SETTINGS.map(|dir| root.join(dir).join("logind.conf"));
    files.extend(mains.into_iter().find(|file| file.is_file()));
    let mut additions: Vec<PathBuf> = Vec::new();
    for dir in SETTINGS.map(|dir| root.join(dir).join("logind.conf.d")) {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        for file in entries.filter(|file| file.extension().is_some_and(|end| end == "conf")) {
            // Of two with one name the stronger directory's counts.
            if additions.iter().all(|known| known.file_name() != file.file_name()) {
                additions.push(file);
            }
        }
    }
    additions.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    files.extend(additions);
    files
}

/// Whether logind kills what a session of this user leaves behind (logind.conf(5)).
fn kills(texts: &[String], user: &str) -> bool {
    let (mut kill, mut only, mut exclude) = (false, String::new(), "root".to_owned());
    for line in texts.iter().flat_map(|text| text.lines()) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        match key.trim() {
            "KillUserProcesses" => kill = matches!(value, "yes" | "true" | "on" | "1"),
            "KillOnlyUsers" => only = value.to_owned(),
            "KillExcludeUsers" => exclude = value.to_owned(),
            _ => {}
        }
    }
    let names = |list: &str| list.split_whitespace().any(|name| name == user);
    kill && !names(&exclude) && (only.is_empty() || names(&only))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_group_is_found_in_both_versions() {
        for (text, group) in [
            ("0::/user.slice/session-1.scope\n", "/user.slice/session-1.scope"),
            ("12:cpu:/x\n1:name=systemd:/user.slice/session-2.scope\n0::/\n", "/user.slice/session-2.scope"),
            ("0::/\n", "/"),
            ("", ""),
        ] {
            assert_eq!(own_group(text), group, "{text:?}");
        }
    }

    #[test]
    fn logind_kills_whom_its_settings_name() {
        for (text, user, expected) in [
            ("", "me", false),
            ("#KillUserProcesses=yes", "me", false),
            ("[Login]\nKillUserProcesses=yes", "me", true),
            ("KillUserProcesses = yes ", "root", false),
            ("KillUserProcesses=yes\nKillExcludeUsers=you me", "me", false),
            ("KillUserProcesses=yes\nKillExcludeUsers=", "root", true),
            ("KillUserProcesses=yes\nKillOnlyUsers=you", "me", false),
            ("KillUserProcesses=yes\nKillOnlyUsers=me", "me", true),
            ("KillUserProcesses=yes\nKillUserProcesses=no", "me", false),
        ] {
            assert_eq!(kills(&[text.to_owned()], user), expected, "{text}");
        }
    }

    #[test]
    fn facts_come_from_the_machine() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path();
        let uid = crate::sys::identity::uid();
        let ambient = Ambient { uid, name_uid: uid, root: root.into(), ..Ambient::default() };
        assert_eq!(
            facts(&ambient),
            SessionFacts { cgroup: facts(&ambient).cgroup, ..SessionFacts::default() }
        );
        assert_eq!(command(&ambient, "visord", &[]), None);
        let name =
            User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name).unwrap_or_default();
        for (file, text) in [
            ("usr/lib/systemd/logind.conf", "KillUserProcesses=no"),
            ("usr/lib/systemd/logind.conf.d/50-a.conf", "KillUserProcesses=no\n"),
            ("etc/systemd/logind.conf.d/50-a.conf", "KillUserProcesses=yes\nKillExcludeUsers=\n"),
            ("etc/systemd/logind.conf.d/10-b.conf", "KillUserProcesses=no"),
            ("usr/bin/systemd-run", ""),
            ("var/lib/systemd/linger/x", ""),
        ] {
            let file = root.join(file);
            std::fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
            std::fs::write(file, text).expect("write");
        }
        std::fs::create_dir_all(session_dir(&ambient).join("systemd")).expect("a directory");
        let _manager = std::os::unix::net::UnixListener::bind(session_dir(&ambient).join("systemd/private"));
        let found = facts(&ambient);
        assert!(found.kill_user_processes && found.user_manager && !found.linger, "{found:?}");
        let place = root.join("etc/systemd/logind.conf.d/50-a.conf").display().to_string();
        assert_eq!(kill_place(&ambient), Some(format!("{place}:1")));
        if !name.is_empty() {
            std::fs::write(root.join("var/lib/systemd/linger").join(name), "").expect("write");
            assert!(facts(&ambient).linger);
        }
        let (words, (variable, _)) =
            command(&ambient, "visord", &["v".into(), "-n".into()]).expect("systemd-run");
        assert_eq!(words[words.len() - 3..], ["--", "v", "-n"].map(OsString::from));
        assert!(words.contains(&"--unit=visord".into()) && variable == "XDG_RUNTIME_DIR");
    }
}
