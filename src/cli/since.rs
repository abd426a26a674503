//! Points in time as people type them: `10m` ago, `17:30`, `2026-11-20 17:30`, or with a zone.
//!
//! Example: `since::parse("1h", &Zoned::now())` is an hour ago, in seconds since the epoch.

use super::waiting;
use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, Zoned};

/// Reads a point in time.
///
/// # Errors
/// Words for the user.
pub(super) fn parse(text: &str, now: &Zoned) -> Result<f64, String> {
    if let Ok(ago) = waiting::duration(text) {
        return Ok(unix(now.timestamp()) - ago.as_secs_f64());
    }
    let civil = text
        .parse::<Time>()
        .map(|time| now.date().to_datetime(time))
        .or_else(|_| text.parse::<Date>().map(DateTime::from))
        .or_else(|_| text.parse::<DateTime>());
    let point = match text.parse::<Timestamp>() {
        Ok(point) => Ok(point),
        Err(_) => civil.and_then(|civil| civil.to_zoned(now.time_zone().clone())).map(|at| at.timestamp()),
    };
    point.map(unix).map_err(|_| {
        "neither a time ago (90s, 10m, 1h, 2d) nor a time (17:30, 2026-11-20, 2026-11-20T17:30)".to_owned()
    })
}

/// Reads a point in time of this machine and moment.
///
/// # Errors
/// As [`parse`].
pub(super) fn argument(text: &str) -> Result<f64, String> {
    parse(text, &Zoned::now())
}

fn unix(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::{TimeZone, offset};

    #[test]
    fn points_in_time_are_typed_as_people_do() -> Result<(), jiff::Error> {
        let zone = TimeZone::fixed(offset(2));
        // 12:00 there.
        let now = Timestamp::from_second(1_795_168_800)?.to_zoned(zone);
        for (text, expected) in [
            ("1h", Some(1_795_165_200.0)),
            ("90", Some(1_795_168_710.0)),
            ("250ms", Some(1_795_168_799.75)),
            ("11:30", Some(1_795_167_000.0)),
            ("11:30:05", Some(1_795_167_005.0)),
            ("2026-11-20", Some(1_795_125_600.0)),
            ("2026-11-20 11:30", Some(1_795_167_000.0)),
            ("2026-11-20T11:30", Some(1_795_167_000.0)),
            ("2026-11-20T10:00:00Z", Some(1_795_168_800.0)),
            ("yesterday", None),
            ("", None),
            ("-1h", None),
        ] {
            assert_eq!(parse(text, &now).ok(), expected, "{text:?}");
        }
        Ok(())
    }
}
