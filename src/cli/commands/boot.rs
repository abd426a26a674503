//! `visorctl boot`: having visord started at boot, without root.

use crate::cli::boot::choose::{self, Enabled};
use crate::cli::boot::machine::Machine;
use crate::cli::boot::record::{self, Outcome as Came, Record};
use crate::cli::boot::survey::{self, Row, State};
use crate::cli::boot::{Method, Starts, fire};
use crate::cli::{Outcome, Problem, Session, exit};
use crate::sys::ambient::Ambient;
use serde_json::json;
use std::os::unix::fs::DirBuilderExt;
use std::time::Duration;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Act {
    /// Have visord started at boot, by the best way that is allowed here.
    Enable,
    /// Undo that.
    Disable,
    /// Show every way, the one that is in force, and what came of the last boot.
    Status,
    /// What the ways run: wait for the home and start visord.
    #[value(hide = true)]
    Run,
}

/// Have visord started at boot, without root
#[derive(Debug, clap::Args)]
#[command(visible_aliases = ["startup", "autostart"])]
pub struct Args {
    /// What to do
    act: Act,
    /// By this way, whatever would be better
    #[arg(long)]
    method: Option<Method>,
    /// Show the result as JSON
    #[arg(long)]
    json: bool,
    /// With run: wait for the configuration, not only for the home
    #[arg(long, hide = true)]
    r#await: bool,
    /// With run: how long to wait for it, in seconds
    #[arg(long, hide = true, value_name = "SECONDS")]
    patience: Option<u64>,
}

/// Does it.
///
/// # Errors
/// When no way works.
pub fn run(args: &Args, session: &Session) -> Outcome {
    if session.is_particular() {
        let text = "error: boot is for your own daemon: leave -c and --socket out";
        return Err(Problem::usage(text));
    }
    if args.act == Act::Run {
        let patience = args.patience.map_or(fire::PATIENCE, Duration::from_secs);
        let (method, await_configuration) = (args.method, args.r#await);
        return fire::fire(session, &fire::Firing { method, await_configuration, patience });
    }
    let machine = Machine::of(Ambient::real()).map_err(|why| Problem::usage(format!("error: {why}")))?;
    match args.act {
        Act::Enable => enable(args, session, &machine),
        Act::Disable => disable(args, session, &machine),
        Act::Status | Act::Run => Ok(status(args, session, &machine)),
    }
}

fn enable(args: &Args, session: &Session, machine: &Machine) -> Outcome {
    make_config_root(machine)?;
    let enabled = match choose::enable(machine, args.method) {
        Ok(enabled) => enabled,
        Err(refused) => return fail(args, session, "visord will not be started at boot", &refused),
    };
    let tell = |(method, why): &(Method, String)| json!({"method": method, "text": why});
    if args.json {
        let value = json!({
            "ok": true,
            "method": enabled.method,
            "starts": enabled.starts,
            "changed": !enabled.was_before || !enabled.replaced.is_empty(),
            "text": enabled.remark,
            "refused": enabled.refused.iter().map(tell).collect::<Vec<_>>(),
            "replaced": enabled.replaced,
        });
        session.screen.json(&value.to_string());
    } else {
        enabled_lines(&enabled).iter().for_each(|line| session.screen.data(line));
        if session.places()?.connect().is_err() {
            session.screen.message("visord does not run now; start it: visorctl daemon start");
        }
    }
    Ok(exit::OK)
}

fn enabled_lines(enabled: &Enabled) -> Vec<String> {
    let already = if enabled.was_before { "already " } else { "" };
    let mut lines: Vec<String> = enabled
        .refused
        .iter()
        .map(|(method, why)| format!("boot: not by {}: {why}", method.name()))
        .collect();
    lines.push(format!("boot: {already}enabled: {} starts visord {}", enabled.title, enabled.starts.words()));
    lines.extend(enabled.remark.iter().map(|remark| format!("boot: {remark}")));
    lines.extend(
        enabled.replaced.iter().map(|method| format!("boot: {} is not used any more", method.name())),
    );
    lines
}

/// What is waited for at boot must be there now: who has no program yet may have one by then.
fn make_config_root(machine: &Machine) -> Result<(), Problem> {
    let root = machine.ambient.config_root().unwrap_or_default();
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&root);
    made.map_err(|error| {
        Problem::new(exit::REFUSED, format!("error: cannot make {}: {error}", root.display()))
    })
}

fn disable(args: &Args, session: &Session, machine: &Machine) -> Outcome {
    let disabled = match choose::disable(machine, args.method) {
        Ok(disabled) => disabled,
        Err(left) => return fail(args, session, "not everything was taken away", &left),
    };
    if args.json {
        session.screen.json(&json!({"ok": true, "disabled": disabled}).to_string());
    } else if disabled.is_empty() {
        session.screen.data("boot: was not enabled");
    } else {
        let line = |method: &Method| session.screen.data(&format!("boot: {} disabled", method.name()));
        disabled.iter().for_each(line);
    }
    Ok(exit::OK)
}

/// Tells for each way why it did not work.
fn fail(args: &Args, session: &Session, what: &str, why: &[(Method, String)]) -> Outcome {
    if args.json {
        let list: Vec<_> = why.iter().map(|(method, why)| json!({"method": method, "text": why})).collect();
        session.screen.json(&json!({"ok": false, "refused": list}).to_string());
        return Ok(exit::REFUSED);
    }
    let lines: String = why.iter().map(|(method, why)| format!("\n  {:<10} {why}", method.name())).collect();
    Err(Problem::new(exit::REFUSED, format!("error: {what}{lines}")))
}

