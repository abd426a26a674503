//! Other users of the machine, by real accounts, as they meet the socket for others.

use super::account::{Account, run};
use crate::common::wait::{self, LONG};
use crate::common::{need, proc};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Who is granted something by name.
pub(super) const BOB: &str = "visor-bob";
/// Who is granted something as a member of [`GROUP`].
pub(super) const CAROL: &str = "visor-carol";
/// Who is granted nothing.
pub(super) const DAVE: &str = "visor-dave";
/// A group.
pub(super) const GROUP: &str = "visor-ops";

/// Makes the accounts where they are not there; returns false, after saying so, where that cannot be.
pub(super) fn are_there() -> bool {
    static MADE: OnceLock<bool> = OnceLock::new();
    if !need::root() || need::tool("useradd").is_none() || need::tool("setpriv").is_none() {
        return false;
    }
    *MADE.get_or_init(|| {
        // Somebody else may hold the lock of the user database for a moment.
        let made = |program: &str, words: &[&str]| {
            // 9 is: it exists already.
            let code = || Command::new(program).args(words).stderr(Stdio::null()).status().ok()?.code();
            wait::until(LONG, &format!("{program} {words:?}"), || {
                code().filter(|code| [0, 9].contains(code))
            });
        };
        made("groupadd", &[GROUP]);
        made("useradd", &["--no-create-home", "--user-group", BOB]);
        made("useradd", &["--no-create-home", "--user-group", "--groups", GROUP, CAROL]);
        made("useradd", &["--no-create-home", "--user-group", DAVE]);
        true
    })
}

/// The number of an account.
pub(super) fn uid(name: &str) -> u32 {
    let found = nix::unistd::User::from_name(name).ok().flatten();
    found.unwrap_or_else(|| panic!("no account {name}")).uid.as_raw()
}

/// The directory of an account's socket for others.
pub(super) fn directory(account: &Account) -> PathBuf {
    account.sandbox.path(&format!("tmp/visor-{}.share", account.uid()))
}

/// Sends each line of its arguments as a request with a body; prints status and the reply, as far as it comes at once.
const ASKER: &str = r#"
import json, socket, sys
path, body = sys.argv[1], sys.argv[2].encode()
for line in sys.argv[3:]:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(path)
    head = line.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    reply = b""
    try:
        s.sendall(head + body)
    except OSError:
        pass
    try:
        while b"\r\n\r\n" not in reply or b"chunked" not in reply:
            piece = s.recv(65536)
            if not piece: break
            reply += piece
    except ConnectionResetError:
        pass
    head, _, rest = reply.partition(b"\r\n\r\n")
    print(json.dumps([int(head.split(b" ")[1] or 0), rest.decode("utf-8", "replace")]), flush=True)
"#;

/// Opens half a request again and again, as soon as one is closed, so many at a time.
const CROWD: &str = r#"
import os, select, socket, sys
path, count = sys.argv[1], int(sys.argv[2])
crowd = {}
poll = select.poll()
while True:
    while len(crowd) < count:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30)
        try:
            s.connect(path)
            s.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n")
        except OSError:
            s.close()
            continue
        crowd[s.fileno()] = s
        poll.register(s.fileno(), select.POLLIN | select.POLLHUP)
    for fd, _ in poll.poll():
        poll.unregister(fd)
        crowd.pop(fd).close()
"#;

/// Listens at a path until it is killed.
const LISTENER: &str = r"
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen(16)
print('here', flush=True)
while True: s.accept()
";

/// Somebody who is not the owner, before the owner's daemon.
pub(super) struct Visit<'a> {
    account: &'a Account,
    who: &'static str,
}

impl<'a> Visit<'a> {
    /// Returns one of the accounts.
    pub(super) fn of(account: &'a Account, who: &'static str) -> Visit<'a> {
        Visit { account, who }
    }

    /// A program that runs as the account, in a machine that looks like the owner's.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={}", self.who), format!("--regid={}", self.who)]);
        command.args(["--init-groups", "--"]).arg(program).current_dir("/");
        command.env("VISOR_TEST_ROOT", self.account.sandbox.dir()).env_remove("XDG_RUNTIME_DIR");
        command
    }

    fn client(&self, words: &[&str]) -> Command {
        let owner = self.account.uid();
        let named = nix::unistd::User::from_uid(owner.into()).ok().flatten().map(|user| user.name);
        let mut command = self.command(&self.account.visorctl());
        command.arg("--owner").arg(named.unwrap_or_else(|| owner.to_string())).args(words);
        command
    }

    fn python(&self, script: &str) -> Command {
        let mut command = self.command("/usr/bin/python3".as_ref());
        command.args(["-c", script]);
        command
    }

    /// Runs `visorctl --owner` to its end; returns exit code, stdout and stderr.
    pub(super) fn ctl(&self, words: &[&str]) -> (i32, String, String) {
        let output = run(self.client(words));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Starts `visorctl --owner`, which goes on.
    pub(super) fn background(&self, words: &[&str]) -> Child {
        let mut command = self.client(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().expect("the client starts")
    }

    /// Asks every endpoint with a body; returns status and body of each reply.
    pub(super) fn ask(&self, endpoints: &[&str], body: &str) -> Vec<(u16, String)> {
        let mut asker = self.python(ASKER);
        asker.arg(directory(self.account).join("control.sock")).arg(body).args(endpoints);
        let output = run(asker);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).expect("what the script printed")).collect()
    }

    /// Starts a crowd of half-open connections, which come again and again.
    pub(super) fn crowd(&self, count: usize) -> Child {
        let mut command = self.python(CROWD);
        command.arg(directory(self.account).join("control.sock")).arg(count.to_string());
        command.spawn().expect("python starts")
    }

    /// Listens at a path as the account.
    pub(super) fn listen(&self, path: &Path) -> Child {
        let mut command = self.python(LISTENER);
        let mut child = command.arg(path).stdout(Stdio::piped()).spawn().expect("python starts");
        let mut said = [0; 4];
        let stdout = child.stdout.as_mut().expect("stdout is piped");
        std::io::Read::read_exact(stdout, &mut said).expect("it listens");
        child
    }

    /// How many connections the daemon has at the socket for others.
    pub(super) fn connections(&self) -> usize {
        let place = directory(self.account).display().to_string();
        let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let inode = |line: &str| Some(format!("socket:[{}]", line.split_whitespace().nth(6)?));
        let there: BTreeSet<String> =
            table.lines().filter(|line| line.contains(&place)).filter_map(inode).collect();
        let held: BTreeSet<String> = proc::descriptors(self.account.reactor()).into_values().collect();
        // One of them listens.
        held.intersection(&there).count().saturating_sub(1)
    }
}
