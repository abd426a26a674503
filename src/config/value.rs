//! Texts as typed values: supervisord's types by its own converters' rules, and Visor's durations and sizes.
//!
//! Pure functions first; those that must ask the machine are methods of [`Value`]. Must not know keys.
//! Errors are fragments that read after `KEY: `. Example: `byte_size("1 MB")` is `Ok(1_048_576)`.

use super::diagnostic::quoted;
use super::ini::strip;
use super::path;
use crate::model::spec::{LogTarget, UserSpec};
use crate::model::{Host, Level, Signal};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a conversion gives: the value, or what is wrong with the text.
pub type Converted<T> = Result<T, String>;

/// Converts a whole number as Python's `int` does: signs, single underscores between digits and blanks around
/// are allowed. Numbers beyond 64 bits become the largest or smallest that there is.
///
/// # Errors
/// Everything else.
pub fn integer(text: &str) -> Converted<i64> {
    radix_integer(text, 10).ok_or_else(|| format!("not a whole number: {}", quoted(text)))
}

/// Converts an octal number as Python's `int(text, 8)` does: like [`integer`], with or without `0o`.
///
/// # Errors
/// Everything else, and numbers that are negative or beyond 32 bits.
pub fn octal(text: &str) -> Converted<u32> {
    let number = radix_integer(text, 8).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("not an octal number: {}", quoted(text)))
}

fn radix_integer(text: &str, radix: u32) -> Option<i64> {
    let text = strip(text);
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let prefixed = if radix == 8 { digits.strip_prefix("0o").or(digits.strip_prefix("0O")) } else { None };
    let digits = prefixed.map_or(digits, |rest| rest.strip_prefix('_').unwrap_or(rest));
    let mut value: i64 = 0;
    let mut after_digit = false;
    for c in digits.chars() {
        match c.to_digit(radix) {
            Some(digit) => {
                let scaled = value.saturating_mul(i64::from(radix));
                let digit = i64::from(digit);
                value = if negative { scaled.saturating_sub(digit) } else { scaled.saturating_add(digit) };
                after_digit = true;
            }
            None if c == '_' && after_digit => after_digit = false,
            None => return None,
        }
    }
    after_digit.then_some(value)
}

const TRUE_WORDS: [&str; 4] = ["yes", "true", "on", "1"];
const FALSE_WORDS: [&str; 4] = ["no", "false", "off", "0"];

/// Converts one of `yes true on 1` and `no false off 0`, in any case.
///
/// # Errors
/// Everything else; blanks around are not allowed.
pub fn boolean(text: &str) -> Converted<bool> {
    let word = text.to_lowercase();
    if TRUE_WORDS.contains(&word.as_str()) {
        return Ok(true);
    }
    if FALSE_WORDS.contains(&word.as_str()) {
        return Ok(false);
    }
    Err(format!("neither yes nor no: {}", quoted(text)))
}

/// Converts a number of bytes: a whole number, or one followed by `KB`, `MB` or `GB` (of 1024) in any case.
///
/// # Errors
/// Everything else.
pub fn byte_size(text: &str) -> Converted<i64> {
    let lower = text.to_lowercase();
    let units = [("kb", 1i64 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];
    for (suffix, factor) in units {
        if let Some(number) = lower.strip_suffix(suffix) {
            let number = radix_integer(number, 10).map(|number| number.saturating_mul(factor));
            return number.ok_or_else(|| not_a_size(text));
        }
    }
    radix_integer(&lower, 10).ok_or_else(|| not_a_size(text))
}

fn not_a_size(text: &str) -> String {
    format!("not a size: {} (say a number of bytes, or one with KB, MB or GB)", quoted(text))
}

/// Converts comma-separated exit codes of 0 to 255; an empty text is an empty list.
///
/// # Errors
/// Everything else, a comma at the end included.
pub fn exit_codes(text: &str) -> Converted<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let code = |item: &str| integer(item).ok().and_then(|code| u8::try_from(code).ok());
    let codes: Option<Vec<u8>> = text.split(',').map(code).collect();
    codes.ok_or_else(|| format!("not a list of exit codes from 0 to 255: {}", quoted(text)))
}

