//! The manual pages: their form, and their examples, which are run on a home of their own.

#[path = "common/need.rs"]
#[allow(dead_code, reason = "not every test binary needs all of it")]
mod need;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn man() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        fs::read_dir(man()).expect("man").flatten().map(|entry| entry.path()).collect();
    pages.sort();
    pages
}

fn read(page: &Path) -> String {
    fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// A home with the programs in the `PATH`; the daemon that an example starts is told to end.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::Builder::new().prefix("visor-man-").tempdir().expect("a directory"));
        for folder in ["bin", "tmp"] {
            fs::create_dir(home.0.path().join(folder)).expect("a directory");
        }
        for (name, file) in
            [("visord", env!("CARGO_BIN_EXE_visord")), ("visorctl", env!("CARGO_BIN_EXE_visorctl"))]
        {
            std::os::unix::fs::symlink(file, home.0.path().join("bin").join(name)).expect("a link");
        }
        home
    }

    fn run(&self, line: &str) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.0.path().join("bin").display());
        let mut command = Command::new("timeout");
        command.args(["60", "bash", "-c", line]).env_clear().current_dir(self.0.path());
        command.env("PATH", path).env("HOME", self.0.path()).env("VISOR_TEST_ROOT", self.0.path());
        command.output().expect("bash runs")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.run("visorctl shutdown");
    }
}

/// The commands that a page shows behind a `$`.
fn commands(page: &str) -> Vec<String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix(".Dl $ "));
    lines.map(|line| line.replace("\\-", "-").replace("\\e", "\\")).collect()
}

/// The blocks of a page that are configuration.
fn configurations(page: &str) -> Vec<String> {
    let blocks = page.split(".Bd -literal -offset indent\n").skip(1);
    let blocks = blocks.filter_map(|block| Some(block.split_once(".Ed")?.0.to_owned()));
    blocks.filter(|block| block.starts_with('[')).collect()
}

#[test]
fn mandoc_finds_nothing() {
    let Some(mandoc) = need::tool("mandoc") else { return };
    for page in pages() {
        let said =
            Command::new(&mandoc).args(["-Tlint", "-Wwarning"]).arg(&page).output().expect("mandoc runs");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(text.is_empty() && said.status.success(), "{text}");
    }
}

#[test]
fn every_page_has_what_a_page_needs_and_refers_to_pages_that_are_there() {
    let names: Vec<String> = pages()
        .iter()
        .map(|page| page.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
        .collect();
    for page in pages() {
        let text = read(&page);
        let shown = page.display();
        let needs: &[&str] = match text.lines().find_map(|line| line.strip_prefix(".Dt ")) {
            Some(title) if title.ends_with(" 1") => &["EXIT STATUS", "FILES", "ENVIRONMENT", "EXAMPLES"],
            Some(title) if title.ends_with(" 5") => &["FILES", "EXAMPLES"],
            _ => &[],
        };
        for section in needs.iter().chain(&["NAME", "SEE ALSO"]) {
            assert!(text.contains(&format!("\n.Sh {section}\n")), "{shown} has no {section}");
        }
        for reference in text.lines().filter_map(|line| line.strip_prefix(".Xr visor")) {
            let mut words = reference.split(' ');
            let (name, section) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let file = format!("visor{name}.{section}");
            assert!(names.contains(&file), "{shown} refers to {file}, which is not there");
        }
    }
}

#[test]
fn the_examples_of_the_client_work() {
    let home = Home::new();
    let commands = commands(&read(&man().join("visorctl.1")));
    assert!(commands.len() >= 5, "{commands:?}");
    for line in commands {
        let said = home.run(&line);
        assert!(said.status.success(), "$ {line}\n{said:?}");
    }
}

#[test]
fn the_examples_of_the_daemon_work() {
    let home = Home::new();
    for line in commands(&read(&man().join("visord.1"))) {
        // The last one stays in the foreground: it is asked to end once it is up. Its files go where no other is.
        let line = match line.contains(" -n ") {
            true => format!(
                "sed -i s,/tmp/,$HOME/tmp/, supervisord.conf; {line} & \
                 while ! visorctl -c supervisord.conf version; do sleep 0.1; done; kill $!; wait $!"
            ),
            false => line,
        };
        let said = home.run(&line);
        assert!(said.status.success(), "$ {line}\n{said:?}");
    }
}

#[test]
fn the_examples_of_configuration_have_no_mistake() {
    let home = Home::new();
    fs::create_dir(home.0.path().join("app")).expect("a directory");
    for page in ["visor.conf.5", "visor-events.7", "visor-migrate.7"] {
        let blocks = configurations(&read(&man().join(page)));
        assert!(!blocks.is_empty(), "{page}");
        for block in blocks {
            let block =
                if block.contains("[supervisord]") { block } else { format!("[supervisord]\n{block}") };
            fs::write(home.0.path().join("example.conf"), &block).expect("our own file");
            let said = home.run("visorctl check --strict example.conf");
            assert!(said.status.success(), "{page}: {block}\n{said:?}");
        }
    }
}
