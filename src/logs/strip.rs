//! Removing ANSI escape sequences, wherever the reads happen to cut them.
//!
//! A sequence is `ESC [` up to one of supervisord's final letters (supervisor 4.3 `stripEscapes`). Its state
//! is one number, so that it fits into a journal. Example: `Strip::default().feed(b"\x1b[31mred", None, &mut out)`.

use memchr::memchr;

/// The letters that end a sequence.
const FINAL: &[u8] = b"HfABCDRsuJKhlpm";

/// Most bytes taken away after `ESC [` while no final letter comes: what is longer is no escape sequence, and
/// the rest of the output must not vanish with it.
pub const SEQUENCE_MAX: u32 = 4096;

const ESCAPE: u8 = 0x1b;

/// Where in a sequence the input stands: 0 outside, 1 after `ESC`, 2 and more after `ESC [` and that many
/// bytes less two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strip(u32);

/// Where a piece of output is to end, counted in bytes of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// At the first line end that makes the piece at least this long.
    pub line_from: usize,
    /// Here at the latest; at least 1.
    pub at_most: usize,
}

impl Cut {
    /// Returns how many of `bytes` belong to a piece of which `before` bytes are there already, and whether
    /// the piece ends with them.
    #[must_use]
    pub fn take(self, before: usize, bytes: &[u8]) -> (usize, bool) {
        let skip = self.line_from.saturating_sub(before + 1).min(bytes.len());
        let line = memchr(b'\n', &bytes[skip..]).map(|at| skip + at + 1);
        let room = self.at_most.saturating_sub(before);
        match line.unwrap_or(bytes.len()) {
            len if len > room => (room, true),
            len => (len, line.is_some() || len == room),
        }
    }
}

impl Strip {
    /// Returns the state that [`Strip::bits`] gave.
    #[must_use]
    pub fn from_bits(bits: u32) -> Strip {
        Strip(bits.min(SEQUENCE_MAX + 2))
    }

    /// Returns the state as a number.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether the input so far ended outside any sequence.
    #[must_use]
    pub fn is_outside(self) -> bool {
        self.0 == 0
    }

    /// Appends what of `input` is to stay to `out`, whose whole contents count for `cut`; returns how much of
    /// the input was used up.
    pub fn feed(&mut self, input: &[u8], cut: Option<Cut>, out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < input.len() {
            let rest = &input[at..];
            match self.0 {
                0 => {
                    let run = memchr(ESCAPE, rest).unwrap_or(rest.len());
                    let (len, ends) = cut.map_or((run, false), |cut| cut.take(out.len(), &rest[..run]));
                    out.extend_from_slice(&rest[..len]);
                    at += len;
                    if ends {
                        return at;
                    }
                    if len == run && run < rest.len() {
                        self.0 = 1;
                        at += 1;
                    }
                }
                1 if rest[0] == b'[' => {
                    self.0 = 2;
                    at += 1;
                }
                // Not a sequence: the escape stays, and this byte is looked at anew.
                1 => {
                    self.0 = 0;
                    out.push(ESCAPE);
                }
                inside => {
                    at += 1;
                    let over = FINAL.contains(&rest[0]) || inside >= SEQUENCE_MAX + 2;
                    self.0 = if over { 0 } else { inside + 1 };
                }
            }
        }
        at
    }

    /// Ends the input: an escape at the very end was none.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.0 == 1 {
            out.push(ESCAPE);
        }
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(&[u8], &[u8])] = &[
        (b"plain\n", b"plain\n"),
        (b"\x1b[31mred\x1b[0m\n", b"red\n"),
        (b"a\x1b[2Kb\x1b[1;32;40mc", b"abc"),
        (b"\x1bnot \x1b\x1b[mx", b"\x1bnot \x1bx"),
        (b"open\x1b[12;34", b"open"),
        (b"end\x1b", b"end\x1b"),
        (b"two\x1b[s\x1b[u.", b"two."),
        (b"\x1b[5G:99m.", b"."),
        (b"", b""),
    ];

    #[test]
    fn every_split_gives_the_same() {
        for (input, want) in TABLE {
            for first in 0..=input.len() {
                for second in first..=input.len() {
                    let (mut strip, mut out) = (Strip::default(), Vec::new());
                    for part in [&input[..first], &input[first..second], &input[second..]] {
                        assert_eq!(strip.feed(part, None, &mut out), part.len());
                        strip = Strip::from_bits(strip.bits());
                    }
                    strip.finish(&mut out);
                    assert_eq!(out, *want, "{input:?} split at {first} and {second}");
                }
            }
        }
    }

    #[test]
    fn a_sequence_without_end_does_not_swallow_the_log() {
        let (mut strip, mut out) = (Strip::default(), Vec::new());
        strip.feed(b"\x1b[", None, &mut out);
        strip.feed(&vec![b'9'; SEQUENCE_MAX as usize + 1], None, &mut out);
        assert_eq!((out.len(), strip.is_outside()), (0, true), "one more than the limit");
        strip.feed(b"seen", None, &mut out);
        assert_eq!(out, b"seen");
    }

    #[test]
    fn a_cut_falls_behind_a_line_end_of_the_output() {
        let cut = Cut { line_from: 3, at_most: 100 };
        let (mut strip, mut out) = (Strip::default(), Vec::new());
        let used = strip.feed(b"a\nb\x1b[0m\nc\nd", Some(cut), &mut out);
        assert_eq!((used, out.as_slice()), (8, b"a\nb\n".as_slice()));
    }

    #[test]
    fn cuts_take_the_first_line_end_that_is_far_enough() {
        type Row = (usize, usize, usize, &'static [u8], usize, bool);
        let table: [Row; 8] = [
            (0, 100, 0, b"ab\ncd\n", 3, true),
            (3, 100, 0, b"ab\ncd\n", 3, true),
            (4, 100, 0, b"ab\ncd\n", 6, true),
            (7, 100, 0, b"ab\ncd\n", 6, false),
            (4, 100, 4, b"ab\ncd\n", 3, true),
            (4, 5, 0, b"abcdefgh", 5, true),
            (4, 8, 0, b"abcdefgh", 8, true),
            (4, 8, 0, b"abcdefg\n", 8, true),
        ];
        for (line_from, at_most, before, bytes, len, ends) in table {
            let cut = Cut { line_from, at_most };
            assert_eq!(cut.take(before, bytes), (len, ends), "{cut:?} {before} {bytes:?}");
        }
    }
}
