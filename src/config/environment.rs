//! The grammar of `environment=`, as supervisord 4.3 reads it: Python's `shlex` in its non-POSIX mode.
//!
//! Tokens are taken in fours: name, `=`, value, and one that nobody looks at (the comma). Must not expand
//! anything. `pairs("A=\"a,b\",B=2")` is `[("A", "a,b"), ("B", "2")]`.

use super::value::Converted;

/// Splits an environment setting into names and values; a later value of a name replaces the earlier one in
/// its place.
///
/// # Errors
/// An open quote, or tokens that are not `NAME=VALUE`. The text is not quoted back: it may hold secrets.
pub fn pairs(text: &str) -> Converted<Vec<(String, String)>> {
    let tokens = tokens(text)?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (number, four) in tokens.chunks(4).enumerate() {
        let [name, equals, value, ..] = four else { return Err(unexpected(number)) };
        if equals != "=" {
            return Err(unexpected(number));
        }
        let value = value.trim_matches(['\'', '"']).to_owned();
        match pairs.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => pairs.push((name.clone(), value)),
        }
    }
    Ok(pairs)
}

fn unexpected(number: usize) -> String {
    format!(
        "variable {} is not NAME=VALUE or NAME=\"VALUE\" (a value with other characters than letters, digits and _/.+-(): needs quotes)",
        number + 1
    )
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_/.+-():".contains(c)
}

fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '"')
}

/// Cuts the text into words, quoted strings and single characters.
fn tokens(text: &str) -> Converted<Vec<String>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '#' => skip_line(&mut rest),
            quote if is_quote(quote) => {
                let mut token = String::from(quote);
                loop {
                    let c = rest.next().ok_or("a quote is opened and never closed")?;
                    token.push(c);
                    if c == quote {
                        break;
                    }
                }
                tokens.push(token);
            }
            c if is_word(c) => tokens.push(word(c, &mut rest)),
            c => tokens.push(c.to_string()),
        }
    }
    Ok(tokens)
}

/// Reads on from the first character of a word. A comment does not end it: the word goes on in the next line.
fn word(first: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut token = String::from(first);
    while let Some(c) = rest.peek().copied() {
        match c {
            '#' => skip_line(rest),
            c if is_word(c) || is_quote(c) => {
                token.push(c);
                rest.next();
            }
            _ => break,
        }
    }
    token
}

fn skip_line(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    rest.by_ref().find(|c| *c == '\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_give_what_supervisord_gives() {
        for (text, expected) in [
            ("", ""),
            ("A=1,B=2", "A=1 B=2"),
            ("A=\"1\",B='2',", "A=1 B=2"),
            ("A = 1 , B = 2", "A=1 B=2"),
            ("A=1,\nB=2", "A=1 B=2"),
            ("A=\"a,b\",B=\"x=y\",C=\"#x\",D=\"\"", "A=a,b B=x=y C=#x D="),
            ("A=http://h:80/p,B=(x),C=-1.5", "A=http://h:80/p B=(x) C=-1.5"),
            ("A=$HOME", "A=$"),
            ("A=x*", "A=x"),
            ("A=http://h/p?x=1", "A=http://h/p x=1"),
            ("A=1;B=2", "A=1 B=2"),
            ("A=foo#bar,B=c", "A=foo"),
            ("A=foo#c\nbar,B=2", "A=foobar B=2"),
            ("A='say \"hi\"'", "A=say \"hi"),
            ("A=\"'x'\"", "A=x"),
            ("A=a\"b\"c", "A=a\"b\"c"),
            ("A=\"a\"\"b\"", "A=a"),
            ("A=1,A=2,B=3", "A=2 B=3"),
            ("A=ü", "A=ü"),
            ("# only a comment", ""),
        ] {
            let got = pairs(text).expect(text);
            let shown: Vec<String> = got.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(shown.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_supervisord_refuses_is_refused() {
        for text in ["A=", "A", "A=,B=2", "A=x=y", ",A=1", "A=1,,B=2", "A=\"x", "A='"] {
            assert!(pairs(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_do_not_quote_secrets() {
        let error = pairs("TOKEN=s3cret=x").expect_err("not a pair");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
