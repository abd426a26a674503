//! Programs that print anything at all: every reply is XML that Python's client can parse.

use super::world::{Kind, OPEN, World, printed};

/// Reads the log in every way and at every cut while the program prints, and says what it cannot parse.
const SCRIPT: &str = r#"
import sys
from xmlrpc.client import Fault, ServerProxy
from supervisor.xmlrpc import SupervisorTransport
rpc = ServerProxy("http://127.0.0.1/RPC2", transport=SupervisorTransport("", "", "unix://" + sys.argv[1]))
s = rpc.supervisor
while len(s.readProcessStdoutLog("wild", 0, 0)) < 3000:
    pass
for offset in range(600):
    assert isinstance(s.readProcessStdoutLog("wild", offset, 7), str)
    assert s.tailProcessStdoutLog("wild", 0, offset)[1] > 0
    assert isinstance(s.readProcessStderrLog("wild", -offset or 0, 0), str)
text = s.readProcessStdoutLog("wild", 0, 512)
assert "\x1b" not in text and "\0" not in text and "\ufffd" in text
assert "\r" in text and "\t" in text and "<&>" in text, repr(text)
s.sendProcessStdin("wild", "ä\u0001\u2028<]]>")
for info in s.getAllProcessInfo():
    assert info["group"] in ("wild", "ö\u200bä"), info
assert s.stopProcess("ö\u200bä") is True
print("parsed")
"#;

/// All byte values in both streams, over and over, in pieces that cut characters.
const WILD: &str = r#"
import os, time
every = bytes(range(256)) + "äö€𝄞<&>\x1b[31mred\x1b[0m".encode()
while True:
    for fd in (1, 2):
        for at in range(0, len(every), 7):
            os.write(fd, every[at:at + 7])
    time.sleep(0.01)
"#;

#[test]
fn every_reply_can_be_parsed_while_a_program_prints_all_bytes() {
    let programs = "[program:wild]\ncommand=/usr/bin/python3 -u %(here)s/wild.py\n\
                    [program:ö\u{200b}ä]\ncommand=sleep 1000\nstartsecs=0\n";
    let files = [("wild.py", WILD)];
    let world = World::start_with(Kind::Visord, "bytes", &format!("{OPEN}{programs}"), &files);
    let world = world.expect("our own daemon");
    let Some(output) = world.python(SCRIPT, &[&world.sandbox.text("s.sock")]) else { return };
    assert_eq!(printed(&output), "parsed\n");
}
