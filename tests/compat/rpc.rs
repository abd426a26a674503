//! The XML-RPC interface beside the real one: the same calls, the same answers.

use super::world::{Kind, OPEN, World, printed};

/// Calls everything and prints what comes back.
const SCRIPT: &str = include_str!("script.py");

/// Programs in every state that a call can meet.
const PROGRAMS: &str = "[program:cat]
command=/bin/cat
[program:zero]
command=/bin/true
startsecs=0
autorestart=false
[program:nf]
command=/no/such/cmd
startretries=0
[program:quick]
command=/bin/true
startretries=0
startsecs=3
[program:dir]
command=/tmp
autostart=false
startretries=0
[program:empty]
command=
autostart=false
startretries=0
[program:man]
command=/bin/sleep 1000
autostart=false
stopsignal=KILL
exitcodes=0,2
directory=/
[program:say]
command=/bin/sh -c 'printf \"x\\nhéllo\\n\"; exec sleep 1000'
priority=5
[program:slow]
command=/bin/sh -c 'trap \"sleep 2; exit\" TERM; while :; do sleep 0.1; done'
stopwaitsecs=20
[program:nolog]
command=/bin/sleep 1000
autostart=false
stdout_logfile=NONE
stderr_logfile=NONE
[program:missing]
command=/bin/sleep 1000
autostart=false
stdout_logfile=%(here)s/log/never-there
[group:grp]
programs=ga,gb
[program:ga]
command=/bin/sleep 1000
stdout_logfile_maxbytes=1MB
serverurl=unix:///elsewhere
[program:gb]
command=/bin/sleep 1000
redirect_stderr=true
";

#[test]
fn every_call_is_answered_as_supervisord_answers_it() {
    let run = |kind| -> Option<String> {
        let mut world = World::start(kind, "rpc", &format!("{OPEN}{PROGRAMS}"))?;
        let (socket, directory) = (world.sandbox.text("s.sock"), world.sandbox.dir().display().to_string());
        let text = printed(&world.python(SCRIPT, &[&socket, &directory])?);
        world.wait_exit();
        Some(text)
    };
    let (Some(theirs), Some(ours)) = (run(Kind::Supervisord), run(Kind::Visord)) else { return };
    let differing: Vec<String> = theirs
        .lines()
        .zip(ours.lines())
        .filter(|(theirs, ours)| theirs != ours)
        .map(|(theirs, ours)| format!("supervisord: {theirs}\n     visord: {ours}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!(theirs.lines().count(), ours.lines().count());
    assert!(ours.lines().count() > 150, "the script said little: {ours}");
}
