//! Every way to start at boot with what it would do here, and what is in force: what `boot status`, `new` and others tell.
//!
//! Changes nothing. Example: `outlook(&Ambient::real()).words()` is what `visorctl new` says about the next reboot.

use super::machine::Machine;
use super::{Method, Standing, Starts, Way, ways};
use crate::sys::ambient::Ambient;
use serde::Serialize;

/// Whether a way is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is not used.
    Off,
    /// It will start visord.
    InForce,
    /// It is there and will not work.
    NotInForce,
}

/// What there is to know of one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which one.
    pub method: Method,
    /// How people call it.
    pub title: String,
    /// Whether it is in force.
    pub state: State,
    /// Whether it may be used here.
    pub possible: bool,
    /// When it starts visord, where that is known.
    pub starts: Option<Starts>,
    /// Why it cannot be used or will not work, or what to know of it.
    pub text: String,
}

/// What will happen at the next boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The way that is in force, with its name and time.
    pub in_force: Option<(String, Starts)>,
    /// The way that `visorctl boot enable` would take.
    pub would_use: Option<(String, Starts)>,
}

/// Returns a row for each way, in the order of preference.
#[must_use]
pub fn survey(machine: &Machine) -> Vec<Row> {
    ways().iter().map(|way| row(*way, machine)).collect()
}

fn row(way: &dyn Way, machine: &Machine) -> Row {
    let (offers, standing) = (way.offers(machine), way.standing(machine));
    let (state, starts, text) = match (&standing, &offers) {
        (Standing::InForce(starts), _) => {
            (State::InForce, Some(*starts), way.remark(machine).unwrap_or_default())
        }
        (Standing::Broken(why), _) => (State::NotInForce, None, why.clone()),
        (Standing::Off, Ok(starts)) => (State::Off, Some(*starts), String::new()),
        (Standing::Off, Err(why)) => (State::Off, None, why.clone()),
    };
    Row { method: way.method(), title: way.title(machine), state, possible: offers.is_ok(), starts, text }
}

/// Returns the rows that may be used, best first. On macOS an agent is what the system means for this, though it
/// starts later than cron, which needs rights of its own there.
#[must_use]
pub fn choices(rows: &[Row]) -> Vec<&Row> {
    let mut choices: Vec<&Row> = rows.iter().filter(|row| row.possible).collect();
    let rank = |row: &Row| match row.method {
        Method::Launchd => Starts::Boot,
        _ => row.starts.unwrap_or(Starts::Login),
    };
    // A unit that ends with the last logout is the last choice of those that start at login.
    choices.sort_by_key(|row| {
        let starts = rank(row);
        (starts, row.method == Method::Systemd && starts == Starts::Login)
    });
    choices
}

/// Returns what will happen at the next boot.
#[must_use]
pub fn outlook(ambient: &Ambient) -> Outlook {
    let Ok(machine) = Machine::of(ambient.clone()) else { return Outlook::default() };
    let rows = survey(&machine);
    let named = |row: &Row| Some((row.title.clone(), row.starts?));
    Outlook {
        in_force: rows.iter().find(|row| row.state == State::InForce).and_then(named),
        would_use: choices(&rows).first().and_then(|row| named(row)),
    }
}

impl Outlook {
    /// Returns a sentence about the next reboot.
    #[must_use]
    pub fn words(&self) -> String {
        match (&self.in_force, &self.would_use) {
            (Some((title, Starts::Boot)), _) => format!("survives ({title})"),
            (Some((title, Starts::Login)), _) => format!("it comes back at your next login ({title})"),
            (None, Some((title, Starts::Boot))) => {
                format!("not yet; `visorctl boot enable` would use {title} (allowed here)")
            }
            (None, Some((title, Starts::Login))) => {
                format!(
                    "not yet; `visorctl boot enable` would use {title}, which starts it at your next login"
                )
            }
            (None, None) => "it does not come back by itself (visorctl boot status shows why)".to_owned(),
        }
    }

    /// Returns how visord comes back, in the words of a remark.
    #[must_use]
    pub fn hint(&self) -> String {
        match (&self.in_force, &self.would_use) {
            (Some((title, starts)), _) => format!("{title} starts it {}", starts.words()),
            (None, Some((_, starts))) => format!("to start it {}: visorctl boot enable", starts.words()),
            (None, None) => "nothing here can start it at boot: visorctl boot status shows why".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(method: Method, possible: bool, starts: Starts) -> Row {
        let (title, text) = (method.name().to_owned(), String::new());
        Row { method, title, state: State::Off, possible, starts: Some(starts), text }
    }

    #[test]
    fn boot_comes_before_login_and_what_is_impossible_is_no_choice() {
        use Method::{Autostart, Cron, Launchd, Login, Openrc, Systemd};
        let order = |rows: &[Row]| choices(rows).iter().map(|row| row.method).collect::<Vec<_>>();
        let rows = |systemd, cron| {
            [
                row(Systemd, true, systemd),
                row(Launchd, false, Starts::Login),
                row(Cron, cron, Starts::Boot),
                row(Openrc, false, Starts::Boot),
                row(Login, true, Starts::Login),
                row(Autostart, true, Starts::Login),
            ]
        };
        assert_eq!(order(&rows(Starts::Boot, true)), [Systemd, Cron, Login, Autostart]);
        assert_eq!(order(&rows(Starts::Login, true)), [Cron, Login, Autostart, Systemd]);
        assert_eq!(order(&rows(Starts::Login, false)), [Login, Autostart, Systemd]);
        let mac = [row(Launchd, true, Starts::Login), row(Cron, true, Starts::Boot)];
        assert_eq!(order(&mac), [Launchd, Cron]);
    }

    #[test]
    fn the_outlook_is_told_in_words() {
        let cron = || Some(("cron @reboot".to_owned(), Starts::Boot));
        let login = || Some(("a login hook of zsh".to_owned(), Starts::Login));
        for (in_force, would_use, words, hint) in [
            (cron(), cron(), "survives (cron @reboot)", "cron @reboot starts it at boot"),
            (
                None,
                cron(),
                "not yet; `visorctl boot enable` would use cron @reboot (allowed here)",
                "to start it at boot: visorctl boot enable",
            ),
            (
                login(),
                cron(),
                "it comes back at your next login (a login hook of zsh)",
                "a login hook of zsh starts it at your next login",
            ),
            (
                None,
                login(),
                "not yet; `visorctl boot enable` would use a login hook of zsh, which starts it at your next login",
                "to start it at your next login: visorctl boot enable",
            ),
            (
                None,
                None,
                "it does not come back by itself (visorctl boot status shows why)",
                "nothing here can start it at boot: visorctl boot status shows why",
            ),
        ] {
            let outlook = Outlook { in_force, would_use };
            assert_eq!((outlook.words().as_str(), outlook.hint().as_str()), (words, hint));
        }
    }
}
