//! What a test needs from the machine. What is missing is said, and under `VISOR_CI=1` it is a failure.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this is the slow ring (`tests/run --slow`).
pub(crate) fn slow_ring() -> bool {
    std::env::var("VISOR_RING").is_ok_and(|ring| ring == "slow")
}

/// One of two values, by the ring.
pub(crate) fn by_ring<T>(fast: T, slow: T) -> T {
    if slow_ring() { slow } else { fast }
}

/// Returns false, after saying so, when the tests do not run as root.
pub(crate) fn root() -> bool {
    is_root() || not_run("root")
}

/// Returns a program of the machine, or says that it is missing.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        not_run(name);
    }
    found
}

/// Returns a program of the Python environment that `tests/run` makes, or says that it is missing.
pub(crate) fn venv(program: &str) -> Option<PathBuf> {
    let found = std::env::var_os("VISOR_VENV").map(|venv| Path::new(&venv).join("bin").join(program));
    let found = found.filter(|file| file.exists());
    if found.is_none() {
        not_run(&format!("{program} (VISOR_VENV, made by tests/run)"));
    }
    found
}

/// Returns a file of the shared specification material, or says that it is missing.
pub(crate) fn shared(file: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("VISOR_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|up| up.join("shared")).unwrap_or_default(),
        PathBuf::from,
    );
    let found = Some(dir.join(file)).filter(|file| file.exists());
    if found.is_none() {
        not_run(&format!("{file} (VISOR_SHARED, default ../shared)"));
    }
    found
}

/// Says that a test is not run, past the capture of the test runner; panics under `VISOR_CI=1`. Always false.
pub(crate) fn not_run(needs: &str) -> bool {
    let current = std::thread::current();
    let test = current.name().unwrap_or("?").to_owned();
    assert!(
        std::env::var_os("VISOR_CI").is_none_or(|ci| ci != "1"),
        "{test}: needs {needs}, and VISOR_CI=1 forbids to skip"
    );
    let _ = writeln!(std::io::stderr(), "{test}: not run: needs {needs}");
    false
}
