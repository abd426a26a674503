//! The target of a request: path and query, with `%XX` decoded and encoded.
//!
//! Example: `parse("/v1/log?name=a%3Ab")` gives the path `/v1/log` and the parameter `name` = `a:b`.

use super::HttpError;

/// A target in its parts, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The path.
    pub path: String,
    /// The parameters behind `?` in their order; a name without `=` has an empty value.
    pub query: Vec<(String, String)>,
}

/// Splits and decodes a target; raw UTF-8 is taken as it is (supervisorctl sends it).
///
/// # Errors
/// When a `%` is not followed by two hex digits, or what is decoded is not UTF-8.
pub fn parse(target: &str) -> Result<Target, HttpError> {
    let (target, _fragment) = target.split_once('#').unwrap_or((target, ""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parameter = |part: &str| -> Result<(String, String), HttpError> {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Ok((decode(name, true)?, decode(value, true)?))
    };
    let parts = query.split('&').filter(|part| !part.is_empty());
    Ok(Target { path: decode(path, false)?, query: parts.map(parameter).collect::<Result<_, _>>()? })
}

/// Decodes `%XX`, and `+` as a blank where that is the custom (in a query).
///
/// # Errors
/// As [`parse`].
pub fn decode(text: &str, plus_is_blank: bool) -> Result<String, HttpError> {
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let (high, low) = (hex(bytes.next()), hex(bytes.next()));
                let pair = high.zip(low).ok_or(HttpError::Malformed("a % needs two hex digits"))?;
                pair.0 << 4 | pair.1
            }
            b'+' if plus_is_blank => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| HttpError::Malformed("the target is not UTF-8"))
}

fn hex(byte: Option<u8>) -> Option<u8> {
    char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Encodes a text so that it can stand in any part of a target.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets_are_split_and_decoded() {
        for (target, path, query) in [
            ("/", "/", vec![]),
            ("/v1/log?name=a%3Ab&follow=1", "/v1/log", vec![("name", "a:b"), ("follow", "1")]),
            ("/logtail/öäü/stdout", "/logtail/öäü/stdout", vec![]),
            ("/logtail/%C3%B6", "/logtail/ö", vec![]),
            ("/a+b?c+d=%2B+&e&&=f", "/a+b", vec![("c d", "+ "), ("e", ""), ("", "f")]),
            ("/x?a=b=c?d#e", "/x", vec![("a", "b=c?d")]),
        ] {
            let query = query.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
            assert_eq!(parse(target), Ok(Target { path: path.to_owned(), query }), "{target}");
        }
        for bad in ["/%", "/%2", "/%zz", "/%ff", "/?a=%g0", "/%+1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in any::<String>()) {
            prop_assert_eq!(decode(&encode(&text), true), Ok(text.clone()));
            prop_assert_eq!(decode(&encode(&text), false), Ok(text));
        }

        #[test]
        fn no_target_panics(text in any::<String>()) {
            drop(parse(&text));
        }
    }
}
