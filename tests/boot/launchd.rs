//! launchd: there is no Mac here, so launchctl is a script with launchd's manners, and the agent is read by Python.
//!
//! Untested on a Mac.

use crate::common::{Sandbox, Who, need};
use std::process::Command;

/// launchctl as it behaves: no `gui/` without a screen, a job that stays for a while after `bootout`, and an error 5
/// for whoever bootstraps meanwhile.
const LAUNCHCTL: &str = r#"#!/bin/sh
D=$(dirname "$0")/state; mkdir -p "$D"; echo "$*" >>"$D/calls"
case $2 in gui/*) [ -e "$D/screen" ] || exit 113 ;; esac
going() { [ -s "$D/going" ] && n=$(cat "$D/going") && [ "$n" -gt 0 ] && echo $((n-1)) >"$D/going"; }
case $1 in
  print) case $2 in */*/*) going || { [ -e "$D/loaded" ] && [ ! -s "$D/going" ]; } ;; *) exit 0 ;; esac ;;
  bootout) rm "$D/loaded" && echo 5 >"$D/going" ;;
  bootstrap) if going; then echo "Bootstrap failed: 5: Input/output error" >&2; exit 5; fi; rm -f "$D/going"; cp "$3" "$D/loaded" ;;
  enable) ;;
  *) exit 64 ;;
esac
"#;

struct Mac(Sandbox);

impl Mac {
    fn new(name: &str) -> Mac {
        let sandbox = Sandbox::new(name, Who::Ordinary);
        sandbox.mkdir("fake");
        sandbox.script("fake/launchctl", LAUNCHCTL);
        // The crontab is not of this machine: it is that of whoever runs the tests.
        sandbox.script("fake/crontab", "#!/bin/sh\necho no crontab for me >&2; exit 1\n");
        Mac(sandbox)
    }

    fn run(&self, words: &[&str]) -> (i32, String, String) {
        let mut command = self.0.command(self.0.client_binary());
        let path = format!("{}:/usr/bin:/bin", self.0.text("fake"));
        let output =
            command.args(words).env("PATH", path).env("SHELL", "/bin/tcsh").output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    fn calls(&self) -> String {
        self.0.read("fake/state/calls")
    }
}

const AGENT: &str = "Library/LaunchAgents/io.github.visor-project.visord.plist";

#[test]
fn the_agent_is_loaded_where_there_is_a_domain_and_is_a_property_list() {
    let mac = Mac::new("launchd");
    let (code, out, err) = mac.run(&["boot", "enable", "--method", "launchd"]);
    assert!(
        code == 0 && out.starts_with("boot: enabled: a launchd agent starts visord at your next login\n"),
        "{out}{err}"
    );
    let uid = mac.0.uid();
    assert!(mac.calls().contains(&format!("bootstrap user/{uid} ")), "{}", mac.calls());
    let Some(python) = need::tool("python3") else { return };
    let script = "import plistlib, sys, json; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let read =
        Command::new(python).args(["-c", script]).arg(mac.0.path(AGENT)).output().expect("Python runs");
    let agent: serde_json::Value = serde_json::from_slice(&read.stdout).expect("a property list");
    assert_eq!(agent["Label"], "io.github.visor-project.visord");
    let words: Vec<&str> =
        agent["ProgramArguments"].as_array().into_iter().flatten().filter_map(|word| word.as_str()).collect();
    assert_eq!(words[0], "/usr/bin/env", "the home and root of the test are not those of the account");
    let visorctl = mac.0.client_binary().display().to_string();
    assert_eq!(
        words[words.len() - 6..],
        [visorctl.as_str(), "boot", "run", "--method", "launchd", "--await"]
    );
    assert_eq!((&agent["RunAtLoad"], &agent["AbandonProcessGroup"]), (&true.into(), &true.into()));
    assert_eq!(agent["LimitLoadToSessionType"], serde_json::json!(["Aqua", "Background"]));
    let status = mac.run(&["boot", "status"]);
    assert!(status.0 == 0 && status.1.contains("\nlaunchd    in force "), "{status:?}");
}

#[test]
fn an_agent_that_is_on_its_way_out_is_waited_for() {
    let mac = Mac::new("launchd-race");
    mac.0.mkdir("fake/state");
    mac.0.write("fake/state/screen", "");
    assert_eq!(mac.run(&["boot", "enable", "--method", "launchd"]).0, 0);
    assert!(mac.calls().contains(&format!("bootstrap gui/{} ", mac.0.uid())), "a screen comes first");
    let before = mac.calls();
    assert_eq!(mac.run(&["boot", "enable", "--method", "launchd"]).0, 0);
    let after = mac.calls().replacen(&before, "", 1);
    assert!(!after.contains("bootstrap") && !after.contains("bootout"), "nothing is to be done: {after}");
    // Another place of the program: the agent is changed, taken out and put in again.
    let text = mac.0.read(AGENT).replace("--await", "--late");
    mac.0.write(AGENT, text);
    let (code, out, err) = mac.run(&["boot", "enable", "--method", "launchd"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(mac.calls().contains("bootout") && mac.0.read("fake/state/loaded").contains("--await"));
    assert_eq!(mac.run(&["boot", "disable"]).1, "boot: launchd disabled\n");
    assert!(!mac.0.path(AGENT).exists() && !mac.0.path("fake/state/loaded").exists());
}

#[test]
fn a_foreign_agent_of_that_name_is_left_alone() {
    let mac = Mac::new("launchd-foreign");
    mac.0.mkdir("Library");
    mac.0.mkdir("Library/LaunchAgents");
    mac.0.write(AGENT, "<plist/>");
    let (code, _, err) = mac.run(&["boot", "enable", "--method", "launchd"]);
    assert!(code == 1 && err.contains("is there and not ours"), "{err}");
    assert_eq!(mac.0.read(AGENT), "<plist/>");
}