/// Splits at commas and trims each item; an empty text is an empty list.
#[must_use]
pub fn words(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(strip).collect() }
}

/// Numbers that upstream's table of signals has besides signals: `SIG_DFL`, `SIG_IGN`, `SIG_SETMASK`.
const LEAKED_SIGNALS: [i32; 3] = [0, 1, 2];

/// Converts a signal's number, or its name with or without `SIG`, in any case.
///
/// # Errors
/// Names and numbers that this platform does not have.
pub fn signal(text: &str) -> Converted<Signal> {
    let found = match integer(text) {
        Ok(number) => i32::try_from(number).ok().filter(|number| known_signal(*number)).map(Signal),
        Err(_) => Signal::by_name(strip(text)),
    };
    found.ok_or_else(|| format!("not a signal: {}", quoted(text)))
}

fn known_signal(number: i32) -> bool {
    LEAKED_SIGNALS.contains(&number) || Signal::table().any(|(_, known)| known == number)
}

/// Converts a level of the activity log.
///
/// # Errors
/// Words that are none.
pub fn level(text: &str) -> Converted<Level> {
    Level::parse(text).ok_or_else(|| {
        format!("not a log level: {} (critical error warn info debug trace blather)", quoted(text))
    })
}

/// Converts `PORT`, `:PORT`, `*:PORT` or `HOST:PORT` to a lower-case host, empty for all interfaces, and a port.
///
/// # Errors
/// Ports that are missing or not within 1 to 65535.
pub fn inet_address(text: &str) -> Converted<(String, u16)> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let number = integer(port).ok().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let port = number.ok_or_else(|| format!("no port from 1 to 65535 in {}", quoted(text)))?;
    let host = if host == "*" { "" } else { host };
    Ok((host.to_lowercase(), port))
}

/// Converts the name of a program, group or process: no blank, colon or slash in it.
///
/// # Errors
/// Names with one of those.
pub fn name(text: &str) -> Converted<&str> {
    let name = strip(text);
    match name.find([' ', ':', '/']) {
        None => Ok(name),
        Some(at) => Err(format!("the name {} must not contain `{}`", quoted(name), &name[at..=at])),
    }
}

/// Converts one of Visor's durations: a number with `ms`, `s`, `m`, `h` or `d`; without a unit, seconds.
///
/// # Errors
/// Everything else, and what does not fit into 64 bits of milliseconds.
pub fn duration(text: &str) -> Converted<Duration> {
    let text = strip(text);
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match strip(unit) {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let milliseconds = number.parse().ok().and_then(|number: u64| number.checked_mul(factor));
    let known = milliseconds.filter(|_| factor > 0);
    known.map(Duration::from_millis).ok_or_else(|| {
        format!("not a duration: {} (say 20s, 5m, 1h or 250ms; a bare number is seconds)", quoted(text))
    })
}

/// Converts one of Visor's sizes to bytes: a number with `K`, `M`, `G` or `T`, with or without `B`, of 1024.
///
/// # Errors
/// Everything else, and what does not fit into 64 bits.
pub fn size(text: &str) -> Converted<u64> {
    let lower = strip(text).to_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let (number, shift) = match bare.chars().last() {
        Some('k') => (&bare[..bare.len() - 1], 10),
        Some('m') => (&bare[..bare.len() - 1], 20),
        Some('g') => (&bare[..bare.len() - 1], 30),
        Some('t') => (&bare[..bare.len() - 1], 40),
        _ => (bare, 0),
    };
    let number: Option<u64> = strip(number).parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("not a size: {} (say 500M, 500MB or a number of bytes)", quoted(text)))
}

/// What a log file setting says, with the word that supervisord would rather not have any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSetting {
    /// A target.
    Target(LogTarget),
    /// `syslog`: no file, and `…_syslog=true`.
    Syslog,
}

