//! Whether a daemon outlives a logout and a reboot on this machine, told before it happens.
//!
//! Example: `logout: survives. reboot: not yet; `visorctl boot enable` would use cron @reboot (allowed here)`.

use super::boot::survey::{self, Outlook};
use crate::model::detach::{Survival, decide};
use crate::sys::ambient::Ambient;
use crate::sys::scope;

/// Returns what is to be told about a daemon that is started from here.
pub(super) fn words(ambient: &Ambient) -> String {
    tell(decide(&scope::facts(ambient)).survival, &survey::outlook(ambient))
}

fn tell(survival: Survival, outlook: &Outlook) -> String {
    let logout = match survival {
        Survival::Logout => "survives",
        other => other.words(),
    };
    format!("logout: {logout}. reboot: {}", outlook.words())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::boot::Starts;

    #[test]
    fn the_truth_about_logout_and_reboot_is_told() {
        let cron = Outlook { would_use: Some(("cron @reboot".into(), Starts::Boot)), ..Outlook::default() };
        assert_eq!(
            tell(Survival::Logout, &cron),
            "logout: survives. reboot: not yet; `visorctl boot enable` would use cron @reboot (allowed here)"
        );
        assert_eq!(
            tell(Survival::UntilLastLogout, &Outlook::default()),
            "logout: it ends when you log out for the last time (loginctl enable-linger would keep it). \
             reboot: it does not come back by itself (visorctl boot status shows why)"
        );
    }
}
