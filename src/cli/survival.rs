//! Whether a daemon outlives a logout and a reboot on this machine, told before it happens.
//!
//! Example: `logout: survives. reboot: not yet; add to `crontab -e`: @reboot visord`.

use crate::model::detach::{Survival, decide};
use crate::sys::ambient::Ambient;
use crate::sys::scope;
use std::path::Path;

/// Returns what is to be told about a daemon that is started from here.
pub(super) fn words(ambient: &Ambient, visord: &Path) -> String {
    tell(decide(&scope::facts(ambient)).survival, on_path(ambient, "crontab"), visord)
}

fn tell(survival: Survival, has_cron: bool, visord: &Path) -> String {
    let logout = match survival {
        Survival::Logout => "survives",
        other => other.words(),
    };
    let reboot = if has_cron {
        format!("not yet; add to `crontab -e`: @reboot {}", visord.display())
    } else {
        "not by itself; `visorctl daemon start` starts all again".to_owned()
    };
    format!("logout: {logout}. reboot: {reboot}")
}

/// Whether a program is in one of the directories of PATH.
fn on_path(ambient: &Ambient, program: &str) -> bool {
    let path = ambient.get("PATH").unwrap_or_default();
    std::env::split_paths(path).any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_about_logout_and_reboot_is_told() {
        let visord = Path::new("/b/visord");
        for (survival, has_cron, expected) in [
            (
                Survival::Logout,
                true,
                "logout: survives. reboot: not yet; add to `crontab -e`: @reboot /b/visord",
            ),
            (
                Survival::UntilLastLogout,
                false,
                "logout: it ends when you log out for the last time (loginctl enable-linger would keep it). \
                 reboot: not by itself; `visorctl daemon start` starts all again",
            ),
        ] {
            assert_eq!(tell(survival, has_cron, visord), expected);
        }
    }
}
