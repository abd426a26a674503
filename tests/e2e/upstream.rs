//! Supervisor's own end-to-end tests against visord, with the real supervisorctl and the other programs of it.
//!
//! All but those that need event listeners: 565, 663 and 733.

use crate::common::{Sandbox, Who, need};
use std::path::Path;

const CHOSEN: &str = "not 565 and not 663 and not 733";
const CHOSEN_COUNT: usize = 24;

#[test]
fn upstreams_end_to_end_tests_that_need_no_listener_pass() {
    let (Some(shim), Some(python)) = (need::shared("interop/e2e-shim.sh"), need::venv("python3")) else {
        return;
    };
    let sandbox = Sandbox::new("upstream", Who::Ordinary);
    // Under the name by which upstream's texts are asked for.
    let daemon = sandbox.path("supervisord");
    std::os::unix::fs::symlink(sandbox.daemon_binary(), &daemon).expect("a link");
    let output = sandbox
        .command("sh")
        .arg(sandbox.write("e2e-shim.sh", std::fs::read(shim).expect("a readable file")))
        .arg(sandbox.dir())
        .args(["-k", CHOSEN])
        .env("SUPERVISORD_BIN", daemon)
        .env("SITE", site_packages(&python))
        .env("PYTHON", &python)
        .output()
        .expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let all_passed = text.contains(&format!("{CHOSEN_COUNT} passed")) && !text.contains("failed");
    assert!(output.status.success() && all_passed, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn site_packages(python: &Path) -> String {
    let lib = python.parent().and_then(Path::parent).expect("bin/python3 of a venv").join("lib");
    let version = std::fs::read_dir(lib).expect("lib of a venv").flatten().next().expect("one version");
    version.path().join("site-packages").display().to_string()
}
