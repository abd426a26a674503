//! What each method runs, as its own file format wants it written.
//!
//! The files are those of `packaging/`, which are valid as they stand: a package installs the very text that the verb
//! writes, and only the command in it is replaced here. Example: `fill(CRON, "cron", &entry, sh)`.

use std::path::PathBuf;

/// The program as the files of `packaging/` name it.
const PROGRAM: &str = "/usr/bin/visorctl";

/// What stands before the program where variables lead to its configuration.
const ENV: &str = "/usr/bin/env";

/// What is run at boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The client, by its absolute path.
    pub visorctl: PathBuf,
    /// Variables without which another configuration would be found: `NAME=VALUE`.
    pub variables: Vec<String>,
}

impl Entry {
    /// Returns the words that start visord.
    #[must_use]
    pub fn start(&self, method: &str) -> Vec<String> {
        self.words(&["boot", "run", "--method", method, "--await"])
    }

    /// Returns the words that end it.
    #[must_use]
    pub fn stop(&self) -> Vec<String> {
        self.words(&["shutdown"])
    }

    fn words(&self, rest: &[&str]) -> Vec<String> {
        let env = (!self.variables.is_empty()).then(|| ENV.to_owned());
        let before = env.into_iter().chain(self.variables.iter().cloned());
        let program = std::iter::once(self.visorctl.display().to_string());
        before.chain(program).chain(rest.iter().map(|word| (*word).to_owned())).collect()
    }
}

/// Returns a template with the commands of `entry` in it, each word written by `quote`.
#[must_use]
pub(super) fn fill(template: &str, method: &str, entry: &Entry, quote: fn(&str) -> String) -> String {
    let line = |words: &[String]| words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    let start = format!("{PROGRAM} boot run --method {method}");
    let stop = format!("{PROGRAM} shutdown");
    let program = entry.visorctl.display().to_string();
    let parts =
        [(start, line(&entry.start(method))), (stop, line(&entry.stop())), (PROGRAM.into(), quote(&program))];
    replace(template, &parts)
}

/// Replaces the first of `parts` that fits at each place, so that nothing is replaced within what was put in.
fn replace(mut rest: &str, parts: &[(String, String)]) -> String {
    let mut text = String::new();
    while let Some(at) = rest.find(PROGRAM) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((known, new)) = parts.iter().find(|(known, _)| rest.starts_with(known.as_str())) else {
            break;
        };
        text.push_str(new);
        rest = &rest[known.len()..];
    }
    text + rest
}

/// Writes a word for a shell.
#[must_use]
pub(super) fn sh(word: &str) -> String {
    if is_plain(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Writes a word for a shell in a crontab, where a per cent sign ends the command (crontab(5)).
#[must_use]
pub(super) fn crontab(word: &str) -> String {
    sh(word).replace('%', "\\%")
}

/// Writes a word for fish, whose quotes know two escapes.
#[must_use]
pub(super) fn fish(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('\'', "\\'");
    if is_plain(word) { word.to_owned() } else { format!("'{escaped}'") }
}

/// Writes a word for a command line of systemd (systemd.service(5)).
#[must_use]
pub(super) fn systemd(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    if is_plain(word) { word.to_owned() } else { format!("\"{escaped}\"") }
}

/// Writes a word for the `Exec` of a desktop entry: its quotes, and those of the file's strings around them.
#[must_use]
pub(super) fn desktop(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in word.chars() {
        if "\"`$\\".contains(letter) {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted.replace('\\', "\\\\").replace('%', "%%")
}

/// Writes a text for XML.
#[must_use]
pub(super) fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Whether every format takes a word as it is.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+,:@=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_replaced_and_nothing_else_is() {
        let entry = Entry { visorctl: "/usr/bin/visorctl 2/visorctl".into(), variables: Vec::new() };
        let template =
            "test -x /usr/bin/visorctl; /usr/bin/visorctl boot run --method m; /usr/bin/visorctl shutdown\n";
        let own = "'/usr/bin/visorctl 2/visorctl'";
        let expected = format!("test -x {own}; {own} boot run --method m --await; {own} shutdown\n");
        assert_eq!(fill(template, "m", &entry, sh), expected);
    }

    #[test]
    fn variables_come_before_the_program() {
        let entry = Entry { visorctl: "/b/visorctl".into(), variables: vec!["A=b c".into()] };
        assert_eq!(entry.start("cron")[..3], ["/usr/bin/env", "A=b c", "/b/visorctl"]);
        assert_eq!(entry.stop(), ["/usr/bin/env", "A=b c", "/b/visorctl", "shutdown"]);
    }

    #[test]
    fn every_format_has_its_own_quotes() {
        let odd = "a'b%c$d\\e\"f";
        assert_eq!(sh(odd), r#"'a'\''b%c$d\e"f'"#);
        assert_eq!(crontab(odd), r#"'a'\''b\%c$d\e"f'"#);
        assert_eq!(fish(odd), r#"'a\'b%c$d\\e"f'"#);
        assert_eq!(systemd(odd), r#""a'b%%c$$d\\e\"f""#);
        assert_eq!(desktop(odd), r#""a'b%%c\\$d\\\\e\\"f""#);
        assert_eq!(xml("a<b>&"), "a&lt;b&gt;&amp;");
        for quote in [sh, crontab, fish, systemd, desktop] {
            assert_eq!((quote("/a-b_c.d=e"), quote("").is_empty()), ("/a-b_c.d=e".to_owned(), false));
        }
    }
}
