//! Whether a daemon outlives a logout and a reboot on this machine, told before it happens.
//!
//! Example: `logout: survives. reboot: not by itself; to start it at boot, add to `crontab -e`: @reboot visord`.

use crate::model::detach::{Survival, decide};
use crate::sys::ambient::Ambient;
use crate::sys::scope;
use nix::unistd::{AccessFlags, access};
use std::path::Path;

/// What lets a user have commands started at boot.
const CRONTAB: &str = "crontab";

/// Where it is looked for besides PATH, which a job or a container may have cut short.
const CRONTAB_DIRECTORY: &str = "usr/bin";

/// Returns what is to be told about a daemon that is started from here.
pub(super) fn words(ambient: &Ambient, visord: &Path) -> String {
    tell(decide(&scope::facts(ambient)).survival, has_crontab(ambient), visord)
}

/// Returns how to have a daemon started without a command each time: at boot where that can be had, else at login.
pub(super) fn start_hint(ambient: &Ambient, visord: &Path) -> String {
    hint(has_crontab(ambient), visord)
}

fn hint(has_crontab: bool, visord: &Path) -> String {
    if has_crontab {
        return format!("to start it at boot, add to `crontab -e`: @reboot {}", visord.display());
    }
    let visorctl = visord.with_file_name("visorctl");
    format!("to start it at login, add to your shell's profile: {} daemon start", visorctl.display())
}

fn tell(survival: Survival, has_crontab: bool, visord: &Path) -> String {
    let logout = match survival {
        Survival::Logout => "survives",
        other => other.words(),
    };
    format!("logout: {logout}. reboot: not by itself; {}", hint(has_crontab, visord))
}

/// Whether this user has the command that edits a crontab. A daemon of cron alone is no use to them.
fn has_crontab(ambient: &Ambient) -> bool {
    let path = ambient.get("PATH").unwrap_or_default();
    let fixed = ambient.root.join(CRONTAB_DIRECTORY);
    std::env::split_paths(path).chain([fixed]).any(|directory| {
        let file = directory.join(CRONTAB);
        file.is_file() && access(&file, AccessFlags::X_OK).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_truth_about_logout_and_reboot_is_told() {
        let visord = Path::new("/b/visord");
        for (survival, has_crontab, expected) in [
            (
                Survival::Logout,
                true,
                "logout: survives. reboot: not by itself; to start it at boot, add to `crontab -e`: @reboot /b/visord",
            ),
            (
                Survival::UntilLastLogout,
                false,
                "logout: it ends when you log out for the last time (loginctl enable-linger would keep it). \
                 reboot: not by itself; to start it at login, add to your shell's profile: /b/visorctl daemon start",
            ),
        ] {
            assert_eq!(tell(survival, has_crontab, visord), expected);
        }
    }

    #[test]
    fn crontab_is_named_only_where_the_user_has_it() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (own, usual) = (dir.path().join("own"), dir.path().join("usr/bin"));
        for folder in [&own, &usual] {
            std::fs::create_dir_all(folder)?;
        }
        let ambient = Ambient {
            root: dir.path().to_path_buf(),
            variables: vec![("PATH".into(), own.clone().into_os_string())],
            ..Ambient::default()
        };
        let hint = || start_hint(&ambient, Path::new("/b/visord"));
        let at_login = "to start it at login, add to your shell's profile: /b/visorctl daemon start";
        assert_eq!(hint(), at_login);
        for folder in [own, usual] {
            let file = folder.join("crontab");
            std::fs::write(&file, "")?;
            // Not even root may execute what nobody may.
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
            assert_eq!(hint(), at_login);
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
            assert_eq!(hint(), "to start it at boot, add to `crontab -e`: @reboot /b/visord");
            std::fs::remove_file(&file)?;
        }
        Ok(())
    }
}
