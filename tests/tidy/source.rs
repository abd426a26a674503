//! Rust files cut into code, comments and test code by a small scanner: enough for rules that look at words.

use std::fmt;
use std::fs;
use std::path::Path;

/// What the path of a file has that stands behind `#[cfg(test)] mod`.
const TEST_FILES: [&str; 4] = ["/tests/", "/tests.rs", "_tests.rs", "/testing.rs"];

/// Something wrong, and where.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    /// The file, relative to the project.
    pub(crate) path: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong and what to do.
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// One Rust file.
pub(crate) struct Source {
    /// The path, relative to the project: `src/core/mod.rs`.
    pub(crate) path: String,
    /// The text as it is.
    pub(crate) text: String,
    /// The text with comments and the insides of literals replaced by blanks: same lines, same columns.
    pub(crate) code: String,
    /// As `code`, with `#[cfg(test)]` items blanked too; all blank for a file that is one.
    pub(crate) shipped: String,
}

impl Source {
    /// Cuts a text; `path` decides which rules apply to it.
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code = blank_comments_and_literals(text);
        let is_test_file = !path.starts_with("src/") || TEST_FILES.iter().any(|part| path.contains(part));
        let shipped = if is_test_file { blank(&code) } else { without_test_items(&code) };
        Source { path: path.to_owned(), text: text.to_owned(), code, shipped }
    }

    /// The module below `src`: `core`, or nothing for the crate root, the binaries and the tests.
    pub(crate) fn module(&self) -> Option<&str> {
        let (module, _) = self.path.strip_prefix("src/")?.split_once('/')?;
        (module != "bin").then_some(module)
    }

    /// A finding in this file at a byte offset.
    pub(crate) fn at(&self, offset: usize, what: impl Into<String>) -> Finding {
        let line = 1 + self.text[..offset].matches('\n').count();
        Finding { path: self.path.clone(), line, what: what.into() }
    }

    /// A finding for every place where one of the words stands as a whole word in `code`.
    pub(crate) fn ban(&self, code: &str, words: &[&str], why: &str) -> Vec<Finding> {
        let places = words
            .iter()
            .flat_map(|word| occurrences(code, word).into_iter().map(move |offset| (offset, word)));
        places.map(|(offset, word)| self.at(offset, format!("`{word}`: {why}"))).collect()
    }
}

/// All Rust files of the project.
pub(crate) fn all() -> Vec<Source> {
    let mut found = Vec::new();
    for top in ["src", "tests", "benches"] {
        collect(Path::new(top), &mut found);
    }
    assert!(found.len() > 20, "the files were not found from {:?}", std::env::current_dir());
    found
}

fn collect(dir: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<_> =
        fs::read_dir(dir).map(|entries| entries.flatten().collect()).unwrap_or_default();
    entries.sort_by_key(fs::DirEntry::file_name);
    for path in entries.iter().map(fs::DirEntry::path) {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a text file");
            found.push(Source::new(&path.to_string_lossy(), &text));
        }
    }
}

/// Where a word stands in the code, neither preceded nor followed by a letter of a longer word.
pub(crate) fn occurrences(code: &str, word: &str) -> Vec<usize> {
    let joins = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let first_joins = joins(word.chars().next());
    let last_joins = joins(word.chars().next_back());
    let whole = |&(start, _): &(usize, &str)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        !(first_joins && joins(before) || last_joins && joins(after))
    };
    code.match_indices(word).filter(whole).map(|(start, _)| start).collect()
}

/// The offset just past the bracket that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return offset + 1;
        }
    }
    code.len()
}

fn blank(code: &str) -> String {
    code.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect()
}

fn blank_range(code: &mut String, start: usize, end: usize) {
    let blanks = blank(&code[start..end]);
    code.replace_range(start..end, &blanks);
}