/// A text whose meaning depends on the machine.
#[derive(Clone, Copy)]
pub struct Value<'v> {
    /// The text, expanded.
    pub text: &'v str,
    /// The machine.
    pub host: &'v dyn Host,
}

impl Value<'_> {
    /// Converts the directory that the text names, with `~` expanded.
    ///
    /// # Errors
    /// When there is no such directory now.
    pub fn existing_directory(&self) -> Converted<PathBuf> {
        let path = path::expand_user(self.text, self.host);
        if is_directory(&path, self.host) {
            return Ok(path.into());
        }
        Err(format!("{} is not an existing directory (mkdir -p makes it)", quoted(self.text)))
    }

    /// Converts the path that the text names, with `~` expanded; the file need not exist.
    ///
    /// # Errors
    /// When its directory does not exist now.
    pub fn path_in_directory(&self) -> Converted<PathBuf> {
        let path = path::expand_user(self.text, self.host);
        let directory = path::directory_of(&path);
        if directory.is_empty() || is_directory(directory, self.host) {
            return Ok(path.into());
        }
        Err(format!("the directory of {} does not exist (mkdir -p {directory})", quoted(self.text)))
    }

    /// Converts where output is logged: `NONE`, `OFF` or nothing, `AUTO`, `SYSLOG`, else a path.
    ///
    /// # Errors
    /// As [`Value::path_in_directory`].
    pub fn log_setting(&self) -> Converted<LogSetting> {
        Ok(match self.text.to_lowercase().as_str() {
            "" | "none" | "off" => LogSetting::Target(LogTarget::None),
            "auto" => LogSetting::Target(LogTarget::Auto(None)),
            "syslog" => LogSetting::Syslog,
            _ => LogSetting::Target(LogTarget::File(self.path_in_directory()?)),
        })
    }

    /// Converts a user's name or number.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn user(&self) -> Converted<UserSpec> {
        user(self.text, self.host)
    }

    /// Converts `USER` or `USER:GROUP`, names or numbers, to ids.
    ///
    /// # Errors
    /// When there is no such account or group.
    pub fn owner(&self) -> Converted<(u32, Option<u32>)> {
        let (name, group) = match self.text.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (self.text, None),
        };
        let uid = user(name, self.host)?.uid;
        let Some(group) = group else { return Ok((uid, None)) };
        let gid = self.host.group(&numeric_name(group));
        gid.map(|gid| (uid, Some(gid))).ok_or_else(|| format!("no such group: {}", quoted(group)))
    }
}

fn user(text: &str, host: &dyn Host) -> Converted<UserSpec> {
    let account =
        host.account(&numeric_name(text)).ok_or_else(|| format!("no such user: {}", quoted(text)))?;
    Ok(UserSpec { text: text.to_owned(), uid: account.uid, gid: account.gid })
}

/// Returns the digits of a number however it is written, and a name as it is.
fn numeric_name(text: &str) -> String {
    integer(text).map_or_else(|_| text.to_owned(), |number| number.to_string())
}

