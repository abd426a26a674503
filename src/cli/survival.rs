//! Whether a daemon outlives a logout and a reboot on this machine, told before it happens.
//!
//! What logind does at the last logout is a setting; the rest follows from how visord detaches. Example:
//! `Facts::real().words(&visord)` is the line at the end of `visorctl new`.

use std::path::{Path, PathBuf};

/// Where logind is configured, the later beats the earlier (logind.conf(5)).
const LOGIND_FILES: [&str; 3] =
    ["/usr/lib/systemd/logind.conf", "/etc/systemd/logind.conf", "/run/systemd/logind.conf"];

/// What decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Logind runs, and ends everything of a session with it.
    pub kills: bool,
    /// The user's processes are let live on (`loginctl enable-linger`), or the user is root.
    pub lingers: bool,
    /// Users have crontabs.
    pub has_cron: bool,
}

impl Facts {
    /// Returns those of this machine and user.
    #[must_use]
    pub(super) fn real() -> Facts {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name);
        let linger = user.map(|user| Path::new("/var/lib/systemd/linger").join(user));
        let has_logind = Path::new("/run/systemd/seats").exists();
        Facts {
            kills: has_logind && kills(&texts()),
            lingers: linger.is_some_and(|file| file.exists()) || crate::sys::identity::is_root(),
            has_cron: on_path("crontab"),
        }
    }

    /// Returns what is to be told.
    #[must_use]
    pub(super) fn words(&self, visord: &Path) -> String {
        let logout = match self {
            Facts { kills: true, lingers: false, .. } => {
                "ends with your last session (KillUserProcesses=yes; `loginctl enable-linger` keeps it)"
            }
            _ => "survives",
        };
        let reboot = if self.has_cron {
            format!("not yet; add to `crontab -e`: @reboot {}", visord.display())
        } else {
            "not by itself; `visorctl daemon start` starts all again".to_owned()
        };
        format!("logout: {logout}. reboot: {reboot}")
    }
}

fn texts() -> Vec<String> {
    let mut files: Vec<PathBuf> = LOGIND_FILES.iter().map(PathBuf::from).collect();
    for file in LOGIND_FILES {
        let mut parts: Vec<PathBuf> = std::fs::read_dir(format!("{file}.d"))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        parts.sort();
        files.append(&mut parts);
    }
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

/// Returns what the files say of `KillUserProcesses`. A comment tells what the distribution's default is: that is
/// how logind.conf is shipped.
fn kills(texts: &[String]) -> bool {
    let value = |line: &str| {
        line.strip_prefix("KillUserProcesses=")
            .map(|value| matches!(value.trim(), "yes" | "true" | "1" | "on"))
    };
    let lines = || texts.iter().flat_map(|text| text.lines()).map(str::trim);
    let set = lines().rev().find_map(value);
    let shipped = lines().rev().find_map(|line| value(line.strip_prefix('#')?));
    set.or(shipped).unwrap_or(false)
}

/// Whether a program is in one of the directories of PATH.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_about_logout_and_reboot_is_told() {
        let visord = Path::new("/b/visord");
        for (kills, lingers, has_cron, expected) in [
            (false, false, true, "logout: survives. reboot: not yet; add to `crontab -e`: @reboot /b/visord"),
            (
                true,
                true,
                false,
                "logout: survives. reboot: not by itself; `visorctl daemon start` starts all again",
            ),
            (
                true,
                false,
                true,
                "logout: ends with your last session (KillUserProcesses=yes; `loginctl enable-linger` keeps it). \
                 reboot: not yet; add to `crontab -e`: @reboot /b/visord",
            ),
        ] {
            assert_eq!(Facts { kills, lingers, has_cron }.words(visord), expected);
        }
    }

    #[test]
    fn the_last_setting_counts_and_a_comment_is_the_default() {
        for (texts, expected) in [
            (&[][..], false),
            (&["#KillUserProcesses=yes"], true),
            (&["#KillUserProcesses=yes\nKillUserProcesses=no"], false),
            (&["KillUserProcesses=no", "[Login]\n KillUserProcesses=yes"], true),
        ] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(kills(&texts), expected, "{texts:?}");
        }
    }
}
