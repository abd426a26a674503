//! The file that `visorctl new` writes: a section that means exactly what was typed, in supervisord too.
//!
//! Pure: words in, text out. supervisord's files have traps (`%` is expanded, a blank before `;` or `#` begins a
//! comment, quotation marks or not), and what cannot be written so that it comes back the same is refused. Example:
//! `sh -c 'a ;b'` becomes `command=sh -c 'a '';b'`.

use std::path::Path;

/// Longest name of a program in bytes: it becomes part of file names and lines.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// How the files begin that are ours to take away again: what `new` and `import` write.
const MARKS: [&str; 2] = ["; Made by visorctl new", "; Made by visorctl import"];

/// Whether a file was written by us; whoever changed its first line has made it theirs.
pub(super) fn is_ours(text: &[u8]) -> bool {
    MARKS.iter().any(|mark| text.starts_with(mark.as_bytes()))
}

/// A program to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its command in words, the first an absolute path.
    pub words: &'a [String],
    /// Where it runs.
    pub directory: &'a Path,
    /// Its variables besides those of the daemon.
    pub environment: &'a [(String, String)],
    /// The only host on which it runs, where several read the file.
    pub host: Option<&'a str>,
}

/// Returns the text of the file.
///
/// # Errors
/// Words for the user, when something cannot be written in such a file.
pub(super) fn text(draft: &Draft<'_>) -> Result<String, String> {
    check_name(draft.name)?;
    let words: Vec<String> = draft.words.iter().map(|word| quoted(word)).collect::<Result<_, _>>()?;
    let directory = draft.directory.to_str().ok_or("the directory's name is not UTF-8")?;
    let mut text = format!(
        "{}. Change what you like, then: visorctl update\n[program:{}]\ncommand={}\ndirectory={}\n",
        MARKS[0],
        draft.name,
        words.join(" "),
        bare(directory).map_err(|why| format!("the directory {directory} cannot be written down: {why}"))?,
    );
    if let Some(host) = draft.host {
        text.push_str(&format!(
            "; Other hosts read this file too: it runs on this one.\ncondition_host={host}\n"
        ));
    }
    if !draft.environment.is_empty() {
        let pairs: Vec<String> = draft.environment.iter().map(pair).collect::<Result<_, _>>()?;
        text.push_str(&format!("environment={}\n", pairs.join(",")));
    }
    Ok(text)
}

/// Checks that a name can be a section, a file and a word of a command line.
///
/// # Errors
/// Words for the user.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    match name {
        "" => Err("a program needs a name".to_owned()),
        "all" => Err("`all` means every program, choose another name".to_owned()),
        _ if name.len() > NAME_BYTES_MAX => Err(format!("a name has at most {NAME_BYTES_MAX} letters")),
        _ if name.starts_with(['-', '.']) || !name.chars().all(fits) => {
            Err(format!("`{name}` is no name: letters, digits, and . _ - inside"))
        }
        _ => Ok(()),
    }
}

/// Writes a word so that the daemon's splitting gives it back.
fn quoted(word: &str) -> Result<String, String> {
    if word.contains(['\n', '\r', '\0']) {
        return Err(
            "a line break in an argument cannot be written down: put the command into a script".to_owned()
        );
    }
    let is_simple = |letter: char| letter.is_ascii_alphanumeric() || "_@+=:,./-".contains(letter);
    if !word.is_empty() && word.chars().all(is_simple) {
        return Ok(word.to_owned());
    }
    let mut text = String::from("'");
    let mut previous = '\'';
    for letter in word.chars() {
        match letter {
            '\'' => text.push_str(r#"'"'"'"#),
            '%' => text.push_str("%%"),
            // Quotation marks do not keep a comment from beginning behind a blank, but they can stand between.
            ';' | '#' if previous.is_whitespace() => text.extend(["''", &letter.to_string()]),
            // supervisord replaces `%(here)s` in files that are included, whatever stands before it.
            '(' if previous == '%' => text.push_str("''("),
            other => text.push(other),
        }
        previous = letter;
    }
    Ok(text + "'")
}

/// Writes a value that is taken as it stands.
fn bare(value: &str) -> Result<String, &'static str> {
    let begins_comment = value.char_indices().any(|(at, letter)| {
        ";#".contains(letter) && value[..at].chars().last().is_none_or(char::is_whitespace)
    });
    match () {
        () if value.contains(['\n', '\r', '\0']) => Err("it has a line break"),
        () if value.contains("%(here)s") => Err("supervisord would put a directory in the place of %(here)s"),
        () if begins_comment => Err("a blank before ; or # begins a comment"),
        () if value.trim() != value => Err("it begins or ends with a blank"),
        () => Ok(value.replace('%', "%%")),
    }
}

