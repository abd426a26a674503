//! The reader against texts that Python's `ConfigParser` reads in a surprising way.

use super::*;
use proptest::prelude::*;

/// The sections as `name: key=value | ...`, mistakes as their lines.
fn read(text: &str) -> (Vec<String>, Vec<u32>) {
    let (sections, mistakes) = parse(text.as_bytes());
    let shown = sections.iter().map(|section| {
        let entries = section.entries.iter().map(|e| format!("{}={}", e.key, e.value));
        format!("{}: {}", section.name, entries.collect::<Vec<_>>().join(" | "))
    });
    (shown.collect(), mistakes.iter().map(|m| m.line).collect())
}

#[test]
fn lines_are_read_as_raw_config_parser_reads_them() {
    for (text, expected) in [
        ("[a]\nk=v", "a: k=v"),
        ("[a]\r\nk=v\r\nl = w\r\n", "a: k=v | l=w"),
        ("[a]\rk=v\rl:w", "a: k=v | l=w"),
        ("\u{feff}[a]\nk=v", "a: k=v"),
        ("  ; note\n# note\n[a] ; why\nK = v ;why\n", "a: k=v"),
        ("[a]\nk=a;b#c\n", "a: k=a;b#c"),
        ("[a]\nk= ;x\nl=;x\n", "a: k= | l=;x"),
        ("[a]\nk=x;y ;z #w\n", "a: k=x;y"),
        ("[a]\nk=a # # ;\n", "a: k=a"),
        ("[a]\nk=a\u{a0}; nbsp is a blank\n", "a: k=a"),
        ("[a]\nk=1\n  2\n\n  3 ; c\n ; c\n\t4\n\n", "a: k=1\n2\n\n3\n4"),
        ("[a]\n  k=1\n  l=2\n   m\n", "a: k=1 | l=2\nm"),
        ("[a]\nk=1\n [program:b]\n other=1\n", "a: k=1\n[program:b]\nother=1"),
        ("[a]\nk=1\n[b]\n indented=2\n", "a: k=1;b: indented=2"),
        ("[a]b] junk\nk=1", "a]b: k=1"),
        ("[ a ]\nk=1", " a : k=1"),
        ("[a]\n[=1\n", "a: [=1"),
        ("[a]\nk=\"q\" \\\nl=%(x)s\\n\n", "a: k=\"q\" \\ | l=%(x)s\\n"),
        ("[a]\nk=http://x:1/?a=b\n", "a: k=http://x:1/?a=b"),
        ("[a]\nk=1\nk=2\n[a]\nk=3", "a: k=1 | k=2;a: k=3"),
        ("[a]\nÄ b=1\n", "a: ä b=1"),
        ("[a]\nk=a\0b\x07\n", "a: k=a\0b\x07"),
    ] {
        let (sections, mistakes) = read(text);
        assert_eq!(sections.join(";"), expected, "{text:?}");
        assert!(mistakes.is_empty(), "{text:?}: {mistakes:?}");
    }
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    assert_eq!(read("x=1\ny=2\n[a]\nk=1\n").1, [1], "one cause, one mistake");
    assert_eq!(read("[a]\njunk\nk=1\n=2\n[]\n").1, [2, 4, 5]);
    assert_eq!(parse(b"[a]\nk=1\nl=\xff\n").1[0].line, 3);
    assert_eq!(parse(b"\xff").1[0].line, 1);
    assert_eq!(parse(b"[a]\r\n\xfe").1[0].line, 2);
}

#[test]
fn line_numbers_are_those_of_header_and_key() {
    let (sections, _) = parse(b"; c\n\n[a]\nk=1\n 2\n\nl=3\n");
    assert_eq!(sections[0].line, 3);
    assert_eq!(sections[0].entries.iter().map(|e| e.line).collect::<Vec<_>>(), [4, 7]);
}

#[test]
fn a_line_at_the_limit_is_read_and_a_longer_one_refused() {
    let value = "x".repeat(LINE_SIZE_MAX - 2);
    let (sections, mistakes) = parse(format!("[a]\nk={value}\n").as_bytes());
    assert!(mistakes.is_empty());
    assert_eq!(sections[0].entries[0].value.len(), LINE_SIZE_MAX - 2);
    let (_, mistakes) = parse(format!("[a]\nk={value}x\n").as_bytes());
    assert_eq!(mistakes[0].line, 2);
}

#[test]
fn all_byte_values_give_sections_or_mistakes() {
    for byte in 0..=255u8 {
        let (sections, mistakes) = parse(&[b"[a]\nk=x".as_slice(), &[byte], b"y\n"].concat());
        assert!(!sections.is_empty() || !mistakes.is_empty(), "byte {byte}");
        let (sections, mistakes) = parse(&[b"[a".as_slice(), &[byte], b"]\nk", &[byte], b"=1\n"].concat());
        assert!(!sections.is_empty() || !mistakes.is_empty(), "byte {byte} in names");
    }
}

proptest! {
    /// Nothing that stands in a file can confuse the canonical form.
    #[test]
    fn written_values_come_back(name in "[^\\[\\]\r\n;#]{1,20}", key in "[a-z_\"'\\\\\\]\\[]{1,12}", value in "[^\r\n;#]{0,60}") {
        prop_assume!(!strip(&format!("[{name}]")).is_empty() && !key.starts_with('['));
        let (sections, mistakes) = parse(format!("[{name}]\n{key}={value}").as_bytes());
        prop_assert_eq!(&mistakes, &[]);
        prop_assert_eq!(&sections[0].name, &name);
        prop_assert_eq!(&sections[0].entries[0].key, &key);
        prop_assert_eq!(&sections[0].entries[0].value, strip(&value));
    }

    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_text_makes_the_canonical_form_unreadable(text in "[\\[\\]=:;# \t\r\n\\\\\"'a-c%.1é]{0,80}") {
        let (_, mistakes) = parse(text.as_bytes());
        prop_assert!(mistakes.iter().all(|m| m.line > 0), "{:?}", mistakes);
    }
}