fn status(args: &Args, session: &Session, machine: &Machine) -> i32 {
    let rows = survey::survey(machine);
    let in_force = rows.iter().find(|row| row.state == State::InForce);
    let last = record::last(&machine.ambient);
    let boot = record::this_boot(&machine.ambient);
    if args.json {
        let value = json!({
            "in_force": in_force.map(|row| row.method),
            "starts": in_force.and_then(|row| row.starts),
            "boot": boot,
            "last": last,
            "methods": rows,
        });
        session.screen.json(&value.to_string());
    } else {
        session.screen.data(&headline(&rows, in_force));
        session.screen.data(&last_line(last.as_ref(), &boot));
        rows.iter().for_each(|row| session.screen.data(&line(row)));
    }
    if in_force.is_some() { exit::OK } else { exit::REFUSED }
}

fn headline(rows: &[Row], in_force: Option<&Row>) -> String {
    let when = |starts: Option<Starts>| starts.map(Starts::words).unwrap_or_default();
    match (in_force, survey::choices(rows).first()) {
        (Some(row), _) => format!("boot: enabled: {} starts visord {}", row.title, when(row.starts)),
        (None, Some(best)) => {
            let (title, when) = (&best.title, when(best.starts));
            format!("boot: not enabled (visorctl boot enable would use {title}, {when})")
        }
        (None, None) => "boot: not enabled, and nothing here starts programs at boot or login".to_owned(),
    }
}

fn last_line(last: Option<&Record>, boot: &str) -> String {
    let Some(last) = last else { return "last: it was never started this way".to_owned() };
    let when = if !boot.is_empty() && last.boot == boot { "since this boot" } else { "before this boot" };
    let waited = match last.waited_ms {
        0 => String::new(),
        waited => format!(", after {} s of waiting for the home", waited.div_ceil(1000)),
    };
    let (method, at) = (&last.method, shown(last.at));
    match last.outcome {
        Came::Started => format!("last: {method} started it {at} ({when}){waited}, pid {}", last.pid),
        Came::AlreadyRunning => format!("last: {method} found it running {at} ({when}), pid {}", last.pid),
        Came::Failed => {
            let why = last.text.replace('\n', "; ");
            format!("last: {method} failed {at} ({when}){waited}: {}", why.trim_start_matches("error: "))
        }
    }
}

/// Returns a time as people write it.
fn shown(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).ok();
    let local = time.map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    local.map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

fn line(row: &Row) -> String {
    let state = match row.state {
        State::InForce => "in force",
        State::NotInForce => "broken",
        State::Off if row.possible => "possible",
        State::Off => "not possible",
    };
    let text = match row.starts.filter(|_| row.text.is_empty()) {
        Some(starts) => format!("{}, {}", row.title, starts.words()),
        None => row.text.clone(),
    };
    format!("{:<10} {state:<13} {text}", row.method.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State, possible: bool, text: &str) -> Row {
        let (method, starts) = (Method::Cron, Some(Starts::Boot));
        Row { method, title: "cron @reboot".into(), state, possible, starts, text: text.into() }
    }

    #[test]
    fn every_state_has_its_words() {
        assert_eq!(line(&row(State::InForce, true, "")), "cron       in force      cron @reboot, at boot");
        assert_eq!(line(&row(State::Off, true, "")), "cron       possible      cron @reboot, at boot");
        assert_eq!(line(&row(State::Off, false, "no cron")), "cron       not possible  no cron");
        assert_eq!(line(&row(State::NotInForce, true, "odd")), "cron       broken        odd");
        let rows = [row(State::Off, true, "")];
        assert_eq!(
            headline(&rows, None),
            "boot: not enabled (visorctl boot enable would use cron @reboot, at boot)"
        );
        assert_eq!(headline(&rows, rows.first()), "boot: enabled: cron @reboot starts visord at boot");
        assert!(headline(&[], None).contains("nothing here"));
    }

    #[test]
    fn the_last_start_is_told_with_its_boot_and_outcome() {
        let mut last = Record { boot: "b".into(), method: "cron".into(), pid: 7, ..Record::default() };
        (last.outcome, last.text) = (Came::Failed, "error: a\nb".into());
        let told = |last: &Record, boot| last_line(Some(last), boot);
        assert!(told(&last, "b").ends_with("(since this boot): a; b"));
        (last.outcome, last.waited_ms) = (Came::Started, 2500);
        assert!(told(&last, "c").ends_with("(before this boot), after 3 s of waiting for the home, pid 7"));
        last.outcome = Came::AlreadyRunning;
        assert!(
            told(&last, "").starts_with("last: cron found it running ")
                && last_line(None, "").contains("never")
        );
    }

    #[test]
    fn what_was_done_is_told_line_by_line() {
        let enabled = Enabled {
            method: Method::Cron,
            title: "cron @reboot".into(),
            starts: Starts::Boot,
            was_before: false,
            remark: Some("a remark".into()),
            refused: vec![(Method::Systemd, "why not".into())],
            replaced: vec![Method::Login],
        };
        assert_eq!(
            enabled_lines(&enabled),
            [
                "boot: not by systemd: why not",
                "boot: enabled: cron @reboot starts visord at boot",
                "boot: a remark",
                "boot: login is not used any more",
            ]
        );
    }
}
