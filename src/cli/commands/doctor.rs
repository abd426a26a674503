//! `visorctl doctor`: tells the truth about this machine before it hurts, with or without a daemon.
//!
//! Shows what [`crate::cli::doctor`] finds. The exit code is 1 where there is at least one problem, else 0.

use crate::cli::doctor::{Facts, Row, Verdict, examine};
use crate::cli::output::Screen;
use crate::cli::{Outcome, Session, exit};
use serde_json::{Value, json};

/// Width of the column of names.
const NAME_WIDTH: usize = 14;
/// Width of the column of verdicts.
const VERDICT_WIDTH: usize = 8;

/// Check whether programs survive here: logout, reboot, limits, configuration
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show every check as JSON
    #[arg(long)]
    json: bool,
}

/// Makes every check and shows the result.
///
/// # Errors
/// When the configuration that names the daemon is not there.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let rows = examine(&Facts::gather(session)?);
    if args.json {
        session.screen.json(&value(&rows).to_string());
    } else {
        session.screen.ready(text(&rows, &session.screen).as_bytes());
    }
    Ok(if number(&rows, Verdict::Problem) > 0 { exit::REFUSED } else { exit::OK })
}

fn number(rows: &[Row], verdict: Verdict) -> usize {
    rows.iter().filter(|row| row.finding.verdict == verdict).count()
}

fn text(rows: &[Row], screen: &Screen) -> String {
    let mut text = String::new();
    for Row { name, found_by, finding } in rows {
        text.push_str(&format!("{name:<NAME_WIDTH$}"));
        let verdict = finding.verdict.name();
        screen.paint(finding.verdict.colour(), verdict, &mut text);
        let gap = VERDICT_WIDTH.saturating_sub(verdict.len()) + 1;
        text.push_str(&format!("{:gap$}{}\n", "", screen.line(&finding.what)));
        let mut more = |what: &str, words: &str| {
            if !words.is_empty() && finding.verdict > Verdict::Ok {
                text.push_str(&format!("{:NAME_WIDTH$}{what:<VERDICT_WIDTH$} {}\n", "", screen.line(words)));
            }
        };
        more("  do", &finding.advice);
        more("  seen by", found_by);
    }
    text.push_str(&summary(rows));
    text
}

fn summary(rows: &[Row]) -> String {
    let of = |verdict, one: &str, many: &str| {
        let number = number(rows, verdict);
        format!("{number} {}", if number == 1 { one } else { many })
    };
    format!(
        "{}, {}, {}, {} ok\n",
        of(Verdict::Problem, "problem", "problems"),
        of(Verdict::Warning, "warning", "warnings"),
        of(Verdict::Note, "note", "notes"),
        number(rows, Verdict::Ok)
    )
}

fn value(rows: &[Row]) -> Value {
    let check = |row: &Row| {
        json!({
            "name": row.name,
            "found_by": row.found_by,
            "verdict": row.finding.verdict,
            "what": row.finding.what,
            "advice": row.finding.advice,
        })
    };
    json!({
        "ok": number(rows, Verdict::Problem) == 0,
        "problems": number(rows, Verdict::Problem),
        "warnings": number(rows, Verdict::Warning),
        "notes": number(rows, Verdict::Note),
        "checks": rows.iter().map(check).collect::<Vec<_>>(),
    })
}
