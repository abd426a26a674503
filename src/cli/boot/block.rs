//! A marked block of ours in a text that belongs to somebody else: put in, found, taken out, and nothing else touched.
//!
//! It goes to the top: what follows may return, replace the shell or set variables, and neither may it concern us nor
//! our block what follows; taken out again it leaves the text as it was, byte by byte. Knows no files. Example:
//! `without(&with(text, BLOCK)?)?` is `text`.

use std::ops::Range;

/// How the first line of a block begins.
pub(super) const BEGIN: &[u8] = b"# >>> visor";

/// How the last line of a block begins.
pub(super) const END: &[u8] = b"# <<< visor";

/// Returns where the block is.
///
/// # Errors
/// When one of its ends is missing, so that nobody knows which lines are ours.
pub(super) fn find(text: &[u8]) -> Result<Option<Range<usize>>, String> {
    let (mut begin, mut found, mut at) = (None, None, 0);
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let broken = |what: &str| {
            format!("line {} is {what} of a block of visor, alone: take it out by hand", number + 1)
        };
        if line.starts_with(BEGIN) {
            if begin.is_some() || found.is_some() {
                return Err(broken("a second begin"));
            }
            begin = Some(at);
        } else if line.starts_with(END) {
            let from = begin.take().ok_or_else(|| broken("the end"))?;
            found = Some(from..at + line.len());
        }
        at += line.len();
    }
    match begin {
        Some(_) => Err("the block of visor in it does not end: take it out by hand".to_owned()),
        None => Ok(found),
    }
}

/// Returns the text with this block: where one is, else at the top.
///
/// # Errors
/// As [`find`].
pub(super) fn with(text: &[u8], block: &str) -> Result<Vec<u8>, String> {
    let place = find(text)?.unwrap_or(0..0);
    Ok([&text[..place.start], block.as_bytes(), &text[place.end..]].concat())
}

/// Returns the text without the block.
///
/// # Errors
/// As [`find`].
pub(super) fn without(text: &[u8]) -> Result<Vec<u8>, String> {
    let place = find(text)?.unwrap_or(0..0);
    Ok([&text[..place.start], &text[place.end..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLOCK: &str = "# >>> visor: x >>>\nsome line\n# <<< visor <<<\n";

    #[test]
    fn a_block_is_replaced_where_it_is() {
        let text = b"a\n# >>> visor: old >>>\n# <<< visor <<<\nb";
        assert_eq!(with(text, BLOCK), Ok(format!("a\n{BLOCK}b").into_bytes()));
        assert_eq!(without(text), Ok(b"a\nb".to_vec()));
        assert_eq!(with(b"", BLOCK), Ok(BLOCK.into()));
    }

    #[test]
    fn half_a_block_is_nobodys_to_guess() {
        for (text, words) in [
            (&b"a\n# >>> visor >>>\nb\n"[..], "does not end"),
            (b"a\n# <<< visor <<<\n", "line 2 is the end"),
            (b"# >>> visor\n# >>> visor\n# <<< visor\n", "line 2 is a second begin"),
            (b"# >>> visor\n# <<< visor\n# >>> visor\n", "line 3 is a second begin"),
        ] {
            for result in [find(text).map(|_| Vec::new()), with(text, BLOCK), without(text)] {
                assert!(result.as_ref().is_err_and(|why| why.contains(words)), "{result:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out_and_leaves_the_rest(text: Vec<u8>) {
            let put = with(&text, BLOCK).map_err(TestCaseError::fail)?;
            prop_assert_eq!(with(&put, BLOCK).map_err(TestCaseError::fail)?, put.clone(), "twice is once");
            prop_assert_eq!(without(&put).map_err(TestCaseError::fail)?, text);
        }
    }
}