fn is_directory(path: &str, host: &dyn Host) -> bool {
    host.ownership(Path::new(path)).is_ok_and(|ownership| ownership.is_dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;

    #[test]
    fn integers_are_pythons() {
        for (text, expected) in [
            ("7", Some(7)),
            (" -1_000 ", Some(-1000)),
            ("+007", Some(7)),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(i64::MIN)),
            ("1.5", None),
            ("", None),
            ("0x10", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("+-1", None),
            ("1 2", None),
        ] {
            assert_eq!(integer(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn octal_numbers_are_pythons() {
        for (text, expected) in [
            ("022", Some(0o22)),
            ("0o22", Some(0o22)),
            ("0O_22", Some(0o22)),
            ("8", None),
            ("", None),
            ("0o", None),
            ("0x1", None),
            ("-1", None),
        ] {
            assert_eq!(octal(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn booleans_take_eight_words_in_any_case_and_no_blanks() {
        for (text, expected) in [
            ("Yes", Some(true)),
            ("ON", Some(true)),
            ("1", Some(true)),
            ("off", Some(false)),
            ("False", Some(false)),
            (" true", None),
            ("y", None),
            ("", None),
        ] {
            assert_eq!(boolean(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn sizes_take_three_units_of_1024() {
        for (text, expected) in [
            ("1 MB", Some(1 << 20)),
            ("5kB", Some(5 << 10)),
            ("2gb", Some(2 << 30)),
            ("-1", Some(-1)),
            ("0", Some(0)),
            ("1G", None),
            ("1TB", None),
            ("1.5MB", None),
            ("1b", None),
            ("MB", None),
            ("", None),
        ] {
            assert_eq!(byte_size(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn exit_codes_are_bytes() {
        for (text, expected) in [
            ("0, 3,255", Some(vec![0, 3, 255])),
            ("", Some(vec![])),
            ("256", None),
            ("-1", None),
            ("0,", None),
            ("a", None),
        ] {
            assert_eq!(exit_codes(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, expected) in [
            ("TERM", Some(15)),
            (" sigusr1 ", Signal::by_name("USR1").map(|signal| signal.0)),
            ("9", Some(9)),
            ("0", Some(0)),
            ("33", None),
            ("65", None),
            ("RTMIN+1", None),
            ("", None),
        ] {
            assert_eq!(signal(text).ok().map(|signal| signal.0), expected, "{text:?}");
        }
    }

    #[test]
    fn addresses_are_host_and_port() {
        for (text, expected) in [
            ("9001", Some(("", 9001))),
            (":9001", Some(("", 9001))),
            ("*:9001", Some(("", 9001))),
            ("LocalHost:1", Some(("localhost", 1))),
            ("::1:65535", Some(("::1", 65535))),
            ("h:", None),
            ("h:0", None),
            ("h:65536", None),
            ("h", None),
        ] {
            let got = inet_address(text).ok();
            assert_eq!(got.as_ref().map(|(host, port)| (host.as_str(), *port)), expected, "{text:?}");
        }
    }

    #[test]
    fn durations_and_sizes_of_visors_own_keys() {
        for (text, expected) in [
            ("20s", Some(20_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("250ms", Some(250)),
            ("7", Some(7_000)),
            ("1 d", Some(86_400_000)),
            ("1w", None),
            ("-1s", None),
            ("s", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(duration(text).ok().map(|span| span.as_millis()), expected, "{text:?}");
        }
        for (text, expected) in [
            ("500M", Some(500 << 20)),
            ("500MB", Some(500 << 20)),
            ("1k", Some(1024)),
            ("12", Some(12)),
            ("1T", Some(1 << 40)),
            ("x", None),
            ("99999999999T", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn users_directories_and_logs_are_looked_up() {
        let host = Imagined::default().user("bob", 1001).group("staff", 50).directory("/var/log");
        let value = |text| Value { text, host: &host };
        assert_eq!(value("bob").user().map(|user| user.uid), Ok(1001));
        assert_eq!(value(" 1_001").user().map(|user| user.uid), Ok(1001));
        assert!(value("eve").user().is_err() && value("").user().is_err() && value("77").user().is_err());
        assert_eq!(value("bob:staff").owner(), Ok((1001, Some(50))));
        assert_eq!(value("1001").owner(), Ok((1001, None)));
        assert!(value("bob:wheel").owner().is_err());
        assert!(value("/nope").existing_directory().is_err());
        assert_eq!(value("/var/log/x").path_in_directory(), Ok("/var/log/x".into()));
        assert_eq!(value("x.log").path_in_directory(), Ok("x.log".into()));
        assert!(value("/nope/x").path_in_directory().is_err());
        assert_eq!(value("Off").log_setting(), Ok(LogSetting::Target(LogTarget::None)));
        assert_eq!(value("AUTO").log_setting(), Ok(LogSetting::Target(LogTarget::Auto(None))));
        assert_eq!(value("SysLog").log_setting(), Ok(LogSetting::Syslog));
    }
}
