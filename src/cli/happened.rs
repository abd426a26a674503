//! Records of the history as lines for people.
//!
//! Example: `2026-11-20 17:03:12  web  exited: exit status 1, not expected, after 12 s`.

use super::explain::who_is;
use crate::api::v1::history::Entry;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What a kind of record is called, and whether a line says who caused it.
const WORDS: [(&str, &str, bool); 17] = [
    ("starting", "starts", true),
    ("running", "runs", false),
    ("exited", "ended by itself", false),
    ("failed", "failed to start", false),
    ("gave_up", "given up", false),
    ("stopping", "is being stopped", true),
    ("stopped", "stopped", false),
    ("unknown", "out of control", false),
    ("output_dropped", "output is being dropped", false),
    ("output_resumed", "output is logged again", false),
    ("group_added", "configuration: new group", false),
    ("group_removed", "configuration: group removed", false),
    ("group_changed", "configuration: group changed", false),
    ("config_bad", "configuration with mistakes, not used", false),
    ("config_reloaded", "configuration loaded anew", false),
    ("daemon_started", "visord started", false),
    ("daemon_ended", "visord ended", false),
];

/// Returns the line of a record; the reader is the user `uid`.
#[must_use]
pub(super) fn line(entry: &Entry, uid: u32, zone: &TimeZone) -> String {
    let row = WORDS.iter().find(|row| row.0 == entry.what);
    let mut text = row.map_or_else(|| entry.what.replace('_', " "), |row| row.1.to_owned());
    let mut details = Vec::new();
    // How it ended says the cause of an end, too.
    if entry.exit.as_deref() != Some(&entry.text) && !entry.text.is_empty() {
        details.push(entry.text.clone());
    }
    details.extend(entry.exit.clone());
    if entry.what == "running" {
        details = vec![format!("pid {}", entry.pid)];
    }
    if entry.what == "exited" && entry.expected == Some(false) {
        details.push("not expected".to_owned());
    }
    details.extend(entry.ran_ms.map(|ran| format!("after {}", span(ran))));
    if row.is_some_and(|row| row.2) {
        details.push(format!("by {}", who_is(&entry.actor, uid)));
    }
    if !details.is_empty() {
        text.push_str(&format!(": {}", details.join(", ")));
    }
    match entry.omitted {
        0 => {}
        count => text.push_str(&format!(" ({count} records before this one were left out)")),
    }
    let name = if entry.program.is_empty() { "-" } else { &entry.program };
    format!("{}  {name}  {text}", stamp(entry.at_unix, zone))
}

fn stamp(at_unix: f64, zone: &TimeZone) -> String {
    let at = Timestamp::from_millisecond((at_unix * 1000.0) as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a duration in the largest unit of which it has more than one.
fn span(ms: u64) -> String {
    let units = [(86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    let unit = units.into_iter().find(|(size, _)| ms >= size * 2).unwrap_or((1, "ms"));
    format!("{} {}", ms / unit.0, unit.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(entry: &Entry) -> String {
        line(entry, 1000, &TimeZone::UTC)
    }

    #[test]
    fn a_line_says_when_what_why_and_who() {
        let entry = Entry {
            at_unix: 1_795_168_800.5,
            program: "web".into(),
            what: "stopping".into(),
            text: "stop requested".into(),
            actor: "client:61999".into(),
            ..Entry::default()
        };
        assert_eq!(
            shown(&entry),
            "2026-11-20 10:00:00  web  is being stopped: stop requested, by user 61999"
        );
        let end = Entry {
            what: "exited".into(),
            text: "exit status 1".into(),
            exit: Some("exit status 1".into()),
            expected: Some(false),
            ran_ms: Some(125_000),
            omitted: 3,
            ..entry
        };
        assert_eq!(
            shown(&end),
            "2026-11-20 10:00:00  web  ended by itself: exit status 1, not expected, after 2 min \
             (3 records before this one were left out)"
        );
        let failed = Entry { what: "failed".into(), text: "Exited too quickly".into(), ran_ms: None, ..end };
        assert!(shown(&failed).contains("  failed to start: Exited too quickly, exit status 1 ("));
    }

    #[test]
    fn what_the_daemon_did_and_what_a_later_one_tells_is_shown_too() {
        let own = Entry { what: "daemon_ended".into(), ..Entry::default() };
        assert_eq!(shown(&own), "1970-01-01 00:00:00  -  visord ended");
        let later = Entry { what: "blue_moon".into(), text: "seen".into(), ..Entry::default() };
        assert!(shown(&later).ends_with("  -  blue moon: seen"));
    }

    #[test]
    fn spans_have_one_unit() {
        let spans =
            [(0, "0 ms"), (1999, "1999 ms"), (2000, "2 s"), (119_999, "119 s"), (172_800_000, "2 days")];
        spans.into_iter().for_each(|(ms, expected)| assert_eq!(span(ms), expected));
    }
}
