//! Asks both sides about the same files: the real supervisord through `oracle.py`, and `visorctl check --dump`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The environment in which both sides read: nothing of the machine's own.
pub(crate) const ENVIRONMENT: [(&str, &str); 5] = [
    ("HOME", "/home/tester"),
    ("PATH", "/usr/bin:/bin"),
    ("LANG", "C.UTF-8"),
    ("USER", "tester"),
    ("NUM", "4"),
];

/// What the tests need from outside.
pub(crate) struct Interop {
    /// The shared material.
    pub(crate) shared: PathBuf,
    python: PathBuf,
}

impl Interop {
    /// Finds what is needed, or says what is missing.
    pub(crate) fn find() -> Option<Interop> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let from = |name: &str, default: &str| {
            std::env::var_os(name).map_or_else(|| root.join(default), PathBuf::from)
        };
        // As supervisord and the recording name it: without `..`.
        let shared = from("VISOR_SHARED", "../shared");
        let shared = shared.canonicalize().unwrap_or(shared);
        let python = from("VISOR_VENV", "target/test-venv").join("bin/python");
        for needed in [shared.join("interop/oracle.py"), python.clone()] {
            if !needed.exists() {
                let text = format!("not run: {} is missing", needed.display());
                assert!(std::env::var_os("VISOR_CI").is_none_or(|value| value != "1"), "{text}");
                println!("{text}");
                return None;
            }
        }
        Some(Interop { shared, python })
    }

    /// Returns what supervisord makes of each file.
    pub(crate) fn upstream(&self, files: &[PathBuf]) -> Vec<Value> {
        self.upstream_with(&[], files, &[])
    }

    /// The same with options for the oracle before the files, and for supervisord behind them.
    pub(crate) fn upstream_with(
        &self,
        extra: &[String],
        files: &[PathBuf],
        options: &[String],
    ) -> Vec<Value> {
        let mut command = Command::new(&self.python);
        command.arg(self.shared.join("interop/oracle.py")).arg("--clean-env").args(extra);
        for (name, value) in ENVIRONMENT {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        // The oracle empties its environment only after it has looked for a directory of temporary files.
        command.args(files).arg("--").args(options).env_clear().env("LANG", "C.UTF-8");
        listed(command.output())
    }

    /// Returns what Visor makes of each file.
    pub(crate) fn visor(&self, files: &[PathBuf]) -> Vec<Value> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_visorctl"));
        listed(command.args(["check", "--dump"]).args(files).env_clear().envs(ENVIRONMENT).output())
    }
}

fn listed(output: std::io::Result<Output>) -> Vec<Value> {
    let output = output.expect("both sides can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    match serde_json::from_str(&text) {
        Ok(Value::Array(values)) => values,
        Ok(value) => vec![value],
        Err(error) => panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}
