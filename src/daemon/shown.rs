//! `result_handler=supervisor_stdout:event_handler`: output of programs on visord's standard error, line by line.
//!
//! The listener of that package answers a PROCESS_LOG event with the event's own payload; the handler shows it with
//! the names of the program and the channel before each line. Knows no listeners. Example: `lines(b"processname:web
//! groupname:web pid:7 channel:stdout\nhi\n")` is `web stdout | hi\n`.

use memchr::memchr;

/// Returns what is shown for a result; nothing for one that names no program.
pub(super) fn lines(result: &[u8]) -> Vec<u8> {
    let Some(end) = memchr(b'\n', result) else { return Vec::new() };
    let head = String::from_utf8_lossy(&result[..end]);
    let value = |name: &str| {
        let words = head.split_whitespace().filter_map(|word| word.split_once(':'));
        words.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let (Some(process), Some(channel)) = (value("processname"), value("channel")) else { return Vec::new() };
    let data = &result[end + 1..];
    // The end of the last line begins no further one.
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    let mut shown = Vec::with_capacity(data.len() + 64);
    for line in data.split(|byte| *byte == b'\n') {
        shown.extend_from_slice(format!("{process} {channel} | ").as_bytes());
        shown.extend_from_slice(line);
        shown.push(b'\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_program_and_channel() {
        let head = b"processname:web groupname:g pid:7 channel:stderr\n";
        for (data, shown) in [
            (&b"hi\n"[..], &b"web stderr | hi\n"[..]),
            (b"no end", b"web stderr | no end\n"),
            (b"a\n\nb\n", b"web stderr | a\nweb stderr | \nweb stderr | b\n"),
            (b"\xff\x1b[1m\n", b"web stderr | \xff\x1b[1m\n"),
            (b"", b"web stderr | \n"),
        ] {
            assert_eq!(lines(&[&head[..], data].concat()), shown);
        }
    }

    #[test]
    fn what_names_no_program_is_not_shown() {
        for result in [&b"OK"[..], b"", b"processname:web\nhi", b"\nhi"] {
            assert_eq!(lines(result), b"");
        }
    }
}
