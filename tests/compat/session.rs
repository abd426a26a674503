//! The real supervisorctl with either daemon: what it prints, and how it exits.

use super::world::{Kind, OPEN, World};

const PROGRAMS: &str = "[program:cat]
command=/bin/cat
startsecs=0
[program:fast]
command=/bin/true
autostart=false
startretries=0
startsecs=3
[program:nf]
command=/no/such/cmd
autostart=false
[program:say]
command=/bin/sh -c 'echo \"said …\"; echo loud >&2; exec sleep 1000'
startsecs=0
[group:grp]
programs=ga,gb
[program:ga]
command=/bin/sleep 1000
startsecs=0
[program:gb]
command=/bin/sleep 1000
startsecs=0
";

/// What the session takes out of the configuration in its course. With `fast` gone, one program alone cannot be started:
/// with two, the exit code of `start all` is that of whichever supervisord happens to hear of last.
const EDITS: [(&str, &str); 2] = [
    ("[group:grp]\nprograms=ga,gb\n", "[group:grp]\nprograms=ga\n"),
    ("[program:fast]\ncommand=/bin/true\nautostart=false\nstartretries=0\nstartsecs=3\n", ""),
];

/// The commands in their order; `edit` changes the configuration.
const SESSION: &[&str] = &[
    "status",
    "status cat grp:ga",
    "status nope grp:*",
    "avail",
    "version",
    "start cat",
    "start nf fast",
    "start nope",
    "stop cat",
    "stop cat",
    "start cat",
    "restart cat",
    "stop grp:*",
    "start grp:*",
    "restart grp:ga grp:gb",
    "signal WINCH cat",
    "signal WINCH grp:*",
    "signal NOPE cat",
    "signal WINCH all",
    "signal NOPE all",
    "signal NOPE grp:*",
    "tail say",
    "tail say stderr",
    "tail -5 say",
    "tail nope",
    "tail grp:*",
    "clear say",
    "tail say",
    "clear nope",
    "reread",
    "update",
    "edit",
    "reread",
    "avail",
    "update",
    "status gb",
    "remove cat",
    "stop cat",
    "remove cat",
    "add cat",
    "add cat",
    "add nope",
    "status",
    "stop all",
    "start all",
    "help",
    "nonsense",
    "shutdown",
    "status",
];

fn masked(text: &str, directory: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.replace(directory, "DIR").lines() {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for at in 0..words.len() {
            let is_after = |word: &str| at > 0 && words[at - 1] == word;
            let mask = is_after("pid") || is_after("uptime") || words[at].contains(':') && is_after("PM");
            if mask {
                words[at] = "X".to_owned();
            }
        }
        lines.push(words.join(" "));
    }
    // Members of one group end in any order.
    lines.sort();
    lines.join("\n")
}

#[test]
fn the_real_supervisorctl_sees_no_difference() {
    let run = |kind| -> Option<Vec<String>> {
        let mut world = World::start(kind, "session", &format!("{OPEN}{PROGRAMS}"))?;
        let directory = world.sandbox.dir().display().to_string();
        let mut said = Vec::new();
        for words in SESSION {
            if *words == "edit" {
                let mut config = world.sandbox.read("visord.conf");
                for (before, after) in EDITS {
                    assert!(config.contains(before), "{config}");
                    config = config.replace(before, after);
                }
                world.sandbox.write("visord.conf", config);
                continue;
            }
            let output = world.ctl(&words.split(' ').collect::<Vec<_>>())?;
            let stdout = masked(&String::from_utf8_lossy(&output.stdout), &directory);
            said.push(format!("$ {words}\n{stdout}\n= {:?}", output.status.code()));
            if *words == "shutdown" {
                world.wait_exit();
            }
        }
        Some(said)
    };
    let (Some(theirs), Some(ours)) = (run(Kind::Supervisord), run(Kind::Visord)) else { return };
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs, ours, "supervisord is left, visord is right");
    }
}