/// Blanks every item that stands behind `#[cfg(test)]`.
fn without_test_items(code: &str) -> String {
    let mut code = code.to_owned();
    while let Some(start) = code.find("#[cfg(test)]") {
        let mut next = start;
        // Over the attributes, this one first.
        while code[next..].trim_start().starts_with('#') {
            next = closing(&code, next + code[next..].find('[').expect("an attribute has a bracket"));
        }
        let body = code[next..].find(['{', ';']).map_or(code.len(), |offset| next + offset);
        let end =
            if code[body..].starts_with('{') { closing(&code, body) } else { (body + 1).min(code.len()) };
        blank_range(&mut code, start, end);
    }
    code
}

/// Blanks comments, and the insides of strings and characters; all non-ASCII becomes blanks of the same length.
fn blank_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment(bytes, at);
        if let Some(end) = end {
            code.extend(bytes[at..end].iter().map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }));
            at = end;
        } else {
            code.push(if bytes[at].is_ascii() { bytes[at] } else { b' ' });
            at += 1;
        }
    }
    String::from_utf8(code).expect("only ASCII was kept")
}

/// The end of the comment or literal that begins here, if one does.
fn literal_or_comment(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return Some(at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(at + block_comment(rest));
    }
    if rest[0] == b'"' {
        return Some(at + quoted(rest, b'"'));
    }
    if !in_word && (rest[0] == b'r' || rest.starts_with(b"br")) {
        return raw_string(rest).map(|length| at + length);
    }
    let is_char = rest[0] == b'\''
        && (rest.get(1) == Some(&b'\\')
            || rest
                .iter()
                .skip(2)
                .take(4)
                .position(|&byte| byte == b'\'')
                .is_some_and(|gap| gap == char_width(rest[1]) - 1));
    is_char.then(|| at + quoted(rest, b'\''))
}

/// Bytes of the UTF-8 letter that begins with this byte.
fn char_width(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of `r"…"`, `r#"…"#`, `br"…"`, or nothing when it is a word that begins with r.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = if rest[0] == b'b' { 2 } else { 1 };
    let hashes = rest[prefix..].iter().take_while(|&&byte| byte == b'#').count();
    (rest.get(prefix + hashes) == Some(&b'"')).then_some(())?;
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let body = prefix + hashes + 1;
    let length = rest[body..].windows(end.len()).position(|window| window == end);
    Some(length.map_or(rest.len(), |length| body + length + end.len()))
}

#[test]
fn comments_and_literals_are_blanked_and_lines_kept() {
    let text = "let a = \"x // y\"; // note 'q'\nlet b = 'c'; let d: &'static str = r#\"raw \" unsafe\"#;\n/* one /* two */ three */ let e = b'\\'';\n";
    let source = Source::new("src/a/b.rs", text);
    assert_eq!(source.code.len(), text.len());
    let words: Vec<&str> = source.code.split_whitespace().collect();
    assert_eq!(words.join(" "), "let a = ; let b = ; let d: &'static str = ; let e = b ;");
    assert_eq!(source.code.matches('\n').count(), 3);
}

#[test]
fn test_items_are_not_shipped() {
    let text = "fn a() {}\n#[cfg(test)]\n#[allow(unused)]\nmod tests { fn b() { let x = \"}\"; } }\n#[cfg(test)]\nmod more;\nfn c() {}\n";
    let source = Source::new("src/a/b.rs", text);
    assert_eq!(source.shipped.split_whitespace().collect::<Vec<_>>().join(" "), "fn a() {} fn c() {}");
    assert!(Source::new("src/keeper/table_tests.rs", text).shipped.trim().is_empty());
}

#[test]
fn files_that_are_called_as_tests_stand_behind_cfg_test() {
    for source in
        all().iter().filter(|source| source.path.starts_with("src/") && !source.shipped.trim().is_empty())
    {
        for name in ["tests", "testing"].iter().filter(|name| source.code.contains(&format!("mod {name};"))) {
            assert!(
                !source.shipped.contains(&format!("mod {name};")),
                "{}: `mod {name}` without #[cfg(test)]",
                source.path
            );
        }
    }
}

#[test]
fn words_are_found_whole() {
    assert_eq!(occurrences("unsafe unsafe_code an_unsafe unsafe{", "unsafe"), [0, 29]);
    assert_eq!(occurrences("x.unwrap() y.unwrap_or()", ".unwrap()"), [1]);
}
