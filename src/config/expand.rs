//! `%` expansion: Python's `%` formatting of a text against named values.
//!
//! Knows the syntax only; which names a key may use is [`super::check`]'s business. supervisord inserts its
//! whole dictionary for a `%s` without a name; here that is an error.
//!
//! `expand("%(program_name)s-%(process_num)02d", lookup)` is `web-07`.

use super::format::{self, Conversion};
use std::borrow::Cow;

/// Largest result in bytes: far above every real value, and a width cannot eat the memory.
pub const EXPANDED_SIZE_MAX: usize = 4 * 1024 * 1024;

/// A value that a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg<'a> {
    /// Takes `s`, `r`, `a`, and `c` when it is one character long.
    Text(Cow<'a, str>),
    /// Takes every conversion.
    Number(i64),
}

/// Why a text cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name has no value here.
    Unknown(String),
    /// Not the syntax of `%` formatting, or a conversion that the value does not take.
    Malformed(String),
}

/// Expands `text` once; names are looked up by `lookup`.
///
/// # Errors
/// The first name without value, or the first thing that is malformed.
pub fn expand<'t, 'v>(
    text: &'t str,
    lookup: &dyn Fn(&str) -> Option<Arg<'v>>,
) -> Result<Cow<'t, str>, Failure> {
    let Some(first) = text.find('%') else { return Ok(Cow::Borrowed(text)) };
    let mut out = text[..first].to_owned();
    let mut rest = &text[first..];
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let mut spec = Spec::new(&rest[at + 1..]);
        out.push_str(&spec.expand(lookup)?);
        rest = spec.rest;
        if out.len() > EXPANDED_SIZE_MAX {
            return Err(Failure::Malformed(format!("longer than {EXPANDED_SIZE_MAX} bytes")));
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// One conversion, read from behind its percent sign.
struct Spec<'t> {
    rest: &'t str,
}

impl<'t> Spec<'t> {
    fn new(rest: &'t str) -> Spec<'t> {
        Spec { rest }
    }

    fn expand<'v>(&mut self, lookup: &dyn Fn(&str) -> Option<Arg<'v>>) -> Result<String, Failure> {
        let arg = match self.name()? {
            Some(name) => Some(lookup(name).ok_or_else(|| Failure::Unknown(name.to_owned()))?),
            None => None,
        };
        let conversion = self.conversion()?;
        match (conversion.letter, arg) {
            ('%', _) => Ok("%".to_owned()),
            (_, None) => Err(malformed("a conversion without a name")),
            (_, Some(Arg::Text(text))) => format::text(&conversion, &text).map_err(Failure::Malformed),
            (_, Some(Arg::Number(number))) => format::number(&conversion, number).map_err(Failure::Malformed),
        }
    }

    /// Reads `(name)`; parentheses inside a name must be balanced.
    fn name(&mut self) -> Result<Option<&'t str>, Failure> {
        let Some(inner) = self.rest.strip_prefix('(') else { return Ok(None) };
        let mut depth = 1usize;
        for (at, c) in inner.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.rest = &inner[at + 1..];
                return Ok(Some(&inner[..at]));
            }
        }
        Err(malformed("a name without its closing parenthesis"))
    }

    fn conversion(&mut self) -> Result<Conversion, Failure> {
        let mut conversion = Conversion::default();
        while let Some(flag) = self.take(|c| "-+ #0".contains(c)) {
            conversion.flag(flag);
        }
        conversion.width = self.number()?;
        if self.take(|c| c == '.').is_some() {
            conversion.precision = Some(self.number()?.unwrap_or(0));
        }
        // Length modifiers of C: read and without meaning.
        self.take(|c| "hlL".contains(c));
        conversion.letter =
            self.take(|_| true).ok_or_else(|| malformed("an incomplete conversion at the end"))?;
        Ok(conversion)
    }

    fn number(&mut self) -> Result<Option<usize>, Failure> {
        let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if number.is_empty() {
            return Ok(None);
        }
        let number: Option<usize> = number.parse().ok().filter(|number| *number <= EXPANDED_SIZE_MAX);
        number.map(Some).ok_or_else(|| malformed("a width or precision that is too big"))
    }

    fn take(&mut self, accepted: impl Fn(char) -> bool) -> Option<char> {
        let c = self.rest.chars().next().filter(|c| accepted(*c))?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }
}

fn malformed(what: &str) -> Failure {
    Failure::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(name: &str) -> Option<Arg<'static>> {
        match name {
            "n" => Some(Arg::Number(7)),
            "neg" => Some(Arg::Number(-42)),
            "s" => Some(Arg::Text("web".into())),
            "c" => Some(Arg::Text("ä".into())),
            "a(b)" => Some(Arg::Text("%(s)s".into())),
            _ => None,
        }
    }

    /// Every expected text is what CPython 3.11 gives.
    #[test]
    fn texts_are_formatted_as_python_formats_them() {
        for (text, expected) in [
            ("plain", "plain"),
            ("100%%", "100%"),
            ("%(s)s", "web"),
            ("%(a(b))s", "%(s)s"),
            ("%(s)6s|%(s)-6s|%(s).2s|%(s)06s", "   web|web   |we|   web"),
            ("%(s)r%(c)a", "'web''\\xe4'"),
            ("%(c)c%(n)d", "ä7"),
            ("%(n)02d %(n)4d %(n)-4d| %(n)+d %(n) d", "07    7 7   | +7  7"),
            ("%(neg)05d %(neg).3d %(neg)x %(neg)#o", "-0042 -042 -2a -0o52"),
            ("%(n)i%(n)u%(n)ld", "777"),
            ("%(n)X %(n)#06x", "7 0x0007"),
            ("%(n)f %(n)e %(n)g %(n).1f", "7.000000 7.000000e+00 7 7.0"),
            ("%(n)s%(n)r", "77"),
            ("%(s)%", "%"),
        ] {
            assert_eq!(expand(text, &known), Ok(Cow::Borrowed(expected)), "{text}");
        }
    }

    #[test]
    fn faults_are_told() {
        assert_eq!(expand("%(nope)s", &known), Err(Failure::Unknown("nope".to_owned())));
        for text in ["%", "%(s", "%d", "%s", "%(s)", "%(s)d", "%(s)y", "%(n)y", "%(s)c", "%(n)*d", "50% of"] {
            assert!(matches!(expand(text, &known), Err(Failure::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn the_size_is_bounded() {
        let wide = format!("%(s){EXPANDED_SIZE_MAX}s");
        assert_eq!(expand(&wide, &known).map(|text| text.len()), Ok(EXPANDED_SIZE_MAX));
        assert!(expand(&format!("{wide}%(n)d"), &known).is_err());
        assert!(expand(&format!("%(s){}s", EXPANDED_SIZE_MAX + 1), &known).is_err());
    }

    proptest! {
        #[test]
        fn text_without_percent_signs_is_never_changed(text in "[^%]{0,40}") {
            prop_assert_eq!(expand(&text, &known), Ok(Cow::Borrowed(text.as_str())));
        }

        #[test]
        fn doubled_percent_signs_come_back_single(text in ".{0,40}") {
            let escaped = text.replace('%', "%%");
            prop_assert_eq!(expand(&escaped, &known).map(Cow::into_owned), Ok(text));
        }
    }
}