/// Writes a variable, by the grammar of `environment=` that supervisord 4.3 reads.
fn pair((name, value): &(String, String)) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || !name.chars().all(fits) || name.starts_with(|letter: char| letter.is_ascii_digit())
    {
        return Err(format!("`{name}` is no name of a variable"));
    }
    let refused = |why: &str| format!("the value of {name} cannot be written down: {why}");
    let mark = if value.contains('"') { '\'' } else { '"' };
    if value.contains(mark) || value.starts_with(['"', '\'']) || value.ends_with(['"', '\'']) {
        return Err(refused("supervisord's files have no way to write these quotation marks"));
    }
    // Inside the marks a value may begin and end with blanks.
    let inner = bare(&format!("{mark}{value}{mark}")).map_err(refused)?;
    Ok(format!("{name}={inner}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadRequest, load};
    use crate::sys::host::RealHost;
    use proptest::prelude::*;

    /// Loads a program back and returns its command, directory and environment.
    fn load_back(text: &str) -> (String, String, Vec<(String, String)>) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("c.conf");
        std::fs::write(&file, format!("[supervisord]\n{text}")).expect("a file");
        let loaded = load(&LoadRequest::of(&file), &RealHost);
        let settings = loaded.settings.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics));
        let spec = &settings.fleet.groups[0].processes[0];
        let directory = spec.directory.as_ref().map(|path| path.display().to_string());
        (spec.command.clone(), directory.unwrap_or_default(), spec.environment.clone())
    }

    /// Splits as the daemon does what `quoted` writes: bare words, single and double quotes.
    fn split(line: &str) -> Vec<String> {
        let (mut words, mut word, mut mark) = (Vec::new(), None::<String>, None);
        for letter in line.chars() {
            match (mark, letter) {
                (Some(open), letter) if letter == open => mark = None,
                (Some(_), letter) => word.get_or_insert_default().push(letter),
                (None, '\'' | '"') => {
                    mark = Some(letter);
                    word.get_or_insert_default();
                }
                (None, ' ') => words.extend(word.take()),
                (None, letter) => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        words
    }

    fn draft<'a>(words: &'a [String], environment: &'a [(String, String)]) -> Draft<'a> {
        Draft { name: "web", words, directory: Path::new("/"), environment, host: None }
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_file_is_readable_and_commented() {
        let words = owned(&["/bin/sh", "-c", "while sleep 1; do date; done"]);
        let environment = [("PATH".to_owned(), "/a:/b".to_owned())];
        let expected = "; Made by visorctl new. Change what you like, then: visorctl update
[program:web]
command=/bin/sh -c 'while sleep 1; do date; done'
directory=/
environment=PATH=\"/a:/b\"
";
        assert_eq!(text(&draft(&words, &environment)).as_deref(), Ok(expected));
        let text =
            text(&Draft { host: Some("login1"), ..draft(&words, &environment) }).expect("can be written");
        assert!(
            text.contains("\ndirectory=/\n; Other hosts")
                && text.contains("\ncondition_host=login1\nenvironment=")
        );
        assert!(is_ours(expected.as_bytes()) && !is_ours(b"[program:web]\n") && !is_ours(b""));
    }

    #[test]
    fn the_traps_of_the_format_are_known() {
        for (word, written) in [
            ("a b", "'a b'"),
            ("", "''"),
            ("it's", r#"'it'"'"'s'"#),
            ("100%", "'100%%'"),
            ("a ;b #c", "'a '';b '';c'".replacen(";c", "#c", 1).as_str()),
            ("#x", "'#x'"),
            ("%(here)s", "'%%''(here)s'"),
        ] {
            assert_eq!(quoted(word).as_deref(), Ok(written));
        }
        assert!(quoted("a\nb").is_err());
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_words() {
        for (name, value) in [
            ("A", "both ' and \""),
            ("A", "\"x"),
            ("A", "a ;b"),
            ("A", "a\nb"),
            ("A", "%(here)s"),
            ("1A", "x"),
            ("", "x"),
            ("A-B", "x"),
        ] {
            assert!(pair(&(name.to_owned(), value.to_owned())).is_err(), "{name}={value}");
        }
        for name in ["", "all", "-x", ".x", "a b", "a:b", "a/b", "ä", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name(&"x".repeat(NAME_BYTES_MAX)).is_ok() && check_name("web-1.a_b").is_ok());
        assert!(bare("/a ;b").is_err() && bare(" /a").is_err() && bare(";a").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_command_comes_back_as_it_was_typed(
            arguments in proptest::collection::vec("[ -~äö\t€]{0,12}|[ ;#%'\"\\\\]{0,8}", 0..5),
        ) {
            let mut words = owned(&["/bin/echo"]);
            words.extend(arguments);
            let (command, directory, _) = load_back(&text(&draft(&words, &[])).expect("can be written"));
            prop_assert_eq!(split(&command), words);
            prop_assert_eq!(directory, "/");
        }

        #[test]
        fn every_variable_comes_back_or_is_refused(value in "[ -~ä]{0,20}") {
            let environment = [("A_1".to_owned(), value), ("B".to_owned(), "x".to_owned())];
            if let Ok(text) = text(&draft(&owned(&["/bin/true"]), &environment)) {
                prop_assert_eq!(load_back(&text).2, environment.to_vec());
            }
        }
    }
}
