//! What is shipped: each package is built from the programs under test, installed, used and removed.

#[path = "common/need.rs"]
#[allow(dead_code, reason = "not every test binary needs all of it")]
mod need;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TOP: &str = env!("CARGO_MANIFEST_DIR");

fn built() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_visord")).parent().expect("a directory").to_owned()
}

fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("visor-package-").tempdir().expect("a directory")
}

/// Runs a command in the tree with the programs that are built, in a home of its own, and returns what it said.
fn run(home: &Path, program: impl AsRef<Path>, words: &[&str]) -> String {
    let mut command = Command::new(program.as_ref());
    command.args(words).current_dir(TOP).env("BIN_DIR", built()).env("HOME", home);
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{} {words:?}: {text}", program.as_ref().display());
    text
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        match entry.file_type().expect("a type").is_dir() {
            true => found.extend(files_below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// What an installed program says of its version.
fn version_of(program: &Path) -> String {
    run(program.parent().expect("a directory"), program, &["--version"])
}

#[test]
fn an_installed_tree_works_and_is_taken_away_whole() {
    let home = directory();
    let prefix = home.path().join("local");
    let shown = prefix.display().to_string();
    run(home.path(), "./install.sh", &["--prefix", &shown, "--with-supervisor-names"]);
    assert!(version_of(&prefix.join("bin/visorctl")).contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(version_of(&prefix.join("bin/supervisord")).trim(), "4.3.0");
    assert!(prefix.join("share/man/man1/visorctl.1").is_file());
    let unit = fs::read_to_string(prefix.join("lib/systemd/user/visord.service")).expect("the unit");
    assert!(unit.contains(&format!("ExecStart={shown}/bin/visorctl")), "{unit}");
    // A second time over what is there, while it might run.
    run(home.path(), "./install.sh", &["--prefix", &shown]);
    run(home.path(), "./install.sh", &["--prefix", &shown, "--uninstall"]);
    let left = files_below(&prefix);
    let links = ["supervisord", "supervisorctl", "pidproxy", "echo_supervisord_conf"];
    let is_link =
        |file: &&PathBuf| file.file_name().is_some_and(|name| links.iter().any(|link| name == *link));
    assert!(left.iter().all(|file| is_link(&file)), "{left:?}");
}

#[test]
fn the_debian_package_is_installed_and_removed() {
    if !need::root() {
        return;
    }
    let (Some(_), Some(dpkg)) = (need::tool("dpkg-deb"), need::tool("dpkg")) else { return };
    let home = directory();
    let out = home.path().display().to_string();
    run(home.path(), "packaging/debian/build", &[&out]);
    let package =
        files_below(home.path()).into_iter().find(|file| file.extension().is_some_and(|e| e == "deb"));
    let package = package.expect("a package").display().to_string();
    // Into a tree of its own, with a database of its own: the machine's is not ours to change.
    let root = home.path().join("root");
    for folder in ["var/lib/dpkg/updates", "var/lib/dpkg/info", "var/lib/dpkg/triggers"] {
        fs::create_dir_all(root.join(folder)).expect("a directory");
    }
    for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
        fs::write(root.join(file), "").expect("a file");
    }
    let within = format!("--root={}", root.display());
    run(home.path(), &dpkg, &[&within, "--force-depends", "--install", &package]);
    assert!(version_of(&root.join("usr/bin/visorctl")).contains(env!("CARGO_PKG_VERSION")));
    assert!(root.join("usr/share/man/man1/visorctl.1.gz").is_file());
    assert!(root.join("usr/lib/systemd/user/visord.service").is_file());
    assert!(!root.join("usr/bin/supervisord").exists(), "supervisor's own package has it");
    run(home.path(), &dpkg, &[&within, "--force-depends", "--purge", "visord"]);
    assert!(!root.join("usr/bin/visorctl").exists() && !root.join("usr/share/doc/visord").exists());
}

#[test]
fn the_wheel_puts_all_names_on_the_path_of_an_environment() {
    let Some(python) = need::tool("python3") else { return };
    let home = directory();
    let out = home.path().display().to_string();
    let wheel = run(home.path(), "packaging/wheel/build", &[&out]);
    let environment = home.path().join("env");
    run(home.path(), &python, &["-m", "venv", &environment.display().to_string()]);
    let pip = environment.join("bin/pip");
    run(home.path(), &pip, &["install", "--quiet", "--no-index", "--no-deps", wheel.trim()]);
    for name in ["visord", "supervisord", "echo_supervisord_conf", "visorctl", "supervisorctl", "pidproxy"] {
        assert!(environment.join("bin").join(name).is_file(), "{name}");
    }
    assert!(version_of(&environment.join("bin/visorctl")).contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(version_of(&environment.join("bin/supervisord")).trim(), "4.3.0");
    run(home.path(), &pip, &["uninstall", "--quiet", "--yes", "visord"]);
    assert!(!environment.join("bin/visord").exists());
}

/// Recipes that cannot be run here agree with the package in what can be compared.
#[test]
fn recipes_name_this_version_and_files_that_are_there() {
    let read = |file: &str| fs::read_to_string(Path::new(TOP).join("packaging").join(file)).expect(file);
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("rpm/visord.spec", format!("Version:        {version}\n")),
        ("arch/PKGBUILD", format!("pkgver={version}\n")),
        ("alpine/APKBUILD", format!("pkgver={version}\n")),
        ("homebrew/visord.rb", format!("v{version}.tar.gz")),
        ("nix/default.nix", format!("version = \"{version}\";")),
    ] {
        assert!(read(file).contains(&line), "{file} lacks {line}");
    }
    let bash = need::tool("bash").expect("bash");
    for script in
        ["stage", "static", "debian/build", "container/entrypoint.sh", "arch/PKGBUILD", "alpine/APKBUILD"]
    {
        let path = Path::new(TOP).join("packaging").join(script).display().to_string();
        run(Path::new("/"), &bash, &["-n", &path]);
    }
    run(Path::new("/"), &bash, &["-n", &format!("{TOP}/install.sh")]);
}

/// The entry point of a container runs a command as the program that everything ends with.
#[test]
fn the_entry_point_ends_with_its_program() {
    let home = directory();
    let path = format!("{}:/usr/bin:/bin", built().display());
    let mut command = Command::new(Path::new(TOP).join("packaging/container/entrypoint.sh"));
    command.args(["sh", "-c", "echo \"it's $0 100%\"; exit 7", "a b"]);
    command.env_clear().env("PATH", path).env("HOME", home.path()).env("TMPDIR", home.path());
    command.env("VISOR_TEST_ROOT", home.path()).current_dir(home.path());
    fs::create_dir(home.path().join("tmp")).expect("a directory");
    let said = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("it's a b 100%"), "{text} {}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(said.status.code(), Some(7), "{text}");
}
