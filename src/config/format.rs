//! One conversion of Python's `%` formatting: flags, width, precision and letter applied to a value.
//!
//! Knows nothing of names or files; [`super::expand`] reads the syntax and calls it. `%(process_num)02d` is
//! `number(&Conversion { zero: true, width: Some(2), letter: 'd', .. }, 7)`, `07`.

use crate::model::python::str_repr;

/// What stands between a name and the end of its conversion.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversion {
    left: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) letter: char,
}

impl Conversion {
    /// Notes one of the flags `-+ #0`.
    pub(super) fn flag(&mut self, flag: char) {
        match flag {
            '-' => self.left = true,
            '+' => self.plus = true,
            ' ' => self.blank = true,
            '#' => self.alternate = true,
            _ => self.zero = true,
        }
    }

    /// Pads to the width with blanks.
    fn padded(&self, text: String) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let blanks = " ".repeat(missing);
        if self.left { text + &blanks } else { blanks + &text }
    }

    /// Puts sign and prefix before digits, and zeros between them where asked for.
    fn signed(&self, negative: bool, prefix: &str, digits: &str) -> String {
        let sign = match (negative, self.plus, self.blank) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let length = sign.len() + prefix.len() + digits.len();
        let zeros = if self.zero && !self.left { self.width.unwrap_or(0).saturating_sub(length) } else { 0 };
        self.padded(format!("{sign}{prefix}{}{digits}", "0".repeat(zeros)))
    }
}

/// Formats a text.
pub(super) fn text(conversion: &Conversion, text: &str) -> Result<String, String> {
    let shown = match conversion.letter {
        's' => text.to_owned(),
        'r' => repr(text, false),
        'a' => repr(text, true),
        'c' if text.chars().count() == 1 => return Ok(conversion.padded(text.to_owned())),
        letter => return Err(format!("%{letter} does not take a text, say %s")),
    };
    let cut = match conversion.precision {
        Some(most) => shown.chars().take(most).collect(),
        None => shown,
    };
    Ok(conversion.padded(cut))
}

/// Formats a whole number.
pub(super) fn number(conversion: &Conversion, number: i64) -> Result<String, String> {
    let magnitude = number.unsigned_abs();
    let (prefix, digits) = match conversion.letter {
        's' | 'r' | 'a' => {
            return text(&Conversion { letter: 's', ..conversion.clone() }, &number.to_string());
        }
        'c' => return character(conversion, number),
        'd' | 'i' | 'u' => ("", magnitude.to_string()),
        'o' => ("0o", format!("{magnitude:o}")),
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => ("", real(conversion, magnitude)),
        letter => return Err(format!("%{letter} is not a conversion")),
    };
    let prefix = if conversion.alternate { prefix } else { "" };
    let least = match conversion.letter {
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => conversion.precision.unwrap_or(0),
        _ => 0,
    };
    let digits = format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
    Ok(conversion.signed(number < 0, prefix, &digits))
}

fn character(conversion: &Conversion, number: i64) -> Result<String, String> {
    let c = u32::try_from(number).ok().and_then(char::from_u32);
    c.map(|c| conversion.padded(c.to_string())).ok_or_else(|| format!("%c does not take {number}"))
}

/// Most digits behind the point: more say nothing about a 64-bit number.
const REAL_DIGITS_MAX: usize = 400;

/// Formats a magnitude as C's `%e`, `%f` and `%g` do.
#[allow(clippy::cast_precision_loss, reason = "the conversion asks for a real number")]
fn real(conversion: &Conversion, magnitude: u64) -> String {
    let value = magnitude as f64;
    let precision = conversion.precision.unwrap_or(6).min(REAL_DIGITS_MAX);
    let point = if conversion.alternate { "." } else { "" };
    let text = match conversion.letter.to_ascii_lowercase() {
        'f' if precision == 0 => format!("{value:.0}{point}"),
        'f' => format!("{value:.precision$}"),
        'e' => exponential(value, precision, point),
        _ => general(conversion, value, precision.max(1)),
    };
    if conversion.letter.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text }
}

fn exponential(value: f64, precision: usize, point: &str) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if precision == 0 { point } else { "" };
    format!("{mantissa}{point}e+{exponent:0>2}")
}

fn general(conversion: &Conversion, value: f64, significant: usize) -> String {
    let scientific = exponential(value, significant - 1, "");
    let exponent: usize = scientific.rsplit('+').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (mantissa, suffix) = if exponent < significant {
        (format!("{value:.*}", significant - 1 - exponent), String::new())
    } else {
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
        (mantissa.to_owned(), format!("e{exponent}"))
    };
    if conversion.alternate || !mantissa.contains('.') {
        let point = if conversion.alternate && !mantissa.contains('.') { "." } else { "" };
        return format!("{mantissa}{point}{suffix}");
    }
    format!("{}{suffix}", mantissa.trim_end_matches('0').trim_end_matches('.'))
}

/// Returns a text as Python prints it in its `repr`, or in its `ascii` form.
fn repr(text: &str, ascii: bool) -> String {
    let shown = str_repr(text);
    if !ascii || shown.is_ascii() {
        return shown;
    }
    shown.chars().map(|c| if c.is_ascii() { c.to_string() } else { escaped(c) }).collect()
}

fn escaped(c: char) -> String {
    match u32::from(c) {
        code @ 0..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reprs_are_pythons() {
        assert_eq!(repr("it's", false), "\"it's\"");
        assert_eq!(repr("it's \"x\"\n\u{1}", false), "'it\\'s \"x\"\\n\\x01'");
        assert_eq!(repr("ä→😀", true), "'\\xe4\\u2192\\U0001f600'");
    }

    #[test]
    fn real_numbers_are_cs() {
        let shown = |letter, precision, alternate, value| {
            let conversion = Conversion { letter, precision, alternate, ..Conversion::default() };
            number(&conversion, value).expect("a number")
        };
        for (got, expected) in [
            (shown('g', None, false, 1_234_567), "1.23457e+06"),
            (shown('g', None, false, 100_000), "100000"),
            (shown('g', Some(3), false, 1_000), "1e+03"),
            (shown('G', Some(0), false, -25), "-2E+01"),
            (shown('g', None, true, 7), "7.00000"),
            (shown('e', Some(0), true, 7), "7.e+00"),
            (shown('f', Some(0), false, 7), "7"),
            (shown('e', Some(2), false, 0), "0.00e+00"),
        ] {
            assert_eq!(got, expected);
        }
    }
}
